// What must hold of every directory, and of every refusal; and what a directory says, as a number
// that two of them can be compared by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <ballast/directory.hpp>
#include <ballast/text.hpp>

#include "tests/fuzz/require.hpp"
#include "tests/support/oracle.hpp"

namespace ballast::test {

/// A hash of everything that is added, in this order.
class Digest {
 public:
  void add(std::uint64_t number) noexcept {
    state_ = (state_ ^ number) * 0x9E3779B97F4A7C15U;
    state_ ^= state_ >> 31;
  }
  void add(std::optional<std::uint64_t> number) noexcept {
    add(number ? 1U : 0U);
    add(number.value_or(0));
  }
  void add(std::string_view text) noexcept {
    add(std::uint64_t{text.size()});
    for (const char byte : text) add(std::uint64_t{static_cast<unsigned char>(byte)});
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 1;
};

// Every element of every array, and every string.
inline void add_value(Digest& digest, const Value& value) {
  digest.add(static_cast<std::uint64_t>(value.type()));
  digest.add(value.bits());
  if (const auto text = value.get<std::string_view>()) digest.add(*text);
  const std::optional<Array> array = value.get<Array>();
  if (!array) return;
  digest.add(static_cast<std::uint64_t>(array->element_type()));
  digest.add(array->size());
  std::uint64_t count = 0;
  for (const Value element : *array) {
    require(element.type() == array->element_type(), "an element has the type of its array");
    if (count < 3)
      require(array->at(count)->bits() == element.bits(), "at() gives what a loop does");
    add_value(digest, element);
    ++count;
  }
  require(count == array->size(), "an array has as many elements as it says");
  require(!array->at(count), "there is none behind its last element");
}

// Those of bytes behind the model, or all others.
inline void add_warnings(Digest& digest, std::span<const Warning> warnings, bool of_its_end) {
  for (const Warning& warning : warnings) {
    if ((warning.code == Errc::trailing_bytes) != of_its_end) continue;
    digest.add(static_cast<std::uint64_t>(warning.code));
    digest.add(warning.offset);
    digest.add(warning.message);
  }
}

/// What a directory says, but for what only the end of the file tells.
inline std::uint64_t digest_of(const Directory& directory) {
  Digest digest;
  digest.add(static_cast<std::uint64_t>(directory.format));
  digest.add(directory.version);
  digest.add(directory.alignment);
  digest.add(directory.data_offset);
  for (const Entry& entry : directory.metadata) {
    digest.add(entry.key);
    digest.add(entry.offset);
    add_value(digest, entry.value);
  }
  for (const Tensor& tensor : directory.tensors) {
    digest.add(tensor.name);
    digest.add(tensor.dtype_name);
    digest.add(static_cast<std::uint64_t>(tensor.dtype));
    digest.add(tensor.offset);
    digest.add(tensor.nbytes);
    for (const std::uint64_t dim : tensor.shape) digest.add(dim);
  }
  add_warnings(digest, directory.warnings, false);
  return digest.value();
}

/// What only the end of the file tells.
inline std::uint64_t digest_of_end(const Directory& directory) {
  Digest digest;
  digest.add(directory.data_end);
  digest.add(directory.padded_end);
  add_warnings(digest, directory.warnings, true);
  return digest.value();
}

/// Whether text may go to a terminal as it is: UTF-8 without control characters of ASCII or of
/// Latin-1, and without what changes the direction of text.
inline bool is_safe(std::string_view text) {
  const auto is_in = [](char32_t character, char32_t first, char32_t last) {
    return character >= first && character <= last;
  };
  while (!text.empty()) {
    const Utf8Step step = decode_utf8(text);
    const char32_t character = step.character;
    if (!step.valid || character < 0x20 || is_in(character, 0x7F, 0x9F)) return false;
    if (is_in(character, 0x202A, 0x202E) || is_in(character, 0x2066, 0x2069)) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

/// Every key leads to its value, and every tensor is found and lies in the file.
inline void check_directory(const Directory& directory, std::uint64_t total) {
  require(!directory.tensors.empty() || directory.data_offset <= total,
          "a header ends in its file");
  for (const Entry& entry : directory.metadata) {
    require(directory.metadata.find(entry.key) == &entry.value, "a key is found by its name");
  }
  const std::string fault = layout_fault(directory, total);
  require(fault.empty(), "tensors lie in the file and do not overlap:", fault);
  for (const Warning& warning : directory.warnings) {
    require(warning.offset.value_or(0) <= total, "a warning is about a byte of the file");
    require(is_safe(warning.message), "a warning may be shown as it is");
  }
}

/// The code of a refusal of an input of `total` bytes, which must be one of the table.
inline Errc check_error(const Error& error, std::uint64_t total) {
  require(error.code().category() == category(), "a refusal has a code of the table");
  require(is_safe(error.what()), "a refusal may be shown as it is");
  require(std::string_view(error.what()).size() < 600, "a refusal is short");
  require(error.offset().value_or(0) <= total, "a refusal is about a byte of the file",
          error.what());
  return static_cast<Errc>(error.code().value());
}

}  // namespace ballast::test
