#include "tests/changing_bytes/read_everything.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include <ballast/ballast.h>
#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/model_data.hpp>
#include <ballast/text.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/statistics.hpp>
#include <ballast/values.hpp>
#endif

#include "ballast/shards.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kMostElements = 300;     // of an array
constexpr std::size_t kMostFloats = 1U << 14;  // of a tensor
constexpr std::size_t kMostBytes = 1U << 14;
constexpr int kMostDepth = 70;

volatile std::uint64_t sink = 0;  // so that nothing that is read is left out

void use(std::uint64_t number) noexcept { sink = sink + number; }

// Does something that the library may refuse. Returns 1 where it does not, else 0.
template <class Work>
int tried(Work work) {
  try {
    work();
    return 1;
  } catch (const Error& error) {
    use(std::string_view(error.what()).size() + error.subject().size());
    if (!is_utf8(error.what())) throw std::logic_error("an error is not UTF-8");
    return 0;
  }
}

void read_bytes(std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes.first(std::min(bytes.size(), kMostBytes))) {
    use(std::to_integer<std::uint64_t>(byte));
  }
}

void read_value(const Value& value, int depth, std::size_t& budget);

template <class T>
void copy_numbers(const Array& array) {
  if (array.size() > kMostElements) return;
  std::vector<T> out(static_cast<std::size_t>(array.size()));
  if (array.copy_to(std::span<T>(out)) && !out.empty())
    use(static_cast<std::uint64_t>(out.back() != T{}));
}

void read_array(const Array& array, int depth, std::size_t& budget) {
  copy_numbers<std::uint8_t>(array);
  copy_numbers<std::int16_t>(array);
  copy_numbers<std::uint32_t>(array);
  copy_numbers<std::int64_t>(array);
  copy_numbers<float>(array);
  copy_numbers<double>(array);
  std::size_t count = 0;
  for (const Value element : array) {
    if (++count > kMostElements || budget == 0) break;
    read_value(element, depth + 1, budget);
  }
  for (const std::uint64_t at :
       {std::uint64_t{0}, array.size() / 2, array.size() - 1, array.size()}) {
    if (at > kMostElements) continue;
    if (const std::optional<Value> element = array.at(at)) read_value(*element, depth + 1, budget);
  }
}

void read_value(const Value& value, int depth, std::size_t& budget) {
  if (budget == 0 || depth > kMostDepth) return;
  --budget;
  use(value.bits() + static_cast<std::uint64_t>(value.type()));
  use(value.get<std::uint64_t>().value_or(1) +
      static_cast<std::uint64_t>(value.get<std::int8_t>().value_or(1)));
  use(static_cast<std::uint64_t>(value.get<double>().has_value()) +
      static_cast<std::uint64_t>(value.get<bool>().value_or(true)));
  if (const auto text = value.get<std::string_view>()) read_text(*text);
  if (const auto array = value.get<Array>()) read_array(*array, depth, budget);
}

void read_metadata(const Metadata& metadata) {
  std::size_t budget = 2000;
  for (const Entry& entry : metadata) {
    read_text(entry.key);
    read_value(entry.value, 0, budget);
    if (budget == 0) break;
    static_cast<void>(metadata.find(entry.key));
    static_cast<void>(metadata.get<std::uint32_t>(entry.key));
  }
  static_cast<void>(metadata.find("general.alignment"));
  static_cast<void>(metadata.find(""));
}

#if BALLAST_HAS_VALUES
void read_values(const Model& model, const Tensor& tensor) {
  const std::uint64_t rows = row_count(model, tensor);
  const std::uint64_t row = row_elements(model, tensor);
  const std::uint64_t each = tensor.dtype_name == "C64" ? 2 : 1;
  if (row <= kMostFloats && rows <= kMostFloats && rows * row <= kMostFloats) {
    std::vector<float> floats(static_cast<std::size_t>(rows * row * each));
    tried([&] { read_floats(model, tensor, {}, floats); });
    std::vector<std::uint16_t> halves(floats.size());
    tried([&] { read_f16(model, tensor, {}, halves); });
    tried([&] { read_bf16(model, tensor, {}, halves); });
    tried([&] { use(statistics(model, tensor).finite()); });
    tried([&] { to_float(tensor.dtype, model.bytes(tensor), floats); });
    tried([&] { to_f16(tensor.dtype, model.bytes(tensor), halves); });
    tried([&] { to_bf16(tensor.dtype, model.bytes(tensor), halves); });
  }
  std::vector<float> some(
      static_cast<std::size_t>(std::min<std::uint64_t>(row, kMostFloats) * each));
  tried([&] { read_floats(model, tensor, {rows / 2, rows / 2 + 1}, some); });
  tried([&] { use(statistics(model, tensor, {rows / 2, rows}).count); });
}

// Numbers where they lie, as a caller may give them.
template <class Float>
void accumulate(const Model& model, const Tensor& tensor) {
  const TypedValues<Float> numbers = model.values<Float>(tensor);
  StatisticsAccumulator so_far;
  so_far.add(numbers.values());
  use(so_far.finish().finite());
}

void accumulate(const Model& model, const Tensor& tensor) {
  if (tensor.dtype == DType::F32) accumulate<float>(model, tensor);
  if (tensor.dtype == DType::F64) accumulate<double>(model, tensor);
}
#else
void read_values(const Model& /*model*/, const Tensor& /*tensor*/) {}
void accumulate(const Model& /*model*/, const Tensor& /*tensor*/) {}
#endif

template <class T>
void read_typed(const Model& model, const Tensor& tensor) {
  const TypedValues<T> numbers = model.values<T>(tensor);
  read_bytes(std::as_bytes(numbers.values()));
}

void read_tensor(const Model& model, const Tensor& tensor) {
  read_text(tensor.name);
  read_text(tensor.dtype_name);
  if (const Tensor* const found = model.find(tensor.name)) use(found->offset);
  tried([&] { use(model.at(tensor.name).offset); });
  tried([&] { read_bytes(model.bytes(tensor)); });
  tried([&] { use(model.alignment_of(tensor)); });
  tried([&] { read_typed<std::uint8_t>(model, tensor); });
  tried([&] { read_typed<float>(model, tensor); });
  tried([&] { accumulate(model, tensor); });
  read_values(model, tensor);
}

void read_warnings(std::span<const Warning> warnings) {
  for (const Warning& warning : warnings) {
    if (!is_utf8(warning.message)) throw std::logic_error("a warning is not UTF-8");
    use(warning.message.size());
  }
}

void read_index(std::span<const std::byte> bytes, const ParseOptions& options) {
  const ShardIndex index = parse_index(bytes, options);
  for (const ShardIndex::Entry& entry : index.weights) {
    read_text(entry.tensor);
    read_text(entry.file);
    static_cast<void>(index.find(entry.tensor));
  }
  for (const std::string_view file : index.files) read_text(file);
  read_metadata(index.metadata);
}

}  // namespace

void read_text(std::string_view text) {
  use(find_invalid_utf8(text) + (is_utf8(text) ? 1U : 0U));
  if (!text.empty()) use(decode_utf8(text).length);
  for (const std::size_t most : {std::size_t{0}, std::size_t{20}, std::string_view::npos}) {
    if (!is_utf8(printable(text, most))) throw std::logic_error("printable text is not UTF-8");
  }
  std::array<char, 40> out{};
  use(ballast_printable(text.data(), text.size(), out.data(), out.size()));
}

void read_model(const Model& model, const AtStage& at_stage) {
  use(model.parameter_count() + model.file_bytes() + model.alignment().value_or(0));
  at_stage(1);
  for (const Tensor& tensor : model.tensors()) read_tensor(model, tensor);
  at_stage(2);
  read_metadata(model.metadata());
  read_warnings(model.warnings());
  at_stage(3);
  tried([&] { read_warnings(model.verify()); });
  static_cast<void>(model.find("no such tensor"));
  model.require_undamaged();
}

int read_in_the_way_of(int stage, std::span<const std::byte> bytes, const ParseOptions& options,
                       const AtStage& at_stage) {
  if (stage >= 7) return read_by_c(bytes, at_stage);
  at_stage(stage <= 3 ? 0 : stage);
  switch (stage) {
    case 4:
      return tried([&] {
        const Parsed parsed = parse({bytes, bytes.size()}, options);
        if (parsed.directory) read_metadata(parsed.directory->metadata);
      });
    case 5:
      tried([&] { use(parse({bytes.first(bytes.size() / 2), std::nullopt}, options).needed); });
      return tried([&] {
        use(Model::siblings(ModelData::borrow(bytes), "model-00001-of-00002.gguf", options).size());
      });
    case 6:
      return tried([&] { read_index(bytes, options); });
    default:
      return tried(
          [&] { read_model(Model::from_data(ModelData::borrow(bytes), options), at_stage); });
  }
}

int read_everything(std::span<const std::byte> bytes, const ParseOptions& options,
                    const AtStage& at_stage) {
  int read = 0;
  for (const int stage : {0, 4, 5, 6, 7})
    read += read_in_the_way_of(stage, bytes, options, at_stage);
  return read;
}

int read_set(std::span<const std::byte> bytes, std::size_t position,
             const std::vector<std::pair<std::string, std::vector<std::byte>>>& files,
             const AtStage& at_stage) {
  const auto shard = [&](std::size_t i) {
    ModelData data =
        i == position ? ModelData::borrow(bytes) : ModelData::from_vector(files[i].second);
    return Model::Shard{.file = files[i].first, .data = std::move(data)};
  };
  const auto open = [&](bool from_the_back) {
    std::vector<Model::Shard> shards;
    for (std::size_t i = 0; i < files.size(); ++i) shards.push_back(shard(i));
    if (from_the_back) std::ranges::reverse(shards);  // an index is often the last of a row
    read_model(Model::from_shards(std::move(shards)), at_stage);
  };
  int opened = 0;
  at_stage(0);
  opened += tried([&] { open(false); });
  at_stage(4);
  opened += tried([&] { open(true); });
  at_stage(5);
  tried([&] { use(Model::siblings(ModelData::borrow(bytes), files[position].first).size()); });
  return opened;
}

}  // namespace ballast::test
