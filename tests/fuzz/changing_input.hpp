// An input that is a file, what the file may become, and the fetches before which it changes.
//
// The file comes first, so that what changes files by their structure can do so. The end is read
// from the back: one byte of flags and a stage, one byte with the number of changes, and
// kChangeBytes for each change.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/changing_bytes/changing_memory.hpp"
#include "tests/changing_bytes/read_everything.hpp"

namespace ballast::test {

inline constexpr std::size_t kChangeBytes = 6;
inline constexpr std::size_t kMostChanges = 12;

struct ChangingInput {
  explicit ChangingInput(std::span<const std::byte> input) {
    if (input.size() < 2) return;
    const auto flags = std::to_integer<unsigned>(input.back());
    stage = static_cast<int>((flags & 0x7FU) % kStages);
    const std::size_t wanted =
        std::to_integer<std::size_t>(input[input.size() - 2]) % (kMostChanges + 1);
    input = input.first(input.size() - 2);
    const std::size_t count = std::min(wanted, input.size() / kChangeBytes);
    read_changes(input.last(count * kChangeBytes));
    file = input.first(input.size() - count * kChangeBytes);
    if ((flags & 0x80U) == 0) return;
    other = file.subspan(file.size() / 2);
    file = file.first(file.size() / 2);
  }

  std::span<const std::byte> file{};
  std::span<const std::byte> other{};  // the second half, by one of the flags
  int stage = 0;                       // at which the first fetch is counted
  std::vector<Change> changes{};

 private:
  // Of each change: how many fetches after the one before (two bytes), how, and a value (three
  // bytes).
  void read_changes(std::span<const std::byte> bytes) {
    std::uint64_t fetch = 0;
    for (; !bytes.empty(); bytes = bytes.subspan(kChangeBytes)) {
      const auto at = [bytes](std::size_t i) { return std::to_integer<std::uint64_t>(bytes[i]); };
      fetch += 1 + (at(0) | at(1) << 8U);
      changes.push_back({.fetch = fetch,
                         .how = static_cast<How>(at(2) % kHows),
                         .value = at(3) | at(4) << 8U | at(5) << 16U,
                         .stays = at(2) >= 0xC0});
    }
  }
};

}  // namespace ballast::test
