#include "tests/faults/scenarios.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include <ballast/error.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#include <ballast/model_data.hpp>

#include "platform/memory.hpp"
#include "tests/faults/system_calls.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kI8 = 24;

/// The test's own doing, which never fails.
struct Paused {
  CallsPaused calls;
  AllocationsPaused allocations;
};

const TempDir& folder() {
  static const TempDir kFolder;
  return kFolder;
}

// ---- Files -------------------------------------------------------------------------------------

/// A model with some of everything, and a tensor of so many bytes.
Bytes gguf(std::uint64_t size) {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("general.name", "a name that is too long to lie inside of a string object")
      .entry("tokenizer.ggml.tokens", array_of<std::string>({"one", "two", "three"}))
      .entry("depth", 1.5F)
      .tensor({.name = "blk.0.attn_norm.weight", .dims = {32}})
      .tensor({.name = "blk.0.ffn_down.weight.of.a.long.name", .dims = {size}, .dtype = kI8})
      .build()
      .bytes();
}

Bytes split_part(unsigned number, unsigned count) {
  return GgufBuilder()
      .entry("split.no", static_cast<std::uint16_t>(number))
      .entry("split.count", static_cast<std::uint16_t>(count))
      .entry("split.tensors.count", static_cast<std::int32_t>(count))
      .tensor({.name = "part." + std::to_string(number), .dims = {100}})
      .build()
      .bytes();
}

Bytes safetensors(const std::string& name) {
  return SafetensorsBuilder()
      .entry("format", "pt")
      .tensor({.name = name, .dtype = "F32", .shape = {10, 10}})
      .build()
      .bytes();
}

/// Members of bgzip, each of which says how large it is (the SAM specification, 4.1).
Bytes bgzip(std::span<const std::byte> bytes) {
  constexpr std::size_t kPart = 0xFF00;
  Bytes out;
  for (bool is_last = false; !is_last; is_last = bytes.empty()) {
    const auto part = bytes.first(std::min(kPart, bytes.size()));
    Bytes member = gzip_member(part, {.level = 1, .extra = bytes_of(std::string("BC\2\0\0\0", 6))});
    const std::size_t size = member.size() - 1;
    member[16] = static_cast<std::byte>(size & 0xFF);
    member[17] = static_cast<std::byte>(size >> 8);
    append(out, member);
    bytes = bytes.subspan(part.size());
  }
  return out;
}

Bytes zstd_in_two(std::span<const std::byte> bytes) {
  const auto half = bytes.size() / 2;
  Bytes out = zstd_frame(bytes.first(half), {.level = 1});
  append(out, zstd_frame(bytes.subspan(half), {.level = 1}));
  return out;
}

/// What comes out of a file that does not say how much that is.
Bytes stream(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return bytes_of(std::string(std::istreambuf_iterator<char>(file), {}));
}

// ---- Comparing ---------------------------------------------------------------------------------

void require(bool holds, const char* what) {
  if (!holds) throw WrongAnswer(what);
}

bool are_equal(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

void require_bytes(const ModelData& data, std::span<const std::byte> bytes) {
  require(data.size() == bytes.size(), "so many bytes are not right");
  require(are_equal(data.bytes(), bytes), "the bytes are wrong");
}

/// The tensors of a model, side by side, are the same as those of another one.
void require_same(const Model& model, const Model& right) {
  require(model.tensors().size() == right.tensors().size(), "so many tensors are not right");
  for (const Tensor& tensor : right.tensors()) {
    const Tensor* const found = model.find(tensor.name);
    require(found != nullptr, "a tensor is missing");
    require(are_equal(model.bytes(*found), right.bytes(tensor)), "a tensor is wrong");
  }
  require(model.metadata().size() == right.metadata().size(), "entries are missing");
}

// ---- Descriptors -------------------------------------------------------------------------------

/// A pipe that does not block, into which somebody writes once it has been asked for bytes in vain.
class LatePipe {
 public:
  explicit LatePipe(const Bytes& bytes) {
    const Paused paused;
    require(::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) == 0, "no pipe");
    const std::uint64_t polls = calls_of(Call::poll);
    writer_ = std::thread([this, polls, &bytes] {
      const Paused also_here;
      while (!is_over_ && calls_of(Call::poll) == polls) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
      is_written_ =
          ::write(ends_[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
      ::close(ends_[1]);
    });
  }
  LatePipe(const LatePipe&) = delete;
  LatePipe& operator=(const LatePipe&) = delete;
  ~LatePipe() {
    const Paused paused;
    is_over_ = true;
    writer_.join();
    ::close(ends_[0]);
  }

  [[nodiscard]] int reader() const noexcept { return ends_[0]; }

 private:
  std::array<int, 2> ends_{-1, -1};
  std::atomic<bool> is_over_{false};
  bool is_written_ = false;
  std::thread writer_;
};

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) {
    const Paused paused;
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    const Paused paused;
    ::close(descriptor_);
  }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// ---- The loader --------------------------------------------------------------------------------

void load_by_pieces(const fs::path& path, std::span<const std::byte> file,
                    std::span<const std::byte> right) {
  Loader loader({.path = path});
  try {
    for (std::size_t at = 0; at < file.size();) {
      const std::size_t size = std::min<std::size_t>(300'000, file.size() - at);
      loader.push(file.subspan(at, size));
      at += size;
    }
    const ModelData data = loader.finish();
    require_bytes(data, right);
  } catch (const WrongAnswer&) {
    throw;
  } catch (...) {
    require_ended(loader);
    throw;
  }
}

// ---- All of them -------------------------------------------------------------------------------

class Collection {
 public:
  Collection() {
    add_plain();
    add_limit();
    add_descriptors();
    add_sets();
    add_compressed();
  }
  [[nodiscard]] const std::vector<Scenario>& all() const noexcept { return all_; }

 private:
  void add(std::string name, std::vector<fs::path> files, std::function<void()> run) {
    all_.push_back({std::move(name), std::move(run), std::move(files)});
  }

  void add_plain() {
    const fs::path small = folder().write("small.gguf", small_);
    const fs::path large = folder().write("large.gguf", large_);
    add("open, which maps", {small}, [=, this] { require_bytes(ModelData::open(small), small_); });
    add("open_mmap", {small}, [=, this] { require_bytes(ModelData::open_mmap(small), small_); });
    add("read", {small}, [=, this] { require_bytes(ModelData::read(small), small_); });
    add("read, in chunks", {large}, [=, this] { require_bytes(ModelData::read(large), large_); });
    add("a model", {small}, [=, this] { require_same(Model::open(small), small_model_); });
    add("the loader", {small}, [=, this] { load_by_pieces(small, small_, small_); });
    const fs::path mapped = folder().write("mapped.gguf", mapped_);
    add("the loader, of a large model", {mapped},
        [=, this] { load_by_pieces(mapped, mapped_, mapped_); });
  }

  // Loads ask for it where they take more memory than is worth a test.
  void add_limit() {
    add("the memory limit", {}, [] { require(platform::memory_limit() > 0, "no memory at all"); });
  }

  void add_descriptors() {
    const fs::path small = folder() / "small.gguf";
    add("a descriptor", {}, [=, this] {
      const OpenFile file(small);
      require_bytes(ModelData::open_descriptor(file.descriptor()), small_);
    });
    add("a pipe that does not block", {}, [this] {
      const LatePipe pipe(small_);
      require_same(Model::from_data(ModelData::open_descriptor(pipe.reader())), small_model_);
    });
    add("a file without a size", {"/proc/version"},
        [this] { require_bytes(ModelData::open("/proc/version"), proc_); });
    all_.back().has_no_size = true;
  }

  void add_sets() {
    std::vector<fs::path> parts;
    std::vector<Bytes> bytes;
    for (unsigned i = 0; i < 3; ++i) {
      const std::string name = "part-0000" + std::to_string(i + 1) + "-of-00003.gguf";
      parts.push_back(folder().write(name, split_part(i, 3)));
    }
    const std::vector<fs::path> shards{folder().write("a.safetensors", safetensors("a")),
                                       folder().write("b.safetensors", safetensors("b"))};
    const std::string index =
        IndexBuilder().tensor("a", "a.safetensors").tensor("b", "b.safetensors").build();
    const fs::path path = folder().write_text("set.safetensors.index.json", index);
    split_ = Model::open(parts[0]);
    indexed_ = Model::open(path);
    add("a split set", parts, [=, this] { require_same(Model::open(parts[0]), *split_); });
    add("an index and its shards", {path, shards[0], shards[1]},
        [=, this] { require_same(Model::open(path), *indexed_); });
  }

  void add_compressed() {
    const std::span<const std::byte> plain(middle_);
    const std::vector<std::pair<std::string, Bytes>> files{
        {"gzip", gzip_member(plain, {.level = 1})},
        {"bgzip", bgzip(plain)},
        {"zlib", zlib_stream(plain, {.level = 1})},
        {"xz", xz_stream(plain, {.level = 0, .block_bytes = 400'000})},
        {"zstd", zstd_frame(plain, {.level = 1})},
        {"zstd in two frames", zstd_in_two(plain)},
        {"LZ4", lz4_frame(plain, {.linked = false, .block_log = 20})},
    };
    for (const auto& [name, file] : files) add_compressed(name, file, middle_);
    add_compressed("bzip2", bzip2_stream(small_, 1), small_);
    add_compressed("small gzip", gzip_member(small_, {.level = 1}), small_);
  }

  void add_compressed(const std::string& name, const Bytes& file, const Bytes& right) {
    const fs::path path = folder().write(name, file);
    add(name, {path}, [=, &right] { require_bytes(ModelData::open(path), right); });
    if (right.size() != small_.size()) return;
    add("the loader, of " + name, {path}, [=, &right] { load_by_pieces(path, file, right); });
  }

  Bytes small_ = gguf(40'000);
  Bytes middle_ = gguf(1'060'000);
  Bytes mapped_ = gguf(4'300'000);  // into memory that is mapped for it
  Bytes large_ = gguf(8'500'000);   // by several threads
  Bytes proc_ = stream("/proc/version");
  Model small_model_ = Model::from_data(ModelData::from_vector(small_));
  std::optional<Model> split_;
  std::optional<Model> indexed_;
  std::vector<Scenario> all_;
};

/// Whatever the answers, the bytes stay what they are.
void advise(const fs::path& path, std::span<const std::byte> right) {
  const ModelData data = ModelData::open_mmap(path);
  for (const Advice advice : {Advice::sequential, Advice::random, Advice::will_need,
                              Advice::populate_read, Advice::cold, Advice::huge_page}) {
    const Advised answer = data.advise(advice);
    require(answer.failed() == static_cast<bool>(answer.error()), "a failure without a reason");
  }
  static_cast<void>(data.release_cpu_pages());
  const Advised dropped = data.release_cpu_pages(0, ModelData::npos, PageCache::drop);
  require(dropped.failed() == static_cast<bool>(dropped.error()), "a failure without a reason");
  static_cast<void>(data.unchanged());
  static_cast<void>(data.intact());
  require_bytes(data, right);
}

}  // namespace

void require_ended(Loader& loader) {
  const Paused paused;
  require(loader.progress().done == 0 && !loader.progress().total, "a failed loader holds bytes");
  try {
    loader.push(bytes_of("more"));
  } catch (const Error& error) {
    return require(error.code() == Errc::misuse, "a failed loader refuses for a wrong reason");
  }
  throw WrongAnswer("a failed loader goes on");
}

const std::vector<Scenario>& scenarios() {
  static const Collection kCollection;
  return kCollection.all();
}

const std::vector<Scenario>& advice_scenarios() {
  static const Bytes kBytes = gguf(400'000);
  static const fs::path kPath = folder().write("advised.gguf", kBytes);
  static const std::vector<Scenario> kAll{
      {"advice, and the state of the file", [] { advise(kPath, kBytes); }, {kPath}}};
  return kAll;
}

const fs::path& scenario_folder() { return folder().path(); }

}  // namespace ballast::test
