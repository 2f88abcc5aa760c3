// What the benchmarks that compare two ways share: the clock, and the order in which they run.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace ballast::bench {

/// Seconds by the clock on the wall; or, with BALLAST_BENCH_CLOCK=cpu in the environment, those
/// that the process had a processor, all of its threads together: on a machine that others use,
/// too, the ways that have one thread can be compared by that.
inline double now() {
  static const char* const wanted = std::getenv("BALLAST_BENCH_CLOCK");
  static const bool is_cpu = wanted != nullptr && std::string_view(wanted) == "cpu";
  timespec time{};
  clock_gettime(is_cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

template <class Work>
double seconds(Work&& work) {
  const double start = now();
  work();
  return now() - start;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Prints one line: the median ratio of the rounds (plain time over Ballast's: 1 is as fast, more
/// is faster), then GB/s of Ballast and of the plain way, of which each gives `bytes`. The two
/// alternate, first one ahead and then the other, so that neither has the warmer machine. Each runs
/// once beforehand: what is read comes from the page cache.
template <class Plain, class Ours>
void print_comparison(std::size_t bytes, int rounds, Plain&& plain, Ours&& ours) {
  plain();
  ours();
  std::vector<double> ratios;
  std::vector<double> plain_times;
  std::vector<double> our_times;
  for (int i = 0; i < rounds; ++i) {
    double first = 0;
    if (i % 2 == 0) first = seconds(plain);
    our_times.push_back(seconds(ours));
    plain_times.push_back(i % 2 == 0 ? first : seconds(plain));
    ratios.push_back(plain_times.back() / our_times.back());
  }
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  std::printf("%.3f %.3f %.3f\n", median(ratios), gigabytes / median(our_times),
              gigabytes / median(plain_times));
}

}  // namespace ballast::bench
