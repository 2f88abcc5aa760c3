#include "cli/numbers.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <string_view>

#include <fmt/format.h>

namespace ballast::cli {
namespace {

constexpr std::array<std::string_view, 7> kByteUnits{"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
constexpr std::array<std::string_view, 7> kCountUnits{"", "K", "M", "B", "T", "Qa", "Qi"};

// The limits are where fewer decimals would round up to the next power of ten.
int decimals_for_three_digits(double value) noexcept {
  if (value < 9.995) return 2;
  return value < 99.95 ? 1 : 0;
}

std::string human(std::uint64_t number, std::span<const std::string_view> units) {
  if (number < 1000) return fmt::format("{} {}", number, units[0]);
  auto value = static_cast<double>(number);
  std::size_t unit = 0;
  for (; value >= 999.5; ++unit) value /= 1000;
  return fmt::format("{:.{}f} {}", value, decimals_for_three_digits(value), units[unit]);
}

// The digits of a positive number and the place of its decimal point: 0.d1d2d3 * 10^point.
struct Decimal {
  std::string digits;
  int point = 0;
};

template <class T>
Decimal shortest_decimal(T number) {
  std::array<char, 64> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::scientific);
  const std::string_view all(text.data(), static_cast<std::size_t>(end - text.data()));
  const std::size_t mark = all.find('e');
  Decimal decimal;
  for (const char c : all.substr(0, mark)) {
    if (c != '.') decimal.digits += c;
  }
  const std::size_t exponent = mark + (all[mark + 1] == '+' ? 2 : 1);
  std::from_chars(all.data() + exponent, all.data() + all.size(), decimal.point);
  ++decimal.point;
  return decimal;
}

// ECMA-262, Number::toString, steps 6 to 10.
std::string lay_out(const Decimal& decimal) {
  const std::string& digits = decimal.digits;
  const auto count = static_cast<int>(digits.size());
  const int point = decimal.point;
  if (count <= point && point <= 21) {
    return digits + std::string(static_cast<std::size_t>(point - count), '0');
  }
  if (0 < point && point <= 21) {
    const auto whole = static_cast<std::size_t>(point);
    return digits.substr(0, whole) + "." + digits.substr(whole);
  }
  if (-6 < point && point <= 0) {
    return "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  }
  const std::string fraction = count > 1 ? "." + digits.substr(1) : "";
  return fmt::format("{}{}e{:+}", digits[0], fraction, point - 1);
}

template <class T>
std::string shortest_of(T number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  if (number == 0) return std::signbit(number) ? "-0.0" : "0";
  const std::string text = lay_out(shortest_decimal(std::fabs(number)));
  return number < 0 ? "-" + text : text;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  return bytes == 1 ? "1 byte" : human(bytes, kByteUnits);
}

std::string human_count(std::uint64_t count) {
  return count < 1000 ? fmt::format("{}", count) : human(count, kCountUnits);
}

std::string shortest(float number) { return shortest_of(number); }
std::string shortest(double number) { return shortest_of(number); }

}  // namespace ballast::cli
