// The inputs of the benchmarks: large, written as a stream, made once and kept.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <ballast/metadata.hpp>

#include "tests/support/collisions.hpp"
#include "tests/support/dtypes.hpp"
#include "tests/support/gaussian.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sample.hpp"
#include "tests/support/samples.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kAlignment = 32;

std::uint64_t padded(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

/// A file written front to back through a buffer.
class Output {
 public:
  explicit Output(const fs::path& path)
      : path_(path), file_(path, std::ios::binary | std::ios::trunc) {}

  void bytes(std::span<const std::byte> more) {
    append(buffer_, more);
    written_ += more.size();
    if (buffer_.size() >= kBuffer) flush();
  }
  void text(std::string_view more) { bytes(std::as_bytes(std::span(more))); }
  void number(std::uint64_t value, std::size_t size) {
    append_number(buffer_, value, size);
    written_ += size;
  }
  void string(std::string_view more) {
    number(more.size(), 8);
    text(more);
  }
  void pad() { bytes(Bytes(padded(written_) - written_)); }
  /// Random bytes that are finite, small numbers when they are read as halves.
  void halves(std::uint64_t size, Random& random) {
    for (std::uint64_t i = 0; i < size; i += 8) {
      number(random.next() & 0xBFFFBFFFBFFFBFFF, 8);
      if (buffer_.size() >= kBuffer) flush();
    }
  }
  void finish() {
    flush();
    file_.close();
    if (!file_) throw std::runtime_error("cannot write " + path_.string());
  }
  [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

 private:
  static constexpr std::size_t kBuffer = std::size_t{1} << 20;

  void flush() {
    file_.write(reinterpret_cast<const char*>(buffer_.data()),
                static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  fs::path path_;
  std::ofstream file_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
};

void key(Output& out, std::string_view name, ValueType type) {
  out.string(name);
  out.number(static_cast<std::uint64_t>(type), 4);
}

void text_entry(Output& out, std::string_view name, std::string_view value) {
  key(out, name, ValueType::string);
  out.string(value);
}

void u32_entry(Output& out, std::string_view name, std::uint32_t value) {
  key(out, name, ValueType::u32);
  out.number(value, 4);
}

void array_entry(Output& out, std::string_view name, ValueType type, std::uint64_t count) {
  key(out, name, ValueType::array);
  out.number(static_cast<std::uint64_t>(type), 4);
  out.number(count, 8);
}

void gguf_head(Output& out, std::uint64_t tensors, std::uint64_t entries) {
  out.text("GGUF");
  out.number(3, 4);
  out.number(tensors, 8);
  out.number(entries, 8);
}

void gguf_info(Output& out, std::string_view name, std::span<const std::uint64_t> dims,
               std::uint32_t dtype, std::uint64_t offset) {
  out.string(name);
  out.number(dims.size(), 4);
  for (const std::uint64_t dim : dims) out.number(dim, 8);
  out.number(dtype, 4);
  out.number(offset, 8);
}

std::string word(Random& random, std::uint64_t shortest, std::uint64_t longest) {
  std::string out;
  for (std::uint64_t i = random.between(shortest, longest); i > 0; --i) {
    out += static_cast<char>('a' + random.below(26));
  }
  return out;
}

// The metadata of LLaMA 3: 128,256 tokens of 1 to 12 bytes and 280,147 merges; 12.4 MB without a
// tensor.
void vocabulary(Output& out) {
  constexpr std::uint64_t kTokens = 128'256;
  constexpr std::uint64_t kMerges = 280'147;
  Random random(1);
  gguf_head(out, 0, 8);
  text_entry(out, "general.architecture", "llama");
  text_entry(out, "tokenizer.ggml.model", "gpt2");
  array_entry(out, "tokenizer.ggml.tokens", ValueType::string, kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) out.string(word(random, 1, 12));
  array_entry(out, "tokenizer.ggml.scores", ValueType::f32, kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) out.number(0, 4);
  array_entry(out, "tokenizer.ggml.token_type", ValueType::i32, kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) out.number(1, 4);
  array_entry(out, "tokenizer.ggml.merges", ValueType::string, kMerges);
  for (std::uint64_t i = 0; i < kMerges; ++i)
    out.string(word(random, 1, 7) + " " + word(random, 1, 7));
  u32_entry(out, "tokenizer.ggml.bos_token_id", 128'000);
  u32_entry(out, "tokenizer.ggml.eos_token_id", 128'001);
}

// Many small tensors: eight floats each, nine to a block.
void many_tensors(Output& out, std::uint64_t count) {
  constexpr std::array<std::uint64_t, 1> kDims{8};
  constexpr std::uint64_t kBytes = 32;
  gguf_head(out, count, 1);
  text_entry(out, "general.architecture", "llama");
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name =
        "blk." + std::to_string(i / 9) + ".part_" + std::to_string(i % 9) + ".weight";
    gguf_info(out, name, kDims, gguf_id("F32"), i * kBytes);
  }
  out.pad();
  Random random(2);
  out.halves(count * kBytes, random);
}

void tensors10k(Output& out) { many_tensors(out, 10'000); }
void million(Output& out) { many_tensors(out, 1'000'000); }

// Few large tensors, each a matrix of halves with `rows` rows of 1,024.
constexpr std::uint64_t kLargeTensors = 300;

std::string large_name(std::uint64_t i) {
  constexpr std::string_view kParts[]{"attn_q",      "attn_k",   "attn_v",
                                      "attn_output", "ffn_gate", "ffn_up"};
  return "blk." + std::to_string(i / std::size(kParts)) + "." +
         std::string(kParts[i % std::size(kParts)]) + ".weight";
}

std::uint64_t large_head(Output& out, std::uint64_t rows) {
  const std::array<std::uint64_t, 2> dims{1'024, rows};
  const std::uint64_t size = padded(2 * product(dims));
  gguf_head(out, kLargeTensors, 1);
  text_entry(out, "general.architecture", "llama");
  for (std::uint64_t i = 0; i < kLargeTensors; ++i)
    gguf_info(out, large_name(i), dims, gguf_id("F16"), i * size);
  out.pad();
  return kLargeTensors * size;
}

constexpr std::uint64_t kRowsFor2G = (std::uint64_t{2} << 30) / kLargeTensors / 2'048;
constexpr std::uint64_t kRowsFor768M = (std::uint64_t{768} << 20) / kLargeTensors / 2'048;
constexpr std::uint64_t kRowsFor40G = (std::uint64_t{40} << 30) / kLargeTensors / 2'048;

void tensors300(Output& out) {
  Random random(3);
  out.halves(large_head(out, kRowsFor2G), random);
}

// As large as fits into a 32-bit WebAssembly heap twice.
void tensors768m(Output& out) {
  Random random(6);
  out.halves(large_head(out, kRowsFor768M), random);
}

// What make_bench_sample lengthens without writing.
void sparse40g(Output& out) { large_head(out, kRowsFor40G); }
constexpr std::uint64_t kSparseData = kLargeTensors * kRowsFor40G * 2'048;

void safetensors(Output& out, std::uint64_t count, std::uint64_t rows, std::uint64_t columns,
                 std::string_view dtype, std::uint64_t width) {
  const std::uint64_t size = rows * columns * width;
  std::string header = R"({"__metadata__":{"format":"pt"})";
  for (std::uint64_t i = 0; i < count; ++i) {
    header += ",\"model.layers." + std::to_string(i / 9) + ".part_" + std::to_string(i % 9) +
              ".weight\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":[" +
              std::to_string(rows) + "," + std::to_string(columns) + "],\"data_offsets\":[" +
              std::to_string(i * size) + "," + std::to_string((i + 1) * size) + "]}";
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  out.string(header);  // a u64 length and the bytes, as in GGUF
  Random random(4);
  out.halves(count * size, random);
}

void safetensors20k(Output& out) { safetensors(out, 20'000, 4, 8, "F32", 4); }
void safetensors300(Output& out) { safetensors(out, kLargeTensors, kRowsFor2G, 1'024, "F16", 2); }
void safetensors768m(Output& out) {
  safetensors(out, kLargeTensors, kRowsFor768M, 1'024, "F16", 2);
}

// Matrices of 2,048 columns of gaussian weights, in a model of about so many bytes. No layer's
// weights are as large as another's, as in trained models.
template <class Row>
void weights(Output& out, std::uint64_t size, std::string_view dtype, Row row) {
  constexpr std::uint64_t kColumns = 2'048;
  const GgufType& type = *gguf_type(gguf_id(dtype));
  const std::uint64_t row_bytes = kColumns / type.block_elements * type.block_bytes;
  const std::uint64_t tensors = std::clamp<std::uint64_t>(size >> 20, 8, 256);
  const std::array<std::uint64_t, 2> dims{kColumns, size / tensors / row_bytes};
  gguf_head(out, tensors, 1);
  text_entry(out, "general.architecture", "llama");
  for (std::uint64_t i = 0; i < tensors; ++i)
    gguf_info(out, large_name(i), dims, gguf_id(dtype), i * padded(dims[1] * row_bytes));
  out.pad();
  Random random(7);
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const float deviation = 0.01F + 0.03F * static_cast<float>(random.below(1'000)) / 1'000;
    for (std::uint64_t j = 0; j < dims[1]; ++j) row(out, random, deviation, kColumns);
    out.pad();
  }
}

template <std::uint64_t kMegabytes>
void bf16_weights(Output& out) {
  weights(out, kMegabytes << 20, "BF16",
          [](Output& to, Random& random, float deviation, std::uint64_t columns) {
            for (std::uint64_t i = 0; i < columns; ++i)
              to.number(bf16(gaussian(random, deviation)), 2);
            to.bytes({});  // which writes, when enough has come
          });
}

// Nine of ten weights are zero, as after pruning: what LZ4, which leaves other weights as they are,
// gets smaller.
template <std::uint64_t kMegabytes>
void pruned_weights(Output& out) {
  weights(out, kMegabytes << 20, "BF16",
          [](Output& to, Random& random, float deviation, std::uint64_t columns) {
            for (std::uint64_t i = 0; i < columns; ++i)
              to.number(random.one_in(10) ? bf16(gaussian(random, deviation)) : 0, 2);
            to.bytes({});  // which writes, when enough has come
          });
}

template <std::uint64_t kMegabytes>
void q4_k_weights(Output& out) {
  weights(out, kMegabytes << 20, "Q4_K",
          [](Output& to, Random& random, float deviation, std::uint64_t columns) {
            for (std::uint64_t i = 0; i < columns; i += kQ4KElements)
              to.bytes(q4_k_block(random, deviation));
          });
}

// 100,000 tensors whose names all want a few places of the hash table.
void hostile_names(Output& out) {
  const std::vector<std::string> names = colliding_names(100'000, 13);
  constexpr std::array<std::uint64_t, 1> kDims{8};
  gguf_head(out, names.size(), 0);
  for (std::uint64_t i = 0; i < names.size(); ++i)
    gguf_info(out, names[i], kDims, gguf_id("F32"), i * 32);
  out.pad();
  Random random(5);
  out.halves(names.size() * 32, random);
}

struct Recipe {
  std::string_view name;
  std::string_view extension;
  int version;  // counted up whenever the bytes change
  void (*write)(Output&);
  std::uint64_t sparse = 0;  // bytes added to the file's length without being written
};

constexpr std::array kRecipes{
    Recipe{"vocabulary", ".gguf", 1, vocabulary},
    Recipe{"tensors10k", ".gguf", 1, tensors10k},
    Recipe{"tensors300", ".gguf", 1, tensors300},
    Recipe{"tensors768m", ".gguf", 1, tensors768m},
    Recipe{"safetensors20k", ".safetensors", 1, safetensors20k},
    Recipe{"safetensors300", ".safetensors", 1, safetensors300},
    Recipe{"safetensors768m", ".safetensors", 1, safetensors768m},
    Recipe{"sparse40g", ".gguf", 1, sparse40g, kSparseData},
    Recipe{"million", ".gguf", 1, million},
    Recipe{"hostile-names", ".gguf", 1, hostile_names},
    Recipe{"bf16-4m", ".gguf", 1, bf16_weights<4>},
    Recipe{"bf16-16m", ".gguf", 1, bf16_weights<16>},
    Recipe{"bf16-64m", ".gguf", 1, bf16_weights<64>},
    Recipe{"bf16-512m", ".gguf", 1, bf16_weights<512>},
    Recipe{"pruned-4m", ".gguf", 1, pruned_weights<4>},
    Recipe{"pruned-64m", ".gguf", 1, pruned_weights<64>},
    Recipe{"pruned-512m", ".gguf", 1, pruned_weights<512>},
    Recipe{"q4k-64m", ".gguf", 1, q4_k_weights<64>},
    Recipe{"q4k-512m", ".gguf", 1, q4_k_weights<512>},
};

const Recipe& recipe_of(std::string_view name) {
  for (const Recipe& recipe : kRecipes)
    if (recipe.name == name) return recipe;
  throw std::runtime_error("there is no sample " + std::string(name));
}

// What stands in the sidecar of a file that is complete: the recipe and the size that it made.
std::string seal(const Recipe& recipe, const fs::path& path) {
  return std::string(recipe.name) + " " + std::to_string(recipe.version) + " " +
         std::to_string(fs::file_size(path)) + "\n";
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::vector<std::string_view> bench_sample_names() {
  std::vector<std::string_view> names;
  for (const Recipe& recipe : kRecipes) names.push_back(recipe.name);
  return names;
}

fs::path make_bench_sample(const fs::path& folder, std::string_view name) {
  const Recipe& recipe = recipe_of(name);
  const fs::path path = folder / (std::string(recipe.name) + std::string(recipe.extension));
  const fs::path sidecar = path.string() + ".recipe";
  if (fs::exists(path) && content_of(sidecar) == seal(recipe, path)) return path;
  fs::remove(sidecar);  // from here to the new one, an interruption leaves a file that is made anew
  Output out(path);
  recipe.write(out);
  out.finish();
  if (recipe.sparse != 0) fs::resize_file(path, out.written() + recipe.sparse);
  std::ofstream(sidecar, std::ios::binary) << seal(recipe, path);
  return path;
}

}  // namespace ballast::test
