#include <ballast/loader.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/format.hpp>

#include "ballast/model_data_storage.hpp"
#include "platform/memory.hpp"

namespace ballast {
namespace {

using platform::PlacedBytes;

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

/// Memory with a filled part.
struct Buffer {
  PlacedBytes bytes;
  std::size_t filled = 0;

  [[nodiscard]] std::span<std::byte> rest() noexcept { return std::span(bytes).subspan(filled); }
  [[nodiscard]] std::span<const std::byte> content() const noexcept {
    return std::span(bytes).first(filled);
  }
  [[nodiscard]] bool full() const noexcept { return filled == bytes.size(); }
};

PlacedBytes allocate(std::uint64_t size, std::size_t residue = 0) {
  try {
    const platform::PlacingAllocator<std::byte> allocator(residue);
    return PlacedBytes(static_cast<std::size_t>(size), allocator);
  } catch (const std::bad_alloc&) {
    throw Error({.code = Errc::out_of_memory, .expected = size});
  }
}

void append(Buffer& to, std::span<const std::byte> bytes) noexcept {
  std::ranges::copy(bytes, to.rest().begin());
  to.filled += bytes.size();
}

/// Where the bytes go that come next.
enum class Phase : std::uint8_t {
  prefix,    // into a small buffer, until the directory in it can be read
  body,      // into the vector, where they stay
  segments,  // into pieces: no model, and nobody knows how many bytes there are
  trailing,  // nowhere: they follow the model
};

}  // namespace

struct Loader::State {
  LoaderOptions options;
  Phase phase = Phase::prefix;
  Buffer prefix;
  std::uint64_t look_at = kFirstLook;  // bytes in the prefix at which it is parsed again
  Buffer body;
  std::vector<Buffer> segments;
  PlacedBytes scratch;
  std::array<std::byte, 16> first_trailing{};
  std::uint64_t received = 0;
  std::optional<std::uint64_t> expected;  // bytes in all

  HeapLimit limit;
  std::uint64_t most;     // bytes that may be allocated for the model
  std::size_t given = 0;  // room that is handed out, and not filled yet

  explicit State(const LoaderOptions& wanted)
      : options(wanted), expected(wanted.total), limit(wanted.max_bytes), most(limit.most()) {
    if (expected) require_room(*expected);
  }

  void require_room(std::uint64_t size) const { limit.require(size, {}); }

  [[nodiscard]] std::span<std::byte> room() {
    switch (phase) {
      case Phase::prefix:
        return room_in_prefix();
      case Phase::body:
        return body.rest();
      case Phase::segments:
        if (segments.back().full()) add_segment();
        return segments.back().rest();
      case Phase::trailing:
        break;
    }
    if (scratch.empty()) scratch = allocate(kScratch);
    return scratch;
  }

  std::span<std::byte> room_in_prefix() {
    if (prefix.full()) {
      const std::size_t size = std::max(kFirstPrefix, 2 * prefix.bytes.size());
      Buffer larger{allocate(size), 0};
      append(larger, prefix.content());
      prefix = std::move(larger);
    }
    // Not past the next look, for what lies behind it may have to go somewhere else; and one byte
    // past what is allowed, to see whether it comes.
    const std::uint64_t until = std::min({look_at, std::uint64_t{prefix.bytes.size()}, most + 1});
    return std::span(prefix.bytes).first(static_cast<std::size_t>(until)).subspan(prefix.filled);
  }

  void add_segment() {
    const std::uint64_t size = std::clamp<std::uint64_t>(received, kFirstPrefix, kMaxSegment);
    segments.push_back({allocate(std::min(size, most - received + 1)), 0});
  }

  void take(std::size_t count) {
    if (count > given) {
      throw Error({.code = Errc::misuse, .word = "more bytes are committed than were prepared"});
    }
    given = 0;
    if (count == 0) return;
    const std::span<const std::byte> bytes = room().first(count);
    if (phase == Phase::trailing) note_trailing(bytes);
    received += count;
    if (options.total && received > *options.total) {
      throw Error({.code = Errc::file_changed, .expected = options.total, .actual = received});
    }
    const bool collects = phase == Phase::prefix || phase == Phase::segments;
    if (collects) require_room(received);
    switch (phase) {
      case Phase::prefix:
        prefix.filled += count;
        if (prefix.filled >= look_at || received == options.total) look(options.total);
        break;
      case Phase::body:
        body.filled += count;
        if (body.full()) phase = Phase::trailing;
        break;
      case Phase::segments:
        segments.back().filled += count;
        break;
      case Phase::trailing:
        break;
    }
  }

  /// Parses what has come of the directory. `total` is the size of the input where it is known.
  void look(std::optional<std::uint64_t> total) {
    Parsed parsed;
    try {
      parsed = parse({prefix.content(), total}, options.parse);
    } catch (const Error&) {
      if (options.require_model) throw;
      return begin_body(total, 0);
    }
    if (!parsed.directory) {
      look_at = std::max<std::uint64_t>(parsed.needed, 2 * look_at);
      if (total) look_at = std::min(look_at, *total);
      return;
    }
    const std::optional<std::uint64_t> end = parsed.directory->padded_end;
    if (!end && !total && options.require_model) throw_unknown_end(*parsed.directory);
    begin_body(end ? std::min(*end, total.value_or(*end)) : total, parsed.directory->data_offset);
  }

  [[noreturn]] static void throw_unknown_end(const Directory& directory) {
    const auto last = std::ranges::max_element(directory.tensors, {}, &Tensor::offset);
    throw Error({.code = Errc::unknown_end, .kind = SubjectKind::tensor, .name = last->name});
  }

  /// From here on it is known where the bytes stay: in one vector, or, where their number is not
  /// known, in segments.
  void begin_body(std::optional<std::uint64_t> size, std::uint64_t data_offset) {
    expected = options.total ? options.total : size;
    if (!size) {
      phase = Phase::segments;
      segments.push_back(std::move(prefix));
      return;
    }
    require_room(*size);
    const std::size_t residue = platform::kPlacementUnit - data_offset % platform::kPlacementUnit;
    body.bytes = allocate(*size, residue);
    const std::span<const std::byte> begun = prefix.content();
    append(body, begun.first(std::min(begun.size(), body.bytes.size())));
    const std::span<const std::byte> behind = begun.subspan(body.filled);
    received -= behind.size();
    phase = body.full() ? Phase::trailing : Phase::body;
    if (!behind.empty()) {
      note_trailing(behind);
      received += behind.size();
    }
    prefix = {};
  }

  /// Bytes behind the model: few are dropped, many are refused, and another model is told apart.
  void note_trailing(std::span<const std::byte> bytes) {
    const std::uint64_t end = body.filled;
    const std::uint64_t already = received - end;
    if (already < first_trailing.size()) {
      const std::span<std::byte> into =
          std::span(first_trailing).subspan(static_cast<std::size_t>(already));
      std::ranges::copy(bytes.first(std::min(bytes.size(), into.size())), into.begin());
    }
    const std::uint64_t trailing = already + bytes.size();
    Problem problem{.offset = end, .expected = end, .actual = end + trailing};
    problem.code = Errc::glued_files;
    const auto seen =
        static_cast<std::size_t>(std::min<std::uint64_t>(trailing, first_trailing.size()));
    if (begins_model(std::span(first_trailing).first(seen))) throw Error(problem);
    problem.code = Errc::trailing_bytes;
    if (trailing > options.parse.limits.max_trailing) throw Error(problem);
  }

  [[nodiscard]] ModelData finish() {
    if (options.total && received < *options.total) {
      throw Error({.code = Errc::incomplete_input, .expected = options.total, .actual = received});
    }
    if (phase == Phase::prefix) look(received);
    if (phase == Phase::prefix)
      throw Error({.code = Errc::unknown_format});  // not reached: all has come
    if (phase == Phase::segments) join();
    // Too short, or without its last padding: the parser says which.
    if (phase == Phase::body && options.require_model) {
      static_cast<void>(parse({body.content(), received}, options.parse));
    }
    const std::uint64_t trailing = received - body.filled;
    body.bytes.resize(
        body.filled);  // shorter only without the last padding: frees nothing, moves nothing
    return DataAccess::make(
        {.bytes = std::move(body.bytes), .path = options.path, .trailing = trailing});
  }

  /// One vector of all segments, each freed as soon as it is copied.
  void join() {
    require_room(received);
    body.bytes = allocate(received);
    for (Buffer& segment : segments) {
      append(body, segment.content());
      segment = {};
    }
    segments.clear();
  }
};

/// Does what may fail. Whatever it throws, the loader holds nothing afterwards, and the error says
/// what the input was.
template <class Work>
auto Loader::guarded(Work work) {
  if (!state_) throw Error(Problem{.code = Errc::misuse, .word = "this load has ended"});
  try {
    return work(*state_);
  } catch (const Error& error) {
    const std::filesystem::path path = std::move(state_->options.path);
    cancel();
    if (path.empty()) throw;
    throw error.with_path(path.string());
  } catch (...) {
    cancel();
    throw;
  }
}

Loader::Loader(const LoaderOptions& options) try : state_(std::make_unique<State>(options)) {
} catch (const Error& error) {
  throw error.with_path(options.path.string());
}

Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;
Loader::~Loader() = default;

std::span<std::byte> Loader::prepare(std::size_t want) {
  return guarded([want](State& state) {
    const std::span<std::byte> room = state.room();
    state.given = std::min(want, room.size());
    return room.first(state.given);
  });
}

void Loader::commit(std::size_t count) {
  guarded([count](State& state) { state.take(count); });
}

void Loader::push(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> room = prepare(bytes.size());
    std::ranges::copy(bytes.first(room.size()), room.begin());
    commit(room.size());
    bytes = bytes.subspan(room.size());
  }
}

ModelData Loader::finish() {
  ModelData data = guarded([](State& state) { return state.finish(); });
  cancel();
  return data;
}

void Loader::cancel() noexcept { state_.reset(); }

Progress Loader::progress() const noexcept {
  if (!state_) return {};
  return {state_->received, state_->expected};
}

}  // namespace ballast
