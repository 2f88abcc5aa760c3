// The header of a safetensors file, parsed two ways that are equally strict: by Ballast, and by
// Boost.JSON's basic_parser, a SAX parser that builds no tree either, with the same checks and the
// same result behind it. bench.py runs it under callgrind and compares the instructions of the two
// measured functions.
//
//     bench-json ballast|boost FILE
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

#include <ballast/ballast.hpp>

namespace {

namespace json = boost::json;

// What basic_parser calls. Returning false ends the parse, as a thrown error does in Ballast.
// Strings without escapes come in one part, a view of the header, and are kept as such.
class Handler {
 public:
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    ++depth_;
    if (depth_ == 2 && !in_metadata_) tensors_.emplace_back().name = key_;
    has_dtype_ = has_shape_ = false;
    ends_ = kNoOffsets;
    return depth_ == 1 || depth_ == 2 || (field_ == Field::other && !in_metadata_);
  }
  bool on_object_end(std::size_t, json::error_code&) {
    if (depth_ == 2 && !in_metadata_ && !finish_tensor()) return false;
    if (depth_ == 2) in_metadata_ = false;
    --depth_;
    return true;
  }
  bool on_array_begin(json::error_code&) {
    if (in_metadata_ || depth_ < 2) return false;
    in_array_ = true;
    shape_.clear();
    if (field_ == Field::shape) return !std::exchange(has_shape_, true);
    if (field_ == Field::offsets) return std::exchange(ends_, 0) == kNoOffsets;
    return field_ == Field::other;
  }
  bool on_array_end(std::size_t, json::error_code&) {
    in_array_ = false;
    if (field_ == Field::shape) tensors_.back().shape = ballast::Shape(shape_);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return keep(part); }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    key_ = whole(part);
    if (depth_ == 1) {
      in_metadata_ = key_ == "__metadata__";
    } else if (!in_metadata_) {
      field_ = key_ == "dtype"          ? Field::dtype
               : key_ == "shape"        ? Field::shape
               : key_ == "data_offsets" ? Field::offsets
                                        : Field::other;
    }
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) { return keep(part); }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    const std::string_view text = whole(part);
    if (in_metadata_) {
      metadata_.emplace_back(key_, text);
      return true;
    }
    if (depth_ < 2 || (field_ != Field::dtype && field_ != Field::other)) return false;
    if (field_ == Field::other) return true;
    tensors_.back().dtype = ballast::dtype_from_safetensors(text);
    return !std::exchange(has_dtype_, true);
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) {
    return value >= 0 && on_whole(static_cast<std::uint64_t>(value));
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    return on_whole(value);
  }
  bool on_double(double, json::string_view, json::error_code&) { return is_ignored(); }
  bool on_bool(bool, json::error_code&) { return is_ignored(); }
  bool on_null(json::error_code&) { return is_ignored() || depth_ == 1; }
  bool on_comment_part(json::string_view, json::error_code&) { return false; }
  bool on_comment(json::string_view, json::error_code&) { return false; }

  // The checks over all tensors: names that differ, data without holes and overlap.
  bool finish(std::uint64_t data_size) {
    const std::span<const ballast::Tensor> tensors = tensors_;
    if (index_.build({tensors, &ballast::Tensor::name})) return false;
    const auto before = [](const ballast::Tensor& a, const ballast::Tensor& b) {
      return a.offset != b.offset ? a.offset < b.offset : a.nbytes < b.nbytes;
    };
    std::vector<ballast::Tensor> sorted;
    if (!std::is_sorted(tensors.begin(), tensors.end(), before)) {
      sorted.assign(tensors.begin(), tensors.end());
      std::sort(sorted.begin(), sorted.end(), before);
    }
    std::uint64_t end = 0;
    for (const ballast::Tensor& tensor :
         sorted.empty() ? tensors : std::span<const ballast::Tensor>(sorted)) {
      if (tensor.offset != end) return false;
      end += *tensor.nbytes;
    }
    return end == data_size;
  }

  [[nodiscard]] std::size_t size() const { return tensors_.size(); }

 private:
  enum class Field { other, dtype, shape, offsets };
  static constexpr std::size_t kNoOffsets = 9;

  [[nodiscard]] bool is_ignored() const {
    return depth_ >= 2 && field_ == Field::other && !in_metadata_;
  }

  bool keep(json::string_view part) {
    parts_.append(part.data(), part.size());
    return true;
  }
  std::string_view whole(json::string_view part) {
    if (parts_.empty()) return {part.data(), part.size()};
    keep(part);
    decoded_.push_back(std::move(parts_));
    parts_.clear();
    return decoded_.back();
  }

  bool on_whole(std::uint64_t value) {
    if (is_ignored()) return true;
    if (!in_array_ || in_metadata_ || field_ == Field::dtype) return false;
    if (field_ == Field::shape) {
      shape_.push_back(value);
      return true;
    }
    if (ends_ >= offsets_.size()) return false;
    offsets_[ends_++] = value;
    return true;
  }

  bool finish_tensor() {
    ballast::Tensor& tensor = tensors_.back();
    if (!has_dtype_ || !has_shape_ || ends_ != 2 || offsets_[0] > offsets_[1]) return false;
    tensor.offset = offsets_[0];
    tensor.nbytes = offsets_[1] - offsets_[0];
    std::uint64_t elements = 1;
    for (const std::uint64_t dim : tensor.shape) {
      if (__builtin_mul_overflow(elements, dim, &elements)) return false;
    }
    return ballast::packed_size(tensor.dtype, elements) == tensor.nbytes;
  }

  std::vector<ballast::Tensor> tensors_;
  std::vector<std::pair<std::string_view, std::string_view>> metadata_;
  ballast::NameIndex index_;
  std::deque<std::string> decoded_;
  std::string parts_;
  std::string_view key_;
  std::vector<std::uint64_t> shape_;
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t ends_ = kNoOffsets;
  Field field_ = Field::other;
  int depth_ = 0;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool in_metadata_ = false;
  bool in_array_ = false;
};

}  // namespace

extern "C" [[gnu::noinline]] std::size_t measured_boost(const std::byte* bytes, std::size_t size) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes, sizeof length);
  json::parse_options options;
  options.max_depth = 128;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  parser.write_some(false, reinterpret_cast<const char*>(bytes) + sizeof length, length, error);
  if (error || !parser.handler().finish(size - sizeof length - length)) return 0;
  return parser.handler().size();
}

extern "C" [[gnu::noinline]] std::size_t measured_ballast(const std::byte* bytes,
                                                          std::size_t size) {
  return ballast::parse_whole({bytes, size}).tensors.size();
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const ballast::ModelData data = ballast::ModelData::open(argv[2]);
  const bool boost = std::string_view(argv[1]) == "boost";
  const std::size_t tensors = boost ? measured_boost(data.bytes().data(), data.size())
                                    : measured_ballast(data.bytes().data(), data.size());
  std::printf("%zu\n", tensors);
  return tensors > 0 ? 0 : 1;
}
