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

#include <ballast/error_table.h>
#include <ballast/config.hpp>

namespace ballast {

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
enum class SubjectKind : std::uint8_t { none, header, tensor, key, file, data };

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
  /// Where in the compressed file, if it is one; `offset` then counts what comes out.
  std::optional<std::uint64_t> input_offset{};

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

  /// "PATH: MESSAGE (code at byte N)" or "PATH: MESSAGE (code)", safe to print on a terminal; of
  /// a compressed file "PATH: MESSAGE (code at byte N, compressed byte M)".
  [[nodiscard]] const char* what() const noexcept override;
  /// The stable name of the code: "truncated", "no_such_file_or_directory".
  [[nodiscard]] std::string_view name() const noexcept;
  /// The sentence alone, safe to print on a terminal.
  [[nodiscard]] const std::string& message() const noexcept;
  /// The file, as it was given; empty where the bytes came from memory.
  [[nodiscard]] const std::string& path() const noexcept;
  /// The byte in the file that is at fault, where one is; of a compressed file, in what comes out.
  [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept;
  /// How far the compressed file had been decoded then, in bytes of it; empty for any other.
  [[nodiscard]] std::optional<std::uint64_t> input_offset() const noexcept;
  [[nodiscard]] SubjectKind subject_kind() const noexcept;
  /// The raw name of the tensor, key or file that is at fault; empty where there is none. Not safe
  /// to print.
  [[nodiscard]] const std::string& subject() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> expected() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> actual() const noexcept;

  /// The same error, said of the file at `path`: for layers that know where the bytes came from.
  [[nodiscard]] Error with_path(std::string path) const;
  /// The same error, met in what came out of a compressed file when so much of that was decoded.
  [[nodiscard]] Error with_input_offset(std::uint64_t input_offset) const;

 private:
  struct State;
  Error(std::error_code code, std::shared_ptr<const State> state);

  std::shared_ptr<const State> state_;  // shared, so that copying cannot throw
};

}  // namespace ballast

template <>
struct std::is_error_code_enum<ballast::Errc> : std::true_type {};
