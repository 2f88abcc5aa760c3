// Every system call of the platform layer fails, in every way that it can: then there is an Error
// that says so, or a load that is right, and nothing is left behind.
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>
#include <ballast/model_data.hpp>

#include "tests/faults/scenarios.hpp"
#include "tests/faults/system_calls.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

/// What a process has that a load may leave behind.
struct Belongings {
  Held held;
  std::ptrdiff_t descriptors;
  std::ptrdiff_t mapped_files;

  friend bool operator==(const Belongings&, const Belongings&) = default;
};

std::ptrdiff_t mapped_files() {
  std::ifstream maps("/proc/self/maps");
  const std::string folder = scenario_folder().string();
  std::ptrdiff_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(folder) != std::string::npos) ++count;
  }
  return count;
}

Belongings belongings() {
  const auto all = fs::directory_iterator("/proc/self/fd");
  return {held(), std::distance(begin(all), end(all)), mapped_files()};
}

// ---- What is due -------------------------------------------------------------------------------

/// Calls that are repeated where a signal interrupts them.
bool is_repeated(Call call) noexcept {
  constexpr std::array kRepeated{Call::open,  Call::fcntl, Call::fstat, Call::stat,
                                 Call::pread, Call::read,  Call::poll};
  return std::ranges::find(kRepeated, call) != kRepeated.end();
}

/// Calls whose failure costs time or memory, and no load.
bool is_no_matter(Call call) noexcept {
  constexpr std::array kNoMatter{Call::lseek,   Call::munmap,    Call::madvise,
                                 Call::stat,    Call::close,     Call::posix_fadvise,
                                 Call::sysconf, Call::getrlimit, Call::thread};
  return std::ranges::find(kNoMatter, call) != kNoMatter.end();
}

/// Whether nothing but a load that is right is an answer to a fault.
bool must_succeed(const Fault& fault) noexcept {
  if (fault.effect != Effect::error) return fault.effect != Effect::nothing;
  if (is_no_matter(fault.call)) return true;
  if (fault.call == Call::read && fault.number == EAGAIN) return true;
  return fault.number == EINTR && is_repeated(fault.call);
}

/// Whether a file whose end came early is refused with a code that says so.
bool says_that_bytes_are_missing(const Error& error) {
  constexpr std::array kMissing{Errc::file_changed, Errc::truncated, Errc::truncated_stream,
                                Errc::outside_file, Errc::empty_file};
  return std::ranges::any_of(kMissing, [&](Errc code) { return error.code() == code; });
}

bool says_what_happened(const Fault& fault, const Error& error) {
  if (fault.effect == Effect::nothing) return says_that_bytes_are_missing(error);
  if (error.code() == std::error_code(fault.number, std::system_category())) return true;
  if (fault.call == Call::mmap && error.code() == Errc::out_of_memory) return true;
  return fault.number == ENOENT && error.code() == Errc::missing_shard;
}

bool is_about(const Scenario& scenario, const Error& error) {
  if (scenario.files.empty()) return error.path().empty();
  return std::ranges::any_of(scenario.files,
                             [&](const fs::path& file) { return error.path() == file.string(); });
}

/// What is wrong with an error; empty where it is the right one.
std::string fault_of(const Scenario& scenario, const Fault& fault, const Error& error) {
  if (must_succeed(fault)) return std::string("refused: ") + error.what();
  if (!says_what_happened(fault, error)) return std::string("the wrong code: ") + error.what();
  if (!is_about(scenario, error)) return std::string("the wrong path: ") + error.what();
  return {};
}

// ---- One after the other -----------------------------------------------------------------------

/// What is wrong with a load in which a call fails; empty where nothing is.
std::string run_with(const Scenario& scenario, const Fault& fault, std::uint64_t nth,
                     bool lasting) {
  std::string wrong;
  const Belongings before = belongings();
  try {
    const Injection injection(fault, nth, lasting);
    scenario.run();
  } catch (const Error& error) {
    wrong = fault_of(scenario, fault, error);
  } catch (const WrongAnswer& answer) {
    const bool has_ended_early = scenario.has_no_size && fault.effect == Effect::nothing;
    if (!has_ended_early) wrong = answer.what();
  } catch (const std::exception& other) {
    wrong = std::string("an exception: ") + other.what();
  }
  if (wrong.empty() && belongings() != before) wrong = "something is left behind";
  if (wrong.empty()) return {};
  return scenario.name + ", " + to_text(fault) + ", number " + std::to_string(nth) +
         (lasting ? " and later: " : ": ") + wrong;
}

/// How many calls of each kind a load makes where none fails.
std::array<std::uint64_t, kCallCount> count_calls(const Scenario& scenario) {
  std::array<std::uint64_t, kCallCount> counts{};
  const auto all = [&](auto change) {
    for (std::size_t i = 0; i < kCallCount; ++i) change(counts[i], calls_of(static_cast<Call>(i)));
  };
  all([](std::uint64_t& count, std::uint64_t now) { count = now; });
  scenario.run();
  all([](std::uint64_t& count, std::uint64_t now) { count = now - count; });
  return counts;
}

/// Lets the first, the second and every later call fail.
void run_with_all(const Scenario& scenario, const Fault& fault, std::uint64_t count, bool lasting) {
  for (std::uint64_t nth = 1; nth <= count; ++nth) {
    const std::string wrong = run_with(scenario, fault, nth, lasting);
    if (!wrong.empty()) FAIL_CHECK(wrong);
  }
}

/// Byte by byte a large file takes seconds.
bool is_small(const Scenario& scenario) {
  constexpr std::uintmax_t kSmall = 100'000;
  return std::ranges::all_of(scenario.files,
                             [](const fs::path& file) { return fs::file_size(file) < kSmall; });
}

/// A call that goes on being interrupted, or having nothing yet, is repeated for ever, as it
/// should.
bool may_last(const Scenario& scenario, const Fault& fault) {
  if (fault.effect == Effect::one_byte) return is_small(scenario);
  return !(fault.effect == Effect::error && ((fault.number == EINTR && is_repeated(fault.call)) ||
                                             (fault.number == EAGAIN && fault.call == Call::read)));
}

void run_all(const std::vector<Scenario>& all) {
  for (const Scenario& scenario : all) {
    const auto counts = count_calls(scenario);
    for (const Fault& fault : faults()) {
      const std::uint64_t count = counts[static_cast<std::size_t>(fault.call)];
      run_with_all(scenario, fault, count, false);
      if (may_last(scenario, fault)) run_with_all(scenario, fault, count, true);
    }
  }
}

TEST_CASE("a load that a system call fails in is right, or an error that says so") {
  run_all(scenarios());
}

TEST_CASE("advice that fails changes no byte") { run_all(advice_scenarios()); }

TEST_CASE("every call that can be made to fail is made by some load") {
  std::array<std::uint64_t, kCallCount> total{};
  for (const auto* all : {&scenarios(), &advice_scenarios()}) {
    for (const Scenario& scenario : *all) {
      const auto counts = count_calls(scenario);
      for (std::size_t i = 0; i < kCallCount; ++i) total[i] += counts[i];
    }
  }
  // It takes several cores.
  constexpr std::array kByMachine{Call::thread};
  for (std::size_t i = 0; i < kCallCount; ++i) {
    const auto call = static_cast<Call>(i);
    if (std::ranges::find(kByMachine, call) == kByMachine.end()) {
      CAPTURE(name_of(call));
      CHECK(total[i] > 0);
    } else if (total[i] == 0) {
      WARN("on this machine nothing calls " << name_of(call));
    }
  }
}

TEST_CASE("the test sees what a load leaves behind") {
  const std::filesystem::path file = scenarios().front().files.front();  // which are made once
  const Belongings before = belongings();
  const ModelData kept = ModelData::open_mmap(file);
  const Belongings now = belongings();
  CHECK(now.held.descriptors == before.held.descriptors + 1);
  CHECK(now.held.mapped_bytes > before.held.mapped_bytes);
  CHECK(now.descriptors == before.descriptors + 1);
  CHECK(now.mapped_files == before.mapped_files + 1);
}

}  // namespace
}  // namespace ballast::test
