// A Loader that wants no more than the header gets exactly the bytes of it, and then finishes.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

struct Header {
  std::string of;
  Bytes bytes;          // and not one fewer
  std::uint64_t total;  // of the file
  std::size_t tensors;
};

Header header_of(std::string of, const Bytes& file, std::size_t tensors) {
  std::size_t size = 0;
  while (!parse({std::span(file).first(size), std::nullopt}).directory) ++size;
  return {std::move(of),
          {file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)},
          file.size(),
          tensors};
}

/// Small ones, whose file is shorter than the first look of a loader, and larger ones.
std::vector<Header> headers() {
  GgufBuilder large;
  SafetensorsBuilder many;
  for (int i = 0; i < 60; ++i) {
    large.tensor({.name = "tensor." + std::to_string(i), .dims = {32}});
    many.tensor({.name = "tensor." + std::to_string(i), .shape = {32}});
  }
  // Sparse: a file of 6 GiB, which no memory of 32 bits holds.
  constexpr std::uint64_t kHuge = std::uint64_t{6} << 30;
  Header huge = header_of(
      "safetensors of 6 GiB",
      SafetensorsBuilder()
          .tensor({.name = "a", .dtype = "U8", .shape = {kHuge}, .end = kHuge, .data = Bytes{}})
          .build()
          .bytes(),
      1);
  huge.total = huge.bytes.size() + kHuge;
  return {header_of("GGUF", GgufBuilder().tensor({.name = "a", .dims = {32}}).build().bytes(), 1),
          header_of("safetensors",
                    SafetensorsBuilder().tensor({.name = "a", .shape = {32}}).build().bytes(), 1),
          huge, header_of("large GGUF", large.build().bytes(), 60),
          header_of("large safetensors", many.build().bytes(), 60)};
}

Model load(std::span<const std::byte> bytes, std::size_t split, const LoaderOptions& options) {
  Loader loader(options);
  loader.push(bytes.first(split));
  loader.push(bytes.subspan(split));
  return Model::from_data(loader.finish());
}

void check(const Model& model, std::size_t tensors) {
  REQUIRE(model.tensors().size() == tensors);
  CHECK_FALSE(model.is_complete());
  CHECK(error_of([&] { static_cast<void>(model.bytes(model.tensors()[0])); }).code() ==
        Errc::not_loaded);
}

TEST_CASE("exactly the bytes of a header are enough for a loader that wants no more") {
  for (const Header& header : headers()) {
    for (const bool is_total_known : {false, true}) {
      CAPTURE(header.of, is_total_known);
      LoaderOptions options{.directory_only = true};
      if (is_total_known) options.total = header.total;
      const std::size_t step = header.bytes.size() < 512 ? 1 : 7;
      for (std::size_t split = 0; split <= header.bytes.size(); split += step)
        check(load(header.bytes, split, options), header.tensors);
    }
  }
}

TEST_CASE("so they are byte by byte, and in the room that the loader gives") {
  for (const Header& header : headers()) {
    CAPTURE(header.of);
    Loader bytewise({.total = header.total, .directory_only = true});
    for (const std::byte& byte : header.bytes) bytewise.push({&byte, 1});
    check(Model::from_data(bytewise.finish()), header.tensors);
    Loader loader({.directory_only = true});
    for (std::span<const std::byte> left = header.bytes; !left.empty();) {
      const std::span<std::byte> room = loader.prepare(left.size());
      REQUIRE_FALSE(room.empty());
      std::ranges::copy(left.first(room.size()), room.begin());
      loader.commit(room.size());
      left = left.subspan(room.size());
    }
    check(Model::from_data(loader.finish()), header.tensors);
  }
}

TEST_CASE("exactly the compressed bytes of a header are enough, too") {
  for (const Header& header : headers()) {
    for (const Compression codec : kCompressions) {
      const Bytes file = compress(codec, header.bytes);
      for (const bool is_total_known : {false, true}) {
        CAPTURE(header.of, name(codec), is_total_known);
        LoaderOptions options{.directory_only = true};
        if (is_total_known) options.total = file.size() + 100'000;
        const std::size_t step = file.size() / 5 + 1;
        for (std::size_t split = 0; split <= file.size(); split += step)
          check(load(file, split, options), header.tensors);
      }
    }
  }
}

TEST_CASE("one byte fewer than the header is an error, with a total and without") {
  for (const Header& header : headers()) {
    CAPTURE(header.of);
    const std::span<const std::byte> bytes = std::span(header.bytes).first(header.bytes.size() - 1);
    const auto refusal = [&](const LoaderOptions& options) {
      return error_of([&] { static_cast<void>(load(bytes, bytes.size() / 2, options)); });
    };
    const Error known = refusal({.total = header.total, .directory_only = true});
    CHECK(known.code() == Errc::incomplete_input);
    CHECK(known.expected() == header.total);
    CHECK(known.actual() == bytes.size());
    const Error unknown = refusal({.directory_only = true});
    CHECK((unknown.code() == Errc::truncated || unknown.code() == Errc::outside_file));
    // Nor is the header enough where the rest is wanted.
    CHECK(error_of([&] { static_cast<void>(load(header.bytes, 1, {})); }).code() != Errc::ok);
  }
}

TEST_CASE("a header that a tensor outside of the total makes wrong is refused all the same") {
  for (const Header& header : headers()) {
    CAPTURE(header.of);
    const std::uint64_t less = header.total - 1;
    if (less < header.bytes.size()) continue;
    const Error error = error_of(
        [&] { static_cast<void>(load(header.bytes, 1, {.total = less, .directory_only = true})); });
    CHECK((error.code() == Errc::outside_file || error.code() == Errc::partial_padding));
  }
}

}  // namespace
}  // namespace ballast::test
