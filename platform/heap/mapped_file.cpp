// Systems without mmap, and WebAssembly, whose mmap would be a copy.

#include "platform/mapped_file.hpp"

#include <system_error>
#include <utility>

namespace ballast::platform {

Mapping Mapping::map(const File&, std::uint64_t, std::size_t) {
  throw std::system_error(std::make_error_code(std::errc::not_supported));
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  bytes_ = std::exchange(other.bytes_, {});
  return *this;
}

Mapping::~Mapping() = default;

int Mapping::advise(Hint, std::size_t, std::size_t) const noexcept { return kUnsupported; }

int Mapping::release(std::size_t, std::size_t) const noexcept { return kUnsupported; }

}  // namespace ballast::platform
