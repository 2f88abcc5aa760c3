// ballast.h: the values of tensors.

#include <ballast/ballast.h>
#include <ballast/values.hpp>

#include <cstdint>
#include <span>
#include <string_view>

#include "ballast/c_api.hpp"
#include "ballast/c_api_values.hpp"

using ballast::DType;
using ballast::Errc;
using ballast::Error;
using ballast::Problem;
using ballast::Rows;
using ballast::Tensor;
using ballast::c::dtype_named;
using ballast::c::guarded;
using ballast::c::of;
using ballast::c::or_defaults;
using ballast::c::require;
using ballast::c::show;

namespace {

const Tensor& tensor_at(const ballast_model* model, std::size_t index) {
  require(model);
  const std::span<const Tensor> tensors = of(model)->tensors();
  if (index >= tensors.size()) {
    throw Error(Problem{.code = Errc::misuse, .word = "a model has no tensor of that number"});
  }
  return tensors[index];
}

std::span<float> floats(void* out, std::size_t count) noexcept {
  return {static_cast<float*>(out), count};
}
std::span<std::uint16_t> halves(void* out, std::size_t count) noexcept {
  return {static_cast<std::uint16_t*>(out), count};
}

[[noreturn]] void refuse_form() {
  throw Error(Problem{.code = Errc::misuse, .word = "values are F32, F16 or BF16"});
}

}  // namespace

int ballast_to_float(const char* dtype, size_t dtype_size, const void* blocks, size_t size, int as,
                     void* out, size_t count, ballast_error** error) {
  return guarded(error, [=] {
    require(dtype);
    if (size != 0) require(blocks);
    if (count != 0) require(out);
    const std::string_view name(dtype, dtype_size);
    const DType type = dtype_named(name);
    if (type == DType::unknown) {
      throw Error(
          Problem{.code = Errc::unknown_dtype, .kind = ballast::SubjectKind::data, .word = name});
    }
    const std::span bytes(static_cast<const std::byte*>(blocks), size);
    if (as == BALLAST_AS_F32) return ballast::to_float(type, bytes, floats(out, count));
    if (as == BALLAST_AS_F16) return ballast::to_f16(type, bytes, halves(out, count));
    if (as == BALLAST_AS_BF16) return ballast::to_bf16(type, bytes, halves(out, count));
    refuse_form();
  });
}

int ballast_model_rows(const ballast_model* model, size_t index, uint64_t* rows,
                       uint64_t* row_elements) {
  if (model == nullptr || index >= of(model)->tensors().size()) return 0;
  const Tensor& tensor = of(model)->tensors()[index];
  if (rows != nullptr) *rows = ballast::row_count(*of(model), tensor);
  if (row_elements != nullptr) *row_elements = ballast::row_elements(*of(model), tensor);
  return 1;
}

int ballast_model_values(const ballast_model* model, size_t index, uint64_t begin, uint64_t end,
                         int as, void* out, size_t count, ballast_error** error) {
  return guarded(error, [=] {
    const Tensor& tensor = tensor_at(model, index);
    if (count != 0) require(out);
    const Rows rows{begin, end};
    if (as == BALLAST_AS_F32) return read_floats(*of(model), tensor, rows, floats(out, count));
    if (as == BALLAST_AS_F16) return read_f16(*of(model), tensor, rows, halves(out, count));
    if (as == BALLAST_AS_BF16) return read_bf16(*of(model), tensor, rows, halves(out, count));
    refuse_form();
  });
}

int ballast_model_statistics(const ballast_model* model, size_t index, uint64_t begin, uint64_t end,
                             const ballast_options* options, ballast_statistics* statistics,
                             ballast_error** error) {
  return guarded(error, [=] {
    const Tensor& tensor = tensor_at(model, index);
    require(statistics);
    show(ballast::statistics(*of(model), tensor, Rows{begin, end}, or_defaults(options).open),
         *statistics);
  });
}
