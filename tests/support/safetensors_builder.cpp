#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

void text(Sample& out, std::string_view what) { out.write(std::as_bytes(std::span(what))); }

void separate(Sample& out, bool& first) {
  if (!first) text(out, ",");
  first = false;
}

std::string json_object(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out = "{";
  for (const auto& [key, json] : members) {
    if (out.size() > 1) out += ",";
    out += json_string(key) + ":" + json;
  }
  return out + "}";
}

}  // namespace

std::string json_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (code < 0x20) {
      out += "\\u00";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::uint64_t safetensors_nbytes(std::string_view dtype, std::span<const std::uint64_t> shape) {
  return product(shape) * safetensors_bits(dtype).value_or(0) / 8;
}

SafetensorsBuilder& SafetensorsBuilder::entry(std::string key, std::string value) {
  entries_.emplace_back(std::move(key), std::move(value));
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::tensor(SafetensorsTensor tensor) {
  tensors_.push_back(std::move(tensor));
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::metadata_last() {
  metadata_last_ = true;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::header_length(std::uint64_t length) {
  header_length_ = length;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::header_alignment(std::uint64_t alignment) {
  header_alignment_ = alignment;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::trailing(Bytes bytes) {
  trailing_ = std::move(bytes);
  return *this;
}

Sample SafetensorsBuilder::build() const {
  Sample out;
  out.mark("length");
  out.write_number(0, 8);
  out.mark("header");
  header(out);
  while (out.size() % header_alignment_ != 0) text(out, " ");
  out.mark("header.end");
  out.mark("data");
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const SafetensorsTensor& tensor = tensors_[i];
    out.mark("tensor[" + std::to_string(i) + "].data");
    out.write(tensor.data ? *tensor.data
                          : noise(safetensors_nbytes(tensor.dtype, tensor.shape), i + 1));
  }
  out.mark("data.end");
  out.write(trailing_);
  out.mark("end");
  return out.with<std::uint64_t>("length", header_length_.value_or(out.at("header.end") - 8));
}

void SafetensorsBuilder::header(Sample& out) const {
  bool first = true;
  text(out, "{");
  if (!metadata_last_) metadata(out, first);
  tensors(out, first);
  if (metadata_last_) metadata(out, first);
  text(out, "}");
}

void SafetensorsBuilder::metadata(Sample& out, bool& first) const {
  if (entries_.empty()) return;
  separate(out, first);
  text(out, "\"__metadata__\":{");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (i != 0) text(out, ",");
    const std::string mark = "entry[" + std::to_string(i) + "]";
    out.mark(mark);
    text(out, json_string(entries_[i].first) + ":");
    out.mark(mark + ".value");
    text(out, json_string(entries_[i].second));
  }
  text(out, "}");
}

void SafetensorsBuilder::tensors(Sample& out, bool& first) const {
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const SafetensorsTensor& tensor = tensors_[i];
    const std::string mark = "tensor[" + std::to_string(i) + "]";
    const std::uint64_t begin = tensor.begin.value_or(next);
    next = tensor.end.value_or(begin + safetensors_nbytes(tensor.dtype, tensor.shape));
    separate(out, first);
    out.mark(mark);
    text(out, json_string(tensor.name) + ":{\"dtype\":");
    out.mark(mark + ".dtype");
    text(out, json_string(tensor.dtype) + ",\"shape\":");
    out.mark(mark + ".shape");
    std::string shape;
    for (const std::uint64_t dim : tensor.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(dim);
    }
    text(out, "[" + shape + "],\"data_offsets\":");
    out.mark(mark + ".data_offsets");
    text(out, "[");
    out.mark(mark + ".begin");
    text(out, std::to_string(begin) + ",");
    out.mark(mark + ".end_offset");
    text(out, std::to_string(next) + "]}");
  }
}

Sample safetensors_with(std::string_view header, std::size_t data_size) {
  const std::size_t caret = header.find('^');
  const bool marked = caret != std::string_view::npos;
  Sample out;
  out.mark("length");
  out.write_number(header.size() - (marked ? 1 : 0), 8);
  out.mark("header");
  text(out, header.substr(0, caret));
  if (marked) {
    out.mark("here");
    text(out, header.substr(caret + 1));
  }
  out.mark("header.end");
  out.mark("data");
  out.write(noise(data_size, 1));
  out.mark("end");
  return out;
}

IndexBuilder& IndexBuilder::tensor(std::string name, std::string file) {
  return raw_tensor(std::move(name), json_string(file));
}

IndexBuilder& IndexBuilder::raw_tensor(std::string name, std::string json) {
  tensors_.emplace_back(std::move(name), std::move(json));
  return *this;
}

IndexBuilder& IndexBuilder::metadata(std::string key, std::string json) {
  metadata_.emplace_back(std::move(key), std::move(json));
  return *this;
}

std::string IndexBuilder::build() const {
  return "{\"metadata\":" + json_object(metadata_) + ",\"weight_map\":" + json_object(tensors_) +
         "}";
}

}  // namespace ballast::test
