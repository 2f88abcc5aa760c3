#include <algorithm>
#include <limits>

#include "cli/inspect.hpp"
#include "cli/json_writer.hpp"

// "x86_64-linux", "wasm32": architecture and system, which the build knows.
#ifndef BALLAST_BUILD_NAME
#define BALLAST_BUILD_NAME "unknown"
#endif

namespace ballast::cli {
namespace {

using Layout = JsonWriter::Layout;

class JsonInspection {
 public:
  JsonInspection(Output& output, const Model& model, const Selection& selection)
      : json_(output),
        model_(model),
        selection_(selection),
        element_limit_(selection.full ? std::numeric_limits<std::uint64_t>::max()
                                      : kFirstElements) {}

  void write() {
    json_.begin_object(Layout::lines);
    write_file();
    write_metadata();
    write_tensors();
    if (model_.is_sharded()) write_shards();
    write_warnings();
    write_runtime();
    json_.end_object();
  }

 private:
  void write_file() {
    json_.key("format");
    json_.string(name(model_.format()));
    json_.key("version");
    json_.number_or_null(model_.version());
    json_.key("file_bytes");
    json_.number_or_null(file_bytes());
    json_.key("complete");
    json_.boolean(model_.is_complete());
    json_.key("alignment");
    json_.number_or_null(model_.alignment());
    json_.key("data_offset");
    json_.number_or_null(data_offset());
  }

  // Nobody knows how large a compressed file is whose directory was all that was decoded.
  [[nodiscard]] std::optional<std::uint64_t> file_bytes() const {
    return model_.is_complete() ? std::optional(model_.file_bytes()) : std::nullopt;
  }

  // A set has no offset of its own: each of its files has one.
  [[nodiscard]] std::optional<std::uint64_t> data_offset() const {
    if (model_.is_sharded() || model_.tensors().empty()) return std::nullopt;
    return model_.shards().front().data_offset;
  }

  void write_metadata() {
    json_.key("metadata");
    json_.begin_object(Layout::lines);
    for (const Entry& entry : model_.metadata()) {
      if (!selection_.filter.matches(entry.key)) continue;
      json_.key(entry.key);
      write_typed(entry.value);
    }
    json_.end_object();
  }

  void write_typed(const Value& value) {
    json_.begin_object(Layout::inline_);
    json_.key("type");
    json_.string(name(value.type()));
    if (const auto array = value.get<Array>()) {
      json_.key("element");
      json_.string(name(array->element_type()));
      json_.key("length");
      json_.number(array->size());
    }
    json_.key("value");
    write_value(value);
    json_.end_object();
  }

  void write_value(const Value& value) {
    switch (value.type()) {
      case ValueType::string:
        return json_.string(value.get<std::string_view>().value_or(""));
      case ValueType::array:
        return write_elements(value.get<Array>().value_or(Array{}));
      case ValueType::boolean:
        return json_.boolean(value.get<bool>().value_or(false));
      case ValueType::f32:
        return json_.number(value.get<float>().value_or(0));
      case ValueType::f64:
        return json_.number(value.get<double>().value_or(0));
      default:
        return write_integer(value);
    }
  }

  void write_integer(const Value& value) {
    if (const auto number = value.get<std::uint64_t>()) return json_.number(*number);
    json_.number(value.get<std::int64_t>().value_or(0));
  }

  void write_elements(const Array& array) {
    std::uint64_t left = std::min(array.size(), element_limit_);
    json_.begin_array(Layout::inline_);
    for (auto element = array.begin(); left > 0 && element != array.end(); --left) {
      const Value value = *element;
      if (value.type() == ValueType::array) {
        write_typed(value);
      } else {
        write_value(value);
      }
      // Stepping decodes the next element, which nobody needs behind the last one.
      if (left > 1) ++element;
    }
    json_.end_array();
  }

  void write_tensors() {
    json_.key("tensors");
    json_.begin_array(Layout::lines);
    for (const Tensor& tensor : model_.tensors()) {
      if (selection_.filter.matches(tensor.name)) write_tensor(tensor);
    }
    json_.end_array();
  }

  void write_tensor(const Tensor& tensor) {
    json_.begin_object(Layout::inline_);
    json_.key("name");
    json_.string(tensor.name);
    json_.key("dtype");
    json_.string(tensor.dtype_name);
    json_.key("shape");
    json_.begin_array(Layout::inline_);
    for (const std::uint64_t dim : tensor.shape) json_.number(dim);
    json_.end_array();
    json_.key("offset");
    json_.number(tensor.offset);
    json_.key("nbytes");
    json_.number_or_null(tensor.nbytes);
    if (model_.is_sharded()) {
      json_.key("shard");
      json_.string(model_.shards()[tensor.shard].file);
    }
    json_.end_object();
  }

  void write_shards() {
    std::vector<bool> has_tensors(model_.shards().size());
    for (const Tensor& tensor : model_.tensors()) has_tensors[tensor.shard] = true;
    json_.key("shards");
    json_.begin_array(Layout::lines);
    for (std::size_t i = 0; i < has_tensors.size(); ++i) {
      const Model::Shard& shard = model_.shards()[i];
      json_.begin_object(Layout::inline_);
      json_.key("file");
      json_.string(shard.file);
      json_.key("file_bytes");
      const bool is_complete = shard.data.is_complete();
      json_.number_or_null(is_complete ? std::optional(shard.data.file_size()) : std::nullopt);
      json_.key("data_offset");
      json_.number_or_null(has_tensors[i] ? std::optional(shard.data_offset) : std::nullopt);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_warnings() {
    json_.key("warnings");
    json_.begin_array(Layout::lines);
    for (const Warning& warning : model_.warnings()) {
      json_.begin_object(Layout::inline_);
      json_.key("code");
      json_.string(name(warning.code));
      json_.key("offset");
      json_.number_or_null(warning.offset);
      json_.key("message");
      json_.string(warning.message);
      json_.end_object();
    }
    json_.end_array();
  }

  // The only line that differs between builds and backends.
  void write_runtime() {
    std::uint64_t in_memory = 0;
    for (const Model::Shard& shard : model_.shards()) in_memory += shard.data.size();
    json_.key("runtime");
    json_.begin_object(Layout::inline_);
    json_.key("storage");
    json_.string(storage_name(model_));
    json_.key("compression");
    if (const Compression codec = compression_of(model_); codec != Compression::none) {
      json_.string(name(codec));
    } else {
      json_.null();
    }
    json_.key("decoded_bytes");
    json_.number(in_memory);
    json_.key("build");
    json_.string(BALLAST_BUILD_NAME);
    json_.end_object();
  }

  JsonWriter json_;
  const Model& model_;
  const Selection& selection_;
  std::uint64_t element_limit_;
};

}  // namespace

void write_json(Output& output, const Model& model, const Selection& selection) {
  JsonInspection(output, model, selection).write();
}

}  // namespace ballast::cli
