// LZ4 frames (LZ4 frame format 1.6.2), by liblz4: the blocks of one frame on all cores, where they
// do not depend on each other.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include <lz4.h>

#include "ballast/whole_job.hpp"

namespace ballast {
namespace {

// Decoded bytes that one thread makes at a time: the largest block.
constexpr std::size_t kBatch = std::size_t{4} << 20;

// Each has a buffer for one compressed block; and more are not faster than memory is.
constexpr std::size_t kMaxThreads = 8;

// ---- XXH32 ------------------------------------------------------------------------------------

constexpr std::uint32_t kPrime1 = 0x9E3779B1;
constexpr std::uint32_t kPrime2 = 0x85EBCA77;
constexpr std::uint32_t kPrime3 = 0xC2B2AE3D;
constexpr std::uint32_t kPrime4 = 0x27D4EB2F;
constexpr std::uint32_t kPrime5 = 0x165667B1;

std::uint32_t little_endian_32(const std::byte* at) noexcept {
  return std::to_integer<std::uint32_t>(at[0]) | std::to_integer<std::uint32_t>(at[1]) << 8 |
         std::to_integer<std::uint32_t>(at[2]) << 16 | std::to_integer<std::uint32_t>(at[3]) << 24;
}

/// The checksum of LZ4 frames (xxHash specification 0.1.1, "XXH32 algorithm description"), with a
/// seed of 0. liblz4 has it, but not for others.
class Xxh32 {
 public:
  static constexpr std::size_t kStripe = 16;

  static std::uint32_t of(std::span<const std::byte> bytes) noexcept {
    Xxh32 hash;
    return hash.finish(bytes.subspan(hash.take(bytes)));
  }

  /// Takes whole stripes; answers how many bytes these were.
  ///
  /// Two lanes at a time, from one word: so written, no compiler tries to do all four in one vector
  /// register, whose multiplications are slow, and it is five to ten times as fast.
  std::size_t take(std::span<const std::byte> bytes) noexcept {
    auto [a, b, c, d] = lanes_;
    const std::size_t size = bytes.size() / kStripe * kStripe;
    for (const std::byte* at = bytes.data(); at != bytes.data() + size; at += kStripe) {
      const std::uint64_t front = word(at);
      const std::uint64_t back = word(at + sizeof front);
      a = round(a, static_cast<std::uint32_t>(front));
      c = round(c, static_cast<std::uint32_t>(back));
      b = round(b, static_cast<std::uint32_t>(front >> 32));
      d = round(d, static_cast<std::uint32_t>(back >> 32));
    }
    lanes_ = {a, b, c, d};
    taken_ += size;
    return size;
  }

  /// With what is left: less than a stripe.
  [[nodiscard]] std::uint32_t finish(std::span<const std::byte> rest) const noexcept {
    std::uint32_t hash = taken_ > 0 ? merged() : kPrime5;
    hash += static_cast<std::uint32_t>(taken_ + rest.size());
    for (; rest.size() >= 4; rest = rest.subspan(4)) {
      hash = std::rotl(hash + little_endian_32(rest.data()) * kPrime3, 17) * kPrime4;
    }
    for (const std::byte byte : rest) {
      hash = std::rotl(hash + std::to_integer<std::uint32_t>(byte) * kPrime5, 11) * kPrime1;
    }
    hash = (hash ^ hash >> 15) * kPrime2;
    hash = (hash ^ hash >> 13) * kPrime3;
    return hash ^ hash >> 16;
  }

 private:
  static std::uint64_t word(const std::byte* at) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  static std::uint32_t round(std::uint32_t lane, std::uint32_t value) noexcept {
    return std::rotl(lane + value * kPrime2, 13) * kPrime1;
  }
  [[nodiscard]] std::uint32_t merged() const noexcept {
    return std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
  }

  std::array<std::uint32_t, 4> lanes_{kPrime1 + kPrime2, kPrime2, 0, 0U - kPrime1};
  std::uint64_t taken_ = 0;
};

/// The checksum of bytes whose pieces become ready in any order, made in theirs by whichever thread
/// brings the one that is due.
class OrderedHash {
 public:
  explicit OrderedHash(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// The bytes of a range are ready.
  void add(std::size_t begin, std::size_t end) {
    std::unique_lock lock(mutex_);
    ready_.emplace(begin, end);
    if (is_busy_) return;
    is_busy_ = true;
    for (auto due = ready_.find(until_); due != ready_.end(); due = ready_.find(until_)) {
      until_ = due->second;
      ready_.erase(due);
      const std::span<const std::byte> piece = bytes_.subspan(hashed_, until_ - hashed_);
      lock.unlock();
      hashed_ += hash_.take(piece);
      lock.lock();
    }
    is_busy_ = false;
  }

  /// Once all are.
  [[nodiscard]] std::uint32_t finish() const { return hash_.finish(bytes_.subspan(hashed_)); }

 private:
  std::span<const std::byte> bytes_;
  std::mutex mutex_;
  std::map<std::size_t, std::size_t> ready_;  // begin and end of those that are not due
  std::size_t until_ = 0;                     // what lies before is hashed, or being
  bool is_busy_ = false;
  Xxh32 hash_;  // this and the next belong to whoever has set is_busy_
  std::size_t hashed_ = 0;
};

// ---- Frames -----------------------------------------------------------------------------------

constexpr std::uint64_t kMagic = 0x184D2204;
constexpr std::size_t kMagicSize = 4;
constexpr std::size_t kMaxHeader = 15;  // magic number, two bytes, content size, checksum
constexpr std::size_t kBlockHeader = 4;
constexpr std::size_t kChecksum = 4;

/// What a frame's descriptor says.
struct Frame {
  std::size_t header_size = 0;
  std::size_t max_block = 0;
  bool has_block_checksums = false;
  bool has_content_checksum = false;
  std::optional<std::uint64_t> content{};
};

/// Nothing where the frame has to be decoded block after block. Throws where it is wrong.
std::optional<Frame> read_frame(std::span<const std::byte> bytes) {
  constexpr unsigned kVersion = 0x40;
  constexpr unsigned kIndependent = 0x20;
  constexpr unsigned kBlockChecksums = 0x10;
  constexpr unsigned kContentSize = 0x08;
  constexpr unsigned kContentChecksum = 0x04;
  constexpr unsigned kReserved = 0x02;
  constexpr unsigned kDictionary = 0x01;

  if (little_endian(bytes.first(kMagicSize)) != kMagic) return std::nullopt;
  const auto flags = std::to_integer<unsigned>(bytes[kMagicSize]);
  const auto sizes = std::to_integer<unsigned>(bytes[kMagicSize + 1]);
  if ((flags & kIndependent) == 0 || (flags & kDictionary) != 0) return std::nullopt;
  expect((flags & (0xC0 | kReserved)) == kVersion);
  expect((sizes & 0x8F) == 0 && sizes >> 4 >= 4);
  Frame frame;
  frame.max_block = std::size_t{1} << (8 + 2 * (sizes >> 4));
  frame.has_block_checksums = (flags & kBlockChecksums) != 0;
  frame.has_content_checksum = (flags & kContentChecksum) != 0;
  std::size_t size = kMagicSize + 2;
  if ((flags & kContentSize) != 0) {
    frame.content = little_endian(bytes.subspan(size, 8));
    size += 8;
  }
  const std::uint32_t hash = Xxh32::of(bytes.first(size).subspan(kMagicSize));
  expect(std::to_integer<unsigned>(bytes[size]) == (hash >> 8 & 0xFF));
  frame.header_size = size + 1;
  return frame;
}

struct Block {
  std::uint64_t begin = 0;  // of its data, in the compressed bytes
  std::size_t size = 0;
  bool is_plain = false;
};

/// Some blocks, and where they go.
struct Batch {
  std::vector<Block> blocks;
  std::size_t position = 0;
  std::size_t decoded_size = 0;
};

/// Hands the blocks out. How large each is when it is decoded, nobody says: all are full but for
/// the last, or it turns out that they are not.
class BlockWalk {
 public:
  BlockWalk(const WholeJob& job, const Frame& frame)
      : job_(job), frame_(frame), input_(frame.header_size) {}

  /// None at the end of the frame, where input and output must be too.
  void next(Batch& batch) {
    batch.blocks.clear();
    batch.position = output_;
    while (!is_ended_ && output_ - batch.position < kBatch) {
      if (const std::optional<Block> block = read_header()) {
        batch.blocks.push_back(*block);
      } else {
        read_end();
      }
    }
    batch.decoded_size = output_ - batch.position;
  }

  [[nodiscard]] std::uint64_t content_checksum() const noexcept { return checksum_; }

 private:
  /// The next block; nothing at the mark behind the last one, which is four zeros.
  std::optional<Block> read_header() {
    constexpr std::uint64_t kPlain = 0x80000000;
    std::array<std::byte, kBlockHeader> bytes;
    job_.read(input_, bytes);
    input_ += bytes.size();
    const std::uint64_t header = little_endian(bytes);
    if (header == 0) return std::nullopt;
    const Block block{input_, static_cast<std::size_t>(header & ~kPlain), (header & kPlain) != 0};
    const std::size_t decoded = std::min(frame_.max_block, job_.out().size() - output_);
    expect(block.size > 0 && block.size <= frame_.max_block && decoded > 0);
    input_ += block.size + (frame_.has_block_checksums ? kChecksum : 0);
    output_ += decoded;
    return block;
  }

  void read_end() {
    is_ended_ = true;
    if (frame_.has_content_checksum) {
      std::array<std::byte, kChecksum> bytes;
      job_.read(input_, bytes);
      input_ += bytes.size();
      checksum_ = little_endian(bytes);
    }
    expect(input_ == job_.size() && output_ == job_.out().size());
  }

  const WholeJob& job_;
  Frame frame_;
  std::uint64_t input_;
  std::size_t output_ = 0;
  bool is_ended_ = false;
  std::uint64_t checksum_ = 0;
};

/// Decodes blocks for one thread.
class BlockDecoder {
 public:
  BlockDecoder(WholeJob& job, const Frame& frame)
      : job_(job), frame_(frame), buffer_(frame.max_block) {}

  /// Fills `room` exactly.
  void decode(const Block& block, std::span<std::byte> room) {
    if (block.is_plain) {
      expect(block.size == room.size());
      read(block, room);
    } else {
      const std::span<std::byte> data = std::span(buffer_).first(block.size);
      read(block, data);
      const int size = LZ4_decompress_safe(
          reinterpret_cast<const char*>(data.data()), reinterpret_cast<char*>(room.data()),
          static_cast<int>(data.size()), static_cast<int>(room.size()));
      expect(size >= 0 && static_cast<std::size_t>(size) == room.size());
    }
    job_.count(kBlockHeader + block.size, room.size());
  }

 private:
  void read(const Block& block, std::span<std::byte> into) {
    job_.read(block.begin, into);
    if (!frame_.has_block_checksums) return;
    std::array<std::byte, kChecksum> bytes;
    job_.read(block.begin + block.size, bytes);
    expect(Xxh32::of(into) == little_endian(bytes));
  }

  WholeJob& job_;
  Frame frame_;
  std::vector<std::byte> buffer_;
};

void decode_frame(WholeJob& job, const Frame& frame) {
  BlockWalk walk(job, frame);
  OrderedHash hash(job.out());
  platform::Gate gate;
  job.work(std::min(platform::core_count(), kMaxThreads), [&](const platform::Pulse& pulse) {
    BlockDecoder decoder(job, frame);
    Batch batch;
    const auto next = [&] { gate.pass(pulse, [&] { walk.next(batch); }); };
    for (next(); !batch.blocks.empty(); next()) {
      std::span<std::byte> room = job.out(batch.position).first(batch.decoded_size);
      for (const Block& block : batch.blocks) {
        const std::size_t size = std::min(frame.max_block, room.size());
        decoder.decode(block, room.first(size));
        room = room.subspan(size);
        pulse();
      }
      if (frame.has_content_checksum) hash.add(batch.position, batch.position + batch.decoded_size);
    }
  });
  expect(!frame.has_content_checksum || hash.finish() == walk.content_checksum());
}

}  // namespace

bool decode_whole_lz4(WholeJob& job) {
  if (platform::core_count() == 1) return false;
  std::array<std::byte, kMaxHeader> header;
  job.read(0, header);
  const std::optional<Frame> frame = read_frame(header);
  if (!frame) return false;
  expect(frame->content.value_or(job.out().size()) == job.out().size());
  decode_frame(job, *frame);
  return true;
}

}  // namespace ballast
