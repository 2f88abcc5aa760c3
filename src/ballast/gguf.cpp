#include <ballast/gguf.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <ballast/cursor.hpp>
#include <ballast/fetch.hpp>
#include <ballast/gguf_layout.hpp>
#include <ballast/layout.hpp>
#include <ballast/name_copies.hpp>
#include <ballast/text.hpp>
#include <ballast/warning_list.hpp>

namespace ballast::gguf {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF", little-endian
constexpr std::uint32_t kNewestVersion = 3;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kAlignmentUnit =
    8;  // docs/gguf.md: "The alignment must be a multiple of 8"
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr std::uint64_t kLongestKey = 65535;  // docs/gguf.md
constexpr std::uint64_t kLongestName = 64;    // docs/gguf.md; ggml itself wants one less, for a NUL
constexpr std::uint32_t kUsualDimensions = 4;  // GGML_MAX_DIMS
constexpr std::uint32_t kMaxDimensions = 8;
constexpr std::uint64_t kLargestDimension = INT64_MAX;  // ggml holds dimensions in an int64_t

// The fewest bytes that an entry (a key of one byte, a type, a value of one byte), a tensor (an
// empty name, a rank of zero, a dtype, an offset) and a nested array (an element type, a count)
// take: what a count is held against before it drives anything.
constexpr std::uint64_t kSmallestEntry = 8 + 1 + 4 + 1;
constexpr std::uint64_t kSmallestTensor = 8 + 4 + 4 + 8;
constexpr std::uint64_t kSmallestArray = 4 + 8;
constexpr std::uint64_t kSmallestString = 8;

std::uint64_t smallest_element(ValueType type) noexcept {
  if (type == ValueType::string) return kSmallestString;
  if (type == ValueType::array) return kSmallestArray;
  return encoded_size(type);
}

// Whether there is nothing to say about the characters of a name: all are ASCII and none is NUL.
// May be false for one where that holds, never the other way round.
bool is_plain(std::string_view name) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  std::uint64_t odd = 0;
  const auto look_at = [&](std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, name.data() + at, sizeof word);
    odd |= (word | (word - kOnes)) & kHighs;  // a NUL borrows, and its high bit is set
  };
  if (name.size() < sizeof odd) {
    // A char may be unsigned, as on ARM.
    const auto is_ascii = [](char byte) { return static_cast<signed char>(byte) > 0; };
    return std::ranges::all_of(name, is_ascii);
  }
  for (std::size_t at = 0; at < name.size() - sizeof odd; at += sizeof odd) look_at(at);
  look_at(name.size() - sizeof odd);
  return odd == 0;
}

class Parser {
 public:
  Parser(const Input& input, const ParseOptions& options) noexcept
      : input_(input), limits_(options.limits), cursor_(input), names_(options.max_bytes) {}

  Parsed run() {
    parse_header();
    parse_entries();
    parse_tensors();
    if (!cursor_.stopped()) {
      Layout(input_, limits_, cursor_, warnings_, starts_.get(), out_).run();
    }
    if (cursor_.problem()) throw Error(*cursor_.problem());
    if (cursor_.stopped()) return {std::nullopt, cursor_.needed()};
    out_.warnings = std::move(warnings_).finish();
    out_.copied_bytes = names_.needed(0);
    return {std::move(out_), 0};
  }

 private:
  void parse_header();
  void parse_version();
  void parse_entries();
  void parse_entry(std::uint64_t index);
  Value parse_value(ValueType type, std::uint64_t start);
  Value parse_array(std::uint32_t depth);
  void parse_elements(ValueType type, std::uint64_t count, std::uint32_t depth);
  void check_bools(std::span<const std::byte> bools, std::uint64_t start);
  void warn_bad_bool(std::uint8_t value, std::uint64_t at);
  void take_alignment(const Value& value, std::uint64_t start);
  void parse_tensors();
  void parse_tensor(std::uint64_t index);
  void look_at_name(std::string_view name, std::uint64_t start);
  void parse_shape(Tensor& tensor);
  void parse_dtype(Tensor& tensor);
  void size_up(Tensor& tensor, std::uint64_t start);

  [[nodiscard, gnu::always_inline]] std::string_view take_name();
  [[nodiscard, gnu::noinline]] std::string_view copy_to_new_block(std::string_view name);
  [[nodiscard]] bool in_bounds(std::uint64_t count, std::uint64_t smallest, Problem problem);
  std::pmr::monotonic_buffer_resource& arena();

  const Input& input_;
  const Limits& limits_;
  Cursor cursor_;
  Directory out_;
  WarningList warnings_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t entry_count_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  NameCopies names_;
  std::string_view key_;  // of the entry being parsed
  // Of the tensors' descriptions, for messages.
  std::unique_ptr<std::uint64_t[]> starts_;  // NOLINT(*-avoid-c-arrays): its size varies
};

// The key or name that comes next, copied.
inline std::string_view Parser::take_name() {
  const std::string_view name = cursor_.string(limits_.max_string);
  const std::string_view copy = names_.copy(name);
  return copy.size() == name.size() ? copy : copy_to_new_block(name);
}

std::string_view Parser::copy_to_new_block(std::string_view name) {
  if (names_.make_room(name.size(), name.size() + cursor_.available(), arena())) {
    return names_.copy(name);
  }
  cursor_.fail({.code = Errc::too_large,
                .offset = cursor_.offset() - name.size(),
                .expected = names_.needed(name.size()),
                .actual = names_.max_bytes()});
  return {};
}

// Whether `count` items of at least `smallest` bytes can be in the bytes that are left; else the
// problem is reported.
bool Parser::in_bounds(std::uint64_t count, std::uint64_t smallest, Problem problem) {
  const std::uint64_t most = cursor_.left() / smallest;
  if (count <= most) return true;
  problem.code = Errc::count_too_large;
  problem.expected = most;
  problem.actual = count;
  cursor_.fail(problem);
  return false;
}

void Parser::parse_header() {
  cursor_.about(SubjectKind::header, std::string_view());
  if (cursor_.read<std::uint32_t>() != kMagic) {
    return cursor_.fail({.code = Errc::unknown_format, .offset = 0});
  }
  parse_version();
  tensor_count_ = cursor_.read<std::uint64_t>();
  entry_count_ = cursor_.read<std::uint64_t>();
  if (cursor_.stopped()) return;
  if (tensor_count_ > limits_.max_tensors) {
    return cursor_.fail({.code = Errc::too_many_tensors,
                         .offset = 8,
                         .expected = limits_.max_tensors,
                         .actual = tensor_count_});
  }
  if (entry_count_ > limits_.max_entries) {
    return cursor_.fail({.code = Errc::too_many_entries,
                         .offset = 16,
                         .expected = limits_.max_entries,
                         .actual = entry_count_});
  }
  static_cast<void>(
      in_bounds(tensor_count_, kSmallestTensor,
                {.kind = SubjectKind::header, .offset = 8, .word = "tensors"}) &&
      in_bounds(entry_count_, kSmallestEntry,
                {.kind = SubjectKind::header, .offset = 16, .word = "metadata entries"}));
}

void Parser::parse_version() {
  const auto version = cursor_.read<std::uint32_t>();
  if (cursor_.stopped()) return;
  if ((version & 0xFFFFU) == 0 && version != 0)
    return cursor_.fail({.code = Errc::big_endian, .offset = 4});
  if (version < 2 || version > kNewestVersion) {
    return cursor_.fail({.code = Errc::unsupported_version,
                         .offset = 4,
                         .expected = kNewestVersion,
                         .actual = version});
  }
  out_.format = Format::gguf;
  out_.version = version;
}

void Parser::parse_entries() {
  if (cursor_.stopped()) return;
  out_.metadata.reserve(static_cast<std::size_t>(
      std::min<std::uint64_t>(entry_count_, cursor_.available() / kSmallestEntry)));
  for (std::uint64_t i = 0; i < entry_count_ && !cursor_.stopped(); ++i) parse_entry(i);
  if (cursor_.stopped()) return;
  if (const auto repeated = out_.metadata.index()) {
    const Entry& entry = out_.metadata.entries()[*repeated];
    cursor_.fail({.code = Errc::duplicate_key,
                  .kind = SubjectKind::key,
                  .offset = entry.offset,
                  .name = entry.key});
  }
}

void Parser::parse_entry(std::uint64_t index) {
  const std::uint64_t start = cursor_.offset();
  cursor_.about(SubjectKind::key, index);
  key_ = take_name();
  if (cursor_.stopped()) return;
  cursor_.about(SubjectKind::key, key_);
  const Problem about{.kind = SubjectKind::key, .offset = start, .name = key_};
  if (key_.empty())
    return cursor_.fail({.code = Errc::empty_key, .offset = start, .actual = index});
  if (key_.size() > kLongestKey) {
    warnings_.add(
        {.code = Errc::long_key, .offset = start, .expected = kLongestKey, .actual = key_.size()});
  }
  if (!is_utf8(key_))
    warnings_.add({.code = Errc::not_utf8, .kind = about.kind, .offset = start, .name = key_});

  const std::uint64_t type_start = cursor_.offset();
  const auto type = cursor_.read<std::uint32_t>();
  if (type >= kValueTypeCount) {
    return cursor_.fail({.code = Errc::bad_value_type,
                         .kind = SubjectKind::key,
                         .offset = type_start,
                         .name = key_,
                         .expected = kValueTypeCount - 1,
                         .actual = type});
  }
  const Value value = parse_value(static_cast<ValueType>(type), cursor_.offset());
  if (cursor_.stopped()) return;
  if (key_ == kAlignmentKey) take_alignment(value, type_start);
  out_.metadata.append({key_, value, start});
}

Value Parser::parse_value(ValueType type, std::uint64_t start) {
  switch (type) {
    case ValueType::string: {
      const std::string_view text = cursor_.string(limits_.max_string);
      if (!is_utf8(text)) {
        warnings_.add(
            {.code = Errc::not_utf8, .kind = SubjectKind::key, .offset = start, .name = key_});
      }
      return Value(text);
    }
    case ValueType::array:
      return parse_array(1);
    case ValueType::boolean: {
      const auto value = cursor_.read<std::uint8_t>();
      if (value > 1) warn_bad_bool(value, start);
      return {type, value};
    }
    default:
      break;
  }
  switch (encoded_size(type)) {
    case 1:
      return {type, cursor_.read<std::uint8_t>()};
    case 2:
      return {type, cursor_.read<std::uint16_t>()};
    case 4:
      return {type, cursor_.read<std::uint32_t>()};
    default:
      return {type, cursor_.read<std::uint64_t>()};
  }
}

// Steps over an array. Its elements stay where they are until somebody asks for them.
Value Parser::parse_array(std::uint32_t depth) {
  const std::uint64_t start = cursor_.offset();
  const auto type = cursor_.read<std::uint32_t>();
  const auto count = cursor_.read<std::uint64_t>();
  if (cursor_.stopped()) return {};
  const Problem about{.kind = SubjectKind::key, .offset = start, .name = key_};
  if (type >= kValueTypeCount) {
    Problem problem = about;
    problem.code = Errc::bad_value_type;
    problem.expected = kValueTypeCount - 1;
    problem.actual = type;
    cursor_.fail(problem);
    return {};
  }
  const auto element_type = static_cast<ValueType>(type);
  Problem count_problem = about;
  count_problem.offset = start + 4;
  count_problem.word = "elements";
  if (!in_bounds(count, smallest_element(element_type), count_problem)) return {};

  const std::uint64_t elements_start = cursor_.offset();
  parse_elements(element_type, count, depth);
  if (cursor_.stopped()) return {};
  const auto length = static_cast<std::size_t>(cursor_.offset() - elements_start);
  return Value(Array(element_type, count,
                     input_.bytes.subspan(static_cast<std::size_t>(elements_start), length)));
}

void Parser::parse_elements(ValueType type, std::uint64_t count, std::uint32_t depth) {
  if (type == ValueType::string) return cursor_.skip_strings(count, limits_.max_string);
  const std::uint64_t start = cursor_.offset();
  if (type != ValueType::array) {
    const std::span<const std::byte> elements =
        cursor_.take(count * encoded_size(type));  // in bounds, so no overflow
    if (type == ValueType::boolean) check_bools(elements, start);
    return;
  }
  const std::uint32_t deepest = std::min(limits_.max_array_depth, kMaxArrayDepth);
  if (depth >= deepest) {
    return cursor_.fail({.code = Errc::array_too_deep,
                         .kind = SubjectKind::key,
                         .offset = start,
                         .name = key_,
                         .expected = deepest});
  }
  if (depth == 1) {
    warnings_.add(
        {.code = Errc::nested_array, .kind = SubjectKind::key, .offset = start, .name = key_});
  }
  for (; count > 0 && !cursor_.stopped(); --count) static_cast<void>(parse_array(depth + 1));
}

// Warns of the first of them that is neither 0 nor 1. Each piece is read once, into the stack.
void Parser::check_bools(std::span<const std::byte> bools, std::uint64_t start) {
  std::array<std::uint8_t, 256> piece;
  for (std::size_t at = 0; at < bools.size(); at += piece.size()) {
    const std::size_t size = std::min(piece.size(), bools.size() - at);
    fetch(bools.subspan(at, size), piece.data());
    std::uint8_t all = 0;
    for (std::size_t i = 0; i < size; ++i) all |= piece[i];
    if (all <= 1) continue;
    std::size_t bad = 0;
    while (piece[bad] <= 1) ++bad;
    return warn_bad_bool(piece[bad], start + at + bad);
  }
}

void Parser::warn_bad_bool(std::uint8_t value, std::uint64_t at) {
  warnings_.add({.code = Errc::bad_bool,
                 .kind = SubjectKind::key,
                 .offset = at,
                 .name = key_,
                 .actual = value});
}

void Parser::take_alignment(const Value& value, std::uint64_t start) {
  const bool is_u32 = value.type() == ValueType::u32;
  const std::uint64_t alignment = value.bits();
  if (!is_u32 || !std::has_single_bit(alignment) || alignment > limits_.max_alignment) {
    return cursor_.fail({.code = Errc::bad_alignment,
                         .offset = is_u32 ? start + 4 : start,
                         .expected = limits_.max_alignment,
                         .actual = alignment,
                         .word = name(value.type())});
  }
  if (alignment % kAlignmentUnit != 0) {
    warnings_.add({.code = Errc::odd_alignment,
                   .offset = start + 4,
                   .expected = kAlignmentUnit,
                   .actual = alignment});
  }
  alignment_ = alignment;
}

void Parser::parse_tensors() {
  if (cursor_.stopped()) return;
  out_.alignment = alignment_;
  const auto most = static_cast<std::size_t>(
      std::min<std::uint64_t>(tensor_count_, cursor_.available() / kSmallestTensor));
  out_.tensors.reserve(most);
  // NOLINTNEXTLINE(*-avoid-c-arrays): as many as there can be, and one that is cut off
  starts_ = std::make_unique_for_overwrite<std::uint64_t[]>(most + 1);
  for (std::uint64_t i = 0; i < tensor_count_ && !cursor_.stopped(); ++i) parse_tensor(i);
  if (cursor_.stopped()) return;
  if (const auto repeated =
          out_.tensor_index.build({std::span<const Tensor>(out_.tensors), &Tensor::name})) {
    const Tensor& tensor = out_.tensors[*repeated];
    refuse(cursor_, Errc::duplicate_tensor, tensor, starts_[*repeated]);
  }
}

void Parser::parse_tensor(std::uint64_t index) {
  const std::uint64_t start = cursor_.offset();
  starts_[static_cast<std::size_t>(index)] = start;
  cursor_.about(SubjectKind::tensor, index);
  Tensor& tensor = out_.tensors.emplace_back();
  tensor.name = take_name();
  if (cursor_.stopped()) return;
  cursor_.about(SubjectKind::tensor, tensor.name);
  look_at_name(tensor.name, start);
  const std::uint64_t shape_start = cursor_.offset();
  parse_shape(tensor);
  parse_dtype(tensor);
  const std::uint64_t offset_start = cursor_.offset();
  tensor.offset = cursor_.read<std::uint64_t>();
  if (cursor_.stopped()) return;
  size_up(tensor, shape_start);
  if ((tensor.offset & (alignment_ - 1)) == 0) return;
  refuse(cursor_, Errc::misaligned_offset, tensor, offset_start, alignment_, tensor.offset);
}

void Parser::look_at_name(std::string_view name, std::uint64_t start) {
  if (name.size() < kLongestName && !name.empty() && is_plain(name)) return;
  Problem problem{.kind = SubjectKind::tensor,
                  .offset = start,
                  .name = name,
                  .expected = kLongestName,
                  .actual = name.size()};
  const auto warn = [&](Errc code) {
    problem.code = code;
    warnings_.add(problem);
  };
  if (name.size() > kLongestName) {
    problem.code = Errc::name_too_long;
    return cursor_.fail(problem);
  }
  if (!is_utf8(name)) warn(Errc::not_utf8);
  if (name.find('\0') != std::string_view::npos) warn(Errc::nul_in_name);
  if (name.empty()) warn(Errc::empty_name);
  if (name.size() < kLongestName) return;
  problem.expected = kLongestName - 1;
  warn(Errc::long_name);
}

void Parser::parse_shape(Tensor& tensor) {
  const std::uint64_t start = cursor_.offset();
  const auto rank = cursor_.read<std::uint32_t>();
  if (rank > kMaxDimensions)
    return refuse(cursor_, Errc::too_many_dimensions, tensor, start, kMaxDimensions, rank);
  std::array<std::uint64_t, kMaxDimensions> dims;
  for (std::uint32_t i = 0; i < rank; ++i) dims[i] = cursor_.read<std::uint64_t>();
  if (rank <= kUsualDimensions) {
    tensor.shape = Shape({dims.data(), rank});
    return;
  }
  warnings_.add({.code = Errc::many_dimensions,
                 .kind = SubjectKind::tensor,
                 .offset = start,
                 .name = tensor.name,
                 .expected = kUsualDimensions,
                 .actual = rank});
  auto* far = static_cast<std::uint64_t*>(
      arena().allocate(rank * sizeof(std::uint64_t), alignof(std::uint64_t)));
  std::copy_n(dims.data(), rank, far);
  tensor.shape = Shape({far, rank});
}

void Parser::parse_dtype(Tensor& tensor) {
  const std::uint64_t start = cursor_.offset();
  const auto id = cursor_.read<std::uint32_t>();
  if (cursor_.stopped()) return;
  tensor.dtype = dtype_from_gguf(id);
  tensor.dtype_name = name(tensor.dtype);
  if (info(tensor.dtype).has_size()) return;
  if (tensor.dtype == DType::unknown) {
    std::string text("unknown(");
    text.append(std::to_string(id)).append(")");
    auto* far = static_cast<char*>(arena().allocate(text.size(), 1));
    std::copy(text.begin(), text.end(), far);
    tensor.dtype_name = {far, text.size()};
  }
  warnings_.add({.code = Errc::unknown_dtype,
                 .kind = SubjectKind::tensor,
                 .offset = start,
                 .name = tensor.name,
                 .word = tensor.dtype_name});
}

// Elements and bytes of a tensor, all products checked; `start` is where its rank and dimensions
// stand.
void Parser::size_up(Tensor& tensor, std::uint64_t start) {
  std::uint64_t elements = 1;
  for (const std::uint64_t dim : tensor.shape) {
    if (dim > kLargestDimension || !multiply(elements, dim, elements)) {
      return refuse(cursor_, Errc::size_overflow, tensor, start);
    }
  }
  const DTypeInfo& type = info(tensor.dtype);
  if (!type.has_size()) return;
  const std::uint64_t row = tensor.shape.empty() ? 1 : tensor.shape[0];
  if (row % type.block_elements != 0) {
    return refuse(cursor_, Errc::partial_block, tensor, start, type.block_elements, row);
  }
  std::uint64_t nbytes = 0;
  if (!multiply(elements / type.block_elements, type.block_bytes, nbytes)) {
    return refuse(cursor_, Errc::size_overflow, tensor, start);
  }
  tensor.nbytes = nbytes;
}

std::pmr::monotonic_buffer_resource& Parser::arena() {
  if (!out_.arena) out_.arena = std::make_unique<std::pmr::monotonic_buffer_resource>();
  return *out_.arena;
}

}  // namespace

bool matches(std::span<const std::byte> bytes) noexcept {
  std::uint32_t magic = 0;
  if (bytes.size() < sizeof magic) return false;
  std::memcpy(&magic, bytes.data(), sizeof magic);
  return magic == kMagic;
}

Parsed parse(const Input& input, const ParseOptions& options) {
  return Parser(input, options).run();
}

}  // namespace ballast::gguf
