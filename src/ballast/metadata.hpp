// Metadata: the key-value pairs of a model file, decoded when they are asked for.
//
//     if (auto layers = model.metadata().get<std::uint32_t>("llama.block_count")) ...
//     if (auto tokens = model.metadata().get<ballast::Array>("tokenizer.ggml.tokens"))
//       for (ballast::Value token : *tokens) use(*token.get<std::string_view>());
//
// Nothing is copied: strings and arrays are views into the model's bytes and must not outlive them.
// A vocabulary of 128,256 tokens costs nothing until it is iterated. Values were checked against
// the end of the file when it was parsed; iteration checks again, so that a file changed under its
// mapping gives other values but no stray access.
//
// A loop over `metadata.get<Array>(key).value()` would use an optional that is gone: name it first,
// as above.
//
// Threads: reading is safe from any number of threads.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ballast/config.hpp>
#include <ballast/name_index.hpp>

namespace ballast {

/// The type of a value, numbered as in GGUF (docs/gguf.md, `gguf_metadata_value_type`). safetensors
/// metadata are all `string`.
enum class ValueType : std::uint8_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
inline constexpr std::uint32_t kValueTypeCount = 13;

/// "u8", "bool", "string" ...
[[nodiscard]] BALLAST_API std::string_view name(ValueType type) noexcept;

/// Bytes of one value in GGUF; 0 for strings and arrays, whose size varies.
[[nodiscard]] BALLAST_API std::size_t encoded_size(ValueType type) noexcept;

/// How deep arrays can nest at the most, whatever the options of a parser allow.
inline constexpr std::uint32_t kMaxArrayDepth = 64;

class Value;

/// An array of metadata: typed, lazy, a view.
class BALLAST_API Array {
 public:
  class Iterator;

  Array() noexcept = default;
  /// `bytes` are `size` elements as GGUF encodes them: numbers back to back, strings each behind a
  /// u64 length, arrays each behind a u32 element type and a u64 count.
  Array(ValueType element_type, std::uint64_t size, std::span<const std::byte> bytes) noexcept
      : bytes_(bytes), size_(size), element_type_(element_type) {}

  [[nodiscard]] ValueType element_type() const noexcept { return element_type_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// The elements as the file has them, little-endian and of any alignment.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Element `i`, empty where there is none. Constant time for numbers and bools; strings and
  /// arrays have no index, so for them the cost grows with `i`: iterate instead.
  [[nodiscard]] std::optional<Value> at(std::uint64_t i) const noexcept;

  /// All numbers at once, in the file's own type: T must be the exact type of the elements. False,
  /// and `out` untouched, where it is not, or where `out` has not `size()` items.
  template <class T>
  [[nodiscard]] bool copy_to(std::span<T> out) const noexcept;

  [[nodiscard]] Iterator begin() const noexcept;
  [[nodiscard]] Iterator end() const noexcept;

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t size_ = 0;
  ValueType element_type_ = ValueType::u8;
};

/// One value: a number, a bool, a string or an array.
class BALLAST_API Value {
 public:
  Value() noexcept = default;
  explicit Value(std::string_view text) noexcept
      : data_(reinterpret_cast<const std::byte*>(text.data())),
        size_(text.size()),
        type_(ValueType::string) {}
  explicit Value(const Array& array) noexcept
      : data_(array.bytes().data()),
        size_(array.bytes().size()),
        bits_(array.size()),
        type_(ValueType::array),
        element_type_(array.element_type()) {}
  /// A number or bool, given as the bytes that GGUF would hold, as a little-endian number.
  Value(ValueType type, std::uint64_t bits) noexcept : bits_(bits), type_(type) {}

  [[nodiscard]] ValueType type() const noexcept { return type_; }

  /// The value as a T, empty where that would lose something: an integer from every integer type
  /// whose value fits, float from f32, double from f32 and f64, bool from bool, std::string_view
  /// from strings, Array from arrays.
  template <class T>
  [[nodiscard]] std::optional<T> get() const noexcept;

  /// The bits of a number or bool as the file has them, zero-extended: exact for every NaN. 0 for
  /// strings and arrays.
  [[nodiscard]] std::uint64_t bits() const noexcept {
    return type_ == ValueType::array ? 0 : bits_;
  }

 private:
  [[nodiscard]] bool is_signed_integer() const noexcept;
  [[nodiscard]] bool is_unsigned_integer() const noexcept;
  [[nodiscard]] std::int64_t sign_extended() const noexcept;

  const std::byte* data_ = nullptr;  // of a string or of an array's elements
  std::size_t size_ = 0;             // bytes at data_
  std::uint64_t bits_ = 0;           // a scalar's bits, or an array's count
  ValueType type_ = ValueType::u8;
  ValueType element_type_ = ValueType::u8;
};

/// Steps through an array in linear time, one element at a time. A forward iterator over values
/// that are made on the way, so what it gives is a Value and no reference.
class BALLAST_API Array::Iterator {
 public:
  using value_type = Value;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::forward_iterator_tag;
  using iterator_category = std::input_iterator_tag;

  Iterator() noexcept = default;
  [[nodiscard]] Value operator*() const noexcept { return current_; }
  Iterator& operator++() noexcept {
    --left_;
    decode();
    return *this;
  }
  Iterator operator++(int) noexcept {
    Iterator before = *this;
    ++*this;
    return before;
  }
  [[nodiscard]] bool operator==(const Iterator& other) const noexcept {
    return left_ == other.left_;
  }

 private:
  friend class Array;
  Iterator(ValueType type, std::uint64_t left, std::span<const std::byte> rest) noexcept
      : rest_(rest), left_(left), type_(type) {
    decode();
  }
  void decode() noexcept;  // takes one element off rest_; ends the iteration where the bytes do not
                           // hold it

  std::span<const std::byte> rest_;
  std::uint64_t left_ = 0;
  Value current_;
  ValueType type_ = ValueType::u8;
};

/// A key with its value.
struct Entry {
  std::string_view key;  ///< raw bytes of the file; not safe to print (text.hpp)
  Value value;
  std::uint64_t offset = 0;  ///< of the entry in its file
};

/// The key-value pairs of a file, in the file's own order.
class BALLAST_API Metadata {
 public:
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return entries_; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }

  /// The value of a key, or null. Constant time.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;

  /// The value of a key as a T; empty where there is no such key or its value is no T (see
  /// Value::get).
  template <class T>
  [[nodiscard]] std::optional<T> get(std::string_view key) const noexcept {
    const Value* value = find(key);
    return value != nullptr ? value->get<T>() : std::nullopt;
  }

  /// For parsers: entries are appended, and then indexed once. `index()` answers the entry that
  /// repeats a key.
  void reserve(std::size_t count) { entries_.reserve(count); }
  void append(const Entry& entry) { entries_.push_back(entry); }
  [[nodiscard]] std::optional<std::size_t> index();

 private:
  std::vector<Entry> entries_;
  NameIndex index_;
};

// ---------------------------------------------------------------------------------------------------------------------

template <class T>
std::optional<T> Value::get() const noexcept {
  if constexpr (std::is_same_v<T, bool>) {
    if (type_ == ValueType::boolean) return bits_ != 0;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    if (type_ == ValueType::string)
      return std::string_view(reinterpret_cast<const char*>(data_), size_);
  } else if constexpr (std::is_same_v<T, Array>) {
    if (type_ == ValueType::array) return Array(element_type_, bits_, {data_, size_});
  } else if constexpr (std::is_same_v<T, float>) {
    if (type_ == ValueType::f32) return std::bit_cast<float>(static_cast<std::uint32_t>(bits_));
  } else if constexpr (std::is_same_v<T, double>) {
    if (type_ == ValueType::f32)
      return double{std::bit_cast<float>(static_cast<std::uint32_t>(bits_))};
    if (type_ == ValueType::f64) return std::bit_cast<double>(bits_);
  } else {
    static_assert(std::is_integral_v<T>,
                  "numbers, bool, std::string_view and Array can be asked for");
    if (is_unsigned_integer() && std::in_range<T>(bits_)) return static_cast<T>(bits_);
    if (is_signed_integer() && std::in_range<T>(sign_extended()))
      return static_cast<T>(sign_extended());
  }
  return std::nullopt;
}

template <class T>
bool Array::copy_to(std::span<T> out) const noexcept {
  static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
  static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");
  constexpr bool kFloat = std::is_floating_point_v<T>;
  const bool is_float = element_type_ == ValueType::f32 || element_type_ == ValueType::f64;
  const bool is_signed = element_type_ == ValueType::i8 || element_type_ == ValueType::i16 ||
                         element_type_ == ValueType::i32 || element_type_ == ValueType::i64;
  if (element_type_ == ValueType::boolean || encoded_size(element_type_) != sizeof(T)) return false;
  if (kFloat != is_float || (!kFloat && std::is_signed_v<T> != is_signed)) return false;
  if (out.size() != size_ || bytes_.size() != out.size_bytes()) return false;
  if (!out.empty()) std::memcpy(out.data(), bytes_.data(), bytes_.size());
  return true;
}

}  // namespace ballast
