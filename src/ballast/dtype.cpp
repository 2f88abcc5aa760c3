#include <ballast/dtype.hpp>

namespace ballast {
namespace {

// The formats' own tables, once more and independently: id, name, elements and bytes per block as
// ggml prints them.
struct Published {
  int id;
  std::string_view name;
  unsigned elements;
  unsigned bytes;
};

constexpr std::array kPublishedByGgml{
    Published{0, "F32", 1, 4},         Published{1, "F16", 1, 2},
    Published{2, "Q4_0", 32, 18},      Published{3, "Q4_1", 32, 20},
    Published{6, "Q5_0", 32, 22},      Published{7, "Q5_1", 32, 24},
    Published{8, "Q8_0", 32, 34},      Published{9, "Q8_1", 32, 36},
    Published{10, "Q2_K", 256, 84},    Published{11, "Q3_K", 256, 110},
    Published{12, "Q4_K", 256, 144},   Published{13, "Q5_K", 256, 176},
    Published{14, "Q6_K", 256, 210},   Published{15, "Q8_K", 256, 292},
    Published{16, "IQ2_XXS", 256, 66}, Published{17, "IQ2_XS", 256, 74},
    Published{18, "IQ3_XXS", 256, 98}, Published{19, "IQ1_S", 256, 50},
    Published{20, "IQ4_NL", 32, 18},   Published{21, "IQ3_S", 256, 110},
    Published{22, "IQ2_S", 256, 82},   Published{23, "IQ4_XS", 256, 136},
    Published{24, "I8", 1, 1},         Published{25, "I16", 1, 2},
    Published{26, "I32", 1, 4},        Published{27, "I64", 1, 8},
    Published{28, "F64", 1, 8},        Published{29, "IQ1_M", 256, 56},
    Published{30, "BF16", 1, 2},       Published{34, "TQ1_0", 256, 54},
    Published{35, "TQ2_0", 256, 66},   Published{39, "MXFP4", 32, 17},
    Published{40, "NVFP4", 64, 36},    Published{41, "Q1_0", 128, 18},
    Published{42, "Q2_0", 64, 18},
};

// safetensors gives bits per element.
struct PublishedBits {
  std::string_view name;
  unsigned bits;
};

constexpr std::array kPublishedBySafetensors{
    PublishedBits{"BOOL", 8},        PublishedBits{"F4", 4},          PublishedBits{"F6_E2M3", 6},
    PublishedBits{"F6_E3M2", 6},     PublishedBits{"U8", 8},          PublishedBits{"I8", 8},
    PublishedBits{"F8_E5M2", 8},     PublishedBits{"F8_E4M3", 8},     PublishedBits{"F8_E8M0", 8},
    PublishedBits{"F8_E4M3FNUZ", 8}, PublishedBits{"F8_E5M2FNUZ", 8}, PublishedBits{"I16", 16},
    PublishedBits{"U16", 16},        PublishedBits{"F16", 16},        PublishedBits{"BF16", 16},
    PublishedBits{"I32", 32},        PublishedBits{"U32", 32},        PublishedBits{"F32", 32},
    PublishedBits{"C64", 64},        PublishedBits{"F64", 64},        PublishedBits{"I64", 64},
    PublishedBits{"U64", 64},
};
static_assert(kPublishedBySafetensors.size() == 22);

constexpr bool gguf_ids_are_places() {
  for (std::uint32_t id = 0; id < kGgufTypeCount; ++id) {
    if (kDTypes[id].gguf_id != static_cast<int>(id)) return false;
  }
  for (std::size_t i = kGgufTypeCount; i < kDTypes.size(); ++i) {
    if (kDTypes[i].gguf_id != -1) return false;
  }
  return true;
}
static_assert(gguf_ids_are_places());

constexpr bool agrees_with_ggml() {
  for (const Published& type : kPublishedByGgml) {
    const DTypeInfo& mine = kDTypes[static_cast<std::size_t>(type.id)];
    if (mine.name != type.name || mine.block_elements != type.elements ||
        mine.block_bytes != type.bytes)
      return false;
  }
  std::size_t with_size = 0;
  for (std::size_t id = 0; id < kGgufTypeCount; ++id) with_size += kDTypes[id].has_size() ? 1 : 0;
  return with_size == kPublishedByGgml.size();
}
static_assert(agrees_with_ggml());

constexpr bool agrees_with_safetensors() {
  std::size_t in_safetensors = 0;
  for (const DTypeInfo& mine : kDTypes) {
    if (!mine.in_safetensors) continue;
    ++in_safetensors;
    bool found = false;
    for (const PublishedBits& type : kPublishedBySafetensors) {
      found |= mine.name == type.name && mine.block_elements * type.bits == mine.block_bytes * 8U;
    }
    if (!found) return false;
  }
  return in_safetensors == kPublishedBySafetensors.size();
}
static_assert(agrees_with_safetensors());

}  // namespace

DType dtype_from_safetensors(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].in_safetensors && kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return DType::unknown;
}

std::optional<std::uint64_t> packed_size(DType dtype, std::uint64_t elements) noexcept {
  const DTypeInfo& type = info(dtype);
  if (!type.has_size() || elements % type.block_elements != 0) return std::nullopt;
  const std::uint64_t blocks = elements / type.block_elements;
  if (blocks > UINT64_MAX / type.block_bytes) return std::nullopt;
  return blocks * type.block_bytes;
}

}  // namespace ballast
