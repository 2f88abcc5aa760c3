// Close names, for whom a name did not exist.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <ballast/tensor.hpp>

namespace ballast::cli {

/// At most three names of tensors that somebody who wrote `wanted` may have meant, the closest
/// first. They are raw bytes of the file. Looks at a limited number of tensors, so that it answers
/// at once for any model.
[[nodiscard]] std::vector<std::string_view> close_names(std::span<const Tensor> tensors,
                                                        std::string_view wanted);

}  // namespace ballast::cli
