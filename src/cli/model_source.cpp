#include "cli/model_source.hpp"

#include "cli/failure.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"

namespace ballast::cli {
namespace {

constexpr std::string_view kStandardInput = "-";

Model open_standard_input(const OpenOptions& options) {
  if (is_terminal(Stream::in)) {
    throw UsageError("standard input is a terminal: pipe a model into it, or name a file");
  }
  ModelData data = ModelData::open_descriptor(static_cast<int>(Stream::in), options);
  return Model::from_data(std::move(data), options.parse);
}

Model open_with(const ModelSource& source, OpenOptions options) {
  ProgressLine line(source.path);
  options.progress = [&line](const Progress& progress) { line.update(progress); };
  if (source.path == kStandardInput) return open_standard_input(options);
  return Model::open(source.path, options);
}

}  // namespace

OpenOptions open_options(const ModelSource& source) {
  OpenOptions options;
  options.backend = source.backend;
  options.fault_guard = true;  // a file that is cut meanwhile is an error, not the end
  return options;
}

Model open_model(const ModelSource& source) { return open_with(source, open_options(source)); }

Model open_directory(const ModelSource& source) {
  OpenOptions options = open_options(source);
  options.directory_only = true;
  return open_with(source, std::move(options));
}

}  // namespace ballast::cli
