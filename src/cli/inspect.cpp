#include "cli/inspect.hpp"

#include <algorithm>

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/terminal.hpp"

namespace ballast::cli {

std::string_view storage_name(const Model& model) {
  const bool all_mapped =
      std::ranges::all_of(model.shards(), [](const auto& shard) { return shard.data.is_mmap(); });
  return all_mapped ? "mmap" : "heap";
}

Compression compression_of(const Model& model) {
  const auto is_compressed = [](const auto& shard) {
    return shard.data.compression() != Compression::none;
  };
  const auto first = std::ranges::find_if(model.shards(), is_compressed);
  return first == model.shards().end() ? Compression::none : first->data.compression();
}

int run(const InspectOptions& options) {
  const Selection selection{Filter(options.filter), options.full};
  const Model model = open_directory(options.model);
  Output output;
  if (options.json) {
    write_json(output, model, selection);
  } else {
    Look look;
    look.colour = wants_colour(Stream::out);
    // A pipe gets every name whole, and so does who asks for everything.
    if (is_terminal(Stream::out) && !options.full) look.columns = terminal_columns(Stream::out);
    write_tables(output, model, options.model.path, selection, look);
  }
  model.require_undamaged();
  output.close();
  return kFine;
}

}  // namespace ballast::cli
