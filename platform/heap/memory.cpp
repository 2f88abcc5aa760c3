#include "platform/memory.hpp"

#include <cstdint>
#include <limits>

namespace ballast::platform {
namespace {

// 64-bit Emscripten, 3.1.69 for one, takes a size of 2^53 and more, which JavaScript has no number
// for, for one that it has: malloc then steps outside the memory. No machine has half as much.
constexpr std::uint64_t kMost = std::uint64_t{1} << 52;

}  // namespace

std::byte* allocate_placed(std::size_t size, std::size_t residue) {
  const std::uint64_t wanted = size;
  if (wanted > kMost) throw std::bad_alloc();
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
