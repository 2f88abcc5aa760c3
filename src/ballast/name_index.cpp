#include <ballast/name_index.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace ballast {
namespace {

std::uint64_t load(const char* bytes, std::size_t size) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, size);
  return word;
}

// Multiplies and folds the upper half down: every bit of the input reaches the lower bits, which
// choose the slot.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
  constexpr std::uint64_t kOdd =
      0x9E3779B97F4A7C15U;  // 2^64 over the golden ratio (Knuth, TAOCP 3, 6.4)
  hash = (hash ^ word) * kOdd;
  return hash ^ (hash >> 29);
}

}  // namespace

std::uint64_t NameIndex::hash(std::string_view name) noexcept {
  const char* at = name.data();
  std::size_t left = name.size();
  std::uint64_t hash = left;
  for (; left > 8; at += 8, left -= 8) hash = mix(hash, load(at, 8));
  // The last word overlaps the one before where there is one, so that no byte needs a loop of its
  // own.
  if (left >= 4) {
    hash = mix(hash, load(at, 4) | (load(at + left - 4, 4) << 32));
  } else if (left > 0) {
    hash = mix(hash, load(at, 1) | (load(at + left / 2, 1) << 8) | (load(at + left - 1, 1) << 16));
  }
  return mix(hash, hash >> 32);
}

std::optional<std::size_t> NameIndex::build(NameList names) {
  sorted_.clear();
  slots_.assign(std::bit_ceil(names.size() + names.size() / 3 + 1), Slot{});
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = names[i];
    const std::uint64_t hashed = hash(name);
    const auto tag = static_cast<std::uint32_t>(hashed >> 32);
    std::size_t at = static_cast<std::size_t>(hashed) & mask;
    for (std::size_t probes = 0; slots_[at].position != 0; at = (at + 1) & mask) {
      if (slots_[at].tag == tag && names[slots_[at].position - 1] == name) return i;
      if (++probes == kProbeLimit) return build_sorted(names);
    }
    slots_[at] = {tag, static_cast<std::uint32_t>(i + 1)};
  }
  return std::nullopt;
}

std::optional<std::size_t> NameIndex::build_sorted(NameList names) {
  slots_ = {};
  sorted_.resize(names.size());
  std::iota(sorted_.begin(), sorted_.end(), std::uint32_t{0});
  // Equal names in the order of the list, so that the first repetition is the smallest of the later
  // ones.
  const auto before = [names](std::uint32_t a, std::uint32_t b) {
    const int order = names[a].compare(names[b]);
    return order != 0 ? order < 0 : a < b;
  };
  // A heap sort: only names that were chosen to collide get here, and std::sort is 6 kB of the
  // WebAssembly module.
  std::make_heap(sorted_.begin(), sorted_.end(), before);
  std::sort_heap(sorted_.begin(), sorted_.end(), before);
  std::optional<std::size_t> first;
  for (std::size_t i = 1; i < sorted_.size(); ++i) {
    if (names[sorted_[i - 1]] != names[sorted_[i]]) continue;
    first = std::min<std::size_t>(first.value_or(sorted_[i]), sorted_[i]);
  }
  return first;
}

std::optional<std::size_t> NameIndex::find(NameList names, std::string_view name) const noexcept {
  if (is_sorted()) {
    const auto at =
        std::lower_bound(sorted_.begin(), sorted_.end(), name,
                         [names](std::uint32_t i, std::string_view key) { return names[i] < key; });
    if (at != sorted_.end() && names[*at] == name) return *at;
    return std::nullopt;
  }
  if (slots_.empty()) return std::nullopt;
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t hashed = hash(name);
  const auto tag = static_cast<std::uint32_t>(hashed >> 32);
  std::size_t at = static_cast<std::size_t>(hashed) & mask;
  // No name that is there took more steps, however many follow each other without a gap.
  for (std::size_t probes = 0; probes < kProbeLimit && slots_[at].position != 0; ++probes) {
    const std::size_t position = slots_[at].position - 1;
    if (slots_[at].tag == tag && names[position] == name) return position;
    at = (at + 1) & mask;
  }
  return std::nullopt;
}

}  // namespace ballast
