// Every way in which a program reads a model, over bytes that may change between any two of them.
// Nothing that is read has to agree with anything else: it must only be safe to ask. Work is
// bounded, however large a model says it is.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ballast/directory.hpp>
#include <ballast/model.hpp>

namespace ballast::test {

/// What is told before each stage, from 0 to kStages - 1: a test may begin to change bytes there.
using AtStage = std::function<void(int)>;
inline constexpr int kStages = 9;

/// Parses these bytes, as a model of one file and as an index, and reads what there is, by way of
/// C++ and of C. Errors of the library are caught, of which there may be any; everything else
/// passes through. Returns how often a directory was read.
int read_everything(std::span<const std::byte> bytes, const ParseOptions& options,
                    const AtStage& at_stage);

/// Of that only what a stage belongs to.
int read_in_the_way_of(int stage, std::span<const std::byte> bytes, const ParseOptions& options,
                       const AtStage& at_stage);

/// The same for a set of files, of which these bytes are the one at `position`. Stages are fewer.
int read_set(std::span<const std::byte> bytes, std::size_t position,
             const std::vector<std::pair<std::string, std::vector<std::byte>>>& files,
             const AtStage& at_stage);

/// Reads all that an open model has: stages 1 to 3.
void read_model(const Model& model, const AtStage& at_stage);

/// The same by way of ballast.h, whose calls may fail with any code but `unexpected`: stages 7
/// and 8. Returns how many models opened.
int read_by_c(std::span<const std::byte> bytes, const AtStage& at_stage);

/// Looks at some text in every way that there is.
void read_text(std::string_view text);

}  // namespace ballast::test
