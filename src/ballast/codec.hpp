// Codecs: compressed bytes in, decoded bytes out, any number of either at a time. Private.
//
// A Decoder is what Boost.Iostreams calls a Symmetric Filter: it takes what it can of an input
// range and fills what it can of an output range. The same one serves both directions:
//
//     decoder.filter(in, in_end, out, out_end, flush);           pushed: bytes come when they come
//
//     boost::iostreams::symmetric_filter<DecoderFilter> filter(kPullBuffer, &decoder);
//     filter.read(source, destination, size);                    pulled: straight to where they
//     stay
//
// (Pushed, symmetric_filter's own write side would put a buffer in front of the destination, which
// costs LZ4, whose blocks of 4 MiB it cuts, half of the speed.)
//
// It is strict. Every member, stream or frame must be whole and its checksums right; nothing but
// another one, or the padding that the format allows, may follow; and the last byte of the input is
// looked at before the end is believed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <ballast/compression.hpp>
#include <ballast/error.hpp>

namespace ballast {

/// What a decoder may use beside the model.
struct CodecLimits {
  /// Bytes of history that a stream may ask for: zstd's window, xz's dictionary.
  std::uint64_t max_window = std::uint64_t{128} << 20;
};

/// Why a codec's library refuses: what an Error is made of, where it is known where.
struct CodecFailure {
  Errc code;
  std::string word;
  std::optional<std::uint64_t> expected{};
  std::optional<std::uint64_t> actual{};
};

/// The decoder of one codec's library, for one member after another.
class CodecEngine {
 public:
  CodecEngine() = default;
  CodecEngine(const CodecEngine&) = delete;
  CodecEngine& operator=(const CodecEngine&) = delete;
  virtual ~CodecEngine() = default;

  /// Decodes what it can; takes from the front of `in` what it used, and from the front of `out`
  /// what it filled. True at the end of the member, whose checksum is verified then. Throws
  /// CodecFailure, std::bad_alloc.
  virtual bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) = 0;
  /// Makes ready for another member.
  virtual void restart() = 0;
};

[[nodiscard]] std::unique_ptr<CodecEngine> make_gzip_engine();
[[nodiscard]] std::unique_ptr<CodecEngine> make_zlib_engine();
[[nodiscard]] std::unique_ptr<CodecEngine> make_bzip2_engine();
[[nodiscard]] std::unique_ptr<CodecEngine> make_xz_engine(const CodecLimits& limits);
[[nodiscard]] std::unique_ptr<CodecEngine> make_zstd_engine(const CodecLimits& limits);
[[nodiscard]] std::unique_ptr<CodecEngine> make_lz4_engine();

class Decoder {
 public:
  /// Throws Error (codec_missing).
  Decoder(Compression codec, const CodecLimits& limits);

  /// Takes what it can of [in, in_end) and fills what it can of [out, out_end), and moves `in` and
  /// `out` on. With `flush` no input comes after this; then false means that the input was whole
  /// and all of it is out. Throws Error, which knows both offsets.
  bool filter(const char*& in, const char* in_end, char*& out, char* out_end, bool flush);

  [[nodiscard]] Compression codec() const noexcept { return codec_; }
  /// Bytes taken and given so far.
  [[nodiscard]] std::uint64_t input() const noexcept { return input_; }
  [[nodiscard]] std::uint64_t output() const noexcept { return output_; }

 private:
  enum class Between : std::uint8_t { member, boundary, skipping, padding };

  bool step(std::span<const std::byte>& in, std::span<std::byte>& out, bool flush);
  bool cross_boundary(std::span<const std::byte>& in, std::span<std::byte>& out);
  void take_signature(std::span<const std::byte>& in);
  void begin_member(std::span<std::byte>& out);
  void skip(std::span<const std::byte>& in);
  void pad(std::span<const std::byte>& in);
  void require_end() const;
  void run(std::span<const std::byte>& in, std::span<std::byte>& out);
  [[nodiscard]] Error failed(const CodecFailure& failure) const;
  [[noreturn]] void fail(const CodecFailure& failure) const;
  [[noreturn]] void fail_after_end() const;

  Compression codec_;
  CodecLimits limits_;
  std::unique_ptr<CodecEngine> engine_;
  Between state_ = Between::boundary;
  bool is_first_ = true;  // no member was decoded yet
  std::array<std::byte, 8> signature_{};
  std::size_t signature_size_ = 0;
  std::uint64_t left_to_skip_ = 0;  // of a skippable frame
  std::uint64_t padding_ = 0;       // zeros behind the last member
  std::uint64_t input_ = 0;
  std::uint64_t output_ = 0;
};

/// A Decoder of somebody else's for boost::iostreams::symmetric_filter, which owns what it is made
/// of.
class DecoderFilter {
 public:
  using char_type = char;

  explicit DecoderFilter(Decoder* decoder) : decoder_(decoder) {}
  bool filter(const char*& in, const char* in_end, char*& out, char* out_end, bool flush) {
    return decoder_->filter(in, in_end, out, out_end, flush);
  }
  void close() noexcept {}

 private:
  Decoder* decoder_;
};

/// Does what may find fault with what came out of a decoder, and says how far that was then.
template <class Work>
auto located(const Decoder& decoder, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    throw error.with_input_offset(decoder.input());
  }
}

}  // namespace ballast
