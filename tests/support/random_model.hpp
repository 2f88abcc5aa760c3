// Random models: a description, and the bytes that a writer makes of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ballast/directory.hpp>
#include <ballast/model.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

struct ModelTensor {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;  // in the file's own order
  Bytes data;
};

/// What is in a model, and the file that says so.
struct RandomModel {
  Format format = Format::gguf;
  std::optional<std::uint32_t> version;
  std::optional<std::uint64_t> alignment;
  std::vector<std::pair<std::string, GgufValue>> entries;  // of safetensors: strings only
  std::vector<ModelTensor> tensors;
  Sample sample;
};

/// A model with up to a dozen entries of all value types and a dozen tensors of all dtypes; the
/// same for the same seed.
[[nodiscard]] RandomModel random_model(Format format, std::uint64_t seed);

/// How a model that was opened differs from what was written; empty where everything agrees: names,
/// dtypes, shapes, places, sizes, every value bit for bit, every byte of every tensor.
[[nodiscard]] std::string difference(const RandomModel& written, const Model& opened);

/// How a value that was read differs from the one that was written; empty where it does not.
[[nodiscard]] std::string difference(const GgufValue& written, const Value& read);

}  // namespace ballast::test
