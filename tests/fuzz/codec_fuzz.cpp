// One codec: any bytes, and valid streams that are damaged a little, in every way in which the
// library decodes them.
//
//   * A stream decodes to the same bytes, or is refused with the same code, in whatever pieces it
//     comes and goes; and each step gets further.
//   * The faster ways for a whole file decode nothing that the stream refuses, and nothing else.
//   * The codec's own library agrees with what was decoded, and a stream that is as it was made is
//     decoded.
//   * A loader and an open file agree, and hold to the limits that they are given.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model_data.hpp>

#include "ballast/codec.hpp"
#include "ballast/whole_job.hpp"
#include "platform/file.hpp"
#include "tests/fuzz/file_descriptor.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/made_stream.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/thorough.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/decompress.hpp"
#include "tests/support/gguf_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kMostDecoded = kMiB / 2;  // then a bomb has been seen to be one
constexpr std::size_t kMostContent = kMiB / 16;
// Of inputs that are not checked thoroughly: most of the time would go into compressing it.
constexpr std::size_t kLittleContent = kMiB / 256;
constexpr std::size_t kMostSteps = 2048;
// Whole files are decoded in a faster way from a MiB on.
constexpr std::size_t kLargeTensor = kMiB + kMiB / 8;

/// What came of an attempt: bytes, or the code of an error.
struct Outcome {
  std::error_code code = Errc::ok;
  Bytes bytes;
  bool is_endless = false;

  [[nodiscard]] bool is_ok() const { return code == Errc::ok && !is_endless; }
};

std::string difference(const Outcome& left, const Outcome& right) {
  return left.code.message() + " <> " + right.code.message() + ", " +
         std::to_string(left.bytes.size()) + " <> " + std::to_string(right.bytes.size());
}

void require_same(const Outcome& left, const Outcome& right, std::string_view fact) {
  require(left.code == right.code && left.bytes == right.bytes, fact, difference(left, right));
}

// ---- As a stream ------------------------------------------------------------------------------

/// Decodes what is there of the input by now; false at the end of it all.
bool decode_piece(Decoder& decoder, std::span<const std::byte> piece, bool last,
                  std::span<std::byte> room, Outcome& outcome) {
  const char* in = reinterpret_cast<const char*>(piece.data());
  const char* const end = in + piece.size();
  for (;;) {
    char* out = reinterpret_cast<char*>(room.data());
    const char* const before = in;
    const bool more = decoder.filter(in, end, out, out + room.size(), last);
    const auto count = static_cast<std::size_t>(out - reinterpret_cast<char*>(room.data()));
    append(outcome.bytes, room.first(count));
    outcome.is_endless = outcome.bytes.size() > kMostDecoded;
    if (!more) {
      require(last && in == end, "a decoder ends where its input does");
      return false;
    }
    if (outcome.is_endless) return false;
    if (!last && in == end && count < room.size()) return true;
    require(in != before || count > 0, "a decoder gets further with each step");
  }
}

Outcome stream(Compression codec, std::span<const std::byte> file, const CodecLimits& limits,
               std::size_t piece, std::size_t room) {
  Outcome outcome;
  const Bytes copy(file.begin(), file.end());
  Bytes buffer(room);
  try {
    Decoder decoder(codec, limits);
    std::span<const std::byte> left(copy);
    for (bool more = true; more;) {
      const auto next = left.first(std::min(piece, left.size()));
      left = left.subspan(next.size());
      more = decode_piece(decoder, next, left.empty(), buffer, outcome);
    }
  } catch (const Error& error) {
    outcome.code = error.code();
    outcome.bytes.clear();
  }
  return outcome;
}

// ---- As a whole -------------------------------------------------------------------------------

bool decode_whole_with(Compression codec, WholeJob& job) {
  switch (codec) {
    case Compression::gzip:
      return decode_whole_gzip(job);
    case Compression::xz:
      return decode_whole_xz(job);
    case Compression::zstd:
      return decode_whole_zstd(job);
    case Compression::lz4:
      return decode_whole_lz4(job);
    default:
      return false;
  }
}

/// The bytes, where a faster way does it. Without the size from which on it is worth it, which only
/// makes the same slower.
std::optional<Bytes> whole(Compression codec, std::span<const std::byte> bytes, std::size_t size,
                           const DecodeLimits& limits) {
  const MemoryFile memory(bytes);
  const platform::File file = platform::File::duplicate(memory.descriptor());
  Bytes out(size);
  const WholeWatch watch = [](std::uint64_t, std::uint64_t) {};
  const WholeFile whole_file{.file = file, .offset = 0, .size = bytes.size()};
  WholeJob job(whole_file, out, limits, watch);
  try {
    if (decode_whole_with(codec, job)) return out;
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // What is odd is left to the stream.
  }
  return std::nullopt;
}

void check_whole(Compression codec, std::span<const std::byte> file, const Outcome& streamed,
                 std::size_t made_size, std::size_t other_size, const DecodeLimits& limits) {
  const std::size_t size = streamed.is_ok() ? streamed.bytes.size() : made_size;
  if (size > 0) {
    const auto decoded = whole(codec, file, size, limits);
    require(!decoded || streamed.is_ok(), "a whole file is decoded only where the stream is",
            streamed.code.message());
    require(!decoded || *decoded == streamed.bytes, "a whole file decodes to what the stream does");
  }
  for (const std::size_t wrong : {other_size, size + 1}) {
    if (wrong == 0 || wrong == size) continue;
    require(!whole(codec, file, wrong, limits), "a whole file fills its room exactly");
  }
}

// ---- As a model -------------------------------------------------------------------------------

Outcome loaded(std::span<const std::byte> file, const LoaderOptions& options, std::size_t piece) {
  Outcome outcome;
  try {
    Loader loader(options);
    for (std::size_t at = 0; at < file.size(); at += piece) {
      loader.push(file.subspan(at, std::min(piece, file.size() - at)));
    }
    const ModelData data = loader.finish();
    outcome.bytes.assign(data.bytes().begin(), data.bytes().end());
  } catch (const Error& error) {
    outcome.code = error.code();
  }
  return outcome;
}

Outcome opened(std::span<const std::byte> file, const OpenOptions& options) {
  Outcome outcome;
  const MemoryFile memory(file);
  try {
    const ModelData data = ModelData::open_descriptor(memory.descriptor(), options);
    outcome.bytes.assign(data.bytes().begin(), data.bytes().end());
  } catch (const Error& error) {
    outcome.code = error.code();
  }
  return outcome;
}

void check_model(std::span<const std::byte> file, const OpenOptions& options, std::size_t piece,
                 bool is_total_known) {
  LoaderOptions loading{
      .max_bytes = options.max_bytes, .require_model = false, .decode = options.decode};
  if (is_total_known) loading.total = file.size();
  const Allocations allocations;
  const Outcome pushed = loaded(file, loading, piece);
  const Outcome pulled = opened(file, options);
  require(allocations.largest() <= 2 * *options.max_bytes + 4 * kMiB,
          "no more is allocated than is allowed", std::to_string(allocations.largest()));
  require(pushed.bytes.size() <= *options.max_bytes, "no more is loaded than is allowed");
  // What a loader is given counts as it is until it is known to be compressed.
  if (pushed.code == Errc::too_large && file.size() > *options.max_bytes) return;
  require_same(pushed, pulled, "a loader and an open file agree");
  loading.require_model = true;
  const Outcome demanding = loaded(file, loading, piece);
  require(demanding.code != Errc::ok || demanding.bytes == pushed.bytes,
          "a loader that demands a model loads the same, or nothing");
}

// ---- What an input says -----------------------------------------------------------------------

Compression codec_of(FuzzInput& input, bool is_made, std::span<const std::byte> file) {
  constexpr Compression kCodec = Compression::BALLAST_FUZZ_CODEC;
  if (kCodec != Compression::gzip) return kCodec;
  const bool is_zlib = is_made ? input.byte() % 4 == 0 : signature_of(file) == Compression::zlib;
  return is_zlib ? Compression::zlib : Compression::gzip;
}

Bytes repeated(std::span<const std::byte> piece, std::size_t times, std::size_t most) {
  Bytes out;
  while (times-- > 0 && out.size() < most) append(out, piece);
  return out;
}

Bytes model_of(Bytes data, bool is_large) {
  data.resize(is_large ? kLargeTensor : data.size() / 4 * 4, std::byte{9});
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "a", .dims = {data.size() / 4}, .data = std::move(data)})
      .build()
      .bytes();
}

struct Choice {
  Compression codec{};
  Bytes file{};
  bool is_model = false;
  bool is_large = false;
  std::size_t size = 0;            // of what was compressed here
  std::optional<Bytes> content{};  // what must come out
};

/// What the last bits of its first byte say: a file as it is; or any content, or a model,
/// compressed here, which is kept as it was, or damaged.
Choice chosen(FuzzInput& input, bool thorough) {
  const std::uint8_t kind = input.byte();
  if (kind % 8 < 2) {
    const auto file = input.rest();
    return {.codec = codec_of(input, false, file),
            .file = {file.begin(), file.end()},
            .is_model = kind % 8 == 1};
  }
  Choice choice;
  choice.codec = codec_of(input, true, {});
  choice.is_model = kind % 2 == 0;
  choice.is_large = thorough && kind == 0xFE;
  FuzzInput ways(input.take(16));
  const std::size_t times = std::size_t{1} << input.below(10);
  const std::size_t most = thorough ? kMostContent : kLittleContent;
  Bytes content = repeated(input.rest(), times, most);
  if (choice.is_model) content = model_of(std::move(content), choice.is_large);
  choice.file = made_stream(choice.codec, ways, content);
  choice.size = content.size();
  if (!damage(ways, choice.file)) choice.content = std::move(content);
  return choice;
}

DecodeLimits limits_of(FuzzInput& input) {
  const std::uint8_t kind = input.byte();
  DecodeLimits limits{.max_window = 8 * kMiB};
  if (kind % 8 == 1) limits.max_window = std::min<std::uint64_t>(input.any(), 8 * kMiB);
  if (kind % 8 == 2) limits.max_ratio = input.any();
  return limits;
}

void check(FuzzInput input, bool thorough) {
  const DecodeLimits limits = limits_of(input);
  const std::size_t piece = 1 + input.below(1024);
  const std::size_t room = 1 + input.below(4096);
  const std::size_t other_size = input.below(65536);
  const std::uint64_t most = input.flag() ? input.number(2) : 4 * kMiB;
  const bool is_total_known = input.flag();
  const Choice choice = chosen(input, thorough);
  if (thorough && choice.is_model && compression_of(choice.file) == choice.codec) {
    check_model(choice.file, {.max_bytes = most, .decode = limits}, piece * 8, is_total_known);
  }
  if (choice.is_large) return;  // would go in steps that are too small
  const CodecLimits codec_limits{limits.max_window};
  const Outcome at_once =
      stream(choice.codec, choice.file, codec_limits, choice.file.size(), kMiB / 16);
  if (at_once.is_endless) return;
  if (choice.content && limits.max_window == 8 * kMiB) {
    require(at_once.is_ok() && at_once.bytes == *choice.content,
            "what was compressed comes out again", at_once.code.message());
  }
  if (!thorough) return;
  const Outcome in_pieces = stream(choice.codec, choice.file, codec_limits,
                                   std::max(piece, choice.file.size() / kMostSteps),
                                   std::max(room, at_once.bytes.size() / kMostSteps));
  if (in_pieces.is_endless) return;
  require_same(at_once, in_pieces, "a stream is the same in any pieces");
  if (signature_of(choice.file) == choice.codec) {
    check_whole(choice.codec, choice.file, at_once, choice.size, other_size, limits);
  }
  if (!at_once.is_ok()) return;
  try {
    const Bytes expected = decompress(choice.codec, choice.file, at_once.bytes.size());
    require(expected == at_once.bytes, "the codec's own library agrees");
  } catch (const std::runtime_error&) {  // NOLINT(bugprone-empty-catch)
    // It decodes one member, and of this file there may be more.
  }
}

}  // namespace
}  // namespace ballast::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMost = std::size_t{1} << 16;
  if (size > kMost) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  ballast::test::check({data, size}, ballast::test::is_thorough(bytes));
  return 0;
}
