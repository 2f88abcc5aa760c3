// ballast.h: values and statistics.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>

#include "tests/support/gguf_builder.hpp"

namespace ballast::test {
namespace {

struct Failure {
  ballast_error* error = nullptr;
  Failure() = default;
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { ballast_error_free(error); }
};

// A model of one tensor of four rows of two floats: 0, 1, ... 7.
struct Opened {
  Bytes bytes;
  ballast_model* model = nullptr;

  Opened() {
    Bytes data(32);
    for (int i = 0; i < 8; ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(data.data() + 4 * static_cast<std::size_t>(i), &value, sizeof value);
    }
    bytes = GgufBuilder()
                .tensor({.name = "t", .dims = {2, 4}, .dtype = 0, .data = data})
                .build()
                .bytes();
    ballast_data* given = nullptr;
    REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &given,
                                     nullptr) == BALLAST_OK);
    REQUIRE(ballast_model_from_data(&given, nullptr, 1, nullptr, &model, nullptr) == BALLAST_OK);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() { ballast_model_close(model); }
};

TEST_CASE("C: blocks are decoded by the name of their dtype") {
  const unsigned char block[18] = {0x00, 0x3c, 0x0f, 0xf0};  // Q4_0, scale 1
  float out[32] = {};
  REQUIRE(ballast_to_float("Q4_0", 4, block, 18, BALLAST_AS_F32, out, 32, nullptr) == BALLAST_OK);
  CHECK((out[0] == 7 && out[1] == -8 && out[16] == -8 && out[17] == 7));
  std::uint16_t half[32] = {};
  REQUIRE(ballast_to_float("Q4_0", 4, block, 18, BALLAST_AS_F16, half, 32, nullptr) == BALLAST_OK);
  CHECK((half[0] == 0x4700 && half[1] == 0xc800));
  REQUIRE(ballast_to_float("Q4_0", 4, block, 18, BALLAST_AS_BF16, half, 32, nullptr) == BALLAST_OK);
  CHECK((half[0] == 0x40e0 && half[1] == 0xc100));
  CHECK(ballast_to_float("Q4_0", 4, nullptr, 0, BALLAST_AS_F32, nullptr, 0, nullptr) == BALLAST_OK);
}

TEST_CASE("C: what cannot be decoded has a code, and leaves the output alone") {
  const unsigned char block[18] = {};
  float out[32] = {42};
  const auto code = [&](const char* dtype, std::size_t size, int as, std::size_t room) {
    Failure failure;
    const int answer =
        ballast_to_float(dtype, std::strlen(dtype), block, size, as, out, room, &failure.error);
    REQUIRE(failure.error != nullptr);
    CHECK(failure.error->code == answer);
    CHECK(out[0] == 42);
    return answer;
  };
  CHECK(code("Q4_0", 17, BALLAST_AS_F32, 32) == BALLAST_ERRC_wrong_length);
  CHECK(code("Q4_0", 18, BALLAST_AS_F32, 31) == BALLAST_ERRC_wrong_length);
  CHECK(code("Q9_9", 18, BALLAST_AS_F32, 32) == BALLAST_ERRC_unknown_dtype);
  CHECK(code("unknown", 18, BALLAST_AS_F32, 32) == BALLAST_ERRC_unknown_dtype);
  CHECK(code("Q4_2", 18, BALLAST_AS_F32, 32) == BALLAST_ERRC_unknown_dtype);
  CHECK(code("I32", 16, BALLAST_AS_F32, 4) == BALLAST_ERRC_wrong_type);
  CHECK(code("Q4_0", 18, 7, 32) == BALLAST_ERRC_misuse);
  CHECK(ballast_to_float(nullptr, 4, block, 18, 0, out, 32, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_to_float("Q4_0", 4, nullptr, 18, 0, out, 32, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_to_float("Q4_0", 4, block, 18, 0, nullptr, 32, nullptr) == BALLAST_ERRC_misuse);
}

TEST_CASE("C: rows of a tensor") {
  const Opened opened;
  std::uint64_t rows = 0;
  std::uint64_t row = 0;
  REQUIRE(ballast_model_rows(opened.model, 0, &rows, &row) == 1);
  CHECK((rows == 4 && row == 2));
  CHECK(ballast_model_rows(opened.model, 0, nullptr, nullptr) == 1);
  CHECK(ballast_model_rows(opened.model, 1, &rows, &row) == 0);
  CHECK(ballast_model_rows(nullptr, 0, &rows, &row) == 0);
  float out[8] = {};
  REQUIRE(ballast_model_values(opened.model, 0, 1, 3, BALLAST_AS_F32, out, 4, nullptr) ==
          BALLAST_OK);
  CHECK((out[0] == 2 && out[3] == 5));
  REQUIRE(ballast_model_values(opened.model, 0, 0, BALLAST_UNKNOWN, BALLAST_AS_F32, out, 8,
                               nullptr) == BALLAST_OK);
  CHECK(out[7] == 7);
  std::uint16_t half[2] = {};
  REQUIRE(ballast_model_values(opened.model, 0, 3, 4, BALLAST_AS_F16, half, 2, nullptr) ==
          BALLAST_OK);
  CHECK((half[0] == 0x4600 && half[1] == 0x4700));
  Failure failure;
  CHECK(ballast_model_values(opened.model, 0, 0, 5, BALLAST_AS_F32, out, 8, &failure.error) ==
        BALLAST_ERRC_rows_outside);
  REQUIRE(failure.error != nullptr);
  CHECK((failure.error->expected == 4 && failure.error->actual == 4));
  CHECK(std::string_view(failure.error->subject, failure.error->subject_size) == "t");
  CHECK(ballast_model_values(opened.model, 9, 0, 1, 0, out, 2, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_model_values(opened.model, 0, 0, 1, 9, out, 2, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_model_values(nullptr, 0, 0, 1, 0, out, 2, nullptr) == BALLAST_ERRC_misuse);
}

TEST_CASE("C: statistics") {
  const Opened opened;
  ballast_statistics all;
  REQUIRE(ballast_model_statistics(opened.model, 0, 0, BALLAST_UNKNOWN, nullptr, &all, nullptr) ==
          BALLAST_OK);
  CHECK((all.count == 8 && all.zero == 1 && all.nan == 0 && all.min == 0 && all.max == 7 &&
         all.mean == 3.5));
  CHECK(std::fabs(all.standard_deviation - std::sqrt(5.25)) < 1e-15);
  CHECK(all.bin_width == 0x1p-6);
  CHECK(all.histogram[BALLAST_HISTOGRAM_BINS / 2 + 64] == 1);  // where 1 lies
  ballast_options* options = ballast_options_create();
  ballast_options_set_progress(options, [](void*, const ballast_progress*) { return 1; }, nullptr);
  CHECK(ballast_model_statistics(opened.model, 0, 0, BALLAST_UNKNOWN, options, &all, nullptr) ==
        BALLAST_ERRC_cancelled);
  ballast_options_free(options);
  CHECK(ballast_model_statistics(opened.model, 0, 3, 9, nullptr, &all, nullptr) ==
        BALLAST_ERRC_rows_outside);
  CHECK(ballast_model_statistics(opened.model, 0, 0, 1, nullptr, nullptr, nullptr) ==
        BALLAST_ERRC_misuse);
}

}  // namespace
}  // namespace ballast::test
