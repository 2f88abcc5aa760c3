#include "cli/tensor_table.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/layout.hpp"
#include "cli/painter.hpp"

namespace ballast::cli {
namespace {

constexpr std::string_view kTimes = " x ";
constexpr std::string_view kScalar = "scalar";
constexpr std::string_view kNoSize = "unknown";
constexpr std::size_t kNarrowestName = 16;
// Dimensions up to this rank stand below each other; more are rare and just follow each other.
constexpr std::size_t kAlignedRank = Shape::kInPlace;

std::string bytes_text(const Tensor& tensor) {
  return tensor.nbytes ? grouped(*tensor.nbytes) : std::string(kNoSize);
}

class TensorTable {
 public:
  TensorTable(Output& output, const Model& model, const Filter& filter, const Look& look)
      : output_(output), model_(model), filter_(filter), painter_(look.colour) {
    for (const Tensor& tensor : model_.tensors()) {
      if (filter_.matches(tensor.name)) measure(tensor);
    }
    for (const Tensor& tensor : model_.tensors()) {
      if (filter_.matches(tensor.name)) measure_shape(tensor);
    }
    fit(look.columns);
  }

  void write() {
    write_header();
    for (const Tensor& tensor : model_.tensors()) {
      if (filter_.matches(tensor.name)) write_row(tensor);
    }
  }

 private:
  void measure(const Tensor& tensor) {
    name_ = std::max(name_, display_width(printable(tensor.name)));
    dtype_ = std::max(dtype_, display_width(printable(tensor.dtype_name)));
    offset_ = std::max(offset_, grouped(tensor.offset).size());
    bytes_ = std::max(bytes_, bytes_text(tensor).size());
    if (tensor.shape.size() > kAlignedRank) return;
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      dims_[i] = std::max(dims_[i], fmt::formatted_size("{}", tensor.shape[i]));
    }
  }

  // Once the width of each dimension is known.
  void measure_shape(const Tensor& tensor) {
    shape_ = std::max(shape_, shape_text(tensor.shape).size());
  }

  // Names and unusual dtypes give way where the line would be wider than the terminal.
  void fit(std::size_t columns) {
    dtype_ = std::min(dtype_, columns / 4);
    const std::size_t others =
        2 + 2 + dtype_ + 2 + shape_ + 2 + offset_ + 2 + bytes_ + shard_width();
    const std::size_t left = columns - std::min(columns, others);
    name_ = std::min(name_, std::max(left, kNarrowestName));
  }

  [[nodiscard]] std::size_t shard_width() const {
    return model_.is_sharded() ? 2 + std::string_view("file").size() : 0;
  }

  [[nodiscard]] std::string shape_text(const Shape& shape) const {
    if (shape.empty()) return std::string(kScalar);
    std::string text;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t width = shape.size() <= kAlignedRank ? dims_[i] : 0;
      if (i > 0) text += kTimes;
      fmt::format_to(std::back_inserter(text), "{:>{}}", shape[i], width);
    }
    return text;
  }

  void write_header() {
    std::string line = align_left("name", name_) + "  " + align_left("dtype", dtype_) + "  " +
                       align_left("shape", shape_) + "  " + align_right("offset", offset_) + "  " +
                       align_right("bytes", bytes_);
    if (model_.is_sharded()) line += "  file";
    output_.print("  {}\n", painter_.grey(line));
  }

  void write_row(const Tensor& tensor) {
    output_.print("  {}  {}  {}  {}  {}", column(tensor.name, name_),
                  column(tensor.dtype_name, dtype_), align_left(shape_text(tensor.shape), shape_),
                  painter_.grey(align_right(grouped(tensor.offset), offset_)),
                  align_right(bytes_text(tensor), bytes_));
    if (model_.is_sharded()) output_.print("  {:>4}", tensor.shard + 1);
    output_.write('\n');
  }

  [[nodiscard]] static std::string column(std::string_view text, std::size_t width) {
    return align_left(fold_middle(printable(text), width), width);
  }

  Output& output_;
  const Model& model_;
  const Filter& filter_;
  Painter painter_;
  // Columns each of them takes; the headers are the least.
  std::size_t name_ = std::string_view("name").size();
  std::size_t dtype_ = std::string_view("dtype").size();
  std::size_t shape_ = std::string_view("shape").size();
  std::size_t offset_ = std::string_view("offset").size();
  std::size_t bytes_ = std::string_view("bytes").size();
  std::array<std::size_t, kAlignedRank> dims_{};
};

}  // namespace

void write_tensor_table(Output& output, const Model& model, const Filter& filter,
                        const Look& look) {
  TensorTable(output, model, filter, look).write();
}

}  // namespace ballast::cli
