// Values of a dtype: how fast blocks become floats, beside a memset of the same floats, and how
// fast statistics of them are, beside the decoding. One thread; all memory was touched before.
//
//     bench-values DTYPE ROUNDS    decoding over memset, statistics over decoding, GB/s of floats
//     of
//                                  memset, decoding and statistics, seconds of decoding
//     bench-values                 the dtypes that float holds, and that are not copied
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include <ballast/ballast.hpp>

#include "tests/bench/measure.hpp"

namespace {

using ballast::DType;
using ballast::bench::median;
using ballast::bench::seconds;

constexpr std::size_t kValues = std::size_t{32} << 20;
constexpr std::size_t kPiece = 2048;

// Bytes of which any two are a binary16 of ordinary size: no NaN, no infinity, no subnormal. The
// script for Node makes the same.
std::vector<std::byte> make_blocks(DType dtype) {
  std::vector<std::byte> bytes(ballast::packed_size(dtype, kValues).value());
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(0x20 + (state >> 16) % 28);
  }
  return bytes;
}

DType dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < ballast::kDTypes.size(); ++i) {
    if (ballast::kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return DType::unknown;
}

void list() {
  for (std::size_t i = 0; i < ballast::kDTypes.size(); ++i) {
    if (ballast::is_float_dtype(static_cast<DType>(i)) && ballast::kDTypes[i].name != "C64") {
      std::printf("%.*s\n", static_cast<int>(ballast::kDTypes[i].name.size()),
                  ballast::kDTypes[i].name.data());
    }
  }
}

// As ballast::statistics does it for a tensor.
double add_up(DType dtype, std::span<const std::byte> blocks) {
  ballast::StatisticsAccumulator all;
  std::vector<float> piece(kPiece);
  const std::size_t size = blocks.size() / (kValues / kPiece);
  for (std::size_t i = 0; i < kValues / kPiece; ++i) {
    ballast::to_float(dtype, blocks.subspan(i * size, size), piece);
    all.add(piece);
  }
  return all.finish().mean;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    list();
    return 0;
  }
  const DType dtype = dtype_named(arguments[1]);
  const int rounds = std::atoi(arguments[2]);
  const std::vector<std::byte> blocks = make_blocks(dtype);
  std::vector<float> out(kValues);
  std::vector<double> fill;
  std::vector<double> decode;
  std::vector<double> statistics;
  std::vector<double> over_fill;
  std::vector<double> over_decode;
  double sum = 0;
  for (int i = 0; i <= rounds; ++i) {
    const double filled = seconds([&] { std::memset(out.data(), i, kValues * sizeof(float)); });
    const double decoded = seconds([&] { ballast::to_float(dtype, blocks, out); });
    const double added = seconds([&] { sum += add_up(dtype, blocks); });
    if (i == 0) continue;  // to warm up
    fill.push_back(filled);
    decode.push_back(decoded);
    statistics.push_back(added);
    over_fill.push_back(filled / decoded);
    over_decode.push_back(decoded / added);
  }
  if (sum == 1.25) return 1;  // so that it is computed
  const double gigabytes = kValues * sizeof(float) / 1e9;
  std::printf("%.3f %.3f %.2f %.2f %.2f %.6f\n", median(over_fill), median(over_decode),
              gigabytes / median(fill), gigabytes / median(decode), gigabytes / median(statistics),
              median(decode));
}
