#include <ballast/values.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include <ballast/decode.hpp>
#include <ballast/layout.hpp>
#include <ballast/small_float.hpp>

#include "ballast/model_data_storage.hpp"

namespace ballast {
namespace {

// Whose values are asked for, as errors call it: a tensor, or blocks of the caller's. Nothing is
// made of it before there is an error.
struct Subject {
  std::string_view dtype_name;
  const Model* model = nullptr;
  const Tensor* tensor = nullptr;

  [[noreturn]] void refuse(Errc code) const { refuse({.code = code, .word = dtype_name}); }
  [[noreturn]] void refuse(Errc code, std::uint64_t expected, std::uint64_t actual,
                           std::string_view word) const {
    refuse({.code = code, .expected = expected, .actual = actual, .word = word});
  }

 private:
  [[noreturn]] void refuse(Problem problem) const {
    problem.kind = SubjectKind::data;
    if (tensor == nullptr) throw Error(problem);
    problem.kind = SubjectKind::tensor;
    problem.name = tensor->name;
    const Model::Shard& shard = model->shards()[tensor->shard];
    const std::string path = shard.data.path().string();
    throw Error(problem, path.empty() ? shard.file : path);
  }
};

Subject subject_of(const Model& model, const Tensor& tensor) {
  return {tensor.dtype_name, &model, &tensor};
}

decode::Decoder decoder_of(DType dtype, const Subject& subject) {
  if (!info(dtype).has_size()) subject.refuse(Errc::unknown_dtype);
  const decode::Decoder decoder = decode::decoder(dtype);
  if (decoder == nullptr) subject.refuse(Errc::wrong_type);
  return decoder;
}

// A run of values in the bytes of a tensor, or in blocks that the caller has.
struct Run {
  DType dtype = DType::unknown;
  decode::Decoder decoder = nullptr;
  const std::byte* blocks = nullptr;
  std::uint64_t first = 0;  // in floats
  std::size_t count = 0;    // of floats

  void read(std::size_t at, std::span<float> out) const noexcept {
    decode::decode(dtype, decoder, blocks, first + at, out);
  }
};

// How many values are decoded at a time where they are not wanted as they are: they stay in the
// first cache, and whole blocks of every type fit.
constexpr std::size_t kPiece = 2048;

void read(const Run& run, std::span<float> out) noexcept { run.read(0, out); }

// Through floats, or, where these are the bits that are wanted, at once.
template <std::uint16_t (*Convert)(float) noexcept>
void read(const Run& run, DType same, std::span<std::uint16_t> out) noexcept {
  if (run.dtype == same) {
    if (!out.empty()) std::memcpy(out.data(), run.blocks + 2 * run.first, out.size_bytes());
    return;
  }
  std::array<float, kPiece> floats;
  for (std::size_t at = 0; at < out.size(); at += kPiece) {
    const std::span piece = std::span(floats).first(std::min(kPiece, out.size() - at));
    run.read(at, piece);
    for (std::size_t i = 0; i < piece.size(); ++i) out[at + i] = Convert(piece[i]);
  }
}

std::uint16_t f16_of(float value) noexcept { return decode::to_f16_bits(value); }
std::uint16_t bf16_of(float value) noexcept { return decode::to_bf16_bits(value); }

Run whole(DType dtype, std::span<const std::byte> blocks, std::size_t room) {
  const Subject subject{.dtype_name = name(dtype)};
  const decode::Decoder decoder = decoder_of(dtype, subject);
  const DTypeInfo& type = info(dtype);
  const std::size_t count = blocks.size() / type.block_bytes;
  if (blocks.size() % type.block_bytes != 0) {
    subject.refuse(Errc::wrong_length, (count + 1) * type.block_bytes, blocks.size(),
                   "bytes of whole blocks");
  }
  const std::uint64_t values =
      std::uint64_t{count} * type.block_elements * decode::floats_per_element(dtype);
  if (values != room) subject.refuse(Errc::wrong_length, values, room, "values of output");
  return {dtype, decoder, blocks.data(), 0, room};
}

// The dimension whose elements lie side by side.
std::uint64_t fastest_dimension(const Model& model, const Tensor& tensor) noexcept {
  const std::span<const std::uint64_t> dims = tensor.shape.dims();
  if (dims.empty()) return 1;
  return model.format() == Format::gguf ? dims.front() : dims.back();
}

struct ElementRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

ElementRange elements_of(const Model& model, const Tensor& tensor, Rows rows,
                         const Subject& subject) {
  const std::uint64_t there = row_count(model, tensor);
  const std::uint64_t end = rows.end == Rows::kToTheEnd ? there : rows.end;
  if (end > there) subject.refuse(Errc::rows_outside, there, std::max(rows.begin, end - 1), {});
  if (rows.begin > end) subject.refuse(Errc::rows_outside, there, rows.begin, {});
  const std::uint64_t row = row_elements(model, tensor);
  return {rows.begin * row, (end - rows.begin) * row};  // both within the tensor
}

Run rows_of(const Model& model, const Tensor& tensor, Rows rows, std::size_t room) {
  const Subject subject = subject_of(model, tensor);
  const decode::Decoder decoder = decoder_of(tensor.dtype, subject);
  const ElementRange elements = elements_of(model, tensor, rows, subject);
  const std::size_t each = decode::floats_per_element(tensor.dtype);
  if (elements.count * each != room) {
    subject.refuse(Errc::wrong_length, elements.count * each, room, "values of output");
  }
  return {tensor.dtype, decoder, model.bytes(tensor).data(), elements.first * each, room};
}

// Where the fault guard is on: values of pages that it has replaced by zeros are no result.
void require_undamaged(const Model& model, const Tensor& tensor) {
  DataAccess::require_undamaged(model.shards()[tensor.shard].data);
}

// ---- Statistics ---------------------------------------------------------------------------------

// Between two looks at progress and cancellation: a few milliseconds.
constexpr std::uint64_t kReported = std::uint64_t{4} << 20;  // bytes

class Reporter {
 public:
  Reporter(const OpenOptions& options, const ModelData& data, std::uint64_t total)
      : options_(options), data_(data), total_(total) {}

  void at(std::uint64_t bytes) {
    if (bytes < next_ && bytes != total_) return;
    next_ = bytes + kReported;
    bool cancelled = options_.cancelled && options_.cancelled();
#ifdef __cpp_lib_jthread
    cancelled |= options_.stop.stop_requested();
#endif
    if (cancelled) throw Error(Problem{.code = Errc::cancelled});
    data_.require_undamaged();
    if (options_.progress) options_.progress({bytes, total_});
  }

 private:
  const OpenOptions& options_;
  const ModelData& data_;
  std::uint64_t total_;
  std::uint64_t next_ = 0;
};

void add_doubles(StatisticsAccumulator& to, decode::WideDecoder decoder,
                 std::span<const std::byte> bytes, std::size_t size, Reporter& reporter) {
  std::array<double, kPiece> doubles;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece * size) {
    reporter.at(at);
    const std::size_t count = std::min(kPiece, (bytes.size() - at) / size);
    decoder(bytes.data() + at, doubles.data(), count);
    to.add(std::span<const double>(doubles).first(count));
  }
  reporter.at(bytes.size());
}

// Floats that lie in the file as they are wanted; none where they do not.
std::span<const float> floats_in_place(const Run& run) noexcept {
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(run.blocks) % alignof(float) == 0;
  if (run.dtype != DType::F32 || !is_aligned) return {};
  return {reinterpret_cast<const float*>(run.blocks) + run.first, run.count};
}

void add_floats(StatisticsAccumulator& to, const Run& run, std::uint64_t bytes,
                Reporter& reporter) {
  const std::span<const float> in_place = floats_in_place(run);
  std::array<float, kPiece> floats;
  for (std::size_t at = 0; at < run.count; at += kPiece) {
    reporter.at(static_cast<std::uint64_t>(static_cast<double>(bytes) * static_cast<double>(at) /
                                           static_cast<double>(run.count)));
    const std::size_t count = std::min(kPiece, run.count - at);
    if (!in_place.empty()) {
      to.add(in_place.subspan(at, count));
      continue;
    }
    const std::span piece = std::span(floats).first(count);
    run.read(at, piece);
    to.add(piece);
  }
  reporter.at(bytes);
}

}  // namespace

bool is_float_dtype(DType dtype) noexcept { return decode::decoder(dtype) != nullptr; }

void to_float(DType dtype, std::span<const std::byte> blocks, std::span<float> out) {
  read(whole(dtype, blocks, out.size()), out);
}
void to_f16(DType dtype, std::span<const std::byte> blocks, std::span<std::uint16_t> out) {
  read<f16_of>(whole(dtype, blocks, out.size()), DType::F16, out);
}
void to_bf16(DType dtype, std::span<const std::byte> blocks, std::span<std::uint16_t> out) {
  read<bf16_of>(whole(dtype, blocks, out.size()), DType::BF16, out);
}

std::uint64_t row_elements(const Model& model, const Tensor& tensor) noexcept {
  return fastest_dimension(model, tensor);
}

std::uint64_t row_count(const Model& model, const Tensor& tensor) noexcept {
  const std::span<const std::uint64_t> dims = tensor.shape.dims();
  const std::uint64_t row = fastest_dimension(model, tensor);
  if (row != 0) return tensor.elements() / row;
  // Rows without elements: as many as the other dimensions say, which may be more than 64 bits
  // hold.
  std::uint64_t rows = 1;
  const std::size_t fastest = model.format() == Format::gguf ? 0 : dims.size() - 1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i != fastest && !multiply(rows, dims[i], rows)) return UINT64_MAX - 1;
  }
  return rows;
}

void read_floats(const Model& model, const Tensor& tensor, Rows rows, std::span<float> out) {
  read(rows_of(model, tensor, rows, out.size()), out);
  require_undamaged(model, tensor);
}
void read_f16(const Model& model, const Tensor& tensor, Rows rows, std::span<std::uint16_t> out) {
  read<f16_of>(rows_of(model, tensor, rows, out.size()), DType::F16, out);
  require_undamaged(model, tensor);
}
void read_bf16(const Model& model, const Tensor& tensor, Rows rows, std::span<std::uint16_t> out) {
  read<bf16_of>(rows_of(model, tensor, rows, out.size()), DType::BF16, out);
  require_undamaged(model, tensor);
}

Statistics statistics(const Model& model, const Tensor& tensor, Rows rows,
                      const OpenOptions& options) {
  const Subject subject = subject_of(model, tensor);
  const DTypeInfo& type = info(tensor.dtype);
  if (!type.has_size()) subject.refuse(Errc::unknown_dtype);
  const ElementRange elements = elements_of(model, tensor, rows, subject);
  const std::span<const std::byte> bytes = model.bytes(tensor);
  // Of rows that are parts of blocks, the nearest; only progress is counted in it.
  const std::uint64_t size = elements.count / type.block_elements * type.block_bytes;
  Reporter reporter(options, model.shards()[tensor.shard].data, size);
  StatisticsAccumulator all;
  if (const decode::WideDecoder wide = decode::wide_decoder(tensor.dtype)) {
    const auto begin = static_cast<std::size_t>(elements.first * type.block_bytes);
    add_doubles(all, wide, bytes.subspan(begin, static_cast<std::size_t>(size)), type.block_bytes,
                reporter);
  } else {
    const std::size_t each = decode::floats_per_element(tensor.dtype);
    add_floats(all,
               {tensor.dtype, decoder_of(tensor.dtype, subject), bytes.data(),
                elements.first * each, static_cast<std::size_t>(elements.count * each)},
               size, reporter);
  }
  return all.finish();
}

}  // namespace ballast
