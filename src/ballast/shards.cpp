#include <ballast/shards.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <clocale>
#include <cstdlib>
#include <utility>
#include <version>

#include <ballast/error.hpp>
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

std::string split_suffix(std::uint64_t number, std::uint64_t count) {
  std::string suffix("-");
  return suffix.append(five_digits(number))
      .append("-of-")
      .append(five_digits(count))
      .append(".gguf");
}

// A name that stays in the folder it is looked up in, on every system.
bool is_plain_file_name(std::string_view name) noexcept {
  const bool has_drive = name.size() >= 2 && name[1] == ':';
  return !name.empty() && name != "." && name != ".." && !has_drive &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

// A JSON number as a double. The text was checked by the scanner.
double to_double(std::string_view text) {
  double value = 0;
#ifdef __cpp_lib_to_chars  // not in libc++ before version 20
  std::from_chars(text.data(), text.data() + text.size(), value);
#else
  std::string copy(text);  // strtod wants an end, and the decimal point of the locale
  std::replace(copy.begin(), copy.end(), '.', *std::localeconv()->decimal_point);
  value = std::strtod(copy.c_str(), nullptr);
#endif
  return value;
}

Value parse_number(std::string_view text) {
  std::uint64_t magnitude = 0;
  const bool negative = text.starts_with('-');
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + (negative ? 1 : 0), end, magnitude);
  if (error == std::errc() && stop == end) {
    if (!negative) return {ValueType::u64, magnitude};
    if (magnitude <= std::uint64_t{1} << 63) return {ValueType::i64, ~magnitude + 1};
  }
  return {ValueType::f64, std::bit_cast<std::uint64_t>(to_double(text))};
}

Value parse_index_value(JsonScanner& json) {
  const char first = json.peek();
  if (first == '"') return Value(json.string());
  const std::string_view text = json.skip();
  if (first == 't' || first == 'f') return {ValueType::boolean, first == 't' ? 1U : 0U};
  if (first == '-' || (first >= '0' && first <= '9')) return parse_number(text);
  return Value(text);
}

void parse_index_metadata(JsonScanner& json, ShardIndex& index, const Limits& limits) {
  if (json.peek() != '{') return static_cast<void>(json.skip());  // writers leave null here
  for (bool more = json.open_object(); more; more = json.next_member()) {
    const std::uint64_t start = json.offset();
    const std::string_view key = json.key();
    const Value value = parse_index_value(json);
    if (json.stopped()) return;
    if (index.metadata.size() == limits.max_entries) {
      return json.fail({.code = Errc::too_many_entries,
                        .offset = start,
                        .expected = limits.max_entries,
                        .actual = index.metadata.size() + 1});
    }
    index.metadata.append({key, value, start});
  }
}

void parse_weight_map(JsonScanner& json, ShardIndex& index, const Limits& limits) {
  for (bool more = json.open_object(); more; more = json.next_member()) {
    const std::uint64_t start = json.offset();
    const std::string_view tensor = json.key();
    const std::uint64_t file_start = json.offset();
    if (json.stopped()) return;
    if (json.peek() != '"') {
      return json.fail({.code = Errc::bad_field,
                        .kind = SubjectKind::tensor,
                        .offset = file_start,
                        .name = tensor,
                        .word = "file name, which must be a string"});
    }
    const std::string_view file = json.string();
    if (json.stopped()) return;
    if (!is_plain_file_name(file)) {
      return json.fail({.code = Errc::bad_shard_name,
                        .kind = SubjectKind::file,
                        .offset = file_start,
                        .name = file});
    }
    if (index.weights.size() == limits.max_tensors) {
      return json.fail({.code = Errc::too_many_tensors,
                        .offset = start,
                        .expected = limits.max_tensors,
                        .actual = index.weights.size() + 1});
    }
    index.weights.push_back({tensor, file, start});
  }
}

void check_names(JsonScanner& json, ShardIndex& index) {
  if (json.stopped()) return;
  const std::span<const ShardIndex::Entry> weights = index.weights;
  if (const auto repeated = index.weight_index.build({weights, &ShardIndex::Entry::tensor})) {
    return json.fail({.code = Errc::duplicate_tensor,
                      .kind = SubjectKind::tensor,
                      .offset = weights[*repeated].offset,
                      .name = weights[*repeated].tensor});
  }
  if (const auto repeated = index.metadata.index()) {
    const Entry& entry = index.metadata.entries()[*repeated];
    json.fail({.code = Errc::duplicate_key,
               .kind = SubjectKind::key,
               .offset = entry.offset,
               .name = entry.key});
  }
}

std::vector<std::string> sorted_files(std::span<const ShardIndex::Entry> weights) {
  std::vector<std::string_view> names;
  for (const ShardIndex::Entry& entry : weights) {
    if (names.empty() || names.back() != entry.file)
      names.push_back(entry.file);  // neighbours share a file
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return {names.begin(), names.end()};
}

}  // namespace

Split split_of(const Metadata& metadata) {
  return {metadata.get<std::uint64_t>("split.no").value_or(0),
          metadata.get<std::uint64_t>("split.count").value_or(1),
          metadata.get<std::uint64_t>("split.tensors.count")};
}

std::vector<std::string> split_names(std::string_view first, std::uint64_t count) {
  const std::string suffix = split_suffix(1, count);
  if (count > kMostShards || !first.ends_with(suffix)) return {};
  const std::string_view prefix = first.substr(0, first.size() - suffix.size());
  std::vector<std::string> names;
  for (std::uint64_t number = 1; number <= count; ++number) {
    names.push_back(std::string(prefix) + split_suffix(number, count));
  }
  return names;
}

const ShardIndex::Entry* ShardIndex::find(std::string_view tensor) const noexcept {
  const auto position =
      weight_index.find({std::span<const Entry>(weights), &Entry::tensor}, tensor);
  return position ? &weights[*position] : nullptr;
}

ShardIndex parse_index(std::span<const std::byte> bytes, const Limits& limits) {
  ShardIndex index;
  index.arena =
      std::make_unique<std::pmr::monotonic_buffer_resource>(std::pmr::new_delete_resource());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  JsonScanner json(text, 0, *index.arena);
  if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    json.fail({.code = Errc::bad_utf8, .offset = bad});
  }
  bool has_map = false;
  bool has_metadata = false;
  for (bool more = json.open_object(); more; more = json.next_member()) {
    const std::uint64_t start = json.offset();
    const std::string_view key = json.key();
    const bool is_map = key == "weight_map";
    const bool is_metadata = key == "metadata";
    if ((is_map && std::exchange(has_map, true)) ||
        (is_metadata && std::exchange(has_metadata, true))) {
      json.fail(
          {.code = Errc::duplicate_key, .kind = SubjectKind::key, .offset = start, .name = key});
    } else if (is_map) {
      parse_weight_map(json, index, limits);
    } else if (is_metadata) {
      parse_index_metadata(json, index, limits);
    } else {
      json.skip();
    }
  }
  json.finish();
  check_names(json, index);
  if (json.problem()) throw Error(*json.problem());
  if (!has_map) throw Error(Problem{.code = Errc::json_document, .offset = 0});
  index.files = sorted_files(index.weights);
  return index;
}

}  // namespace ballast
