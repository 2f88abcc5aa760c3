#include <ballast/shards.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <version>

#include <ballast/error.hpp>
#include <ballast/fetch.hpp>
#include <ballast/json_scanner.hpp>
#include <ballast/text.hpp>

namespace ballast {
namespace {

constexpr std::size_t kDigits = 5;
constexpr std::uint64_t kMostShards = 99'999;  // what five digits can name

std::string five_digits(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits;
}

// Whether Windows takes a name for a device: a few, in any case, whatever stands behind a dot.
bool is_device_name(std::string_view name) noexcept {
  std::string_view stem = name.substr(0, name.find('.'));
  while (stem.ends_with(' ')) stem.remove_suffix(1);
  const bool has_number = stem.size() == 4 && stem[3] >= '0' && stem[3] <= '9';
  if (has_number) stem.remove_suffix(1);
  if (stem.size() != 3) return false;
  std::array<char, 3> capitals{};
  std::transform(stem.begin(), stem.end(), capitals.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const std::string_view devices = has_number ? "COM/LPT" : "CON/PRN/AUX/NUL";
  return devices.find(std::string_view(capitals.data(), capitals.size())) != std::string_view::npos;
}

// A name that is that of a file in the folder it is looked up in, on every system. Windows has
// drives and streams of files behind colons, and leaves away dots and spaces at the end.
bool is_plain_file_name(std::string_view name) noexcept {
  return !name.empty() && !name.ends_with('.') && !name.ends_with(' ') && !is_device_name(name) &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

// A JSON number as a double: infinite where it is too large for one, zero of its sign where it is
// too small. The text was checked by the scanner.
double to_double(std::string_view text) {
#ifdef __cpp_lib_to_chars  // not in libc++ before version 20
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc()) return value;  // else too large or too small, which it does not say
#endif
  std::string copy(text);  // strtod wants an end, and the decimal point of the locale
  std::replace(copy.begin(), copy.end(), '.', *std::localeconv()->decimal_point);
  return std::strtod(copy.c_str(), nullptr);
}

// The number, or nothing where it is larger than every double. (A program or an engine that turns
// text into numbers would make 0, the largest double or an infinity of it, each another model.)
std::optional<Value> parse_number(std::string_view text) {
  std::uint64_t magnitude = 0;
  const bool negative = text.starts_with('-');
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + (negative ? 1 : 0), end, magnitude);
  if (error == std::errc() && stop == end) {
    if (!negative) return Value(ValueType::u64, magnitude);
    if (magnitude <= std::uint64_t{1} << 63) return Value(ValueType::i64, ~magnitude + 1);
  }
  const double value = to_double(text);
  if (!std::isfinite(value)) return std::nullopt;
  return Value(ValueType::f64, std::bit_cast<std::uint64_t>(value));
}

std::optional<Value> parse_index_value(JsonScanner& json) {
  const char first = json.peek();
  if (first == '"') return Value(json.string());
  const std::string_view text = json.skip();
  if (first == 't' || first == 'f') return Value(ValueType::boolean, first == 't' ? 1U : 0U);
  if (first == '-' || (first >= '0' && first <= '9')) return parse_number(text);
  return Value(text);
}

// The parser of an index: one loop for its three kinds of objects.
class IndexParser {
 public:
  IndexParser(std::string_view text, ShardIndex& index, const Limits& limits)
      : json_(text, 0, *index.arena), index_(index), limits_(limits) {
    const std::size_t bad = find_invalid_utf8(text);
    if (bad != std::string_view::npos) json_.fail({.code = Errc::bad_utf8, .offset = bad});
  }

  void run() {
    parse_object(Object::document);
    json_.finish();
    if (!json_.stopped()) check_names();
    if (json_.problem()) throw Error(*json_.problem());
    if (!has_map_) throw Error(Problem{.code = Errc::json_document, .offset = 0});
    if (index_.weights.empty()) throw Error(Problem{.code = Errc::empty_index, .offset = map_at_});
  }

 private:
  enum class Object : std::uint8_t { document, metadata, weight_map };

  void parse_object(Object object) {
    for (bool more = json_.open_object(); more; more = json_.next_member()) {
      const std::uint64_t start = json_.offset();
      const std::string_view key = json_.key();
      if (json_.stopped()) return;
      if (object == Object::document) {
        parse_part(key, start);
      } else if (object == Object::metadata) {
        parse_entry(key, start);
      } else {
        parse_weight(key, start);
      }
    }
  }

  void parse_part(std::string_view key, std::uint64_t start) {
    const bool is_map = key == "weight_map";
    bool& is_known = is_map ? has_map_ : has_metadata_;
    if (!is_map && key != "metadata") return static_cast<void>(json_.skip());
    if (std::exchange(is_known, true))
      return refuse(Errc::duplicate_key, SubjectKind::key, key, start);
    if (is_map) map_at_ = start;
    // Writers leave null for metadata.
    if (!is_map && json_.peek() != '{') return static_cast<void>(json_.skip());
    parse_object(is_map ? Object::weight_map : Object::metadata);
  }

  void parse_entry(std::string_view key, std::uint64_t start) {
    const std::uint64_t value_start = json_.offset();
    const std::optional<Value> value = parse_index_value(json_);
    if (json_.stopped()) return;
    if (!value) {
      return refuse(Errc::bad_field, SubjectKind::key, key, value_start,
                    "number: no double is that large");
    }
    if (count(Errc::too_many_entries, index_.metadata.size(), limits_.max_entries, start))
      index_.metadata.append({key, *value, start});
  }

  void parse_weight(std::string_view tensor, std::uint64_t start) {
    const std::uint64_t file_start = json_.offset();
    if (json_.peek() != '"') {
      return refuse(Errc::bad_field, SubjectKind::tensor, tensor, file_start,
                    "file name, which must be a string");
    }
    const std::string_view file = json_.string();
    if (json_.stopped()) return;
    if (!is_plain_file_name(file))
      return refuse(Errc::bad_shard_name, SubjectKind::file, file, file_start);
    if (count(Errc::too_many_tensors, index_.weights.size(), limits_.max_tensors, start))
      index_.weights.push_back({tensor, file, start});
  }

  void check_names() {
    const std::span<const ShardIndex::Entry> weights = index_.weights;
    if (const auto repeated = index_.weight_index.build({weights, &ShardIndex::Entry::tensor})) {
      const ShardIndex::Entry& entry = weights[*repeated];
      refuse(Errc::duplicate_tensor, SubjectKind::tensor, entry.tensor, entry.offset);
    } else if (const auto other = index_.metadata.index()) {
      const Entry& entry = index_.metadata.entries()[*other];
      refuse(Errc::duplicate_key, SubjectKind::key, entry.key, entry.offset);
    }
  }

  // Whether there may be one more.
  bool count(Errc code, std::uint64_t size, std::uint64_t limit, std::uint64_t start) {
    if (size < limit) return true;
    json_.fail({.code = code, .offset = start, .expected = limit, .actual = size + 1});
    return false;
  }

  void refuse(Errc code, SubjectKind kind, std::string_view name, std::uint64_t offset,
              std::string_view word = {}) {
    json_.fail({.code = code, .kind = kind, .offset = offset, .name = name, .word = word});
  }

  JsonScanner json_;
  ShardIndex& index_;
  const Limits& limits_;
  bool has_map_ = false;
  bool has_metadata_ = false;
  std::uint64_t map_at_ = 0;
};

std::vector<std::string_view> sorted_files(std::span<const ShardIndex::Entry> weights) {
  std::vector<std::string_view> names;
  for (const ShardIndex::Entry& entry : weights) {
    if (names.empty() || names.back() != entry.file)
      names.push_back(entry.file);  // neighbours share a file
  }
  // A heap, whose code is a tenth of std::sort's, and as fast for a few hundred names.
  std::make_heap(names.begin(), names.end());
  std::sort_heap(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

Split split_of(const Metadata& metadata) {
  return {metadata.get<std::uint64_t>("split.no").value_or(0),
          metadata.get<std::uint64_t>("split.count").value_or(1),
          metadata.get<std::uint64_t>("split.tensors.count")};
}

std::vector<std::string> split_names(std::string_view first, std::uint64_t count) {
  constexpr std::string_view kFirst = "-00001-of-";
  const std::string suffix = std::string(kFirst) + five_digits(count) + ".gguf";
  if (count > kMostShards || !first.ends_with(suffix)) return {};
  std::string name(first);
  char* const ones = &name[name.size() - suffix.size() + kFirst.find('1')];
  std::vector<std::string> names;
  for (std::uint64_t number = 2; number <= count; ++number) {
    char* digit = ones;
    for (; *digit == '9'; --digit) *digit = '0';
    ++*digit;
    names.push_back(name);
  }
  return names;
}

const ShardIndex::Entry* ShardIndex::find(std::string_view tensor) const noexcept {
  const auto position =
      weight_index.find({std::span<const Entry>(weights), &Entry::tensor}, tensor);
  return position ? &weights[*position] : nullptr;
}

ShardIndex parse_index(std::span<const std::byte> bytes, const ParseOptions& options) {
  const Limits& limits = options.limits;
  const bool is_long = bytes.size() > limits.max_header;
  if (is_long || bytes.size() > options.max_bytes) {
    Problem problem{
        .code = Errc::header_too_large, .expected = limits.max_header, .actual = bytes.size()};
    if (!is_long) {
      problem.code = Errc::too_large;
      problem.expected = bytes.size();
      problem.actual = options.max_bytes;
    }
    throw Error(problem);
  }
  ShardIndex index;
  index.arena =
      std::make_unique<std::pmr::monotonic_buffer_resource>(std::pmr::new_delete_resource());
  auto* const copy = static_cast<char*>(index.arena->allocate(bytes.size(), 1));
  fetch(bytes, copy);
  IndexParser({copy, bytes.size()}, index, limits).run();
  index.files = sorted_files(index.weights);
  return index;
}

}  // namespace ballast
