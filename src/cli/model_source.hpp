// Where a command gets its model from: a path, or standard input.
#pragma once

#include <string>

#include <ballast/model.hpp>

namespace ballast::cli {

/// What all commands ask for: a model, and where its bytes are to be.
struct ModelSource {
  std::string path;  ///< "-" is standard input
  Backend backend = Backend::automatic;
};

/// Opens the model, and shows on a terminal how far a load to the heap is. Throws Error, which
/// knows no path where standard input is read, and UsageError where that is a terminal.
[[nodiscard]] Model open_model(const ModelSource& source);

/// The same, but of compressed files no more is decoded than their directory.
[[nodiscard]] Model open_directory(const ModelSource& source);

/// The options for the library with which `open_model` opens.
[[nodiscard]] OpenOptions open_options(const ModelSource& source);

}  // namespace ballast::cli
