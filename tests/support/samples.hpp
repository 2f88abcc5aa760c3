// The sample models that make-samples writes.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace ballast::test {

/// Writes the small samples into a folder, the same bytes on every machine: a made-up llama as
/// tiny.gguf and tiny.safetensors, as a split GGUF (tiny-0000N-of-00003.gguf, the first without
/// tensors) and as sharded safetensors (tiny.safetensors.index.json).
void write_small_samples(const std::filesystem::path& folder);

/// The names of the large inputs of the benchmarks.
[[nodiscard]] std::vector<std::string_view> bench_sample_names();

/// Makes a large input in a folder, or finds it there made by the same recipe, and gives its path.
/// Throws std::runtime_error for a name that is none, and where the disk is full.
std::filesystem::path make_bench_sample(const std::filesystem::path& folder, std::string_view name);

}  // namespace ballast::test
