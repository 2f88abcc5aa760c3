// Changes a GGUF by its structure: a number of it becomes another, an entry or a tensor is there
// twice or no more, with the count that says so.
#pragma once

#include <vector>

#include "tests/fuzz/mutate.hpp"

namespace ballast::test {
inline constexpr std::size_t kCounts =
    8;  // where that of the tensors stands, before that of the entries
inline constexpr std::size_t kHead = 24;

struct Number {
  std::size_t at = 0;
  std::size_t size = 0;
};

/// An entry or a tensor.
struct Item {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count_at = 0;
};

/// Reads what can be read, and remembers where what is.
class Walk {
 public:
  explicit Walk(std::string_view file) : file_(file) {
    const std::uint64_t tensors = take(kCounts, 8);
    const std::uint64_t entries = take(kCounts + 8, 8);
    at_ = kHead;
    for (std::uint64_t i = 0; i < entries && good_; ++i) item(kCounts + 8, [&] { entry(); });
    for (std::uint64_t i = 0; i < tensors && good_; ++i) item(kCounts, [&] { tensor(); });
  }

  std::vector<Number> numbers;
  std::vector<Item> items;

 private:
  std::uint64_t take(std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    good_ = good_ && at <= file_.size() && size <= file_.size() - at;
    if (!good_) return 0;
    std::memcpy(&value, file_.data() + at, size);
    numbers.push_back({at, size});
    at_ = at + size;
    return value;
  }
  std::uint64_t number(std::size_t size) { return take(at_, size); }
  void skip(std::uint64_t size) {
    good_ = good_ && size <= file_.size() - at_;
    if (good_) at_ += size;
  }

  template <class Read>
  void item(std::size_t count_at, Read read) {
    const std::size_t begin = at_;
    read();
    if (good_) items.push_back({begin, at_, count_at});
  }
  void entry() {
    skip(number(8));
    value(number(4), 0);
  }
  void value(std::uint64_t type, int depth) {
    constexpr std::array<std::size_t, 13> kSizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    constexpr std::uint64_t kString = 8;
    constexpr std::uint64_t kArray = 9;
    if (type >= kSizes.size() || depth > 8) {
      good_ = false;
    } else if (type == kString) {
      skip(number(8));
    } else if (type == kArray) {
      const std::uint64_t element = number(4);
      const std::uint64_t count = number(8);
      for (std::uint64_t i = 0; i < count && good_; ++i) value(element, depth + 1);
    } else {
      static_cast<void>(number(kSizes[type]));
    }
  }
  void tensor() {
    skip(number(8));
    const std::uint64_t rank = number(4);
    for (std::uint64_t i = 0; i < rank && good_; ++i) static_cast<void>(number(8));
    static_cast<void>(number(4));
    static_cast<void>(number(8));
  }

  std::string_view file_;
  std::size_t at_ = 0;
  bool good_ = true;
};

inline void change_number(std::string& file, const Number& number, Random& random) {
  std::uint64_t value = 0;
  std::memcpy(&value, file.data() + number.at, number.size);
  value = interesting_number(random, value);
  std::memcpy(file.data() + number.at, &value, number.size);
}

inline void change_count(std::string& file, std::size_t at, std::uint64_t by) {
  std::uint64_t count = 0;
  std::memcpy(&count, file.data() + at, sizeof count);
  count += by;
  std::memcpy(file.data() + at, &count, sizeof count);
}

inline void change_items(std::string& file, const std::vector<Item>& items, Random& random) {
  const Item item = random.pick(items);
  if (random.one_in(2)) {
    file.erase(item.begin, item.end - item.begin);
    return change_count(file, item.count_at, UINT64_MAX);
  }
  std::string copy = file.substr(item.begin, item.end - item.begin);
  if (copy.size() > 8 && random.one_in(2)) ++copy[8];  // by another name
  file.insert(item.end, copy);
  change_count(file, item.count_at, 1);
}

/// The file is at least kHead bytes long.
inline void mutate_gguf(std::string& file, Random& random) {
  const Walk walk(file);
  if (!walk.items.empty() && random.one_in(3)) {
    change_items(file, walk.items, random);
  } else {
    change_number(file, random.pick(walk.numbers), random);
  }
  if (random.one_in(4)) file.append(random.below(100), '\0');  // data for what grew
}

}  // namespace ballast::test
