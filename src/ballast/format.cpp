#include <ballast/format.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include <ballast/gguf.hpp>
#include <ballast/safetensors.hpp>

namespace ballast {
namespace {

// So many bytes tell every format and every mistake apart.
constexpr std::uint64_t kSniffBytes = 512;

struct Row {
  Format format;
  std::string_view name;
  bool (*matches)(std::span<const std::byte>) noexcept;
  Parsed (*parse)(const Input&, const ParseOptions&);
};

constexpr std::array kFormats{
    Row{Format::gguf, "gguf", gguf::matches, gguf::parse},
    Row{Format::safetensors, "safetensors", safetensors::matches, safetensors::parse},
};

struct Signature {
  std::string_view bytes;  // at the start of the file
  Errc code;
};

using std::string_view_literals::operator""sv;

// What people open by mistake. Magic numbers: APPNOTE.TXT (zip), Python's pickletools (protocols 2
// to 5), Git LFS's specification v1, and llama.cpp before GGUF (the magics "ggml", "ggmf", "ggjt",
// "ggla" as little-endian numbers).
constexpr std::array kSignatures{
    Signature{"PK\3\4"sv, Errc::zip_archive},
    Signature{"PK\5\6"sv, Errc::zip_archive},
    Signature{"\x80\2"sv, Errc::pickle},
    Signature{"\x80\3"sv, Errc::pickle},
    Signature{"\x80\4"sv, Errc::pickle},
    Signature{"\x80\5"sv, Errc::pickle},
    Signature{"version https://git-lfs.github.com/spec/"sv, Errc::git_lfs_pointer},
    Signature{"lmgg"sv, Errc::legacy_ggml},
    Signature{"fmgg"sv, Errc::legacy_ggml},
    Signature{"tjgg"sv, Errc::legacy_ggml},
    Signature{"algg"sv, Errc::legacy_ggml},
};

std::string_view first_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()),
          std::min<std::size_t>(bytes.size(), kSniffBytes)};
}

std::string_view without_space(std::string_view text) noexcept {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

bool is_web_page(std::string_view text) noexcept {
  text = without_space(text);
  if (text.size() < 2 || text[0] != '<') return false;
  const char next = static_cast<char>(text[1] | 0x20);
  return text[1] == '!' || text[1] == '?' || (next >= 'a' && next <= 'z');
}

// A pointer has a line "size N", the size of what it stands for.
std::uint64_t pointer_size(std::string_view text) noexcept {
  constexpr std::string_view kKey = "\nsize ";
  const std::size_t at = text.find(kKey);
  std::uint64_t size = 0;
  if (at == std::string_view::npos) return size;
  for (const char digit : text.substr(at + kKey.size(), 19)) {  // 19 digits always fit
    if (digit < '0' || digit > '9') break;
    size = size * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return size;
}

// A header length that safetensors would have, or what looks like a header behind one that is too
// large.
bool may_be_safetensors(std::span<const std::byte> bytes) noexcept {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  const bool has_brace = bytes.size() > sizeof length && bytes[sizeof length] == std::byte{'{'};
  return (length > 0 && length <= Limits().max_header) || has_brace;
}

// Bytes that no format claims: says what they are.
Problem identify(std::span<const std::byte> bytes) noexcept {
  const std::string_view text = first_text(bytes);
  Problem problem{.code = Errc::unknown_format, .offset = 0};
  if (is_web_page(text)) problem.code = Errc::html_page;
  if (is_json(bytes)) problem.code = Errc::json_document;
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.bytes)) problem.code = signature.code;
  }
  if (problem.code == Errc::git_lfs_pointer) problem.expected = pointer_size(text);
  const Compression codec = signature_of(bytes);
  if (problem.code == Errc::unknown_format && codec != Compression::none) {
    const bool is_known = std::ranges::find(codecs(), codec) != codecs().end();
    problem.code = is_known ? Errc::still_compressed : Errc::codec_missing;
    problem.word = name(codec);
  }
  return problem;
}

// Bytes behind a model may be another one, of a format that its parser does not know.
void refuse_glued(const Input& input, std::uint64_t end) {
  if (end >= input.bytes.size()) return;
  if (!begins_model(input.bytes.subspan(static_cast<std::size_t>(end)))) return;
  throw Error({.code = Errc::glued_files, .offset = end, .expected = end, .actual = input.total});
}

Parsed parse_as(const Row& row, const Input& input, const ParseOptions& options) {
  try {
    Parsed parsed = row.parse(input, options);
    if (input.total && parsed.directory) refuse_glued(input, *parsed.directory->padded_end);
    return parsed;
  } catch (const Error& error) {
    if (error.code() == Errc::trailing_bytes) refuse_glued(input, *error.offset());
    throw;
  }
}

}  // namespace

std::string_view name(Format format) noexcept {
  return kFormats[static_cast<std::size_t>(format)].name;
}

const Tensor* Directory::find(std::string_view name) const noexcept {
  const auto position = tensor_index.find({std::span<const Tensor>(tensors), &Tensor::name}, name);
  return position ? &tensors[*position] : nullptr;
}

bool is_json(std::span<const std::byte> bytes) noexcept {
  const std::string_view text = first_text(bytes);
  // The length that safetensors begins with may read as a brace, but not without zeros behind it.
  const bool has_zero = text.substr(0, sizeof(std::uint64_t)).find('\0') != std::string_view::npos;
  return !has_zero && without_space(text).starts_with('{');
}

bool begins_model(std::span<const std::byte> bytes) noexcept {
  return std::any_of(kFormats.begin(), kFormats.end(),
                     [bytes](const Row& row) { return row.matches(bytes); });
}

Compression compression_of(std::span<const std::byte> bytes) noexcept {
  return begins_model(bytes) ? Compression::none : signature_of(bytes);
}

Parsed parse(const Input& input, const ParseOptions& options) {
  for (const Row& row : kFormats) {
    if (row.matches(input.bytes)) return parse_as(row, input, options);
  }
  if (input.total == 0U) throw Error(Problem{.code = Errc::empty_file});
  const std::uint64_t enough = std::min(input.total.value_or(kSniffBytes), kSniffBytes);
  if (input.bytes.size() < enough) return {std::nullopt, enough};
  const Problem problem = identify(input.bytes);
  if (problem.code != Errc::unknown_format || !may_be_safetensors(input.bytes))
    throw Error(problem);
  return safetensors::parse(input, options);  // which says what is wrong with it
}

Directory parse_whole(std::span<const std::byte> bytes, const ParseOptions& options) {
  return std::move(*parse(Input::whole(bytes), options).directory);
}

}  // namespace ballast
