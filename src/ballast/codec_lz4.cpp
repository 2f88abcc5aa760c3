// LZ4 frames, by liblz4 (lz4frame.h: LZ4F_decompress).
#include <algorithm>
#include <new>
#include <string>
#include <string_view>

#include <lz4frame.h>

#include "ballast/codec.hpp"

namespace ballast {
namespace {

class Unlz4 final : public CodecEngine {
 public:
  Unlz4() {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0) {
      throw std::bad_alloc();
    }
  }
  Unlz4(const Unlz4&) = delete;
  Unlz4& operator=(const Unlz4&) = delete;
  ~Unlz4() override { LZ4F_freeDecompressionContext(context_); }

  bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    std::byte nothing{};
    std::size_t taken = header_left(in.size());
    std::size_t given = out.size();
    std::byte* const room = out.empty() ? &nothing : out.data();
    const std::size_t left = LZ4F_decompress(context_, room, &given, in.data(), &taken, nullptr);
    if (LZ4F_isError(left) != 0) fail(left);
    look_at_header(in.first(taken));
    in = in.subspan(taken);
    out = out.subspan(given);
    return left == 0;
  }

  void restart() override {
    LZ4F_resetDecompressionContext(context_);
    header_ = 0;
  }

 private:
  // The magic number and the first byte of flags, whose lowest bit says that there is a dictionary
  // (LZ4 frame format, "Frame Descriptor"). liblz4 decodes such a frame as if there were none.
  static constexpr std::size_t kFlags = 4;

  [[nodiscard]] std::size_t header_left(std::size_t size) const noexcept {
    return header_ > kFlags ? size : std::min(size, kFlags + 1 - header_);
  }

  void look_at_header(std::span<const std::byte> taken) {
    if (header_ > kFlags || taken.empty()) return;
    header_ += taken.size();
    if (header_ > kFlags && (taken.back() & std::byte{1}) != std::byte{0}) {
      throw CodecFailure{Errc::unsupported_stream, "LZ4 with a dictionary"};
    }
  }

  [[noreturn]] static void fail(std::size_t result) {
    // The names of lz4frame.h's LZ4F_LIST_ERRORS, which are stable; the codes are not in the shared
    // library's interface.
    const std::string_view name = LZ4F_getErrorName(result);
    if (name == "ERROR_allocation_failed") throw std::bad_alloc();
    if (name == "ERROR_headerChecksum_invalid") {
      throw CodecFailure{Errc::bad_checksum, "the checksum of the LZ4 header"};
    }
    if (name.ends_with("hecksum_invalid")) throw CodecFailure{Errc::bad_checksum, "its checksum"};
    if (name == "ERROR_frameSize_wrong") {
      throw CodecFailure{Errc::bad_checksum, "its recorded size"};
    }
    if (name == "ERROR_headerVersion_wrong" || name == "ERROR_reservedFlag_set") {
      throw CodecFailure{Errc::unsupported_stream, "LZ4 with a reserved bit set"};
    }
    throw CodecFailure{Errc::damaged_stream, "LZ4: " + std::string(name)};
  }

  LZ4F_dctx* context_ = nullptr;
  std::size_t header_ = 0;  // bytes of the frame that have come, up to the flags
};

}  // namespace

std::unique_ptr<CodecEngine> make_lz4_engine() { return std::make_unique<Unlz4>(); }

}  // namespace ballast
