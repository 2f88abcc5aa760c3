// What is in a compressed file besides a model, and what is no compressed file although it looks
// like one.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <ballast/format.hpp>

#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

struct Mistake {
  std::string_view what;
  Bytes content;
  Errc code;
};

std::vector<Mistake> mistakes() {
  using std::string_view_literals::operator""sv;
  std::vector<Mistake> out{
      {"a web page", bytes_of("<!DOCTYPE html><html>"), Errc::html_page},
      {"a zip archive", bytes_of("PK\3\4\x14\0\0\0"sv), Errc::zip_archive},
      {"a pickle", bytes_of("\x80\2}q\0."sv), Errc::pickle},
      {"a Git LFS pointer",
       bytes_of("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4920739232\n"),
       Errc::git_lfs_pointer},
      {"a file from before GGUF", bytes_of("tjgg\3\0\0\0"sv), Errc::legacy_ggml},
      {"text", bytes_of("Not Found"), Errc::unknown_format},
      {"nothing", {}, Errc::empty_file},
  };
  for (std::size_t i = out.size(); i-- > 0;) {  // each of them also longer than one look
    Mistake large = out[i];
    if (large.code == Errc::empty_file) continue;
    append(large.content, Bytes(2000, std::byte{' '}));
    out.push_back(std::move(large));
  }
  return out;
}

TEST_CASE("what was compressed by mistake is called by what it is, at its place in both files") {
  const Compression codec = GENERATE(from_range(kCompressions));
  for (const Mistake& mistake : mistakes()) {
    const Bytes file = compress(codec, mistake.content);
    for (const Way way : kFastWays) {
      INFO(mistake.what << " in " << name(codec) << " by " << name_of(way));
      const Error error = refusal(way, file);
      CHECK(error.code() == mistake.code);
      if (mistake.code != Errc::empty_file) CHECK(error.offset() == 0U);
      CHECK(error.input_offset().value() > 0);
      CHECK(error.input_offset().value() <= file.size());
      if (mistake.code == Errc::git_lfs_pointer) CHECK(error.expected() == 4'920'739'232U);
    }
  }
}

TEST_CASE("an error in a compressed file prints both places") {
  const TempFile file(compress(Compression::gzip, bytes_of("<html></html>")), "model.gguf.gz");
  const Error error = error_of([&] { return ModelData::open(file.path()); });
  const std::string what = error.what();
  CHECK(error.path() == file.path());
  CHECK(what.starts_with(file.path().string() + ": "));
  CHECK(what.ends_with(" (html_page at byte 0, compressed byte " +
                       std::to_string(error.input_offset().value()) + ")"));
}

TEST_CASE("a file that was compressed twice is called that, with what it is compressed with last") {
  for (const Compression inner : kCompressions) {
    for (const Compression outer : kCompressions) {
      const Bytes file = compress(outer, compress(inner, small_model().bytes()));
      for (const Way way : kFastWays) {
        INFO(name(inner) << " in " << name(outer) << " by " << name_of(way));
        const Error error = refusal(way, file);
        CHECK(error.code() == Errc::compressed_twice);
        CHECK(error.message().find(name(inner)) != std::string::npos);
        CHECK(error.offset() == 0U);
        CHECK(error.input_offset().has_value());
      }
    }
  }
}

TEST_CASE("bytes that are adopted are not decoded, and say what they are compressed with") {
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, model_of_zeros(kMiB).bytes(), levels(codec)[0]);
    CAPTURE(name(codec));
    const Error adopted = error_of([&] { return Model::from_data(ModelData::from_vector(file)); });
    CHECK(adopted.code() == Errc::still_compressed);
    CHECK(adopted.message().starts_with("compressed with " + std::string(name(codec)) + ","));
    CHECK(adopted.offset() == 0U);
    CHECK_FALSE(adopted.input_offset().has_value());
  }
}

TEST_CASE("without decompression a compressed file is its bytes") {
  OpenOptions options;
  options.decompress = false;
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, model_of_zeros(kMiB).bytes(), levels(codec)[0]);
    for (const Way way : {Way::open, Way::read, Way::descriptor, Way::pipe}) {
      CAPTURE(name(codec), name_of(way));
      const ModelData data = load(way, file, options);
      CHECK(is_same(data, file));
      CHECK(data.compression() == Compression::none);
      CHECK(data.compressed_size() == 0);
      CHECK(data.is_mmap() == (BALLAST_HAS_MMAP && (way == Way::open || way == Way::descriptor)));
    }
    CHECK(outcome(Way::push, file, options) == Errc::still_compressed);
    CHECK(is_same(push(file, {.require_model = false, .decompress = false}), file));
  }
}

TEST_CASE("trailing bytes of what was compressed are counted, warned about and not kept") {
  const Sample model = small_model();
  const Sample longer = model.with_tail(noise(70'000, 1));
  const Model plain = Model::from_data(ModelData::from_vector(longer.bytes()));
  for (const Compression codec : kCompressions) {
    for (const Way way : kWays) {
      CAPTURE(name(codec), name_of(way));
      const Model opened = Model::from_data(load(way, compress(codec, longer.bytes())));
      CHECK(opened.shards()[0].data.size() == model.size());
      CHECK(opened.file_bytes() == longer.size());
      REQUIRE(opened.warnings().size() == 1);
      CHECK(opened.warnings()[0].code == Errc::trailing_bytes);
      CHECK(opened.warnings()[0].message == plain.warnings()[0].message);
      CHECK(opened.warnings()[0].offset == plain.warnings()[0].offset);
    }
  }
}

TEST_CASE("too many trailing bytes, and another model behind, are refused as they come out") {
  const Sample model = small_model();
  for (const Compression codec : kCompressions) {
    const Bytes glued = compress(codec, model.with_tail(model.bytes()).bytes());
    const Bytes trailing = compress(codec, model.with_tail(noise(1001, 1)).bytes());
    OpenOptions options;
    options.parse.limits.max_trailing = 1000;
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      const Error two = refusal(way, glued);
      CHECK(two.code() == Errc::glued_files);
      CHECK(two.offset() == model.size());
      CHECK(two.input_offset().has_value());
      CHECK(outcome(way, trailing) == Errc::ok);
      CHECK(outcome(way, trailing, options) == Errc::trailing_bytes);
    }
  }
}

TEST_CASE("two compressed models glued together are two models") {
  const Bytes model = small_model().bytes();
  for (const Compression codec : kCompressions) {
    Bytes file = compress(codec, model);
    append(file, compress(codec, model));
    const Errc due = codec == Compression::zlib ? Errc::garbage_after_stream : Errc::glued_files;
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      CHECK(outcome(way, file) == due);
    }
  }
}

TEST_CASE("a last tensor of unknown size ends where its compressed file does") {
  const Sample model =
      GgufBuilder().tensor({.name = "new", .dims = {32}, .dtype = 99, .nbytes = 200'000}).build();
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, model.bytes());
    for (const Way way : {Way::open, Way::read, Way::descriptor, Way::pipe}) {
      CAPTURE(name(codec), name_of(way));
      CHECK(is_same(load(way, file), model.bytes()));
    }
    // Pushed, it needs a size that somebody announced, and what is announced is that of the file.
    CHECK(outcome(Way::push, file) == Errc::unknown_end);
    CHECK(error_of([&] { return push(file, {.total = file.size()}); }).code() == Errc::unknown_end);
    CHECK(is_same(push(file, {.require_model = false}), model.bytes()));
  }
}

TEST_CASE("a last tensor may come without its padding in a compressed file") {
  const Sample model =
      GgufBuilder().tensor({.name = "w", .dims = {7}}).without_final_padding().build();
  for (const Compression codec : kCompressions) {
    for (const Way way : kFastWays)
      CHECK(is_same(load(way, compress(codec, model.bytes())), model.bytes()));
  }
}

TEST_CASE("a compressed model that ends too early says how much is missing") {
  const Bytes model = small_model().bytes();
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, std::span(model).first(model.size() - 100));
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      const Error error = refusal(way, file);
      CHECK(error.code() == Errc::outside_file);
      CHECK(error.actual() == model.size() - 100);
      CHECK(error.input_offset() == file.size());
    }
  }
}

TEST_CASE("a compressed index opens a set of compressed shards, by their names or with a suffix") {
  const auto shard = [](std::string tensor) {
    return SafetensorsBuilder().tensor({.name = std::move(tensor), .shape = {100}}).build().bytes();
  };
  const Bytes index = bytes_of(IndexBuilder()
                                   .tensor("a", "one.safetensors")
                                   .tensor("b", "two.safetensors")
                                   .metadata("note", json_string(std::string(70'000, 'n')))
                                   .build());
  for (const Compression codec : kCompressions) {
    for (const std::string& suffix : {std::string(), std::string(".gz"), std::string(".zst")}) {
      CAPTURE(name(codec), suffix);
      const TempDir folder;
      folder.write("one.safetensors" + suffix, compress(codec, shard("a")));
      folder.write("two.safetensors" + suffix, compress(codec, shard("b")));
      const auto path =
          folder.write("model.safetensors.index.json" + suffix, compress(codec, index));
      const Model model = Model::open(path);
      CHECK(model.shards().size() == 2);
      CHECK(model.at("b").shard == 1);
      CHECK(model.warnings().empty());
      CHECK(model.bytes(model.at("b")).size() == 400);
    }
  }
}

TEST_CASE("a compressed JSON document that is no index is called that") {
  const TempFile file(compress(Compression::xz, bytes_of("{\"architectures\": []}")));
  CHECK(error_of([&] { return Model::open(file.path()); }).code() == Errc::json_document);
  CHECK(outcome(Way::push, read_file(file.path())) == Errc::json_document);
}

// The length of a header that begins as a magic number does: 1F 8B of gzip, 78 01, 78 9C and 78 DA
// of zlib, and 42 5A of bzip2, whose third byte is 68 and makes the length too large.
TEST_CASE("a plain safetensors whose header's length begins as compressed files do is plain") {
  for (const std::uint64_t length : {35'615U, 376U, 40'056U, 55'928U}) {
    CAPTURE(length);
    const std::string head = R"({"__metadata__":{"k":")";
    const std::string tail = R"("}})";
    const std::string filler(length - head.size() - tail.size(), 'v');
    const Bytes model = safetensors_with(head + filler + tail).bytes();
    REQUIRE(signature_of(model) != Compression::none);
    for (const Way way : kWays) {
      CAPTURE(name_of(way));
      const ModelData data = load(way, model);
      CHECK(is_same(data, model));
      CHECK(data.compression() == Compression::none);
    }
    CHECK(is_same(push(model, {}, 1), model));
    for (const Compression codec : kCompressions)
      CHECK(is_same(push(compress(codec, model)), model));
  }
}

}  // namespace
}  // namespace ballast::test
