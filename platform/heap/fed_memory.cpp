#include "platform/fed_memory.hpp"

namespace ballast::platform {

bool read_as_memory(const File&, std::uint64_t, std::size_t,
                    const std::function<void(std::span<const std::byte>)>&,
                    const std::function<void(std::uint64_t)>&) {
  return false;
}

}  // namespace ballast::platform
