#include <ballast/error.hpp>

#include <array>
#include <cerrno>
#include <utility>

#include <ballast/text.hpp>

namespace ballast {
namespace {

struct Row {
  std::string_view name;
  std::string_view sentence;
};

constexpr std::array kRows{Row{"ok", "no error"},
#define BALLAST_ERRC_ROW(code, sentence) Row{#code, sentence},
                           BALLAST_ERRC_TABLE(BALLAST_ERRC_ROW)
#undef BALLAST_ERRC_ROW
};
static_assert(kRows.size() == kErrcCount + 1);

const Row& row(int code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < kRows.size() ? kRows[index] : kRows.front();
}

class Category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "ballast"; }
  [[nodiscard]] std::string message(int code) const override {
    return std::string(row(code).sentence);
  }
};

struct SystemName {
  std::errc code;
  std::string_view name;
};

// The errors that opening, reading and mapping files give, by the names that <system_error> has for
// them.
constexpr std::array kSystemNames{
#define BALLAST_SYSTEM_NAME(name) \
  SystemName { std::errc::name, #name }
    BALLAST_SYSTEM_NAME(no_such_file_or_directory),
    BALLAST_SYSTEM_NAME(permission_denied),
    BALLAST_SYSTEM_NAME(operation_not_permitted),
    BALLAST_SYSTEM_NAME(is_a_directory),
    BALLAST_SYSTEM_NAME(not_a_directory),
    BALLAST_SYSTEM_NAME(too_many_symbolic_link_levels),
    BALLAST_SYSTEM_NAME(filename_too_long),
    BALLAST_SYSTEM_NAME(too_many_files_open),
    BALLAST_SYSTEM_NAME(too_many_files_open_in_system),
    BALLAST_SYSTEM_NAME(file_too_large),
    BALLAST_SYSTEM_NAME(value_too_large),
    BALLAST_SYSTEM_NAME(not_enough_memory),
    BALLAST_SYSTEM_NAME(no_such_device),
    BALLAST_SYSTEM_NAME(no_such_device_or_address),
    BALLAST_SYSTEM_NAME(device_or_resource_busy),
    BALLAST_SYSTEM_NAME(resource_unavailable_try_again),
    BALLAST_SYSTEM_NAME(no_space_on_device),
    BALLAST_SYSTEM_NAME(read_only_file_system),
    BALLAST_SYSTEM_NAME(text_file_busy),
    BALLAST_SYSTEM_NAME(bad_file_descriptor),
    BALLAST_SYSTEM_NAME(bad_address),
    BALLAST_SYSTEM_NAME(broken_pipe),
    BALLAST_SYSTEM_NAME(interrupted),
    BALLAST_SYSTEM_NAME(invalid_argument),
    BALLAST_SYSTEM_NAME(invalid_seek),
    BALLAST_SYSTEM_NAME(io_error),
    BALLAST_SYSTEM_NAME(not_supported),
    BALLAST_SYSTEM_NAME(operation_not_supported),
    BALLAST_SYSTEM_NAME(function_not_supported),
    BALLAST_SYSTEM_NAME(timed_out),
    BALLAST_SYSTEM_NAME(cross_device_link),
#undef BALLAST_SYSTEM_NAME
};

// Names in a sentence are cut to this many bytes: a name may be as long as the file.
constexpr std::size_t kNameInMessage = 120;

std::string_view noun(SubjectKind kind) noexcept {
  switch (kind) {
    case SubjectKind::tensor:
      return "tensor";
    case SubjectKind::key:
      return "metadata key";
    case SubjectKind::file:
      return "file";
    case SubjectKind::header:
      return "the header";
    case SubjectKind::data:
      return "the data";
    case SubjectKind::none:
      break;
  }
  return "the file";
}

void append_subject(std::string& out, const Problem& problem) {
  if (problem.index) {
    out.append(problem.kind == SubjectKind::key ? "metadata entry" : noun(problem.kind));
    out.append(" ").append(grouped(*problem.index));
    return;
  }
  out.append(noun(problem.kind));
  if (problem.kind != SubjectKind::tensor && problem.kind != SubjectKind::key &&
      problem.kind != SubjectKind::file) {
    return;
  }
  out.append(" '").append(printable(problem.name, kNameInMessage)).append("'");
}

std::uint64_t number(char field, const Problem& problem) noexcept {
  const std::uint64_t expected = problem.expected.value_or(0);
  const std::uint64_t actual = problem.actual.value_or(0);
  if (field == 'e') return expected;
  if (field == 'a') return actual;
  return expected > actual ? expected - actual : actual - expected;
}

// Fills in one field, and answers how much of the text behind it that has used up: the plural of "1
// bytes".
std::size_t append_filled(std::string& out, char field, std::string_view behind,
                          const Problem& problem) {
  if (field == 's') {
    append_subject(out, problem);
    return 0;
  }
  if (field == 'f') {
    out.append(printable(problem.word, kNameInMessage));
    return 0;
  }
  constexpr std::string_view kBytes = " bytes";
  const std::uint64_t value = number(field, problem);
  out.append(grouped(value));
  if (value != 1 || !behind.starts_with(kBytes)) return 0;
  out.append(" byte");
  return kBytes.size();
}

}  // namespace

std::string_view name(Errc code) noexcept { return row(static_cast<int>(code)).name; }

std::string_view name(const std::error_code& code) noexcept {
  if (code.category() == category()) return row(code.value()).name;
  for (const SystemName& known : kSystemNames) {
    if (code == known.code) return known.name;
  }
  return "system_error";
}

const std::error_category& category() noexcept {
  static const Category kInstance;
  return kInstance;
}

std::string Problem::message() const {
  std::string out;
  std::string_view rest = row(static_cast<int>(code)).sentence;
  for (std::size_t brace = 0; (brace = rest.find('{')) != std::string_view::npos;) {
    out.append(rest.substr(0, brace));
    const char field = rest[brace + 1];  // every field of the table is one letter in braces
    rest.remove_prefix(brace + 3);
    rest.remove_prefix(append_filled(out, field, rest, *this));
  }
  return out.append(rest);
}

struct Error::State {
  // Found where the error is made and not by its code later: where nothing asks the operating
  // system, the names and messages of its errors need not be linked.
  std::string_view name;
  std::string path;
  std::string message;
  std::string what;
  std::string subject;
  SubjectKind kind = SubjectKind::none;
  std::optional<std::uint64_t> offset;
  std::optional<std::uint64_t> input_offset;
  std::optional<std::uint64_t> expected;
  std::optional<std::uint64_t> actual;

  void compose() {
    what = path.empty() ? std::string() : printable(path) + ": ";
    what.append(message).append(" (").append(name);
    if (offset) what.append(" at byte ").append(std::to_string(*offset));
    if (input_offset) {
      what.append(offset ? ", compressed byte " : " at compressed byte ");
      what.append(std::to_string(*input_offset));
    }
    what.append(")");
  }
};

Error::Error(std::error_code code, std::shared_ptr<const State> state)
    : std::system_error(code), state_(std::move(state)) {}

Error::Error(const Problem& problem, std::string path)
    : std::system_error(make_error_code(problem.code)) {
  auto state = std::make_shared<State>();
  state->name = ballast::name(problem.code);
  state->path = std::move(path);
  state->message = problem.message();
  state->subject = problem.name;
  state->kind = problem.kind;
  state->offset = problem.offset;
  state->input_offset = problem.input_offset;
  state->expected = problem.expected;
  state->actual = problem.actual;
  state->compose();
  state_ = std::move(state);
}

Error::Error(std::error_code code, std::string_view action, std::string path)
    : std::system_error(code) {
  auto state = std::make_shared<State>();
  state->name = ballast::name(code);
  state->path = std::move(path);
  state->message.append("cannot ").append(action).append(": ").append(code.message());
  state->compose();
  state_ = std::move(state);
}

Error::~Error() = default;

const char* Error::what() const noexcept { return state_->what.c_str(); }
std::string_view Error::name() const noexcept { return state_->name; }
const std::string& Error::message() const noexcept { return state_->message; }
const std::string& Error::path() const noexcept { return state_->path; }
std::optional<std::uint64_t> Error::offset() const noexcept { return state_->offset; }
std::optional<std::uint64_t> Error::input_offset() const noexcept { return state_->input_offset; }
SubjectKind Error::subject_kind() const noexcept { return state_->kind; }
const std::string& Error::subject() const noexcept { return state_->subject; }
std::optional<std::uint64_t> Error::expected() const noexcept { return state_->expected; }
std::optional<std::uint64_t> Error::actual() const noexcept { return state_->actual; }

Error Error::with_path(std::string path) const {
  auto state = std::make_shared<State>(*state_);
  state->path = std::move(path);
  state->compose();
  return {code(), std::move(state)};
}

Error Error::with_input_offset(std::uint64_t input_offset) const {
  auto state = std::make_shared<State>(*state_);
  state->input_offset = input_offset;
  state->compose();
  return {code(), std::move(state)};
}

}  // namespace ballast
