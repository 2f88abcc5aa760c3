// (private) What ballast.h's values and the package's module of values share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <ballast/ballast.h>
#include <ballast/dtype.hpp>
#include <ballast/statistics.hpp>

namespace ballast::c {

static_assert(BALLAST_HISTOGRAM_BINS == Histogram::kBins);

/// The dtype of that name, in either format; `unknown` where there is none.
inline DType dtype_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return DType::unknown;
}

inline void show(const Statistics& all, ballast_statistics& out) noexcept {
  out.count = all.count;
  out.nan = all.nan;
  out.positive_infinity = all.positive_infinity;
  out.negative_infinity = all.negative_infinity;
  out.zero = all.zero;
  out.min = all.min;
  out.max = all.max;
  out.mean = all.mean;
  out.standard_deviation = all.standard_deviation;
  out.bin_width = all.histogram.bin_width;
  std::copy(all.histogram.counts.begin(), all.histogram.counts.end(), out.histogram);
}

}  // namespace ballast::c
