// What it costs to read a directory, in memory and in steps, of the worst inputs that there are: in
// proportion to the input, whatever that says. No clock is asked: steps are counted where the build
// counts them (tests/support/steps.hpp), and memory always.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/name_index.hpp>

#include "ballast/shards.hpp"
#include "tests/support/bounds.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kSmall = std::size_t{4} << 10;
constexpr std::size_t kMiddle = std::size_t{64} << 10;
constexpr std::size_t kLarge = std::size_t{1} << 20;

// ---- What is read ------------------------------------------------------------------------------

void read_directory(const Bytes& bytes) { static_cast<void>(parse_whole(bytes)); }

void read_index(const Bytes& bytes) { static_cast<void>(parse_index(bytes, ParseOptions())); }

// Every element of every array, and every key and tensor by its name.
void read_all(const Value& value) {
  if (const auto array = value.get<Array>()) {
    for (const Value element : *array) read_all(element);
  }
}
void read_lazily(const Bytes& bytes) {
  ParseOptions options;
  options.limits.max_array_depth = kMaxArrayDepth;
  const Directory directory = parse_whole(bytes, options);
  for (const Entry& entry : directory.metadata) {
    static_cast<void>(directory.metadata.find(entry.key));
    read_all(entry.value);
  }
  for (const Tensor& tensor : directory.tensors) static_cast<void>(directory.find(tensor.name));
}

// The directory is parsed again each time that what has come doubles.
void push_bytes(const Bytes& bytes) {
  Loader loader;
  for (const std::byte& byte : bytes) loader.push({&byte, 1});
  static_cast<void>(loader.finish());
}

// ---- Inputs of about a size --------------------------------------------------------------------

std::string number(std::size_t i) { return std::to_string(i); }

/// As many of what `item` makes as there is room for; each is told its number.
std::string many(std::size_t size, const std::function<std::string(std::size_t)>& item) {
  std::string out;
  for (std::size_t i = 0; out.size() < size; ++i) out += item(i);
  return out;
}

/// The same as the members of a JSON object, or the elements of an array.
std::string listed(std::size_t size, const std::function<std::string(std::size_t)>& item,
                   std::string_view around = "{}") {
  std::string out = many(size, [&](std::size_t i) { return item(i) + ","; });
  out.back() = around[1];
  return around[0] + out;
}

Bytes u64(std::uint64_t value) {
  Bytes out;
  append_number(out, value, 8);
  return out;
}

/// A GGUF of entries that are given as bytes: a tail of the file, whose count is known.
Bytes gguf_of(std::uint64_t tensors, std::uint64_t entries, const Bytes& items) {
  Bytes out = bytes_of("GGUF");
  append_number(out, 3, 4);
  append(out, u64(tensors));
  append(out, u64(entries));
  append(out, items);
  return out;
}

Bytes gguf_string(std::string_view text) {
  Bytes out = u64(text.size());
  append(out, bytes_of(text));
  return out;
}

/// An entry that is an array: its element type, its count, and elements as bytes.
Bytes gguf_array(ValueType type, std::uint64_t count, const Bytes& elements) {
  Bytes out;
  append_number(out, static_cast<std::uint64_t>(type), 4);
  append(out, u64(count));
  append(out, elements);
  return out;
}

Bytes gguf_entry(std::string_view key, ValueType type, const Bytes& value) {
  Bytes out = gguf_string(key);
  append_number(out, static_cast<std::uint64_t>(type), 4);
  append(out, value);
  return out;
}

Bytes gguf_tensor(std::string_view name, std::uint32_t dtype = 0, std::uint64_t offset = 0) {
  Bytes out = gguf_string(name);
  append_number(out, 1, 4);
  append(out, u64(0));  // elements
  append_number(out, dtype, 4);
  append(out, u64(offset));
  return out;
}

/// A GGUF of as many entries, or tensors, as there is room for.
Bytes gguf_entries(std::size_t size, const std::function<Bytes(std::size_t)>& entry) {
  Bytes items;
  std::uint64_t count = 0;
  for (; items.size() < size; ++count) append(items, entry(count));
  return gguf_of(0, count, items);
}
Bytes gguf_tensors(std::size_t size, const std::function<Bytes(std::size_t)>& tensor) {
  Bytes items;
  std::uint64_t count = 0;
  for (; items.size() < size; ++count) append(items, tensor(count));
  return gguf_of(count, 0, items);
}

Bytes safetensors_of(const std::string& header) { return safetensors_with(header).bytes(); }

std::string empty_tensor(const std::string& name) {
  return json_string(name) + R"(:{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
}

std::string weight_map(const std::string& object) { return R"({"weight_map":)" + object + "}"; }

/// Different names whose hashes, taken modulo a power of two, are small: whatever the size of a
/// table, they want few of its places, all in a row.
std::vector<std::string> names_near(std::string_view prefix, std::size_t count,
                                    std::uint64_t modulus, std::uint64_t places) {
  std::vector<std::string> names;
  for (std::size_t i = 0; names.size() < count; ++i) {
    std::string name = std::string(prefix) + number(i);
    if (NameIndex::hash(name) % modulus < places) names.push_back(std::move(name));
  }
  return names;
}

/// As many as can want the same places, time and again, and are not taken for hostile: some 200 to
/// 400 before there is a gap.
const std::string& unnoticed(std::size_t i) {
  static const std::vector<std::string> kNames = names_near("", 30'000, 512, 8);
  return kNames.at(i);
}

/// So many that they are sorted instead, in every table of 2^10 to 2^17 places.
const std::string& hostile(std::size_t i) {
  constexpr std::uint64_t kPlaces = std::uint64_t{1} << 17;
  static const std::vector<std::string> kFirst = names_near("a", 1500, kPlaces, 256);
  static const std::vector<std::string> kOthers = names_near("b", 90'000, kPlaces, 4096);
  return i < kFirst.size() ? kFirst[i] : kOthers.at(i - kFirst.size());
}

/// How many items of `each` bytes are one more than a vector holds that doubled as often as it had
/// to.
std::size_t one_too_many(std::size_t size, std::size_t each) {
  return std::bit_floor(size / each) + 1;
}

/// An array in arrays, so deep, around one number.
Bytes nested(std::size_t depth) {
  Bytes value;
  for (std::size_t i = 1; i < depth; ++i) append(value, gguf_array(ValueType::array, 1, {}));
  append(value, gguf_array(ValueType::u8, 1, bytes_of("x")));
  return value;
}

// ---- The table ---------------------------------------------------------------------------------

using Input = Bytes (*)(std::size_t size);  // of about that size

struct Bound {
  std::string_view fact;
  Input input;
  Errc refusal = Errc::ok;
  void (*read)(const Bytes&) = read_directory;
};

constexpr Bound kGguf[]{
    {"tensors of no elements",
     [](std::size_t size) {
       return gguf_tensors(size, [](std::size_t i) { return gguf_tensor(number(i)); });
     }},
    {"entries of one byte",
     [](std::size_t size) {
       return gguf_entries(
           size, [](std::size_t i) { return gguf_entry(number(i), ValueType::u8, bytes_of("x")); });
     }},
    {"arrays of one element",
     [](std::size_t size) {
       return gguf_entries(size, [](std::size_t i) {
         return gguf_entry(number(i), ValueType::array,
                           gguf_array(ValueType::u8, 1, bytes_of("x")));
       });
     },
     Errc::ok, read_lazily},
    {"arrays as deep as they may be",
     [](std::size_t size) {
       return gguf_entries(size, [](std::size_t i) {
         return gguf_entry(number(i), ValueType::array, nested(Limits().max_array_depth));
       });
     },
     Errc::ok, read_lazily},
    {"arrays as deep as they may ever be",
     [](std::size_t size) {
       return gguf_entries(size, [](std::size_t i) {
         return gguf_entry(number(i), ValueType::array, nested(kMaxArrayDepth));
       });
     },
     Errc::ok, read_lazily},
    {"an array much deeper than it may be",
     [](std::size_t size) {
       return gguf_of(0, 1, gguf_entry("k", ValueType::array, nested(100'000 * size / kLarge)));
     },
     Errc::array_too_deep},
    {"an array of arrays without elements",
     [](std::size_t size) {
       Bytes items;
       const std::size_t count = size / 12;
       for (std::size_t i = 0; i < count; ++i) append(items, gguf_array(ValueType::u8, 0, {}));
       return gguf_of(
           0, 1, gguf_entry("k", ValueType::array, gguf_array(ValueType::array, count, items)));
     },
     Errc::ok, read_lazily},
    {"an array of empty strings",
     [](std::size_t size) {
       return gguf_of(0, 1,
                      gguf_entry("k", ValueType::array,
                                 gguf_array(ValueType::string, size / 8, Bytes(size / 8 * 8))));
     },
     Errc::ok, read_lazily},
    {"bools that are neither true nor false",
     [](std::size_t size) {
       return gguf_entries(size, [](std::size_t i) {
         return gguf_entry(number(i), ValueType::boolean, bytes_of("x"));
       });
     }},
    {"names that are not UTF-8, and hold a NUL",
     [](std::size_t size) {
       return gguf_tensors(size,
                           [](std::size_t i) { return gguf_tensor("\xFF" + number(i) + '\0'); });
     }},
    {"tensors of unknown types",
     [](std::size_t size) {
       Bytes file =
           gguf_tensors(size, [](std::size_t i) { return gguf_tensor(number(i), 4'000'000'000U); });
       append(file, Bytes(64));  // where they begin, wherever they end
       return file;
     }},
    {"tensors of eight dimensions",
     [](std::size_t size) {
       return gguf_tensors(size, [](std::size_t i) {
         Bytes out = gguf_string(number(i));
         append_number(out, 8, 4);
         append(out, Bytes(64));
         append(out, Bytes(12));  // a type and an offset
         return out;
       });
     }},
    {"tensors in no order",
     [](std::size_t size) {
       Bytes file = gguf_tensors(size, [](std::size_t i) {
         return gguf_tensor(number(i), 0, 32 * (i * 2'654'435'761U % 64));
       });
       append(file, Bytes(64 * 32));
       return file;
     }},
    {"the last two of many tensors of one name",
     [](std::size_t size) {
       Bytes items = gguf_tensor("0");
       std::uint64_t count = 1;
       for (; items.size() < size; ++count) append(items, gguf_tensor(number(count)));
       append(items, gguf_tensor(number(count - 1)));
       return gguf_of(count + 1, 0, items);
     },
     Errc::duplicate_tensor},
    {"names that collide as much as they can unnoticed",
     [](std::size_t size) {
       return gguf_tensors(size, [](std::size_t i) { return gguf_tensor(unnoticed(i)); });
     },
     Errc::ok, read_lazily},
    {"names that collide until they are sorted",
     [](std::size_t size) {
       return gguf_tensors(size, [](std::size_t i) { return gguf_tensor(hostile(i)); });
     },
     Errc::ok, read_lazily},
    {"long keys that differ at their end",
     [](std::size_t size) {
       return gguf_entries(size, [](std::size_t i) {
         return gguf_entry(std::string(1000, 'k') + number(i), ValueType::u8, bytes_of("x"));
       });
     }},
    {"entries of one byte, byte by byte",
     [](std::size_t size) {
       return gguf_entries(
           size, [](std::size_t i) { return gguf_entry(number(i), ValueType::u8, bytes_of("x")); });
     },
     Errc::ok, push_bytes},
};

constexpr Bound kSafetensors[]{
    {"tensors of no elements",
     [](std::size_t size) {
       return safetensors_of(listed(size, [](std::size_t i) { return empty_tensor(number(i)); }));
     }},
    {"metadata of empty strings",
     [](std::size_t size) {
       return safetensors_of(
           R"({"__metadata__":)" +
           listed(size, [](std::size_t i) { return json_string(number(i)) + R"(:"")"; }) + "}");
     }},
    {"metadata of one key, one more than there was room for",
     [](std::size_t size) {
       std::string header = R"({"__metadata__":{)";
       for (std::size_t i = one_too_many(size, 6); i > 0; --i) header += R"("":"",)";
       header.back() = '}';
       return safetensors_of(header + "}");
     },
     Errc::duplicate_key},
    {"a name of nothing but escapes",
     [](std::size_t size) {
       return safetensors_of("{\"" + many(size, [](std::size_t) { return "\\u0041"; }) +
                             R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
     }},
    {"names of surrogate pairs",
     [](std::size_t size) {
       return safetensors_of(listed(size, [](std::size_t i) {
         return R"("\ud83d\ude00)" + number(i) +
                R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
       }));
     }},
    {"half a surrogate pair at the end of a long name",
     [](std::size_t size) {
       return safetensors_of("{\"" + many(size, [](std::size_t) { return R"(\ud83d\ude00)"; }) +
                             R"(\ud83d":0})");
     },
     Errc::bad_json},
    {"values that nobody asked for, much deeper than they may be",
     [](std::size_t size) { return safetensors_of(R"({"a":{"x":)" + std::string(size, '[')); },
     Errc::json_too_deep},
    {"values that nobody asked for, as deep as they may be",
     [](std::size_t size) {
       return safetensors_of(
           R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":)" +
           listed(
               size, [](std::size_t) { return std::string(120, '[') + std::string(120, ']'); },
               "[]") +
           "}}");
     }},
    {"a number as long as the file",
     [](std::size_t size) {
       return safetensors_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":)" +
                             std::string(size, '9') + "}}");
     }},
    {"a dimension as long as the file",
     [](std::size_t size) {
       return safetensors_of(R"({"a":{"dtype":"U8","shape":[)" + std::string(size, '9') + "]}}");
     },
     Errc::bad_field},
    {"a description of one field many times",
     [](std::size_t size) {
       return safetensors_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],)" +
                             listed(size, [](std::size_t) { return R"("x":0)"; }).substr(1) + "}");
     }},
    {"descriptions that are odd at their end",
     [](std::size_t size) {
       return safetensors_of(listed(size, [](std::size_t i) {
         return json_string(number(i)) + R"(:{"dtype":"U8","shape":[0],"data_offsets":[0,0] })";
       }));
     }},
    {"tensors of unknown types",
     [](std::size_t size) {
       return safetensors_of(listed(size, [](std::size_t i) {
         return json_string(number(i)) + R"(:{"dtype":"\u0041","shape":[],"data_offsets":[0,0]})";
       }));
     }},
    {"tensors of many dimensions",
     [](std::size_t size) {
       return safetensors_of(listed(size, [](std::size_t i) {
         return json_string(number(i)) + R"(:{"dtype":"U8","data_offsets":[0,0],"shape":)" +
                listed(800, [](std::size_t) { return "0"; }, "[]") + "}";
       }));
     }},
    {"white space",
     [](std::size_t size) { return safetensors_of("{" + std::string(size, ' ') + "}"); }},
    {"the last two of many tensors of one name",
     [](std::size_t size) {
       std::string header = listed(size, [](std::size_t i) { return empty_tensor(number(i)); });
       header.back() = ',';
       return safetensors_of(header + empty_tensor("7") + "}");
     },
     Errc::duplicate_tensor},
    {"a hole in front of the last of many tensors",
     [](std::size_t size) {
       std::string header = listed(size, [](std::size_t i) { return empty_tensor(number(i)); });
       header.back() = ',';
       return safetensors_of(header + R"("w":{"dtype":"U8","shape":[0],"data_offsets":[9,9]}})");
     },
     Errc::hole},
    {"names that collide as much as they can unnoticed",
     [](std::size_t size) {
       return safetensors_of(
           listed(size, [](std::size_t i) { return empty_tensor(unnoticed(i)); }));
     },
     Errc::ok, read_lazily},
    {"names that collide until they are sorted",
     [](std::size_t size) {
       return safetensors_of(
           R"({"__metadata__":)" +
           listed(size, [](std::size_t i) { return json_string(hostile(i)) + R"(:"")"; }) + "}");
     },
     Errc::ok, read_lazily},
    {"metadata of empty strings, byte by byte",
     [](std::size_t size) {
       return safetensors_of(
           R"({"__metadata__":)" +
           listed(size, [](std::size_t i) { return json_string(number(i)) + R"(:"")"; }) + "}");
     },
     Errc::ok, push_bytes},
};

constexpr Bound kIndex[]{
    {"tensors in two files by turns",
     [](std::size_t size) {
       return bytes_of(weight_map(listed(size, [](std::size_t i) {
         return json_string(number(i)) + (i % 2 == 0 ? R"(:"a")" : R"(:"b")");
       })));
     },
     Errc::ok, read_index},
    {"tensors in a file each",
     [](std::size_t size) {
       return bytes_of(weight_map(listed(size, [](std::size_t i) {
         return json_string(number(i)) + ":" + json_string(number(i * 2'654'435'761U));
       })));
     },
     Errc::ok, read_index},
    {"tensors of one name",
     [](std::size_t size) {
       return bytes_of(weight_map(
           listed(size, [](std::size_t i) { return i % 2 == 0 ? R"("":"a")" : R"("":"b")"; })));
     },
     Errc::duplicate_tensor, read_index},
    {"metadata of one key, one more than there was room for",
     [](std::size_t size) {
       std::string text = R"({"metadata":{)";
       for (std::size_t i = one_too_many(size, 5); i > 0; --i) text += R"("":1,)";
       text.back() = '}';
       return bytes_of(text + R"(,"weight_map":{"a":"b"}})");
     },
     Errc::duplicate_key, read_index},
    {"a number of metadata as long as the file",
     [](std::size_t size) {
       return bytes_of(R"({"metadata":{"x":)" + std::string(size, '9') + "." +
                       std::string(size, '9') + "e-" + std::to_string(size) +
                       R"(},"weight_map":{"a":"b"}})");
     },
     Errc::ok, read_index},
    {"metadata of values as deep as they may be",
     [](std::size_t size) {
       return bytes_of(R"({"metadata":)" +
                       listed(size,
                              [](std::size_t i) {
                                return json_string(number(i)) + ":" + std::string(120, '[') +
                                       std::string(120, ']');
                              }) +
                       R"(,"weight_map":{"a":"b"}})");
     },
     Errc::ok, read_index},
    {"file names of nothing but escapes",
     [](std::size_t size) {
       return bytes_of(weight_map(listed(size, [](std::size_t i) {
         return json_string(number(i)) + R"(:"\u0041\u00e9\u20ac")";
       })));
     },
     Errc::ok, read_index},
    {"names that collide until they are sorted",
     [](std::size_t size) {
       return bytes_of(weight_map(
           listed(size, [](std::size_t i) { return json_string(hostile(i)) + R"(:"a")"; })));
     },
     Errc::ok, read_index},
};

// ---- The bounds --------------------------------------------------------------------------------

struct Spent {
  std::uint64_t size = 0;
  std::uint64_t bytes = 0;
  std::uint64_t steps = 0;
};

Spent spend(const Bound& row, std::size_t size) {
  const Bytes input = row.input(size);
  Errc code = Errc::ok;
  Spent spent{.size = input.size()};
  const Cost cost;
  try {
    row.read(input);
  } catch (const Error& error) {
    code = static_cast<Errc>(error.code().value());
  }
  spent.steps = cost.steps();
  spent.bytes = cost.bytes();
  CHECK(name(code) == name(row.refusal));
  return spent;
}

/// What is linear, but for a logarithm, takes about 16 times as much for 16 times as much.
bool grows_too_fast(const Spent& before, const Spent& after) {
  const auto units = [](const Spent& spent) {
    return static_cast<double>(spent.size) * static_cast<double>(std::bit_width(spent.size));
  };
  const double due = static_cast<double>(before.steps) * units(after) / units(before);
  return static_cast<double>(after.steps) > 1.3 * due + static_cast<double>(kFreeSteps);
}

void check_bounds(const Bound& row) {
  INFO("row: " << row.fact);
  std::optional<Spent> before;
  for (const std::size_t size : {kSmall, kMiddle, kLarge}) {
    const Spent spent = spend(row, size);
    CAPTURE(spent.size, spent.bytes, spent.steps);
    // Byte by byte, the directory is parsed each time that what has come doubles.
    const std::uint64_t times = row.read == push_bytes ? 2 : 1;
    CHECK(spent.bytes <= times * most_bytes(spent.size));
    CHECK(spent.steps <= times * most_steps(spent.size));
    // What collides does so in full from some hundred names on.
    if (size == kLarge) CHECK_FALSE(grows_too_fast(*before, spent));
    before = spent;
  }
}

TEST_CASE("reading the directory of a GGUF takes memory and steps in proportion to the file") {
  for (const Bound& row : kGguf) check_bounds(row);
}

TEST_CASE("reading a safetensors header takes memory and steps in proportion to the file") {
  for (const Bound& row : kSafetensors) check_bounds(row);
}

TEST_CASE("reading the index of a set takes memory and steps in proportion to the file") {
  for (const Bound& row : kIndex) check_bounds(row);
}

// Names that take all places of a table in a row, each its own: a name that is not there, and wants
// the first of them, meets all of them.
TEST_CASE("a name that is not there is not looked for among all that are") {
  constexpr std::size_t kPlaces = 8192;
  constexpr std::size_t kNames = kPlaces * 3 / 4 - 1;  // one more, and the table is larger
  std::vector<std::string> names(kNames);
  std::string absent;
  for (std::size_t i = 0, left = names.size() + 1; left > 0; ++i) {
    const std::string name = number(i);
    const std::size_t place = NameIndex::hash(name) % kPlaces;
    std::string* wanted = place < names.size() ? &names[place] : nullptr;
    if (wanted != nullptr && !wanted->empty()) wanted = place == 0 ? &absent : nullptr;
    if (wanted == nullptr || !wanted->empty()) continue;
    *wanted = name;
    --left;
  }
  struct Item {
    std::string_view name;
  };
  std::vector<Item> items;
  for (const std::string& name : names) items.push_back({name});
  const NameList list(std::span<const Item>(items), &Item::name);
  NameIndex index;
  REQUIRE_FALSE(index.build(list));
  REQUIRE_FALSE(index.is_sorted());
  const Steps steps;
  CHECK_FALSE(index.find(list, absent));
  CHECK(steps.count() < 4 * NameIndex::kProbeLimit);
}

}  // namespace
}  // namespace ballast::test
