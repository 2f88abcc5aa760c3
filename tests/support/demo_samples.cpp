// make-demo-samples FOLDER    writes what the demo page offers: FOLDER/samples, models plain and
// compressed, and FOLDER/broken, files that are none
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/samples.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

// ---- Every dtype --------------------------------------------------------------------------------

constexpr std::uint64_t kColumns = 256;  // a multiple of every block
constexpr std::uint64_t kRows = 16;

// Where the scales of a block stand (ggml-common.h at d99724f2).
struct Scale {
  std::string_view dtype;
  std::size_t at;
  std::uint64_t bits;
  std::size_t size;
};

constexpr std::uint64_t kHalf = 0x2000;  // 2^-7
constexpr std::uint64_t kTiny = 0x1000;  // 2^-11, where scales of parts are multiplied with it

constexpr std::array kScales{
    Scale{"Q4_0", 0, kHalf, 2},    Scale{"Q4_1", 0, kHalf, 2},    Scale{"Q4_1", 2, 0xA800, 2},
    Scale{"Q5_0", 0, kHalf, 2},    Scale{"Q5_1", 0, kHalf, 2},    Scale{"Q5_1", 2, 0xAC00, 2},
    Scale{"Q8_0", 0, 0x1400, 2},   Scale{"Q8_1", 0, 0x1400, 2},   Scale{"Q8_1", 2, kHalf, 2},
    Scale{"Q2_K", 80, kTiny, 2},   Scale{"Q2_K", 82, kTiny, 2},   Scale{"Q3_K", 108, kTiny, 2},
    Scale{"Q4_K", 0, kTiny, 2},    Scale{"Q4_K", 2, kTiny, 2},    Scale{"Q5_K", 0, kTiny, 2},
    Scale{"Q5_K", 2, kTiny, 2},    Scale{"Q6_K", 208, 0x0400, 2}, Scale{"Q8_K", 0, 0x3A000000, 4},
    Scale{"IQ2_XXS", 0, kTiny, 2}, Scale{"IQ2_XS", 0, kTiny, 2},  Scale{"IQ2_S", 0, kTiny, 2},
    Scale{"IQ3_XXS", 0, kTiny, 2}, Scale{"IQ3_S", 0, kTiny, 2},   Scale{"IQ1_S", 0, kTiny, 2},
    Scale{"IQ4_NL", 0, kTiny, 2},  Scale{"IQ4_XS", 0, 0x0400, 2}, Scale{"TQ1_0", 52, kHalf, 2},
    Scale{"TQ2_0", 64, kHalf, 2},  Scale{"MXFP4", 0, 120, 1},     Scale{"NVFP4", 0, 0x30303030, 4},
    Scale{"Q1_0", 0, kHalf, 2},    Scale{"Q2_0", 0, kHalf, 2},
};

// IQ1_M keeps its scale in the high bits of four numbers.
void put_iq1_m_scale(Bytes& block) {
  for (std::size_t i = 0; i < 4; ++i) {
    std::byte& high = block[48 + 2 * i + 1];
    high = (high & std::byte{0x0F}) | static_cast<std::byte>((kTiny >> (4 * i) & 15) << 4);
  }
}

// Two waves that cross, which a picture of the values shows.
float wave(std::uint64_t row, std::uint64_t column) {
  const auto x = static_cast<float>(column) / 20;
  const auto y = static_cast<float>(row) / 12;
  return 0.1F * (std::sin(x) * std::cos(y) + 0.5F * std::sin(0.7F * x + 2 * y));
}

Bytes waves(std::uint64_t rows, std::uint64_t columns, std::size_t size) {
  Bytes out;
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::uint64_t column = 0; column < columns; ++column) {
      const float value = wave(row, column);
      const auto bits = std::bit_cast<std::uint32_t>(value);
      if (size == 8) {
        append_number(out, std::bit_cast<std::uint64_t>(static_cast<double>(value)), 8);
      } else {
        append_number(out, size == 2 ? bits >> 16 : bits, size);  // BF16 is the upper half
      }
    }
  }
  return out;
}

Bytes halves(std::uint64_t count) {
  Bytes out;
  const Bytes bits = noise(2 * count, 16);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto low = std::to_integer<std::uint64_t>(bits[2 * i]);
    const auto high = std::to_integer<std::uint64_t>(bits[2 * i + 1]);
    append_number(out, (high & 0x83) << 8 | 0x2800 | low, 2);  // of one power of two, either sign
  }
  return out;
}

Bytes values_of(const GgufType& type) {
  const std::uint64_t count = kRows * kColumns;
  if (type.name == "F32" || type.name == "F64" || type.name == "BF16")
    return waves(kRows, kColumns, type.block_bytes);
  if (type.name == "F16") return halves(count);
  Bytes out;
  for (std::uint64_t done = 0; done < count; done += type.block_elements) {
    Bytes block = noise(type.block_bytes, std::uint64_t{1'000} * type.id + done);
    for (const Scale& scale : kScales) {
      if (scale.dtype != type.name) continue;
      Bytes bits;
      append_number(bits, scale.bits, scale.size);
      std::memcpy(&block[scale.at], bits.data(), bits.size());
    }
    if (type.name == "IQ1_M") put_iq1_m_scale(block);
    append(out, block);
  }
  return out;
}

Bytes with_odd_values(Bytes floats) {
  const auto put = [&](std::size_t at, float value) {
    std::memcpy(&floats[4 * at], &value, sizeof value);
  };
  put(3, std::numeric_limits<float>::quiet_NaN());
  put(5, std::numeric_limits<float>::infinity());
  put(6, -std::numeric_limits<float>::infinity());
  put(7, -0.0F);
  return floats;
}

Sample every_dtype() {
  GgufBuilder builder;
  builder.entry("general.architecture", "gallery")
      .entry("general.name", "Every dtype")
      .entry("general.description", "One tensor of each dtype that GGUF has");
  for (const GgufType& type : kGgufTypes) {
    if (type.block_elements == 0) continue;  // removed from the format
    builder.tensor({.name = "dtype." + std::string(type.name) + ".weight",
                    .dims = {kColumns, kRows},
                    .dtype = type.id,
                    .data = values_of(type)});
  }
  builder
      .tensor({.name = "waves.weight", .dims = {192, 128}, .dtype = 0, .data = waves(128, 192, 4)})
      .tensor({.name = "odd.values",
               .dims = {16, 2, 2},
               .dtype = 0,
               .data = with_odd_values(waves(4, 16, 4))});
  return builder.build();
}

// ---- What is no model ---------------------------------------------------------------------------

Bytes half_of(const Bytes& bytes) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2)};
}

Sample overlapping() {
  Bytes data = noise(48, 1);
  const std::string header = R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},)"
                             R"("b":{"dtype":"F32","shape":[8],"data_offsets":[16,48]}})";
  Bytes out;
  append_number(out, header.size(), 8);
  append(out, bytes_of(header));
  append(out, data);
  return Sample(std::move(out));
}

// A model whose weights are 64 MiB of zeros, which compress to some kilobytes.
Bytes bomb() {
  const std::uint64_t size = std::uint64_t{64} << 20;
  GgufBuilder builder;
  builder.entry("general.architecture", "llama")
      .tensor({.name = "zeros", .dims = {size / 4}, .dtype = 0, .data = Bytes(size)});
  return compress(Compression::zstd, builder.build().bytes());
}

Bytes with_wrong_checksum(Bytes member) {
  member[member.size() - 8] ^= std::byte{1};  // RFC 1952, 2.2: CRC32, ISIZE
  return member;
}

constexpr std::string_view kOverride = "\xE2\x80\xAE";  // U+202E: what follows runs to the left
constexpr std::string_view kPage =
    "<!doctype html>\n<html lang=\"en\">\n<title>Sign in</title>\n<p>You need to accept the "
    "licence "
    "before you can download this file.\n</html>\n";
constexpr std::string_view kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"
    "size 4683073184\n";

void write_broken(const fs::path& folder, const Bytes& model) {
  const auto write = [&](std::string_view name, const Bytes& bytes) {
    write_file(folder / name, bytes);
  };
  GgufBuilder twice;
  for (int i = 0; i < 2; ++i) twice.tensor({.name = "output.weight", .dims = {32}});
  const Sample small = GgufBuilder()
                           .entry("general.architecture", "llama")
                           .tensor({.name = "w", .dims = {32}})
                           .build();
  write("truncated.gguf", half_of(model));
  write("overlapping.safetensors", overlapping().bytes());
  write("page.gguf", bytes_of(kPage));
  write("pointer.safetensors", bytes_of(kPointer));
  write("checksum.gguf.gz", with_wrong_checksum(compress(Compression::gzip, model)));
  write("half.gguf.zst", half_of(compress(Compression::zstd, model)));
  write("bomb.gguf.zst", bomb());
  write("count.gguf", small.with<std::uint64_t>("tensor_count", std::uint64_t{1} << 60).bytes());
  write("twice.gguf", twice.build().bytes());
  write("dtype.gguf", small.with<std::uint32_t>("tensor[0].dtype", 4).bytes());
  write(
      "name.gguf",
      GgufBuilder()
          .entry(
              "general.name",
              std::string("\x1b[31m<img src=x onerror=alert(1)>").append(kOverride).append("fugg"))
          .entry("__proto__", "<b>not markup</b>")
          .tensor(
              {.name = std::string("<script>alert(1)</script>").append(kOverride), .dims = {32, 2}})
          .tensor({.name = "__proto__", .dims = {32}})
          .build()
          .bytes());
}

void write_samples(const fs::path& folder) {
  write_small_samples(folder);
  write_file(folder / "dtypes.gguf", every_dtype().bytes());
  struct Row {
    std::string_view from, to;
    Compression codec;
  };
  for (const auto& [from, to, codec] :
       {Row{"tiny.gguf", "tiny.gguf.gz", Compression::gzip},
        Row{"tiny.gguf", "tiny.gguf.zst", Compression::zstd},
        Row{"tiny.safetensors", "tiny.safetensors.xz", Compression::xz}}) {
    write_file(folder / to, compress(codec, read_file(folder / from)));
  }
}

}  // namespace
}  // namespace ballast::test

int main(int argc, char** argv) try {
  if (argc != 2 || argv[1][0] == '-') {
    std::fputs("usage: make-demo-samples FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path folder(argv[1]);
  std::filesystem::create_directories(folder / "samples");
  std::filesystem::create_directories(folder / "broken");
  ballast::test::write_samples(folder / "samples");
  ballast::test::write_broken(folder / "broken",
                              ballast::test::read_file(folder / "samples" / "tiny.gguf"));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make-demo-samples: %s\n", error.what());
  return 1;
}
