// An independent judge of directories: whether what a parser accepted can be true of the file.
#pragma once

#include <cstdint>
#include <string>

#include <ballast/directory.hpp>

namespace ballast::test {

/// What is wrong with the tensors of a directory that was parsed from a whole file of `total`
/// bytes; empty where each lies inside the file, none overlaps another, sizes follow from shapes,
/// GGUF offsets are aligned, and safetensors leave no hole. Written without the library's own
/// helpers: plain comparisons of all pairs of numbers in 128 bits.
[[nodiscard]] std::string layout_fault(const Directory& directory, std::uint64_t total);

}  // namespace ballast::test
