#include "platform/workers.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include "platform/cancellation.hpp"
#include "platform/posix/signals_blocked.hpp"

namespace ballast::platform {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks of the caller: far less than anybody notices, and far more than a look costs.
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);

// Each has buffers and a decoder, of 1 to 2 MiB.
constexpr std::size_t kMaxThreads = 16;

#ifdef MADV_POPULATE_WRITE
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#elif defined(__linux__)
constexpr int kPopulateWrite =
    23;  // asm-generic/mman-common.h, since 5.14; older C libraries do not know it
#else
constexpr int kPopulateWrite = -1;
#endif

// What is faulted in before the next look at whether to go on: half a millisecond.
constexpr std::size_t kFaultStep = std::size_t{4} << 20;

/// Thrown by a pulse for a failure that is another thread's.
struct Stopped : std::exception {};

/// Those who work, and what ends them.
class Team {
 public:
  explicit Team(const Work& work) : work_(work) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team() {
    stopped_ = true;
    join();
  }

  void start(std::size_t count) {
    const SignalsBlocked blocked;
    helpers_.reserve(count);
    try {
      while (helpers_.size() < count) {
        helpers_.emplace_back([this] { help(); });
      }
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
      // As many as the system lets us have; the calling thread alone is enough.
    }
  }

  void go_on() const {
    if (stopped_) throw Stopped();
  }

  /// Whether all helpers have ended; waits for that, but not long.
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kBetweenLooks, [this] { return ended_ == helpers_.size(); });
  }

  /// Throws what the first of them met.
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void help() noexcept {
    try {
      work_([this] { go_on(); });
    } catch (const Stopped&) {  // NOLINT(bugprone-empty-catch): who stopped it has the reason
    } catch (...) {
      stopped_ = true;
      if (!failed_.test_and_set()) failure_ = std::current_exception();
    }
    const std::scoped_lock lock(mutex_);
    ++ended_;
    changed_.notify_one();
  }

  void join() noexcept {
    for (std::thread& helper : helpers_) helper.join();
    helpers_.clear();
  }

  const Work& work_;
  std::atomic<bool> stopped_{false};
  std::atomic_flag failed_;
  std::exception_ptr failure_;  // written by whoever sets `failed_` first, read after the join
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t ended_ = 0;
  std::vector<std::thread> helpers_;
};

/// Calls something now and then, however often it is called itself.
class NowAndThen {
 public:
  explicit NowAndThen(const std::function<void()>& call) : call_(call) {}

  void operator()() {
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    call_();
    next_ = now + kBetweenLooks;
  }

 private:
  const std::function<void()>& call_;
  Clock::time_point next_ = Clock::time_point::min();
};

}  // namespace

std::size_t core_count() noexcept {
  const std::size_t cores = std::thread::hardware_concurrency();  // 0 where it is not known
  return std::clamp(cores, std::size_t{1}, kMaxThreads);
}

void work_together(std::size_t count, const Work& work, const std::function<void()>& watch) {
  const CancellationOff off;
  NowAndThen look(watch);
  Team team(work);
  team.start(std::clamp(count, std::size_t{1}, kMaxThreads) - 1);
  try {
    look();  // the others may have done it all before this thread has its first pulse
    work([&] {
      team.go_on();
      look();
    });
    while (!team.wait()) watch();
  } catch (const Stopped&) {  // NOLINT(bugprone-empty-catch): a helper's failure is thrown below
  }
  team.finish();
}

void Gate::enter(const Pulse& pulse) {
  const CancellationOff off;
  std::unique_lock lock(mutex_);
  while (is_taken_) {
    if (is_free_.wait_for(lock, kBetweenLooks) == std::cv_status::no_timeout) continue;
    lock.unlock();
    pulse();
    lock.lock();
  }
  is_taken_ = true;
}

void Gate::leave() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    is_taken_ = false;
  }
  is_free_.notify_one();
}

// ---- FaultAhead -------------------------------------------------------------------------------

struct FaultAhead::State {
  std::atomic<bool> stopped{false};
  std::thread thread;

  void run(std::span<std::byte> memory) const noexcept {
    while (!memory.empty() && !stopped) {
      const std::span<std::byte> step = memory.first(std::min(memory.size(), kFaultStep));
      if (::madvise(step.data(), step.size(), kPopulateWrite) != 0) return;
      memory = memory.subspan(step.size());
    }
  }
};

FaultAhead::FaultAhead(std::span<std::byte> memory) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t into = reinterpret_cast<std::uintptr_t>(memory.data()) & (page - 1);
  const std::size_t lead = into == 0 ? 0 : page - into;
  if (kPopulateWrite == -1 || core_count() == 1 || memory.size() <= lead) return;
  const std::span<std::byte> pages = memory.subspan(lead);
  const SignalsBlocked blocked;
  state_ = std::make_unique<State>();
  try {
    state_->thread = std::thread([state = state_.get(), pages] { state->run(pages); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // No thread to be had: then whoever fills the memory faults it in.
  }
}

FaultAhead::~FaultAhead() {
  if (!state_) return;
  const CancellationOff off;
  state_->stopped = true;
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace ballast::platform
