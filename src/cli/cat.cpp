#include <filesystem>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/find_tensor.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"

namespace ballast::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStandardOutput = "-";

void refuse_terminal(const CatOptions& options) {
  if (options.output != kStandardOutput || !is_terminal(Stream::out)) return;
  throw UsageError(
      "the bytes of a tensor would garble a terminal: pipe them, or name a file with -o");
}

// Opening an output empties it, and a model that is mapped would lose its pages.
void refuse_overwriting(const Model& model, const std::string& output) {
  for (const Model::Shard& shard : model.shards()) {
    std::error_code ignored;  // a file that does not exist yet is not the model
    if (!fs::equivalent(shard.data.path(), output, ignored)) continue;
    throw UsageError(fmt::format("{}: -o names a file of the model itself", printable(output)));
  }
}

void write_tensor(Output& output, const Model& model, const Tensor& tensor) try {
  const std::span<const std::byte> bytes = model.bytes(tensor);
  const ModelData& data = model.shards()[tensor.shard].data;
  const auto begin = static_cast<std::size_t>(bytes.data() - data.bytes().data());
  // Only a hint: without it the bytes are the same.
  static_cast<void>(data.advise(Advice::sequential, begin, bytes.size()));
  output.write_through(bytes);
  model.require_undamaged();
  output.close();
} catch (...) {
  model
      .require_undamaged();  // where the model has lost pages, the output cannot be written: EFAULT
  throw;
}

// What was written of a tensor until the disk was full looks like a tensor, so it goes. Devices and
// pipes stay.
void write_file(const std::string& path, const Model& model, const Tensor& tensor) {
  try {
    Output output(path);
    write_tensor(output, model, tensor);
  } catch (...) {
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) fs::remove(path, ignored);
    throw;
  }
}

}  // namespace

int run(const CatOptions& options) {
  refuse_terminal(options);
  const Model model = open_model(options.model);
  const Tensor* tensor = find_or_complain(model, options.model, options.tensor);
  if (tensor == nullptr) return kFailed;
  static_cast<void>(model.bytes(*tensor));  // a tensor without a size fails before a file is made
  if (options.output != kStandardOutput) {
    refuse_overwriting(model, options.output);
    write_file(options.output, model, *tensor);
    return kFine;
  }
  Output output;
  write_tensor(output, model, *tensor);
  return kFine;
}

}  // namespace ballast::cli
