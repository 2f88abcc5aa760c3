// bzip2, by libbzip2 (its manual, 3.3: the low-level interface).
#include <algorithm>
#include <limits>
#include <new>

#include <bzlib.h>

#include "ballast/codec.hpp"

namespace ballast {
namespace {

class Bunzip2 final : public CodecEngine {
 public:
  Bunzip2() { begin(); }
  Bunzip2(const Bunzip2&) = delete;
  Bunzip2& operator=(const Bunzip2&) = delete;
  ~Bunzip2() override { BZ2_bzDecompressEnd(&stream_); }

  bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    char nothing = 0;
    const unsigned room = limited(out.size());
    stream_.next_in = const_cast<char*>(reinterpret_cast<const char*>(in.data()));
    stream_.avail_in = limited(in.size());
    stream_.next_out = room > 0 ? reinterpret_cast<char*>(out.data()) : &nothing;
    stream_.avail_out = room;
    const int result = BZ2_bzDecompress(&stream_);
    in = in.subspan(limited(in.size()) - stream_.avail_in);
    out = out.subspan(room - stream_.avail_out);
    return ended(result);
  }

  void restart() override {
    BZ2_bzDecompressEnd(&stream_);
    begin();
  }

 private:
  void begin() {
    stream_ = {};
    constexpr int kQuiet = 0;
    constexpr int kFast = 0;  // 3.6 MB at most, and not half of that at half the speed
    if (BZ2_bzDecompressInit(&stream_, kQuiet, kFast) != BZ_OK) throw std::bad_alloc();
  }

  static unsigned limited(std::size_t size) noexcept {
    return static_cast<unsigned>(std::min<std::size_t>(size, std::numeric_limits<unsigned>::max()));
  }

  static bool ended(int result) {
    switch (result) {
      case BZ_STREAM_END:
        return true;
      case BZ_OK:
        return false;
      case BZ_MEM_ERROR:
        throw std::bad_alloc();
      case BZ_DATA_ERROR_MAGIC:
        throw CodecFailure{Errc::damaged_stream, "no bzip2 block where one must begin"};
      default:  // also for a checksum
        throw CodecFailure{Errc::damaged_stream, "a bzip2 block or its checksum is wrong"};
    }
  }

  bz_stream stream_{};
};

}  // namespace

std::unique_ptr<CodecEngine> make_bzip2_engine() { return std::make_unique<Bunzip2>(); }

}  // namespace ballast
