#include <algorithm>
#include <exception>
#include <optional>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"

namespace ballast::cli {
namespace {

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::vector<Warning> verify(const Model& model, const ModelSource& source) {
  ProgressLine line(source.path);
  OpenOptions options = open_options(source);
  options.progress = [&line](const Progress& progress) { line.update(progress); };
  std::vector<Warning> found = model.verify(options);
  model.require_undamaged();
  return found;
}

void print_result(Output& output, const Model& model, std::string_view path,
                  std::span<const Warning> found) {
  output.print("{}: ok: {}, {}, {} read", printable(path),
               counted(model.tensors().size(), "tensor", "tensors"),
               counted(model.metadata().size(), "metadata entry", "metadata entries"),
               counted(model.file_bytes(), "byte", "bytes"));
  if (model.is_sharded()) output.print(" in {}", counted(model.shards().size(), "file", "files"));
  output.write('\n');
  for (const auto& warnings : {model.warnings(), found}) {
    for (const Warning& warning : warnings) {
      output.print("  warning: {}\n", warning_text(warning));
    }
  }
  output.flush();
}

// A model that is bad is one line and no reason to stop.
struct Checked {
  std::optional<Model> model;
  std::vector<Warning> found;
  int status = kFine;
};

Checked check(const ModelSource& source) {
  Checked checked;
  try {
    checked.model.emplace(open_model(source));
    checked.found = verify(*checked.model, source);
  } catch (const UsageError&) {
    throw;
  } catch (...) {
    checked.status = report_failure(std::current_exception(), source.path);
  }
  return checked;
}

// Answers whether anybody still reads.
bool print_to_reader(Output& output, const Checked& checked, std::string_view path) {
  try {
    print_result(output, *checked.model, path, checked.found);
    return true;
  } catch (const BrokenPipe&) {
    return false;
  }
}

}  // namespace

// All are checked, however many are bad, and also when the reader of the results went away: the
// exit status is a result too.
int run(const CheckOptions& options) {
  Output output;
  int status = kFine;
  bool has_reader = true;
  for (const std::string& path : options.models) {
    const Checked checked = check({path, options.backend});
    status = std::max(status, checked.status);
    if (has_reader && checked.status == kFine) {
      has_reader = print_to_reader(output, checked, path);
    }
  }
  if (has_reader) output.close();
  return status;
}

}  // namespace ballast::cli
