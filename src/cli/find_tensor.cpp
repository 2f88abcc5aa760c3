#include "cli/find_tensor.hpp"

#include <string_view>

#include <fmt/format.h>

#include <ballast/error.hpp>
#include <ballast/text.hpp>

#include "cli/failure.hpp"
#include "cli/suggest.hpp"

namespace ballast::cli {
namespace {

std::string suggestions(const Model& model, std::string_view wanted) {
  std::string text;
  for (const std::string_view name : close_names(model.tensors(), wanted)) {
    text += fmt::format("{}'{}'", text.empty() ? "; did you mean " : ", ", printable(name));
  }
  return text.empty() ? text : text + "?";
}

}  // namespace

// Prints its line by itself, because a suggestion is no part of the library's error.
const Tensor* find_or_complain(const Model& model, const ModelSource& source,
                               const std::string& wanted) {
  const Tensor* tensor = model.find(wanted);
  if (tensor != nullptr) return tensor;
  Problem problem;
  problem.code = Errc::no_such_tensor;
  problem.kind = SubjectKind::tensor;
  problem.name = wanted;
  print_failure(fmt::format("{}: {}{} ({})", printable(source.path), problem.message(),
                            suggestions(model, wanted), name(problem.code)));
  return nullptr;
}

}  // namespace ballast::cli
