// xz (the .xz file format 1.1.0), by liblzma: the blocks of one stream on all cores.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <lzma.h>

#include "ballast/whole_job.hpp"

namespace ballast {
namespace {

// Compressed bytes that are read at once: 2 ms of work.
constexpr std::size_t kBuffer = std::size_t{256} << 10;

// Decoded bytes between two looks at whether to go on: 5 ms of work.
constexpr std::size_t kOutput = std::size_t{256} << 10;

// The index has some four to ten bytes for each block, which takes twice as much in memory.
constexpr std::uint64_t kMaxIndex = std::uint64_t{2} << 20;
constexpr std::uint64_t kMaxIndexMemory = std::uint64_t{16} << 20;

// What a decoder takes beside the dictionary (see codec_xz.cpp).
constexpr std::uint64_t kOverhead = std::uint64_t{1} << 20;

void expect_ok(lzma_ret result) { expect(result == LZMA_OK); }

const std::uint8_t* bytes_of(std::span<const std::byte> bytes) noexcept {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

struct FreeIndex {
  void operator()(lzma_index* index) const noexcept { lzma_index_end(index, nullptr); }
};
using Index = std::unique_ptr<lzma_index, FreeIndex>;

/// The index of a file that is one stream and nothing else (2.1.1, 2.1.2, 4); nothing where the
/// file is not that.
Index read_index(const WholeJob& job, lzma_check& check) {
  std::array<std::byte, LZMA_STREAM_HEADER_SIZE> buffer;
  lzma_stream_flags header;
  lzma_stream_flags footer;
  if (job.size() < 2 * buffer.size()) return {};
  job.read(0, buffer);
  expect_ok(lzma_stream_header_decode(&header, bytes_of(buffer)));
  job.read(job.size() - buffer.size(), buffer);
  if (lzma_stream_footer_decode(&footer, bytes_of(buffer)) != LZMA_OK) return {};
  expect_ok(lzma_stream_flags_compare(&header, &footer));
  const std::uint64_t size = footer.backward_size;
  if (size > std::min(kMaxIndex, job.size() - 2 * buffer.size())) return {};

  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  job.read(job.size() - buffer.size() - size, bytes);
  lzma_index* decoded = nullptr;
  std::uint64_t memory = kMaxIndexMemory;
  std::size_t used = 0;
  expect_ok(
      lzma_index_buffer_decode(&decoded, &memory, nullptr, bytes_of(bytes), &used, bytes.size()));
  Index index(decoded);
  expect(used == bytes.size());
  // Else there is another stream, or padding.
  if (lzma_index_file_size(index.get()) != job.size()) return {};
  check = header.check;
  return index;
}

/// A block: what the index says of it.
struct Block {
  std::uint64_t begin;
  std::uint64_t unpadded_size;
  std::uint64_t total_size;
  std::uint64_t position;
  std::uint64_t size;
};

/// Its header (3.1), which owns the options of its filters.
class BlockHeader {
 public:
  BlockHeader(const WholeJob& job, const Block& block, lzma_check check) {
    // Read once, with its size: a file that changes could have another one the second time.
    std::array<std::byte, LZMA_BLOCK_HEADER_SIZE_MAX> buffer;
    const auto bytes = std::span(buffer).first(limited(block.total_size, buffer.size()));
    job.read(block.begin, bytes);
    expect(!bytes.empty() && bytes[0] != std::byte{0});
    block_.version = 1;
    block_.check = check;
    block_.filters = filters_.data();
    block_.header_size = lzma_block_header_size_decode(std::to_integer<std::uint32_t>(bytes[0]));
    expect(block_.header_size <= bytes.size());
    expect_ok(lzma_block_header_decode(&block_, nullptr, bytes_of(bytes)));
    owns_ = true;
  }
  BlockHeader(const BlockHeader&) = delete;
  BlockHeader& operator=(const BlockHeader&) = delete;
  ~BlockHeader() {
    if (!owns_) return;
    for (const lzma_filter& filter : filters_) {
      if (filter.id == LZMA_VLI_UNKNOWN) break;
      std::free(filter.options);  // liblzma's allocator, where none is given
    }
  }

  /// Adds what the index knows, and holds the one to the other.
  void complete(const Block& block) {
    expect_ok(lzma_block_compressed_size(&block_, block.unpadded_size));
    expect(block_.uncompressed_size == LZMA_VLI_UNKNOWN || block_.uncompressed_size == block.size);
    block_.uncompressed_size = block.size;
  }
  /// What decoding takes, mostly for the dictionary.
  [[nodiscard]] std::uint64_t memory() const noexcept {
    return lzma_raw_decoder_memusage(filters_.data());
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return block_.header_size; }
  [[nodiscard]] lzma_block* get() noexcept { return &block_; }

 private:
  std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters_{};
  lzma_block block_{};
  bool owns_ = false;
};

/// Hands the blocks out.
class BlockWalk {
 public:
  BlockWalk(const lzma_index* index, std::uint64_t size) : size_(size) {
    lzma_index_iter_init(&iterator_, index);
  }

  std::optional<Block> next() {
    if (lzma_index_iter_next(&iterator_, LZMA_INDEX_ITER_BLOCK) != 0) return std::nullopt;
    const auto& at = iterator_.block;
    expect(at.uncompressed_file_offset <= size_ &&
           at.uncompressed_size <= size_ - at.uncompressed_file_offset);
    return Block{.begin = at.compressed_file_offset,
                 .unpadded_size = at.unpadded_size,
                 .total_size = at.total_size,
                 .position = at.uncompressed_file_offset,
                 .size = at.uncompressed_size};
  }

 private:
  lzma_index_iter iterator_{};
  std::uint64_t size_;
};

/// Decodes blocks for one thread.
class BlockDecoder {
 public:
  BlockDecoder(WholeJob& job, lzma_check check, std::uint64_t max_memory)
      : job_(job), check_(check), max_memory_(max_memory), buffer_(kBuffer) {}
  BlockDecoder(const BlockDecoder&) = delete;
  BlockDecoder& operator=(const BlockDecoder&) = delete;
  ~BlockDecoder() { lzma_end(&stream_); }

  void decode(const Block& block, const platform::Pulse& pulse) {
    BlockHeader header(job_, block, check_);
    expect(header.memory() <= max_memory_);
    header.complete(block);
    expect_ok(lzma_block_decoder(&stream_, header.get()));
    input_ = block.begin + header.size();
    input_end_ = block.begin + block.total_size;
    auto room = job_.out(block.position).first(static_cast<std::size_t>(block.size));
    stream_.avail_in = 0;
    while (!step(room)) pulse();
    expect(room.empty() && stream_.avail_in == 0 && input_ == input_end_);
    job_.count(header.size(), 0);
  }

 private:
  /// True at the end of the block, whose checksum is verified then.
  bool step(std::span<std::byte>& room) {
    if (stream_.avail_in == 0) fill();
    std::uint8_t nothing = 0;
    const std::size_t give = std::min(room.size(), kOutput);
    const std::size_t had = stream_.avail_in;
    stream_.next_out = room.empty() ? &nothing : reinterpret_cast<std::uint8_t*>(room.data());
    stream_.avail_out = give;
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    expect(result == LZMA_OK || result == LZMA_STREAM_END);  // LZMA_BUF_ERROR: it does not get on
    room = room.subspan(give - stream_.avail_out);
    job_.count(had - stream_.avail_in, give - stream_.avail_out);
    return result == LZMA_STREAM_END;
  }

  void fill() {
    const auto count = limited(input_end_ - input_, buffer_.size());
    job_.read(input_, std::span(buffer_).first(count));
    input_ += count;
    stream_.next_in = bytes_of(buffer_);
    stream_.avail_in = count;
  }

  WholeJob& job_;
  lzma_check check_;
  std::uint64_t max_memory_;
  std::vector<std::byte> buffer_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  std::uint64_t input_ = 0;
  std::uint64_t input_end_ = 0;
};

/// As many threads as have their dictionaries within the limit.
std::size_t thread_count(const WholeJob& job, const lzma_index* index, lzma_check check) {
  const std::optional<Block> first = BlockWalk(index, job.out().size()).next();
  expect(first.has_value());
  const std::uint64_t memory = BlockHeader(job, *first, check).memory();
  const std::uint64_t most = (job.limits().max_window + kOverhead) / std::max(memory, kOverhead);
  return static_cast<std::size_t>(
      std::min<std::uint64_t>({platform::core_count(), lzma_index_block_count(index), most}));
}

}  // namespace

bool decode_whole_xz(WholeJob& job) {
  if (platform::core_count() == 1) return false;
  lzma_check check{};
  const Index index = read_index(job, check);
  if (!index || lzma_index_block_count(index.get()) < 2) return false;
  expect(lzma_index_uncompressed_size(index.get()) == job.out().size());
  expect(lzma_check_is_supported(check) != 0);
  const std::size_t threads = thread_count(job, index.get(), check);
  if (threads < 2) return false;

  const std::uint64_t memory = (job.limits().max_window + kOverhead) / threads + kOverhead;
  BlockWalk walk(index.get(), job.out().size());
  platform::Gate gate;
  job.work(threads, [&](const platform::Pulse& pulse) {
    BlockDecoder decoder(job, check, memory);
    const auto next = [&] { return gate.pass(pulse, [&] { return walk.next(); }); };
    while (const std::optional<Block> block = next()) decoder.decode(*block, pulse);
  });
  return true;
}

}  // namespace ballast
