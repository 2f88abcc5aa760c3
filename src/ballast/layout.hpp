// How the data of tensors lie in a file, seen in the order of their offsets. Private.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <ballast/tensor.hpp>

namespace ballast {

/// The tensors of one file by offset, and by size where offsets are equal (unknown sizes first,
/// then empty tensors, which may share an offset). Nearly every file lists them so; then nothing is
/// sorted and nothing is allocated.
class DataOrder {
 public:
  explicit DataOrder(std::span<const Tensor> tensors) : tensors_(tensors) {
    const auto before = [](const Tensor& a, const Tensor& b) {
      return a.offset != b.offset ? a.offset < b.offset : a.nbytes < b.nbytes;
    };
    if (std::is_sorted(tensors.begin(), tensors.end(), before)) return;
    positions_.resize(tensors.size());
    std::iota(positions_.begin(), positions_.end(), std::uint32_t{0});
    std::sort(positions_.begin(), positions_.end(), [&](std::uint32_t a, std::uint32_t b) {
      if (before(tensors[a], tensors[b])) return true;
      return !before(tensors[b], tensors[a]) && a < b;
    });
  }

  [[nodiscard]] std::size_t size() const noexcept { return tensors_.size(); }
  [[nodiscard]] const Tensor& operator[](std::size_t i) const noexcept {
    return tensors_[positions_.empty() ? i : positions_[i]];
  }

 private:
  std::span<const Tensor> tensors_;
  std::vector<std::uint32_t> positions_;
};

/// `a * b`, unless that does not fit in 64 bits: then false, and `product` is left alone.
[[nodiscard]] inline bool multiply(std::uint64_t a, std::uint64_t b,
                                   std::uint64_t& product) noexcept {
  if (a != 0 && b > UINT64_MAX / a) return false;
  product = a * b;
  return true;
}

/// `a + b`, unless that does not fit in 64 bits: then false, and `sum` is left alone.
[[nodiscard]] inline bool add(std::uint64_t a, std::uint64_t b, std::uint64_t& sum) noexcept {
  if (b > UINT64_MAX - a) return false;
  sum = a + b;
  return true;
}

/// `value` rounded up to a multiple of `alignment`, a power of two; false where that does not fit
/// in 64 bits.
[[nodiscard]] inline bool round_up(std::uint64_t value, std::uint64_t alignment,
                                   std::uint64_t& rounded) noexcept {
  if (!add(value, alignment - 1, value)) return false;
  rounded = value & ~(alignment - 1);
  return true;
}

}  // namespace ballast
