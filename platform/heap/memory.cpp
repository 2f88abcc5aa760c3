#include "platform/memory.hpp"

#include <cstdint>
#include <limits>

namespace ballast::platform {

std::byte* allocate_placed(std::size_t size, std::size_t residue) {
  return static_cast<std::byte*>(::operator new(size + residue, std::align_val_t{kPlacementUnit})) +
         residue;
}

void free_placed(std::byte* memory, std::size_t) noexcept {
  const std::size_t residue = reinterpret_cast<std::uintptr_t>(memory) % kPlacementUnit;
  ::operator delete(memory - residue, std::align_val_t{kPlacementUnit});
}

// WebAssembly does not say how far its memory may grow: the allocation is the question and the
// answer.
std::size_t memory_limit() { return std::numeric_limits<std::size_t>::max(); }

}  // namespace ballast::platform
