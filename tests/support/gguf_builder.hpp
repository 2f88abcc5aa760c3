// Builds GGUF files for tests: valid by default, wrong in exactly the way a test asks for.
//
//     Sample sample = GgufBuilder().entry("general.architecture", "llama").tensor({.name = "w",
//     .dims = {4}}).build(); Sample broken = sample.with<std::uint32_t>("entry[0].type", 13); // at
//     sample.at("entry[0].type")
//
// What is marked, in the order of the file (i and j count from 0):
//
//     magic, version, tensor_count, entry_count
//     entry[i], entry[i].key (its bytes), entry[i].type, entry[i].value, and after the value
//     entry[i].end
//       of a string value: entry[i].value is its length, entry[i].value.text its bytes
//       of an array:       entry[i].value is its element type, .value.count, .value.items,
//       .value[j] each element;
//                          nested arrays and strings repeat the scheme: entry[i].value[j].count,
//                          entry[i].value[j].text
//     tensor[i], tensor[i].name (its bytes), tensor[i].rank, tensor[i].dims[j], tensor[i].dtype,
//     tensor[i].offset infos.end, data (the first byte of the data, where there are tensors)
//     tensor[i].data, tensor[i].end, tensor[i].padded (its end, padded), data.end, padded.end, end
//
// entry[i] and tensor[i] are the length words of the key and of the name.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ballast/metadata.hpp>

#include "tests/support/dtypes.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

/// A metadata value as a file holds it.
struct GgufValue {
  ValueType type = ValueType::u8;
  std::uint64_t bits = 0;                  // of a number or bool
  std::string text;                        // of a string
  ValueType element_type = ValueType::u8;  // of an array
  std::vector<GgufValue> items;            // of an array

  GgufValue() = default;
  GgufValue(const char* string) : type(ValueType::string), text(string) {}  // NOLINT(*-explicit-*)
  GgufValue(std::string_view string)
      : type(ValueType::string), text(string) {}  // NOLINT(*-explicit-*)
  GgufValue(std::string string)
      : type(ValueType::string), text(std::move(string)) {}  // NOLINT(*-explicit-*)

  /// A number or bool becomes the value type of its own size.
  template <class T>
    requires std::is_arithmetic_v<T>
  GgufValue(T number) : type(type_of<T>()), bits(bits_of(number)) {}  // NOLINT(*-explicit-*)

  /// A number of any type by its bits: NaNs with a payload, bools of value 2.
  [[nodiscard]] static GgufValue raw(ValueType type, std::uint64_t bits);
  [[nodiscard]] static GgufValue array(ValueType element_type, std::vector<GgufValue> items);

  template <class T>
  [[nodiscard]] static constexpr ValueType type_of() {
    if constexpr (std::is_same_v<T, bool>) return ValueType::boolean;
    if constexpr (std::is_same_v<T, float>) return ValueType::f32;
    if constexpr (std::is_same_v<T, double>) return ValueType::f64;
    constexpr bool kSigned = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return kSigned ? ValueType::i8 : ValueType::u8;
    if constexpr (sizeof(T) == 2) return kSigned ? ValueType::i16 : ValueType::u16;
    if constexpr (sizeof(T) == 4) return kSigned ? ValueType::i32 : ValueType::u32;
    return kSigned ? ValueType::i64 : ValueType::u64;
  }

  template <class T>
  [[nodiscard]] static constexpr std::uint64_t bits_of(T number) {
    if constexpr (std::is_same_v<T, float>)
      return std::bit_cast<std::uint32_t>(number);
    else if constexpr (std::is_same_v<T, double>)
      return std::bit_cast<std::uint64_t>(number);
    else if constexpr (std::is_same_v<T, bool>)
      return number ? 1 : 0;
    else
      return static_cast<std::make_unsigned_t<T>>(number);
  }
};

/// The bytes that a number of this type takes in a file; 0 for strings and arrays.
[[nodiscard]] std::size_t width_of(ValueType type) noexcept;

/// An array of plain values: array_of<std::int32_t>({1, 2, 3}).
template <class T>
[[nodiscard]] GgufValue array_of(const std::vector<T>& items) {
  constexpr bool kText = std::is_convertible_v<T, std::string_view>;
  std::vector<GgufValue> values(items.begin(), items.end());
  if constexpr (kText)
    return GgufValue::array(ValueType::string, std::move(values));
  else
    return GgufValue::array(GgufValue::type_of<T>(), std::move(values));
}

/// A tensor as a file lists it. What is left out becomes what a good writer would write.
struct GgufTensor {
  std::string name;
  std::vector<std::uint64_t> dims;
  std::uint32_t dtype = 0;
  std::optional<std::uint64_t> offset{};  // in the data; default: after the tensor before, padded
  std::optional<std::uint64_t>
      nbytes{};                 // that are written and skipped; default: what dtype and dims make
  std::optional<Bytes> data{};  // default: noise
};

class GgufBuilder {
 public:
  GgufBuilder& version(std::uint32_t version);
  /// Writes every number the other way round, as a big-endian machine does.
  GgufBuilder& big_endian();
  /// Counts that are not those of what is written.
  GgufBuilder& tensor_count(std::uint64_t count);
  GgufBuilder& entry_count(std::uint64_t count);

  GgufBuilder& entry(std::string key, GgufValue value);
  /// An entry of any type id with any bytes behind it.
  GgufBuilder& raw_entry(std::string key, std::uint32_t type, Bytes value);
  GgufBuilder& tensor(GgufTensor tensor);

  /// The alignment of the layout. Its entry is the test's own business: see `aligned`.
  GgufBuilder& layout_alignment(std::uint64_t alignment);
  /// The alignment of the layout, and the entry that says so.
  GgufBuilder& aligned(std::uint32_t alignment);
  /// What padding is filled with; zero by default.
  GgufBuilder& padding(std::byte filler);
  /// Stops at the last byte of the last tensor, as some writers do.
  GgufBuilder& without_final_padding();
  GgufBuilder& trailing(Bytes bytes);

  [[nodiscard]] Sample build() const;

 private:
  struct Item {
    std::string key;
    std::uint32_t type;
    GgufValue value;
    std::optional<Bytes> raw;
  };

  void number(Sample& out, std::uint64_t value, std::size_t size) const;
  void string(Sample& out, std::string_view text, const std::string& mark) const;
  void value(Sample& out, const GgufValue& value, const std::string& mark) const;
  void entries(Sample& out) const;
  void infos(Sample& out, const std::vector<std::uint64_t>& offsets) const;
  void data(Sample& out, const std::vector<std::uint64_t>& offsets) const;
  [[nodiscard]] std::uint64_t padded(std::uint64_t size) const noexcept;
  [[nodiscard]] std::vector<std::uint64_t> offsets() const;

  std::uint32_t version_ = 3;
  bool big_endian_ = false;
  std::optional<std::uint64_t> tensor_count_;
  std::optional<std::uint64_t> entry_count_;
  std::vector<Item> entries_;
  std::vector<GgufTensor> tensors_;
  std::uint64_t alignment_ = 32;
  std::byte padding_{0};
  bool final_padding_ = true;
  Bytes trailing_;
};

/// The bytes that a GGUF tensor's data take, modulo 2^64; 0 for types without a size.
[[nodiscard]] std::uint64_t gguf_nbytes(std::uint32_t dtype,
                                        std::span<const std::uint64_t> dims) noexcept;

}  // namespace ballast::test
