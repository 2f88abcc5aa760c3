// The codecs' streaming and one-shot APIs (codec_peers.hpp). Also compiled alone to WebAssembly.
#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <cstdlib>

#ifdef BALLAST_WITH_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "tests/bench/codec_peers.hpp"

namespace ballast::bench {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzipHeader = 16;  // added: with gzip's header and trailer

template <class Byte>
Byte* mutable_bytes(std::span<const std::byte> bytes) {
  return const_cast<Byte*>(reinterpret_cast<const Byte*>(bytes.data()));
}

template <class Byte>
Byte* bytes_at(std::span<std::byte> bytes) {
  return reinterpret_cast<Byte*>(bytes.data());
}

class ZlibStream final : public Stream {
 public:
  explicit ZlibStream(int window_bits) {
    require(inflateInit2(&stream_, window_bits) == Z_OK, "inflateInit2");
  }
  ~ZlibStream() override { inflateEnd(&stream_); }
  void decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    stream_.next_in = mutable_bytes<Bytef>(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = bytes_at<Bytef>(out);
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    require(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR, "inflate");
    in = in.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
  }

 private:
  z_stream stream_{};
};

class Bzip2Stream final : public Stream {
 public:
  Bzip2Stream() { require(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK, "bzDecompressInit"); }
  ~Bzip2Stream() override { BZ2_bzDecompressEnd(&stream_); }
  void decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    stream_.next_in = mutable_bytes<char>(in);
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = bytes_at<char>(out);
    stream_.avail_out = static_cast<unsigned>(out.size());
    const int result = BZ2_bzDecompress(&stream_);
    require(result == BZ_OK || result == BZ_STREAM_END, "BZ2_bzDecompress");
    in = in.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
  }

 private:
  bz_stream stream_{};
};

class XzStream final : public Stream {
 public:
  XzStream() {
    require(lzma_stream_decoder(&stream_, UINT64_MAX, 0) == LZMA_OK, "lzma_stream_decoder");
  }
  ~XzStream() override { lzma_end(&stream_); }
  void decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    stream_.next_in = mutable_bytes<std::uint8_t>(in);
    stream_.avail_in = in.size();
    stream_.next_out = bytes_at<std::uint8_t>(out);
    stream_.avail_out = out.size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    require(result == LZMA_OK || result == LZMA_STREAM_END || result == LZMA_BUF_ERROR,
            "lzma_code");
    in = in.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class ZstdStream final : public Stream {
 public:
  ~ZstdStream() override { ZSTD_freeDCtx(context_); }
  void decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    require(ZSTD_isError(ZSTD_decompressStream(context_, &output, &input)) == 0,
            "ZSTD_decompressStream");
    in = in.subspan(input.pos);
    out = out.subspan(output.pos);
  }

 private:
  ZSTD_DCtx* context_ = ZSTD_createDCtx();
};

class Lz4Stream final : public Stream {
 public:
  Lz4Stream() {
    require(LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) == 0,
            "LZ4F_createDecompressionContext");
  }
  ~Lz4Stream() override { LZ4F_freeDecompressionContext(context_); }
  void decode(std::span<const std::byte>& in, std::span<std::byte>& out) override {
    std::size_t taken = in.size();
    std::size_t given = out.size();
    require(LZ4F_isError(
                LZ4F_decompress(context_, out.data(), &given, in.data(), &taken, nullptr)) == 0,
            "LZ4F_decompress");
    in = in.subspan(taken);
    out = out.subspan(given);
  }

 private:
  LZ4F_dctx* context_ = nullptr;
};

}  // namespace

void give_up(const char* reason) {
  std::fprintf(stderr, "the peer fails: %s\n", reason);
  std::exit(1);
}

std::unique_ptr<Stream> open_stream(Compression codec) {
  switch (codec) {
    case Compression::gzip:
      return std::make_unique<ZlibStream>(kWindowBits + kGzipHeader);
    case Compression::zlib:
      return std::make_unique<ZlibStream>(kWindowBits);
    case Compression::bzip2:
      return std::make_unique<Bzip2Stream>();
    case Compression::xz:
      return std::make_unique<XzStream>();
    case Compression::zstd:
      return std::make_unique<ZstdStream>();
    case Compression::lz4:
      return std::make_unique<Lz4Stream>();
    case Compression::none:
      break;
  }
  give_up("not compressed");
}

void feed(Stream& stream, std::span<const std::byte> chunk, std::span<std::byte>& out) {
  while (!chunk.empty()) {
    const std::size_t left = chunk.size() + out.size();
    stream.decode(chunk, out);
    require(chunk.size() + out.size() < left, "no progress");
  }
}

void decode_at_once(Compression codec, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (codec) {
    case Compression::zstd:
      require(ZSTD_decompress(out.data(), out.size(), in.data(), in.size()) == out.size(),
              "ZSTD_decompress");
      return;
    case Compression::xz: {
      std::uint64_t limit = UINT64_MAX;
      std::size_t in_at = 0;
      std::size_t out_at = 0;
      require(lzma_stream_buffer_decode(&limit, 0, nullptr, mutable_bytes<std::uint8_t>(in), &in_at,
                                        in.size(), bytes_at<std::uint8_t>(out), &out_at,
                                        out.size()) == LZMA_OK,
              "lzma_stream_buffer_decode");
      return;
    }
    case Compression::bzip2: {
      auto size = static_cast<unsigned>(out.size());
      require(BZ2_bzBuffToBuffDecompress(bytes_at<char>(out), &size, mutable_bytes<char>(in),
                                         static_cast<unsigned>(in.size()), 0, 0) == BZ_OK,
              "BZ2_bzBuffToBuffDecompress");
      return;
    }
    default:  // zlib and liblz4 have no other call for a whole file than this, with all of it
      feed(*open_stream(codec), in, out);
      require(out.empty(), "too few bytes");
  }
}

#ifdef BALLAST_WITH_LIBDEFLATE
void inflate_by_libdeflate(std::span<const std::byte> in, std::span<std::byte> out) {
  thread_local const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)>
      decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  require(libdeflate_gzip_decompress(decompressor.get(), in.data(), in.size(), out.data(),
                                     out.size(), nullptr) == LIBDEFLATE_SUCCESS,
          "libdeflate_gzip_decompress");
}
#endif

}  // namespace ballast::bench
