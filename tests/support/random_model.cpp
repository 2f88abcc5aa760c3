#include "tests/support/random_model.hpp"

#include <algorithm>
#include <string_view>

#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMostItems = 12;

// Characters of one to four bytes, and those that JSON escapes.
std::string random_text(Random& random, std::uint64_t longest) {
  constexpr std::string_view kPieces[]{"a",      "Z",  "0",  ".",  "_",    " ",      "/",
                                       "\u00E9", "\"", "\\", "\n", "\x01", "\u4F60", "\U0001F60A"};
  std::string text;
  for (std::uint64_t i = random.below(longest + 1); i > 0; --i) text += random.pick(kPieces);
  return text;
}

std::string random_name(Random& random, std::size_t number) {
  return random_text(random, 6) + "." + std::to_string(number);  // the number makes it unique
}

GgufValue random_scalar(Random& random, ValueType type) {
  if (type == ValueType::string) return {random_text(random, 40)};
  if (type == ValueType::boolean) return GgufValue::raw(type, random.below(2));
  const std::size_t bits = 8 * width_of(type);
  // Edges as often as anything else: 0, 1, all ones, the sign bit.
  const std::uint64_t edges[]{
      0, 1, UINT64_MAX, std::uint64_t{1} << (bits - 1), random.next(), random.next()};
  return GgufValue::raw(type, random.pick(edges) & (UINT64_MAX >> (64 - bits)));
}

GgufValue random_value(Random& random, int depth) {
  const auto type = static_cast<ValueType>(random.below(kValueTypeCount));
  if (type != ValueType::array) return random_scalar(random, type);
  auto element = static_cast<ValueType>(random.below(kValueTypeCount));
  if (element == ValueType::array && depth == 4) element = ValueType::string;
  std::vector<GgufValue> items;
  for (std::uint64_t i = random.below(6); i > 0; --i) {
    if (element != ValueType::array) {
      items.push_back(random_scalar(random, element));
      continue;
    }
    GgufValue inner = random_value(random, depth + 1);
    while (inner.type != ValueType::array) inner = random_value(random, depth + 1);
    items.push_back(std::move(inner));
  }
  // An array of arrays at the deepest level allowed may not hold more of them.
  return GgufValue::array(element, std::move(items));
}

std::uint64_t depth_of(const GgufValue& value) {
  if (value.type != ValueType::array) return 0;
  std::uint64_t deepest =
      value.element_type == ValueType::array ? 1 : 0;  // an empty one counts as well
  for (const GgufValue& item : value.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

std::vector<std::uint64_t> random_shape(Random& random, std::uint64_t row_unit) {
  std::vector<std::uint64_t> shape;
  const std::uint64_t rank = row_unit == 1 ? random.below(6) : random.between(1, 3);
  for (std::uint64_t i = 0; i < rank; ++i)
    shape.push_back(random.one_in(12) ? 0 : random.between(1, 4));
  if (!shape.empty()) shape[0] *= row_unit;
  return shape;
}

ModelTensor random_gguf_tensor(Random& random, std::size_t number) {
  const GgufType* type = nullptr;
  do {
    type = &random.pick(kGgufTypes);
  } while (type->block_elements == 0);
  ModelTensor tensor{random_name(random, number),
                     std::string(type->name),
                     random_shape(random, type->block_elements),
                     {}};
  tensor.data = noise(gguf_nbytes(type->id, tensor.shape), random.next());
  return tensor;
}

ModelTensor random_safetensors_tensor(Random& random, std::size_t number) {
  const SafetensorsType& type = random.pick(kSafetensorsTypes);
  ModelTensor tensor{random_name(random, number),
                     std::string(type.name),
                     random_shape(random, type.bits < 8 ? 4 : 1),
                     {}};
  tensor.data = noise(safetensors_nbytes(type.name, tensor.shape), random.next());
  return tensor;
}

RandomModel random_gguf(Random& random) {
  RandomModel model;
  constexpr std::uint32_t kAlignments[]{8, 16, 32, 64, 4'096};
  model.version = static_cast<std::uint32_t>(random.between(2, 3));
  GgufBuilder builder;
  builder.version(*model.version);
  model.alignment = 32;
  if (random.one_in(2)) {
    const std::uint32_t alignment = random.pick(kAlignments);
    model.alignment = alignment;
    model.entries.emplace_back("general.alignment", alignment);
    builder.layout_alignment(alignment);
  }
  for (std::uint64_t i = random.below(kMostItems); i > 0; --i) {
    GgufValue value = random_value(random, 1);
    if (depth_of(value) <= 4) model.entries.emplace_back(random_name(random, i), std::move(value));
  }
  for (const auto& [key, value] : model.entries) builder.entry(key, value);
  for (std::uint64_t i = random.below(kMostItems); i > 0; --i) {
    model.tensors.push_back(random_gguf_tensor(random, i));
    const ModelTensor& tensor = model.tensors.back();
    builder.tensor({.name = tensor.name,
                    .dims = tensor.shape,
                    .dtype = gguf_id(tensor.dtype),
                    .data = tensor.data});
  }
  model.sample = builder.build();
  return model;
}

RandomModel random_safetensors(Random& random) {
  RandomModel model;
  model.format = Format::safetensors;
  SafetensorsBuilder builder;
  builder.header_alignment(random.one_in(2) ? 8 : 1);
  if (random.one_in(2)) builder.metadata_last();
  for (std::uint64_t i = random.below(kMostItems); i > 0; --i) {
    const std::string text = random_text(random, 40);
    model.entries.emplace_back(random_name(random, i), text);
    builder.entry(model.entries.back().first, text);
  }
  for (std::uint64_t i = random.below(kMostItems); i > 0; --i) {
    model.tensors.push_back(random_safetensors_tensor(random, i));
    const ModelTensor& tensor = model.tensors.back();
    builder.tensor(
        {.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .data = tensor.data});
  }
  model.sample = builder.build();
  return model;
}

std::string difference(const ModelTensor& written, std::uint64_t place, const Tensor& read,
                       const Model& opened) {
  if (read.name != written.name) return "the name";
  if (read.dtype_name != written.dtype || name(read.dtype) != written.dtype) return "the dtype";
  if (!std::ranges::equal(read.shape, written.shape)) return "the shape";
  if (read.elements() != product(written.shape)) return "the number of elements";
  if (read.nbytes != written.data.size()) return "the size";
  if (read.offset != place) return "the place";
  if (!std::ranges::equal(opened.bytes(read), written.data)) return "the bytes";
  if (opened.find(written.name) != &read) return "what find answers";
  return {};
}

}  // namespace

RandomModel random_model(Format format, std::uint64_t seed) {
  Random random(seed);
  return format == Format::gguf ? random_gguf(random) : random_safetensors(random);
}

std::string difference(const GgufValue& written, const Value& read) {
  if (read.type() != written.type) return "the type";
  if (written.type == ValueType::string)
    return read.get<std::string_view>() == written.text ? "" : "the text";
  if (written.type != ValueType::array) return read.bits() == written.bits ? "" : "the bits";
  const Array array = read.get<Array>().value();
  if (array.element_type() != written.element_type) return "the element type";
  if (array.size() != written.items.size()) return "the count";
  std::size_t i = 0;
  for (const Value item : array) {
    if (i == written.items.size()) return "the number of items";
    if (const std::string inner = difference(written.items[i], item); !inner.empty()) {
      return inner + " of item " + std::to_string(i);
    }
    ++i;
  }
  return i == written.items.size() ? "" : "the number of items";
}

std::string difference(const RandomModel& written, const Model& opened) {
  if (opened.format() != written.format) return "the format";
  if (opened.version() != written.version) return "the version";
  if (opened.alignment() != written.alignment) return "the alignment";
  if (opened.file_bytes() != written.sample.size()) return "the size of the file";
  if (opened.metadata().size() != written.entries.size()) return "the number of entries";
  if (opened.tensors().size() != written.tensors.size()) return "the number of tensors";
  for (std::size_t i = 0; i < written.entries.size(); ++i) {
    const auto& [key, value] = written.entries[i];
    const Entry& entry = opened.metadata().entries()[i];
    const std::string mark = "entry[" + std::to_string(i) + "]";
    if (entry.key != key) return "the key of " + mark;
    if (entry.offset != written.sample.at(mark)) return "the place of " + mark;
    if (opened.metadata().find(key) != &entry.value) return "what find answers for " + mark;
    if (const std::string what = difference(value, entry.value); !what.empty())
      return what + " of " + mark;
  }
  for (std::size_t i = 0; i < written.tensors.size(); ++i) {
    const std::string mark = "tensor[" + std::to_string(i) + "]";
    const std::uint64_t place = written.sample.at(mark + ".data");
    const std::string what = difference(written.tensors[i], place, opened.tensors()[i], opened);
    if (!what.empty()) return what + " of " + mark;
  }
  return {};
}

}  // namespace ballast::test
