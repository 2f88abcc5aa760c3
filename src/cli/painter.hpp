// Painter: the few colours of the tables, or none.
//
// Bold for what one looks for, grey for what one looks up, yellow for what is odd. Nothing else.
#pragma once

#include <string>
#include <string_view>

namespace ballast::cli {

class Painter {
 public:
  explicit Painter(bool colour) noexcept : colour_(colour) {}

  [[nodiscard]] std::string bold(std::string_view text) const { return paint("1", text); }
  [[nodiscard]] std::string grey(std::string_view text) const { return paint("2", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return paint("33", text); }

 private:
  // Select Graphic Rendition (ECMA-48, 8.3.117).
  [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const {
    if (!colour_ || text.empty()) return std::string(text);
    return std::string("\x1b[").append(code).append("m").append(text).append("\x1b[0m");
  }

  bool colour_;
};

}  // namespace ballast::cli
