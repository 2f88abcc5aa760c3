#include "tests/support/sample.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/support/random.hpp"

namespace ballast::test {

Bytes bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes out(size);
  for (std::byte& byte : out) byte = static_cast<std::byte>(random.next() >> 56);
  return out;
}

void append(Bytes& out, std::span<const std::byte> more) {
  out.insert(out.end(), more.begin(), more.end());
}

void append_number(Bytes& out, std::uint64_t number, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(number >> (8 * i)));
}

std::uint64_t Sample::at(std::string_view mark) const {
  const auto found = marks_.find(mark);
  if (found == marks_.end()) throw std::logic_error("no mark " + std::string(mark));
  return found->second;
}

Sample Sample::with_bytes(std::string_view mark, std::span<const std::byte> replacement) const {
  const std::uint64_t place = at(mark);
  if (replacement.size() > size() - place) throw std::logic_error("a mutation behind the end");
  Sample changed = *this;
  std::ranges::copy(replacement, changed.bytes_.begin() + static_cast<std::ptrdiff_t>(place));
  return changed;
}

Sample Sample::with_text(std::string_view mark, std::string_view replacement) const {
  return with_bytes(mark, std::as_bytes(std::span(replacement)));
}

Sample Sample::cut(std::uint64_t size) const {
  if (size > bytes_.size()) throw std::logic_error("a cut behind the end");
  Sample changed = *this;
  changed.bytes_.resize(static_cast<std::size_t>(size));
  changed.bytes_.shrink_to_fit();  // so that sanitizers see a read behind the cut
  return changed;
}

Sample Sample::with_tail(std::span<const std::byte> tail) const {
  Sample changed = *this;
  changed.write(tail);
  return changed;
}

}  // namespace ballast::test
