// The ways in which the bytes of one file become a directory, held against each other.
//
// Where may two ways end differently? In memory everything is there, and a parser knows where the
// file ends. A stream whose length nobody told learns that last, so that there (and nothing else)
//   - a count that no file of that length holds is not refused for itself: something behind it is
//     refused first, or the same count at the end;
//   - a model that ends behind the file is refused before its end is missed, where it is larger
//     than may be allocated;
//   - a last tensor of an unknown dtype has no end;
//   - bytes behind the model come before it is known that an empty tensor lies behind the file.
// And the first bytes of a file of known length tell how many bytes follow the model, but not
// whether they are another model; they are refused as trailing bytes, or not yet.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/loader.hpp>

#include "tests/fuzz/directory_check.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/thorough.hpp"
#include "tests/support/bounds.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/random.hpp"

namespace ballast::test {

/// What came of an input: a code, or a directory as a number.
struct Outcome {
  Errc code = Errc::ok;
  std::string what{};            // of a refusal
  std::uint64_t digest = 0;      // of a directory
  std::uint64_t of_its_end = 0;  // of what only the end of the file tells
  std::optional<std::uint64_t> data_end{};

  void take(const Directory& directory) {
    digest = digest_of(directory);
    of_its_end = digest_of_end(directory);
    data_end = directory.data_end;
  }
};

inline std::span<const std::byte> bytes_at(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Choices that a mutation of the front of an input leaves as they are.
inline Random choices(std::span<const std::byte> bytes) {
  std::uint64_t seed = bytes.size();
  for (const std::byte byte : bytes.last(std::min<std::size_t>(bytes.size(), 8))) {
    seed = seed * 257 + std::to_integer<std::uint64_t>(byte);
  }
  return Random(seed);
}

/// Mostly what everybody has; sometimes limits that a small file reaches.
inline ParseOptions parse_options(Random& random) {
  ParseOptions options;
  options.lenient = random.one_in(2);
  if (!random.one_in(8)) return options;
  options.limits = {.max_tensors = random.below(4),
                    .max_entries = random.below(4),
                    .max_string = random.below(40),
                    .max_alignment = std::uint64_t{1} << random.below(8),
                    .max_array_depth = static_cast<std::uint32_t>(random.below(70)),
                    .max_header = random.below(1000),
                    .max_trailing = random.below(40)};
  return options;
}

/// Holds what happens while it lives to what that may cost for an input of `size` bytes, and to so
/// many bytes and steps on top.
class BoundedCost {
 public:
  explicit BoundedCost(std::uint64_t size, std::uint64_t on_top = 0)
      : size_(size), on_top_(on_top) {}
  BoundedCost(const BoundedCost&) = delete;
  BoundedCost& operator=(const BoundedCost&) = delete;
  ~BoundedCost() {
    const std::uint64_t steps = cost_.steps();
    const std::uint64_t bytes = cost_.bytes();
    require(bytes <= most_bytes(size_) + on_top_, "memory is bounded, not", std::to_string(bytes));
    require(steps <= most_steps(size_) + on_top_, "steps are bounded, not", std::to_string(steps));
  }

 private:
  std::uint64_t size_;
  std::uint64_t on_top_;
  Cost cost_;
};

/// Parses some bytes of a file; where it is refused, `out` says so.
inline std::optional<Parsed> try_parse(const Input& input, const ParseOptions& options,
                                       Outcome& out) {
  try {
    const BoundedCost bounded(input.bytes.size());
    return parse(input, options);
  } catch (const Error& error) {
    out.what = error.what();
    out.code = check_error(error, input.total.value_or(input.bytes.size()));
    return std::nullopt;
  }
}

/// The whole file in memory; `total` may be more, by bytes that were dropped.
inline Outcome parsed_whole(std::span<const std::byte> bytes, std::uint64_t total,
                            const ParseOptions& options) {
  Outcome out;
  const std::optional<Parsed> parsed = try_parse({bytes, total}, options, out);
  if (!parsed) return out;
  require(parsed->directory.has_value(), "a whole file is accepted or refused");
  check_directory(*parsed->directory, total);
  out.take(*parsed->directory);
  return out;
}

/// Prefixes that grow to what is asked for, or, for large files, double.
inline Outcome parsed_in_prefixes(std::span<const std::byte> bytes,
                                  std::optional<std::uint64_t> total, const ParseOptions& options) {
  Outcome out;
  for (std::uint64_t given = 0;;) {
    const std::vector<std::byte> prefix(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(given));
    const std::optional<Parsed> parsed = try_parse({prefix, total}, options, out);
    if (!parsed) return out;
    if (parsed->directory) {
      out.take(*parsed->directory);
      return out;
    }
    require(parsed->needed > given, "a parser asks for more than it was given");
    require(!total || parsed->needed <= *total, "a parser asks for what the file has");
    if (parsed->needed > bytes.size()) return parsed_whole(bytes, bytes.size(), options);
    const std::uint64_t wanted = bytes.size() < 1024 ? 0 : 2 * given;
    given = std::min<std::uint64_t>(std::max(parsed->needed, wanted), bytes.size());
  }
}

// Pieces of one byte, of a few, or of up to the whole.
inline std::size_t next_piece(Random& random, std::size_t usual, std::size_t left) {
  return std::min<std::size_t>(left, 1 + random.below(usual));
}

/// Pushes a file into a Loader in pieces.
inline ModelData pushed(std::span<const std::byte> bytes, const LoaderOptions& options,
                        Random& random) {
  constexpr std::array<std::size_t, 4> kUsual{1, 16, 700, std::size_t{64} << 10};
  const bool is_small = bytes.size() < 4096;
  const std::size_t usual = is_small ? random.pick(kUsual) : kUsual[random.between(1, 3)];
  // The directory is parsed each time that the prefix has doubled; and buffers, each of whose bytes
  // is a step, have fixed sizes, or that of the model.
  constexpr std::uint64_t kBuffers = std::uint64_t{1} << 20;
  const BoundedCost bounded(3 * bytes.size(), kBuffers + 4 * options.max_bytes.value_or(0));
  Loader loader(options);
  while (!bytes.empty()) {
    const std::size_t count = next_piece(random, usual, bytes.size());
    loader.push(bytes.first(count));
    bytes = bytes.subspan(count);
  }
  return loader.finish();
}

/// Pushes `file`, which is what `content` is compressed to or that itself, and parses what came.
inline Outcome parsed_pushed(std::span<const std::byte> file, std::span<const std::byte> content,
                             const LoaderOptions& options, Random& random) {
  Outcome out;
  try {
    const ModelData data = pushed(file, options, random);
    require(data.file_size() == content.size(), "all bytes of a file are counted");
    const std::span<const std::byte> kept = data.bytes();
    require(std::ranges::equal(kept, content.first(kept.size())), "bytes stay what they are");
    return parsed_whole(kept, data.file_size(), options.parse);
  } catch (const Error& error) {
    out.what = error.what();
    out.code = check_error(error, content.size());
    require(error.input_offset().value_or(0) <= file.size(), "it is about a byte of the input");
  }
  return out;
}

/// At a level that takes little time; the two codecs that take much memory now and then only.
inline Bytes compressed(std::span<const std::byte> bytes, Random& random) {
  switch (random.below(32)) {
    case 0:
      return bzip2_stream(bytes, 1);
    case 1:
      return xz_stream(bytes, {.level = 0});
    default:
      break;
  }
  switch (random.below(4)) {
    case 0:
      return gzip_member(bytes, {.level = 1});
    case 1:
      return zlib_stream(bytes, {.level = 1});
    case 2:
      return zstd_frame(bytes, {.level = 1});
    default:
      return lz4_frame(bytes);
  }
}

inline std::string both(const Outcome& whole, const Outcome& other) {
  return "whole: " + std::string(name(whole.code)) + " " + whole.what +
         ", other: " + std::string(name(other.code)) + " " + other.what;
}

/// Whether a file is refused, if it is, for what only its end tells.
inline bool is_told_by_its_end(Errc code) {
  constexpr std::array kCodes{Errc::ok, Errc::outside_file, Errc::partial_padding,
                              Errc::trailing_bytes, Errc::glued_files};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

inline bool may_differ(Errc whole, Errc other, bool knows_total) {
  if (whole == Errc::glued_files && other == Errc::trailing_bytes) return true;
  if (knows_total || other == Errc::ok) return false;
  constexpr std::array kBefore{Errc::too_large, Errc::trailing_bytes, Errc::glued_files};
  const bool is_before = std::ranges::find(kBefore, other) != kBefore.end();
  return whole == Errc::count_too_large || (whole == Errc::outside_file && is_before) ||
         (is_told_by_its_end(whole) && other == Errc::unknown_end);
}

/// Another way came to the same as the whole, or to what it may.
inline void check_agrees(const Outcome& whole, const Outcome& other, bool knows_total,
                         std::string_view way) {
  if (whole.code != other.code) {
    return require(may_differ(whole.code, other.code, knows_total), way, both(whole, other));
  }
  require(whole.digest == other.digest, way, "give another directory");
  require(whole.of_its_end == other.of_its_end, way, "say something else of its end");
}

/// Prefixes of a file, with and without its size.
inline void check_prefixes(std::span<const std::byte> bytes, const Outcome& whole,
                           const ParseOptions& options) {
  const Outcome known = parsed_in_prefixes(bytes, bytes.size(), options);
  if (whole.code != Errc::glued_files) {
    check_agrees(whole, known, true, "prefixes of a file of known size");
    require(known.what == whole.what, "a prefix is refused in the same words", both(whole, known));
  } else {
    require(is_told_by_its_end(known.code), "prefixes of glued files", both(whole, known));
  }
  const Outcome unknown = parsed_in_prefixes(bytes, std::nullopt, options);
  if (unknown.code != Errc::ok || !is_told_by_its_end(whole.code)) {
    return check_agrees(whole, unknown, false, "prefixes of a file of unknown size");
  }
  if (whole.code != Errc::ok) return;
  require(unknown.digest == whole.digest, "a prefix of a file of unknown size gives its directory");
  require(!unknown.data_end || unknown.data_end == whole.data_end, "and the same end, or none");
}

/// Pieces of the file, and of the file compressed.
inline void check_pieces(std::span<const std::byte> bytes, const Outcome& whole,
                         const ParseOptions& parsing, Random& random) {
  constexpr std::uint64_t kPadding = std::uint64_t{1} << 20;  // behind a model that does without
  LoaderOptions options{.max_bytes = bytes.size() + 2 * kPadding, .parse = parsing};
  options.decompress = compression_of(bytes) == Compression::none;
  const bool knows_total = random.one_in(2);
  if (knows_total) options.total = bytes.size();
  check_agrees(whole, parsed_pushed(bytes, bytes, options, random), knows_total, "pieces");
  if (!random.one_in(4)) return;
  const Bytes file = compressed(bytes, random);
  options.decompress = true;
  if (knows_total) options.total = file.size();
  Outcome other = parsed_pushed(file, bytes, options, random);
  if (other.code == Errc::compressed_twice) other.code = Errc::still_compressed;
  check_agrees(whole, other, false, "pieces of the file compressed");
}

/// Everything there is to hold of a file of one of the formats.
inline void check_model(std::span<const std::byte> bytes) {
  Random random = choices(bytes);
  const ParseOptions options = parse_options(random);
  const Outcome whole = parsed_whole(bytes, bytes.size(), options);
  if (!is_thorough(bytes)) return;
  check_prefixes(bytes, whole, options);
  check_pieces(bytes, whole, options, random);
}

}  // namespace ballast::test
