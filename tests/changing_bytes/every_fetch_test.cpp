// Each fetch of a small file sees other bytes in turn, in many ways: what a parser checks once and
// reads twice shows.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>
#include <ballast/model.hpp>
#include <ballast/text.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/statistics.hpp>
#include <ballast/values.hpp>
#endif

#include "ballast/shards.hpp"
#include "tests/changing_bytes/rounds.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/bounds.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

// Errors are as good as anything.
template <class Work>
void tried(Work work) {
  try {
    work();
  } catch (const Error&) {
    return;
  }
}

// Opening takes no more memory than a file of that size may, whatever it becomes meanwhile.
void open(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kOfModel = std::uint64_t{16} << 10;  // and of its errors
  const Allocations taken;
  tried([&] { static_cast<void>(Model::from_data(ModelData::borrow(bytes))); });
  if (taken.bytes() > most_bytes(bytes.size()) + kOfModel) FAIL_CHECK("memory: " << taken.bytes());
}

// A few strings, the last byte of each just before its quote.
std::string strings_with_escapes() {
  return R"({"__metadata__":{"a\nb":"c\u00e9d","plain":""},"t\"u":{"dtype":"U\u0038","shape":[1],)"
         R"("data_offsets":[0,1]}})";
}

void everything_in_turn(std::string_view what, const Bytes& file, const Bytes& other,
                        const std::vector<Change>& changes) {
  Totals totals(what);
  ChangingMemory memory(file, other);
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, changes, totals, rounds.number(), [&] { open(memory.bytes()); });
  }
  CHECK(totals.changes() > totals.runs() / 2);
}

constexpr std::size_t kWays = 24;

}  // namespace

TEST_CASE("strings of JSON with escapes are decoded while they change", "[every-fetch]") {
  const Bytes file = safetensors_with(strings_with_escapes(), 1).bytes();
  everything_in_turn("strings with escapes", file, {}, each_byte_becomes("\"\\u"));
  everything_in_turn("strings with escapes", file, {}, some_changes(kWays));
}

TEST_CASE("an index with escapes is parsed while it changes", "[every-fetch]") {
  IndexBuilder index;
  index.metadata("total_size", "123").metadata("a\nb", R"({"a":[1,"\n",{}]})");
  for (int i = 0; i < 6; ++i) index.tensor("t\n\"" + std::to_string(i), "a\\u0031.safetensors");
  const Bytes file = bytes_of(index.build());
  Totals totals("an index");
  ChangingMemory memory(file, Bytes(file.size(), std::byte{'\\'}));
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, some_changes(kWays), totals, rounds.number(),
                       [&] { tried([&] { static_cast<void>(parse_index(memory.bytes(), {})); }); });
  }
}

TEST_CASE("bools at the very end of a file are looked at while they change", "[every-fetch]") {
  std::vector<bool> bools(60);
  bools[7] = true;
  GgufBuilder odd;
  std::vector<GgufValue> values(60, GgufValue::raw(ValueType::boolean, 2));
  odd.entry("k", GgufValue::array(ValueType::boolean, values));
  const Sample sample = odd.build();
  // Without the padding behind them: the bytes end with the last bool.
  const Bytes file = sample.cut(24 + 8 + 1 + 4 + 4 + 8 + 60).bytes();
  everything_in_turn("bools", file, Bytes(file.size()), some_changes(kWays));
  GgufBuilder one;
  one.entry("k", GgufValue::raw(ValueType::boolean, 3));
  const Bytes last = one.build().cut(24 + 8 + 1 + 4 + 1).bytes();
  everything_in_turn("one bool", last, Bytes(last.size()), some_changes(kWays));
}

TEST_CASE("a GGUF with a value of every type is parsed while it changes", "[every-fetch]") {
  GgufBuilder builder;
  builder.entry("general.architecture", "llama")
      .entry("u8", std::uint8_t{1})
      .entry("i64", std::int64_t{-1})
      .entry("f64", 0.5)
      .entry("general.alignment", std::uint32_t{32})
      .entry("strings", array_of<std::string>({"a", "", "bcd"}))
      .entry("nested", GgufValue::array(ValueType::array, {array_of<std::uint16_t>({1, 2}),
                                                           array_of<std::string>({"x"})}))
      .tensor({.name = "a", .dims = {32, 2}, .dtype = 2})
      .tensor({.name = "b", .dims = {3}, .dtype = 0});
  const Bytes file = builder.build().bytes();
  everything_in_turn("a GGUF", file, {}, some_changes(kWays));
}

TEST_CASE("a safetensors is parsed while it changes", "[every-fetch]") {
  const Bytes file = SafetensorsBuilder()
                         .entry("format", "pt")
                         .tensor({.name = "a", .dtype = "F16", .shape = {3, 5}})
                         .tensor({.name = "b", .dtype = "F32", .shape = {}})
                         .tensor({.name = "c", .dtype = "Q9", .shape = {7}, .begin = 34, .end = 41})
                         .build()
                         .bytes();
  everything_in_turn("a safetensors", file, {}, some_changes(kWays));
}

TEST_CASE("elements of arrays are read while they change", "[every-fetch]") {
  GgufBuilder builder;
  builder.entry("strings", array_of<std::string>({"a", "", "bcd", "\xC3\xA9"}))
      .entry("nested", GgufValue::array(ValueType::array, {array_of<std::uint16_t>({1, 2}),
                                                           array_of<std::string>({"x"})}));
  const Bytes file = builder.build().bytes();
  Totals totals("elements of arrays");
  ChangingMemory memory(file);
  const Model model = Model::from_data(ModelData::borrow(memory.bytes()));
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, some_changes(4 * kWays), totals, rounds.number(), [&] {
      for (const Entry& entry : model.metadata()) {
        const auto array = entry.value.get<Array>();
        for (const Value element : *array) {
          if (const auto text = element.get<std::string_view>()) read_text(*text);
          if (const auto inner = element.get<Array>())
            static_cast<void>(inner->at(inner->size() - 1));
        }
      }
    });
  }
}

TEST_CASE("text is made printable while it changes", "[every-fetch]") {
  const Bytes file =
      bytes_of("ab\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x1B[31m\n\\ xyz abcdefgh 12345678 ijklmnop");
  Totals totals("text");
  ChangingMemory memory(file, Bytes(file.size(), std::byte{0xE2}));
  const std::string_view text(reinterpret_cast<const char*>(memory.bytes().data()), file.size());
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, some_changes(4 * kWays), totals, rounds.number(), [&] {
      const std::string shown = printable(text);
      const auto is_control = [](char byte) {
        return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F;
      };
      if (!is_utf8(shown) || std::ranges::any_of(shown, is_control)) FAIL_CHECK("not printable");
      static_cast<void>(is_utf8(text));
    });
  }
}

#if BALLAST_HAS_VALUES

namespace {

// A tensor of so many numbers, all of them 1, and what its bytes may become: numbers of any size.
void change_numbers(const char* dtype, std::size_t width, std::uint64_t one, std::size_t count,
                    Totals& totals) {
  CAPTURE(dtype, count);
  Bytes data;
  for (std::size_t i = 0; i < count; ++i) append_number(data, one, width);
  const Bytes file = SafetensorsBuilder()
                         .tensor({.name = "w", .dtype = dtype, .shape = {count}, .data = data})
                         .build()
                         .bytes();
  Bytes other = file;
  std::fill(other.end() - static_cast<std::ptrdiff_t>(data.size()), other.end(), std::byte{0x7E});
  ChangingMemory memory(file, other);
  const Model model = Model::from_data(ModelData::borrow(memory.bytes()));
  const Tensor& tensor = model.tensors().front();
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, some_changes(2 * kWays), totals, rounds.number(), [&] {
      const Statistics all = statistics(model, tensor);
      std::uint64_t binned = 0;
      for (const std::uint64_t number : all.histogram.counts) binned += number;
      if (all.count != count || binned != all.finite())
        FAIL_CHECK("numbers are lost: " << binned << " of " << all.finite());
    });
  }
}

}  // namespace

TEST_CASE("statistics of numbers that are read in place while they change", "[every-fetch]") {
  constexpr std::array<std::size_t, 4> kCounts{1, 7, 64, 203};
  Totals totals("statistics", 3 * kCounts.size());
  for (const std::size_t count : kCounts) {
    change_numbers("F32", 4, 0x3F800000, count, totals);
    change_numbers("F64", 8, 0x3FF0000000000000, count, totals);
    change_numbers("BF16", 2, 0x3F80, count, totals);
  }
}

TEST_CASE("an accumulator takes numbers that change", "[every-fetch]") {
  Bytes file;
  for (int i = 0; i < 100; ++i) append_number(file, 0x3F800000, 4);
  Totals totals("an accumulator");
  ChangingMemory memory(file, Bytes(file.size(), std::byte{0x7E}));
  const std::span numbers(reinterpret_cast<const float*>(memory.bytes().data()), 100);
  for (Rounds rounds; rounds.next();) {
    change_every_fetch(memory, some_changes(2 * kWays), totals, rounds.number(), [&] {
      StatisticsAccumulator so_far;
      so_far.add(numbers);
      const Statistics all = so_far.finish();
      std::uint64_t binned = 0;
      for (const std::uint64_t number : all.histogram.counts) binned += number;
      if (binned != all.finite())
        FAIL_CHECK("numbers are lost: " << binned << " of " << all.finite());
    });
  }
}

TEST_CASE("blocks of every dtype are decoded while they change", "[every-fetch]") {
  Totals totals("blocks", kDTypes.size());
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!is_float_dtype(dtype)) continue;
    const DTypeInfo& type = info(dtype);
    CAPTURE(type.name);
    const Bytes file = noise(2 * type.block_bytes, i);
    std::vector<float> out(2 * type.block_elements * (type.name == "C64" ? 2U : 1U));
    std::vector<std::uint16_t> halves(out.size());
    ChangingMemory memory(file, Bytes(file.size(), std::byte{0xFF}));
    change_every_fetch(memory, some_changes(kHows), totals, 1, [&] {
      to_float(dtype, memory.bytes(), out);
      to_f16(dtype, memory.bytes(), halves);
      to_bf16(dtype, memory.bytes(), halves);
    });
  }
}

#endif

}  // namespace ballast::test
