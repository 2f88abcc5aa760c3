// Files and memory that a thread writes to while the library reads them; and files that are cut and
// grown again. Timing decides what is read, so that these tests repeat less well than the others;
// but they see large files, every compiler and every processor.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>

#include "tests/changing_bytes/read_everything.hpp"
#include "tests/changing_bytes/totals.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_model.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

void no_stage(int /*stage*/) {}

// A file, mapped once more to be written to.
class WrittenFile {
 public:
  explicit WrittenFile(const Bytes& file) : file_(file), content_(file) {
    descriptor_ = ::open(file_.path().c_str(), O_RDWR | O_CLOEXEC);
    void* const place =
        ::mmap(nullptr, file.size(), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    REQUIRE(place != MAP_FAILED);
    bytes_ = {static_cast<std::byte*>(place), file.size()};
  }
  WrittenFile(const WrittenFile&) = delete;
  WrittenFile& operator=(const WrittenFile&) = delete;
  ~WrittenFile() {
    ::munmap(bytes_.data(), bytes_.size());
    ::close(descriptor_);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_.path(); }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] const Bytes& content() const noexcept { return content_; }

 private:
  TempFile file_;
  Bytes content_;
  int descriptor_ = -1;
  std::span<std::byte> bytes_;
};

// A thread that does something again and again while the object lives.
class Meanwhile {
 public:
  template <class Work>
  explicit Meanwhile(Work work)
      : thread_([this, work] {
          for (Random random(7); !ends_.load(std::memory_order_relaxed); ++times_) work(random);
        }) {
    while (times_.load() == 0) std::this_thread::yield();
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;
  ~Meanwhile() { end(); }

  /// How often it was done.
  std::uint64_t end() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
    return times_;
  }

 private:
  std::atomic<bool> ends_ = false;
  std::atomic<std::uint64_t> times_ = 0;
  std::thread thread_;
};

constexpr std::size_t kAtOnce = 64;

// Overwrites some bytes, waits a little, and puts them back. `head` bytes are those that matter
// most.
void scribble(std::span<std::byte> bytes, std::span<const std::byte> content, std::size_t head,
              Random& random) {
  constexpr std::string_view kNasty("\"\\\0\1\2\xFF{}u[],:09\x09\x7E\x7F", 18);
  std::array<std::size_t, kAtOnce> places{};
  for (std::size_t& place : places) {
    place = random.below(random.one_in(4) ? bytes.size() : std::min(head, bytes.size()));
    const auto byte =
        random.one_in(3) ? random.next() : static_cast<std::uint64_t>(random.pick(kNasty));
    *static_cast<volatile std::byte*>(&bytes[place]) = static_cast<std::byte>(byte);
  }
  for (std::uint64_t wait = random.below(300); wait > 0; --wait) {
    const std::size_t place = random.pick(places);
    *static_cast<volatile std::byte*>(&bytes[place]) =
        *static_cast<volatile std::byte*>(&bytes[place]);
  }
  for (const std::size_t place : places)
    *static_cast<volatile std::byte*>(&bytes[place]) = content[place];
}

struct Named {
  const char* name;
  Bytes file;
  std::size_t head;
};

std::vector<Named> models() {
  std::vector<Named> all;
  all.push_back({"GGUF", random_model(Format::gguf, 3).sample.bytes(), 2000});
  all.push_back({"safetensors", random_model(Format::safetensors, 3).sample.bytes(), 2000});
  SafetensorsBuilder strings;
  for (int i = 0; i < 400; ++i)
    strings.entry("key\n" + std::to_string(i),
                  std::string(40, 'b') + "\n\"\\" + std::string(40, 'c'));
  Bytes data;
  for (int i = 0; i < 4096; ++i) append_number(data, 0x3F800000, 4);
  strings.tensor({.name = "w", .dtype = "F32", .shape = {4096}, .data = data});
  all.push_back({"strings and floats", strings.build().bytes(), 1 << 20});
  GgufBuilder bools;
  bools.entry(
      "k", GgufValue::array(ValueType::boolean, std::vector<GgufValue>(100'000, GgufValue(false))));
  all.push_back({"bools", bools.build().bytes(), 1 << 20});
  return all;
}

constexpr int kReads = 40;

void read_file_in_every_way(const std::filesystem::path& path, const OpenOptions& options,
                            Totals& totals) {
  try {
    const Model model = Model::open(path, options);
    read_model(model, no_stage);
    for (const Model::Shard& shard : model.shards()) {
      static_cast<void>(shard.data.unchanged());
      static_cast<void>(shard.data.intact());
    }
  } catch (const Error&) {
    totals.add(0, 0);
    return;
  }
  totals.add(0, 0);
}

}  // namespace

TEST_CASE("mapped files are read while a thread writes to them", "[writer]") {
  Totals totals("mapped files");
  for (Rounds rounds; rounds.next();) {
    for (const Named& model : models()) {
      CAPTURE(model.name);
      const WrittenFile file(model.file);
      Meanwhile writer(
          [&](Random& random) { scribble(file.bytes(), file.content(), model.head, random); });
      for (int i = 0; i < kReads; ++i) {
        read_file_in_every_way(file.path(), {}, totals);
        read_file_in_every_way(file.path(), {.fault_guard = true}, totals);
        read_everything(file.bytes(), {}, no_stage);
        totals.add(0, 0);
      }
      const std::uint64_t times = writer.end();
      CHECK(times > 0);
      totals.add(0, times * kAtOnce);
      CHECK(std::ranges::equal(file.bytes(), file.content()));
      CHECK(read_everything(file.bytes(), {}, no_stage) ==
            read_everything(model.file, {}, no_stage));
    }
  }
}

TEST_CASE("borrowed memory is read while a thread writes to it", "[writer]") {
  Totals totals("borrowed memory");
  for (Rounds rounds; rounds.next();) {
    for (const Named& model : models()) {
      CAPTURE(model.name);
      Bytes bytes = model.file;
      Meanwhile writer([&](Random& random) { scribble(bytes, model.file, model.head, random); });
      for (int i = 0; i < kReads; ++i) {
        read_everything(bytes, {}, no_stage);
        totals.add(0, 0);
      }
      totals.add(0, writer.end() * kAtOnce);
      CHECK(bytes == model.file);
    }
  }
}

TEST_CASE("guarded files are read while they are cut and grown again", "[writer]") {
  Totals totals("guarded files");
  for (Rounds rounds; rounds.next();) {
    for (const Named& model : models()) {
      CAPTURE(model.name);
      const WrittenFile file(model.file);
      const auto size = static_cast<::off_t>(model.file.size());
      std::atomic<bool> is_cut = true;
      Meanwhile writer([&](Random& random) {
        is_cut = is_cut.load() &&
                 ::ftruncate(file.descriptor(),
                             static_cast<::off_t>(random.below(model.file.size()))) == 0;
        for (std::uint64_t wait = random.below(2000); wait > 0; --wait) static_cast<void>(wait);
        is_cut = is_cut.load() && ::ftruncate(file.descriptor(), size) == 0 &&
                 ::pwrite(file.descriptor(), model.file.data(), model.file.size(), 0) == size;
      });
      for (int i = 0; i < 2 * kReads; ++i)
        read_file_in_every_way(file.path(), {.fault_guard = true}, totals);
      totals.add(0, 2 * writer.end());
      CHECK(is_cut);
      const Model whole = Model::open(file.path(), {.fault_guard = true});
      CHECK_FALSE(whole.damaged());
    }
  }
}

}  // namespace ballast::test
