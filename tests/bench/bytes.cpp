// What getting at the bytes costs, each way beside the plain way in the same run.
//
//     bench-bytes touch FILE ROUNDS         every byte through the map, beside mmap(2)
//     bench-bytes touch-boost FILE ROUNDS   the same, beside Boost.Iostreams' mapped_file
//     bench-bytes read FILE ROUNDS          every byte into one vector, beside pread(2) into huge
//                                           pages
//     bench-bytes read-vector FILE ROUNDS   the same, beside what everybody writes: ifstream into a
//                                           vector
//     bench-bytes release FILE              resident memory before and after giving it back
//
// Prints a line of measure.hpp's.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#ifdef BALLAST_BENCH_HAS_BOOST_IOSTREAMS  // a peer, where it is installed
#include <boost/iostreams/device/mapped_file.hpp>
#endif

#include <ballast/ballast.hpp>

#include "tests/bench/measure.hpp"

namespace {

std::uint64_t sink = 0;

// The same loop for both sides: what is compared is the map, not the loop.
[[gnu::noinline]] void exclusive_or(std::span<const std::byte> bytes) {
  std::uint64_t all = 0;
  for (std::size_t at = 0; at + sizeof all <= bytes.size(); at += sizeof all) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    all ^= word;
  }
  sink ^= all;
}

class PlainFile {
 public:
  explicit PlainFile(const char* path) : descriptor_(open(path, O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) {
      std::perror(path);
      std::exit(1);
    }
    size_ = static_cast<std::size_t>(status.st_size);
  }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;
  ~PlainFile() { close(descriptor_); }

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  int descriptor_;
  std::size_t size_ = 0;
};

void plain_touch(const char* path) {
  const PlainFile file(path);
  void* map = mmap(nullptr, file.size(), PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (map == MAP_FAILED) std::exit(1);
  exclusive_or({static_cast<const std::byte*>(map), file.size()});
  munmap(map, file.size());
}

#ifdef BALLAST_BENCH_HAS_BOOST_IOSTREAMS
void boost_touch(const char* path) {
  const boost::iostreams::mapped_file_source file(path);
  exclusive_or(std::as_bytes(std::span(file.data(), file.size())));
}
#endif

void ballast_touch(const char* path) {
  const ballast::ModelData data = ballast::ModelData::open(path);
  exclusive_or(data.bytes());
}

// pread(2) in pieces of 1 MiB into a buffer of huge pages: the fastest plain way into fresh memory.
void plain_read(const char* path) {
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const PlainFile file(path);
  const std::size_t length = file.size() + kHuge;
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::exit(1);
  madvise(memory, length, MADV_HUGEPAGE);
  auto* at = reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(memory) + kHuge - 1) /
                                     kHuge * kHuge);
  for (std::size_t done = 0; done < file.size();) {
    const ssize_t got = pread(file.descriptor(), at + done, std::min(kPiece, file.size() - done),
                              static_cast<off_t>(done));
    if (got <= 0) std::exit(1);
    done += static_cast<std::size_t>(got);
  }
  munmap(memory, length);
}

void vector_read(const char* path) {
  std::vector<char> bytes(PlainFile(path).size());
  std::ifstream(path, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  sink ^= static_cast<std::uint64_t>(bytes.back());
}

void ballast_read(const char* path) {
  const ballast::ModelData data = ballast::ModelData::read(path);
  sink ^= static_cast<std::uint64_t>(data.bytes().back());
}

int compare(const char* path, int rounds, void (*plain)(const char*), void (*ours)(const char*)) {
  ballast::bench::print_comparison(
      PlainFile(path).size(), rounds, [&] { plain(path); }, [&] { ours(path); });
  return 0;
}

std::size_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == "RssFile:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// Prints: resident bytes of the file after touching it all, and after giving it back, over what was
// there before.
int release(const char* path) {
  const ballast::ModelData data = ballast::ModelData::open(path);
  const std::size_t before = resident_file_bytes();
  exclusive_or(data.bytes());
  const std::size_t touched = resident_file_bytes();
  data.release_cpu_pages();
  std::printf("%zu %zu %zu\n", touched - before,
              resident_file_bytes() - std::min(before, resident_file_bytes()), data.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 9;
  if (mode == "touch" && argc >= 3) return compare(argv[2], rounds, plain_touch, ballast_touch);
#ifdef BALLAST_BENCH_HAS_BOOST_IOSTREAMS
  if (mode == "touch-boost" && argc >= 3)
    return compare(argv[2], rounds, boost_touch, ballast_touch);
#endif
  if (mode == "read-vector" && argc >= 3)
    return compare(argv[2], rounds, vector_read, ballast_read);
  if (mode == "read" && argc >= 3) return compare(argv[2], rounds, plain_read, ballast_read);
  if (mode == "release" && argc == 3) return release(argv[2]);
  std::fprintf(
      stderr,
      "usage: bench-bytes touch|touch-boost|read|read-vector FILE [ROUNDS] | release FILE\n");
  return 2;
}
