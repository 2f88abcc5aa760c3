// What people open by mistake: each is called by its name.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

// Bytes at the start of a file, and enough behind them that nothing is decided by the size.
Sample starting(std::string_view bytes, std::size_t more = 1'000) {
  Sample sample;
  sample.mark("start");
  sample.write(bytes_of(bytes));
  sample.write(noise(more, bytes.size() + 1));
  return sample;
}

HostileRow called(std::string fact, std::string_view bytes, Errc code, std::size_t more = 1'000) {
  return {.fact = std::move(fact), .sample = starting(bytes, more), .refusal = code, .at = "start"};
}

std::string lfs_pointer(std::string_view size) {
  return "version https://git-lfs.github.com/spec/v1\n"
         "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
         "size " +
         std::string(size) + "\n";
}

std::vector<HostileRow> rows() {
  using std::string_view_literals::operator""sv;
  std::vector<HostileRow> table{
      {.fact = "an empty file is called empty",
       .sample = Sample(),
       .refusal = Errc::empty_file,
       .at = kNowhere},
      called("a web page is called that", "<!DOCTYPE html>\n<html><head>", Errc::html_page),
      called("a web page in small letters is called that", "<!doctype html><html>",
             Errc::html_page),
      called("a web page without a doctype is called that", "<html lang=\"en\">", Errc::html_page),
      called("a web page behind white space and a byte order mark is called that",
             "\xEF\xBB\xBF\r\n \t<HTML>", Errc::html_page),
      called("an XML error of a storage server is called a web page",
             "<?xml version=\"1.0\"?><Error>", Errc::html_page),
      called("an XML error without a declaration is called a web page",
             "<Error><Code>AccessDenied</Code>", Errc::html_page),
      called("a short web page is called that", "<html>Not found</html>", Errc::html_page, 0),
      called("a Git LFS pointer is called that", lfs_pointer("4920739232"), Errc::git_lfs_pointer,
             0),
      called("a zip archive is called that", "PK\3\4\x14\0\0\0"sv, Errc::zip_archive),
      called("an empty zip archive is called that", "PK\5\6\0\0\0\0"sv, Errc::zip_archive, 14),
      called("a pickle of protocol 2 is called that", "\x80\2}q\0."sv, Errc::pickle),
      called("a pickle of protocol 3 is called that", "\x80\3}q\0."sv, Errc::pickle),
      called("a pickle of protocol 4 is called that", "\x80\4\x95\x1A\0\0\0\0\0\0\0"sv,
             Errc::pickle),
      called("a pickle of protocol 5 is called that", "\x80\5\x95\x1A\0\0\0\0\0\0\0"sv,
             Errc::pickle),
      called("a file of magic ggml is called by its age", "lmgg\1\0\0\0"sv, Errc::legacy_ggml),
      called("a file of magic ggmf is called by its age", "fmgg\1\0\0\0"sv, Errc::legacy_ggml),
      called("a file of magic ggjt is called by its age", "tjgg\3\0\0\0"sv, Errc::legacy_ggml),
      called("a file of magic ggla is called by its age", "algg\1\0\0\0"sv, Errc::legacy_ggml),
      called("a gzip file is called that", "\x1F\x8B\x08\0\0\0\0\0"sv, Errc::still_compressed),
      called("a zlib file is called that", "\x78\x9C\xED\xFD\x77\x7C\x54\x55"sv,
             Errc::still_compressed),
      called("a bzip2 file is called that", "BZh91AY&SY", Errc::still_compressed),
      called("an xz file is called that",
             "\xFD"
             "7zXZ\0\0\4"sv,
             Errc::still_compressed),
      called("a zstd file is called that", "\x28\xB5\x2F\xFD\x04\x00"sv, Errc::still_compressed),
      called("a zstd file behind a skippable frame is called that",
             "\x50\x2A\x4D\x18\4\0\0\0note\x28\xB5\x2F\xFD"sv, Errc::still_compressed),
      called("an LZ4 frame is called that", "\x04\x22\x4D\x18\x64\x40"sv, Errc::still_compressed),
      called("a configuration in JSON is called a JSON document",
             R"({"architectures": ["LlamaForCausalLM"]})", Errc::json_document, 0),
      called("a JSON document behind white space is called that", " \n\t{\"error\": \"Not Found\"}",
             Errc::json_document, 0),
      called("text is of no format", "Not Found", Errc::unknown_format, 0),
      called("one byte is of no format", "G", Errc::unknown_format, 0),
      called("three bytes of the magic are of no format", "GGU", Errc::unknown_format, 0),
      called("seven bytes, too few for any header, are of no format", "\1\0\0\0\0\0\0"sv,
             Errc::unknown_format, 0),
      called("zeros are of no format", std::string(4'096, '\0'), Errc::unknown_format, 0),
      called("an ELF binary is of no format",
             "\x7F"
             "ELF\2\1\1\0"sv,
             Errc::unknown_format),
      called("a PNG is of no format", "\x89PNG\r\n\x1A\n", Errc::unknown_format),
      called("noise is of no format", "\xE3\x91\x7C\xD2\x58\x44\x9A\xF0", Errc::unknown_format),
      {.fact = "a GGUF of the right magic is never mistaken for anything else",
       .sample = GgufBuilder().build()},
  };
  // The size of a header may begin as a magic number of something else does.
  for (const std::uint64_t length : {0x7BULL, 0x20ULL, 0x7B20ULL, 0x3CULL, 0x0280ULL, 0x8B1FULL,
                                     0x0178ULL, 0x9C78ULL, 0xDA78ULL}) {
    std::string header = R"({"__metadata__":{"k":")";
    const std::string tail = R"("}})";
    if (length < header.size() + tail.size()) {
      header = "{" + std::string(length - 2, ' ') + "}";
    } else {
      header += std::string(length - header.size() - tail.size(), 'v') + tail;
    }
    table.push_back({.fact = "a safetensors header of " + std::to_string(length) +
                             " bytes is not mistaken for what begins with that number",
                     .sample = safetensors_with(header)});
  }
  return table;
}

Errc refusal_of(const Sample& sample, std::string& message) {
  try {
    static_cast<void>(parse_whole(sample.bytes()));
  } catch (const Error& error) {
    message = error.message();
    return static_cast<Errc>(error.code().value());
  }
  return Errc::ok;
}

TEST_CASE("files that are no model are called by what they are") {
  for (const HostileRow& row : format_rows()) check_row(row);
}

TEST_CASE("what a file is compressed with is named") {
  using std::string_view_literals::operator""sv;
  const std::vector<std::pair<std::string_view, std::string_view>> codecs{
      {"\x1F\x8B\x08\0"sv, "gzip"},
      {"\x78\x9C\xED\xFD"sv, "zlib"},
      {"BZh9"sv, "bzip2"},
      {"\xFD"
       "7zXZ\0"sv,
       "xz"},
      {"\x28\xB5\x2F\xFD"sv, "zstd"},
      {"\x5F\x2A\x4D\x18\0\0\0\0\x04\x22\x4D\x18"sv, "lz4"},
      {"\x04\x22\x4D\x18"sv, "lz4"}};
  for (const auto& [magic, codec] : codecs) {
    std::string message;
    CHECK(refusal_of(starting(magic), message) == Errc::still_compressed);
    CAPTURE(message);
    CHECK(message.starts_with("compressed with " + std::string(codec) + ","));
  }
}

TEST_CASE("a Git LFS pointer says how large the model is that it stands for") {
  const auto expected = [](std::string_view size) {
    try {
      static_cast<void>(parse_whole(starting(lfs_pointer(size), 0).bytes()));
    } catch (const Error& error) {
      return error.expected();
    }
    return std::optional<std::uint64_t>();
  };
  CHECK(expected("4920739232") == 4'920'739'232U);
  CHECK(expected("0") == 0U);
  CHECK(expected("a lot") == 0U);
  CHECK(expected("9999999999999999999999999") == 9'999'999'999'999'999'999U);  // cut, not wrapped
}

TEST_CASE("what looks like JSON is told from what does not") {
  const auto looks = [](std::string_view text) { return is_json(std::as_bytes(std::span(text))); };
  CHECK(looks("{}"));
  CHECK(looks(" \r\n\t{"));
  CHECK(looks("\xEF\xBB\xBF{"));
  CHECK_FALSE(looks(""));
  CHECK_FALSE(looks("   "));
  CHECK_FALSE(looks("[]"));
  CHECK_FALSE(looks("GGUF{"));
}

TEST_CASE("formats have names") {
  CHECK(name(Format::gguf) == "gguf");
  CHECK(name(Format::safetensors) == "safetensors");
}

}  // namespace

const std::vector<HostileRow>& format_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
