// What opening a model costs. A process of its own for each figure: bench.py runs it under
// callgrind, which counts the instructions of measured_open and of what it calls, or reads the line
// that it prints.
//
//     bench-open open FILE      opens it once
//     bench-open memory FILE    prints: growth of the resident set in bytes, tensors
//     bench-open time FILE N    prints: median milliseconds of N opens, all but the first of them
//     warm
//     bench-open memory-time FILE N    the same from bytes that are in memory already
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#ifdef __GLIBC__  // which the headers above have said
#include <malloc.h>
#endif

#include <ballast/ballast.hpp>

// Not inlined and with a plain name, so that callgrind's --toggle-collect finds it.
extern "C" [[gnu::noinline]] std::size_t measured_open(const char* path) {
  const ballast::Model model = ballast::Model::open(path);
  return model.tensors().size();
}

namespace {

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

int print_memory(const char* path) {
  const std::size_t before = resident_bytes();
  const ballast::Model model = ballast::Model::open(path);
  const std::size_t after = resident_bytes();
  std::printf("%zu %zu\n", after - before, model.tensors().size());
  return 0;
}

// Calls `open` that often, and prints the median.
template <class Open>
int print_time(int rounds, Open open) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    open();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  std::printf("%.4f\n", times[static_cast<std::size_t>(rounds) / 2]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "open" && argc == 3) {
    std::printf("%zu\n", measured_open(argv[2]));
    return 0;
  }
  if (mode == "memory" && argc == 3) return print_memory(argv[2]);
  const int rounds = argc == 4 ? std::max(1, std::atoi(argv[3])) : 0;
  if (mode == "time" && argc == 4) return print_time(rounds, [&] { measured_open(argv[2]); });
  if (mode == "memory-time" && argc == 4) {
#ifdef __GLIBC__
    // As a WebAssembly heap does, keep what is freed: page faults are not what is compared.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
    const ballast::ModelData data = ballast::ModelData::read(argv[2]);
    return print_time(rounds, [&] {
      static_cast<void>(ballast::Model::from_data(ballast::ModelData::borrow(data.bytes())));
    });
  }
  std::fprintf(stderr, "usage: bench-open open|memory FILE | time|memory-time FILE ROUNDS\n");
  return 2;
}
