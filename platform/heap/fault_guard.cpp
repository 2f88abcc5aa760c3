// Where nothing is mapped, nothing can be cut from under it.

#include "platform/fault_guard.hpp"

#include <system_error>

namespace ballast::platform {

FaultGuard FaultGuard::over(std::span<const std::byte>, const File&, std::uint64_t) {
  throw std::system_error(std::make_error_code(std::errc::not_supported));
}

FaultGuard::FaultGuard(FaultGuard&&) noexcept {}

FaultGuard& FaultGuard::operator=(FaultGuard&&) noexcept = default;

FaultGuard::~FaultGuard() = default;

bool FaultGuard::has_faulted() const noexcept { return is_active(); }  // which it never is

}  // namespace ballast::platform
