#include "ballast/open_compressed.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/symmetric.hpp>

#include <ballast/error.hpp>

#include "ballast/codec.hpp"
#include "ballast/placer.hpp"
#include "ballast/whole.hpp"

namespace ballast {
namespace {

// Compressed bytes that are read at once. Of the sizes from 64 KiB to 4 MiB the fastest in this
// direction; also how much is decoded between two looks at what the caller wants.
constexpr std::size_t kPullBuffer = std::size_t{1} << 20;

// Decoded bytes between two such looks: 50 ms of the slowest codec, bzip2. LZ4 decodes whole
// blocks, of 4 MiB usually, and has to keep a copy of one that does not fit.
constexpr std::size_t kOutput = std::size_t{1} << 20;
constexpr std::size_t kOutputLz4 = std::size_t{64} << 20;

std::size_t hash_of(std::span<const std::byte> bytes) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::hash<std::string_view>()(text);
}

/// Compressed bytes as a source of Boost.Iostreams. Some may have been read ahead.
class CompressedSource {
 public:
  using char_type = char;
  using category = boost::iostreams::source_tag;
  /// Waits for bytes and answers how many came; 0 at the end. Throws to end the load.
  using Read = std::function<std::size_t(std::span<std::byte>)>;

  CompressedSource(Read read, std::span<const std::byte> ahead)
      : read_(std::move(read)), ahead_(ahead.begin(), ahead.end()) {}

  std::streamsize read(char* into, std::streamsize size) {
    const std::span<std::byte> room(reinterpret_cast<std::byte*>(into),
                                    static_cast<std::size_t>(size));
    const std::size_t count = next_ < ahead_.size() ? take_ahead(room) : read_(room);
    return count == 0 ? -1 : static_cast<std::streamsize>(count);
  }

  /// Reads some more and keeps it for later; false at the end.
  bool read_ahead() {
    const std::size_t size = ahead_.size();
    ahead_.resize(size + kPullBuffer);
    const std::size_t count = read_(std::span(ahead_).subspan(size));
    ahead_.resize(size + count);
    return count > 0;
  }

 private:
  std::size_t take_ahead(std::span<std::byte> room) {
    const auto rest = std::span(ahead_).subspan(next_);
    const std::size_t count = std::min(rest.size(), room.size());
    std::ranges::copy(rest.first(count), room.begin());
    next_ += count;
    if (next_ == ahead_.size()) {
      ahead_ = {};
      next_ = 0;
    }
    return count;
  }

  Read read_;
  std::vector<std::byte> ahead_;
  std::size_t next_ = 0;
};

/// One load of compressed bytes.
class Pull {
 public:
  /// `range` is where they lie; nothing where they come only once.
  Pull(const Job& job, Compression codec, std::optional<FileRange> range)
      : job_(job),
        range_(range),
        input_{.codec = codec, .max_ratio = job.options.decode.max_ratio},
        placer_({.max_bytes = job.options.max_bytes,
                 .used_bytes = job.options.used_bytes,
                 .non_model = NonModel::collect_indexes,
                 .require_end = false,
                 .directory_only = job.options.directory_only,
                 .parse = job.options.parse},
                &input_) {
    if (range_) input_.received = range_->length;
    if (range_) input_.total = range_->length;
  }

  DataAccess::Storage run(const CompressedSource::Read& read, std::span<const std::byte> begun) {
    if (!range_) input_.received = begun.size();
    begin(read, begun);
    while (!placer_.has_directory() && step()) {
      if (!is_whole_tried_ && try_whole()) break;
      if (is_to_begin_again_) begin(read, begun);
      report();
    }
    if (!placer_.has_directory()) located(*decoder_, [&] { placer_.end(); });
    ModelData data = located(*decoder_, [&] { return placer_.finish(job_.path); });
    report_end(data);
    DataAccess::Storage& storage = DataAccess::storage(data);
    storage.compression = decoder_->codec();
    storage.compressed_size = input_.received;
    return std::move(storage);
  }

 private:
  using Filter = boost::iostreams::symmetric_filter<DecoderFilter>;

  void begin(const CompressedSource::Read& read, std::span<const std::byte> begun) {
    is_to_begin_again_ = false;
    source_.emplace(
        [this, read](std::span<std::byte> into) {
          report();
          const std::size_t count = read(into);
          if (!range_) input_.received += count;
          return count;
        },
        begun);
    decoder_.emplace(input_.codec, CodecLimits{job_.options.decode.max_window});
    constexpr std::uint64_t kLeast = std::uint64_t{16} << 10;
    const std::uint64_t buffer =
        std::clamp(input_.total.value_or(kPullBuffer), kLeast, std::uint64_t{kPullBuffer});
    filter_.emplace(static_cast<std::streamsize>(buffer), &*decoder_);
  }

  /// Decodes a piece; false at the end.
  bool step() {
    const std::span<std::byte> room = wait_for_room();
    const std::size_t most = decoder_->codec() == Compression::lz4 ? kOutputLz4 : kOutput;
    const std::size_t size = std::min(room.size(), most);
    const std::streamsize count = filter_->read(*source_, reinterpret_cast<char*>(room.data()),
                                                static_cast<std::streamsize>(size));
    if (count < 0) return false;
    located(*decoder_, [&] { placer_.take(static_cast<std::size_t>(count)); });
    return true;
  }

  /// There is room once enough has come for what the directory claims.
  std::span<std::byte> wait_for_room() {
    for (;;) {
      const std::span<std::byte> room = located(*decoder_, [&] { return placer_.room(); });
      if (!room.empty()) return room;
      if (!source_->read_ahead()) input_.total = input_.received;
    }
  }

  /// With the size known and the whole file at hand there are faster ways than a stream. What they
  /// cannot do, or find wrong, is decoded as a stream, which says what it is.
  bool try_whole() {
    const std::span<std::byte> out = placer_.whole();
    if (out.empty()) return false;
    is_whole_tried_ = true;
    if (!range_) return false;
    const auto begun = static_cast<std::size_t>(placer_.received());
    const std::size_t directory = hash_of(out.first(begun));
    const WholeFile whole{job_.file, range_->offset, range_->length};
    const auto watch = [&](std::uint64_t in, std::uint64_t done) { tell(in, done); };
    switch (decode_whole(decoder_->codec(), whole, out, job_.options.decode, watch)) {
      case Whole::done:
        // The vector's size and place are those of the directory that came first. A file that has
        // changed since then may have another one.
        if (hash_of(out.first(begun)) != directory) break;
        placer_.accept_whole();
        return true;
      case Whole::not_tried:
        return false;
      case Whole::failed:
        break;
    }
    placer_.begin_again();
    is_to_begin_again_ = true;
    return false;
  }

  void report() { tell(decoder_->input(), placer_.received()); }

  /// What is decoded a second time counts once.
  void tell(std::uint64_t input, std::uint64_t output) {
    told_.done = std::max(told_.done, output);
    told_.input_done = std::max(told_.input_done, input);
    if (placer_.expected()) told_.total = placer_.expected();
    told_.input_total = input_.total;
    job_.report(told_);
  }

  void report_end(const ModelData& data) {
    told_ = {.done = data.file_size(),
             .total = data.file_size(),
             .input_done = data.is_complete() ? input_.received : decoder_->input(),
             .input_total = input_.received};
    job_.report(told_);
  }

  const Job& job_;
  std::optional<FileRange> range_;
  CompressedInput input_;
  Placer placer_;
  std::optional<CompressedSource> source_;
  std::optional<Decoder> decoder_;
  std::optional<Filter> filter_;
  Progress told_;
  bool is_whole_tried_ = false;
  bool is_to_begin_again_ = false;
};

void refuse_map(const Job& job, Compression codec) {
  if (job.backend != Backend::map) return;
  job.refuse({.code = Errc::not_mappable_compressed, .word = name(codec)});
}

}  // namespace

DataAccess::Storage load_compressed(const Job& job, const FileRange& range, Compression codec) {
  refuse_map(job, codec);
  // A copy of its own for every time that it begins: each starts at the first byte.
  const auto read = [&job, &range, position = std::uint64_t{0}](std::span<std::byte> into) mutable {
    const std::uint64_t left = range.length - position;
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size()));
    const std::size_t got = job.attempt(
        "read", [&] { return job.file.read_at(range.offset + position, into.first(want)); });
    position += got;
    if (got == 0 && want > 0) {
      job.refuse({.code = Errc::file_changed, .expected = range.length, .actual = position});
    }
    return got;
  };
  return with_path(job, [&] { return Pull(job, codec, range).run(read, {}); });
}

DataAccess::Storage load_compressed(const Job& job, Incoming& incoming,
                                    std::span<const std::byte> begun, Compression codec) {
  refuse_map(job, codec);
  constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t left = job.options.length.value_or(kNoEnd);
  left -= std::min<std::uint64_t>(left, begun.size());
  const auto read = [&](std::span<std::byte> into) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size()));
    const std::size_t got = want > 0 ? incoming.read(into.first(want)) : 0;
    if (got == 0 && want > 0 && job.options.length) {
      const std::uint64_t end = incoming.position() + std::min(left, kNoEnd - incoming.position());
      job.refuse(
          {.code = Errc::range_outside_file, .expected = end, .actual = incoming.position()});
    }
    left -= got;
    return got;
  };
  return with_path(job, [&] { return Pull(job, codec, std::nullopt).run(read, begun); });
}

}  // namespace ballast
