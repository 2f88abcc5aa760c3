// What can go wrong, in one table: the code, its name, and the sentence that a person reads.
//
// Every refusal is thrown as a `ballast::Error`; everything odd that does not stop a load is a
// `ballast::Warning`. Both carry a code of the same table, because whether a finding refuses a file
// or only warns depends on the format and on the options (trailing bytes, for one).
//
//     try {
//       auto model = ballast::Model::open(path);
//     } catch (const ballast::Error& error) {
//       log(error.what());  // model.gguf: the file ends inside ... (truncated at byte 24)
//       if (error.code() == ballast::Errc::outside_file) resume_download(path, error.expected());
//     }
//
// Threads: errors and warnings are immutable values; copying an Error never throws.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <ballast/config.hpp>

namespace ballast {

// X(code, sentence). In a sentence {s} is the subject (a tensor, a key, a file), {e} the number
// that was expected, {a} the number that was found, {d} the difference of the two, and {f} a fixed
// word given where the problem is found. Names are stable: they are printed, compared by scripts,
// and reach JavaScript as `error.code`.
#define BALLAST_ERRC_TABLE(X)                                                                      \
  /* the bytes */                                                                                  \
  X(cancelled, "cancelled by the caller")                                                          \
  X(out_of_memory,                                                                                 \
    "{e} bytes of memory could not be allocated: use mmap, a smaller model, or shards")            \
  X(too_large,                                                                                     \
    "{e} bytes are needed, and at most {a} may be used: raise max_bytes, or use shards")           \
  X(not_mappable, "not a regular file with a size, and only those can be mapped: read it instead") \
  X(range_outside_file, "the range asked for ends at byte {e}, but the file has {a} bytes")        \
  X(file_changed, "the file changed while it was read: {e} bytes were expected, {a} came")         \
  X(incomplete_input, "the input ended after {a} bytes of {e}: {d} bytes short")                   \
  /* what the content is, when it is no model */                                                   \
  X(empty_file, "the file is empty: a download that never began, or a full disk")                  \
  X(unknown_format,                                                                                \
    "neither GGUF nor safetensors: its first bytes are those of no format known here")             \
  X(html_page,                                                                                     \
    "a web page, not a model: the server answered with HTML or XML (a login, an error); download " \
    "the file "                                                                                    \
    "itself")                                                                                      \
  X(json_document,                                                                                 \
    "a JSON document without a \"weight_map\", so not the index of a model: open the "             \
    ".safetensors file")                                                                           \
  X(git_lfs_pointer,                                                                               \
    "a Git LFS pointer, not the model it stands for ({e} bytes): run `git lfs pull`")              \
  X(zip_archive,                                                                                   \
    "a zip archive, as PyTorch's .pt and .bin files are, not a model: convert it to safetensors "  \
    "or GGUF")                                                                                     \
  X(pickle,                                                                                        \
    "a Python pickle, not a model (and loading one runs code): convert it to safetensors or GGUF") \
  X(legacy_ggml, "a GGML file from before GGUF: convert it with llama.cpp")                        \
  X(codec_missing, "compressed with {f}, which this build cannot decode: decompress it first")     \
  /* the directory, in both formats */                                                             \
  X(truncated,                                                                                     \
    "the file ends inside {s}: {e} bytes are needed and {a} are there, {d} bytes short")           \
  X(outside_file,                                                                                  \
    "{s} ends at byte {e}, but the file has {a} bytes: {d} bytes short, an incomplete download?")  \
  X(partial_padding,                                                                               \
    "the file ends inside the padding behind {s}: {e} bytes are needed and {a} are there, {d} "    \
    "bytes "                                                                                       \
    "short")                                                                                       \
  X(size_overflow, "the size of {s} does not fit in 64 bits")                                      \
  X(partial_block,                                                                                 \
    "{s} has {a} elements in a row, not a multiple of the {e} that its dtype packs together")      \
  X(overlap, "{s} begins at byte {a}, inside a tensor that ends at byte {e}")                      \
  X(hole,                                                                                          \
    "{s} begins at byte {a}, but the data before it ends at byte {e}: {d} bytes belong to no "     \
    "tensor")                                                                                      \
  X(trailing_bytes, "{d} bytes follow the last tensor, which ends at byte {e}")                    \
  X(glued_files,                                                                                   \
    "another model begins at byte {e}: these are several files glued together; split them there")  \
  X(duplicate_tensor, "{s} is listed twice")                                                       \
  X(duplicate_key, "{s} is there twice")                                                           \
  X(too_many_tensors, "{a} tensors, and at most {e} are accepted (max_tensors)")                   \
  X(too_many_entries, "{a} metadata entries, and at most {e} are accepted (max_entries)")          \
  X(string_too_long, "a string of {a} bytes in {s}, and at most {e} are accepted (max_string)")    \
  X(count_too_large, "{s} claims {a} {f}, but the bytes that are left hold at most {e}")           \
  X(too_many_dimensions, "{s} has {a} dimensions, and at most {e} are accepted")                   \
  X(unknown_dtype,                                                                                 \
    "{s} has a dtype that is not known here ({f}): it is listed, but has no values")               \
  X(unknown_end, "{s} is last and of unknown size, so the size of the file must be given")         \
  /* GGUF */                                                                                       \
  X(unsupported_version, "GGUF version {a}: versions 2 to {e} can be read")                        \
  X(big_endian, "a big-endian GGUF: convert it to little-endian (gguf_convert_endian.py)")         \
  X(bad_value_type, "{s} has value type {a}, and the types are 0 to {e}")                          \
  X(array_too_deep, "{s} nests arrays more than {e} deep")                                         \
  X(empty_key, "metadata entry {a} has an empty key")                                              \
  X(bad_alignment,                                                                                 \
    "general.alignment must be a u32 that is a power of two and at most {e}; it is {f} {a}")       \
  X(name_too_long, "{s} has a name of {a} bytes, and GGUF allows {e}")                             \
  X(misaligned_offset, "{s} has offset {a}, not a multiple of the alignment {e}")                  \
  /* safetensors, and the index of its shards */                                                   \
  X(header_too_large, "a header of {a} bytes, and at most {e} are accepted (max_header)")          \
  X(bad_json, "the JSON is malformed: {f}")                                                        \
  X(json_too_deep, "the JSON nests more than {e} deep")                                            \
  X(bad_utf8, "the JSON is not UTF-8")                                                             \
  X(bad_field, "{s} has a bad {f}")                                                                \
  X(missing_field, "{s} has no {f}")                                                               \
  X(duplicate_field, "{s} has two fields {f}")                                                     \
  X(size_mismatch, "{s} has {a} bytes of data, but its dtype and shape make {e}")                  \
  /* sets of shards */                                                                             \
  X(bad_shard_name, "{s} is not a plain file name: shards lie beside their index")                 \
  X(shard_name_mismatch,                                                                           \
    "the first of {e} shards, but its name does not end in -00001-of-NNNNN.gguf, so the others "   \
    "cannot be found: list all of them")                                                           \
  X(missing_shard, "{s} is missing: it must lie beside the file that was opened")                  \
  X(incomplete_set,                                                                                \
    "{a} shards of a model of {e}: open the first one by its path, or list all of them")           \
  X(not_first_shard, "shard {a} of {e}: open the first one (-00001-of-), or list all of them")     \
  X(wrong_shard, "this shard does not belong here: its {f} is {a}, and {e} was expected")          \
  X(wrong_tensor_total,                                                                            \
    "the shards hold {a} tensors, and {e} were expected (split.tensors.count): are they all of "   \
    "one model?")                                                                                  \
  X(mixed_formats, "GGUF and safetensors files cannot be shards of one model")                     \
  X(tensor_not_in_shard, "{s} is not in the shard that the index names ({f})")                     \
  /* asking for what is not there */                                                               \
  X(no_such_tensor, "there is no {s}")                                                             \
  X(wrong_type, "{s} is not of the type asked for ({f})")                                          \
  /* only ever warnings */                                                                         \
  X(out_of_order,                                                                                  \
    "{s} comes before its predecessor in the file: tensors are not in the order of their data")    \
  X(odd_alignment, "the alignment is {a}, and the specification asks for a multiple of {e}")       \
  X(nested_array, "{s} holds arrays of arrays, which most readers refuse")                         \
  X(long_name, "{s} has a name of {a} bytes, and most readers allow {e}")                          \
  X(empty_name, "{s} has an empty name")                                                           \
  X(long_key, "a key of {a} bytes, and the specification allows {e}")                              \
  X(many_dimensions, "{s} has {a} dimensions, and most readers allow {e}")                         \
  X(not_utf8, "{s} is not UTF-8")                                                                  \
  X(nul_in_name, "the name of {s} contains a NUL byte, where most readers stop")                   \
  X(bad_bool, "{s} is a bool of value {a}, which is neither 0 nor 1")                              \
  X(nonzero_padding, "padding beside {s} is not zero")                                             \
  X(not_in_index, "{s} is in a shard, but the index does not place it there")

/// Every refusal and every warning there is. The number behind a name may change between versions,
/// the name does not.
enum class Errc : std::uint8_t {
  ok = 0,
#define BALLAST_ERRC_ENUMERATOR(code, sentence) code,
  BALLAST_ERRC_TABLE(BALLAST_ERRC_ENUMERATOR)
#undef BALLAST_ERRC_ENUMERATOR
};

/// How many codes there are, `ok` not counted; they are numbered from 1.
inline constexpr int kErrcCount = 0
#define BALLAST_ERRC_COUNT(code, sentence) +1
    BALLAST_ERRC_TABLE(BALLAST_ERRC_COUNT)
#undef BALLAST_ERRC_COUNT
    ;

/// The stable snake_case name of a code: "truncated".
[[nodiscard]] BALLAST_API std::string_view name(Errc code) noexcept;

/// The name of any code that an Error can carry: a code of the table above, or, for one of the
/// operating system, the name that <system_error> gives it ("no_such_file_or_directory");
/// "system_error" where it gives none.
[[nodiscard]] BALLAST_API std::string_view name(const std::error_code& code) noexcept;

/// The category "ballast" of <system_error>, whose messages are the sentences of the table.
[[nodiscard]] BALLAST_API const std::error_category& category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), category()};
}

/// What a finding is about.
enum class SubjectKind : std::uint8_t { none, header, tensor, key, file };

/// One finding of a parser, before anyone is told. `name` points into the parsed bytes or at a
/// literal; where the name is not known yet, `index` says which one it is, counted from 0.
struct Problem {
  Errc code = Errc::ok;
  SubjectKind kind = SubjectKind::none;
  std::optional<std::uint64_t> offset{};    ///< byte in the file that is at fault
  std::string_view name{};                  ///< of the tensor, key or file
  std::optional<std::uint64_t> index{};     ///< in place of a name
  std::optional<std::uint64_t> expected{};  ///< {e}
  std::optional<std::uint64_t> actual{};    ///< {a}
  std::string_view word{};                  ///< {f}

  /// The sentence of the table with everything filled in; names are quoted and safe to print
  /// (text.hpp).
  [[nodiscard]] BALLAST_API std::string message() const;
};

/// Something odd that did not stop the load. Of many findings with one code the first few are kept,
/// and a last one counts the rest: a hostile file does not fill the memory with complaints.
struct Warning {
  Errc code = Errc::ok;
  std::optional<std::uint64_t> offset;  ///< byte in the file, where one is at fault
  std::string message;
};

/// A refusal. `code()` is a `ballast::Errc` or an error of the operating system, and compares with
/// either.
class BALLAST_API Error : public std::system_error {
 public:
  /// A finding in the file at `path` (may be empty: bytes that came from memory).
  explicit Error(const Problem& problem, std::string path = {});
  /// The operating system refused; `action` says what was tried ("open", "map", "read").
  Error(std::error_code code, std::string_view action, std::string path);

  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) noexcept = default;
  ~Error() override;

  /// "PATH: MESSAGE (code at byte N)" or "PATH: MESSAGE (code)", safe to print on a terminal.
  [[nodiscard]] const char* what() const noexcept override;
  /// The sentence alone, safe to print on a terminal.
  [[nodiscard]] const std::string& message() const noexcept;
  /// The file, as it was given; empty where the bytes came from memory.
  [[nodiscard]] const std::string& path() const noexcept;
  /// The byte in the file that is at fault, where one is.
  [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept;
  [[nodiscard]] SubjectKind subject_kind() const noexcept;
  /// The raw name of the tensor, key or file that is at fault; empty where there is none. Not safe
  /// to print.
  [[nodiscard]] const std::string& subject() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> expected() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> actual() const noexcept;

  /// The same error, said of the file at `path`: for layers that know where the bytes came from.
  [[nodiscard]] Error with_path(std::string path) const;

 private:
  struct State;
  Error(std::error_code code, std::shared_ptr<const State> state);

  std::shared_ptr<const State> state_;  // shared, so that copying cannot throw
};

}  // namespace ballast

template <>
struct std::is_error_code_enum<ballast::Errc> : std::true_type {};
