// xz, by liblzma (lzma/base.h, lzma/container.h: lzma_stream_decoder).
#include <algorithm>
#include <new>

#include <lzma.h>

#include "ballast/codec.hpp"

namespace ballast {
namespace {

// What the decoder takes beside the dictionary: liblzma's own figure for a small one is 65 KB.
constexpr std::uint64_t kOverhead = std::uint64_t{1} << 20;

class Unxz final : public CodecEngine {
 public:
  explicit Unxz(const CodecLimits& limits) : limit_(limits.max_window) { restart(); }
  Unxz(const Unxz&) = delete;
  Unxz& operator=(const Unxz&) = delete;
  ~Unxz() override { lzma_end(&stream_); }

  bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    std::uint8_t nothing = 0;
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    stream_.avail_in = in.size();
    stream_.next_out = out.empty() ? &nothing : reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    in = in.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
    return ended(result);
  }

  void restart() override {
    const std::uint64_t most = std::max(limit_, limit_ + kOverhead);
    const lzma_ret result = lzma_stream_decoder(&stream_, most, LZMA_TELL_UNSUPPORTED_CHECK);
    if (result != LZMA_OK) throw std::bad_alloc();
  }

 private:
  [[nodiscard]] bool ended(lzma_ret result) const {
    switch (result) {
      case LZMA_STREAM_END:
        return true;
      case LZMA_OK:
      case LZMA_BUF_ERROR:  // nothing to do with what it was given
        return false;
      case LZMA_MEM_ERROR:
        throw std::bad_alloc();
      case LZMA_MEMLIMIT_ERROR:
        throw CodecFailure{Errc::window_too_large, "xz", lzma_memusage(&stream_), limit_};
      case LZMA_UNSUPPORTED_CHECK:
        throw CodecFailure{Errc::unsupported_stream, "xz with a checksum that is not known here"};
      case LZMA_OPTIONS_ERROR:
        throw CodecFailure{Errc::unsupported_stream, "xz with filters that are not known here"};
      default:  // also for a checksum
        throw CodecFailure{Errc::damaged_stream, "an xz block, its checksum or the index is wrong"};
    }
  }

  std::uint64_t limit_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<CodecEngine> make_xz_engine(const CodecLimits& limits) {
  return std::make_unique<Unxz>(limits);
}

}  // namespace ballast
