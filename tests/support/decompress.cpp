#include "tests/support/decompress.hpp"

#include <cstdint>
#include <limits>
#include <stdexcept>

#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace ballast::test {
namespace {

void require(bool fine) {
  if (!fine) throw std::runtime_error("not decompressed");
}

std::size_t inflate_all(std::span<const std::byte> file, std::span<std::byte> out) {
  z_stream stream{};
  constexpr int kGzipOrZlib = MAX_WBITS + 32;
  require(inflateInit2(&stream, kGzipOrZlib) == Z_OK);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(file.data()));
  stream.avail_in = static_cast<uInt>(file.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  const std::size_t size = out.size() - stream.avail_out;
  inflateEnd(&stream);
  require(result == Z_STREAM_END && stream.avail_in == 0);
  return size;
}

std::size_t bunzip2_all(std::span<const std::byte> file, std::span<std::byte> out) {
  auto size = static_cast<unsigned>(out.size());
  char* const from = const_cast<char*>(reinterpret_cast<const char*>(file.data()));
  require(BZ2_bzBuffToBuffDecompress(reinterpret_cast<char*>(out.data()), &size, from,
                                     static_cast<unsigned>(file.size()), 0, 0) == BZ_OK);
  return size;
}

std::size_t unxz_all(std::span<const std::byte> file, std::span<std::byte> out) {
  std::uint64_t memory = std::numeric_limits<std::uint64_t>::max();
  std::size_t taken = 0;
  std::size_t given = 0;
  require(lzma_stream_buffer_decode(&memory, 0, nullptr,
                                    reinterpret_cast<const std::uint8_t*>(file.data()), &taken,
                                    file.size(), reinterpret_cast<std::uint8_t*>(out.data()),
                                    &given, out.size()) == LZMA_OK);
  require(taken == file.size());
  return given;
}

std::size_t unlz4_all(std::span<const std::byte> file, std::span<std::byte> out) {
  LZ4F_dctx* context = nullptr;
  require(LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) == 0);
  std::size_t taken = file.size();
  std::size_t given = out.size();
  const std::size_t left =
      LZ4F_decompress(context, out.data(), &given, file.data(), &taken, nullptr);
  LZ4F_freeDecompressionContext(context);
  require(left == 0 && taken == file.size());
  return given;
}

}  // namespace

Bytes decompress(Compression codec, std::span<const std::byte> file, std::size_t size) {
  Bytes out(size + 1);  // where one more would be seen
  std::size_t given = 0;
  switch (codec) {
    case Compression::gzip:
    case Compression::zlib:
      given = inflate_all(file, out);
      break;
    case Compression::bzip2:
      given = bunzip2_all(file, out);
      break;
    case Compression::xz:
      given = unxz_all(file, out);
      break;
    case Compression::zstd:
      given = ZSTD_decompress(out.data(), out.size(), file.data(), file.size());
      require(ZSTD_isError(given) == 0);
      break;
    case Compression::lz4:
      given = unlz4_all(file, out);
      break;
    case Compression::none:
      break;
  }
  require(given == size);
  out.resize(size);
  return out;
}

}  // namespace ballast::test
