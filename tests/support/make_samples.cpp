// make-samples FOLDER                    writes the small sample models
// make-samples FOLDER --bench [NAME...]  makes the inputs of the benchmarks, all or those named,
// and prints their paths
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string_view>
#include <vector>

#include "tests/support/samples.hpp"

namespace {

int usage() {
  std::fputs("usage: make-samples FOLDER [--bench [NAME...]]\nnames:", stderr);
  for (const std::string_view name : ballast::test::bench_sample_names()) {
    std::fprintf(stderr, " %.*s", static_cast<int>(name.size()), name.data());
  }
  std::fputs("\n", stderr);
  return 2;
}

void make_bench_samples(const std::filesystem::path& folder, std::vector<std::string_view> names) {
  if (names.empty()) names = ballast::test::bench_sample_names();
  for (const std::string_view name : names) {
    std::puts(ballast::test::make_bench_sample(folder, name).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const bool bench = arguments.size() > 1 && arguments[1] == "--bench";
  if (arguments.empty() || arguments[0].starts_with("-") || (arguments.size() > 1 && !bench))
    return usage();
  const std::filesystem::path folder(arguments[0]);
  std::filesystem::create_directories(folder);
  if (bench) {
    make_bench_samples(folder, {arguments.begin() + 2, arguments.end()});
  } else {
    ballast::test::write_small_samples(folder);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make-samples: %s\n", error.what());
  return 1;
}
