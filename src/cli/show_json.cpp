#include <algorithm>
#include <span>

#include "cli/json_writer.hpp"
#include "cli/show.hpp"

namespace ballast::cli {
namespace {

// Numbers that are read at once, so that a long row takes no memory.
constexpr std::uint64_t kPiece = 65536;

class Json {
 public:
  Json(Output& output, const Shown& shown) : json_(output), shown_(shown) {}

  void write() {
    json_.begin_object(JsonWriter::Layout::lines);
    write_tensor();
    write_statistics();
    if (shown_.has_values) write_values();
    json_.end_object();
  }

 private:
  void write_tensor() {
    json_.key("name");
    json_.string(shown_.tensor.name);
    json_.key("dtype");
    json_.string(shown_.tensor.dtype_name);
    json_.key("shape");
    json_.begin_array(JsonWriter::Layout::inline_);
    for (const std::uint64_t dim : shown_.tensor.shape) json_.number(dim);
    json_.end_array();
    number("rows", row_count(shown_.model, shown_.tensor));
    number("row_elements", row_elements(shown_.model, shown_.tensor));
    json_.key("range");
    json_.begin_array(JsonWriter::Layout::inline_);
    json_.number(shown_.begin);
    json_.number(shown_.end);
    json_.end_array();
  }

  template <class T>
  void number(std::string_view key, T value) {
    json_.key(key);
    json_.number(value);
  }

  void write_statistics() {
    const Statistics& all = shown_.statistics;
    json_.key("statistics");
    json_.begin_object(JsonWriter::Layout::lines);
    number("count", all.count);
    number("nan", all.nan);
    number("positive_infinity", all.positive_infinity);
    number("negative_infinity", all.negative_infinity);
    number("zero", all.zero);
    number("min", all.min);
    number("max", all.max);
    number("mean", all.mean);
    number("standard_deviation", all.standard_deviation);
    write_histogram(all.histogram);
    json_.end_object();
  }

  // From the first bin that holds something to the last; bin 0 begins at zero.
  void write_histogram(const Histogram& histogram) {
    const auto holds = [](std::uint64_t count) { return count != 0; };
    const std::span counts(histogram.counts);
    const auto begin = std::find_if(counts.begin(), counts.end(), holds);
    const auto end = std::find_if(counts.rbegin(), counts.rend(), holds).base();
    json_.key("histogram");
    json_.begin_object(JsonWriter::Layout::lines);
    number("bin_width", histogram.bin_width);
    const auto first =
        begin == counts.end() ? 0 : begin - counts.begin() - std::ptrdiff_t{Histogram::kMiddle};
    number("first", static_cast<std::int64_t>(first));
    json_.key("counts");
    json_.begin_array(JsonWriter::Layout::inline_);
    for (auto count = begin; count < end; ++count) json_.number(*count);
    json_.end_array();
    json_.end_object();
  }

  // Rows without elements take no bytes: a file can claim more of them than anybody can write.
  void write_values() {
    json_.key("values");
    json_.begin_array(JsonWriter::Layout::lines);
    const std::uint64_t end = shown_.row_size() == 0 ? shown_.begin : shown_.end;
    for (std::uint64_t row = shown_.begin; row < end; ++row) write_row(row);
    json_.end_array();
  }

  void write_row(std::uint64_t row) {
    json_.begin_array(JsonWriter::Layout::inline_);
    for (std::uint64_t at = 0; at < shown_.row_size(); at += kPiece) {
      const std::uint64_t count = std::min(kPiece, shown_.row_size() - at);
      const std::vector<Number> numbers = shown_.numbers(row, at, count);
      if (shown_.tensor.dtype == DType::C64) {
        write_pairs(numbers);
      } else {
        for (const Number& each : numbers) write_number(each);
      }
    }
    json_.end_array();
  }

  void write_number(const Number& number) {
    std::visit([this](auto value) { json_.number(value); }, number);
  }

  void write_pairs(const std::vector<Number>& numbers) {
    for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
      json_.begin_array(JsonWriter::Layout::inline_);
      write_number(numbers[i]);
      write_number(numbers[i + 1]);
      json_.end_array();
    }
  }

  JsonWriter json_;
  const Shown& shown_;
};

}  // namespace

void write_show_json(Output& output, const Shown& shown) {
  Json(output, shown).write();
  output.write('\n');
}

}  // namespace ballast::cli
