#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <ballast/config.hpp>
#include <ballast/text.hpp>

#include "cli/commands.hpp"
#include "cli/failure.hpp"

namespace ballast::cli {
namespace {

constexpr const char* kVersion = "ballast " BALLAST_VERSION;

constexpr const char* kMainFooter =
    R"(A MODEL is a GGUF or safetensors file, the first shard of a split GGUF, the
*.safetensors.index.json of a sharded model, or - for standard input. It may be
compressed with gzip, zlib, bzip2, xz, zstd or lz4, whatever its name is.

Examples:
  ballast inspect model.gguf
  ballast inspect model.gguf --json | jq '.tensors[].name'
  ballast cat model.safetensors lm_head.weight -o lm_head.bin
  ballast check models/*.gguf

Exit status: 0 fine; 1 a file is bad, cannot be read or cannot be written;
2 wrong usage.
Errors are one line on standard error: ballast: PATH: MESSAGE (code at byte N))";

constexpr const char* kInspectFooter =
    R"(PATTERN is a piece of a name, or, with one of * ? [, a glob for the whole name.
The letters A to Z match in either case. No match is no error.

Shapes are in the file's own order: GGUF puts the contiguous dimension first,
safetensors last. Offsets count from the start of the file.

The backend auto maps a file where that is possible, and reads it otherwise; map
fails where it is not; heap always reads.

Of a compressed file no more is decoded than the directory, and it is said how
much that was; its decoded size is not known then.

The JSON is one object: format, version, file_bytes, complete, alignment,
data_offset, metadata, tensors, shards (only of sets), warnings, runtime. A set
has a data_offset for each of its shards and none of its own. Of a compressed
file file_bytes is null, complete is false, and runtime says what it is
compressed with and how many bytes were decoded. NaN and the infinities are
strings; bytes that are not UTF-8 become U+FFFD.

Examples:
  ballast inspect model.gguf
  ballast inspect model.gguf --filter attn_q
  ballast inspect model.gguf --filter 'blk.[01].*'
  ballast inspect model.gguf --json --full > model.json
  curl -s https://example.org/model.gguf | ballast inspect -)";

constexpr const char* kCatFooter =
    R"(The bytes are as they are in the file, in its own dtype. They are not written to
a terminal.

Examples:
  ballast cat model.safetensors lm_head.weight -o lm_head.bin
  ballast cat model.gguf output_norm.weight | od -t f4 | head
  ballast cat model.gguf -- -a-name-that-begins-with-a-dash)";

#if BALLAST_HAS_VALUES
constexpr const char* kShowFooter =
    R"(Statistics, a histogram and the first rows of a tensor, decoded from whatever
dtype it has. A row is a run along the dimension whose elements lie side by
side: the first of a GGUF shape, the last of a safetensors one. Rows are counted
from 0; A:B ends before B, and A alone is one row. Numbers in the table are
rounded to four digits; those in the JSON are exact: the shortest that read back
to the same float, and integers of 32 and 64 bits and F64 as they are.

NaN and infinities are counted, and take no part in the rest. Each line of the
histogram begins at its number, and ends where the next one begins.

The JSON is one object: name, dtype, shape, rows, row_elements, range,
statistics, and values, a list for each row, and none for rows without elements.
Bins of its histogram are bin_width wide; the counts begin with bin `first`, and
bin 0 begins at zero.

Examples:
  ballast show model.gguf blk.0.attn_q.weight
  ballast show model.gguf token_embd.weight --rows 100:103
  ballast show model.safetensors lm_head.weight --stats
  ballast show model.gguf output_norm.weight --json | jq '.values[0]')";
#endif

constexpr const char* kCheckFooter =
    R"(A compressed file is decoded to its last byte, and its checksums are verified.
Opening a model checks that its header makes sense and that every tensor lies
within the file. This also reads every byte, and looks at the padding and at the
strings that opening leaves alone. A file that is fine gets a line on standard
output, with its warnings below; one that is bad gets a line on standard error.

Examples:
  ballast check model.gguf
  ballast check models/*.gguf && echo all fine)";

void add_backend(CLI::App& command, Backend& backend) {
  static const std::vector<std::pair<std::string, Backend>> kBackends{
      {"auto", Backend::automatic}, {"map", Backend::map}, {"heap", Backend::heap}};
  command
      .add_option_function<std::string>(
          "--backend",
          [&backend](const std::string& text) {
            for (const auto& [name, value] : kBackends) {
              if (text == name) backend = value;
            }
          },
          "Map the file, or read it to memory")
      ->type_name("auto|map|heap")
      ->take_last()
      ->check([](const std::string& text) {
        const auto same = [&text](const auto& entry) { return entry.first == text; };
        const bool known = std::any_of(kBackends.begin(), kBackends.end(), same);
        return known ? std::string() : "it must be auto, map or heap, not \"" + text + "\"";
      });
}

void add_model(CLI::App& command, ModelSource& model) {
  command.add_option("MODEL", model.path, "The model; - is standard input")
      ->required()
      ->type_name("");
}

CLI::App* add_inspect(CLI::App& app, InspectOptions& options) {
  CLI::App* command = app.add_subcommand("inspect", "Show what is in a model");
  add_model(*command, options.model);
  command->add_flag("--json", options.json, "One JSON object instead of tables")
      ->disable_flag_override();
  command->add_flag("--full", options.full, "Whole arrays and strings; nothing is folded")
      ->disable_flag_override();
  command
      ->add_option_function<std::string>(
          "--filter", [&options](const std::string& text) { options.filter = text; },
          "Only tensors and metadata whose names match")
      ->type_name("PATTERN")
      ->take_last();
  add_backend(*command, options.model.backend);
  command->footer(kInspectFooter);
  return command;
}

CLI::App* add_cat(CLI::App& app, CatOptions& options) {
  CLI::App* command = app.add_subcommand("cat", "Write the bytes of a tensor");
  add_model(*command, options.model);
  command->add_option("TENSOR", options.tensor, "The name of the tensor")
      ->required()
      ->type_name("");
  command->add_option("-o,--output", options.output, "Write there, and not to standard output")
      ->type_name("FILE")
      ->take_last();
  add_backend(*command, options.model.backend);
  command->footer(kCatFooter);
  return command;
}

#if BALLAST_HAS_VALUES
CLI::App* add_show(CLI::App& app, ShowOptions& options) {
  CLI::App* command = app.add_subcommand("show", "Show the values of a tensor");
  add_model(*command, options.model);
  command->add_option("TENSOR", options.tensor, "The name of the tensor")
      ->required()
      ->type_name("");
  command
      ->add_option_function<std::string>(
          "--rows", [&options](const std::string& text) { options.rows = text; },
          "Only these rows, and all of them")
      ->type_name("A:B")
      ->take_last();
  command->add_flag("--stats", options.stats, "Statistics and histogram, no values")
      ->disable_flag_override();
  command->add_flag("--json", options.json, "One JSON object instead of a table")
      ->disable_flag_override();
  add_backend(*command, options.model.backend);
  command->footer(kShowFooter);
  return command;
}
#endif

CLI::App* add_check(CLI::App& app, CheckOptions& options) {
  CLI::App* command = app.add_subcommand("check", "Read models to their last byte and verify them");
  command->add_option("MODEL", options.models, "The models; - is standard input")
      ->required()
      ->type_name("");
  add_backend(*command, options.backend);
  command->footer(kCheckFooter);
  return command;
}

// CLI11 takes "[a,b]" for a list where an argument may be repeated, as the models of `check` may;
// the same file has a path that looks like none. Arguments are wanted from the last to the first.
std::vector<std::string> reversed_arguments(int count, const char* const* arguments) {
  std::vector<std::string> reversed;
  for (int i = count - 1; i > 0; --i) {
    std::string argument = arguments[i];
    const bool like_list = argument.starts_with('[') && argument.ends_with(']');
    if (like_list && arguments[1] == std::string_view("check")) argument.insert(0, "./");
    reversed.push_back(std::move(argument));
  }
  return reversed;
}

// What is wrong where not even a command was recognised.
std::string command_message(const std::vector<std::string>& unknown) {
  if (unknown.empty()) {
#if BALLAST_HAS_VALUES
    return "a command is needed: inspect, show, cat or check";
#else
    return "a command is needed: inspect, cat or check";
#endif
  }
  const bool is_option = unknown.front().starts_with('-');
  return fmt::format("there is no {} \"{}\"", is_option ? "option" : "command", unknown.front());
}

// CLI11's words as the rest of one of our lines: no capital, and where to read on.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const std::string command = chosen.empty() ? "ballast" : "ballast " + chosen.front()->get_name();
  std::string text = chosen.empty() ? command_message(app.remaining()) : error.what();
  const bool is_capitalized = text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' &&
                              text[1] >= 'a' && text[1] <= 'z';  // and not MODEL
  if (is_capitalized) text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return fmt::format("{}; see {} --help", printable(text), command);
}

}  // namespace

Command parse_arguments(int count, const char* const* arguments) {
  InspectOptions inspect;
  CatOptions cat;
  CheckOptions check;
  CLI::App app("Looks into model weights: GGUF and safetensors, one file or many.", "ballast");
  app.require_subcommand(1);
  app.allow_windows_style_options(false);  // a path may begin with a slash
  app.set_help_flag("-h,--help", "Show this help");
  app.set_version_flag("-V,--version", kVersion, "Show the version");
  app.get_formatter()->column_width(28);
  app.footer(kMainFooter);
  CLI::App* inspect_command = add_inspect(app, inspect);
#if BALLAST_HAS_VALUES
  ShowOptions show;
  CLI::App* show_command = add_show(app, show);
#endif
  CLI::App* cat_command = add_cat(app, cat);
  add_check(app, check);
  try {
    app.parse(reversed_arguments(count, arguments));
  } catch (const CLI::CallForHelp&) {
    return PrintOptions{app.help()};
  } catch (const CLI::CallForVersion&) {
    return PrintOptions{std::string(kVersion) + "\n"};
  } catch (const CLI::ParseError& error) {
    throw UsageError(usage_message(app, error));
  }
  if (inspect_command->parsed()) return inspect;
#if BALLAST_HAS_VALUES
  if (show_command->parsed()) return show;
#endif
  if (cat_command->parsed()) return cat;
  return check;
}

}  // namespace ballast::cli
