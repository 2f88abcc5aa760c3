#include "platform/workers.hpp"

namespace ballast::platform {

std::size_t core_count() noexcept { return 1; }

void work_together(std::size_t, const Work& work, const std::function<void()>& watch) {
  watch();
  work(watch);
}

void Gate::enter(const Pulse&) {}
void Gate::leave() noexcept {}

struct FaultAhead::State {};
FaultAhead::FaultAhead(std::span<std::byte>) {}
FaultAhead::~FaultAhead() = default;

}  // namespace ballast::platform
