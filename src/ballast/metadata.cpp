#include <ballast/metadata.hpp>

#include <array>

#include <ballast/fetch.hpp>

namespace ballast {
namespace {

struct Row {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Row, kValueTypeCount> kTypes{{
    {"u8", 1},
    {"i8", 1},
    {"u16", 2},
    {"i16", 2},
    {"u32", 4},
    {"i32", 4},
    {"f32", 4},
    {"bool", 1},
    {"string", 0},
    {"array", 0},
    {"u64", 8},
    {"i64", 8},
    {"f64", 8},
}};

constexpr std::size_t kLengthBytes = 8;  // in front of a string
constexpr std::size_t kArrayHeadBytes =
    12;  // in front of a nested array: u32 element type, u64 count

// The number of 1, 2, 4 or 8 bytes at the start of `bytes`.
std::uint64_t load(std::span<const std::byte> bytes, std::size_t size) noexcept {
  switch (size) {
    case 1:
      return fetch<std::uint8_t>(bytes.data());
    case 2:
      return fetch<std::uint16_t>(bytes.data());
    case 4:
      return fetch<std::uint32_t>(bytes.data());
    default:
      return fetch<std::uint64_t>(bytes.data());
  }
}

// The bytes that `count` strings take at the start of `bytes`; empty where the bytes do not hold
// them.
std::optional<std::size_t> strings_extent(std::uint64_t count,
                                          std::span<const std::byte> bytes) noexcept {
  std::size_t at = 0;
  for (; count > 0; --count) {
    if (bytes.size() - at < kLengthBytes) return std::nullopt;
    const std::uint64_t length = load(bytes.subspan(at), kLengthBytes);
    at += kLengthBytes;
    if (length > bytes.size() - at) return std::nullopt;
    at += static_cast<std::size_t>(length);
  }
  return at;
}

// The same for elements of any type but array.
std::optional<std::size_t> extent(ValueType type, std::uint64_t count,
                                  std::span<const std::byte> bytes) noexcept {
  if (type == ValueType::string) return strings_extent(count, bytes);
  const std::size_t size = encoded_size(type);
  if (count > bytes.size() / size) return std::nullopt;
  return static_cast<std::size_t>(count) * size;
}

// One nested array at the start of `bytes`, with its head.
struct Nested {
  Array array;
  std::size_t length = 0;
};

std::optional<Nested> nested(std::span<const std::byte> bytes, std::uint32_t depth) noexcept;

std::optional<std::size_t> arrays_extent(std::uint64_t count, std::span<const std::byte> bytes,
                                         std::uint32_t depth) noexcept {
  std::size_t at = 0;
  for (; count > 0; --count) {
    const std::optional<Nested> inner = nested(bytes.subspan(at), depth);
    if (!inner) return std::nullopt;
    at += inner->length;
  }
  return at;
}

std::optional<Nested> nested(std::span<const std::byte> bytes, std::uint32_t depth) noexcept {
  // A file that changes under its mapping must not exhaust the stack.
  if (depth == kMaxArrayDepth || bytes.size() < kArrayHeadBytes) return std::nullopt;
  const std::uint64_t raw_type = load(bytes, 4);
  if (raw_type >= kValueTypeCount) return std::nullopt;
  const auto type = static_cast<ValueType>(raw_type);
  const std::uint64_t count = load(bytes.subspan(4), 8);
  const std::span<const std::byte> elements = bytes.subspan(kArrayHeadBytes);
  const std::optional<std::size_t> length = type == ValueType::array
                                                ? arrays_extent(count, elements, depth + 1)
                                                : extent(type, count, elements);
  if (!length) return std::nullopt;
  return Nested{Array(type, count, elements.first(*length)), kArrayHeadBytes + *length};
}

struct Element {
  Value value;
  std::size_t length = 0;
};

// The first element of `bytes`, or nothing where it is not wholly there.
std::optional<Element> first_element(ValueType type, std::span<const std::byte> bytes) noexcept {
  if (type == ValueType::array) {
    const std::optional<Nested> inner = nested(bytes, 0);
    if (!inner) return std::nullopt;
    return Element{Value(inner->array), inner->length};
  }
  if (type == ValueType::string) {
    const std::optional<std::size_t> length = strings_extent(1, bytes);
    if (!length) return std::nullopt;
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + kLengthBytes;
    return Element{Value(std::string_view(text, *length - kLengthBytes)), *length};
  }
  const std::size_t size = encoded_size(type);
  if (bytes.size() < size) return std::nullopt;
  return Element{Value(type, load(bytes, size)), size};
}

}  // namespace

std::string_view name(ValueType type) noexcept {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::size_t encoded_size(ValueType type) noexcept {
  return kTypes[static_cast<std::size_t>(type)].size;
}

bool Value::is_unsigned_integer() const noexcept {
  return type_ == ValueType::u8 || type_ == ValueType::u16 || type_ == ValueType::u32 ||
         type_ == ValueType::u64;
}

bool Value::is_signed_integer() const noexcept {
  return type_ == ValueType::i8 || type_ == ValueType::i16 || type_ == ValueType::i32 ||
         type_ == ValueType::i64;
}

std::int64_t Value::sign_extended() const noexcept {
  const auto unused = static_cast<unsigned>(64 - 8 * encoded_size(type_));
  return static_cast<std::int64_t>(bits_ << unused) >> unused;
}

Array::Iterator Array::begin() const noexcept { return {element_type_, size_, bytes_}; }

Array::Iterator Array::end() const noexcept { return {element_type_, 0, {}}; }

std::optional<Value> Array::at(std::uint64_t i) const noexcept {
  if (i >= size_) return std::nullopt;
  if (const std::size_t size = encoded_size(element_type_); size != 0) {
    if (i >= bytes_.size() / size) return std::nullopt;
    return Value(element_type_, load(bytes_.subspan(static_cast<std::size_t>(i) * size), size));
  }
  Iterator it = begin();
  for (; i > 0 && it != end(); --i) ++it;
  if (it == end()) return std::nullopt;
  return *it;
}

void Array::Iterator::decode() noexcept {
  if (left_ == 0) return;
  const std::optional<Element> element = first_element(type_, rest_);
  if (!element) {
    left_ = 0;
    return;
  }
  current_ = element->value;
  rest_ = rest_.subspan(element->length);
}

const Value* Metadata::find(std::string_view key) const noexcept {
  const auto position = index_.find({entries(), &Entry::key}, key);
  return position ? &entries_[*position].value : nullptr;
}

std::optional<std::size_t> Metadata::index() { return index_.build({entries(), &Entry::key}); }

}  // namespace ballast
