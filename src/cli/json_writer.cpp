#include "cli/json_writer.hpp"

#include <cmath>

#include <ballast/text.hpp>

#include "cli/numbers.hpp"

namespace ballast::cli {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kLongestCharacter = 4;               // bytes, in UTF-8

bool is_plain(char c) noexcept { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

std::size_t plain_length(std::string_view text) noexcept {
  std::size_t n = 0;
  while (n < text.size() && is_plain(text[n])) ++n;
  return n;
}

}  // namespace

void JsonWriter::begin(char bracket, Layout layout) {
  begin_value();
  output_.write(bracket);
  levels_.push_back({layout});
}

void JsonWriter::end(char bracket) {
  const Level level = levels_.back();
  levels_.pop_back();
  if (level.layout == Layout::lines && !level.is_empty) new_line();
  output_.write(bracket);
  if (levels_.empty()) output_.write('\n');
}

void JsonWriter::key(std::string_view name) {
  begin_value();
  quoted(name);
  output_.write(": ");
  after_key_ = true;
}

void JsonWriter::string(std::string_view text) {
  begin_value();
  quoted(text);
}

void JsonWriter::number(std::uint64_t number) {
  begin_value();
  output_.print("{}", number);
}

void JsonWriter::number(std::int64_t number) {
  begin_value();
  output_.print("{}", number);
}

void JsonWriter::number(float number) {
  begin_value();
  if (std::isfinite(number)) return output_.write(shortest(number));
  quoted(shortest(number));
}

void JsonWriter::number(double number) {
  begin_value();
  if (std::isfinite(number)) return output_.write(shortest(number));
  quoted(shortest(number));
}

void JsonWriter::boolean(bool value) {
  begin_value();
  output_.write(value ? "true" : "false");
}

void JsonWriter::null() {
  begin_value();
  output_.write("null");
}

void JsonWriter::number_or_null(const std::optional<std::uint64_t>& optional) {
  if (optional.has_value()) {
    number(*optional);
  } else {
    null();
  }
}

void JsonWriter::begin_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (!level.is_empty) output_.write(level.layout == Layout::lines ? "," : ", ");
  level.is_empty = false;
  if (level.layout == Layout::lines) new_line();
}

void JsonWriter::new_line() {
  output_.write('\n');
  for (std::size_t i = 0; i < levels_.size(); ++i) output_.write("  ");
}

// Strings of a mapped file may change meanwhile: each piece is copied, and only the copy is read.
void JsonWriter::quoted(std::string_view text) {
  constexpr std::size_t kPiece = 4096;
  output_.write('"');
  while (!text.empty()) {
    piece_.assign(text.substr(0, kPiece));
    const bool is_last = piece_.size() == text.size();
    text.remove_prefix(characters(piece_, is_last ? 0 : kLongestCharacter - 1));
  }
  output_.write('"');
}

// Writes characters until at most `keep` bytes are left, and returns how many bytes they took.
std::size_t JsonWriter::characters(std::string_view text, std::size_t keep) {
  const std::size_t size = text.size();
  while (text.size() > keep) {
    const std::size_t plain = plain_length(text);
    output_.write(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.size() <= keep) break;
    const Utf8Step step = decode_utf8(text);
    if (!step.valid) {
      output_.write(kReplacement);
    } else if (step.character >= 0x80 && is_printable(step.character)) {
      output_.write(text.substr(0, step.length));
    } else {
      escaped(step.character);
    }
    text.remove_prefix(step.length);
  }
  return size - text.size();
}

void JsonWriter::escaped(char32_t character) {
  switch (character) {
    case U'"':
      return output_.write("\\\"");
    case U'\\':
      return output_.write("\\\\");
    case U'\n':
      return output_.write("\\n");
    case U'\r':
      return output_.write("\\r");
    case U'\t':
      return output_.write("\\t");
    default:
      break;
  }
  auto unit = static_cast<std::uint32_t>(character);
  if (unit >= 0x10000) {  // two UTF-16 code units (RFC 8259, section 7)
    unit -= 0x10000;
    output_.print("\\u{:04x}", 0xD800 + (unit >> 10));
    unit = 0xDC00 + (unit & 0x3FF);
  }
  output_.print("\\u{:04x}", unit);
}

}  // namespace ballast::cli
