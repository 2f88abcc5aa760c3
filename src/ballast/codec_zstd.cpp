// Zstandard, by libzstd (zstd.h: ZSTD_decompressStream).
#include <algorithm>
#include <bit>
#include <new>
#include <string>

#include <zstd.h>
#include <zstd_errors.h>

#include "ballast/codec.hpp"

namespace ballast {
namespace {

/// The largest power of two that a window may be, as zstd wants it.
int window_log(std::uint64_t max_window) noexcept {
  const ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
  const int wanted = static_cast<int>(std::bit_width(max_window)) - 1;
  return std::clamp(wanted, bounds.lowerBound, bounds.upperBound);
}

class Unzstd final : public CodecEngine {
 public:
  explicit Unzstd(const CodecLimits& limits) : limit_(limits.max_window) {
    if (context_ == nullptr) throw std::bad_alloc();
    // Cannot fail: the value is within the bounds.
    static_cast<void>(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, window_log(limit_)));
  }
  Unzstd(const Unzstd&) = delete;
  Unzstd& operator=(const Unzstd&) = delete;
  ~Unzstd() override { ZSTD_freeDCtx(context_); }

  bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_decompressStream(context_, &output, &input);
    in = in.subspan(input.pos);
    out = out.subspan(output.pos);
    if (ZSTD_isError(left) != 0) fail(left);
    return left == 0;
  }

  void restart() override {
    // Keeps the parameters, and the window, which the next frame likely needs again.
    static_cast<void>(ZSTD_DCtx_reset(context_, ZSTD_reset_session_only));
  }

 private:
  [[noreturn]] void fail(std::size_t result) const {
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_memory_allocation:
        throw std::bad_alloc();
      case ZSTD_error_checksum_wrong:
        throw CodecFailure{Errc::bad_checksum, "its checksum"};
      case ZSTD_error_dictionary_wrong:
        throw CodecFailure{Errc::unsupported_stream, "zstd with a dictionary"};
      case ZSTD_error_frameParameter_windowTooLarge:
        // The header says how large, but libzstd does not pass it on: it is more than the limit.
        throw CodecFailure{Errc::window_too_large, "zstd", limit_ + 1, limit_};
      case ZSTD_error_frameParameter_unsupported:
      case ZSTD_error_version_unsupported:
        throw CodecFailure{Errc::unsupported_stream, "zstd with a reserved bit set"};
      default:
        throw CodecFailure{Errc::damaged_stream, std::string("zstd: ") + ZSTD_getErrorName(result)};
    }
  }

  std::uint64_t limit_;
  ZSTD_DCtx* context_ = ZSTD_createDCtx();
};

}  // namespace

std::unique_ptr<CodecEngine> make_zstd_engine(const CodecLimits& limits) {
  return std::make_unique<Unzstd>(limits);
}

}  // namespace ballast
