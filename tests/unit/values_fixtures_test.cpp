// Blocks that ggml made, and what it decodes them to; codes of the small floats, and what they
// stand for. The corpus is not part of the project: see fixtures_test.cpp.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/decode.hpp>
#include <ballast/values.hpp>

#include "platform/instruction_set.hpp"
#include "tests/support/scalar_decode.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

fs::path values_folder() {
  const char* named = std::getenv("BALLAST_FIXTURES");
  const fs::path folder =
      named != nullptr ? fs::path(named) : fs::path(BALLAST_SOURCE_DIR) / "../shared/fixtures";
  if (!fs::exists(folder / "values")) SKIP("no corpus: name its folder with BALLAST_FIXTURES");
  return folder / "values";
}

// The corpus has one code in each byte; the format packs them from the lowest bit on.
Bytes packed(const Bytes& codes, std::size_t bits) {
  Bytes bytes(codes.size() * bits / 8);
  for (std::size_t i = 0; i < codes.size() * bits; ++i) {
    const unsigned bit = static_cast<unsigned>(codes[i / bits]) >> i % bits & 1;
    bytes[i / 8] |= static_cast<std::byte>(bit << i % 8);
  }
  return bytes;
}

bool same(const std::vector<float>& found, const Bytes& truth) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    float expected = 0;
    std::memcpy(&expected, truth.data() + i * sizeof expected, sizeof expected);
    if (std::isnan(expected) && std::isnan(found[i])) continue;
    if (std::memcmp(&expected, &found[i], sizeof expected) != 0) return false;
  }
  return true;
}

TEST_CASE("every type of the corpus is decoded bit for bit, on every level") {
  const fs::path folder = values_folder();
  int types = 0;
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    const std::string type(name(dtype));
    if (!fs::exists(folder / (type + ".blocks"))) continue;
    CAPTURE(type);
    ++types;
    Bytes blocks = read_file(folder / (type + ".blocks"));
    if (dtype == DType::F4) blocks = packed(blocks, 4);
    if (dtype == DType::F6_E2M3 || dtype == DType::F6_E3M2) blocks = packed(blocks, 6);
    const Bytes truth = read_file(folder / (type + ".f32"));
    std::vector<float> found(truth.size() / sizeof(float));
    to_float(dtype, blocks, found);
    CHECK(same(found, truth));
    const std::size_t count = blocks.size() / info(dtype).block_bytes;
    decode::decoder(dtype, decode::Level::baseline)(blocks.data(), found.data(), count);
    CHECK(same(found, truth));
    scalar_decoder(dtype)(blocks.data(), found.data(), count);
    CHECK(same(found, truth));
  }
  CHECK(types == 37);
}

}  // namespace
}  // namespace ballast::test
