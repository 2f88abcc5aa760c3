// The table of tensors, a line for each.
#pragma once

#include "cli/filter.hpp"
#include "cli/inspect.hpp"

namespace ballast::cli {

/// Writes a header and a line for each tensor that `filter` matches: name, dtype, shape in the
/// file's own order, absolute offset, bytes, and in a set the number of its file. Goes over the
/// tensors twice, to measure and to write, and keeps no text in between: a million tensors take no
/// memory.
void write_tensor_table(Output& output, const Model& model, const Filter& filter, const Look& look);

}  // namespace ballast::cli
