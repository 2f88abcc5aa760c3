// The table of element types, against a copy of the formats' own tables.
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <ballast/dtype.hpp>

#include "tests/support/dtypes.hpp"

namespace ballast::test {
namespace {

TEST_CASE("every GGUF type id has the name and the block that ggml gives it") {
  REQUIRE(kGgufTypes.size() == kGgufTypeCount);
  for (const GgufType& type : kGgufTypes) {
    CAPTURE(type.id, type.name);
    const DTypeInfo& known = info(dtype_from_gguf(type.id));
    CHECK(known.name == type.name);
    CHECK(known.gguf_id == static_cast<std::int16_t>(type.id));
    CHECK(known.block_elements == type.block_elements);
    CHECK(known.block_bytes == type.block_bytes);
    CHECK(known.has_size() == (type.block_elements != 0));
  }
}

TEST_CASE("a GGUF type id that was never given out is unknown") {
  CHECK(dtype_from_gguf(43) == DType::unknown);
  CHECK(dtype_from_gguf(UINT32_MAX) == DType::unknown);
  CHECK_FALSE(info(DType::unknown).has_size());
}

TEST_CASE("every safetensors dtype has the bits that the reference reader gives it") {
  for (const SafetensorsType& type : kSafetensorsTypes) {
    CAPTURE(type.name);
    const DTypeInfo& known = info(dtype_from_safetensors(type.name));
    CHECK(known.name == type.name);
    CHECK(known.in_safetensors);
    CHECK(known.block_elements * type.bits == known.block_bytes * 8U);
  }
  std::size_t in_safetensors = 0;
  for (const DTypeInfo& type : kDTypes) in_safetensors += type.in_safetensors ? 1 : 0;
  CHECK(in_safetensors == kSafetensorsTypes.size());
}

TEST_CASE("safetensors names are case-sensitive, and GGUF's quantized types are none of them") {
  for (const char* name : {"f32", "bf16", "F8_e4m3", "Q4_K", "Q8_0", "unknown", "", "F32 ", "F3"}) {
    CAPTURE(name);
    CHECK(dtype_from_safetensors(name) == DType::unknown);
  }
}

TEST_CASE("no two element types share a name") {
  std::set<std::string_view> names;
  for (const DTypeInfo& type : kDTypes) CHECK(names.insert(type.name).second);
}

TEST_CASE("a packed size is that of whole blocks, and empty where there is none") {
  for (const GgufType& type : kGgufTypes) {
    CAPTURE(type.name);
    const DType dtype = dtype_from_gguf(type.id);
    if (type.block_elements == 0) {
      CHECK(packed_size(dtype, 0) == std::nullopt);
      continue;
    }
    CHECK(packed_size(dtype, 0) == 0U);
    CHECK(packed_size(dtype, 7 * type.block_elements) == 7 * type.block_bytes);
    if (type.block_elements > 1) {
      CHECK(packed_size(dtype, type.block_elements - 1) == std::nullopt);
      CHECK(packed_size(dtype, type.block_elements + 1) == std::nullopt);
    }
  }
  CHECK(packed_size(DType::F4, 8) == 4U);
  CHECK(packed_size(DType::F4, 7) == std::nullopt);
  CHECK(packed_size(DType::F6_E2M3, 4) == 3U);
  CHECK(packed_size(DType::F6_E3M2, 2) == std::nullopt);  // 12 bits
  CHECK(packed_size(DType::unknown, 8) == std::nullopt);
}

TEST_CASE("a packed size that does not fit in 64 bits is empty") {
  constexpr std::uint64_t kMost = UINT64_MAX;
  CHECK(packed_size(DType::I8, kMost) == kMost);
  CHECK(packed_size(DType::F16, kMost / 2) == kMost - 1);
  CHECK(packed_size(DType::F16, kMost / 2 + 1) == std::nullopt);
  CHECK(packed_size(DType::F64, (kMost / 8) + 1) == std::nullopt);
  CHECK(packed_size(DType::Q8_0, kMost / 32 * 32) == std::nullopt);  // 34 bytes for 32 elements
  // Fewer bytes than elements: no product of the two may be taken before the division.
  CHECK(packed_size(DType::Q4_0, kMost / 32 * 32) == kMost / 32 * 18);
}

}  // namespace
}  // namespace ballast::test
