#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/failure.hpp"
#include "cli/inspect.hpp"
#include "cli/layout.hpp"
#include "cli/numbers.hpp"
#include "cli/painter.hpp"
#include "cli/tensor_table.hpp"
#include "cli/value_text.hpp"

namespace ballast::cli {
namespace {

constexpr std::size_t kLabelWidth = 14;
constexpr std::size_t kSmallestRoom = 12;  // for a value, however narrow the terminal

// What all tensors of one dtype have in common.
struct DTypeShare {
  std::string_view name;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;
  bool is_sized = false;
};

// What the tensors add up to. Only those whose size is known count for the bits per weight.
struct Totals {
  std::vector<DTypeShare> shares;  // the largest first
  std::uint64_t bytes = 0;
  double sized_elements = 0;
};

Totals add_up(const Model& model) {
  Totals totals;
  std::map<std::string_view, DTypeShare> shares;
  for (const Tensor& tensor : model.tensors()) {
    DTypeShare& share = shares[tensor.dtype_name];
    share.name = tensor.dtype_name;
    ++share.tensors;
    share.bytes += tensor.nbytes.value_or(0);
    totals.bytes += tensor.nbytes.value_or(0);
    share.is_sized = share.is_sized || tensor.nbytes.has_value();
    if (tensor.nbytes) totals.sized_elements += static_cast<double>(tensor.elements());
  }
  for (const auto& [name, share] : shares) totals.shares.push_back(share);
  std::ranges::sort(totals.shares, [](const DTypeShare& a, const DTypeShare& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
  });
  return totals;
}

class Tables {
 public:
  Tables(Output& output, const Model& model, const Selection& selection, const Look& look)
      : output_(output),
        model_(model),
        selection_(selection),
        look_(look),
        painter_(look.colour),
        totals_(add_up(model)) {}

  void write(std::string_view path) {
    output_.print("{}\n\n", painter_.bold(printable(path)));
    write_summary();
    if (model_.is_sharded()) write_files();
    if (!totals_.shares.empty()) write_dtypes();
    if (!model_.metadata().empty()) write_metadata();
    if (!model_.tensors().empty()) write_tensors();
    if (!model_.warnings().empty()) write_warnings();
  }

 private:
  void write_summary() {
    write_fact("format", format_text());
    write_string_fact("architecture", "general.architecture");
    write_string_fact("name", "general.name");
    if (model_.is_complete()) {
      write_quantity("size", human_bytes(model_.file_bytes()), model_.file_bytes(), " bytes");
    }
    const std::uint64_t parameters = model_.parameter_count();
    write_quantity("parameters", human_count(parameters), parameters, "");
    if (totals_.sized_elements > 0) {
      const double bits = 8 * static_cast<double>(totals_.bytes) / totals_.sized_elements;
      write_fact("bits/weight", fmt::format("{:.2f}", bits));
    }
    write_fact("storage", storage_name(model_));
    write_compression();
  }

  void write_compression() {
    std::uint64_t in_file = 0;
    for (const Model::Shard& shard : model_.shards()) in_file += shard.data.compressed_size();
    const Compression codec = compression_of(model_);
    if (codec == Compression::none) return;
    // Of a pipe that was left when the directory was there, no more is known than what had come.
    write_fact("compression", fmt::format("{}, {}; {} decoded for this", name(codec),
                                          human_bytes(in_file), human_bytes(decoded_bytes())));
  }

  [[nodiscard]] std::uint64_t decoded_bytes() const {
    std::uint64_t bytes = 0;
    for (const Model::Shard& shard : model_.shards()) bytes += shard.data.size();
    return bytes;
  }

  [[nodiscard]] std::string format_text() const {
    if (model_.format() != Format::gguf) return std::string(name(model_.format()));
    return fmt::format("GGUF version {}, alignment {}", model_.version().value_or(0),
                       model_.alignment().value_or(0));
  }

  void write_fact(std::string_view label, std::string_view value) {
    output_.print("  {}{}\n", painter_.grey(align_left(label, kLabelWidth)), value);
  }

  void write_string_fact(std::string_view label, std::string_view key) {
    const Value* value = model_.metadata().find(key);
    if (value == nullptr || value->type() != ValueType::string) return;
    write_fact(label, value_text(*value, room_after(2 + kLabelWidth)));
  }

  // Below a thousand the short form is exact already.
  void write_quantity(std::string_view label, const std::string& text, std::uint64_t exact,
                      std::string_view unit) {
    if (exact < 1000) return write_fact(label, text);
    const std::string all = fmt::format("({}{})", grouped(exact), unit);
    write_fact(label, text + "  " + painter_.grey(all));
  }

  // What a line has left for a value behind `used` columns.
  [[nodiscard]] Room room_after(std::size_t used) const {
    Room room;
    if (!selection_.full) room.elements = kFirstElements;
    room.columns = std::max(kSmallestRoom, look_.columns - std::min(look_.columns, used));
    return room;
  }

  void write_heading(std::string_view title, std::uint64_t shown, std::uint64_t all) {
    const std::string of = shown == all ? "" : grouped(shown) + " of ";
    output_.print("\n{}  {}\n", painter_.bold(title), painter_.grey(of + grouped(all)));
  }

  [[nodiscard]] static std::string size_text(const Model::Shard& shard) {
    if (shard.data.is_complete()) return grouped(shard.data.file_size()) + " bytes";
    return grouped(shard.data.compressed_size()) + " compressed bytes";
  }

  void write_files() {
    const auto shards = model_.shards();
    const std::size_t number_width = grouped(shards.size()).size();
    std::size_t name_width = 0;
    std::size_t size_width = 0;
    for (const Model::Shard& shard : shards) {
      name_width = std::max(name_width, display_width(printable(shard.file)));
      size_width = std::max(size_width, size_text(shard).size());
    }
    name_width = std::min(name_width, room_after(number_width + size_width + 12).columns);
    write_heading("files", shards.size(), shards.size());
    for (std::size_t i = 0; i < shards.size(); ++i) {
      output_.print("  {:>{}}  {}  {:>{}}\n", i + 1, number_width,
                    column(shards[i].file, name_width), size_text(shards[i]), size_width);
    }
  }

  [[nodiscard]] static std::string bytes_text(const DTypeShare& share) {
    return share.is_sized ? human_bytes(share.bytes) : "unknown";
  }

  void write_dtypes() {
    std::size_t name_width = 0;
    std::size_t count_width = 0;
    std::size_t bytes_width = 0;
    for (const DTypeShare& share : totals_.shares) {
      name_width = std::max(name_width, display_width(printable(share.name)));
      count_width = std::max(count_width, grouped(share.tensors).size());
      bytes_width = std::max(bytes_width, bytes_text(share).size());
    }
    name_width = std::min(name_width, look_.columns / 3);
    write_heading("dtypes", totals_.shares.size(), totals_.shares.size());
    for (const DTypeShare& share : totals_.shares) {
      output_.print("  {}  {:>{}} {:<7}  {:>{}}  {:>5.1f} %\n", column(share.name, name_width),
                    grouped(share.tensors), count_width, share.tensors == 1 ? "tensor" : "tensors",
                    bytes_text(share), bytes_width, percent_of_bytes(share));
    }
  }

  [[nodiscard]] double percent_of_bytes(const DTypeShare& share) const {
    const double all = std::max(1.0, static_cast<double>(totals_.bytes));
    return 100 * static_cast<double>(share.bytes) / all;
  }

  void write_metadata() {
    std::size_t key_width = 0;
    std::size_t type_width = 0;
    std::uint64_t shown = 0;
    for (const Entry& entry : model_.metadata()) {
      if (!selection_.filter.matches(entry.key)) continue;
      key_width = std::max(key_width, display_width(printable(entry.key)));
      type_width = std::max(type_width, type_text(entry.value).size());
      ++shown;
    }
    key_width = std::min(key_width, look_.columns / 2);
    write_heading("metadata", shown, model_.metadata().size());
    for (const Entry& entry : model_.metadata()) {
      if (selection_.filter.matches(entry.key)) write_entry(entry, key_width, type_width);
    }
  }

  void write_entry(const Entry& entry, std::size_t key_width, std::size_t type_width) {
    output_.print("  {}  {}  {}\n", column(entry.key, key_width),
                  painter_.grey(align_left(type_text(entry.value), type_width)),
                  value_text(entry.value, room_after(2 + key_width + 2 + type_width + 2)));
  }

  void write_tensors() {
    const auto matches = [this](const Tensor& t) { return selection_.filter.matches(t.name); };
    const auto shown = std::ranges::count_if(model_.tensors(), matches);
    write_heading("tensors", static_cast<std::uint64_t>(shown), model_.tensors().size());
    if (shown > 0) write_tensor_table(output_, model_, selection_.filter, look_);
  }

  void write_warnings() {
    const auto warnings = model_.warnings();
    output_.print("\n{}  {}\n", painter_.yellow("warnings"),
                  painter_.grey(grouped(warnings.size())));
    for (const Warning& warning : warnings) {
      output_.write(wrap(warning_text(warning), look_.columns, 2, 4));
    }
  }

  [[nodiscard]] static std::string column(std::string_view text, std::size_t width) {
    return align_left(fold_middle(printable(text), width), width);
  }

  Output& output_;
  const Model& model_;
  const Selection& selection_;
  const Look& look_;
  Painter painter_;
  Totals totals_;
};

}  // namespace

void write_tables(Output& output, const Model& model, std::string_view path,
                  const Selection& selection, const Look& look) {
  Tables(output, model, selection, look).write(path);
}

}  // namespace ballast::cli
