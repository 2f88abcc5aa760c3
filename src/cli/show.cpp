#include "cli/show.hpp"

#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/find_tensor.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"

namespace ballast::cli {
namespace {

[[noreturn]] void refuse_rows(std::string_view text) {
  throw UsageError(fmt::format(
      "--rows: \"{}\" is not a range of rows: A:B (from A up to but not B), A:, :B or A",
      printable(text)));
}

std::optional<std::uint64_t> row_number(std::string_view text, std::string_view whole) {
  if (text.empty()) return std::nullopt;
  std::uint64_t number = 0;
  const char* const begin =
      text.data();  // NOLINT(bugprone-suspicious-stringview-data-usage): with its end
  const char* const end = begin + text.size();
  const auto [stopped, error] = std::from_chars(begin, end, number);
  if (stopped != end || error != std::errc()) refuse_rows(whole);
  return number;
}

Rows parse_rows(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::optional<std::uint64_t> begin = row_number(text.substr(0, colon), text);
  if (colon == std::string_view::npos) {
    if (!begin || *begin == UINT64_MAX) refuse_rows(text);
    return {*begin, *begin + 1};
  }
  const std::optional<std::uint64_t> end = row_number(text.substr(colon + 1), text);
  if (end == Rows::kToTheEnd) refuse_rows(text);  // which is none of a tensor's rows
  if (begin && end && *begin > *end) refuse_rows(text);
  return {begin.value_or(0), end.value_or(Rows::kToTheEnd)};
}

Statistics look_at(const Model& model, const Tensor& tensor, Rows rows, const ModelSource& source) {
  ProgressLine line(source.path);
  OpenOptions options;
  options.progress = [&line](const Progress& progress) { line.update(progress); };
  return statistics(model, tensor, rows, options);
}

template <class Stored, class Shown_>
void append_numbers(std::vector<Number>& to, std::span<const std::byte> bytes) {
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(Stored))) {
    Stored number{};
    std::memcpy(&number, bytes.data(), sizeof number);
    to.emplace_back(static_cast<Shown_>(number));
  }
}

void append_own(std::vector<Number>& to, DType dtype, std::span<const std::byte> bytes) {
  if (dtype == DType::F64) return append_numbers<double, double>(to, bytes);
  if (dtype == DType::I32) return append_numbers<std::int32_t, std::int64_t>(to, bytes);
  if (dtype == DType::I64) return append_numbers<std::int64_t, std::int64_t>(to, bytes);
  if (dtype == DType::U32) return append_numbers<std::uint32_t, std::uint64_t>(to, bytes);
  append_numbers<std::uint64_t, std::uint64_t>(to, bytes);
}

// Numbers of one element: two of a complex one.
std::uint64_t per_element(DType dtype) { return dtype == DType::C64 ? 2 : 1; }

bool is_own_type(DType dtype) { return dtype == DType::F64 || !is_float_dtype(dtype); }

}  // namespace

std::uint64_t Shown::row_size() const {
  return row_elements(model, tensor) * per_element(tensor.dtype);
}

std::vector<Number> Shown::numbers(std::uint64_t row, std::uint64_t first,
                                   std::uint64_t count) const {
  const DTypeInfo& type = info(tensor.dtype);
  const std::uint64_t in_block = type.block_elements * per_element(tensor.dtype);
  const std::uint64_t from = row * row_size() + first;
  const std::uint64_t block = from / in_block;
  const std::uint64_t blocks = (from + count + in_block - 1) / in_block - block;
  const std::span<const std::byte> bytes =
      model.bytes(tensor).subspan(static_cast<std::size_t>(block * type.block_bytes),
                                  static_cast<std::size_t>(blocks * type.block_bytes));
  std::vector<Number> found;
  if (is_own_type(tensor.dtype)) {
    append_own(found, tensor.dtype, bytes);
    return found;
  }
  std::vector<float> floats(static_cast<std::size_t>(blocks * in_block));
  to_float(tensor.dtype, bytes, floats);
  const auto from_here = floats.begin() + static_cast<std::ptrdiff_t>(from - block * in_block);
  found.assign(from_here, from_here + static_cast<std::ptrdiff_t>(count));
  return found;
}

int run(const ShowOptions& options) {
  const Rows wanted = options.rows ? parse_rows(*options.rows) : Rows{};
  const Model model = open_model(options.model);
  const Tensor* tensor = find_or_complain(model, options.model, options.tensor);
  if (tensor == nullptr) return kFailed;
  const std::uint64_t end = wanted.end == Rows::kToTheEnd ? row_count(model, *tensor) : wanted.end;
  const Shown shown{.model = model,
                    .tensor = *tensor,
                    .begin = wanted.begin,
                    .end = end,
                    .statistics = look_at(model, *tensor, wanted, options.model),
                    .has_values = !options.stats,
                    .has_rows = options.rows.has_value()};
  Output output;
  if (options.json) {
    write_show_json(output, shown);
  } else {
    write_show_table(output, shown, terminal_columns(Stream::out), wants_colour(Stream::out));
  }
  model.require_undamaged();
  output.close();
  return kFine;
}

}  // namespace ballast::cli
