// Any bytes as the index of a sharded model: plain file names alone, everything found again, the
// same from pieces and from compressed ones, and at a cost that is bounded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include <ballast/error.hpp>
#include <ballast/format.hpp>

#include "ballast/shards.hpp"
#include "tests/fuzz/ways.hpp"

namespace ballast::test {
namespace {

// Said once more, in other words than the library's.
bool stays_in_its_folder(std::string_view file) {
  if (file.empty() || file == "." || file == "..") return false;
  if (file.size() > 1 && file[1] == ':') return false;
  return std::ranges::none_of(
      file, [](char byte) { return byte == '/' || byte == '\\' || byte == '\0'; });
}

void check_index(const ShardIndex& index) {
  for (const ShardIndex::Entry& entry : index.weights) {
    require(stays_in_its_folder(entry.file), "a shard lies beside its index:", entry.file);
    require(std::ranges::binary_search(index.files, entry.file), "the file of a tensor is listed");
    require(index.find(entry.tensor) == &entry, "a tensor is found by its name");
  }
  const auto not_before = std::greater_equal<>();
  require(std::ranges::adjacent_find(index.files, not_before) == index.files.end(),
          "files are sorted, each once");
  require(index.files.size() <= index.weights.size(), "a file has a tensor");
  for (const Entry& entry : index.metadata) {
    require(index.metadata.find(entry.key) == &entry.value, "a key is found by its name");
  }
}

Outcome parsed_index(std::span<const std::byte> bytes, const Limits& limits) {
  Outcome out;
  try {
    const ShardIndex index = [&] {
      const BoundedCost bounded(bytes.size());
      return parse_index(bytes, {.limits = limits});
    }();
    check_index(index);
    Digest digest;
    for (const ShardIndex::Entry& entry : index.weights) {
      digest.add(entry.tensor);
      digest.add(entry.file);
      digest.add(entry.offset);
    }
    for (const Entry& entry : index.metadata) add_value(digest, entry.value);
    out.digest = digest.value();
  } catch (const Error& error) {
    out.code = check_error(error, bytes.size());
    out.what = error.what();
  }
  return out;
}

// What a Loader that takes an index keeps of these bytes is all of them, and is parsed as they are.
void check_pushed(std::span<const std::byte> file, std::span<const std::byte> content,
                  const LoaderOptions& options, const Outcome& whole, Random& random) {
  try {
    const ModelData data = pushed(file, options, random);
    require(std::ranges::equal(data.bytes(), content), "an index is kept as it is");
    check_agrees(whole, parsed_index(data.bytes(), options.parse.limits), true, "pieces");
  } catch (const Error& error) {
    require(false, "an index is taken", error.what());
  }
}

}  // namespace
}  // namespace ballast::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ballast;
  const std::span<const std::byte> bytes = test::bytes_at(data, size);
  test::Random random = test::choices(bytes);
  const ParseOptions options = test::parse_options(random);
  const test::Outcome whole = test::parsed_index(bytes, options.limits);
  if (!test::is_thorough(bytes) || !is_json(bytes) || begins_model(bytes)) return 0;
  LoaderOptions loading{.max_bytes = size + 1024, .accept_index = true, .parse = options};
  if (random.one_in(2)) loading.total = size;
  test::check_pushed(bytes, bytes, loading, whole, random);
  if (!random.one_in(4)) return 0;
  const test::Bytes file = test::compressed(bytes, random);
  if (loading.total) loading.total = file.size();
  test::check_pushed(file, bytes, loading, whole, random);
  return 0;
}
