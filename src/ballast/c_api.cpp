// ballast.h over the C++ library: a handle is a C++ object, and every exception becomes a code and
// a ballast_error.

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <ballast/ballast.h>
#include <ballast/ballast.hpp>

using ballast::Array;
using ballast::Errc;
using ballast::Error;
using ballast::Loader;
using ballast::Model;
using ballast::ModelData;
using ballast::Problem;
using ballast::Value;
using ballast::ValueType;

struct ballast_options {
  ballast::OpenOptions open;
  std::optional<std::uint64_t> total;
  std::filesystem::path path;
  bool require_model = true;
};

static_assert(BALLAST_ERRC_end == ballast::kErrcCount + 1);

namespace {

// ---- Handles ------------------------------------------------------------------------------------
// The types of the other handles are never defined: a handle is the address of the C++ object.

template <class Object, class Handle>
Object* of(Handle* handle) noexcept {
  return reinterpret_cast<Object*>(handle);
}
const ModelData* of(const ballast_data* data) noexcept { return of<const ModelData>(data); }
ModelData* of(ballast_data* data) noexcept { return of<ModelData>(data); }
const Model* of(const ballast_model* model) noexcept { return of<const Model>(model); }
Loader* of(ballast_loader* loader) noexcept { return of<Loader>(loader); }

ballast_data* handle(ModelData data) {
  return of<ballast_data>(std::make_unique<ModelData>(std::move(data)).release());
}
ballast_model* handle(Model model) {
  return of<ballast_model>(std::make_unique<Model>(std::move(model)).release());
}

const ballast_options& or_defaults(const ballast_options* options) {
  static const ballast_options kDefaults{};
  return options != nullptr ? *options : kDefaults;
}

[[noreturn]] void misuse(std::string_view word) {
  throw Error(Problem{.code = Errc::misuse, .word = word});
}

template <class... Pointers>
void require(const Pointers*... pointers) {
  if ((!pointers || ...)) misuse("NULL where something was expected");
}

// ---- Errors -------------------------------------------------------------------------------------

int code_of(const std::error_code& code) noexcept {
  return code.category() == ballast::category() ? code.value() : -code.value();
}

// What is given out: the plain structure, and behind it what its strings belong to.
struct KeptError : ballast_error {
  Error kept;

  explicit KeptError(const Error& error) noexcept : ballast_error{}, kept(error) {
    offset = kept.offset().value_or(0);
    expected = kept.expected().value_or(0);
    actual = kept.actual().value_or(0);
    name = kept.name().data();  // a literal, which is terminated
    message = kept.message().c_str();
    what = kept.what();
    path = kept.path().c_str();
    subject = kept.subject().c_str();
    subject_size = kept.subject().size();
    code = code_of(kept.code());
    subject_kind = static_cast<std::int32_t>(kept.subject_kind());
    if (kept.offset()) has |= BALLAST_HAS_OFFSET;
    if (kept.expected()) has |= BALLAST_HAS_EXPECTED;
    if (kept.actual()) has |= BALLAST_HAS_ACTUAL;
  }
};

// Where there is no memory, there is none for an error either.
constexpr ballast_error kNoMemory{.offset = 0,
                                  .expected = 0,
                                  .actual = 0,
                                  .name = "out_of_memory",
                                  .message = "memory ran out: use a smaller model, or shards",
                                  .what =
                                      "memory ran out: use a smaller model, or shards "
                                      "(out_of_memory)",
                                  .path = "",
                                  .subject = "",
                                  .subject_size = 0,
                                  .code = BALLAST_ERRC_out_of_memory,
                                  .subject_kind = BALLAST_SUBJECT_NONE,
                                  .has = 0,
                                  .reserved = 0};

int no_memory(ballast_error** error) noexcept {
  if (error != nullptr) *error = const_cast<ballast_error*>(&kNoMemory);
  return BALLAST_ERRC_out_of_memory;
}

int report(const Error& failure, ballast_error** error) {
  if (error != nullptr) *error = std::make_unique<KeptError>(failure).release();
  return code_of(failure.code());
}

// What is being handled right now, as a code. One place for all calls: a list of handlers in each
// would be most of their code.
int failure(ballast_error** error) noexcept {
  try {
    try {
      throw;
    } catch (const Error& known) {
      return report(known, error);
    } catch (const std::bad_alloc&) {
      return no_memory(error);
    } catch (const std::length_error&) {  // more than any vector or string could hold
      return no_memory(error);
    } catch (const std::exception& other) {
      return report(Error(Problem{.code = Errc::unexpected, .word = other.what()}), error);
    } catch (...) {
      return report(Error(Problem{.code = Errc::unexpected, .word = "an exception"}), error);
    }
  } catch (...) {
    return no_memory(error);
  }
}

template <class Work>
int guarded(ballast_error** error, Work work) noexcept {
  try {
    work();
    return BALLAST_OK;
  } catch (...) {
    return failure(error);
  }
}

// The same for the file at `path`: what a callback ends knows of no path.
template <class Work>
int guarded(ballast_error** error, const char* path, Work work) noexcept {
  return guarded(error, [&] {
    try {
      require(path);
      work();
    } catch (const Error& known) {
      if (path == nullptr || !known.path().empty()) throw;
      throw known.with_path(path);
    }
  });
}

// ---- Views --------------------------------------------------------------------------------------

std::string_view text(const char* characters, std::size_t size) noexcept {
  return size == 0 ? std::string_view() : std::string_view(characters, size);
}

// The name of a file without its folders, as a view of its path.
std::string_view file_name(const std::filesystem::path& path) noexcept {
  if constexpr (std::is_same_v<std::filesystem::path::value_type, char>) {
    const std::string_view whole = path.native();
    return whole.substr(whole.rfind('/') + 1);  // npos + 1 is 0
  } else {
    return {};
  }
}

void show(const ModelData& data, std::string_view name, std::uint64_t data_offset,
          ballast_file& file) noexcept {
  file = {};
  file.file_size = data.file_size();
  file.data_offset = data_offset;
  file.bytes = data.bytes().data();
  file.size = data.size();
  file.name = name.data();
  file.name_size = name.size();
  file.data = of<const ballast_data>(&data);
  file.is_mmap = data.is_mmap() ? 1 : 0;
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
  out.bytes = tensor.nbytes ? model.bytes(tensor).data() : nullptr;
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
  if (value == nullptr || value->type != BALLAST_TYPE_ARRAY || !is_type(value->element_type)) {
    return std::nullopt;
  }
  const std::span bytes(static_cast<const std::byte*>(value->data), value->size);
  return Array(static_cast<ValueType>(value->element_type), value->bits, bytes);
}

// The number in a value, where it is one that T holds.
template <class T>
int number(const ballast_value* value, T* out) noexcept {
  if (value == nullptr || !is_type(value->type)) return 0;
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

// Object `index` of a list, shown in `out`; 0 where there is none.
template <class List, class Out>
int show_at(const List& list, std::size_t index, Out& out) noexcept {
  if (index >= list.size()) return 0;
  show(list[index], out);
  return 1;
}

int answer(ballast::Advised advised) noexcept {
  if (advised.applied()) return BALLAST_OK;
  return advised.unsupported() ? BALLAST_UNSUPPORTED : -advised.error().value();
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

bool set_limit(ballast::Limits& limits, int option, std::uint64_t value) noexcept {
  switch (option) {
    case BALLAST_OPTION_MAX_TENSORS:
      limits.max_tensors = value;
      return true;
    case BALLAST_OPTION_MAX_ENTRIES:
      limits.max_entries = value;
      return true;
    case BALLAST_OPTION_MAX_STRING:
      limits.max_string = value;
      return true;
    case BALLAST_OPTION_MAX_ALIGNMENT:
      limits.max_alignment = value;
      return true;
    case BALLAST_OPTION_MAX_ARRAY_DEPTH:
      if (value > ballast::kMaxArrayDepth) return false;
      limits.max_array_depth = static_cast<std::uint32_t>(value);
      return true;
    case BALLAST_OPTION_MAX_HEADER:
      limits.max_header = value;
      return true;
    case BALLAST_OPTION_MAX_TRAILING:
      limits.max_trailing = value;
      return true;
    default:
      return false;
  }
}

bool set_option(ballast_options& options, int option, std::uint64_t value) noexcept {
  switch (option) {
    case BALLAST_OPTION_BACKEND:
      if (value > BALLAST_BACKEND_HEAP) return false;
      options.open.backend = static_cast<ballast::Backend>(value);
      return true;
    case BALLAST_OPTION_OFFSET:
      options.open.offset = value;
      return true;
    case BALLAST_OPTION_LENGTH:
      options.open.length = value;
      return true;
    case BALLAST_OPTION_TOTAL:
      options.total = value;
      return true;
    case BALLAST_OPTION_MAX_BYTES:
      options.open.max_bytes = value;
      return true;
    case BALLAST_OPTION_LENIENT:
      if (value > 1) return false;
      options.open.parse.lenient = value == 1;
      return true;
    case BALLAST_OPTION_REQUIRE_MODEL:
      if (value > 1) return false;
      options.require_model = value == 1;
      return true;
    default:
      return set_limit(options.open.parse.limits, option, value);
  }
}

}  // namespace

// ---- Version and codes --------------------------------------------------------------------------

const char* ballast_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = BALLAST_VERSION_MAJOR;
  if (minor != nullptr) *minor = BALLAST_VERSION_MINOR;
  if (patch != nullptr) *patch = BALLAST_VERSION_PATCH;
  return BALLAST_VERSION;
}

int ballast_has_mmap(void) { return BALLAST_HAS_MMAP; }

void ballast_error_free(ballast_error* error) {
  if (error != &kNoMemory) delete static_cast<KeptError*>(error);
}

const char* ballast_code_name(int code) {
  if (code > ballast::kErrcCount) return "unknown_code";
  if (code >= 0) return ballast::name(static_cast<Errc>(code)).data();
  const int native = code == std::numeric_limits<int>::min() ? 0 : -code;
  return ballast::name(std::error_code(native, std::system_category())).data();
}

// ---- Options ------------------------------------------------------------------------------------

ballast_options* ballast_options_create(void) { return new (std::nothrow) ballast_options(); }

void ballast_options_free(ballast_options* options) { delete options; }

int ballast_options_set(ballast_options* options, int option, uint64_t value) {
  const bool done = options != nullptr && set_option(*options, option, value);
  return done ? BALLAST_OK : BALLAST_ERRC_misuse;
}

int ballast_options_set_path(ballast_options* options, const char* path) {
  return guarded(nullptr, [&] {
    require(options, path);
    options->path = path;
  });
}

void ballast_options_set_progress(ballast_options* options,
                                  int (*progress)(void* user, uint64_t done, uint64_t total),
                                  void* user) {
  if (options == nullptr) return;
  options->open.progress = nullptr;
  if (progress == nullptr) return;
  // Two pointers fit into a std::function without memory of their own.
  options->open.progress = [progress, user](const ballast::Progress& so_far) {
    if (progress(user, so_far.done, so_far.total.value_or(BALLAST_UNKNOWN)) == 0) return;
    throw Error(Problem{.code = Errc::cancelled});
  };
}

// ---- Data ---------------------------------------------------------------------------------------

int ballast_data_open(const char* path, const ballast_options* options, ballast_data** data,
                      ballast_error** error) {
  return guarded(error, path, [&] {
    require(data);
    *data = handle(ModelData::open(path, or_defaults(options).open));
  });
}

int ballast_data_open_descriptor(int descriptor, const ballast_options* options,
                                 ballast_data** data, ballast_error** error) {
  return guarded(error, [&] {
    require(data);
    *data = handle(ModelData::open_descriptor(descriptor, or_defaults(options).open));
  });
}

int ballast_data_from_memory(const void* bytes, size_t size, void (*release)(void* user),
                             void* user, ballast_data** data, ballast_error** error) {
  return guarded(error, [&] {
    std::shared_ptr<const void> owner;
    if (release != nullptr) owner = std::shared_ptr<void>(user, release);  // once, come what may
    require(data);
    if (size > 0) require(bytes);
    *data =
        handle(ModelData::borrow({static_cast<const std::byte*>(bytes), size}, std::move(owner)));
  });
}

void ballast_data_close(ballast_data* data) { delete of(data); }

void ballast_data_file(const ballast_data* data, ballast_file* file) {
  if (data == nullptr) {
    *file = {};
  } else {
    show(*of(data), file_name(of(data)->path()), 0, *file);
  }
}

int ballast_data_advise(const ballast_data* data, int advice, size_t offset, size_t length) {
  const bool known = advice >= BALLAST_ADVICE_SEQUENTIAL && advice <= BALLAST_ADVICE_HUGE_PAGE;
  if (data == nullptr || !known) return BALLAST_UNSUPPORTED;
  return answer(of(data)->advise(static_cast<ballast::Advice>(advice), offset, length));
}

int ballast_data_release(const ballast_data* data, size_t offset, size_t length, int drop_cache) {
  if (data == nullptr) return BALLAST_UNSUPPORTED;
  const auto cache = drop_cache != 0 ? ballast::PageCache::drop : ballast::PageCache::keep;
  return answer(of(data)->release_cpu_pages(offset, length, cache));
}

int ballast_data_unchanged(const ballast_data* data) {
  return data != nullptr && of(data)->unchanged() ? 1 : 0;
}

int ballast_data_intact(const ballast_data* data, size_t offset, size_t length) {
  return data != nullptr && of(data)->intact(offset, length) ? 1 : 0;
}

// ---- Loader -------------------------------------------------------------------------------------

int ballast_loader_create(const ballast_options* options, ballast_loader** loader,
                          ballast_error** error) {
  return guarded(error, [&] {
    require(loader);
    const ballast_options& given = or_defaults(options);
    auto made =
        std::make_unique<Loader>(ballast::LoaderOptions{.total = given.total,
                                                        .max_bytes = given.open.max_bytes,
                                                        .require_model = given.require_model,
                                                        .path = given.path,
                                                        .parse = given.open.parse});
    *loader = of<ballast_loader>(made.release());
  });
}

void ballast_loader_free(ballast_loader* loader) { delete of(loader); }

int ballast_loader_prepare(ballast_loader* loader, size_t want, void** room, size_t* size,
                           ballast_error** error) {
  return guarded(error, [&] {
    require(loader, room, size);
    const std::span<std::byte> given = of(loader)->prepare(want);
    *room = given.data();
    *size = given.size();
  });
}

int ballast_loader_commit(ballast_loader* loader, size_t count, ballast_error** error) {
  return guarded(error, [&] {
    require(loader);
    of(loader)->commit(count);
  });
}

int ballast_loader_push(ballast_loader* loader, const void* bytes, size_t size,
                        ballast_error** error) {
  return guarded(error, [&] {
    require(loader);
    if (size > 0) require(bytes);
    of(loader)->push({static_cast<const std::byte*>(bytes), size});
  });
}

int ballast_loader_finish(ballast_loader* loader, ballast_data** data, ballast_error** error) {
  return guarded(error, [&] {
    require(loader, data);
    *data = handle(of(loader)->finish());
  });
}

void ballast_loader_progress(const ballast_loader* loader, uint64_t* done, uint64_t* total) {
  ballast::Progress progress;
  if (loader != nullptr) progress = of<const Loader>(loader)->progress();
  if (done != nullptr) *done = progress.done;
  if (total != nullptr) *total = progress.total.value_or(BALLAST_UNKNOWN);
}

void ballast_loader_cancel(ballast_loader* loader) {
  if (loader != nullptr) of(loader)->cancel();
}

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
    *model = handle(Model::from_shards(taken.shards(names), or_defaults(options).open.parse));
  });
}

void ballast_model_close(ballast_model* model) { delete of<Model>(model); }

void ballast_model_summary(const ballast_model* model, ballast_summary* summary) {
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
  summary->is_sharded = shown.is_sharded() ? 1 : 0;
}

int ballast_model_tensor(const ballast_model* model, size_t index, ballast_tensor* tensor) {
  if (model == nullptr || index >= of(model)->tensors().size()) return 0;
  show(*of(model), index, *tensor);
  return 1;
}

int ballast_model_find(const ballast_model* model, const char* name, size_t size,
                       ballast_tensor* tensor) {
  if (model == nullptr) return 0;
  const ballast::Tensor* found = of(model)->find(text(name, size));
  if (found == nullptr) return 0;
  show(*of(model), static_cast<std::size_t>(found - of(model)->tensors().data()), *tensor);
  return 1;
}

int ballast_model_shard(const ballast_model* model, size_t index, ballast_file* file) {
  if (model == nullptr || index >= of(model)->shards().size()) return 0;
  const Model::Shard& shard = of(model)->shards()[index];
  show(shard.data, shard.file, shard.data_offset, *file);
  return 1;
}

int ballast_model_warning(const ballast_model* model, size_t index, ballast_warning* warning) {
  return model != nullptr ? show_at(of(model)->warnings(), index, *warning) : 0;
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
  if (model == nullptr || index >= of(model)->metadata().size()) return 0;
  const ballast::Entry& shown = of(model)->metadata().entries()[index];
  entry->offset = shown.offset;
  entry->key = shown.key.data();
  entry->key_size = shown.key.size();
  show(shown.value, entry->value);
  return 1;
}

int ballast_model_value(const ballast_model* model, const char* key, size_t size,
                        ballast_value* value) {
  if (model == nullptr) return 0;
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
  const std::optional<Array> elements = array_of(array);
  const std::optional<Value> found = elements ? elements->at(index) : std::nullopt;
  if (!found) return 0;
  show(*found, *element);
  return 1;
}

int ballast_value_next(ballast_value* rest, ballast_value* element) {
  const std::optional<Array> elements = array_of(rest);
  if (!elements || elements->begin() == elements->end()) return 0;
  show(*elements->begin(), *element);
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
    if (capacity == 0) return;
    const std::size_t kept = std::min(length, capacity - 1);
    std::memcpy(out, safe.data(), kept);
    out[kept] = '\0';
  });
  return length;
}
