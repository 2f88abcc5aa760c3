// Layout: where the data of a GGUF's tensors lie, held against the file and against each other.
// Private.
//
// A parser has read what the header says; this turns offsets in the data into offsets in the file,
// finds where the file must end, and tells what overlaps, what is missing and what is odd.
#pragma once

#include <cstddef>
#include <cstdint>

#include <ballast/cursor.hpp>
#include <ballast/directory.hpp>
#include <ballast/warning_list.hpp>

namespace ballast::gguf {

class Layout {
 public:
  /// The cursor stands behind the last tensor's description; `directory` has the alignment and the
  /// tensors, whose offsets are still those of the file; `starts` says where each is described.
  Layout(const Input& input, const Limits& limits, Cursor& cursor, WarningList& warnings,
         const std::uint64_t* starts, Directory& directory) noexcept
      : input_(input),
        limits_(limits),
        cursor_(cursor),
        warnings_(warnings),
        starts_(starts),
        out_(directory),
        alignment_(*directory.alignment) {}

  /// Fills in the rest of the directory. What is wrong stops the cursor.
  void run();

 private:
  [[nodiscard]] bool place_tensors();
  void look_at_header_padding();
  void check_data_order();
  void find_end(std::uint64_t header_end);
  void check_end();
  void check_trailing();
  /// The byte of the file where a tensor of the directory is described.
  [[nodiscard]] std::uint64_t described_at(const Tensor& tensor) const noexcept {
    return starts_[static_cast<std::size_t>(&tensor - out_.tensors.data())];
  }

  const Input& input_;
  const Limits& limits_;
  Cursor& cursor_;
  WarningList& warnings_;
  const std::uint64_t* starts_;
  Directory& out_;
  std::uint64_t alignment_;
  const Tensor* last_ = nullptr;  // the one whose data end last
};

/// Stops the cursor for something that is wrong with a tensor, at a byte of the file.
void refuse(Cursor& cursor, Errc code, const Tensor& tensor, std::uint64_t start,
            std::uint64_t expected = 0, std::uint64_t actual = 0) noexcept;

}  // namespace ballast::gguf
