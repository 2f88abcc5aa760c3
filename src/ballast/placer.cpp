#include "ballast/placer.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <ballast/error.hpp>
#include <ballast/format.hpp>

namespace ballast {
namespace {

// After so many bytes comes the first look at what they are: enough to know every format and every
// mistake by.
constexpr std::size_t kFirstLook = 512;

// The buffer for the directory begins with this, and doubles.
constexpr std::size_t kFirstPrefix = std::size_t{64} << 10;

// Bytes of unknown number that are no model are collected in segments: large, since each one costs
// an allocation, but never so large that one more than the model would matter.
constexpr std::size_t kMaxSegment = std::size_t{16} << 20;

// Bytes behind the model, which are counted and dropped.
constexpr std::size_t kScratch = std::size_t{64} << 10;

// So much may come out of any input, whatever its size: it is no bomb, and a tensor of zeros that
// is smaller than this may be compressed as well as it can be.
constexpr std::uint64_t kHarmless = std::uint64_t{16} << 20;

}  // namespace

void Placer::Buffer::append(std::span<const std::byte> more) noexcept {
  std::ranges::copy(more, rest().begin());
  filled += more.size();
}

platform::PlacedBytes Placer::allocate(std::uint64_t size, std::size_t residue) {
  try {
    const platform::PlacingAllocator<std::byte> allocator(residue);
    return platform::PlacedBytes(static_cast<std::size_t>(size), allocator);
  } catch (const std::bad_alloc&) {
    throw Error({.code = Errc::out_of_memory, .expected = size});
  }
}

Placer::Placer(const PlacerOptions& options, const CompressedInput* input)
    : options_(options),
      input_(input),
      limit_(options.max_bytes, options.used_bytes),
      look_at_(kFirstLook),
      expected_(options.total) {
  // Of the directory alone, nobody needs room for the rest.
  if (expected_ && !options.directory_only) require_room(*expected_);
}

/// Whether so many bytes may come out of the input that has come.
bool Placer::is_plausible(std::uint64_t size) const {
  if (input_ == nullptr || size <= kHarmless) return true;
  const std::uint64_t known = input_->total.value_or(input_->received);
  if ((size - 1) / std::max<std::uint64_t>(input_->max_ratio, 1) < known) return true;
  if (!input_->total) return false;
  throw Error({.code = Errc::ratio_too_high, .expected = size, .actual = known});
}

std::span<std::byte> Placer::room() {
  if (phase_ == Phase::deferred && is_plausible(body_size_)) allocate_body();
  switch (phase_) {
    case Phase::prefix:
      return room_in_prefix();
    case Phase::body:
      return body_.rest();
    case Phase::segments:
      return room_in_segments();
    case Phase::trailing:
      if (scratch_.empty()) scratch_ = allocate(kScratch);
      return scratch_;
    case Phase::deferred:
    case Phase::directory:
      break;
  }
  return {};
}

std::span<std::byte> Placer::room_in_prefix() {
  if (prefix_.full()) {
    const std::size_t size = std::max(kFirstPrefix, 2 * prefix_.bytes.size());
    if (!is_plausible(size)) return {};
    Buffer larger{allocate(size), 0};
    larger.append(prefix_.content());
    prefix_ = std::move(larger);
  }
  // Not past the next look, for what lies behind it may have to go somewhere else; and one byte
  // past what is allowed, to see whether it comes.
  const std::uint64_t until = limit_.cut(std::min(look_at_, std::uint64_t{prefix_.bytes.size()}));
  return std::span(prefix_.bytes).first(static_cast<std::size_t>(until)).subspan(prefix_.filled);
}

std::span<std::byte> Placer::room_in_segments() {
  if (segments_.back().full()) {
    const std::uint64_t wanted = std::clamp<std::uint64_t>(received_, kFirstPrefix, kMaxSegment);
    const std::uint64_t size = limit_.cut(received_ + wanted) - received_;
    if (!is_plausible(received_ + size)) return {};
    segments_.push_back({allocate(size), 0});
  }
  return segments_.back().rest();
}

void Placer::take(std::size_t count) {
  if (count == 0) return;
  const std::span<const std::byte> bytes = room().first(count);
  if (phase_ == Phase::trailing) note_trailing(bytes);
  received_ += count;
  if (options_.total && received_ > *options_.total) {
    throw Error({.code = Errc::file_changed, .expected = options_.total, .actual = received_});
  }
  const bool collects = phase_ == Phase::prefix || phase_ == Phase::segments;
  if (collects) require_room(received_);
  switch (phase_) {
    case Phase::prefix:
      prefix_.filled += count;
      if (prefix_.filled >= look_at_ || received_ == options_.total) look(options_.total);
      break;
    case Phase::body:
      body_.filled += count;
      if (body_.full()) phase_ = Phase::trailing;
      break;
    case Phase::segments:
      segments_.back().filled += count;
      break;
    default:
      break;
  }
}

/// Parses what has come of the directory. `total` is the size of the input where it is known.
void Placer::look(std::optional<std::uint64_t> total) {
  if (input_ == nullptr && options_.decompress) {
    compression_ = compression_of(prefix_.content());
    const auto known = codecs();
    if (std::ranges::find(known, compression_) != known.end()) return;
    compression_ = Compression::none;  // the parser refuses it
  }
  Parsed parsed;
  try {
    parsed = parse({.bytes = prefix_.content(), .total = total, .is_stable = true}, options_.parse);
  } catch (const Error& error) {
    return refuse_or_collect(error, total);
  }
  if (!parsed.directory) {
    look_at_ = std::max<std::uint64_t>(parsed.needed, 2 * look_at_);
    if (total) look_at_ = std::min(look_at_, *total);
    return;
  }
  split_ = split_of(parsed.directory->metadata);
  if (options_.directory_only) {
    phase_ = Phase::directory;
    return;
  }
  const std::optional<std::uint64_t> end = parsed.directory->padded_end;
  if (!end && !total && options_.require_end) {
    const auto last = std::ranges::max_element(parsed.directory->tensors, {}, &Tensor::offset);
    throw Error({.code = Errc::unknown_end, .kind = SubjectKind::tensor, .name = last->name});
  }
  data_end_ = parsed.directory->data_end.value_or(0);
  begin_body(end ? std::min(*end, total.value_or(*end)) : total, parsed.directory->data_offset);
}

void Placer::refuse_or_collect(const Error& error, std::optional<std::uint64_t> total) {
  const bool is_compressed =
      error.code() == Errc::still_compressed || error.code() == Errc::codec_missing;
  if (input_ != nullptr && is_compressed) {
    const Compression inner = signature_of(prefix_.content());
    throw Error({.code = Errc::compressed_twice, .offset = 0, .word = name(inner)});
  }
  const bool collects =
      options_.non_model == NonModel::collect ||
      (options_.non_model == NonModel::collect_indexes && is_json(prefix_.content()));
  if (!collects) throw error;  // NOLINT(cert-err*): a copy, which never throws
  begin_body(total, 0);
}

/// From here on it is known where the bytes stay: in one vector, or, where their number is not
/// known, in segments.
void Placer::begin_body(std::optional<std::uint64_t> size, std::uint64_t data_offset) {
  expected_ = options_.total ? options_.total : size;
  if (!size) {
    phase_ = Phase::segments;
    segments_.push_back(std::move(prefix_));
    return;
  }
  require_room(*size);
  body_size_ = *size;
  data_offset_ = data_offset;
  phase_ = Phase::deferred;
  if (is_plausible(body_size_)) allocate_body();
}

void Placer::allocate_body() {
  const std::size_t residue = platform::kPlacementUnit - data_offset_ % platform::kPlacementUnit;
  body_.bytes = allocate(body_size_, residue);
  const std::span<const std::byte> begun = prefix_.content();
  body_.append(begun.first(std::min(begun.size(), body_.bytes.size())));
  const std::span<const std::byte> behind = begun.subspan(body_.filled);
  received_ -= behind.size();
  phase_ = body_.full() ? Phase::trailing : Phase::body;
  if (!behind.empty()) {
    note_trailing(behind);
    received_ += behind.size();
  }
  prefix_ = {};
}

/// Bytes behind the model: few are dropped, many are refused, and another model is told apart.
void Placer::note_trailing(std::span<const std::byte> bytes) {
  const std::uint64_t end = body_.filled;
  const std::uint64_t already = received_ - end;
  if (already < first_trailing_.size()) {
    const std::span<std::byte> into =
        std::span(first_trailing_).subspan(static_cast<std::size_t>(already));
    std::ranges::copy(bytes.first(std::min(bytes.size(), into.size())), into.begin());
  }
  const std::uint64_t trailing = already + bytes.size();
  Problem problem{.offset = end, .expected = end, .actual = end + trailing};
  problem.code = Errc::glued_files;
  const auto seen =
      static_cast<std::size_t>(std::min<std::uint64_t>(trailing, first_trailing_.size()));
  const std::span<const std::byte> first = std::span(first_trailing_).first(seen);
  if (begins_in_padding(first)) {
    problem.offset = problem.expected = data_end_;
    throw Error(problem);
  }
  if (begins_model(first)) throw Error(problem);
  problem.code = Errc::trailing_bytes;
  if (trailing > options_.parse.limits.max_trailing) throw Error(problem);
}

/// Whether another GGUF begins where the last tensor ends, without its padding, so that only the
/// end of its magic is behind the model. All else a parser sees in what is kept.
bool Placer::begins_in_padding(std::span<const std::byte> behind) const {
  std::array<std::byte, 4> magic{};
  const std::span<const std::byte> padding =
      body_.content().subspan(static_cast<std::size_t>(data_end_));
  if (padding.empty() || padding.size() + behind.size() < magic.size()) return false;
  const std::size_t padded = std::min(padding.size(), magic.size());
  std::ranges::copy(padding.first(padded), magic.begin());
  std::copy_n(behind.begin(), magic.size() - padded,
              magic.begin() + static_cast<std::ptrdiff_t>(padded));
  return begins_model(magic);  // four bytes are a GGUF or nothing
}

void Placer::look_for_directory() {
  if (options_.directory_only && phase_ == Phase::prefix) look(options_.total);
}

void Placer::end() {
  look_for_directory();
  if (has_directory() || compression_ != Compression::none) return;
  if (options_.total && received_ < *options_.total) {
    throw Error({.code = Errc::incomplete_input, .expected = options_.total, .actual = received_});
  }
  if (phase_ == Phase::deferred) static_cast<void>(room());
  if (phase_ == Phase::prefix) look(received_);
}

ModelData Placer::finish(const std::filesystem::path& path) {
  if (phase_ == Phase::directory) {
    prefix_.bytes.resize(prefix_.filled);
    return DataAccess::make(
        {.bytes = std::move(prefix_.bytes), .path = path, .is_complete = false, .split = split_});
  }
  if (phase_ == Phase::prefix)
    throw Error({.code = Errc::unknown_format});  // not reached: all has come
  if (phase_ == Phase::segments) join();
  // Too short, or without its last padding: the parser says which.
  if (phase_ == Phase::body && options_.non_model != NonModel::collect) {
    static_cast<void>(
        parse({.bytes = body_.content(), .total = received_, .is_stable = true}, options_.parse));
  }
  const std::uint64_t trailing = received_ - body_.filled;
  body_.bytes.resize(
      body_.filled);  // shorter only without the last padding: frees nothing, moves nothing
  return DataAccess::make(
      {.bytes = std::move(body_.bytes), .path = path, .trailing = trailing, .split = split_});
}

/// One vector of all segments, each freed as soon as it is copied.
void Placer::join() {
  require_room(received_);
  body_.bytes = allocate(received_);
  for (Buffer& segment : segments_) {
    body_.append(segment.content());
    segment = {};
  }
  segments_.clear();
}

std::span<std::byte> Placer::whole() noexcept {
  return phase_ == Phase::body ? std::span<std::byte>(body_.bytes) : std::span<std::byte>();
}

void Placer::accept_whole() noexcept {
  received_ = body_.filled = body_.bytes.size();
  phase_ = Phase::trailing;
}

void Placer::begin_again() { *this = Placer(options_, input_); }

}  // namespace ballast
