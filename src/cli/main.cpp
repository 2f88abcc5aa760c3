// ballast: the command. Arguments in, an exit status out; every failure ends here, in one line.
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"

namespace ballast::cli {
namespace {

// Of the model that a command is about, for failures that do not know it.
std::string path_of(const Command& command) {
  if (const auto* inspect = std::get_if<InspectOptions>(&command)) return inspect->model.path;
  if (const auto* cat = std::get_if<CatOptions>(&command)) return cat->model.path;
#if BALLAST_HAS_VALUES
  if (const auto* show = std::get_if<ShowOptions>(&command)) return show->model.path;
#endif
  return "";
}

int run_command(int count, const char* const* arguments) {
  std::string path;
  try {
    const Command command = parse_arguments(count, arguments);
    path = path_of(command);
    return std::visit([](const auto& options) { return run(options); }, command);
  } catch (...) {
    return report_failure(std::current_exception(), path);
  }
}

}  // namespace

int run(const PrintOptions& options) {
  Output output;
  output.write(options.text);
  output.close();
  return kFine;
}

}  // namespace ballast::cli

int main(int argc, char** argv) {
  ballast::cli::prepare_process();
  return ballast::cli::run_command(argc, argv);
}
