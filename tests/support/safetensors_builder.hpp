// Builds safetensors files and the indexes of sharded ones for tests: valid by default, wrong in
// exactly the way a test asks for.
//
//     Sample good = SafetensorsBuilder().tensor({.name = "w", .dtype = "F32", .shape = {2,
//     3}}).build(); Sample bad =
//     safetensors_with(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,^-24]}})", 24);
//
// Marked are: length, header, entry[i] and entry[i].value (strings of __metadata__), tensor[i] (the
// quote before its name), tensor[i].dtype, tensor[i].shape, tensor[i].data_offsets,
// tensor[i].begin, tensor[i].end_offset (values, not their keys), header.end, data, end; and
// "here", where a raw header had a caret.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/dtypes.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

/// A tensor as a header lists it. What is left out becomes what a good writer would write.
struct SafetensorsTensor {
  std::string name;
  std::string dtype = "F32";
  std::vector<std::uint64_t> shape{};
  std::optional<std::uint64_t> begin{};  // in the data; default: where the tensor before ended
  std::optional<std::uint64_t> end{};    // default: begin plus what dtype and shape make
  std::optional<Bytes> data{};           // default: noise
};

class SafetensorsBuilder {
 public:
  /// An entry of __metadata__.
  SafetensorsBuilder& entry(std::string key, std::string value);
  SafetensorsBuilder& tensor(SafetensorsTensor tensor);
  /// Writes __metadata__ after the tensors instead of before them.
  SafetensorsBuilder& metadata_last();
  /// A header length that is not that of the header.
  SafetensorsBuilder& header_length(std::uint64_t length);
  /// Spaces are added until the data begin at a multiple of this; 8 by default, as the reference
  /// writer does.
  SafetensorsBuilder& header_alignment(std::uint64_t alignment);
  SafetensorsBuilder& trailing(Bytes bytes);

  [[nodiscard]] Sample build() const;

 private:
  void header(Sample& out) const;
  void metadata(Sample& out, bool& first) const;
  void tensors(Sample& out, bool& first) const;

  std::vector<std::pair<std::string, std::string>> entries_;
  std::vector<SafetensorsTensor> tensors_;
  bool metadata_last_ = false;
  std::optional<std::uint64_t> header_length_;
  std::uint64_t header_alignment_ = 8;
  Bytes trailing_;
};

/// A file of a header given as text and `data_size` bytes of noise. A caret in the header is taken
/// out, and its place marked "here". The length word is that of the header, without any padding.
[[nodiscard]] Sample safetensors_with(std::string_view header, std::size_t data_size = 0);

/// A string as JSON writes it, in quotes, with the escapes that JSON demands.
[[nodiscard]] std::string json_string(std::string_view text);

/// The bytes that a safetensors tensor's data take, modulo 2^64; 0 for dtypes that are not known.
[[nodiscard]] std::uint64_t safetensors_nbytes(std::string_view dtype,
                                               std::span<const std::uint64_t> shape);

/// The index of a sharded model: "model.safetensors.index.json".
class IndexBuilder {
 public:
  /// Says in which file a tensor lies; the same tensor twice is written twice.
  IndexBuilder& tensor(std::string name, std::string file);
  /// The same with any JSON in place of the file name.
  IndexBuilder& raw_tensor(std::string name, std::string json);
  /// An entry of the index's own metadata, with any JSON as value.
  IndexBuilder& metadata(std::string key, std::string json);

  [[nodiscard]] std::string build() const;

 private:
  std::vector<std::pair<std::string, std::string>> tensors_;  // name, JSON of the file
  std::vector<std::pair<std::string, std::string>> metadata_;
};

}  // namespace ballast::test
