// JsonWriter: JSON (RFC 8259) as it is written, nothing kept in memory.
//
//     JsonWriter json(output);
//     json.begin_object(JsonWriter::Layout::lines);
//     json.key("shape");
//     json.begin_array(JsonWriter::Layout::inline_);
//     json.number(std::uint64_t{4096});
//     json.end_array();
//     json.end_object();
//
// The writer puts commas, line breaks and indentation; the caller sees to it that objects alternate
// between keys and values and that everything begun is ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.hpp"

namespace ballast::cli {

class JsonWriter {
 public:
  /// How the members of an object or array are set: each on a line of its own, or behind each
  /// other.
  enum class Layout : std::uint8_t { lines, inline_ };

  explicit JsonWriter(Output& output) : output_(output) {}

  void begin_object(Layout layout) { begin('{', layout); }
  void end_object() { end('}'); }
  void begin_array(Layout layout) { begin('[', layout); }
  void end_array() { end(']'); }
  void key(std::string_view name);

  /// Any bytes. What is not UTF-8 becomes U+FFFD, one for each maximal subpart (Unicode 3.9); what
  /// could repaint or reorder a terminal (control characters, bidi controls, line separators) is
  /// escaped, although JSON would allow it.
  void string(std::string_view text);
  void number(std::uint64_t number);
  void number(std::int64_t number);
  /// Shortest digits; NaN and the infinities, which JSON has no numbers for, as strings.
  void number(float number);
  void number(double number);
  void boolean(bool value);
  void null();

  /// The number, or null.
  void number_or_null(const std::optional<std::uint64_t>& optional);

 private:
  struct Level {
    Layout layout;
    bool is_empty = true;
  };

  void begin(char bracket, Layout layout);
  void end(char bracket);
  void begin_value();  // the comma and the space before a value, where it is not a member's
  void new_line();
  void quoted(std::string_view text);
  std::size_t characters(std::string_view text, std::size_t keep);
  void escaped(char32_t character);

  Output& output_;
  std::vector<Level> levels_;
  bool after_key_ = false;
  std::string piece_;  // of the string that is being written
};

}  // namespace ballast::cli
