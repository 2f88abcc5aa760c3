// A llama that fits on a page: two blocks, an embedding of 32, a vocabulary of 40 words. Its
// weights are random, but finite and small as those of a real one are, so that statistics of them
// look like something.
#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/samples.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kEmbedding = 32;
constexpr std::uint64_t kFeedForward = 256;
constexpr std::uint64_t kKeys = 16;  // two heads of keys for four of queries
constexpr std::uint32_t kBlocks = 2;

const std::vector<std::string> kTokens{"<unk>",       "<s>",
                                       "</s>",        "\u2581",
                                       "\u2581the",   "\u2581and",
                                       "\u2581of",    "\u2581to",
                                       "\u2581a",     "\u2581in",
                                       "\u2581ship",  "\u2581sea",
                                       "\u2581sails", "\u2581ballast",
                                       "\u2581keel",  "\u2581wind",
                                       "e",           "t",
                                       "a",           "o",
                                       "i",           "n",
                                       "s",           "r",
                                       "h",           "l",
                                       "d",           "u",
                                       "c",           "m",
                                       "ing",         "ed",
                                       ".",           ",",
                                       "!",           "?",
                                       "\u00E9",      "\u4F60",
                                       "<0x0A>",      "<pad>"};

// Halves of either sign from 2^-5 to 2^-3.
std::uint16_t small_half(Random& random) {
  const std::uint64_t bits = random.next();
  const std::uint64_t exponent = 10 + (bits >> 20) % 2;
  return static_cast<std::uint16_t>((bits & 0x8000) | exponent << 10 | (bits >> 32 & 0x3FF));
}

void put_half(Bytes& block, std::size_t at, std::uint16_t half) {
  std::memcpy(&block[at], &half, sizeof half);
}

// Where the scales of a block stand, which are halves; all else may be any bits (ggml-common.h).
std::vector<std::size_t> scales_of(std::string_view dtype) {
  if (dtype == "Q8_0" || dtype == "Q4_0" || dtype == "Q5_0") return {0};
  if (dtype == "Q4_1" || dtype == "Q5_1" || dtype == "Q4_K" || dtype == "Q5_K") return {0, 2};
  if (dtype == "Q6_K") return {208};
  if (dtype == "F16") return {0};
  throw std::logic_error("no recipe for this type");
}

Bytes floats(std::uint64_t count, Random& random, float centre) {
  Bytes out;
  for (std::uint64_t i = 0; i < count; ++i) {
    const float value =
        centre + (static_cast<float>(random.next() >> 40) / static_cast<float>(1 << 24) - 0.5F) / 8;
    append_number(out, std::bit_cast<std::uint32_t>(value), 4);
  }
  return out;
}

Bytes blocks(std::string_view dtype, std::uint64_t nbytes, Random& random) {
  const GgufType& type = kGgufTypes[gguf_id(dtype)];
  Bytes out;
  while (out.size() < nbytes) {
    Bytes block = noise(type.block_bytes, random.next());
    for (const std::size_t at : scales_of(dtype)) {
      // Few of the scales are multiplied by less than 15.
      put_half(block, at,
               static_cast<std::uint16_t>(type.block_elements == 1 ? small_half(random) : 0x1400));
    }
    append(out, block);
  }
  return out;
}

GgufTensor gguf_weights(std::string name, std::string_view dtype, std::vector<std::uint64_t> dims) {
  Random random(name.size() * 1'000 + static_cast<unsigned char>(name[name.size() / 2]));
  const std::uint64_t nbytes = gguf_nbytes(gguf_id(dtype), dims);
  const bool is_norm = name.find("norm") != std::string::npos;
  Bytes data = dtype == "F32" ? floats(product(dims), random, is_norm ? 1.0F : 0.0F)
                              : blocks(dtype, nbytes, random);
  return {.name = std::move(name),
          .dims = std::move(dims),
          .dtype = gguf_id(dtype),
          .data = std::move(data)};
}

std::vector<GgufTensor> gguf_block(std::uint32_t number) {
  const std::string prefix = "blk." + std::to_string(number) + ".";
  return {gguf_weights(prefix + "attn_norm.weight", "F32", {kEmbedding}),
          gguf_weights(prefix + "attn_q.weight", "Q4_0", {kEmbedding, kEmbedding}),
          gguf_weights(prefix + "attn_k.weight", "Q5_1", {kEmbedding, kKeys}),
          gguf_weights(prefix + "attn_v.weight", "Q8_0", {kEmbedding, kKeys}),
          gguf_weights(prefix + "attn_output.weight", "Q4_0", {kEmbedding, kEmbedding}),
          gguf_weights(prefix + "ffn_norm.weight", "F32", {kEmbedding}),
          gguf_weights(prefix + "ffn_gate.weight", "Q4_1", {kEmbedding, kFeedForward}),
          gguf_weights(prefix + "ffn_up.weight", "Q5_0", {kEmbedding, kFeedForward}),
          gguf_weights(prefix + "ffn_down.weight", number == 0 ? "Q6_K" : "Q4_K",
                       {kFeedForward, kEmbedding})};
}

void add_description(GgufBuilder& builder) {
  builder.entry("general.architecture", "llama")
      .entry("general.name", "Tiny Ballast")
      .entry("general.description",
             "A made-up model of random weights, to look at and to test with")
      .entry("general.file_type", std::uint32_t{2})
      .entry("general.quantization_version", std::uint32_t{2})
      .entry("llama.block_count", kBlocks)
      .entry("llama.context_length", std::uint32_t{128})
      .entry("llama.embedding_length", static_cast<std::uint32_t>(kEmbedding))
      .entry("llama.feed_forward_length", static_cast<std::uint32_t>(kFeedForward))
      .entry("llama.attention.head_count", std::uint32_t{4})
      .entry("llama.attention.head_count_kv", std::uint32_t{2})
      .entry("llama.attention.layer_norm_rms_epsilon", 1e-5F)
      .entry("llama.rope.dimension_count", std::uint32_t{8})
      .entry("llama.rope.freq_base", 10'000.0F);
}

void add_tokenizer(GgufBuilder& builder) {
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < kTokens.size(); ++i) {
    scores.push_back(-static_cast<float>(i));
    types.push_back(i == 0                           ? 2
                    : i < 3 || kTokens[i] == "<pad>" ? 3
                    : kTokens[i].starts_with("<0x")  ? 6
                                                     : 1);
  }
  builder.entry("tokenizer.ggml.model", "llama")
      .entry("tokenizer.ggml.tokens", array_of<std::string>(kTokens))
      .entry("tokenizer.ggml.scores", array_of<float>(scores))
      .entry("tokenizer.ggml.token_type", array_of<std::int32_t>(types))
      .entry("tokenizer.ggml.bos_token_id", std::uint32_t{1})
      .entry("tokenizer.ggml.eos_token_id", std::uint32_t{2})
      .entry("tokenizer.ggml.add_bos_token", true)
      .entry(
          "tokenizer.chat_template",
          "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}");
}

void add_split(GgufBuilder& builder, std::uint16_t number, std::int32_t tensors) {
  builder.entry("split.no", number)
      .entry("split.count", std::uint16_t{3})
      .entry("split.tensors.count", tensors);
}

void write_gguf(const std::filesystem::path& folder) {
  const GgufTensor embedding =
      gguf_weights("token_embd.weight", "Q8_0", {kEmbedding, kTokens.size()});
  const GgufTensor norm = gguf_weights("output_norm.weight", "F32", {kEmbedding});
  const GgufTensor output = gguf_weights("output.weight", "F16", {kEmbedding, kTokens.size()});
  const auto total = static_cast<std::int32_t>(3 + kBlocks * gguf_block(0).size());

  GgufBuilder whole;
  add_description(whole);
  add_tokenizer(whole);
  whole.tensor(embedding);
  std::array<GgufBuilder, 3> shards;
  add_description(shards[0]);
  add_tokenizer(shards[0]);
  for (std::uint16_t i = 0; i < 3; ++i) add_split(shards[i], i, total);
  shards[1].tensor(embedding);
  for (std::uint32_t block = 0; block < kBlocks; ++block) {
    for (const GgufTensor& tensor : gguf_block(block)) {
      whole.tensor(tensor);
      shards[block + 1].tensor(tensor);
    }
  }
  whole.tensor(norm).tensor(output);
  shards[2].tensor(norm).tensor(output);
  write_file(folder / "tiny.gguf", whole.build().bytes());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    write_file(folder / ("tiny-0000" + std::to_string(i + 1) + "-of-00003.gguf"),
               shards[i].build().bytes());
  }
}

SafetensorsTensor safetensors_weights(std::string name, std::string dtype,
                                      std::vector<std::uint64_t> shape) {
  Random random(name.size());
  const bool is_norm = name.find("norm") != std::string::npos;
  Bytes data = floats(product(shape), random, is_norm ? 1.0F : 0.0F);
  if (dtype == "BF16") {  // the upper half of a float
    Bytes upper;
    for (std::size_t i = 0; i < data.size(); i += 4)
      append(upper, std::span(data).subspan(i + 2, 2));
    data = std::move(upper);
  }
  return {.name = std::move(name),
          .dtype = std::move(dtype),
          .shape = std::move(shape),
          .data = std::move(data)};
}

std::vector<SafetensorsTensor> safetensors_block(std::uint32_t number) {
  const std::string prefix = "model.layers." + std::to_string(number) + ".";
  return {safetensors_weights(prefix + "input_layernorm.weight", "F32", {kEmbedding}),
          safetensors_weights(prefix + "post_attention_layernorm.weight", "F32", {kEmbedding}),
          safetensors_weights(prefix + "self_attn.q_proj.weight", "BF16", {kEmbedding, kEmbedding}),
          safetensors_weights(prefix + "self_attn.k_proj.weight", "BF16", {kKeys, kEmbedding}),
          safetensors_weights(prefix + "self_attn.v_proj.weight", "BF16", {kKeys, kEmbedding}),
          safetensors_weights(prefix + "self_attn.o_proj.weight", "BF16", {kEmbedding, kEmbedding}),
          safetensors_weights(prefix + "mlp.gate_proj.weight", "BF16", {kFeedForward, kEmbedding}),
          safetensors_weights(prefix + "mlp.up_proj.weight", "BF16", {kFeedForward, kEmbedding}),
          safetensors_weights(prefix + "mlp.down_proj.weight", "BF16", {kEmbedding, kFeedForward})};
}

void write_safetensors(const std::filesystem::path& folder) {
  const SafetensorsTensor norm = safetensors_weights("model.norm.weight", "F32", {kEmbedding});
  const SafetensorsTensor embedding =
      safetensors_weights("model.embed_tokens.weight", "BF16", {kTokens.size(), kEmbedding});
  SafetensorsBuilder whole;
  std::array<SafetensorsBuilder, kBlocks> shards;
  IndexBuilder index;
  std::uint64_t total = 0;
  const auto add = [&](const SafetensorsTensor& tensor, std::size_t shard) {
    whole.tensor(tensor);
    shards[shard].tensor(tensor);
    index.tensor(tensor.name, "tiny-0000" + std::to_string(shard + 1) + "-of-00002.safetensors");
    total += tensor.data->size();
  };
  whole.entry("format", "pt");
  for (SafetensorsBuilder& shard : shards) shard.entry("format", "pt");
  add(norm, 0);
  add(embedding, 0);
  for (std::uint32_t block = 0; block < kBlocks; ++block) {
    for (const SafetensorsTensor& tensor : safetensors_block(block)) add(tensor, block);
  }
  index.metadata("total_size", std::to_string(total));
  write_file(folder / "tiny.safetensors", whole.build().bytes());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    write_file(folder / ("tiny-0000" + std::to_string(i + 1) + "-of-00002.safetensors"),
               shards[i].build().bytes());
  }
  const std::string text = index.build();
  write_file(folder / "tiny.safetensors.index.json", bytes_of(text));
}

}  // namespace

void write_small_samples(const std::filesystem::path& folder) {
  write_gguf(folder);
  write_safetensors(folder);
}

}  // namespace ballast::test
