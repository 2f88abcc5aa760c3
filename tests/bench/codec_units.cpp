// Files of many units, each with its codec's own one-shot call (codec_peers.hpp).
#include <lz4.h>
#include <lzma.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/bench/codec_peers.hpp"

namespace ballast::bench {
namespace {

using Bytes = std::span<const std::byte>;

std::uint32_t little_endian(Bytes bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i > 0; --i) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i - 1]);
  }
  return value;
}

/// Cuts the next bytes off the front of the output.
std::span<std::byte> next_out(std::span<std::byte>& out, std::size_t size) {
  const auto next = out.first(std::min(size, out.size()));
  out = out.subspan(next.size());
  return next;
}

/// zstd's frames: those that say how large they are, and pzstd's, which do not, behind skippable
/// frames with the size of the next one.
std::vector<Unit> frames(Bytes file, std::span<std::byte> out) {
  std::vector<Unit> units;
  const std::size_t unknown = unit_size(out.size());
  while (!file.empty()) {
    const std::size_t size = ZSTD_findFrameCompressedSize(file.data(), file.size());
    require(ZSTD_isError(size) == 0, "ZSTD_findFrameCompressedSize");
    const unsigned long long content = ZSTD_getFrameContentSize(file.data(), file.size());
    const bool is_known = content != ZSTD_CONTENTSIZE_UNKNOWN;
    if (!is_known || content > 0) {
      const std::size_t given = is_known ? static_cast<std::size_t>(content) : unknown;
      units.push_back({file.first(size), next_out(out, given)});
    }
    file = file.subspan(size);
  }
  return units;
}

/// bgzip's members: the size of each in an extra field, which is the first one (SAM specification,
/// 4.1), and what is in it at the end.
std::vector<Unit> members(Bytes file, std::span<std::byte> out) {
  std::vector<Unit> units;
  while (!file.empty()) {
    const std::size_t size = little_endian(file, 16, 2) + 1;
    const std::size_t content = little_endian(file, size - 4, 4);
    if (content > 0) units.push_back({file.first(size), next_out(out, content)});
    file = file.subspan(size);
  }
  return units;
}

/// xz's blocks, by the index at the end of the file.
std::vector<Unit> blocks(Bytes file, std::span<std::byte> out) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.data());
  lzma_stream_flags footer;
  const std::size_t footer_at = file.size() - LZMA_STREAM_HEADER_SIZE;
  require(lzma_stream_footer_decode(&footer, bytes + footer_at) == LZMA_OK, "xz footer");
  lzma_index* index = nullptr;
  std::uint64_t limit = UINT64_MAX;
  std::size_t at = footer_at - static_cast<std::size_t>(footer.backward_size);
  require(lzma_index_buffer_decode(&index, &limit, nullptr, bytes, &at, footer_at) == LZMA_OK,
          "xz index");
  std::vector<Unit> units;
  lzma_index_iter iter;
  lzma_index_iter_init(&iter, index);
  while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
    const auto begin = static_cast<std::size_t>(iter.block.compressed_file_offset);
    const auto size = static_cast<std::size_t>(iter.block.total_size);
    const auto content = static_cast<std::size_t>(iter.block.uncompressed_size);
    units.push_back({file.subspan(begin, size), next_out(out, content), footer.check});
  }
  lzma_index_end(index, nullptr);
  return units;
}

/// LZ4's independent blocks of one frame (LZ4 frame format, "Frame Descriptor", "Data Blocks").
std::vector<Unit> lz4_blocks(Bytes file, std::span<std::byte> out) {
  const std::uint32_t flags = little_endian(file, 4, 1);
  const std::size_t largest = std::size_t{1} << (8 + 2 * (little_endian(file, 5, 1) >> 4 & 7));
  const std::size_t checksum = (flags & 0x10) != 0 ? 4 : 0;
  require((flags & 0x20) != 0, "the LZ4 blocks depend on each other");
  file = file.subspan((flags & 0x08) != 0 ? 15 : 7);
  std::vector<Unit> units;
  for (;;) {
    const std::size_t size = little_endian(file, 0, 4) & 0x7FFFFFFF;
    if (size == 0) return units;
    // With the size in front of it, whose highest bit says that it is not compressed.
    units.push_back({file.first(4 + size), next_out(out, largest)});
    file = file.subspan(4 + size + checksum);
  }
}

void decode_block(const Unit& unit) {
  const auto* in = reinterpret_cast<const std::uint8_t*>(unit.in.data());
  lzma_filter filters[LZMA_FILTERS_MAX + 1];
  lzma_block block{};
  block.version = 1;
  block.check = static_cast<lzma_check>(unit.check);
  block.filters = filters;
  block.header_size = lzma_block_header_size_decode(in[0]);
  require(lzma_block_header_decode(&block, nullptr, in) == LZMA_OK, "xz block header");
  std::size_t in_at = block.header_size;
  std::size_t out_at = 0;
  require(lzma_block_buffer_decode(&block, nullptr, in, &in_at, unit.in.size(),
                                   reinterpret_cast<std::uint8_t*>(unit.out.data()), &out_at,
                                   unit.out.size()) == LZMA_OK,
          "lzma_block_buffer_decode");
  lzma_filters_free(filters, nullptr);
}

void decode_lz4_block(const Unit& unit) {
  const Bytes data = unit.in.subspan(4);
  if ((little_endian(unit.in, 0, 4) & 0x80000000) != 0) {
    std::ranges::copy(data, unit.out.begin());
    return;
  }
  require(
      LZ4_decompress_safe(reinterpret_cast<const char*>(data.data()),
                          reinterpret_cast<char*>(unit.out.data()), static_cast<int>(data.size()),
                          static_cast<int>(unit.out.size())) == static_cast<int>(unit.out.size()),
      "LZ4_decompress_safe");
}

void decode_frame(const Unit& unit) {
  thread_local const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(
      ZSTD_createDCtx(), ZSTD_freeDCtx);
  require(ZSTD_decompressDCtx(context.get(), unit.out.data(), unit.out.size(), unit.in.data(),
                              unit.in.size()) == unit.out.size(),
          "ZSTD_decompressDCtx");
}

void decode_unit(Compression codec, const Unit& unit) {
  switch (codec) {
    case Compression::zstd:
      return decode_frame(unit);
    case Compression::xz:
      return decode_block(unit);
    case Compression::lz4:
      return decode_lz4_block(unit);
    default:
#ifdef BALLAST_WITH_LIBDEFLATE
      return inflate_by_libdeflate(unit.in, unit.out);
#else
      return decode_at_once(codec, unit.in, unit.out);
#endif
  }
}

Bytes read_unit(const UnitsFile& file, Bytes unit, std::vector<std::byte>& buffer) {
  if (buffer.size() < unit.size()) buffer.resize(unit.size());
  const auto offset = static_cast<off_t>(unit.data() - file.first);
  require(pread(file.descriptor, buffer.data(), unit.size(), offset) ==
              static_cast<ssize_t>(unit.size()),
          "pread");
  return Bytes(buffer).first(unit.size());
}

}  // namespace

std::vector<Unit> units_of(Compression codec, Bytes file, std::span<std::byte> out) {
  switch (codec) {
    case Compression::zstd:
      return frames(file, out);
    case Compression::gzip:
      return members(file, out);
    case Compression::xz:
      return blocks(file, out);
    case Compression::lz4:
      return lz4_blocks(file, out);
    default:
      give_up("this codec has no units");
  }
}

void decode_units(Compression codec, std::span<const Unit> units, unsigned threads,
                  const UnitsFile* file) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    std::vector<std::byte> buffer;
    for (std::size_t at = next++; at < units.size(); at = next++) {
      Unit unit = units[at];
      if (file != nullptr) unit.in = read_unit(*file, unit.in, buffer);
      decode_unit(codec, unit);
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
}

}  // namespace ballast::bench
