#include "platform/bulk_read.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "platform/cancellation.hpp"
#include "platform/posix/signals_blocked.hpp"

namespace ballast::platform {
namespace {

// Two chunks: with less there is nothing to share.
constexpr std::size_t kShareFrom = 2 * kChunk;

// One core moves some 10 GB/s here, and the memory of a desktop several times that: four cores come
// close to it, and more would only take them from the program.
constexpr std::size_t kMaxReaders = 4;

std::size_t reader_count(std::size_t size) noexcept {
  if (size < kShareFrom) return 1;
  const std::size_t cores = std::thread::hardware_concurrency();  // 0 where it is not known
  return std::clamp(std::min(cores, size / kChunk), std::size_t{1}, kMaxReaders);
}

}  // namespace

struct BulkRead::State {
  const File& file;
  std::uint64_t offset;
  std::span<std::byte> into;
  std::atomic<std::uint64_t> next{0};  // where the first chunk that nobody has taken begins
  std::atomic<std::uint64_t> done{0};
  std::atomic<bool> stopped{false};
  std::exception_ptr
      failure;  // written by whoever sets `failed` first, read after the threads are joined
  std::atomic_flag failed;
  std::vector<std::thread> helpers;

  State(const File& from, std::uint64_t at, std::span<std::byte> buffer)
      : file(from), offset(at), into(buffer) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    stopped = true;
    join_helpers();
  }

  /// Takes the next chunk and reads it; false if there is none, or no reason to go on.
  bool read_chunk() {
    if (stopped) return false;
    const std::uint64_t begin = next.fetch_add(kChunk);
    if (begin >= into.size()) return false;
    const auto at = static_cast<std::size_t>(begin);
    const auto chunk = into.subspan(at, std::min(kChunk, into.size() - at));
    const std::size_t got = file.read_at(offset + begin, chunk);
    done += got;
    if (got < chunk.size()) stopped = true;  // the end of the file
    return !stopped;
  }

  void help() noexcept {
    try {
      while (read_chunk()) {
      }
    } catch (...) {
      stopped = true;
      if (!failed.test_and_set()) failure = std::current_exception();
    }
  }

  void start_helpers(std::size_t count) {
    const SignalsBlocked blocked;
    try {
      while (helpers.size() < count) helpers.emplace_back([this] { help(); });
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
      // As many as the system lets us have; this thread alone is enough.
    }
  }

  void join_helpers() noexcept {
    const CancellationOff off;
    for (std::thread& helper : helpers) helper.join();
    helpers.clear();
  }
};

BulkRead::BulkRead(const File& file, std::uint64_t offset, std::span<std::byte> into)
    : state_(std::make_unique<State>(file, offset, into)) {
  const std::size_t helpers = reader_count(into.size()) - 1;
  state_->helpers.reserve(helpers);
  state_->start_helpers(helpers);
}

BulkRead::~BulkRead() = default;

bool BulkRead::step() {
  if (state_->read_chunk()) return true;
  state_->join_helpers();
  if (state_->failure) std::rethrow_exception(state_->failure);
  return false;
}

std::uint64_t BulkRead::done() const noexcept { return state_->done; }

}  // namespace ballast::platform
