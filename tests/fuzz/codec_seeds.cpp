// Writes what fuzzing of the codecs, the loader and the C API begins with.
//
//     fuzz-codec-seeds FOLDER        FOLDER/gzip/*, ..., FOLDER/loader/*, FOLDER/capi/*
//
// Of each codec: a stream of every kind, whole, as codec_fuzz.cpp takes one; and heads that make it
// compress what follows them in each of its ways.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include <ballast/compression.hpp>

#include "tests/fuzz/made_stream.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

class Seeds {
 public:
  explicit Seeds(fs::path folder) : folder_(std::move(folder)) {}

  void add(std::string_view target, const Bytes& bytes) {
    fs::create_directories(folder_ / target);
    std::ofstream file(folder_ / target / std::to_string(++count_), std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }

 private:
  fs::path folder_;
  int count_ = 0;
};

Bytes small_model() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("words", array_of<std::string>({"one", "two", "three"}))
      .tensor({.name = "a", .dims = {64}, .data = noise(256, 1)})
      .tensor({.name = "b", .dims = {32, 2}, .dtype = 2})
      .build()
      .bytes();
}

Bytes small_safetensors() {
  return SafetensorsBuilder()
      .entry("format", "pt")
      .tensor({.name = "a", .dtype = "F32", .shape = {2, 3}})
      .tensor({.name = "b", .dtype = "BF16", .shape = {4}})
      .build()
      .bytes();
}

/// What codec_fuzz.cpp reads first: limits, the sizes of pieces and of the other output, the most
/// bytes and whether the total is known; and last, what the rest is.
Bytes head(std::uint8_t kind) {
  constexpr std::array<std::uint8_t, 9> kBefore{0, 100, 0, 200, 0, 64, 0, 0, 1};
  Bytes out;
  for (const std::uint8_t byte : kBefore) append_number(out, byte, 1);
  append_number(out, kind, 1);
  return out;
}

void add_streams(Seeds& seeds, Compression codec) {
  const std::string_view target = codec == Compression::zlib ? "gzip" : name(codec);
  constexpr std::uint8_t kModelAsItIs = 1;
  for (unsigned way = 0; way < 256; way += 23) {
    Bytes ways;
    for (unsigned i = 0; i < 8; ++i) append_number(ways, (way * (i + 1)) % 256, 1);
    FuzzInput chosen(ways);
    Bytes file = head(kModelAsItIs);
    append(file, made_stream(codec, chosen, small_model()));
    seeds.add(target, file);
  }
}

/// The same, compressed where they are read: content and a model, small and large, with any limits,
/// in any way, and damaged or not.
void add_heads(Seeds& seeds, Compression codec) {
  constexpr std::array<std::uint8_t, 7> kKinds{2, 3, 4, 5, 6, 7, 0xFE};
  constexpr std::size_t kHead = 9;  // or 11, where the most bytes are given
  constexpr std::size_t kFlag = 7;
  constexpr std::uint64_t kEach = 12;
  for (const std::uint8_t kind : kKinds) {
    for (std::uint64_t way = 0; way < (kind == 0xFE ? 2 : kEach); ++way) {
      Bytes file = head(kind);
      if (way % 2 != 0) {
        file = noise(kHead, way);
        if ((file[kFlag] & std::byte{1}) != std::byte{0}) append(file, noise(2, way));
        append_number(file, kind, 1);
      }
      append(file, noise(20, way * kKinds.size() + kind));
      append(file, bytes_of("what is compressed"));
      seeds.add(name(codec), file);
    }
  }
}

void add_files(Seeds& seeds) {
  for (const Bytes& model : {small_model(), small_safetensors()}) {
    for (unsigned way = 0; way < 32; ++way) {
      Bytes calls;
      for (unsigned i = 0; i < 48; ++i) append_number(calls, (way * (i + 3) * 7) % 256, 1);
      append_number(calls, way % 2 == 0 ? 0 : 128 + way, 1);
      append_number(calls, 0, 1);
      append(calls, model);
      seeds.add("loader", calls);
      seeds.add("capi", noise(600, way));
    }
  }
}

}  // namespace
}  // namespace ballast::test

int main(int count, char** arguments) {
  using namespace ballast;
  if (count != 2) {
    std::fputs("usage: fuzz-codec-seeds FOLDER\n", stderr);
    return 2;
  }
  try {
    test::Seeds seeds(arguments[1]);
    for (const Compression codec : test::kCompressions) {
      test::add_streams(seeds, codec);
      if (codec != Compression::zlib) test::add_heads(seeds, codec);
    }
    test::add_files(seeds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
