#include "tests/support/oracle.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "tests/support/dtypes.hpp"

namespace ballast::test {
namespace {

__extension__ using Wide = unsigned __int128;  // no sum or product of a few 64-bit numbers wraps

// The size that a tensor's dtype and shape make, from the tests' own tables; empty where the dtype
// has none.
std::optional<Wide> expected_size(const Tensor& tensor, Format format) {
  Wide bits = 0;
  Wide per_block = 1;
  if (format == Format::gguf) {
    const auto type = std::ranges::find(kGgufTypes, tensor.dtype_name, &GgufType::name);
    if (type == kGgufTypes.end() || type->block_elements == 0) return std::nullopt;
    bits = Wide{type->block_bytes} * 8;
    per_block = type->block_elements;
  } else {
    const auto known = safetensors_bits(tensor.dtype_name);
    if (!known) return std::nullopt;
    bits = *known;
  }
  Wide elements = 1;
  for (const std::uint64_t dim : tensor.shape) {
    if (dim == 0) return 0;
    elements *= dim;
    if (elements > UINT64_MAX) return Wide{UINT64_MAX} + 1;  // no file holds that
  }
  return elements / per_block * bits / 8;
}

std::string fault_of(const Tensor& tensor, const Directory& directory, std::uint64_t total) {
  const std::string name(tensor.name);
  if (tensor.offset < directory.data_offset) return name + " begins in the header";
  const Wide end = Wide{tensor.offset} + tensor.nbytes.value_or(0);
  // Empty tensors may be placed where the data would begin in a file that ends with its header.
  const bool empty_at_start = tensor.nbytes == 0U && tensor.offset == directory.data_offset;
  if (end > total && !empty_at_start) return name + " ends outside the file";
  const std::optional<Wide> size = expected_size(tensor, directory.format);
  if (size && (!tensor.nbytes || *size != *tensor.nbytes)) return name + " has the wrong size";
  if (!size && directory.format == Format::gguf && tensor.nbytes)
    return name + " has a size of no dtype";
  if (directory.alignment && (tensor.offset - directory.data_offset) % *directory.alignment != 0) {
    return name + " is not aligned";
  }
  return {};
}

}  // namespace

std::string layout_fault(const Directory& directory, std::uint64_t total) {
  std::set<std::string_view> names;
  std::vector<const Tensor*> placed;
  for (const Tensor& tensor : directory.tensors) {
    if (std::string fault = fault_of(tensor, directory, total); !fault.empty()) return fault;
    if (!names.insert(tensor.name).second) return "two tensors of one name";
    if (directory.find(tensor.name) != &tensor) return "a tensor is not found by its name";
    if (tensor.nbytes.value_or(0) > 0) placed.push_back(&tensor);
  }
  std::ranges::sort(placed, {}, &Tensor::offset);
  std::uint64_t end = directory.data_offset;
  for (const Tensor* tensor : placed) {
    if (tensor->offset < end) return "two tensors overlap";
    const bool hole = tensor->offset > end;
    if (hole && directory.format == Format::safetensors) return "a hole between tensors";
    end = tensor->offset + *tensor->nbytes;
  }
  return {};
}

}  // namespace ballast::test
