// Values and arrays: what can be asked of them, and what bytes that break off give.
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/metadata.hpp>

#include "tests/support/gguf_builder.hpp"

namespace ballast::test {
namespace {

// The bytes of a value as a file holds them: what an Array is a view of.
Bytes encoded(const GgufValue& value) {
  const Sample sample = GgufBuilder().entry("k", value).build();
  const std::span<const std::byte> bytes(sample.bytes());
  const std::uint64_t from =
      sample.at(value.type == ValueType::array ? "entry[0].value.items" : "entry[0].value");
  const std::uint64_t to = sample.at("entry[0].end");
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from),
          bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

Value number(const GgufValue& value) { return {value.type, value.bits}; }

template <class T>
void check_fits(Value value, std::int64_t expected) {
  CHECK(value.get<T>() == std::optional<T>(static_cast<T>(expected)));
}

TEST_CASE("value types have the numbers, names and widths of the specification") {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  REQUIRE(std::size(kNames) == kValueTypeCount);
  for (std::uint32_t id = 0; id < kValueTypeCount; ++id) {
    CAPTURE(id);
    CHECK(name(static_cast<ValueType>(id)) == kNames[id]);
    CHECK(encoded_size(static_cast<ValueType>(id)) == width_of(static_cast<ValueType>(id)));
  }
}

TEST_CASE("an integer is given as every integer type that can hold it") {
  for (const GgufValue& seven :
       {GgufValue(std::uint8_t{7}), GgufValue(std::int8_t{7}), GgufValue(std::uint16_t{7}),
        GgufValue(std::int16_t{7}), GgufValue(std::uint32_t{7}), GgufValue(std::int32_t{7}),
        GgufValue(std::uint64_t{7}), GgufValue(std::int64_t{7})}) {
    const Value value = number(seven);
    CAPTURE(name(value.type()));
    check_fits<std::uint8_t>(value, 7);
    check_fits<std::int8_t>(value, 7);
    check_fits<std::uint16_t>(value, 7);
    check_fits<std::int16_t>(value, 7);
    check_fits<std::uint32_t>(value, 7);
    check_fits<std::int32_t>(value, 7);
    check_fits<std::uint64_t>(value, 7);
    check_fits<std::int64_t>(value, 7);
    CHECK(value.get<bool>() == std::nullopt);
    CHECK(value.get<float>() == std::nullopt);
    CHECK(value.get<double>() == std::nullopt);
    CHECK(value.get<std::string_view>() == std::nullopt);
    CHECK(value.get<Array>() == std::nullopt);
  }
}

TEST_CASE("an integer that would lose its sign or its high bits is not given") {
  for (const GgufValue& minus : {GgufValue(std::int8_t{-1}), GgufValue(std::int16_t{-1}),
                                 GgufValue(std::int32_t{-1}), GgufValue(std::int64_t{-1})}) {
    const Value value = number(minus);
    CAPTURE(name(value.type()));
    CHECK(value.get<std::int8_t>() == std::int8_t{-1});
    CHECK(value.get<std::int64_t>() == std::int64_t{-1});
    CHECK(value.get<std::uint8_t>() == std::nullopt);
    CHECK(value.get<std::uint64_t>() == std::nullopt);
  }
  const Value huge = number(std::uint64_t{UINT64_MAX});
  CHECK(huge.get<std::uint64_t>() == UINT64_MAX);
  CHECK(huge.get<std::int64_t>() == std::nullopt);
  CHECK(huge.get<std::uint32_t>() == std::nullopt);
  const Value low = number(std::int64_t{INT64_MIN});
  CHECK(low.get<std::int64_t>() == INT64_MIN);
  CHECK(low.get<std::int32_t>() == std::nullopt);
  CHECK(number(std::uint8_t{200}).get<std::int8_t>() == std::nullopt);
  CHECK(number(std::int8_t{-128}).get<std::int16_t>() == std::int16_t{-128});
}

TEST_CASE("floats keep every bit, and widen without loss") {
  const Value third = number(1.0F / 3.0F);
  CHECK(third.get<float>() == 1.0F / 3.0F);
  CHECK(third.get<double>() == static_cast<double>(1.0F / 3.0F));
  CHECK(third.get<std::int32_t>() == std::nullopt);
  const Value tenth = number(0.1);
  CHECK(tenth.get<double>() == 0.1);
  CHECK(tenth.get<float>() == std::nullopt);
  const Value nan = Value(ValueType::f32, 0x7FA00001);  // a signalling NaN with a payload
  CHECK(nan.bits() == 0x7FA00001);
  CHECK(std::isnan(nan.get<float>().value()));
  const Value zero = number(-0.0);
  CHECK(std::signbit(zero.get<double>().value()));
}

TEST_CASE("bools, strings and arrays are given as themselves only") {
  CHECK(number(true).get<bool>() == true);
  CHECK(number(false).get<bool>() == false);
  CHECK(Value(ValueType::boolean, 2).get<bool>() == true);  // as ggml reads it
  CHECK(number(true).get<std::uint8_t>() == std::nullopt);
  CHECK(number(true).get<std::int64_t>() == std::nullopt);

  const Value text(std::string_view("a\0b", 3));
  CHECK(text.type() == ValueType::string);
  CHECK(text.get<std::string_view>() == std::string_view("a\0b", 3));
  CHECK(text.get<std::uint64_t>() == std::nullopt);
  CHECK(text.get<Array>() == std::nullopt);
  CHECK(text.bits() == 0);

  const Bytes bytes = encoded(array_of<std::uint16_t>({1, 2, 3}));
  const Value list(Array(ValueType::u16, 3, bytes));
  CHECK(list.type() == ValueType::array);
  const Array array = list.get<Array>().value();
  CHECK(array.element_type() == ValueType::u16);
  CHECK(array.size() == 3);
  CHECK(array.bytes().data() == bytes.data());
  CHECK(list.get<std::uint64_t>() == std::nullopt);
  CHECK(list.bits() == 0);
}

TEST_CASE("an array of numbers gives its elements by place, by iteration and at once") {
  const Bytes bytes = encoded(array_of<std::int32_t>({-1, 0, INT32_MAX, INT32_MIN}));
  const Array array(ValueType::i32, 4, bytes);
  CHECK(array.at(0)->get<std::int32_t>() == -1);
  CHECK(array.at(3)->get<std::int32_t>() == INT32_MIN);
  CHECK(array.at(4) == std::nullopt);
  CHECK(array.at(UINT64_MAX) == std::nullopt);
  std::vector<std::int32_t> seen;
  for (const Value value : array) seen.push_back(value.get<std::int32_t>().value());
  CHECK(seen == std::vector<std::int32_t>{-1, 0, INT32_MAX, INT32_MIN});
  std::vector<std::int32_t> copied(4);
  REQUIRE(array.copy_to(std::span(copied)));
  CHECK(copied == seen);
}

TEST_CASE("numbers are copied only as the exact type, into exactly enough room") {
  const Bytes bytes = encoded(array_of<std::int32_t>({1, 2}));
  const Array array(ValueType::i32, 2, bytes);
  std::vector<std::int32_t> three(3, 9);
  CHECK_FALSE(array.copy_to(std::span(three)));
  CHECK(three == std::vector<std::int32_t>{9, 9, 9});
  std::vector<std::uint32_t> other_sign(2, 9);
  CHECK_FALSE(array.copy_to(std::span(other_sign)));
  std::vector<float> other_kind(2, 9.0F);
  CHECK_FALSE(array.copy_to(std::span(other_kind)));
  std::vector<std::int64_t> wider(2, 9);
  CHECK_FALSE(array.copy_to(std::span(wider)));
  CHECK(other_sign[0] == 9);
  const Bytes flags = encoded(array_of<std::uint8_t>({0, 1}));
  std::vector<std::uint8_t> room(2);
  CHECK_FALSE(Array(ValueType::boolean, 2, flags).copy_to(std::span(room)));
  CHECK(Array(ValueType::u8, 2, flags).copy_to(std::span(room)));
  CHECK(Array(ValueType::u8, 0, {}).copy_to(std::span<std::uint8_t>()));
}

TEST_CASE("an array of strings gives them by place and by iteration") {
  const std::vector<std::string> words{"", "a", std::string("\0", 1), "\u4F60\u597D",
                                       std::string(70'000, 'x')};
  const Bytes bytes = encoded(array_of<std::string>(words));
  const Array array(ValueType::string, words.size(), bytes);
  std::vector<std::string> seen;
  for (const Value value : array) seen.emplace_back(value.get<std::string_view>().value());
  CHECK(seen == words);
  for (std::size_t i = 0; i < words.size(); ++i)
    CHECK(array.at(i)->get<std::string_view>() == words[i]);
  CHECK(array.at(words.size()) == std::nullopt);
}

TEST_CASE("arrays of arrays give arrays") {
  const GgufValue nested = GgufValue::array(
      ValueType::array,
      {array_of<std::uint8_t>({1, 2}), array_of<std::string>({"x", "yz"}),
       GgufValue::array(ValueType::array, {array_of<double>({0.5})}), array_of<float>({})});
  const Bytes bytes = encoded(nested);
  const Array array(ValueType::array, 4, bytes);
  std::vector<Array> inner;
  for (const Value value : array) inner.push_back(value.get<Array>().value());
  REQUIRE(inner.size() == 4);
  CHECK(inner[0].at(1)->get<std::uint8_t>() == 2);
  CHECK(inner[1].at(1)->get<std::string_view>() == "yz");
  CHECK(inner[2].at(0)->get<Array>()->at(0)->get<double>() == 0.5);
  CHECK(inner[3].empty());
  CHECK(inner[3].element_type() == ValueType::f32);
  CHECK(array.at(2)->get<Array>()->element_type() == ValueType::array);
}

TEST_CASE("iteration stops where the bytes break off, at every place") {
  const std::vector<GgufValue> arrays{
      array_of<std::uint32_t>({1, 2, 3}), array_of<std::string>({"ab", "", "cdef"}),
      GgufValue::array(ValueType::array,
                       {array_of<std::string>({"x"}), array_of<std::uint64_t>({1, 2})})};
  for (const GgufValue& value : arrays) {
    const Bytes bytes = encoded(value);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const Array array(value.element_type, value.items.size(), cut);
      std::uint64_t count = 0;
      for (const Value item : array) count += item.type() == value.element_type ? 1 : 0;
      CAPTURE(name(value.element_type), size);
      CHECK(count < value.items.size());
      CHECK(array.at(value.items.size() - 1) == std::nullopt);
    }
  }
}

TEST_CASE("lengths and types that changed after the check give an end, not a stray access") {
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{1} << 63,
                                     std::uint64_t{UINT64_MAX}, std::uint64_t{UINT64_MAX - 7}}) {
    Bytes bytes;
    append_number(bytes, length, 8);
    append(bytes, bytes_of("ab"));
    const Array array(ValueType::string, 1, bytes);
    CHECK(array.begin() == array.end());
  }
  Bytes deep;  // every array says that it holds one more
  for (int i = 0; i < 100'000; ++i) {
    append_number(deep, 9, 4);
    append_number(deep, 1, 8);
  }
  const Array array(ValueType::array, 1, deep);
  CHECK(array.begin() == array.end());
  Bytes odd_type;
  append_number(odd_type, 13, 4);
  append_number(odd_type, 0, 8);
  CHECK(Array(ValueType::array, 1, odd_type).at(0) == std::nullopt);
}

TEST_CASE("an array's iterator is a forward iterator") {
  STATIC_CHECK(std::forward_iterator<Array::Iterator>);
  const Bytes bytes = encoded(array_of<std::string>({"a", "b"}));
  const Array array(ValueType::string, 2, bytes);
  Array::Iterator it = array.begin();
  const Array::Iterator first = it++;
  CHECK((*first).get<std::string_view>() == "a");
  CHECK((*it).get<std::string_view>() == "b");
  CHECK(first == array.begin());
  CHECK(++it == array.end());
  CHECK(Array().begin() == Array().end());
}

TEST_CASE("metadata keep the file's order and find a key in any") {
  Metadata metadata;
  CHECK(metadata.empty());
  CHECK(metadata.find("a") == nullptr);
  metadata.append({"b", number(std::uint32_t{2}), 10});
  metadata.append({"a", Value(std::string_view("text")), 20});
  metadata.append({"", number(true), 30});
  REQUIRE(metadata.index() == std::nullopt);
  CHECK(metadata.size() == 3);
  CHECK(metadata.entries()[0].key == "b");
  CHECK(metadata.begin()[1].offset == 20);
  CHECK(metadata.get<std::uint32_t>("b") == 2U);
  CHECK(metadata.get<std::string_view>("a") == "text");
  CHECK(metadata.get<bool>("") == true);
  CHECK(metadata.get<std::uint32_t>("a") == std::nullopt);
  CHECK(metadata.get<std::uint32_t>("c") == std::nullopt);
  CHECK(metadata.find("c") == nullptr);
}

TEST_CASE("metadata say which entry repeats a key") {
  Metadata metadata;
  for (const char* key : {"a", "b", "c", "b", "a"}) metadata.append({key, number(true), 0});
  CHECK(metadata.index() == 3U);
}

}  // namespace
}  // namespace ballast::test
