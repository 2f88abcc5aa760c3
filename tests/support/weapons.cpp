#include "tests/support/weapons.hpp"

#include <string_view>

#include <ballast/text.hpp>

namespace ballast::test {
namespace {

using std::string_view_literals::operator""sv;

std::vector<std::string> made() {
  std::vector<std::string> all;
  const auto add = [&](std::string_view weapon) { all.push_back("<" + std::string(weapon) + ">"); };
  const auto add_character = [&](char32_t character) {
    std::string text;
    append_utf8(text, character);
    add(text);
  };
  for (char32_t control = 0; control < 0x20; ++control) add_character(control);
  for (char32_t control = 0x7F; control < 0xA0; ++control) add_character(control);
  for (const char32_t character :
       {0x00ADU, 0x034FU, 0x061CU, 0x115FU, 0x180EU,  0x200BU,  0x200CU,  0x200DU,  0x200EU,
        0x200FU, 0x2028U, 0x2029U, 0x202AU, 0x202BU,  0x202CU,  0x202DU,  0x202EU,  0x2060U,
        0x2066U, 0x2067U, 0x2068U, 0x2069U, 0x206AU,  0x206FU,  0x3164U,  0xFEFFU,  0xFFF9U,
        0xFFFAU, 0xFFFBU, 0xFFFEU, 0xFFFFU, 0xE0001U, 0xE0020U, 0xE007FU, 0x10FFFFU}) {
    add_character(character);
  }
  for (const std::string_view text :
       {"\x1B[31m"sv, "\x1B[2J"sv, "\x1B]0;title\x07"sv,
        "\x1B]8;;https://example.com\x1B\\link\x1B]8;;\x1B\\"sv, "\x1BPq\x1B\\"sv,
        "\x1B]52;c;YQ==\x07"sv, "a\0b"sv, "script>alert(1)</script"sv,
        "img src=x onerror=alert(1)"sv, "a href=javascript:alert(1)"sv, "__proto__"sv,
        "constructor"sv, "prototype"sv, "\u202Egpj.exe"sv}) {
    add(text);
  }
  return all;
}

}  // namespace

const std::vector<std::string>& weapons() {
  static const std::vector<std::string> kAll = made();
  return kAll;
}

}  // namespace ballast::test
