// gzip and zlib, by zlib (zlib.h: "Advanced Functions", inflateInit2).
#include <algorithm>
#include <limits>
#include <new>
#include <string_view>

#include <zlib.h>

#include "ballast/codec.hpp"

namespace ballast {
namespace {

constexpr int kLargestWindow = 15;          // 32 KiB: streams with smaller ones are fine
constexpr int kGzip = kLargestWindow + 16;  // with gzip's header and trailer

class Inflate final : public CodecEngine {
 public:
  explicit Inflate(int window_bits) {
    if (inflateInit2(&stream_, window_bits) != Z_OK) throw std::bad_alloc();
  }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;
  ~Inflate() override { inflateEnd(&stream_); }

  bool decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    Bytef nothing = 0;  // zlib refuses a null pointer, whatever the size
    const std::size_t room = limited(out.size());
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = limited(in.size());
    stream_.next_out = room > 0 ? reinterpret_cast<Bytef*>(out.data()) : &nothing;
    stream_.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    in = in.subspan(limited(in.size()) - stream_.avail_in);
    out = out.subspan(room - stream_.avail_out);
    return ended(result);
  }

  void restart() override { inflateReset(&stream_); }

 private:
  static uInt limited(std::size_t size) noexcept {
    return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
  }

  [[nodiscard]] bool ended(int result) const {
    switch (result) {
      case Z_STREAM_END:
        return true;
      case Z_OK:
      case Z_BUF_ERROR:  // nothing to do with what it was given
        return false;
      case Z_MEM_ERROR:
        throw std::bad_alloc();
      case Z_NEED_DICT:
        throw CodecFailure{Errc::unsupported_stream, "zlib with a preset dictionary"};
      default:
        break;
    }
    // The only way to tell: its messages have been the same since 1995.
    const std::string_view message = stream_.msg != nullptr ? stream_.msg : "unknown";
    if (message == "incorrect data check") {
      throw CodecFailure{Errc::bad_checksum, "its checksum"};
    }
    if (message == "incorrect length check") {
      throw CodecFailure{Errc::bad_checksum, "its recorded size"};
    }
    if (message == "header crc mismatch") {
      throw CodecFailure{Errc::bad_checksum, "the checksum of the gzip header"};
    }
    if (message == "unknown compression method" || message == "unknown header flags set") {
      throw CodecFailure{Errc::unsupported_stream, std::string(message)};
    }
    throw CodecFailure{Errc::damaged_stream, std::string(message)};
  }

  z_stream stream_{};
};

}  // namespace

std::unique_ptr<CodecEngine> make_gzip_engine() { return std::make_unique<Inflate>(kGzip); }

std::unique_ptr<CodecEngine> make_zlib_engine() {
  return std::make_unique<Inflate>(kLargestWindow);
}

}  // namespace ballast
