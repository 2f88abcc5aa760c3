// The commands: what each is told, and what it does.
//
// Each answers an exit status (failure.hpp) and throws what it cannot do. Nothing reaches standard
// output before the model is open.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <ballast/config.hpp>

#include "cli/model_source.hpp"

namespace ballast::cli {

struct InspectOptions {
  ModelSource model;
  bool json = false;
  bool full = false;                  ///< whole arrays and strings
  std::optional<std::string> filter;  ///< of tensors and metadata keys (filter.hpp)
};

struct CatOptions {
  ModelSource model;
  std::string tensor;
  std::string output = "-";  ///< "-" is standard output
};

struct ShowOptions {
  ModelSource model;
  std::string tensor;
  std::optional<std::string> rows;  ///< "A:B"
  bool stats = false;               ///< and no values
  bool json = false;
};

struct CheckOptions {
  std::vector<std::string> models;
  Backend backend = Backend::automatic;
};

/// Text that was asked for: --help, --version.
struct PrintOptions {
  std::string text;
};

#if BALLAST_HAS_VALUES
using Command = std::variant<PrintOptions, InspectOptions, CatOptions, CheckOptions, ShowOptions>;
#else
using Command = std::variant<PrintOptions, InspectOptions, CatOptions, CheckOptions>;
#endif

/// What the arguments ask for. Throws UsageError.
[[nodiscard]] Command parse_arguments(int count, const char* const* arguments);

[[nodiscard]] int run(const PrintOptions& options);
[[nodiscard]] int run(const InspectOptions& options);
[[nodiscard]] int run(const CatOptions& options);
[[nodiscard]] int run(const CheckOptions& options);
[[nodiscard]] int run(const ShowOptions& options);  ///< where the library has values

}  // namespace ballast::cli
