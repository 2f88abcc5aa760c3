// The tensor that a command is about, by its name.
#pragma once

#include <string>

#include <ballast/model.hpp>

#include "cli/model_source.hpp"

namespace ballast::cli {

/// The tensor, or null after a line on standard error that says there is none of that name, and
/// which ones may have been meant.
[[nodiscard]] const Tensor* find_or_complain(const Model& model, const ModelSource& source,
                                             const std::string& wanted);

}  // namespace ballast::cli
