// ballast.h: models, metadata, and text that is safe to show.

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <ballast/ballast.h>
#include <ballast/ballast.hpp>

#include "ballast/c_api.hpp"
#include "ballast/model_data_storage.hpp"

using ballast::Array;
using ballast::Model;
using ballast::Value;
using ballast::ValueType;
using ballast::c::file_name;
using ballast::c::guarded;
using ballast::c::handle;
using ballast::c::of;
using ballast::c::or_defaults;
using ballast::c::require;
using ballast::c::show;

namespace {

std::string_view text(const char* characters, std::size_t size) noexcept {
  return characters == nullptr ? std::string_view() : std::string_view(characters, size);
}

// A text that is looked for: NULL stands for the empty one, and for no other.
bool is_text(const char* characters, std::size_t size) noexcept {
  return characters != nullptr || size == 0;
}

void show(const Model& model, std::size_t index, ballast_tensor& out) {
  const ballast::Tensor& tensor = model.tensors()[index];
  const ballast::DTypeInfo& dtype = ballast::info(tensor.dtype);
  out = {};
  out.offset = tensor.offset;
  out.nbytes = tensor.nbytes.value_or(BALLAST_UNKNOWN);
  out.elements = tensor.elements();
  out.shape = tensor.shape.dims().data();
  out.rank = tensor.shape.size();
  out.name = tensor.name.data();
  out.name_size = tensor.name.size();
  out.dtype = tensor.dtype_name.data();
  out.dtype_size = tensor.dtype_name.size();
  const bool has_bytes = tensor.nbytes && model.shards()[tensor.shard].data.is_complete();
  out.bytes = has_bytes ? model.bytes(tensor).data() : nullptr;
  out.shard = tensor.shard;
  out.index = index;
  out.block_elements = dtype.block_elements;
  out.block_bytes = dtype.block_bytes;
}

void show(const ballast::Warning& warning, ballast_warning& out) noexcept {
  out = {};
  out.offset = warning.offset.value_or(BALLAST_UNKNOWN);
  out.name = ballast::name(warning.code).data();
  out.message = warning.message.c_str();
  out.code = static_cast<std::int32_t>(warning.code);
}

void show(const Value& value, ballast_value& out) noexcept {
  out = {};
  out.bits = value.bits();
  out.type = static_cast<std::int32_t>(value.type());
  if (const auto string = value.get<std::string_view>()) {
    out.bits = 0;
    out.data = string->data();
    out.size = string->size();
  } else if (const auto array = value.get<Array>()) {
    out.bits = array->size();
    out.data = array->bytes().data();
    out.size = array->bytes().size();
    out.element_type = static_cast<std::int32_t>(array->element_type());
  }
}

bool is_type(std::int32_t type) noexcept {
  return type >= 0 && static_cast<std::uint32_t>(type) < ballast::kValueTypeCount;
}

std::optional<Array> array_of(const ballast_value* value) noexcept {
  if (value == nullptr || value->type != BALLAST_TYPE_ARRAY || !is_type(value->element_type) ||
      (value->data == nullptr && value->size > 0)) {
    return std::nullopt;
  }
  const std::span bytes(static_cast<const std::byte*>(value->data), value->size);
  return Array(static_cast<ValueType>(value->element_type), value->bits, bytes);
}

// The number in a value, where it is one that T holds.
template <class T>
int number(const ballast_value* value, T* out) noexcept {
  if (value == nullptr || out == nullptr || !is_type(value->type)) return 0;
  const auto number = Value(static_cast<ValueType>(value->type), value->bits).get<T>();
  if (!number) return 0;
  *out = *number;
  return 1;
}

// The bytes that an element takes in an array.
std::size_t encoded_size(const ballast_value& element) noexcept {
  constexpr std::size_t kStringHead = 8;  // u64 length
  constexpr std::size_t kArrayHead = 12;  // u32 element type, u64 count
  if (element.type == BALLAST_TYPE_STRING) return kStringHead + element.size;
  if (element.type == BALLAST_TYPE_ARRAY) return kArrayHead + element.size;
  return ballast::encoded_size(static_cast<ValueType>(element.type));
}

// Takes what the caller has handed over, whatever becomes of the call.
class Taken {
 public:
  Taken(ballast_data** data, std::size_t count) noexcept : data_(data), count_(count) {}
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  ~Taken() {
    for (std::size_t i = 0; i < count_; ++i) ballast_data_close(std::exchange(data_[i], nullptr));
  }

  [[nodiscard]] std::vector<Model::Shard> shards(const char* const* names) const {
    std::vector<Model::Shard> shards(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      require(data_[i]);
      shards[i].data = std::move(*of(data_[i]));
      shards[i].file = names != nullptr && names[i] != nullptr ? std::string_view(names[i])
                                                               : file_name(shards[i].data.path());
    }
    return shards;
  }

 private:
  ballast_data** data_;
  std::size_t count_;
};

// Loaders know of one file each; here all of a set are together.
void require_within(std::optional<std::uint64_t> max_bytes, std::span<const Model::Shard> shards) {
  if (!max_bytes) return;
  std::uint64_t used = 0;
  for (const Model::Shard& shard : shards) {
    used += ballast::DataAccess::heap_bytes(shard.data);
    if (used <= *max_bytes) continue;
    const std::filesystem::path& path = shard.data.path();
    throw ballast::Error({.code = ballast::Errc::too_large, .expected = used, .actual = max_bytes},
                         path.empty() ? shard.file : path.string());
  }
}

}  // namespace

// ---- Model --------------------------------------------------------------------------------------

int ballast_model_open(const char* path, const ballast_options* options, ballast_model** model,
                       ballast_error** error) {
  return guarded(error, path, [&] {
    require(model);
    *model = handle(Model::open(path, or_defaults(options).open));
  });
}

int ballast_model_open_shards(const char* const* paths, size_t count,
                              const ballast_options* options, ballast_model** model,
                              ballast_error** error) {
  return guarded(error, [&] {
    require(model);
    if (count > 0) require(paths);
    std::vector<std::filesystem::path> all;
    for (std::size_t i = 0; i < count; ++i) {
      require(paths[i]);
      all.emplace_back(paths[i]);
    }
    *model = handle(Model::open_shards(all, or_defaults(options).open));
  });
}

int ballast_model_from_data(ballast_data** data, const char* const* names, size_t count,
                            const ballast_options* options, ballast_model** model,
                            ballast_error** error) {
  return guarded(error, [&] {
    if (count > 0) require(data);
    const Taken taken(data, count);
    require(model);
    std::vector<Model::Shard> shards = taken.shards(names);
    require_within(or_defaults(options).open.max_bytes, shards);
    *model = handle(Model::from_shards(std::move(shards), or_defaults(options).open.parse));
  });
}

void ballast_model_close(ballast_model* model) {
  const ballast::platform::CancellationOff off;  // data of the program's may be given back
  delete of<Model>(model);
}

void ballast_model_summary(const ballast_model* model, ballast_summary* summary) {
  if (summary == nullptr) return;
  *summary = {};
  if (model == nullptr) return;
  const Model& shown = *of(model);
  summary->version = shown.version() ? std::uint64_t{*shown.version()} : BALLAST_UNKNOWN;
  summary->alignment = shown.alignment().value_or(BALLAST_UNKNOWN);
  summary->file_bytes = shown.file_bytes();
  summary->parameter_count = shown.parameter_count();
  summary->format = ballast::name(shown.format()).data();
  summary->tensor_count = shown.tensors().size();
  summary->entry_count = shown.metadata().size();
  summary->warning_count = shown.warnings().size();
  summary->shard_count = shown.shards().size();
  summary->is_complete = of(model)->is_complete() ? 1 : 0;
  summary->is_sharded = shown.is_sharded() ? 1 : 0;
}

int ballast_model_tensor(const ballast_model* model, size_t index, ballast_tensor* tensor) {
  if (model == nullptr || tensor == nullptr || index >= of(model)->tensors().size()) return 0;
  show(*of(model), index, *tensor);
  return 1;
}

int ballast_model_find(const ballast_model* model, const char* name, size_t size,
                       ballast_tensor* tensor) {
  if (model == nullptr || tensor == nullptr || !is_text(name, size)) return 0;
  const ballast::Tensor* found = of(model)->find(text(name, size));
  if (found == nullptr) return 0;
  show(*of(model), static_cast<std::size_t>(found - of(model)->tensors().data()), *tensor);
  return 1;
}

int ballast_model_shard(const ballast_model* model, size_t index, ballast_file* file) {
  if (model == nullptr || file == nullptr || index >= of(model)->shards().size()) return 0;
  const Model::Shard& shard = of(model)->shards()[index];
  show(shard.data, shard.file, shard.data_offset, *file);
  return 1;
}

int ballast_model_warning(const ballast_model* model, size_t index, ballast_warning* warning) {
  if (model == nullptr || warning == nullptr || index >= of(model)->warnings().size()) return 0;
  show(of(model)->warnings()[index], *warning);
  return 1;
}

int ballast_model_verify(const ballast_model* model, const ballast_options* options,
                         void (*found)(void* user, const ballast_warning* warning), void* user,
                         ballast_error** error) {
  return guarded(error, [&] {
    require(model);
    for (const ballast::Warning& warning : of(model)->verify(or_defaults(options).open)) {
      ballast_warning shown;
      show(warning, shown);
      if (found != nullptr) found(user, &shown);
    }
  });
}

// ---- Metadata -----------------------------------------------------------------------------------

int ballast_model_entry(const ballast_model* model, size_t index, ballast_entry* entry) {
  if (model == nullptr || entry == nullptr || index >= of(model)->metadata().size()) return 0;
  const ballast::Entry& shown = of(model)->metadata().entries()[index];
  entry->offset = shown.offset;
  entry->key = shown.key.data();
  entry->key_size = shown.key.size();
  show(shown.value, entry->value);
  return 1;
}

int ballast_model_value(const ballast_model* model, const char* key, size_t size,
                        ballast_value* value) {
  if (model == nullptr || value == nullptr || !is_text(key, size)) return 0;
  const Value* found = of(model)->metadata().find(text(key, size));
  if (found == nullptr) return 0;
  show(*found, *value);
  return 1;
}

int ballast_value_u64(const ballast_value* value, uint64_t* number) {
  return ::number<std::uint64_t>(value, number);
}

int ballast_value_i64(const ballast_value* value, int64_t* number) {
  return ::number<std::int64_t>(value, number);
}

int ballast_value_double(const ballast_value* value, double* number) {
  return ::number<double>(value, number);
}

int ballast_value_at(const ballast_value* array, uint64_t index, ballast_value* element) {
  const std::optional<Array> elements = element != nullptr ? array_of(array) : std::nullopt;
  const std::optional<Value> found = elements ? elements->at(index) : std::nullopt;
  if (!found) return 0;
  show(*found, *element);
  return 1;
}

int ballast_value_next(ballast_value* rest, ballast_value* element) {
  const std::optional<Array> elements = element != nullptr ? array_of(rest) : std::nullopt;
  if (!elements) return 0;
  const Array::Iterator first = elements->begin();  // decodes the element, once
  if (first == elements->end()) return 0;
  show(*first, *element);
  const std::size_t length = encoded_size(*element);
  rest->data = static_cast<const std::byte*>(rest->data) + length;
  rest->size -= length;
  --rest->bits;
  return 1;
}

// ---- Text ---------------------------------------------------------------------------------------

size_t ballast_printable(const char* text, size_t size, char* out, size_t capacity) {
  std::size_t length = 0;
  guarded(nullptr, [&] {
    const std::string safe = ballast::printable(::text(text, size));
    length = safe.size();
    if (capacity == 0 || out == nullptr) return;
    const std::size_t kept = std::min(length, capacity - 1);
    std::memcpy(out, safe.data(), kept);
    out[kept] = '\0';
  });
  return length;
}
