#include "ballast/codec.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

// Which codecs there are is an option of the build, and each one's macro is defined where it is in.
#ifndef BALLAST_WITH_GZIP
#define BALLAST_WITH_GZIP 0
#endif
#ifndef BALLAST_WITH_BZIP2  // the same
#define BALLAST_WITH_BZIP2 0
#endif
#ifndef BALLAST_WITH_XZ  // the same
#define BALLAST_WITH_XZ 0
#endif
#ifndef BALLAST_WITH_ZSTD  // the same
#define BALLAST_WITH_ZSTD 0
#endif
#ifndef BALLAST_WITH_LZ4  // the same
#define BALLAST_WITH_LZ4 0
#endif

namespace ballast {
namespace {

using std::string_view_literals::operator""sv;

/// One line for each codec: its name, and how a member of it begins. Magic numbers: RFC
/// 1952, 2.3.1; the bzip2 manual; the .xz file format, 2.1.1.1; RFC 8878, 3.1.1; LZ4 frame
/// format, 1.6.2. A zlib stream (RFC 1950) has none, and is alone.
struct Row {
  Compression codec;
  std::string_view name;
  std::string_view signature;
  bool has_skippable;  // frames that hold no data, of any size, which zstd and LZ4 share
  std::uint8_t pads;   // zeros may follow, in multiples of this; 0: they may not
};

constexpr std::array kRows{
    Row{Compression::none, "none", {}, false, 0},
    Row{Compression::gzip, "gzip", "\x1f\x8b"sv, false, 1},
    Row{Compression::zlib, "zlib", {}, false, 0},
    Row{Compression::bzip2, "bzip2", "BZh"sv, false, 0},
    Row{Compression::xz, "xz", "\xFD\x37zXZ\0"sv, false, 4},
    Row{Compression::zstd, "zstd", "(\xB5/\xFD"sv, true, 0},
    Row{Compression::lz4, "lz4", "\x04\x22\x4D\x18"sv, true, 0},
};

// RFC 8878, 3.1.2: 0x184D2A50 to 0x184D2A5F, then four bytes of size.
constexpr std::string_view kSkippable = "\x2A\x4D\x18";
constexpr std::size_t kSkippableHeader = 8;
constexpr std::size_t kMagic = 4;

constexpr std::array kCodecs{
#if BALLAST_WITH_GZIP
    Compression::gzip,  Compression::zlib,
#endif
#if BALLAST_WITH_BZIP2  // as above
    Compression::bzip2,
#endif
#if BALLAST_WITH_XZ  // as above
    Compression::xz,
#endif
#if BALLAST_WITH_ZSTD  // as above
    Compression::zstd,
#endif
#if BALLAST_WITH_LZ4  // as above
    Compression::lz4,
#endif
    Compression::none};  // an array has one element at least

const Row& row(Compression codec) noexcept { return kRows[static_cast<std::size_t>(codec)]; }

std::unique_ptr<CodecEngine> make_engine(Compression codec,
                                         [[maybe_unused]] const CodecLimits& limits) {
  switch (codec) {
#if BALLAST_WITH_GZIP
    case Compression::gzip:
      return make_gzip_engine();
    case Compression::zlib:
      return make_zlib_engine();
#endif
#if BALLAST_WITH_BZIP2  // as above
    case Compression::bzip2:
      return make_bzip2_engine();
#endif
#if BALLAST_WITH_XZ  // as above
    case Compression::xz:
      return make_xz_engine(limits);
#endif
#if BALLAST_WITH_ZSTD  // as above
    case Compression::zstd:
      return make_zstd_engine(limits);
#endif
#if BALLAST_WITH_LZ4  // as above
    case Compression::lz4:
      return make_lz4_engine();
#endif
    default:
      throw Error(Problem{.code = Errc::codec_missing, .word = name(codec)});
  }
}

std::string_view text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool agrees(std::string_view bytes, std::string_view signature) noexcept {
  const std::size_t common = std::min(bytes.size(), signature.size());
  return bytes.substr(0, common) == signature.substr(0, common);
}

bool agrees_with_skippable(std::string_view bytes) noexcept {
  return (static_cast<unsigned char>(bytes[0]) & 0xF0U) == 0x50U &&
         agrees(bytes.substr(1), kSkippable);
}

std::uint64_t little_endian_32(const std::byte* bytes) noexcept {
  std::uint64_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

std::string_view name(Compression compression) noexcept { return row(compression).name; }

std::span<const Compression> codecs() noexcept {
  return std::span(kCodecs).first(kCodecs.size() - 1);
}

Compression signature_of(std::span<const std::byte> bytes) noexcept {
  const std::string_view begin = text(bytes);
  for (const Row& candidate : kRows) {
    if (!candidate.signature.empty() && begin.starts_with(candidate.signature)) {
      return candidate.codec;
    }
  }
  if (begin.size() >= kMagic && agrees_with_skippable(begin)) {
    // Of zstd or of LZ4; which of them, the first frame with data says.
    if (bytes.size() < kSkippableHeader) return Compression::zstd;
    const std::uint64_t size = kSkippableHeader + little_endian_32(bytes.data() + kMagic);
    const Compression behind = size < bytes.size()
                                   ? signature_of(bytes.subspan(static_cast<std::size_t>(size)))
                                   : Compression::zstd;
    return behind == Compression::lz4 ? behind : Compression::zstd;
  }
  if (begin.size() >= 2) {
    // RFC 1950, 2.2: deflate with a window of up to 32 KiB, and a check of the two bytes. The
    // levels of all writers with that window make 78 01, 78 5E, 78 9C and 78 DA.
    const auto first = static_cast<unsigned char>(begin[0]);
    const auto second = static_cast<unsigned char>(begin[1]);
    if (first == 0x78U && (first * 256U + second) % 31 == 0) return Compression::zlib;
  }
  return Compression::none;
}

Decoder::Decoder(Compression codec, const CodecLimits& limits) : codec_(codec), limits_(limits) {
  engine_ = make_engine(codec_, limits_);
  if (row(codec_).signature.empty()) state_ = Between::member;
}

bool Decoder::filter(const char*& in, const char* in_end, char*& out, char* out_end, bool flush) {
  auto input = std::as_bytes(std::span(in, in_end));
  auto output = std::as_writable_bytes(std::span(out, out_end));
  bool ended = false;
  while (!ended && step(input, output, flush)) {
    ended = flush && input.empty() && state_ != Between::member;
  }
  if (flush && input.empty() && state_ != Between::member) {
    require_end();
    ended = true;
  }
  in = in_end - input.size();
  out = out_end - output.size();
  return !ended;
}

/// One step; false where there is no more to do with what is there.
bool Decoder::step(std::span<const std::byte>& in, std::span<std::byte>& out, bool flush) {
  if (state_ != Between::member) return cross_boundary(in, out);
  const std::size_t in_before = in.size();
  const std::size_t out_before = out.size();
  run(in, out);
  if (state_ != Between::member || in.size() != in_before || out.size() != out_before) return true;
  if (out.empty()) return false;
  if (!in.empty()) fail({Errc::damaged_stream, "the decoder does not get on"});
  if (flush) fail({.code = Errc::truncated_stream, .word = {}, .actual = input_});
  return false;
}

/// Between two members. False where more input is needed.
bool Decoder::cross_boundary(std::span<const std::byte>& in, std::span<std::byte>& out) {
  while (!in.empty()) {
    switch (state_) {
      case Between::skipping:
        skip(in);
        break;
      case Between::padding:
        pad(in);
        break;
      case Between::boundary:
        take_signature(in);
        if (state_ == Between::member) {
          begin_member(out);
          return true;
        }
        break;
      case Between::member:
        return true;
    }
  }
  return false;
}

/// One byte of what must be the beginning of another member.
void Decoder::take_signature(std::span<const std::byte>& in) {
  const Row& rules = row(codec_);
  if (signature_size_ == 0 && !is_first_ && rules.pads != 0 && in.front() == std::byte{0}) {
    state_ = Between::padding;
    return;
  }
  if (rules.signature.empty()) fail_after_end();
  signature_[signature_size_] = in.front();
  const std::string_view seen = text(std::span(signature_).first(signature_size_ + 1));
  const bool is_skippable = rules.has_skippable && agrees_with_skippable(seen);
  const bool is_other =
      is_first_ && rules.has_skippable && agrees(seen, row(Compression::lz4).signature);
  if (!is_skippable && !is_other && !agrees(seen, rules.signature)) fail_after_end();
  ++signature_size_;
  ++input_;
  in = in.subspan(1);
  if (is_skippable) {
    if (signature_size_ < kSkippableHeader) return;
    left_to_skip_ = little_endian_32(signature_.data() + kMagic);
    signature_size_ = 0;
    state_ = left_to_skip_ > 0 ? Between::skipping : Between::boundary;
    return;
  }
  if (is_other && codec_ != Compression::lz4 && signature_size_ == kMagic) {
    codec_ = Compression::lz4;
    engine_ = make_engine(codec_, limits_);
  }
  if (signature_size_ == row(codec_).signature.size()) state_ = Between::member;
}

void Decoder::begin_member(std::span<std::byte>& out) {
  if (!is_first_) engine_->restart();
  is_first_ = false;
  std::span<const std::byte> signature = std::span(signature_).first(signature_size_);
  input_ -= signature.size();  // they were counted when they came
  signature_size_ = 0;
  run(signature, out);
  if (!signature.empty()) fail({Errc::damaged_stream, "the decoder does not get on"});
}

void Decoder::skip(std::span<const std::byte>& in) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_to_skip_, in.size()));
  in = in.subspan(count);
  input_ += count;
  left_to_skip_ -= count;
  if (left_to_skip_ == 0) state_ = Between::boundary;
}

void Decoder::pad(std::span<const std::byte>& in) {
  const auto end = std::ranges::find_if(in, [](std::byte byte) { return byte != std::byte{0}; });
  const auto count = static_cast<std::size_t>(end - in.begin());
  in = in.subspan(count);
  input_ += count;
  padding_ += count;
  if (in.empty()) return;
  // Of xz another stream may follow; gzip's zeros fill the last block of a tape.
  if (codec_ != Compression::xz || padding_ % row(codec_).pads != 0) fail_after_end();
  padding_ = 0;
  state_ = Between::boundary;
}

/// The input has ended between two members.
void Decoder::require_end() const {
  const bool is_whole = state_ == Between::padding
                            ? padding_ % row(codec_).pads == 0
                            : state_ == Between::boundary && signature_size_ == 0;
  if (!is_whole) fail({.code = Errc::truncated_stream, .word = {}, .actual = input_});
}

void Decoder::run(std::span<const std::byte>& in, std::span<std::byte>& out) {
  const std::size_t in_before = in.size();
  const std::size_t out_before = out.size();
  const auto count = [&] {
    input_ += in_before - in.size();
    output_ += out_before - out.size();
  };
  try {
    if (engine_->decode(in, out)) state_ = Between::boundary;
    count();
  } catch (const CodecFailure& failure) {
    count();
    throw failed(failure);
  } catch (const std::bad_alloc&) {
    throw Error(Problem{.code = Errc::out_of_memory, .expected = limits_.max_window});
  }
}

Error Decoder::failed(const CodecFailure& failure) const {
  const std::string named = failure.word.empty() ? std::string(name(codec_)) : failure.word;
  return Error(Problem{.code = failure.code,
                       .offset = output_,
                       .expected = failure.expected,
                       .actual = failure.actual,
                       .word = named,
                       .input_offset = input_});
}

void Decoder::fail(const CodecFailure& failure) const { throw failed(failure); }

void Decoder::fail_after_end() const {
  const std::uint64_t begin = input_ - signature_size_;
  throw failed({Errc::garbage_after_stream, {}}).with_input_offset(begin);
}

}  // namespace ballast
