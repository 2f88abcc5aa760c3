// A compressed file becomes another one before any of the reads of it: the load gives one of the
// two models or an Error, and never what the first read said of bytes that came later.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <ios>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/model.hpp>
#include <ballast/model_data.hpp>

#include "tests/faults/system_calls.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPart = 0xFF00;
constexpr std::uint64_t kDataUnit = 64;  // where the tensors' data are placed

// ---- Models ------------------------------------------------------------------------------------

struct Shape {
  std::uint64_t seed = 1;
  std::size_t comment = 0;  ///< bytes of metadata
  std::size_t size = 1'200'000;
  bool is_split = false;
};

Bytes model(const Shape& shape) {
  constexpr std::uint32_t kI8 = 24;
  GgufBuilder builder;
  builder.entry("general.architecture", "llama").entry("comment", std::string(shape.comment, '.'));
  if (shape.is_split) {
    builder.entry("split.no", std::uint16_t{0})
        .entry("split.count", std::uint16_t{3})
        .entry("split.tensors.count", std::int32_t{3});
  }
  // A third of it takes no time to decode.
  Bytes data = noise(shape.size, shape.seed);
  std::fill_n(data.begin(), shape.size / 3, std::byte{5});
  return builder.tensor({.name = "w", .dims = {shape.size}, .dtype = kI8, .data = data})
      .build()
      .bytes();
}

std::uint64_t data_offset(const Bytes& bytes) {
  return parse({bytes, bytes.size()}).directory->data_offset;
}

/// A model of the same size, whose tensors begin elsewhere, and which says that it is a part of a
/// set.
Bytes alike(const Bytes& other) {
  Shape shape{.seed = 2, .is_split = true};
  Bytes bytes = model(shape);
  while (data_offset(bytes) % kDataUnit == data_offset(other) % kDataUnit) {
    shape.comment += 32;
    bytes = model(shape);
  }
  shape.size = shape.size + other.size() - bytes.size();
  return model(shape);
}

// ---- Formats -----------------------------------------------------------------------------------

Bytes in_parts(std::span<const std::byte> bytes, std::size_t size,
               const std::function<Bytes(std::span<const std::byte>)>& compress) {
  Bytes file;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(size, bytes.size()))) {
    append(file, compress(bytes.first(std::min(size, bytes.size()))));
  }
  return file;
}

Bytes bgzip_member(std::span<const std::byte> bytes, int level) {
  Bytes member =
      gzip_member(bytes, {.level = level, .extra = bytes_of(std::string("BC\2\0\0\0", 6))});
  const std::size_t size = member.size() - 1;
  member[16] = static_cast<std::byte>(size & 0xFF);
  member[17] = static_cast<std::byte>(size >> 8);
  return member;
}

Bytes bgzip(std::span<const std::byte> bytes, int level) {
  return in_parts(bytes, kPart,
                  [=](std::span<const std::byte> part) { return bgzip_member(part, level); });
}

struct Codec {
  std::string name;
  std::function<Bytes(std::span<const std::byte>)> compress;
  /// Decoded bytes that one checksum covers; 0: all of them.
  std::size_t unit = 0;
  /// Models of one size make files of one size, so that a change leaves a file that can be opened.
  bool is_stored = false;
};

const std::vector<Codec>& codecs_to_change() {
  using Span = std::span<const std::byte>;
  constexpr std::size_t kLarge = 400'000;
  static const std::vector<Codec> kAll{
      {"gzip", [](Span bytes) { return gzip_member(bytes, {.level = 1}); }},
      {"bgzip", [](Span bytes) { return bgzip(bytes, 1); }, kPart},
      {"bgzip, stored", [](Span bytes) { return bgzip(bytes, 0); }, kPart, true},
      {"gzip, stored", [](Span bytes) { return gzip_member(bytes, {.level = 0}); }, 0, true},
      {"zstd, raw",
       [](Span bytes) { return raw_zstd_frame(bytes, {.content_size = bytes.size()}); }, 1, true},
      {"zlib", [](Span bytes) { return zlib_stream(bytes, {.level = 1}); }},
      {"bzip2", [](Span bytes) { return bzip2_stream(bytes, 1); }},
      {"xz", [](Span bytes) { return xz_stream(bytes, {.level = 0}); }},
      {"xz in blocks",
       [](Span bytes) { return xz_stream(bytes, {.level = 0, .block_bytes = kLarge}); }, kLarge},
      {"zstd", [](Span bytes) { return zstd_frame(bytes, {.level = 1}); }},
      {"zstd in frames",
       [](Span bytes) {
         return in_parts(bytes, kLarge, [](Span part) { return zstd_frame(part, {.level = 1}); });
       },
       kLarge},
      {"LZ4", [](Span bytes) { return lz4_frame(bytes, {.linked = false, .block_log = 18}); }},
      {"LZ4 with every checksum",
       [](Span bytes) {
         return lz4_frame(bytes, {.linked = false, .block_log = 16, .block_checksums = true});
       }},
  };
  return kAll;
}

// ---- Changes -----------------------------------------------------------------------------------

struct Version {
  std::string what;
  Bytes model;  // empty for a file that is none
  Bytes file;
};

std::vector<Version> others(const Codec& codec, const Version& first) {
  std::vector<Version> all;
  const auto add_model = [&](std::string what, const Bytes& bytes) {
    all.push_back({std::move(what), bytes, codec.compress(bytes)});
  };
  add_model("other values", model({.seed = 9}));
  add_model("another directory", alike(first.model));
  add_model("less", model({.seed = 3, .size = 1'100'000}));
  add_model("more", model({.seed = 4, .comment = 5'000, .size = 2'300'000}));
  all.push_back({"a part of it", {}, Bytes(first.file.begin(), first.file.begin() + 300'000)});
  for (const std::size_t kept : {std::size_t{0}, std::size_t{24}, std::size_t{100'000}}) {
    Bytes file = noise(first.file.size(), 5);
    std::copy_n(first.file.begin(), kept, file.begin());
    all.push_back({"noise behind " + std::to_string(kept) + " bytes", {}, std::move(file)});
  }
  Bytes gap = first.file;
  std::fill(gap.begin() + 64, gap.end() - 64, std::byte{0});
  all.push_back({"zeros between its ends", {}, std::move(gap)});
  return all;
}

/// Writes over a file as it stands, so that who has it open sees it.
void overwrite(const fs::path& path, const Bytes& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  fs::resize_file(path, bytes.size());
}

// ---- Outcomes ----------------------------------------------------------------------------------

/// Whether all that one checksum covers comes from one of the versions.
bool is_of_whole_units(std::span<const std::byte> bytes, std::size_t unit, const Version& first,
                       const Version& second) {
  if (unit == 0) unit = bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += unit) {
    const auto part = bytes.subspan(at, std::min(unit, bytes.size() - at));
    const auto is_in = [&](const Version& version) {
      return at < version.model.size() &&
             std::ranges::equal(part, std::span(version.model)
                                          .subspan(at)
                                          .first(std::min(part.size(), version.model.size() - at)));
    };
    if (!is_in(first) && !is_in(second)) return false;
  }
  return true;
}

std::string siblings_or_error(const ModelData& data) {
  try {
    std::string names;
    for (const std::string& name : Model::siblings(data, "w-00001-of-00003.gguf")) {
      names += name + " ";
    }
    return names;
  } catch (const Error& error) {
    return error.message();
  }
}

/// What is wrong with what was loaded; empty where nothing is.
std::string fault_of(const ModelData& data, std::size_t unit, const Version& first,
                     const Version& second) {
  const auto bytes = data.bytes();
  // What does not begin as a codec does is loaded as it is, and refused by the Model.
  if (std::ranges::equal(bytes, second.file)) return {};
  if (!is_of_whole_units(bytes, unit, first, second)) return "the bytes are of neither file";
  const ModelData same = ModelData::from_vector(Bytes(bytes.begin(), bytes.end()));
  if (siblings_or_error(data) != siblings_or_error(same)) return "the set is another file's";
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  if ((begin + data_offset(Bytes(bytes.begin(), bytes.end()))) % kDataUnit != 0) {
    return "the tensors are not placed";
  }
  return {};
}

struct Outcome {
  std::string wrong;       // empty where nothing is
  bool is_second = false;  // the file that came later was opened
};

Outcome load_while_changing(const fs::path& path, const Codec& codec, const Version& first,
                            const Version& second, std::uint64_t nth) {
  overwrite(path, first.file);
  const Interruption change(Call::pread, nth, [&] { overwrite(path, second.file); });
  try {
    const ModelData data = ModelData::open(path);
    return {fault_of(data, codec.unit, first, second),
            std::ranges::equal(data.bytes(), second.model)};
  } catch (const Error&) {
    return {};
  } catch (const std::exception& other) {
    return {std::string("an exception: ") + other.what()};
  }
}

TEST_CASE("a compressed file that becomes another one before any read is one model or an error") {
  const TempDir folder;
  const fs::path path = folder.write("w-00001-of-00003.gguf", bytes_of("to be overwritten"));
  for (const Codec& codec : codecs_to_change()) {
    const Bytes plain = model({});
    const Version first{"the first", plain, codec.compress(plain)};
    overwrite(path, first.file);
    const std::uint64_t before = calls_of(Call::pread);
    static_cast<void>(ModelData::open(path));
    const std::uint64_t reads = calls_of(Call::pread) - before;
    for (const Version& second : others(codec, first)) {
      bool is_second_seen = false;
      for (std::uint64_t nth = 1; nth <= reads; ++nth) {
        const auto [wrong, is_second] = load_while_changing(path, codec, first, second, nth);
        is_second_seen = is_second_seen || is_second;
        INFO(codec.name << ", " << second.what << " before read " << nth << " of " << reads);
        if (!wrong.empty()) FAIL_CHECK(wrong);
      }
      INFO(codec.name << ", " << second.what);
      if (codec.is_stored && second.model.size() == plain.size()) CHECK(is_second_seen);
    }
  }
}

}  // namespace
}  // namespace ballast::test
