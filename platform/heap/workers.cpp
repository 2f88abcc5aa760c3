#include "platform/workers.hpp"

namespace ballast::platform {

std::size_t core_count() noexcept { return 1; }

void work_together(std::size_t, const Work& work, const std::function<void()>& watch) {
  work(watch);
}

std::unique_lock<std::timed_mutex> lock(std::timed_mutex& mutex, const Pulse&) {
  return std::unique_lock(mutex);
}

struct FaultAhead::State {};
FaultAhead::FaultAhead(std::span<std::byte>) {}
FaultAhead::~FaultAhead() = default;

}  // namespace ballast::platform
