// The sizes of all element types, copied from the formats' own documents and not from the library,
// so that a slip in the library's table shows. Builders compute with these.
//
// Sources: ggml's static_asserts (ggml-common.h at d99724f2); safetensors/src/tensor.rs at 24b0b28.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ballast::test {

struct GgufType {
  std::uint32_t id;
  std::string_view name;
  std::uint64_t block_elements;  // 0: removed
  std::uint64_t block_bytes;
};

inline constexpr std::array kGgufTypes{
    GgufType{0, "F32", 1, 4},         GgufType{1, "F16", 1, 2},
    GgufType{2, "Q4_0", 32, 18},      GgufType{3, "Q4_1", 32, 20},
    GgufType{4, "Q4_2", 0, 0},        GgufType{5, "Q4_3", 0, 0},
    GgufType{6, "Q5_0", 32, 22},      GgufType{7, "Q5_1", 32, 24},
    GgufType{8, "Q8_0", 32, 34},      GgufType{9, "Q8_1", 32, 36},
    GgufType{10, "Q2_K", 256, 84},    GgufType{11, "Q3_K", 256, 110},
    GgufType{12, "Q4_K", 256, 144},   GgufType{13, "Q5_K", 256, 176},
    GgufType{14, "Q6_K", 256, 210},   GgufType{15, "Q8_K", 256, 292},
    GgufType{16, "IQ2_XXS", 256, 66}, GgufType{17, "IQ2_XS", 256, 74},
    GgufType{18, "IQ3_XXS", 256, 98}, GgufType{19, "IQ1_S", 256, 50},
    GgufType{20, "IQ4_NL", 32, 18},   GgufType{21, "IQ3_S", 256, 110},
    GgufType{22, "IQ2_S", 256, 82},   GgufType{23, "IQ4_XS", 256, 136},
    GgufType{24, "I8", 1, 1},         GgufType{25, "I16", 1, 2},
    GgufType{26, "I32", 1, 4},        GgufType{27, "I64", 1, 8},
    GgufType{28, "F64", 1, 8},        GgufType{29, "IQ1_M", 256, 56},
    GgufType{30, "BF16", 1, 2},       GgufType{31, "Q4_0_4_4", 0, 0},
    GgufType{32, "Q4_0_4_8", 0, 0},   GgufType{33, "Q4_0_8_8", 0, 0},
    GgufType{34, "TQ1_0", 256, 54},   GgufType{35, "TQ2_0", 256, 66},
    GgufType{36, "IQ4_NL_4_4", 0, 0}, GgufType{37, "IQ4_NL_4_8", 0, 0},
    GgufType{38, "IQ4_NL_8_8", 0, 0}, GgufType{39, "MXFP4", 32, 17},
    GgufType{40, "NVFP4", 64, 36},    GgufType{41, "Q1_0", 128, 18},
    GgufType{42, "Q2_0", 64, 18},
};

struct SafetensorsType {
  std::string_view name;
  std::uint64_t bits;
};

inline constexpr std::array kSafetensorsTypes{
    SafetensorsType{"BOOL", 8},        SafetensorsType{"F4", 4},
    SafetensorsType{"F6_E2M3", 6},     SafetensorsType{"F6_E3M2", 6},
    SafetensorsType{"U8", 8},          SafetensorsType{"I8", 8},
    SafetensorsType{"F8_E5M2", 8},     SafetensorsType{"F8_E4M3", 8},
    SafetensorsType{"F8_E8M0", 8},     SafetensorsType{"F8_E4M3FNUZ", 8},
    SafetensorsType{"F8_E5M2FNUZ", 8}, SafetensorsType{"I16", 16},
    SafetensorsType{"U16", 16},        SafetensorsType{"F16", 16},
    SafetensorsType{"BF16", 16},       SafetensorsType{"I32", 32},
    SafetensorsType{"U32", 32},        SafetensorsType{"F32", 32},
    SafetensorsType{"C64", 64},        SafetensorsType{"F64", 64},
    SafetensorsType{"I64", 64},        SafetensorsType{"U64", 64},
};

/// The row of a GGUF type id, or null where GGUF has none.
[[nodiscard]] constexpr const GgufType* gguf_type(std::uint32_t id) noexcept {
  return id < kGgufTypes.size() ? &kGgufTypes[id] : nullptr;
}

/// The type id of a GGUF type's name; the name must exist.
[[nodiscard]] constexpr std::uint32_t gguf_id(std::string_view name) {
  for (const GgufType& type : kGgufTypes)
    if (type.name == name) return type.id;
  throw "no such GGUF type";
}

/// The bits of one element of a safetensors dtype; empty where the format has none of that name.
[[nodiscard]] constexpr std::optional<std::uint64_t> safetensors_bits(std::string_view name) {
  for (const SafetensorsType& type : kSafetensorsTypes)
    if (type.name == name) return type.bits;
  return std::nullopt;
}

/// The product of dimensions, modulo 2^64 as a careless writer would compute it.
[[nodiscard]] constexpr std::uint64_t product(std::span<const std::uint64_t> dims) noexcept {
  std::uint64_t elements = 1;
  for (const std::uint64_t dim : dims) elements *= dim;
  return elements;
}

}  // namespace ballast::test
