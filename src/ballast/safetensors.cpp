#include <ballast/safetensors.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include <ballast/cursor.hpp>
#include <ballast/fetch.hpp>
#include <ballast/json_scanner.hpp>
#include <ballast/layout.hpp>
#include <ballast/text.hpp>
#include <ballast/warning_list.hpp>

namespace ballast::safetensors {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::size_t kMaxDimensions =
    1024;  // no array library goes over 64; a cap against a header of nothing else

constexpr std::string_view kDtypeField = "\"dtype\", which must be a string";
constexpr std::string_view kShapeField =
    "\"shape\", which must be an array of whole numbers below 2^64";
constexpr std::string_view kOffsetsField =
    "\"data_offsets\", which must be [begin, end], two whole numbers in this order";
constexpr std::string_view kEntryField = "description, which must be an object";
constexpr std::string_view kMetadataField = "value, which must be an object of strings";
constexpr std::string_view kStringField = "value, which must be a string";

// What of a tensor's description has been read.
struct Description {
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
};

class Parser {
 public:
  Parser(const Input& input, const ParseOptions& options) noexcept
      : input_(input), options_(options), cursor_(input) {}

  Parsed run();

 private:
  [[nodiscard]] std::string_view text_of(std::span<const std::byte> header);
  void parse_header();
  void parse_metadata(JsonScanner& json, std::uint64_t start);
  void parse_metadata_entry(JsonScanner& json);
  void parse_tensor(JsonScanner& json, std::string_view name, std::uint64_t start);
  [[nodiscard]] bool parse_usual(JsonScanner& json, Tensor& tensor);
  [[nodiscard]] bool take_usual(JsonScanner& json, Tensor& tensor);
  void look_up_dtype(Tensor& tensor, std::string_view word);
  void parse_field(JsonScanner& json, Tensor& tensor, Description& found);
  void parse_dtype(JsonScanner& json, Tensor& tensor, Description& found);
  void parse_shape(JsonScanner& json, Tensor& tensor, Description& found);
  static void parse_offsets(JsonScanner& json, Tensor& tensor, Description& found);
  static void size_up(JsonScanner& json, Tensor& tensor, std::uint64_t start);
  void check_names(JsonScanner& json);
  void place_data(JsonScanner& json);
  void check_end(JsonScanner& json, const Tensor* last);
  void check_trailing(JsonScanner& json);

  // Where the description of a tensor begins, with its name.
  [[nodiscard]] std::uint64_t offset_of(const Tensor& tensor) const;

  const Input& input_;
  const ParseOptions& options_;
  Cursor cursor_;
  Directory out_;
  std::string_view header_;
  WarningList warnings_;
  bool has_metadata_ = false;
  std::string_view last_dtype_name_;  // tensors of one dtype come in rows: what it was need not be
                                      // looked up again
  DType last_dtype_ = DType::unknown;
  std::vector<std::uint64_t> dims_;
};

// Refuses what stands at `start` in the description of a tensor; `word` names the field.
void refuse(JsonScanner& json, Errc code, const Tensor& tensor, std::optional<std::uint64_t> start,
            std::string_view word = {}) {
  json.fail({.code = code,
             .kind = SubjectKind::tensor,
             .offset = start,
             .name = tensor.name,
             .word = word});
}

// Refuses two numbers that do not go together.
void refuse(JsonScanner& json, Errc code, const Tensor& tensor, std::optional<std::uint64_t> start,
            std::uint64_t expected, std::uint64_t actual) {
  json.fail({.code = code,
             .kind = SubjectKind::tensor,
             .offset = start,
             .name = tensor.name,
             .expected = expected,
             .actual = actual});
}

Parsed Parser::run() {
  cursor_.about(SubjectKind::header, std::string_view());
  const auto length = cursor_.read<std::uint64_t>();
  if (length > options_.limits.max_header) {
    cursor_.fail({.code = Errc::header_too_large,
                  .offset = 0,
                  .expected = options_.limits.max_header,
                  .actual = length});
  }
  const std::span<const std::byte> header = cursor_.take(cursor_.stopped() ? 0 : length);
  if (!input_.is_stable && header.size() > options_.max_bytes) {
    cursor_.fail(
        {.code = Errc::too_large, .expected = header.size(), .actual = options_.max_bytes});
  }
  if (cursor_.problem()) throw Error(*cursor_.problem());
  if (cursor_.stopped()) return {std::nullopt, cursor_.needed()};
  out_.format = Format::safetensors;
  out_.data_offset = kLengthBytes + length;
  out_.arena =
      std::make_unique<std::pmr::monotonic_buffer_resource>(std::pmr::new_delete_resource());
  header_ = text_of(header);
  parse_header();
  out_.warnings = std::move(warnings_).finish();
  return {std::move(out_), 0};
}

// The header in memory that nothing else writes: its text is scanned more than once, and names and
// strings are views of it.
std::string_view Parser::text_of(std::span<const std::byte> header) {
  if (input_.is_stable) return {reinterpret_cast<const char*>(header.data()), header.size()};
  auto* const copy = static_cast<char*>(out_.arena->allocate(header.size(), 1));
  fetch(header, copy);
  out_.copied_bytes = header.size();
  return {copy, header.size()};
}

void Parser::parse_header() {
  JsonScanner json(header_, kLengthBytes, *out_.arena);
  if (const std::size_t bad = find_invalid_utf8(header_); bad != std::string_view::npos) {
    json.fail({.code = Errc::bad_utf8, .offset = kLengthBytes + bad});
  }
  for (bool more = json.open_object(); more; more = json.next_member()) {
    const std::uint64_t start = json.offset();
    const std::string_view name = json.key();
    if (json.stopped()) break;
    if (name == kMetadataKey) {
      parse_metadata(json, start);
    } else {
      parse_tensor(json, name, start);
    }
  }
  json.finish();
  check_names(json);
  place_data(json);
  if (json.problem()) throw Error(*json.problem());
}

void Parser::parse_metadata(JsonScanner& json, std::uint64_t start) {
  Problem problem{
      .code = Errc::duplicate_key, .kind = SubjectKind::key, .offset = start, .name = kMetadataKey};
  if (std::exchange(has_metadata_, true)) return json.fail(problem);
  if (json.peek() == 'n') return static_cast<void>(json.skip());  // null, or malformed
  problem.code = Errc::bad_field;
  problem.offset = json.offset();
  problem.word = kMetadataField;
  if (json.peek() != '{') return json.fail(problem);
  for (bool more = json.open_object(); more; more = json.next_member()) parse_metadata_entry(json);
}

void Parser::parse_metadata_entry(JsonScanner& json) {
  const Limits& limits = options_.limits;
  const std::uint64_t start = json.offset();
  const std::string_view key = json.key();
  if (json.stopped()) return;
  const std::uint64_t value_start = json.offset();
  Problem problem{.kind = SubjectKind::key, .name = key};
  const auto fail = [&](Errc code, std::uint64_t at, std::uint64_t expected, std::uint64_t actual) {
    problem.code = code;
    problem.offset = at;
    problem.expected = expected;
    problem.actual = actual;
    json.fail(problem);
  };
  if (json.peek() != '"') {
    problem.word = kStringField;
    return fail(Errc::bad_field, value_start, 0, 0);
  }
  const std::string_view value = json.string();
  const std::size_t count = out_.metadata.size();
  if (key.size() > limits.max_string) {
    return fail(Errc::string_too_long, start, limits.max_string, key.size());
  }
  if (value.size() > limits.max_string) {
    return fail(Errc::string_too_long, value_start, limits.max_string, value.size());
  }
  if (count == limits.max_entries) {
    return fail(Errc::too_many_entries, start, limits.max_entries, count + 1);
  }
  out_.metadata.append({key, Value(value), start});
}

void Parser::parse_tensor(JsonScanner& json, std::string_view name, std::uint64_t start) {
  const std::uint64_t count = out_.tensors.size();
  Tensor& tensor = out_.tensors.emplace_back();
  tensor.name = name;
  const Limits& limits = options_.limits;
  if (count == limits.max_tensors) {
    return refuse(json, Errc::too_many_tensors, tensor, start, limits.max_tensors, count + 1);
  }
  if (name.size() > limits.max_string) {
    return refuse(json, Errc::string_too_long, tensor, start, limits.max_string, name.size());
  }
  const std::uint64_t value_start = json.offset();
  if (json.peek() != '{') return refuse(json, Errc::bad_field, tensor, value_start, kEntryField);
  if (parse_usual(json, tensor)) return size_up(json, tensor, start);
  Description found;
  for (bool more = json.open_object(); more; more = json.next_member())
    parse_field(json, tensor, found);
  if (json.stopped()) return;
  if (!found.has_dtype) return refuse(json, Errc::missing_field, tensor, value_start, "\"dtype\"");
  if (!found.has_shape) return refuse(json, Errc::missing_field, tensor, value_start, "\"shape\"");
  if (!found.has_offsets)
    return refuse(json, Errc::missing_field, tensor, value_start, "\"data_offsets\"");
  size_up(json, tensor, start);
}

// A description just as the reference writer writes it, and everyone who follows it: the three
// fields in this order, without white space. Anything else, and anything odd, is left to
// parse_field, and nothing is taken.
bool Parser::parse_usual(JsonScanner& json, Tensor& tensor) {
  const char* start = json.place();
  if (take_usual(json, tensor)) return true;
  json.go_back(start);
  return false;
}

bool Parser::take_usual(JsonScanner& json, Tensor& tensor) {
  if (!json.take(R"({"dtype":")")) return false;
  look_up_dtype(tensor, json.take_plain());
  if (tensor.dtype == DType::unknown || !json.take(R"(","shape":[)")) return false;
  std::array<std::uint64_t, Shape::kInPlace> dims;
  std::size_t rank = 0;
  while (!json.take("]")) {
    if (rank == dims.size() || (rank > 0 && !json.take(","))) return false;
    const std::optional<std::uint64_t> dim = json.take_number();
    if (!dim) return false;
    dims[rank++] = *dim;
  }
  tensor.shape = Shape({dims.data(), rank});
  if (!json.take(R"(,"data_offsets":[)")) return false;
  const std::optional<std::uint64_t> begin = json.take_number();
  if (!begin || !json.take(",")) return false;
  const std::optional<std::uint64_t> end = json.take_number();
  if (!end || *end < *begin || !json.take("]}")) return false;
  tensor.offset = *begin;
  tensor.nbytes = *end - *begin;
  return true;
}

void Parser::look_up_dtype(Tensor& tensor, std::string_view word) {
  tensor.dtype_name = word;
  if (word != last_dtype_name_) {
    last_dtype_name_ = word;
    last_dtype_ = dtype_from_safetensors(word);
  }
  tensor.dtype = last_dtype_;
}

void Parser::parse_field(JsonScanner& json, Tensor& tensor, Description& found) {
  const std::string_view field = json.key();
  if (json.stopped()) return;
  if (field == "dtype") return parse_dtype(json, tensor, found);
  if (field == "shape") return parse_shape(json, tensor, found);
  if (field == "data_offsets") return parse_offsets(json, tensor, found);
  json.skip();  // the reference reader ignores what it does not know
}

void Parser::parse_dtype(JsonScanner& json, Tensor& tensor, Description& found) {
  const std::uint64_t start = json.offset();
  if (std::exchange(found.has_dtype, true))
    return refuse(json, Errc::duplicate_field, tensor, start, "\"dtype\"");
  if (json.peek() != '"') return refuse(json, Errc::bad_field, tensor, start, kDtypeField);
  look_up_dtype(tensor, json.string());
  if (tensor.dtype != DType::unknown || json.stopped()) return;
  warnings_.add({.code = Errc::unknown_dtype,
                 .kind = SubjectKind::tensor,
                 .offset = start,
                 .name = tensor.name,
                 .word = tensor.dtype_name});
}

void Parser::parse_shape(JsonScanner& json, Tensor& tensor, Description& found) {
  const std::uint64_t start = json.offset();
  if (std::exchange(found.has_shape, true))
    return refuse(json, Errc::duplicate_field, tensor, start, "\"shape\"");
  if (json.peek() != '[') return refuse(json, Errc::bad_field, tensor, start, kShapeField);
  dims_.clear();
  for (bool more = json.open_array(); more; more = json.next_element()) {
    if (dims_.size() == kMaxDimensions) {
      return refuse(json, Errc::too_many_dimensions, tensor, start, kMaxDimensions,
                    kMaxDimensions + 1);
    }
    const std::optional<std::uint64_t> dim = json.whole_number();
    if (!dim) return refuse(json, Errc::bad_field, tensor, json.offset(), kShapeField);
    dims_.push_back(*dim);
  }
  if (dims_.size() <= Shape::kInPlace) {
    tensor.shape = Shape(dims_);
    return;
  }
  const std::size_t bytes = dims_.size() * sizeof(std::uint64_t);
  auto* far = static_cast<std::uint64_t*>(out_.arena->allocate(bytes, alignof(std::uint64_t)));
  std::copy(dims_.begin(), dims_.end(), far);
  tensor.shape = Shape({far, dims_.size()});
}

void Parser::parse_offsets(JsonScanner& json, Tensor& tensor, Description& found) {
  const std::uint64_t start = json.offset();
  if (std::exchange(found.has_offsets, true)) {
    return refuse(json, Errc::duplicate_field, tensor, start, "\"data_offsets\"");
  }
  if (json.peek() != '[') return refuse(json, Errc::bad_field, tensor, start, kOffsetsField);
  std::array<std::uint64_t, 2> ends{};
  std::size_t count = 0;
  for (bool more = json.open_array(); more; more = json.next_element()) {
    const std::optional<std::uint64_t> end = json.whole_number();
    if (!end || count == ends.size())
      return refuse(json, Errc::bad_field, tensor, start, kOffsetsField);
    ends[count++] = *end;
  }
  if (json.stopped()) return;
  if (count != ends.size() || ends[0] > ends[1])
    return refuse(json, Errc::bad_field, tensor, start, kOffsetsField);
  tensor.offset = ends[0];
  tensor.nbytes = ends[1] - ends[0];
}

// Holds the shape against the data, from left to right as the reference reader does: [0, 2^63, 4]
// is empty, [2^63, 4, 0] does not fit.
void Parser::size_up(JsonScanner& json, Tensor& tensor, std::uint64_t start) {
  std::uint64_t elements = 1;
  for (const std::uint64_t dim : tensor.shape) {
    if (!multiply(elements, dim, elements)) return refuse(json, Errc::size_overflow, tensor, start);
  }
  const DTypeInfo& type = info(tensor.dtype);
  if (!type.has_size()) return;  // a word that is not known here: the data are what the offsets say
  std::uint64_t bits = 0;
  if (!multiply(elements, type.block_bytes * 8U / type.block_elements, bits)) {
    return refuse(json, Errc::size_overflow, tensor, start);
  }
  if (bits % 8 != 0)
    return refuse(json, Errc::partial_block, tensor, start, type.block_elements, elements);
  if (bits / 8 != *tensor.nbytes)
    return refuse(json, Errc::size_mismatch, tensor, start, bits / 8, *tensor.nbytes);
}

void Parser::check_names(JsonScanner& json) {
  if (json.stopped()) return;
  if (const auto repeated =
          out_.tensor_index.build({std::span<const Tensor>(out_.tensors), &Tensor::name})) {
    const Tensor& tensor = out_.tensors[*repeated];
    return refuse(json, Errc::duplicate_tensor, tensor, offset_of(tensor));
  }
  if (const auto repeated = out_.metadata.index()) {
    const Entry& entry = out_.metadata.entries()[*repeated];
    json.fail({.code = Errc::duplicate_key,
               .kind = SubjectKind::key,
               .offset = entry.offset,
               .name = entry.key});
  }
}

// Tensors fill the data from its first byte on, in some order, each beginning where another ended.
void Parser::place_data(JsonScanner& json) {
  if (json.stopped()) return;
  for (Tensor& tensor : out_.tensors) {
    std::uint64_t end = 0;
    if (!add(tensor.offset, out_.data_offset, tensor.offset) ||
        !add(tensor.offset, *tensor.nbytes, end)) {
      return refuse(json, Errc::size_overflow, tensor, offset_of(tensor));
    }
  }
  const DataOrder order(out_.tensors);
  std::uint64_t end = out_.data_offset;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Tensor& tensor = order[i];
    const Errc code = tensor.offset < end ? Errc::overlap : Errc::hole;
    if (tensor.offset != end)
      return refuse(json, code, tensor, offset_of(tensor), end, tensor.offset);
    end += *tensor.nbytes;
  }
  out_.data_end = out_.padded_end = end;
  if (!input_.total) return;
  check_end(json, order.size() == 0 ? nullptr : &order[order.size() - 1]);
  check_trailing(json);
}

void Parser::check_end(JsonScanner& json, const Tensor* last) {
  const std::uint64_t total = *input_.total;
  if (*out_.data_end > total) refuse(json, Errc::outside_file, *last, total, *out_.data_end, total);
}

void Parser::check_trailing(JsonScanner& json) {
  const std::uint64_t total = *input_.total;
  const std::uint64_t end = *out_.data_end;
  if (total <= end) return;
  Problem problem{.code = Errc::trailing_bytes, .offset = end, .expected = end, .actual = total};
  if (end < input_.bytes.size() && matches(input_.bytes.subspan(static_cast<std::size_t>(end)))) {
    problem.code = Errc::glued_files;
    return json.fail(problem);
  }
  if (!options_.lenient || total - end > options_.limits.max_trailing) return json.fail(problem);
  warnings_.add(problem);
}

// Walks the header once more, which was well-formed the first time.
std::uint64_t Parser::offset_of(const Tensor& tensor) const {
  auto before = &tensor - out_.tensors.data();
  JsonScanner json(header_, kLengthBytes, *out_.arena);
  std::uint64_t start = 0;
  for (bool more = json.open_object(); more && before >= 0; more = json.next_member()) {
    start = json.offset();
    if (json.key() != kMetadataKey) --before;
    json.skip();
  }
  return start;
}

}  // namespace

bool matches(std::span<const std::byte> bytes) noexcept {
  std::uint64_t length = 0;
  if (bytes.size() <= sizeof length) return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  const char first = static_cast<char>(bytes[sizeof length]);
  return length >= 2 && length <= UINT32_MAX &&
         (first == '{' || first == ' ' || first == '\n' || first == '\t' || first == '\r');
}

Parsed parse(const Input& input, const ParseOptions& options) {
  return Parser(input, options).run();
}

}  // namespace ballast::safetensors
