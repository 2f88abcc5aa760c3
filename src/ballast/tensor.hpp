// Tensor: what a directory says about one tensor. Plain data; the bytes themselves come from
// `Model::bytes(tensor)`.
//
// The strings of a tensor are views into memory of its Model or Directory (or, for safetensors from
// memory that nothing else writes, into the model's bytes), so a Tensor, copied or not, must not
// outlive it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <ballast/dtype.hpp>

namespace ballast {

/// The dimensions of a tensor, in the file's own order: GGUF writes the contiguous dimension first,
/// safetensors last. Up to four are held in place, as nearly every tensor has; more lie in memory
/// that the Directory owns.
class Shape {
 public:
  Shape() noexcept = default;
  /// `dims` must stay where it is if it has more than four items; four or fewer are copied.
  explicit Shape(std::span<const std::uint64_t> dims) noexcept
      : rank_(static_cast<std::uint32_t>(dims.size())) {
    if (dims.size() <= kInPlace) {
      std::copy(dims.begin(), dims.end(), in_place_.begin());
    } else {
      far_ = dims.data();
    }
  }

  [[nodiscard]] std::span<const std::uint64_t> dims() const noexcept {
    return {rank_ <= kInPlace ? in_place_.data() : far_, rank_};
  }
  [[nodiscard]] std::size_t size() const noexcept { return rank_; }
  [[nodiscard]] bool empty() const noexcept { return rank_ == 0; }
  [[nodiscard]] std::uint64_t operator[](std::size_t i) const noexcept { return dims()[i]; }
  [[nodiscard]] const std::uint64_t* begin() const noexcept { return dims().data(); }
  [[nodiscard]] const std::uint64_t* end() const noexcept { return dims().data() + rank_; }

  static constexpr std::size_t kInPlace = 4;

 private:
  union {
    std::array<std::uint64_t, kInPlace> in_place_{};
    const std::uint64_t* far_;
  };
  std::uint32_t rank_ = 0;
};

/// One tensor of a directory. A scalar has an empty shape and one element.
struct Tensor {
  std::string_view name;        ///< raw bytes of the file; not safe to print (text.hpp)
  std::string_view dtype_name;  ///< as the file spells it; "unknown(43)" for a GGUF type id that is
                                ///< not known here
  std::uint64_t offset = 0;     ///< of the first byte, counted from the start of its file
  /// Bytes of data; empty where the dtype has no size that is known here (unknown or removed GGUF
  /// types).
  std::optional<std::uint64_t> nbytes;
  Shape shape;              ///< the product of the dimensions fits in 64 bits
  std::uint32_t shard = 0;  ///< which file of the set it lies in, counted from 0
  DType dtype = DType::unknown;

  /// How many values it has: the product of its dimensions.
  [[nodiscard]] std::uint64_t elements() const noexcept {
    std::uint64_t product = 1;
    for (const std::uint64_t dim : shape) product *= dim;  // checked when the file was parsed
    return product;
  }
};

}  // namespace ballast
