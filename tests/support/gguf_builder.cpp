#include "tests/support/gguf_builder.hpp"

#include <algorithm>
#include <array>

namespace ballast::test {
namespace {

constexpr std::array<std::size_t, kValueTypeCount> kWidths{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::string indexed(const std::string& mark, std::size_t i) {
  return mark + "[" + std::to_string(i) + "]";
}

}  // namespace

std::size_t width_of(ValueType type) noexcept { return kWidths[static_cast<std::size_t>(type)]; }

GgufValue GgufValue::raw(ValueType type, std::uint64_t bits) {
  GgufValue value;
  value.type = type;
  value.bits = bits;
  return value;
}

GgufValue GgufValue::array(ValueType element_type, std::vector<GgufValue> items) {
  GgufValue value;
  value.type = ValueType::array;
  value.element_type = element_type;
  value.items = std::move(items);
  return value;
}

std::uint64_t gguf_nbytes(std::uint32_t dtype, std::span<const std::uint64_t> dims) noexcept {
  const GgufType* type = gguf_type(dtype);
  if (type == nullptr || type->block_elements == 0) return 0;
  return product(dims) / type->block_elements * type->block_bytes;
}

GgufBuilder& GgufBuilder::version(std::uint32_t version) {
  version_ = version;
  return *this;
}

GgufBuilder& GgufBuilder::big_endian() {
  big_endian_ = true;
  return *this;
}

GgufBuilder& GgufBuilder::tensor_count(std::uint64_t count) {
  tensor_count_ = count;
  return *this;
}

GgufBuilder& GgufBuilder::entry_count(std::uint64_t count) {
  entry_count_ = count;
  return *this;
}

GgufBuilder& GgufBuilder::entry(std::string key, GgufValue value) {
  const auto type = static_cast<std::uint32_t>(value.type);
  entries_.push_back({std::move(key), type, std::move(value), std::nullopt});
  return *this;
}

GgufBuilder& GgufBuilder::raw_entry(std::string key, std::uint32_t type, Bytes value) {
  entries_.push_back({std::move(key), type, {}, std::move(value)});
  return *this;
}

GgufBuilder& GgufBuilder::tensor(GgufTensor tensor) {
  tensors_.push_back(std::move(tensor));
  return *this;
}

GgufBuilder& GgufBuilder::layout_alignment(std::uint64_t alignment) {
  alignment_ = alignment;
  return *this;
}

GgufBuilder& GgufBuilder::aligned(std::uint32_t alignment) {
  return layout_alignment(alignment).entry("general.alignment", alignment);
}

GgufBuilder& GgufBuilder::padding(std::byte filler) {
  padding_ = filler;
  return *this;
}

GgufBuilder& GgufBuilder::without_final_padding() {
  final_padding_ = false;
  return *this;
}

GgufBuilder& GgufBuilder::trailing(Bytes bytes) {
  trailing_ = std::move(bytes);
  return *this;
}

Sample GgufBuilder::build() const {
  Sample out;
  out.mark("magic");
  out.write(bytes_of("GGUF"));
  out.mark("version");
  number(out, version_, 4);
  out.mark("tensor_count");
  number(out, tensor_count_.value_or(tensors_.size()), 8);
  out.mark("entry_count");
  number(out, entry_count_.value_or(entries_.size()), 8);
  entries(out);
  const std::vector<std::uint64_t> places = offsets();
  infos(out, places);
  if (!tensors_.empty()) data(out, places);
  out.mark("padded.end");
  out.write(trailing_);
  out.mark("end");
  return out;
}

void GgufBuilder::number(Sample& out, std::uint64_t value, std::size_t size) const {
  Bytes encoded;
  append_number(encoded, value, size);
  if (big_endian_) std::ranges::reverse(encoded);
  out.write(encoded);
}

void GgufBuilder::string(Sample& out, std::string_view text, const std::string& mark) const {
  number(out, text.size(), 8);
  out.mark(mark);
  out.write(std::as_bytes(std::span(text)));
}

void GgufBuilder::value(Sample& out, const GgufValue& value, const std::string& mark) const {
  out.mark(mark);
  if (value.type == ValueType::string) return string(out, value.text, mark + ".text");
  if (value.type != ValueType::array) return number(out, value.bits, width_of(value.type));
  number(out, static_cast<std::uint64_t>(value.element_type), 4);
  out.mark(mark + ".count");
  number(out, value.items.size(), 8);
  out.mark(mark + ".items");
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    this->value(out, value.items[i], indexed(mark, i));
  }
}

void GgufBuilder::entries(Sample& out) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Item& item = entries_[i];
    const std::string mark = indexed("entry", i);
    out.mark(mark);
    string(out, item.key, mark + ".key");
    out.mark(mark + ".type");
    number(out, item.type, 4);
    if (item.raw) {
      out.mark(mark + ".value");
      out.write(*item.raw);
    } else {
      value(out, item.value, mark + ".value");
    }
    out.mark(mark + ".end");
  }
}

void GgufBuilder::infos(Sample& out, const std::vector<std::uint64_t>& offsets) const {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const GgufTensor& tensor = tensors_[i];
    const std::string mark = indexed("tensor", i);
    out.mark(mark);
    string(out, tensor.name, mark + ".name");
    out.mark(mark + ".rank");
    number(out, tensor.dims.size(), 4);
    for (std::size_t j = 0; j < tensor.dims.size(); ++j) {
      out.mark(indexed(mark + ".dims", j));
      number(out, tensor.dims[j], 8);
    }
    out.mark(mark + ".dtype");
    number(out, tensor.dtype, 4);
    out.mark(mark + ".offset");
    number(out, offsets[i], 8);
  }
  out.mark("infos.end");
}

void GgufBuilder::data(Sample& out, const std::vector<std::uint64_t>& offsets) const {
  out.fill_to(padded(out.size()), padding_);
  const std::uint64_t start = out.size();
  out.mark("data");
  std::vector<std::size_t> order(tensors_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return offsets[i]; });
  for (const std::size_t i : order) {
    const GgufTensor& tensor = tensors_[i];
    const std::uint64_t nbytes = tensor.nbytes.value_or(gguf_nbytes(tensor.dtype, tensor.dims));
    // What has no bytes may claim any place.
    if (nbytes > 0 && offsets[i] > out.size() - start) out.fill_to(start + offsets[i], padding_);
    out.mark(indexed("tensor", i) + ".data", start + offsets[i]);
    out.write(tensor.data ? *tensor.data : noise(nbytes, i + 1));
    out.mark(indexed("tensor", i) + ".end");
    out.mark(indexed("tensor", i) + ".padded", start + padded(out.size() - start));
  }
  out.mark("data.end");
  if (final_padding_) out.fill_to(start + padded(out.size() - start), padding_);
}

std::uint64_t GgufBuilder::padded(std::uint64_t size) const noexcept {
  return (size + alignment_ - 1) / alignment_ * alignment_;
}

std::vector<std::uint64_t> GgufBuilder::offsets() const {
  std::vector<std::uint64_t> places;
  std::uint64_t next = 0;
  for (const GgufTensor& tensor : tensors_) {
    places.push_back(tensor.offset.value_or(next));
    const std::uint64_t nbytes = tensor.nbytes.value_or(gguf_nbytes(tensor.dtype, tensor.dims));
    next = padded(places.back() + nbytes);
  }
  return places;
}

}  // namespace ballast::test
