#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/layout.hpp"
#include "cli/numbers.hpp"
#include "cli/painter.hpp"
#include "cli/show.hpp"

namespace ballast::cli {
namespace {

constexpr std::size_t kLabelWidth = 14;
constexpr std::size_t kBars = 16;          // lines of the histogram, at most
constexpr std::uint64_t kFirstRows = 8;    // where no rows were named
constexpr std::size_t kLeastColumns = 40;  // of a terminal, however narrow
constexpr std::size_t kEdgeWidth = 11;     // of a bar's number: "-1.235e-308" is as wide as any
constexpr std::string_view kGap = " ...";  // where a long row is folded
constexpr std::uint64_t kFarElements = 2;  // from the end of a long row

template <class T>
std::string rounded(T value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}g}", value, digits) : shortest(value);
}

// Four digits are what one takes in at a glance; integers are whole.
std::string short_text(const Number& number) {
  return std::visit(
      [](auto value) {
        if constexpr (std::is_integral_v<decltype(value)>) {
          return fmt::format("{}", value);
        } else {
          return rounded(value, 4);
        }
      },
      number);
}

// Columns of a number, and a space before it: the widest has so many digits, or is "-1.235e-38" or
// "-1.235e-308".
std::size_t cell_width(DType dtype) {
  if (dtype == DType::I64 || dtype == DType::U64) return 21;
  if (dtype == DType::I32 || dtype == DType::U32 || dtype == DType::F64) return 12;
  return 11;
}

class Table {
 public:
  Table(Output& output, const Shown& shown, std::size_t columns, bool colour)
      : output_(output),
        shown_(shown),
        columns_(std::max(columns, kLeastColumns)),
        painter_(colour) {}

  void write() {
    output_.print("{}\n\n", painter_.bold(printable(shown_.tensor.name)));
    write_facts();
    write_statistics();
    write_histogram();
    if (shown_.has_values) write_values();
  }

 private:
  void fact(std::string_view label, std::string_view value) {
    output_.print("  {}{}\n", painter_.grey(align_left(label, kLabelWidth)), value);
  }

  void write_facts() {
    const Tensor& tensor = shown_.tensor;
    fact("dtype", printable(tensor.dtype_name));
    std::string shape;
    for (const std::uint64_t dim : tensor.shape) {
      shape += fmt::format("{}{}", shape.empty() ? "" : " x ", dim);
    }
    fact("shape", shape.empty() ? "scalar" : shape);
    fact("size", human_bytes(tensor.nbytes.value_or(0)));
    const std::uint64_t rows = row_count(shown_.model, tensor);
    std::string text =
        fmt::format("{} of {}", grouped(rows), grouped(row_elements(shown_.model, tensor)));
    if (shown_.has_rows) text += fmt::format("; here {} to {}", shown_.begin, shown_.end);
    fact("rows", text);
  }

  void write_statistics() {
    const Statistics& all = shown_.statistics;
    output_.write('\n');
    fact("count", grouped(all.count));
    if (all.finite() != 0) {
      fact("min", shortest_of(all.min));
      fact("max", shortest_of(all.max));
      fact("mean", rounded(all.mean, 6));
      fact("deviation", rounded(all.standard_deviation, 6));
    }
    odd("zeros", all.zero, all.count);
    odd("NaN", all.nan, all.count);
    odd("infinite", all.positive_infinity + all.negative_infinity, all.count);
  }

  // Extremes are numbers of the tensor, so they have its digits.
  [[nodiscard]] std::string shortest_of(double value) const {
    const DType dtype = shown_.tensor.dtype;
    const bool is_float = dtype != DType::F64 && is_float_dtype(dtype);
    return is_float ? shortest(static_cast<float>(value)) : shortest(value);
  }

  void odd(std::string_view label, std::uint64_t count, std::uint64_t all) {
    if (count == 0) return;
    const double percent = 100 * static_cast<double>(count) / static_cast<double>(all);
    fact(label, fmt::format("{} ({:.3g} %)", grouped(count), percent));
  }

  // Neighbouring bins as one, until few are left: twice as many each time, so that the edges stay
  // multiples of the width, zero among them.
  void write_histogram() {
    const Histogram& histogram = shown_.statistics.histogram;
    std::map<std::int64_t, std::uint64_t> bars;
    for (std::size_t bin = 0; bin < Histogram::kBins; ++bin) {
      if (histogram.counts[bin] == 0) continue;
      const std::int64_t place = static_cast<std::int64_t>(bin) - std::int64_t{Histogram::kMiddle};
      bars[place] = histogram.counts[bin];
    }
    if (bars.empty() || histogram.bin_width == 0) return;
    double width = histogram.bin_width;
    while (bars.rbegin()->first - bars.begin()->first >= static_cast<std::int64_t>(kBars)) {
      std::map<std::int64_t, std::uint64_t> merged;
      for (const auto& [place, count] : bars) merged[place >> 1] += count;
      bars = std::move(merged);
      width *= 2;
    }
    output_.write('\n');
    write_bars(bars, width);
  }

  void write_bars(const std::map<std::int64_t, std::uint64_t>& bars, double width) {
    std::uint64_t most = 0;
    for (const auto& [place, count] : bars) most = std::max(most, count);
    const std::size_t count_width = grouped(most).size();
    const std::size_t room =
        columns_ - std::min(columns_ - 10, 2 + kEdgeWidth + 2 + count_width + 2);
    for (std::int64_t place = bars.begin()->first; place <= bars.rbegin()->first; ++place) {
      const auto found = bars.find(place);
      const std::uint64_t count = found == bars.end() ? 0 : found->second;
      const auto length = static_cast<std::size_t>(
          static_cast<double>(room) * static_cast<double>(count) / static_cast<double>(most));
      const std::string bar(count == 0 ? 0 : std::max<std::size_t>(length, 1), '#');
      const std::string edge = rounded(static_cast<double>(place) * width, 4);
      output_.print("  {}  {}{}{}\n", align_right(edge, kEdgeWidth),
                    align_right(grouped(count), count_width), bar.empty() ? "" : "  ",
                    painter_.grey(bar));
    }
  }

  void write_values() {
    const std::uint64_t rows = shown_.end - shown_.begin;
    const std::uint64_t shown = shown_.has_rows ? rows : std::min(rows, kFirstRows);
    if (shown == 0 || shown_.row_size() == 0) return;
    output_.write('\n');
    for (std::uint64_t row = shown_.begin; row < shown_.begin + shown; ++row) write_row(row);
    if (shown < rows) output_.print("  {}\n", painter_.grey(more_rows(rows - shown)));
  }

  static std::string more_rows(std::uint64_t count) {
    return fmt::format("... {} more {}", grouped(count), count == 1 ? "row" : "rows");
  }

  void write_row(std::uint64_t row) {
    const std::size_t label_width = std::max<std::size_t>(fmt::format("{}", shown_.end).size(), 3);
    output_.print("  {}", painter_.grey(align_right(fmt::format("{}", row), label_width)));
    write_numbers(row, columns_ - 2 - label_width);
    output_.write('\n');
  }

  // All of a row where there is room for it, or its beginning and its end. Elements stay whole.
  void write_numbers(std::uint64_t row, std::size_t room) {
    const std::uint64_t elements = row_elements(shown_.model, shown_.tensor);
    const std::uint64_t each = shown_.row_size() / elements;
    const std::uint64_t width = each * cell_width(shown_.tensor.dtype);
    if (elements <= room / width) return write_cells(row, 0, shown_.row_size());
    const std::uint64_t fit =
        std::max<std::uint64_t>((room - std::min(room, kGap.size())) / width, 1);
    const std::uint64_t far = std::min(kFarElements, fit / 2);
    write_cells(row, 0, (fit - far) * each);
    output_.write(painter_.grey(kGap));
    write_cells(row, (elements - far) * each, far * each);
  }

  void write_cells(std::uint64_t row, std::uint64_t first, std::uint64_t count) {
    for (const Number& number : shown_.numbers(row, first, count)) {
      output_.write(align_right(short_text(number), cell_width(shown_.tensor.dtype)));
    }
  }

  Output& output_;
  const Shown& shown_;
  std::size_t columns_;
  Painter painter_;
};

}  // namespace

void write_show_table(Output& output, const Shown& shown, std::size_t columns, bool colour) {
  Table(output, shown, columns, colour).write();
}

}  // namespace ballast::cli
