#include "tests/support/hostile.hpp"

#include <algorithm>
#include <memory>
#include <span>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/text.hpp>

#include "tests/support/oracle.hpp"

namespace ballast::test {
namespace {

std::string shown(std::optional<std::uint64_t> number) {
  return number ? std::to_string(*number) : "none";
}

std::optional<std::uint64_t> place(const Sample& sample, std::string_view mark) {
  if (mark == kNowhere) return std::nullopt;
  return sample.at(mark);
}

void check_refusal(const HostileRow& row, const Error& error) {
  CAPTURE(error.what());
  CHECK(name(error.code()) == name(row.refusal));
  CHECK(shown(error.offset()) == shown(place(row.sample, row.at)));
  CHECK(error.subject() == row.subject);
  if (row.expected) CHECK(shown(error.expected()) == shown(row.expected));
  if (row.actual) CHECK(shown(error.actual()) == shown(row.actual));
  const std::string_view what = error.what();
  CHECK(is_utf8(what));
  CHECK(what.find_first_of("\n\r\x1B") == std::string_view::npos);
  CHECK(what.size() < 600);
}

void check_acceptance(const HostileRow& row, const Directory& directory) {
  std::string found;
  std::string due;
  const auto say = [](std::string& out, Errc code, std::optional<std::uint64_t> at) {
    out += std::string(name(code)) + " at " + shown(at) + "\n";
  };
  for (const Warning& warning : directory.warnings) say(found, warning.code, warning.offset);
  for (const Odd& odd : row.odd) say(due, odd.code, place(row.sample, odd.at));
  CHECK(found == due);
  CHECK(layout_fault(directory, row.sample.size()).empty());
}

}  // namespace

std::set<Errc> check_row(const HostileRow& row) {
  INFO("row: " << row.fact);
  // Exactly as long as the file, so that a sanitizer sees every byte that is read behind it.
  const std::size_t size = row.sample.size();
  const auto exact = std::make_unique<std::byte[]>(size);
  std::ranges::copy(row.sample.bytes(), exact.get());
  const std::span<const std::byte> bytes(exact.get(), size);
  std::set<Errc> seen;
  try {
    const Directory directory = parse_whole(bytes, row.options);
    for (const Warning& warning : directory.warnings) seen.insert(warning.code);
    if (row.refusal == Errc::ok) {
      check_acceptance(row, directory);
    } else {
      FAIL_CHECK("accepted, but it must be refused as " << name(row.refusal));
    }
  } catch (const Error& error) {
    seen.insert(static_cast<Errc>(error.code().value()));
    if (row.refusal == Errc::ok) {
      FAIL_CHECK("refused, but it must be accepted: " << error.what());
    } else {
      check_refusal(row, error);
    }
  }
  return seen;
}

}  // namespace ballast::test
