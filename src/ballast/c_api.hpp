// (private) What the four files of the C API share: a handle is the address of a C++ object, and
// every exception becomes a code and a ballast_error.
//
//     c_api.cpp         options, data, loaders
//     c_api_model.cpp   models, metadata, text
//     c_api_values.cpp  the values of tensors
//     c_api_error.cpp   versions, codes, errors
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <ballast/ballast.h>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#include <ballast/model_data.hpp>

#include "platform/cancellation.hpp"

struct ballast_options {
  ballast::OpenOptions open;
  std::optional<std::uint64_t> total;
  std::filesystem::path path;
  bool require_model = true;
  bool accept_index = false;
};

namespace ballast::c {

/// The types of the other handles are never defined.
template <class Object, class Handle>
Object* of(Handle* handle) noexcept {
  return reinterpret_cast<Object*>(handle);
}
inline const ModelData* of(const ballast_data* data) noexcept { return of<const ModelData>(data); }
inline ModelData* of(ballast_data* data) noexcept { return of<ModelData>(data); }
inline const Model* of(const ballast_model* model) noexcept { return of<const Model>(model); }
inline Loader* of(ballast_loader* loader) noexcept { return of<Loader>(loader); }

inline ballast_data* handle(ModelData data) {
  return of<ballast_data>(std::make_unique<ModelData>(std::move(data)).release());
}
inline ballast_model* handle(Model model) {
  return of<ballast_model>(std::make_unique<Model>(std::move(model)).release());
}

/// What NULL stands for.
[[nodiscard]] const ballast_options& or_defaults(const ballast_options* options);

/// Throws misuse where one of them is NULL.
template <class... Pointers>
void require(const Pointers*... pointers) {
  if ((!pointers || ...)) {
    throw Error(Problem{.code = Errc::misuse, .word = "NULL where something was expected"});
  }
}

/// What is being handled right now, as a code and an error. One place for all calls: a list of
/// handlers in each would be most of their code.
int failure(ballast_error** error) noexcept;

/// Does what may throw, and answers a code. Nothing cancels the thread meanwhile, callbacks of the
/// program included: to cancel it would unwind through this, which is noexcept.
template <class Work>
int guarded(ballast_error** error, Work work) noexcept {
  const platform::CancellationOff off;
  try {
    work();
    return BALLAST_OK;
  } catch (...) {
    return failure(error);
  }
}

/// The same for the file at `path`: what a callback ends knows of no path.
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

/// The name of a file without its folders, as a view of its path.
[[nodiscard]] std::string_view file_name(const std::filesystem::path& path) noexcept;

/// Fills in what is known of a file's bytes.
void show(const ModelData& data, std::string_view name, std::uint64_t data_offset,
          ballast_file& file) noexcept;

}  // namespace ballast::c
