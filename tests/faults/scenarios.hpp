// What is done while calls or allocations fail: every way in which a model comes to memory.
#pragma once

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <ballast/loader.hpp>

namespace ballast::test {

/// A load that seemed to work, and did not; or an answer that cannot be.
struct WrongAnswer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Scenario {
  std::string name;
  /// Loads, and compares what came with what is right. Throws what the library throws, or
  /// WrongAnswer.
  std::function<void()> run;
  /// Of the files that an error may be about; empty where the bytes have no path.
  std::vector<std::filesystem::path> files{};
  /// Nobody knows how many bytes there are: those that came before the end are right.
  bool has_no_size = false;
};

/// All of them; their files are there as long as the program runs.
[[nodiscard]] const std::vector<Scenario>& scenarios();

/// Those in which somebody mapped a file and gives advice about it.
[[nodiscard]] const std::vector<Scenario>& advice_scenarios();

/// Throws WrongAnswer where a loader that has thrown holds bytes, or takes more of them.
void require_ended(Loader& loader);

/// Where their files are.
[[nodiscard]] const std::filesystem::path& scenario_folder();

}  // namespace ballast::test
