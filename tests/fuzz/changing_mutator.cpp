// Changes the file of an input by its structure, or what the input says of its changes; or, one
// time in four, bytes.
#include "tests/fuzz/changing_input.hpp"
#include "tests/fuzz/gguf_mutate.hpp"
#include "tests/fuzz/safetensors_mutate.hpp"

namespace ballast::test {
namespace {

void mutate_file(std::string& file, Random& random) {
  if (file.starts_with("GGUF") && file.size() >= kHead) {
    mutate_gguf(file, random);
  } else if (file.starts_with("{")) {
    mutate_json(file, random);
  } else if (file.size() >= kLengthBytes) {
    mutate_safetensors(file, random);
  }
}

// One more change, or another in place of one.
void mutate_changes(std::string& end, Random& random) {
  std::size_t count = end.size() / kChangeBytes;
  std::string change(kChangeBytes, '\0');
  for (char& byte : change) byte = static_cast<char>(random.next());
  if (random.one_in(2)) change[0] = static_cast<char>(random.below(32));
  if (!random.one_in(8)) change[1] = static_cast<char>(random.below(3));
  if (count < kMostChanges && random.one_in(2)) {
    end.insert(kChangeBytes * random.below(count + 1), change);
    ++count;
  } else if (count != 0) {
    end.replace(kChangeBytes * random.below(count), kChangeBytes, change);
  }
  end[end.size() - 2] = static_cast<char>(count);
  if (random.one_in(4)) end.back() = static_cast<char>(random.next());
}

}  // namespace
}  // namespace ballast::test

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  using namespace ballast::test;
  Random random(seed);
  if (size < 2 || random.one_in(4)) return LLVMFuzzerMutate(data, size, max_size);
  const ChangingInput input({reinterpret_cast<const std::byte*>(data), size});
  const std::size_t begin = input.file.size() + input.other.size();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string file(text.substr(0, begin));
  std::string end(text.substr(begin));
  if (random.one_in(2)) {
    mutate_file(file, random);
  } else {
    mutate_changes(end, random);
  }
  return put_back(file + end, data, max_size);
}
