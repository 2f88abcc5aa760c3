// The peak of the resident set while a compressed model is loaded. A process of its own for each
// figure.
//
//     bench-codec-memory file|pipe|push FILE   from the file, from a pipe of its bytes, or by a
//                                              Loader that is given 256 KiB of it at once
//
// Prints: growth of the peak over the idle program, bytes of the model, and bytes that the decoder
// of this file needs for itself: the window that its header asks for (zstd, RFC 8878, 3.1.1.1),
// what liblzma's decoder answers when it is asked (xz), the block being decoded and its copy (LZ4),
// or what the library takes for every file (gzip: its manual says 32 KiB and 7; bzip2: 3.7 MB).
#include <lzma.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include <ballast/ballast.hpp>

#include "tests/bench/codec_peers.hpp"
#include "tests/bench/input.hpp"

namespace {

using ballast::bench::require;

std::size_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  ballast::bench::give_up("no VmHWM in /proc/self/status");
}

std::size_t number(std::span<const std::byte> bytes, std::size_t size) {
  std::size_t value = 0;
  for (std::size_t i = size; i > 0; --i) {
    value = value << 8 | std::to_integer<std::size_t>(bytes[i - 1]);
  }
  return value;
}

std::size_t zstd_window(std::span<const std::byte> bytes) {
  constexpr std::size_t kSkippable = 12;  // pzstd's, with the size of the frame behind it
  if (bytes[0] != std::byte{0x28}) bytes = bytes.subspan(kSkippable);
  const auto descriptor = std::to_integer<unsigned>(bytes[4]);
  if ((descriptor & 0x20U) == 0) {
    const auto window = std::to_integer<unsigned>(bytes[5]);
    const std::size_t base = std::size_t{1} << (10 + (window >> 3));
    return base + base / 8 * (window & 7U);
  }
  // A single segment: as large as its content, and the library never needs that twice.
  constexpr std::array kSizes{1, 2, 4, 8};
  const auto size = static_cast<std::size_t>(kSizes[descriptor >> 6]);
  return number(bytes.subspan(5), size) + (size == 2 ? 256 : 0);
}

std::size_t xz_memory(std::span<const std::byte> bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  require(lzma_stream_decoder(&stream, UINT64_MAX, 0) == LZMA_OK, "lzma_stream_decoder");
  std::array<std::uint8_t, 64> out;
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  stream.next_out = out.data();
  stream.avail_out = out.size();
  require(lzma_code(&stream, LZMA_RUN) == LZMA_OK, "lzma_code");
  const auto memory = static_cast<std::size_t>(lzma_memusage(&stream));
  lzma_end(&stream);
  return memory;
}

std::size_t lz4_memory(std::span<const std::byte> bytes) {
  const auto block = std::to_integer<unsigned>(bytes[5]) >> 4 & 7U;
  return 2 * (std::size_t{1} << (8 + 2 * block));
}

std::size_t decoder_memory(const char* path) {
  std::array<std::byte, 4096> buffer{};
  ballast::bench::InputFile file(path);
  const std::span<const std::byte> bytes = file.read(buffer);
  switch (ballast::signature_of(bytes)) {
    case ballast::Compression::zstd:
      return zstd_window(bytes);
    case ballast::Compression::xz:
      return xz_memory(bytes);
    case ballast::Compression::lz4:
      return lz4_memory(bytes);
    case ballast::Compression::bzip2:
      return 3'700'000;
    default:
      return std::size_t{40} << 10;
  }
}

ballast::ModelData from_pipe(const char* path) {
  const std::string command = "exec cat '" + std::string(path) + "'";
  FILE* const pipe = popen(command.c_str(), "r");
  require(pipe != nullptr, "popen");
  ballast::ModelData data = ballast::ModelData::open_descriptor(fileno(pipe));
  pclose(pipe);
  return data;
}

ballast::ModelData pushed(const char* path) {
  std::vector<std::byte> buffer(std::size_t{256} << 10);
  ballast::bench::InputFile file(path);
  ballast::Loader loader({.total = file.size()});
  for (std::span<const std::byte> piece; !(piece = file.read(buffer)).empty();) loader.push(piece);
  return loader.finish();
}

ballast::ModelData load(std::string_view way, const char* path) {
  if (way == "file") return ballast::ModelData::read(path);
  if (way == "pipe") return from_pipe(path);
  if (way == "push") return pushed(path);
  ballast::bench::give_up("there is no such way");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench-codec-memory file|pipe|push FILE\n");
    return 2;
  }
  const std::size_t own = decoder_memory(argv[2]);
  const std::size_t before = peak();
  const ballast::ModelData data = load(argv[1], argv[2]);
  std::printf("%zu %zu %zu\n", peak() - before, data.size(), own);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench-codec-memory: %s\n", error.what());
  return 1;
}
