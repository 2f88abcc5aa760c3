// gzip: bgzip's members on all cores.
//
// bgzip's members (SAM specification, 4.1) hold up to 64 KiB, know their own size, and are ordinary
// members of a gzip file (RFC 1952). Each is in memory as a whole, so libdeflate can decode it, in
// two thirds of zlib's time. libdeflate also accepts codes that RFC 1951 reserves and zlib refuses
// (tests/unit/compressed_deflate_test.cpp lists them); the checksum and the size must be right with
// both.
#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <optional>
#include <vector>

// Where the build has found it.
#ifdef BALLAST_WITH_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

#include "ballast/whole_job.hpp"

namespace ballast {
namespace {

#ifdef BALLAST_WITH_LIBDEFLATE

/// Decodes members that are in memory as a whole.
class MemberDecoder {
 public:
  struct Result {
    std::size_t input;
    std::size_t output;
  };

  Result gzip(std::span<const std::byte> in, std::span<std::byte> out) {
    if (!decompressor_) throw std::bad_alloc();
    Result result{};
    expect(libdeflate_gzip_decompress_ex(decompressor_.get(), in.data(), in.size(), out.data(),
                                         out.size(), &result.input,
                                         &result.output) == LIBDEFLATE_SUCCESS);
    return result;
  }

 private:
  struct Free {
    void operator()(libdeflate_decompressor* it) const noexcept {
      libdeflate_free_decompressor(it);
    }
  };

  std::unique_ptr<libdeflate_decompressor, Free> decompressor_{libdeflate_alloc_decompressor()};
};

#else

/// Decodes members that are in memory as a whole.
class MemberDecoder {
 public:
  struct Result {
    std::size_t input;
    std::size_t output;
  };

  MemberDecoder() {
    constexpr int kGzip = 15 + 16;  // the largest window, with gzip's header and trailer
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw std::bad_alloc();
  }
  MemberDecoder(const MemberDecoder&) = delete;
  MemberDecoder& operator=(const MemberDecoder&) = delete;
  ~MemberDecoder() { inflateEnd(&stream_); }

  Result gzip(std::span<const std::byte> in, std::span<std::byte> out) {
    Bytef nothing = 0;  // zlib refuses a null pointer, whatever the size
    inflateReset(&stream_);
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.empty() ? &nothing : reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    expect(inflate(&stream_, Z_FINISH) == Z_STREAM_END);
    return {in.size() - stream_.avail_in, out.size() - stream_.avail_out};
  }

 private:
  z_stream stream_{};
};

#endif

// ---- bgzip ------------------------------------------------------------------------------------

// Compressed bytes that are taken at once, four members at least; and what they may become, so that
// each thread has its share where all of them are zeros.
constexpr std::size_t kBatch = std::size_t{256} << 10;
constexpr std::uint64_t kBatchOutput = std::uint64_t{4} << 20;

// RFC 1952, 2.3: a header of ten bytes, whose fourth has flags; with that of an extra field, its
// size in two bytes, then the field. bgzip's is alone there: "BC", its own size, and the size of
// the member less one, all in little-endian order. At the end, the checksum, and the decoded size.
constexpr std::size_t kFlags = 3;
constexpr std::size_t kMemberHeader = 18;
constexpr std::size_t kTrailer = 8;
constexpr std::array kBgzip{std::byte{6},   std::byte{0}, std::byte{'B'},
                            std::byte{'C'}, std::byte{2}, std::byte{0}};

bool is_bgzip(std::span<const std::byte> header) noexcept {
  constexpr std::byte kExtraOnly{4};
  constexpr std::size_t kExtraSize = 10;
  return header.size() >= kMemberHeader && header[0] == std::byte{0x1F} &&
         header[1] == std::byte{0x8B} && header[kFlags] == kExtraOnly &&
         std::ranges::equal(header.subspan(kExtraSize, kBgzip.size()), kBgzip);
}

/// The compressed size of a member of bgzip.
std::size_t member_size(std::span<const std::byte> header) {
  expect(is_bgzip(header));
  const std::uint64_t size = little_endian(header.subspan(16, 2)) + 1;
  expect(size >= kMemberHeader + kTrailer);
  return static_cast<std::size_t>(size);
}

std::size_t decoded_size(std::span<const std::byte> member) noexcept {
  return static_cast<std::size_t>(little_endian(member.last(4)));
}

/// Some members, and where they go.
struct Batch {
  std::span<const std::byte> members;
  std::uint64_t position = 0;
};

/// Hands the members out.
class MemberWalk {
 public:
  explicit MemberWalk(const WholeJob& job) : job_(job) {}

  /// Reads the next members, as many as there is room for; none at the end of the input, where the
  /// output must be full.
  Batch next(std::span<std::byte> buffer) {
    const std::uint64_t left = job_.size() - input_;
    if (left == 0) {
      expect(output_ == job_.out().size());
      return {};
    }
    const auto bytes = buffer.first(limited(left, buffer.size()));
    job_.read(input_, bytes);
    Batch batch{{}, output_};
    batch.members = bytes.first(take_whole_ones(bytes));
    expect(!batch.members.empty());
    input_ += batch.members.size();
    return batch;
  }

 private:
  std::size_t take_whole_ones(std::span<const std::byte> bytes) {
    std::size_t taken = 0;
    const std::uint64_t begin = output_;
    while (bytes.size() - taken >= kMemberHeader && output_ - begin < kBatchOutput) {
      const auto rest = bytes.subspan(taken);
      const std::size_t size = member_size(rest);
      if (size > rest.size()) break;
      const std::size_t decoded = decoded_size(rest.first(size));
      expect(decoded <= job_.out().size() - output_);
      output_ += decoded;
      taken += size;
    }
    return taken;
  }

  const WholeJob& job_;
  std::uint64_t input_ = 0;
  std::uint64_t output_ = 0;
};

void decode_batch(WholeJob& job, MemberDecoder& decoder, Batch batch,
                  const platform::Pulse& pulse) {
  while (!batch.members.empty()) {
    const auto member = batch.members.first(member_size(batch.members));
    const auto room = job.out(batch.position).first(decoded_size(member));
    const auto [input, output] = decoder.gzip(member, room);
    expect(input == member.size() && output == room.size());
    job.count(input, output);
    batch.members = batch.members.subspan(input);
    batch.position += output;
    pulse();
  }
}

void decode_bgzip(WholeJob& job) {
  MemberWalk walk(job);
  platform::Gate gate;
  job.work(platform::core_count(), [&](const platform::Pulse& pulse) {
    std::vector<std::byte> buffer(kBatch);
    MemberDecoder decoder;
    const auto next = [&] { return gate.pass(pulse, [&] { return walk.next(buffer); }); };
    for (Batch batch = next(); !batch.members.empty(); batch = next()) {
      decode_batch(job, decoder, batch, pulse);
    }
  });
}

}  // namespace

bool decode_whole_gzip(WholeJob& job) {
  std::array<std::byte, kMemberHeader> header;
  job.read(0, header);
  if (!is_bgzip(header)) return false;
#ifndef BALLAST_WITH_LIBDEFLATE  // by zlib alone, a stream is as fast
  if (platform::core_count() == 1) return false;
#endif
  decode_bgzip(job);
  return true;
}

}  // namespace ballast
