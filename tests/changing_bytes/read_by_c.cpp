#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <ballast/ballast.h>

#include "tests/changing_bytes/read_everything.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = 300;
constexpr std::uint64_t kMostFloats = 1U << 14;

// Every code but "unexpected" is fine.
bool succeeded(int code, ballast_error* error) {
  const bool is_documented =
      code != BALLAST_ERRC_unexpected && (code == BALLAST_OK) == (error == nullptr);
  ballast_error_free(error);
  if (!is_documented) throw std::logic_error("a call fails in a way that is not documented");
  return code == BALLAST_OK;
}

void read_c_value(ballast_value value, int depth, std::uint64_t& budget) {
  if (budget == 0 || depth > 70) return;
  --budget;
  std::uint64_t natural = 0;
  std::int64_t integer = 0;
  double real = 0;
  static_cast<void>(ballast_value_u64(&value, &natural));
  static_cast<void>(ballast_value_i64(&value, &integer));
  static_cast<void>(ballast_value_double(&value, &real));
  if (value.type == BALLAST_TYPE_STRING) {
    return read_text({static_cast<const char*>(value.data), value.size});
  }
  ballast_value element{};
  for (const std::uint64_t at : {std::uint64_t{0}, value.bits / 2, value.bits}) {
    if (at < kMost && ballast_value_at(&value, at, &element) == 1)
      read_c_value(element, depth + 1, budget);
  }
  ballast_value rest = value;
  for (std::uint64_t i = 0; i < kMost && ballast_value_next(&rest, &element) == 1; ++i) {
    read_c_value(element, depth + 1, budget);
  }
}

void read_c_entries(const ballast_model* model, std::size_t count) {
  std::uint64_t budget = 1000;
  ballast_entry entry{};
  for (std::size_t i = 0; i <= count && budget != 0; ++i) {
    if (ballast_model_entry(model, i, &entry) != 1) continue;
    read_text({entry.key, entry.key_size});
    ballast_value value{};
    static_cast<void>(ballast_model_value(model, entry.key, entry.key_size, &value));
    read_c_value(entry.value, 0, budget);
  }
}

#if BALLAST_HAS_VALUES
void read_c_values(const ballast_model* model, const ballast_tensor& tensor) {
  std::uint64_t rows = 0;
  std::uint64_t row = 0;
  if (ballast_model_rows(model, tensor.index, &rows, &row) != 1 || tensor.elements > kMostFloats)
    return;
  const std::size_t each = std::string_view(tensor.dtype, tensor.dtype_size) == "C64" ? 2 : 1;
  std::vector<float> out(static_cast<std::size_t>(tensor.elements) * each);
  for (const int as : {BALLAST_AS_F32, BALLAST_AS_F16, BALLAST_AS_BF16}) {
    ballast_error* error = nullptr;
    const int code = ballast_model_values(model, tensor.index, 0, BALLAST_UNKNOWN, as, out.data(),
                                          out.size(), &error);
    static_cast<void>(succeeded(code, error));
  }
  if (tensor.bytes != nullptr) {
    ballast_error* error = nullptr;
    const int code = ballast_to_float(tensor.dtype, tensor.dtype_size, tensor.bytes,
                                      static_cast<std::size_t>(tensor.nbytes), BALLAST_AS_F32,
                                      out.data(), out.size(), &error);
    static_cast<void>(succeeded(code, error));
  }
  ballast_statistics statistics{};
  ballast_error* error = nullptr;
  const int code = ballast_model_statistics(model, tensor.index, 0, BALLAST_UNKNOWN, nullptr,
                                            &statistics, &error);
  static_cast<void>(succeeded(code, error));
}
#else
void read_c_values(const ballast_model* /*model*/, const ballast_tensor& /*tensor*/) {}
#endif

void read_c_tensors(const ballast_model* model, std::size_t count) {
  ballast_tensor tensor{};
  for (std::size_t i = 0; i <= count; ++i) {
    if (ballast_model_tensor(model, i, &tensor) != 1) continue;
    read_text({tensor.name, tensor.name_size});
    read_text({tensor.dtype, tensor.dtype_size});
    ballast_tensor found{};
    static_cast<void>(ballast_model_find(model, tensor.name, tensor.name_size, &found));
    read_c_values(model, tensor);
  }
}

void read_c_model(const ballast_model* model) {
  ballast_summary summary{};
  ballast_model_summary(model, &summary);
  read_c_tensors(model, summary.tensor_count);
  read_c_entries(model, summary.entry_count);
  ballast_warning warning{};
  for (std::size_t i = 0; i <= summary.warning_count; ++i) {
    if (ballast_model_warning(model, i, &warning) == 1) read_text(warning.message);
  }
  ballast_file file{};
  for (std::size_t i = 0; i <= summary.shard_count; ++i)
    static_cast<void>(ballast_model_shard(model, i, &file));
  ballast_error* error = nullptr;
  const int code = ballast_model_verify(
      model, nullptr, [](void*, const ballast_warning* found) { read_text(found->message); },
      nullptr, &error);
  static_cast<void>(succeeded(code, error));
}

}  // namespace

int read_by_c(std::span<const std::byte> bytes, const AtStage& at_stage) {
  at_stage(7);
  ballast_data* data = nullptr;
  ballast_error* error = nullptr;
  int code = ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &data, &error);
  if (!succeeded(code, error)) return 0;
  char* siblings = nullptr;
  error = nullptr;
  code = ballast_data_siblings(data, "model.safetensors.index.json", nullptr, &siblings, &error);
  if (succeeded(code, error)) ballast_siblings_free(siblings);
  ballast_file file{};
  ballast_data_file(data, &file);
  ballast_model* model = nullptr;
  error = nullptr;
  code = ballast_model_from_data(&data, nullptr, 1, nullptr, &model, &error);
  if (!succeeded(code, error)) return 0;
  at_stage(8);
  read_c_model(model);
  ballast_model_close(model);
  return 1;
}

}  // namespace ballast::test
