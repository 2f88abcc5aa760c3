// The table of codes, and what an error says.
#include <cctype>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>

namespace ballast::test {
namespace {

Errc nth(int code) { return static_cast<Errc>(code); }

TEST_CASE("every code has a name of its own, in snake_case") {
  std::set<std::string_view> names;
  for (int code = 1; code <= kErrcCount; ++code) {
    const std::string_view known = name(nth(code));
    CAPTURE(code, known);
    CHECK(names.insert(known).second);
    CHECK_FALSE(known.empty());
    for (const char c : known) CHECK((std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'));
    CHECK(name(make_error_code(nth(code))) == known);
  }
}

TEST_CASE("every field of every sentence is filled in") {
  for (int code = 1; code <= kErrcCount; ++code) {
    const std::string_view sentence_name = name(nth(code));
    const std::string raw = category().message(code);
    Problem problem{
        .code = nth(code), .kind = SubjectKind::tensor, .name = "the-subject", .word = "the-word"};
    problem.expected = 1'234'567;
    problem.actual = 7'654'321;
    const std::string message = problem.message();
    CAPTURE(sentence_name, message);
    CHECK(message.find_first_of("{}") == std::string::npos);
    const auto says = [&](std::string_view text) {
      return message.find(text) != std::string::npos;
    };
    CHECK(says("the-subject") == (raw.find("{s}") != std::string::npos));
    CHECK(says("1,234,567") == (raw.find("{e}") != std::string::npos));
    CHECK(says("7,654,321") == (raw.find("{a}") != std::string::npos));
    CHECK(says("6,419,754") == (raw.find("{d}") != std::string::npos));
    CHECK(says("the-word") == (raw.find("{f}") != std::string::npos));
  }
}

TEST_CASE("a code out of range has a name and a message all the same") {
  CHECK(name(nth(kErrcCount + 1)) == "ok");
  CHECK_FALSE(category().message(-1).empty());
  CHECK_FALSE(category().message(10'000).empty());
}

TEST_CASE("an error says path, message, code and byte") {
  const Problem problem{.code = Errc::truncated,
                        .kind = SubjectKind::header,
                        .offset = 1'000,
                        .expected = 2'048,
                        .actual = 1'010};
  const Error error(problem, "dir/model.gguf");
  CHECK(std::string_view(error.what()) ==
        "dir/model.gguf: the file ends inside the header: 2,048 bytes are needed and 1,010 are "
        "there, "
        "1,038 bytes short (truncated at byte 1000)");
  CHECK(error.message() ==
        "the file ends inside the header: 2,048 bytes are needed and 1,010 are there, 1,038 bytes "
        "short");
  CHECK(error.path() == "dir/model.gguf");
  CHECK(error.offset() == 1'000U);
  CHECK(error.expected() == 2'048U);
  CHECK(error.actual() == 1'010U);
  CHECK(error.subject_kind() == SubjectKind::header);
  CHECK(error.subject().empty());
}

TEST_CASE("an error without a path or a byte does not make them up") {
  const Error error(Problem{.code = Errc::cancelled});
  CHECK(std::string_view(error.what()) == "cancelled by the caller (cancelled)");
  CHECK(error.path().empty());
  CHECK(error.offset() == std::nullopt);
  CHECK(error.expected() == std::nullopt);
  CHECK(error.actual() == std::nullopt);
}

TEST_CASE("an error compares with its code, and only with that") {
  const Error error(Problem{.code = Errc::overlap});
  CHECK(error.code() == Errc::overlap);
  CHECK(error.code() != Errc::hole);
  CHECK(error.code() != std::errc::invalid_argument);
  CHECK(error.code().category() == category());
  CHECK(std::string_view(category().name()) == "ballast");
}

TEST_CASE("an error of the operating system keeps its code and gets its name") {
  const Error error(std::make_error_code(std::errc::no_such_file_or_directory), "open",
                    "gone.gguf");
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  const std::string what = error.what();
  CAPTURE(what);
  CHECK(what.starts_with("gone.gguf: cannot open: "));
  CHECK(what.ends_with(" (no_such_file_or_directory)"));
  CHECK(error.offset() == std::nullopt);
  // The same number from the system's own category, as errno gives it.
  CHECK(name(std::error_code(EACCES, std::system_category())) == "permission_denied");
  CHECK(name(std::error_code(987'654, std::system_category())) == "system_error");
}

TEST_CASE("names and paths in an error cannot repaint the terminal") {
  const Problem problem{
      .code = Errc::duplicate_tensor, .kind = SubjectKind::tensor, .name = "\x1B[2Jw\n\u202E"};
  const Error error(problem, "evil\x1B]0;title\x07.gguf");
  const std::string what = error.what();
  CAPTURE(what);
  CHECK(what.find_first_of("\x1B\x07\n") == std::string::npos);
  CHECK(what.find("tensor '\\x1b[2Jw\\n\\u{202e}' is listed twice") != std::string::npos);
  CHECK(error.subject() == "\x1B[2Jw\n\u202E");  // raw, for code
}

TEST_CASE("a name of megabytes is cut in the message and whole in the subject") {
  const std::string name(1U << 20, 'n');
  const Error error(
      Problem{.code = Errc::name_too_long, .kind = SubjectKind::tensor, .name = name});
  CHECK(error.message().size() < 300);
  CHECK(error.subject() == name);
}

TEST_CASE("where the name is not known yet, the message counts") {
  const Problem tensor{.code = Errc::truncated, .kind = SubjectKind::tensor, .index = 1'234};
  CHECK(tensor.message().find("tensor 1,234") != std::string::npos);
  const Problem key{.code = Errc::truncated, .kind = SubjectKind::key, .index = 0};
  CHECK(key.message().find("metadata entry 0") != std::string::npos);
}

TEST_CASE("an error survives the bytes that it speaks of") {
  std::vector<Error> kept;
  {
    std::string name = "short-lived";
    kept.emplace_back(Problem{.code = Errc::overlap, .kind = SubjectKind::tensor, .name = name});
    name.assign(name.size(), '!');
  }
  CHECK(kept.front().subject() == "short-lived");
  CHECK(kept.front().message().find("short-lived") != std::string::npos);
}

TEST_CASE("a path given later replaces the one before and changes nothing else") {
  const Error bare(Problem{
      .code = Errc::hole, .kind = SubjectKind::tensor, .offset = 5, .name = "w", .expected = 1});
  const Error said = bare.with_path("a.gguf");
  CHECK(said.path() == "a.gguf");
  CHECK(said.message() == bare.message());
  CHECK(said.code() == bare.code());
  CHECK(said.offset() == bare.offset());
  CHECK(said.subject() == "w");
  CHECK(said.expected() == 1U);
  CHECK(std::string(said.what()) == "a.gguf: " + std::string(bare.what()));
  CHECK(bare.path().empty());
  CHECK(said.with_path("b.gguf").path() == "b.gguf");
}

TEST_CASE("copying an error cannot throw, and it is caught as what it is") {
  STATIC_CHECK(std::is_nothrow_copy_constructible_v<Error>);
  STATIC_CHECK(std::is_nothrow_copy_assignable_v<Error>);
  CHECK_THROWS_AS(throw Error(Problem{.code = Errc::hole}), std::system_error);
  CHECK_THROWS_AS(throw Error(Problem{.code = Errc::hole}), std::runtime_error);
}

}  // namespace
}  // namespace ballast::test
