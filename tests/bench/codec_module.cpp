// The peer of the module's decompression: the codecs' own libraries as WebAssembly and nothing
// else, for module_bench.mjs. Compressed bytes come in chunks, the decoded ones go to one buffer.
#include <cstddef>
#include <memory>
#include <span>

#include "tests/bench/codec_peers.hpp"

namespace {

std::unique_ptr<ballast::bench::Stream> stream;
std::span<std::byte> out;

}  // namespace

extern "C" {

/// Begins a stream of that codec (the number of a ballast::Compression).
void codec_begin(int codec, std::byte* into, std::size_t size) {
  stream = ballast::bench::open_stream(static_cast<ballast::Compression>(codec));
  out = {into, size};
}

void codec_push(const std::byte* chunk, std::size_t size) {
  ballast::bench::feed(*stream, {chunk, size}, out);
}

/// How many bytes are missing.
std::size_t codec_end() {
  stream.reset();
  return out.size();
}

}  // extern "C"
