#include "tests/changing_bytes/totals.hpp"

#include <chrono>
#include <cstdio>

namespace ballast::test {
namespace {

std::uint64_t now() noexcept {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

}  // namespace

double minutes_of_each_test = 0;

Rounds::Rounds() noexcept : begun_(now()) {}

bool Rounds::next() noexcept {
  const double minutes = static_cast<double>(now() - begun_) / 60'000;
  return number_++ == 0 || minutes < minutes_of_each_test;
}

Totals::~Totals() {
  std::printf("%.*s: %llu runs, %llu fetches, %llu changes\n", static_cast<int>(what_.size()),
              what_.data(), static_cast<unsigned long long>(runs_),
              static_cast<unsigned long long>(fetches_), static_cast<unsigned long long>(changes_));
}

void Totals::add(std::uint64_t fetches, std::uint64_t changes) noexcept {
  ++runs_;
  fetches_ += fetches;
  changes_ += changes;
}

}  // namespace ballast::test
