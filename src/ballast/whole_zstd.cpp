// Zstandard (RFC 8878), by libzstd: a frame straight to where it stays, and several of them on all
// cores.
//
// Normally libzstd decodes into a window of its own and copies from there. It does without where it
// is promised that the output stays where it is.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <zstd.h>

#include "ballast/whole_job.hpp"

namespace ballast {
namespace {

// Compressed bytes that are read at once: any block with its header, and few enough to be in the
// cache still when they are decoded.
constexpr std::size_t kBuffer = std::size_t{256} << 10;

constexpr std::uint64_t kMagic = 0xFD2FB528;
constexpr std::uint64_t kSkippable = 0x184D2A50;  // and the 15 that follow
constexpr std::size_t kSkippableHeader = 8;
constexpr std::size_t kMaxHeader = 18;
constexpr std::size_t kBlockHeader = 3;

// What libzstd wants for a first call: the magic number and a byte that says how long the header
// is.
constexpr std::size_t kFirstBytes = 5;

// Headers that may be read, each by itself, over the size of the output: the blocks of a frame have
// 128 KiB, and frames are larger. Where they are this small, a stream is faster.
constexpr std::uint64_t kFewHeaders = 1024;
constexpr std::uint64_t kBytesPerHeader = std::uint64_t{8} << 10;

struct Frame {
  std::uint64_t begin = 0;  // in the compressed bytes
  std::uint64_t end = 0;
  std::uint64_t position = 0;  // in the decoded bytes
  std::uint64_t size = 0;
};

/// What a frame's header says (3.1.1.1).
struct FrameHeader {
  std::size_t size;
  std::optional<std::uint64_t> content;
  bool has_checksum;
};

FrameHeader read_header(std::span<const std::byte> bytes) {
  constexpr std::array<std::size_t, 4> kDictionarySize{0, 1, 2, 4};
  constexpr std::array<std::size_t, 4> kContentSize{0, 2, 4, 8};
  expect(bytes.size() >= kFirstBytes && little_endian(bytes.first(4)) == kMagic);
  const auto descriptor = std::to_integer<unsigned>(bytes[4]);
  const bool is_single_segment = (descriptor >> 5 & 1) != 0;
  const std::size_t dictionary = kDictionarySize[descriptor & 3];
  std::size_t content = kContentSize[descriptor >> 6];
  if (content == 0 && is_single_segment) content = 1;
  const std::size_t before = kFirstBytes + (is_single_segment ? 0 : 1) + dictionary;
  expect(bytes.size() >= before + content && dictionary == 0);
  FrameHeader header{before + content, std::nullopt, (descriptor >> 2 & 1) != 0};
  if (content > 0) header.content = little_endian(bytes.subspan(before, content));
  if (content == 2) *header.content += 256;
  return header;
}

/// Goes from frame to frame without decoding.
class FrameWalk {
 public:
  explicit FrameWalk(const WholeJob& job)
      : job_(job), headers_left_(kFewHeaders + job.out().size() / kBytesPerHeader) {}

  /// Behind this part of the input and of the output the next frame begins.
  void begin_at(std::uint64_t input, std::uint64_t output) noexcept {
    input_ = input;
    output_ = output;
  }
  /// What frames decode to whose header does not say: all of them, but for the last.
  void predict(std::uint64_t size) noexcept { predicted_ = size; }

  [[nodiscard]] std::uint64_t input() const noexcept { return input_; }
  /// Whether nothing is left to do.
  [[nodiscard]] bool is_done() const noexcept {
    return input_ == job_.size() && output_ == job_.out().size();
  }

  /// The header of the next frame with data, once the ones without are skipped; nothing at the end.
  std::optional<FrameHeader> header() {
    std::array<std::byte, kMaxHeader> buffer;
    while (input_ < job_.size()) {
      const std::span<std::byte> bytes =
          std::span(buffer).first(limited(job_.size() - input_, buffer.size()));
      read(input_, bytes);
      expect(bytes.size() >= kSkippableHeader);
      if ((little_endian(bytes.first(4)) & ~std::uint64_t{15}) != kSkippable) {
        return read_header(bytes);
      }
      go(kSkippableHeader + little_endian(bytes.subspan(4, 4)));
    }
    return std::nullopt;
  }

  /// The next frame with data; nothing at the end of the input, where the output must be full.
  std::optional<Frame> next(const platform::Pulse& pulse) {
    const std::optional<FrameHeader> head = header();
    const std::uint64_t room = job_.out().size() - output_;
    if (!head) {
      expect(room == 0);
      return std::nullopt;
    }
    Frame frame{.begin = input_, .position = output_};
    frame.size = head->content.value_or(std::min(predicted_, room));
    expect(frame.size <= room);
    go(head->size);
    skip_blocks(pulse);
    if (head->has_checksum) go(4);
    frame.end = input_;
    output_ += frame.size;
    return frame;
  }

 private:
  void read(std::uint64_t position, std::span<std::byte> into) {
    expect(headers_left_ > 0);
    --headers_left_;
    job_.read(position, into);
  }

  void go(std::uint64_t count) {
    expect(count <= job_.size() - input_);
    input_ += count;
  }

  /// 3.1.1.2: a bit for the last one, two for the type, and the size.
  void skip_blocks(const platform::Pulse& pulse) {
    constexpr std::uint64_t kRle = 1;
    for (bool is_last = false; !is_last;) {
      std::array<std::byte, kBlockHeader> bytes;
      read(input_, bytes);
      const std::uint64_t header = little_endian(bytes);
      is_last = (header & 1) != 0;
      const bool is_rle = (header >> 1 & 3) == kRle;
      go(kBlockHeader + (is_rle ? 1 : header >> 3));
      pulse();
    }
  }

  const WholeJob& job_;
  std::uint64_t headers_left_;
  std::uint64_t input_ = 0;
  std::uint64_t output_ = 0;
  std::uint64_t predicted_ = 0;
};

/// The compressed bytes of a range, in order; a few more than the buffer's size at a time.
class Input {
 public:
  explicit Input(const WholeJob& job) : job_(job), buffer_(kBuffer) {}

  void begin(std::uint64_t from, std::uint64_t to) noexcept {
    read_ = from;
    end_ = to;
    next_ = filled_ = 0;
  }
  /// So many bytes; fewer only at the end of the range.
  std::span<const std::byte> peek(std::size_t count) {
    if (filled_ - next_ < count && read_ < end_) fill();
    return std::span(buffer_).subspan(next_, std::min(count, filled_ - next_));
  }
  void take(std::size_t count) noexcept { next_ += count; }
  /// Where the next byte lies.
  [[nodiscard]] std::uint64_t position() const noexcept { return read_ - (filled_ - next_); }

 private:
  void fill() {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(next_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= next_;
    next_ = 0;
    const auto more = std::span(buffer_).subspan(filled_);
    const auto count = limited(end_ - read_, more.size());
    job_.read(read_, more.first(count));
    read_ += count;
    filled_ += count;
  }

  const WholeJob& job_;
  std::vector<std::byte> buffer_;
  std::size_t next_ = 0;
  std::size_t filled_ = 0;
  std::uint64_t read_ = 0;  // what lies before is in the buffer, or was
  std::uint64_t end_ = 0;
};

/// Decodes frames for one thread.
class FrameDecoder {
 public:
  explicit FrameDecoder(WholeJob& job) : job_(job), input_(job) {
    if (!context_) throw std::bad_alloc();
    const ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    const int window = static_cast<int>(std::bit_width(job.limits().max_window)) - 1;
    // Cannot fail: the value is within the bounds.
    static_cast<void>(
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax,
                               std::clamp(window, bounds.lowerBound, bounds.upperBound)));
    // ZSTD_d_stableOutBuffer, whose own name only programs that link libzstd statically may use.
    // Where it fails, libzstd copies.
    static_cast<void>(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_experimentalParam2, 1));
  }

  struct Result {
    std::uint64_t end;   // in the compressed bytes
    std::uint64_t size;  // of the decoded ones
  };

  /// Decodes and verifies the frame that lies in a range, or begins there.
  Result decode(std::uint64_t begin, std::uint64_t end, std::span<std::byte> room,
                const platform::Pulse& pulse) {
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    input_.begin(begin, end);
    ZSTD_outBuffer output{room.data(), room.size(), 0};
    // libzstd says how much it wants: a block and the header of the next one. So it gets all of
    // them in one piece, and returns after each.
    for (std::size_t wanted = kFirstBytes; wanted > 0;) {
      const std::span<const std::byte> bytes = input_.peek(wanted);
      ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
      const std::size_t before = output.pos;
      wanted = ZSTD_decompressStream(context_.get(), &output, &input);
      expect(ZSTD_isError(wanted) == 0);
      expect(wanted == 0 || input.pos > 0 || output.pos > before);
      input_.take(input.pos);
      job_.count(input.pos, output.pos - before);
      pulse();
    }
    return {input_.position(), output.pos};
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };

  WholeJob& job_;
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  Input input_;
};

/// The first frame, if it may be the only one: on this thread, while another one sees to the pages.
void decode_first(WholeJob& job, FrameWalk& walk) {
  const platform::FaultAhead ahead(job.out());
  job.work(1, [&](const platform::Pulse& pulse) {
    FrameDecoder decoder(job);
    const auto [end, size] = decoder.decode(walk.input(), job.size(), job.out(), pulse);
    walk.predict(size);
    walk.begin_at(end, size);
  });
}

void decode_others(WholeJob& job, FrameWalk& walk) {
  platform::Gate gate;
  job.work(platform::core_count(), [&](const platform::Pulse& pulse) {
    FrameDecoder decoder(job);
    const auto next = [&] { return gate.pass(pulse, [&] { return walk.next(pulse); }); };
    while (const std::optional<Frame> frame = next()) {
      const auto room = job.out(frame->position).first(static_cast<std::size_t>(frame->size));
      const auto [end, size] = decoder.decode(frame->begin, frame->end, room, pulse);
      expect(end == frame->end && size == frame->size);
    }
  });
}

}  // namespace

bool decode_whole_zstd(WholeJob& job) {
  FrameWalk walk(job);
  const std::optional<FrameHeader> first = walk.header();
  expect(first.has_value());
  if (first->content.value_or(job.out().size()) == job.out().size()) decode_first(job, walk);
  if (!walk.is_done()) decode_others(job, walk);
  return true;
}

}  // namespace ballast
