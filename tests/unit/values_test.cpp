// Values of tensors: whole blocks, rows of models, and what is refused.
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/decode.hpp>
#include <ballast/values.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/scalar_decode.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

Bytes noise(std::size_t size) {
  Random random(size);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

Model model_of(const Sample& sample) {
  return Model::from_data(ModelData::from_vector(sample.bytes()));
}

Model gguf_of(DType dtype, std::vector<std::uint64_t> dims, Bytes data) {
  return model_of(GgufBuilder()
                      .tensor({.name = "t",
                               .dims = std::move(dims),
                               .dtype = static_cast<std::uint32_t>(info(dtype).gguf_id),
                               .data = std::move(data)})
                      .build());
}
Model safetensors_of(std::string dtype, std::vector<std::uint64_t> shape, Bytes data) {
  return model_of(SafetensorsBuilder()
                      .tensor({.name = "t",
                               .dtype = std::move(dtype),
                               .shape = std::move(shape),
                               .data = std::move(data)})
                      .build());
}

// Bits, because NaN are not equal to themselves.
std::vector<std::uint32_t> bits_of(std::span<const float> values) {
  std::vector<std::uint32_t> bits(values.size());
  if (!bits.empty()) std::memcpy(bits.data(), values.data(), values.size_bytes());
  return bits;
}

template <class Work>
Error refusal_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was refused");
  return Error(Problem{});
}

#define CHECK_REFUSED(refusal, errc, wanted, got) \
  do {                                            \
    const Error error_ = (refusal);               \
    CAPTURE(error_.what());                       \
    CHECK(error_.code() == (errc));               \
    CHECK(error_.expected() == (wanted));         \
    CHECK(error_.actual() == (got));              \
  } while (false)

TEST_CASE("whole blocks become floats, halves and bfloats") {
  const Bytes blocks = noise(34 * 5);
  std::vector<float> expected(160);
  scalar_decoder(DType::Q8_0)(blocks.data(), expected.data(), 5);
  std::vector<float> floats(160);
  to_float(DType::Q8_0, blocks, floats);
  CHECK(bits_of(floats) == bits_of(expected));
  std::vector<std::uint16_t> halves(160);
  std::vector<std::uint16_t> bfloats(160);
  to_f16(DType::Q8_0, blocks, halves);
  to_bf16(DType::Q8_0, blocks, bfloats);
  std::vector<float> one(1);
  for (std::size_t i = 0; i < 160; ++i) {
    std::uint16_t again = 0;
    to_f16(DType::F32, std::as_bytes(std::span(&expected[i], 1)), std::span(&again, 1));
    CHECK(halves[i] == again);
    to_bf16(DType::F32, std::as_bytes(std::span(&expected[i], 1)), std::span(&again, 1));
    CHECK(bfloats[i] == again);
  }
}

TEST_CASE("F16 as F16 and BF16 as BF16 keep their bits, those of NaN too") {
  const std::array<std::uint16_t, 3> bits{0x7c01, 0xffff, 0x0001};
  std::array<std::uint16_t, 3> found{};
  to_f16(DType::F16, std::as_bytes(std::span(bits)), found);
  CHECK(found == bits);
  to_bf16(DType::BF16, std::as_bytes(std::span(bits)), found);
  CHECK(found == bits);
}

TEST_CASE("blocks that are not whole, and room of another size, are refused") {
  const Bytes bytes = noise(64);
  std::vector<float> out(32);
  const auto to = [&](DType dtype, std::size_t size, std::size_t room) {
    return refusal_of(
        [&] { to_float(dtype, std::span(bytes).first(size), std::span(out).first(room)); });
  };
  CHECK_REFUSED(to(DType::Q4_0, 17, 32), Errc::wrong_length, 18, 17);
  CHECK_REFUSED(to(DType::Q4_0, 19, 32), Errc::wrong_length, 36, 19);
  CHECK_REFUSED(to(DType::Q4_0, 18, 31), Errc::wrong_length, 32, 31);
  CHECK_REFUSED(to(DType::Q4_0, 0, 1), Errc::wrong_length, 0, 1);
  CHECK_REFUSED(to(DType::F6_E2M3, 4, 4), Errc::wrong_length, 6, 4);
  CHECK_REFUSED(to(DType::C64, 8, 1), Errc::wrong_length, 2, 1);
  CHECK(refusal_of([&] { to_float(DType::Q4_0, std::span(bytes).first(17), out); }).message() ==
        "the data: 17 bytes of whole blocks were given, and 18 are needed");
  to_float(DType::Q4_0, {}, {});
}

TEST_CASE("a dtype without values, and one that float does not hold, are refused") {
  const Bytes bytes = noise(64);
  std::vector<float> out(8);
  std::vector<std::uint16_t> half(8);
  for (const DType dtype : {DType::unknown, DType::Q4_2, DType::IQ4_NL_4_4}) {
    CHECK(refusal_of([&] { to_float(dtype, bytes, out); }).code() == Errc::unknown_dtype);
    CHECK_FALSE(is_float_dtype(dtype));
  }
  for (const DType dtype : {DType::I32, DType::I64, DType::U32, DType::U64}) {
    CHECK(refusal_of([&] { to_float(dtype, bytes, out); }).code() == Errc::wrong_type);
    CHECK(refusal_of([&] { to_f16(dtype, bytes, half); }).code() == Errc::wrong_type);
    CHECK_FALSE(is_float_dtype(dtype));
  }
  CHECK(is_float_dtype(DType::F64));
}

// Every range of the rows of a tensor is that part of all its values.
void check_rows(const Model& model, std::uint64_t rows, std::uint64_t row) {
  const Tensor& tensor = model.at("t");
  CHECK(row_count(model, tensor) == rows);
  CHECK(row_elements(model, tensor) == row);
  const std::size_t size = static_cast<std::size_t>(row) * decode::floats_per_element(tensor.dtype);
  std::vector<float> all(static_cast<std::size_t>(rows) * size);
  read_floats(model, tensor, {}, all);
  for (std::uint64_t begin = 0; begin <= rows; ++begin) {
    for (std::uint64_t end = begin; end <= rows; ++end) {
      std::vector<float> found(static_cast<std::size_t>(end - begin) * size);
      read_floats(model, tensor, {begin, end}, found);
      const std::span part =
          std::span(all).subspan(static_cast<std::size_t>(begin) * size, found.size());
      REQUIRE(bits_of(found) == bits_of(part));
    }
  }
}

TEST_CASE("rows of every dtype, in both formats, also such as begin inside a byte") {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    const DTypeInfo& type = info(dtype);
    if (!is_float_dtype(dtype)) continue;
    CAPTURE(name(dtype));
    if (type.gguf_id >= 0) {
      const std::uint64_t row = 2ULL * type.block_elements;
      check_rows(gguf_of(dtype, {row, 3, 2}, noise(*packed_size(dtype, 6 * row))), 6, row);
    }
    if (type.in_safetensors) {
      const std::uint64_t row = 3;
      const Bytes data = noise(*packed_size(dtype, 4 * row));
      check_rows(safetensors_of(std::string(name(dtype)), {2, 2, row}, data), 4, row);
    }
  }
}

TEST_CASE(
    "a tensor without dimensions is a row of one, and one without elements has rows of none") {
  check_rows(gguf_of(DType::F32, {}, noise(4)), 1, 1);
  check_rows(safetensors_of("F32", {}, noise(4)), 1, 1);
  check_rows(gguf_of(DType::F32, {0, 5}, {}), 5, 0);
  check_rows(gguf_of(DType::F32, {5, 0}, {}), 0, 5);
  check_rows(safetensors_of("BF16", {4, 0}, {}), 4, 0);
  check_rows(safetensors_of("BF16", {0, 4}, {}), 0, 4);
}

TEST_CASE("rows that are not there, and room of another size, are refused by the tensor's name") {
  const Model model = gguf_of(DType::F16, {4, 3}, noise(24));
  const Tensor& tensor = model.at("t");
  std::vector<float> out(100);
  const auto read = [&](Rows rows, std::size_t room) {
    return refusal_of([&] { read_floats(model, tensor, rows, std::span(out).first(room)); });
  };
  CHECK_REFUSED(read({0, 4}, 16), Errc::rows_outside, 3, 3);
  CHECK_REFUSED(read({4, 4}, 0), Errc::rows_outside, 3, 4);
  CHECK_REFUSED(read({2, 1}, 0), Errc::rows_outside, 3, 2);
  CHECK_REFUSED(read({5}, 0), Errc::rows_outside, 3, 5);
  CHECK_REFUSED(read({1, UINT64_MAX - 1}, 8), Errc::rows_outside, 3, UINT64_MAX - 2);
  CHECK_REFUSED(read({1, 3}, 7), Errc::wrong_length, 8, 7);
  CHECK_REFUSED(read({}, 13), Errc::wrong_length, 12, 13);
  CHECK(read({0, 4}, 16).subject() == "t");
  CHECK(read({0, 4}, 16).message() == "tensor 't' has 3 rows, and row 3 was asked for");
  CHECK(refusal_of([&] { static_cast<void>(statistics(model, tensor, {0, 4})); }).code() ==
        Errc::rows_outside);
}

TEST_CASE("rows come as halves, too") {
  const Model model = gguf_of(DType::F16, {4, 3}, noise(24));
  const Tensor& tensor = model.at("t");
  std::vector<std::uint16_t> out(8);
  read_f16(model, tensor, {1, 3}, out);
  CHECK(std::memcmp(out.data(), model.bytes(tensor).data() + 8, 16) == 0);
  std::vector<float> floats(8);
  std::vector<std::uint16_t> expected(8);
  read_floats(model, tensor, {1, 3}, floats);
  to_bf16(DType::F32, std::as_bytes(std::span(floats)), expected);
  read_bf16(model, tensor, {1, 3}, out);
  CHECK(out == expected);
}

TEST_CASE("tensors without values, or of which no values were read, are refused") {
  const Model model = model_of(
      GgufBuilder().tensor({.name = "t", .dims = {8}, .dtype = 200, .data = noise(8)}).build());
  std::vector<float> out(8);
  CHECK(refusal_of([&] { read_floats(model, model.at("t"), {}, out); }).code() ==
        Errc::unknown_dtype);
  CHECK(refusal_of([&] { static_cast<void>(statistics(model, model.at("t"))); }).code() ==
        Errc::unknown_dtype);
  const Model longs = gguf_of(DType::I64, {8}, noise(64));
  CHECK(refusal_of([&] { read_floats(longs, longs.at("t"), {}, out); }).code() == Errc::wrong_type);
  CHECK(statistics(longs, longs.at("t")).count == 8);
}

TEST_CASE("reading takes nothing from the heap, also of a file whose path errors would name") {
  const TempDir folder;
  const Sample sample =
      GgufBuilder()
          .tensor(
              {.name = "t", .dims = {512, 8}, .dtype = 12, .data = noise(std::size_t{144} * 16)})
          .build();
  const Model model = Model::open(folder.write("model.gguf", sample));
  const Tensor& tensor = model.at("t");
  std::vector<float> out(1024);
  std::vector<std::uint16_t> halves(1024);
  REQUIRE(model.shards()[0].data.path().native().size() >
          15);  // longer than a string holds in place
  const Allocations allocations;
  read_floats(model, tensor, {2, 4}, out);
  read_f16(model, tensor, {2, 4}, halves);
  static_cast<void>(statistics(model, tensor));
  to_float(DType::Q4_K, model.bytes(tensor).first(144 * 4), out);
  CHECK(allocations.count() == 0);
}

TEST_CASE("statistics of a tensor are those of its values, with progress and an end to it") {
  const Model model = gguf_of(DType::Q8_0, {1024, 4096}, noise(34 * 32 * 4096));
  const Tensor& tensor = model.at("t");
  std::vector<float> all(1024 * 4096);
  read_floats(model, tensor, {}, all);
  StatisticsAccumulator expected;
  expected.add(std::span<const float>(all));
  std::vector<Progress> seen;
  OpenOptions options;
  options.progress = [&](const Progress& progress) { seen.push_back(progress); };
  const Statistics found = statistics(model, tensor, {}, options);
  CHECK(found.count == all.size());
  CHECK(found.min == expected.finish().min);
  CHECK(found.mean == expected.finish().mean);
  CHECK(found.histogram.counts == expected.finish().histogram.counts);
  REQUIRE(!seen.empty());
  CHECK(seen.back().done == *tensor.nbytes);
  CHECK(seen.back().total == *tensor.nbytes);
  for (std::size_t i = 1; i < seen.size(); ++i) CHECK(seen[i - 1].done <= seen[i].done);
  int asked = 0;
  options.cancelled = [&] { return ++asked == 2; };
  CHECK(refusal_of([&] { static_cast<void>(statistics(model, tensor, {}, options)); }).code() ==
        Errc::cancelled);
}

TEST_CASE("statistics of integers and doubles are those of their own type") {
  const std::array<std::int64_t, 4> longs{INT64_MIN, 0, 7, 7};
  Bytes bytes(32);
  std::memcpy(bytes.data(), longs.data(), 32);
  const Model model = gguf_of(DType::I64, {2, 2}, bytes);
  const Statistics all = statistics(model, model.at("t"));
  CHECK((all.count == 4 && all.zero == 1 && all.min == -0x1p63 && all.max == 7));
  const Statistics row = statistics(model, model.at("t"), {1, 2});
  CHECK((row.count == 2 && row.mean == 7 && row.standard_deviation == 0));
  const Model complex = safetensors_of("C64", {1, 2}, noise(16));
  CHECK(statistics(complex, complex.at("t")).count == 4);
}

#ifndef __EMSCRIPTEN__  // which has no threads here
TEST_CASE("many threads read the same values") {
  const Model model = gguf_of(DType::IQ3_S, {256, 64}, noise(110 * 64));
  const Tensor& tensor = model.at("t");
  std::vector<float> expected(256 * 64);
  read_floats(model, tensor, {}, expected);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      std::vector<float> found(expected.size());
      for (int round = 0; round < 20; ++round) {
        read_floats(model, tensor, {}, found);
        if (bits_of(found) != bits_of(expected)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
#endif

}  // namespace
}  // namespace ballast::test
