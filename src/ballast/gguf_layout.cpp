#include <ballast/gguf_layout.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

#include <ballast/gguf.hpp>
#include <ballast/layout.hpp>

namespace ballast::gguf {

void refuse(Cursor& cursor, Errc code, const Tensor& tensor, std::uint64_t start,
            std::uint64_t expected, std::uint64_t actual) noexcept {
  cursor.fail({.code = code,
               .kind = SubjectKind::tensor,
               .offset = start,
               .name = tensor.name,
               .expected = expected,
               .actual = actual});
}

// From offsets in the data to offsets in the file, once it is known where the data begin.
void Layout::run() {
  const std::uint64_t header_end = cursor_.offset();
  out_.data_offset = header_end;
  if (!out_.tensors.empty()) {
    static_cast<void>(round_up(header_end, alignment_, out_.data_offset));  // both far below 2^64
    look_at_header_padding();
    if (cursor_.stopped()) return;
  }
  if (!place_tensors()) check_data_order();
  if (cursor_.stopped()) return;
  find_end(header_end);
  if (input_.total) check_end();
  if (input_.total && !cursor_.stopped()) check_trailing();
}

// True where the tensors follow each other in the order of the file, without holes, as every known
// writer lays them: then there is nothing more to check.
bool Layout::place_tensors() {
  std::uint64_t next = out_.data_offset;
  bool in_sequence = true;
  for (Tensor& tensor : out_.tensors) {
    std::uint64_t end = 0;
    if (!add(tensor.offset, out_.data_offset, tensor.offset) ||
        !add(tensor.offset, tensor.nbytes.value_or(0), end) || !round_up(end, alignment_, end)) {
      refuse(cursor_, Errc::size_overflow, tensor, described_at(tensor));
      return true;
    }
    in_sequence &= tensor.offset == next && tensor.nbytes.has_value();
    next = end;
    if (tensor.nbytes != 0U) last_ = &tensor;
  }
  return in_sequence;
}

// Takes the padding between the header and the data, or what the file has of it.
void Layout::look_at_header_padding() {
  const std::uint64_t start = cursor_.offset();
  const std::span<const std::byte> padding =
      cursor_.take(std::min(out_.data_offset - start, cursor_.left()));
  const auto odd = std::find_if(padding.begin(), padding.end(),
                                [](std::byte byte) { return byte != std::byte{0}; });
  if (odd == padding.end()) return;
  warnings_.add({.code = Errc::nonzero_padding,
                 .kind = SubjectKind::tensor,
                 .offset = start + static_cast<std::uint64_t>(odd - padding.begin()),
                 .name = out_.tensors.front().name});
}

void Layout::check_data_order() {
  for (std::size_t i = 1; i < out_.tensors.size(); ++i) {
    const Tensor& tensor = out_.tensors[i];
    if (tensor.offset >= out_.tensors[i - 1].offset) continue;
    warnings_.add({.code = Errc::out_of_order,
                   .kind = SubjectKind::tensor,
                   .offset = described_at(tensor),
                   .name = tensor.name});
  }
  const DataOrder order(out_.tensors);
  std::uint64_t end = out_.data_offset;  // of what came before
  bool end_known = true;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Tensor& tensor = order[i];
    if (tensor.nbytes == 0U) continue;  // overlaps nothing and leaves no hole
    if (tensor.offset < end) {
      return refuse(cursor_, Errc::overlap, tensor, described_at(tensor), end, tensor.offset);
    }
    static_cast<void>(round_up(end, alignment_, end));  // checked when the tensor was placed
    if (tensor.offset > end && end_known) {
      warnings_.add({.code = Errc::hole,
                     .kind = SubjectKind::tensor,
                     .offset = end,
                     .name = tensor.name,
                     .expected = end,
                     .actual = tensor.offset});
    }
    end = tensor.offset + tensor.nbytes.value_or(0);
    end_known = tensor.nbytes.has_value();
    last_ = &tensor;
  }
}

void Layout::find_end(std::uint64_t header_end) {
  if (last_ == nullptr) {
    out_.data_end = header_end;  // nothing but empty tensors, or none: the file may end with its
                                 // header, padded or not
  } else if (last_->nbytes) {
    out_.data_end = last_->offset + *last_->nbytes;
  } else {
    out_.data_end = out_.padded_end = input_.total;
    return;
  }
  std::uint64_t padded = 0;
  static_cast<void>(round_up(*out_.data_end, alignment_, padded));
  out_.padded_end = padded;
}

// Every tensor lies inside the file. Where the file is too short, the last one says by how much.
void Layout::check_end() {
  const std::uint64_t total = *input_.total;
  const auto check = [&](const Tensor& tensor, std::uint64_t limit) {
    const std::uint64_t end = tensor.offset + tensor.nbytes.value_or(0);
    if (end > limit) refuse(cursor_, Errc::outside_file, tensor, total, end, total);
  };
  if (last_ != nullptr) check(*last_, total);
  // A file may do without the last padding, but one that has a part of it was cut.
  if (last_ != nullptr && total > *out_.data_end && total < *out_.padded_end) {
    refuse(cursor_, Errc::partial_padding, *last_, total, *out_.padded_end, total);
  }
  const std::uint64_t data_total =
      std::max(total, out_.data_offset);  // empty tensors may follow an unpadded header
  for (const Tensor& tensor : out_.tensors) {
    if (tensor.nbytes == 0U) check(tensor, data_total);
  }
}

void Layout::check_trailing() {
  const std::uint64_t total = *input_.total;
  if (total <= *out_.padded_end) return;
  Problem problem{.offset = out_.padded_end, .expected = out_.padded_end, .actual = total};
  for (const std::uint64_t end : {*out_.data_end, *out_.padded_end}) {
    if (end >= input_.bytes.size() || !matches(input_.bytes.subspan(static_cast<std::size_t>(end))))
      continue;
    problem.code = Errc::glued_files;
    problem.offset = problem.expected = end;
    return cursor_.fail(problem);
  }
  problem.code = Errc::trailing_bytes;
  if (total - *out_.padded_end > limits_.max_trailing) return cursor_.fail(problem);
  warnings_.add(problem);
}

}  // namespace ballast::gguf
