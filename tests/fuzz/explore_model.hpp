// Asks a model of the C API for everything that it has, and holds it to what ballast.h says.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include <ballast/ballast.h>

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

namespace ballast::test {

/// An answer, and the error that came with it, which is freed.
inline void require_documented(int code, ballast_error* error) {
  require(code < BALLAST_ERRC_end, "a code is one of the table, or an errno");
  require(code != BALLAST_ERRC_unexpected, "nothing unexpected happens");
  require((code == BALLAST_OK) == (error == nullptr),
          "an error comes with a failure, and only then");
  if (error == nullptr) return;
  require(error->code == code, "the error is of the code that was answered");
  require(std::string_view(error->name) == ballast_code_name(code), "a code has one name");
  require(std::string_view(error->what).find(error->message) != std::string_view::npos,
          "what an error says has its message");
  require(error->path != nullptr && error->subject[error->subject_size] == '\0', "strings end");
  ballast_error_free(error);
}

inline void explore_value(ballast_value value, FuzzInput& input) {
  std::uint64_t natural = 0;
  std::int64_t integer = 0;
  double real = 0;
  const bool is_natural = ballast_value_u64(&value, &natural) == 1;
  const bool is_integer = ballast_value_i64(&value, &integer) == 1;
  if (is_natural && is_integer) {
    require(integer >= 0 && static_cast<std::uint64_t>(integer) == natural, "a number is one");
  }
  static_cast<void>(ballast_value_double(&value, &real));
  ballast_value element{};
  if (value.type != BALLAST_TYPE_ARRAY) {
    require(ballast_value_at(&value, 0, &element) == 0, "only arrays have elements");
    return;
  }
  require(ballast_value_at(&value, value.bits, &element) == 0, "an array ends");
  const std::uint64_t asked = input.any();
  require((ballast_value_at(&value, asked, &element) == 1) == (asked < value.bits),
          "an array has the elements that it has");
  constexpr std::uint64_t kMost = 50;
  std::uint64_t count = 0;
  for (ballast_value rest = value; count < kMost && ballast_value_next(&rest, &element) == 1;) {
    require(element.type == value.element_type, "an array has elements of one type");
    ++count;
  }
  require(count == std::min(kMost, value.bits), "an array is passed through to its end");
}

inline void explore_entries(const ballast_model* model, std::size_t count, FuzzInput& input) {
  ballast_entry entry{};
  for (std::size_t i = 0; i < count; ++i) {
    require(ballast_model_entry(model, i, &entry) == 1, "every entry is there");
    ballast_value value{};
    require(ballast_model_value(model, entry.key, entry.key_size, &value) == 1, "by its key, too");
    require(value.type == entry.value.type && value.data == entry.value.data, "and is the same");
    explore_value(value, input);
  }
  require(ballast_model_entry(model, count, &entry) == 0, "there are no more entries");
}

inline void require_inside(const ballast_model* model, const ballast_tensor& tensor) {
  ballast_file file{};
  require(ballast_model_shard(model, tensor.shard, &file) == 1, "a tensor lies in a shard");
  if (tensor.bytes == nullptr) return;
  const auto* const begin = static_cast<const char*>(file.bytes);
  const auto* const first = static_cast<const char*>(tensor.bytes);
  require(first >= begin && first <= begin + file.size, "a tensor begins in its file");
  require(tensor.nbytes <= static_cast<std::uint64_t>(begin + file.size - first),
          "a tensor ends in its file");
  require(static_cast<std::uint64_t>(first - begin) == tensor.offset, "it lies where it says");
}

#if BALLAST_HAS_VALUES

inline constexpr std::byte kUntouched{0xA5};

inline void explore_values(const ballast_model* model, const ballast_tensor& tensor,
                           FuzzInput& input, const ballast_options* options) {
  std::uint64_t rows = 0;
  std::uint64_t row_elements = 0;
  require(ballast_model_rows(model, tensor.index, &rows, &row_elements) == 1, "tensors have rows");
  const bool is_odd = input.byte() % 4 == 0;
  const std::uint64_t begin = is_odd ? input.any() : 0;
  const std::uint64_t end = is_odd ? input.any() : BALLAST_UNKNOWN;
  const bool is_complex = std::string_view(tensor.dtype, tensor.dtype_size) == "C64";
  constexpr std::uint64_t kMost = 1U << 12U;
  std::uint64_t count = is_odd ? input.any() : tensor.elements;
  count = std::min(count, kMost) * (is_complex ? 2 : 1);
  const int as = input.byte() % 3;
  const std::size_t width = as == BALLAST_AS_F32 ? 4 : 2;
  std::vector<std::byte> out(static_cast<std::size_t>(count) * width, kUntouched);
  ballast_error* error = nullptr;
  int code = ballast_model_values(model, tensor.index, begin, end, as, out.data(),
                                  static_cast<std::size_t>(count), &error);
  require_documented(code, error);
  if (code != BALLAST_OK) {
    require(std::ranges::count(out, kUntouched) == static_cast<std::ptrdiff_t>(out.size()),
            "output is written on success only");
  }
  ballast_statistics statistics{};
  statistics.count = BALLAST_UNKNOWN;
  error = nullptr;
  code = ballast_model_statistics(model, tensor.index, begin, end, options, &statistics, &error);
  require_documented(code, error);
  require((code == BALLAST_OK) == (statistics.count != BALLAST_UNKNOWN),
          "output is written on success only");
}

/// Blocks of any dtype, by any name, of any number.
inline void convert_blocks(FuzzInput& input) {
  constexpr std::array<std::string_view, 8> kNames{"F32", "Q4_0", "Q6_K", "IQ2_S",
                                                   "I64", "C64",  "Q4_2", "no such dtype"};
  const std::string_view name = kNames[input.below(kNames.size())];
  const std::size_t count = input.below(600);
  const int as = input.byte() % 4;
  const auto bytes = input.take(input.below(256));
  const std::vector<std::byte> blocks(bytes.begin(), bytes.end());
  std::vector<std::byte> out(count * (as == BALLAST_AS_F32 ? 4U : 2U));
  ballast_error* error = nullptr;
  const int code = ballast_to_float(name.data(), name.size(), blocks.data(), blocks.size(), as,
                                    out.data(), count, &error);
  require_documented(code, error);
}

#else

inline void explore_values(const ballast_model* /*model*/, const ballast_tensor& /*tensor*/,
                           FuzzInput& /*input*/, const ballast_options* /*options*/) {}
inline void convert_blocks(FuzzInput& /*input*/) {}

#endif

inline void explore_tensors(const ballast_model* model, std::size_t count, FuzzInput& input,
                            const ballast_options* options) {
  ballast_tensor tensor{};
  for (std::size_t i = 0; i < count; ++i) {
    require(ballast_model_tensor(model, i, &tensor) == 1, "every tensor is there");
    ballast_tensor found{};
    require(ballast_model_find(model, tensor.name, tensor.name_size, &found) == 1,
            "by its name, too");
    require(tensor.index == i && found.index == i && found.bytes == tensor.bytes,
            "and is the same");
    require_inside(model, tensor);
    explore_values(model, tensor, input, options);
  }
  require(ballast_model_tensor(model, count, &tensor) == 0, "there are no more tensors");
}

inline void explore_model(const ballast_model* model, FuzzInput& input,
                          const ballast_options* options) {
  ballast_summary summary{};
  ballast_model_summary(model, &summary);
  explore_tensors(model, summary.tensor_count, input, options);
  explore_entries(model, summary.entry_count, input);
  ballast_warning warning{};
  for (std::size_t i = 0; i < summary.warning_count; ++i) {
    require(ballast_model_warning(model, i, &warning) == 1, "every warning is there");
    require(std::string_view(warning.name) == ballast_code_name(warning.code), "and has its name");
  }
  require(ballast_model_warning(model, summary.warning_count, &warning) == 0, "no more of them");
  std::size_t found = 0;
  ballast_error* error = nullptr;
  const int code = ballast_model_verify(
      model, options,
      [](void* user, const ballast_warning*) { ++*static_cast<std::size_t*>(user); }, &found,
      &error);
  require_documented(code, error);
  require(code == BALLAST_OK || found == 0, "what cannot be verified has no findings");
}

}  // namespace ballast::test
