// ballast.h: options, the bytes of one file, and loaders.

#include <algorithm>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <ballast/ballast.h>
#include <ballast/ballast.hpp>

#include "ballast/c_api.hpp"

namespace ballast::c {

const ballast_options& or_defaults(const ballast_options* options) {
  static const ballast_options kDefaults{};
  return options != nullptr ? *options : kDefaults;
}

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
  file.compression = ballast::name(data.compression()).data();  // a literal, which is terminated
  file.compressed_size = data.compressed_size();
  file.is_complete = data.is_complete() ? 1 : 0;
  file.is_mmap = data.is_mmap() ? 1 : 0;
}

}  // namespace ballast::c

using ballast::Errc;
using ballast::Error;
using ballast::Loader;
using ballast::Model;
using ballast::ModelData;
using ballast::Problem;
using ballast::c::file_name;
using ballast::c::guarded;
using ballast::c::handle;
using ballast::c::of;
using ballast::c::or_defaults;
using ballast::c::require;
using ballast::c::show;

namespace {

int answer(ballast::Advised advised) noexcept {
  if (advised.applied()) return BALLAST_OK;
  return advised.unsupported() ? BALLAST_UNSUPPORTED : -advised.error().value();
}

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

bool set_flag(bool& flag, std::uint64_t value) noexcept {
  if (value > 1) return false;
  flag = value == 1;
  return true;
}

ballast_progress shown(const ballast::Progress& progress) noexcept {
  return {.done = progress.done,
          .total = progress.total.value_or(BALLAST_UNKNOWN),
          .input_done = progress.input_done,
          .input_total = progress.input_total.value_or(BALLAST_UNKNOWN)};
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
    case BALLAST_OPTION_USED_BYTES:
      options.open.used_bytes = value;
      return true;
    case BALLAST_OPTION_LENIENT:
      return set_flag(options.open.parse.lenient, value);
    case BALLAST_OPTION_REQUIRE_MODEL:
      return set_flag(options.require_model, value);
    case BALLAST_OPTION_ACCEPT_INDEX:
      return set_flag(options.accept_index, value);
    case BALLAST_OPTION_DECOMPRESS:
      return set_flag(options.open.decompress, value);
    case BALLAST_OPTION_DIRECTORY_ONLY:
      return set_flag(options.open.directory_only, value);
    case BALLAST_OPTION_FAULT_GUARD:
      return set_flag(options.open.fault_guard, value);
    case BALLAST_OPTION_MAX_RATIO:
      if (value == 0) return false;
      options.open.decode.max_ratio = value;
      return true;
    case BALLAST_OPTION_MAX_WINDOW:
      options.open.decode.max_window = value;
      return true;
    default:
      return set_limit(options.open.parse.limits, option, value);
  }
}

}  // namespace

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
                                  int (*progress)(void* user, const ballast_progress* progress),
                                  void* user) {
  if (options == nullptr) return;
  options->open.progress = nullptr;
  if (progress == nullptr) return;
  // Two pointers fit into a std::function without memory of their own.
  options->open.progress = [progress, user](const ballast::Progress& so_far) {
    const ballast_progress now = shown(so_far);
    if (progress(user, &now) == 0) return;
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

int ballast_can_decode(const char* compression) {
  if (compression == nullptr) return 0;
  const auto codecs = ballast::codecs();
  const auto is_it = [compression](ballast::Compression codec) {
    return ballast::name(codec) == compression;
  };
  return std::any_of(codecs.begin(), codecs.end(), is_it) ? 1 : 0;
}

void ballast_data_close(ballast_data* data) {
  const ballast::platform::CancellationOff off;
  delete of(data);
}

int ballast_data_siblings(const ballast_data* data, const char* name,
                          const ballast_options* options, char** siblings, ballast_error** error) {
  return guarded(error, [&] {
    require(data, siblings);
    const std::string_view file = name != nullptr ? name : file_name(of(data)->path());
    std::string list;
    for (const std::string& sibling :
         Model::siblings(*of(data), file, or_defaults(options).open.parse)) {
      list.append(sibling).push_back('\0');
    }
    *siblings = static_cast<char*>(::operator new(list.size() + 1));
    list.copy(*siblings, list.size());
    (*siblings)[list.size()] = '\0';
  });
}

void ballast_siblings_free(char* siblings) { ::operator delete(siblings); }

void ballast_data_file(const ballast_data* data, ballast_file* file) {
  if (file == nullptr) return;
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

int ballast_data_damaged(const ballast_data* data) {
  return data != nullptr && of(data)->damaged() ? 1 : 0;
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
                                                        .used_bytes = given.open.used_bytes,
                                                        .require_model = given.require_model,
                                                        .accept_index = given.accept_index,
                                                        .path = given.path,
                                                        .decompress = given.open.decompress,
                                                        .directory_only = given.open.directory_only,
                                                        .decode = given.open.decode,
                                                        .parse = given.open.parse});
    *loader = of<ballast_loader>(made.release());
  });
}

void ballast_loader_free(ballast_loader* loader) {
  const ballast::platform::CancellationOff off;
  delete of(loader);
}

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

void ballast_loader_progress(const ballast_loader* loader, ballast_progress* progress) {
  ballast::Progress so_far;
  if (loader != nullptr) so_far = of<const Loader>(loader)->progress();
  if (progress != nullptr) *progress = shown(so_far);
}

int ballast_loader_has_directory(const ballast_loader* loader) {
  return loader != nullptr && of<const Loader>(loader)->has_directory() ? 1 : 0;
}

void ballast_loader_cancel(ballast_loader* loader) {
  if (loader != nullptr) of(loader)->cancel();
}
