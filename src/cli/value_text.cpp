#include "cli/value_text.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/layout.hpp"
#include "cli/numbers.hpp"

namespace ballast::cli {
namespace {

// A character takes at most four bytes, so this many of them are enough to overflow any number of
// columns, and the rest of a long string need not be looked at.
constexpr std::size_t kBytesPerColumn = 4;
// Strings longer than this say so where they are folded: a name that is cut needs no length, a
// template does.
constexpr std::size_t kLongString = 100;

std::size_t minus(std::size_t a, std::size_t b) noexcept { return a - std::min(a, b); }

bool is_far_too_long(std::string_view text, std::size_t columns) noexcept {
  return text.size() / kBytesPerColumn > columns;
}

// Where a quote inside the text is escaped too, as a backslash already is.
std::string printable_in_quotes(std::string_view text) {
  std::string escaped;
  for (const char c : printable(text)) {
    if (c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string quoted(std::string_view text, std::size_t columns) {
  const std::size_t inside = minus(columns, 2);
  if (is_far_too_long(text, inside)) text = text.substr(0, (inside + 1) * kBytesPerColumn);
  return fmt::format("\"{}\"", fold_end(printable_in_quotes(text), inside));
}

// Not in quotes: most strings are names and words, and quotes around each of them are noise.
std::string plain(std::string_view text, std::size_t columns) {
  if (text.empty()) return quoted(text, columns);
  const bool is_cut = is_far_too_long(text, columns);
  const std::string_view head = is_cut ? text.substr(0, (columns + 1) * kBytesPerColumn) : text;
  std::string whole = printable(head);
  if (!is_cut && display_width(whole) <= columns) return whole;
  std::string length;
  if (text.size() > kLongString) length = fmt::format(" ({} bytes)", grouped(text.size()));
  return fold_end(whole, minus(columns, length.size())) + length;
}

std::string number(const Value& value) {
  if (const auto boolean = value.get<bool>()) return *boolean ? "true" : "false";
  if (const auto single = value.get<float>()) return shortest(*single);
  if (const auto precise = value.get<double>()) return shortest(*precise);
  if (const auto natural = value.get<std::uint64_t>()) return fmt::format("{}", *natural);
  return fmt::format("{}", value.get<std::int64_t>().value_or(0));
}

struct Elements {
  std::string text;
  bool is_whole = false;
};

Elements elements(const Array& array, const Room& room);

std::string element(const Value& value, const Room& room) {
  if (const auto array = value.get<Array>()) return elements(*array, room).text;
  if (const auto text = value.get<std::string_view>()) return quoted(*text, room.columns);
  return number(value);
}

// As many elements as there is room for. The first one is folded to fit; another is shown whole or
// not at all, which twice the room is enough to find out.
Elements elements(const Array& array, const Room& room) {
  std::string out = "[";
  std::size_t left = minus(room.columns, std::string_view("[, ...]").size());
  std::uint64_t shown = 0;
  for (const Value value : array) {
    if (shown == room.elements) break;
    const std::string_view comma = shown == 0 ? "" : ", ";
    const std::size_t columns = shown == 0 ? left : 2 * room.columns;
    const std::string text = element(value, {columns, room.elements});
    const std::size_t needed = comma.size() + display_width(text);
    if (shown > 0 && needed > left) break;
    out.append(comma).append(text);
    left = minus(left, needed);
    ++shown;
  }
  if (shown == array.size()) return {out + "]", true};
  return {out + (shown == 0 ? "...]" : ", ...]"), false};
}

std::string array_text(const Array& array, const Room& room) {
  Elements all = elements(array, room);
  if (all.is_whole) return std::move(all.text);
  const std::string length = fmt::format(" ({} items)", grouped(array.size()));
  const std::size_t columns = minus(room.columns, length.size());
  return fold_end(elements(array, {columns, room.elements}).text, columns) + length;
}

}  // namespace

std::string type_text(const Value& value) {
  const auto array = value.get<Array>();
  if (!array) return std::string(name(value.type()));
  return fmt::format("{}[]", name(array->element_type()));
}

std::string value_text(const Value& value, const Room& room) {
  if (const auto array = value.get<Array>()) return array_text(*array, room);
  if (const auto text = value.get<std::string_view>()) return plain(*text, room.columns);
  return number(value);
}

}  // namespace ballast::cli
