// The index of names: right for every list, and fast even for one that was chosen to make it slow.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/name_index.hpp>

#include "tests/support/collisions.hpp"

namespace ballast::test {
namespace {

struct Item {
  int before = 0;  // so that names lie at a stride
  std::string_view name;
};

/// Items whose names are views into strings that live as long.
class Items {
 public:
  explicit Items(std::vector<std::string> names) : names_(std::move(names)) {
    items_.reserve(names_.size());
    for (const std::string& name : names_) items_.push_back({0, name});
  }
  [[nodiscard]] NameList list() const { return {std::span<const Item>(items_), &Item::name}; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::vector<Item> items_;
};

std::vector<std::string> ordinary(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i)
    names.push_back("blk." + std::to_string(i) + ".attn_q.weight");
  return names;
}

// The first position whose name stood before, by comparing all with all.
std::optional<std::size_t> naive_repetition(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (names[i] == names[j]) return i;
    }
  }
  return std::nullopt;
}

void check_all_are_found(const NameIndex& index, const Items& items) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < items.names().size(); ++i) {
    wrong += index.find(items.list(), items.names()[i]) != i ? 1U : 0U;
  }
  CHECK(wrong == 0);
}

TEST_CASE("every name is found at its position, and no other name is") {
  for (const std::size_t count : {0U, 1U, 2U, 3U, 4U, 12U, 13U, 48U, 49U, 1'000U, 20'000U}) {
    CAPTURE(count);
    const Items items(ordinary(count));
    NameIndex index;
    REQUIRE(index.build(items.list()) == std::nullopt);
    CHECK_FALSE(index.is_sorted());
    check_all_are_found(index, items);
    for (const char* absent :
         {"", "blk.0.attn_q.weigh", "blk.0.attn_q.weight ", "BLK.0.attn_q.weight"}) {
      CHECK(index.find(items.list(), absent) == std::nullopt);
    }
  }
}

TEST_CASE("an index that was never built finds nothing") {
  const NameIndex index;
  CHECK(index.find({}, "w") == std::nullopt);
  CHECK(index.find({}, "") == std::nullopt);
}

TEST_CASE("names compare as bytes: empty, with NULs, and with prefixes in common") {
  const Items items({"", std::string("\0", 1), std::string("\0\0", 2), "a", std::string("a\0", 2),
                     "ab", std::string("a\0b", 3), "\xFF", "abcdefgh", "abcdefghi",
                     std::string(5'000, 'x'), std::string(5'001, 'x')});
  NameIndex index;
  REQUIRE(index.build(items.list()) == std::nullopt);
  check_all_are_found(index, items);
}

TEST_CASE("names of every length from 0 to 40 are told apart in every byte") {
  std::vector<std::string> names;
  for (std::size_t length = 0; length <= 40; ++length) {
    const std::string plain(length, 'a');
    names.push_back(plain);
    for (std::size_t at = 0; at < length; ++at) {
      names.push_back(plain);
      names.back()[at] = 'b';
    }
  }
  const Items items(std::move(names));
  NameIndex index;
  REQUIRE(index.build(items.list()) == std::nullopt);
  check_all_are_found(index, items);
}

TEST_CASE("the first name that stood before is reported, hashed or sorted") {
  for (const bool hostile : {false, true}) {
    CAPTURE(hostile);
    std::vector<std::string> names = hostile ? colliding_names(1'500, 11) : ordinary(1'500);
    names.insert(names.begin() + 1'200, names[1'100]);  // 1,200 repeats
    names.insert(names.begin() + 1'400, names[3]);      // and later 1,400
    names.push_back(names[1'100]);                      // and a third time
    const Items items(std::move(names));
    NameIndex index;
    CHECK(index.build(items.list()) == naive_repetition(items.names()));
    CHECK(index.build(items.list()) == 1'200U);
  }
}

TEST_CASE("names chosen to collide make the index sort, and it stays right") {
  // 1,500 names take a table of 2,048 slots; all of these want the same one.
  const Items items(colliding_names(1'500, 11));
  REQUIRE(NameIndex::hash(items.names()[0]) % 2'048 ==
          NameIndex::hash(items.names()[1'499]) % 2'048);
  NameIndex index;
  REQUIRE(index.build(items.list()) == std::nullopt);
  CHECK(index.is_sorted());
  check_all_are_found(index, items);
  CHECK(index.find(items.list(), "absent") == std::nullopt);
  CHECK(index.find(items.list(), "") == std::nullopt);
  CHECK(index.find(items.list(), "~~~~~~~~~~~~") == std::nullopt);
}

TEST_CASE("as few collisions as the limit allows are still hashed") {
  const Items items(colliding_names(NameIndex::kProbeLimit, 10));
  NameIndex index;
  REQUIRE(index.build(items.list()) == std::nullopt);
  CHECK_FALSE(index.is_sorted());
  check_all_are_found(index, items);
}

TEST_CASE("a built index can be built anew, for other names") {
  const Items hostile(colliding_names(1'500, 11));
  const Items honest(ordinary(100));
  NameIndex index;
  REQUIRE(index.build(hostile.list()) == std::nullopt);
  REQUIRE(index.build(honest.list()) == std::nullopt);
  CHECK_FALSE(index.is_sorted());
  check_all_are_found(index, honest);
  REQUIRE(index.build(hostile.list()) == std::nullopt);
  check_all_are_found(index, hostile);
}

TEST_CASE("an index keeps no pointer to its names: they may move") {
  const Items here(ordinary(500));
  NameIndex index;
  REQUIRE(index.build(here.list()) == std::nullopt);
  const Items there(ordinary(500));
  const NameIndex moved = std::move(index);
  check_all_are_found(moved, there);
}

TEST_CASE("a million ordinary names are hashed, not sorted") {
  const Items items(ordinary(1'000'000));
  NameIndex index;
  REQUIRE(index.build(items.list()) == std::nullopt);
  CHECK_FALSE(index.is_sorted());
  CHECK(index.find(items.list(), "blk.999999.attn_q.weight") == 999'999U);
}

}  // namespace
}  // namespace ballast::test
