#include "platform/cancellation.hpp"

namespace ballast::platform {

CancellationOff::CancellationOff() noexcept = default;
CancellationOff::~CancellationOff() = default;

}  // namespace ballast::platform
