// upload: a model's weights go to a GPU, and the process stays small however large the model is.
//
//     ballast-upload model.gguf        or a .safetensors, a first shard, an index.json
//
// The file is mapped, and its bytes come into memory when they are touched. This program touches
// them in the order of the file, asks for those that come next, and gives back those that it has
// sent. What is decoded or read to the heap (compressed files) is sent as well, and stays there.
//
// To use it in your own program, replace StandInDevice::write().
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <ballast/ballast.hpp>

#ifdef __APPLE__  // has no /proc, and says it in a call of its own
#include <mach/mach.h>
#endif

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
/// What is sent at once, and so the size of the staging buffer.
constexpr std::size_t kPiece = 16 * kMiB;
/// How far ahead the disk is asked to read. What it reads waits in the page cache, not in this
/// process.
constexpr std::size_t kAhead = 4 * kPiece;
/// How far before a piece giving back begins: two pieces may share a page, and a touch can bring
/// in the pages around it, as far as a huge page goes.
constexpr std::size_t kAround = 2 * kMiB;

/// The memory that this process has now; empty where the system does not say. Linux counts it to
/// within a few pages for each processor.
std::optional<std::uint64_t> resident_bytes() {
#ifdef __APPLE__  // as above
  mach_task_basic_info info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  const kern_return_t status = task_info(mach_task_self(), MACH_TASK_BASIC_INFO,
                                         reinterpret_cast<task_info_t>(&info), &count);
  if (status == KERN_SUCCESS) return info.resident_size;
#else
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes * 1024;
  }
#endif
  return std::nullopt;
}

/// Stands where your GPU is, and sums up what it is given (Adler-32, RFC 1950), which takes longer
/// than to copy it.
class StandInDevice {
 public:
  /// Takes bytes of a tensor, of which `begin` is the first. Your upload goes here: a copy into the
  /// buffer that you have made for this tensor, by vkCmdCopyBuffer, CopyBufferRegion, a blit of
  /// Metal's, cudaMemcpyAsync. Where it goes on after the call, wait for it before `bytes`, which
  /// is the staging buffer, is filled again; or take turns with two. What copies before it returns
  /// (glBufferSubData, cudaMemcpy) can do without: call it on the bytes of the file.
  void write(const ballast::Tensor& /*tensor*/, std::size_t /*begin*/,
             std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {  // 16 MiB cannot overflow these before the remainder
      low_ += std::to_integer<std::uint64_t>(byte);
      high_ += low_;
    }
    low_ %= kModulus;
    high_ %= kModulus;
    received_ += bytes.size();
  }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t checksum() const { return high_ << 16 | low_; }

 private:
  static constexpr std::uint64_t kModulus = 65521;
  std::uint64_t low_ = 1;
  std::uint64_t high_ = 0;
  std::uint64_t received_ = 0;
};

/// A part of a tensor that fits into the staging buffer. A view, as tensors are: the model outlives
/// it.
struct Piece {
  const ballast::Tensor* tensor;
  const ballast::ModelData* file;
  std::size_t begin;   ///< its first byte in the tensor
  std::size_t offset;  ///< and in the file
  std::size_t size;
};

/// The tensors in the order in which they lie in the files, which need not be the order in which
/// the files list them. Throws Error for a tensor whose size is not known, before any is sent.
std::vector<Piece> pieces_in_file_order(const ballast::Model& model) {
  std::vector<const ballast::Tensor*> tensors;
  for (const ballast::Tensor& tensor : model.tensors()) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const ballast::Tensor* tensor) {
    return std::tuple(tensor->shard, tensor->offset);
  });
  std::vector<Piece> pieces;
  for (const ballast::Tensor* tensor : tensors) {
    const std::size_t size = model.bytes(*tensor).size();
    const ballast::ModelData& file = model.shards()[tensor->shard].data;
    const auto offset = static_cast<std::size_t>(tensor->offset);  // fits, as the bytes are here
    for (std::size_t begin = 0; begin < size; begin += kPiece) {
      pieces.push_back({tensor, &file, begin, offset + begin, std::min(kPiece, size - begin)});
    }
  }
  return pieces;
}

/// A mapped file that was truncated, or whose disk fails, ends a program that touches it with
/// SIGBUS. This asks first, and brings the pages in, all at once. Throws Error. What happens to the
/// file between this and the copy the fault guard survives, and the model tells at the end.
void bring_in(const Piece& piece) {
  const ballast::ModelData& file = *piece.file;
  if (!file.intact(piece.offset, piece.size)) {
    throw ballast::Error({.code = ballast::Errc::file_changed,
                          .offset = piece.offset,
                          .expected = piece.offset + piece.size,
                          .actual = piece.offset},
                         file.path().string());
  }
  const auto advised = file.advise(ballast::Advice::populate_read, piece.offset, piece.size);
  if (advised.failed()) throw ballast::Error(advised.error(), "read", file.path().string());
}

/// Gives back the pages of a piece, and what there is left around its begin.
void give_back(const Piece& piece) {
  const std::size_t around = std::min(kAround, piece.offset);
  // On the heap the answer is `unsupported`, and nothing is given back. PageCache::drop as a third
  // argument would take the bytes from the page cache, too: for models that are loaded once a day.
  piece.file->release_cpu_pages(piece.offset - around, around + piece.size);
}

/// Sends every tensor. Returns the most memory that the process was seen with on the way.
std::optional<std::uint64_t> send_all(const ballast::Model& model, StandInDevice& device) {
  const std::vector<Piece> pieces = pieces_in_file_order(model);
  std::vector<std::byte> staging(kPiece);  // yours may be memory that the GPU sees
  std::optional<std::uint64_t> peak = resident_bytes();
  std::size_t asked = 0;  // how many pieces the disk has been asked for
  std::size_t ahead = 0;  // bytes of those that are not sent yet
  for (const Piece& piece : pieces) {
    for (; asked < pieces.size() && ahead < kAhead; ++asked) {
      const Piece& next = pieces[asked];
      next.file->advise(ballast::Advice::will_need, next.offset, next.size);  // only a hint
      ahead += next.size;
    }
    bring_in(piece);
    std::ranges::copy(piece.file->bytes().subspan(piece.offset, piece.size), staging.begin());
    peak = std::max(peak, resident_bytes());
    give_back(piece);  // the staging buffer has the bytes, so this need not wait for the GPU
    device.write(*piece.tensor, piece.begin, std::span(staging).first(piece.size));
    ahead -= piece.size;
  }
  return peak;
}

std::string mebibytes(std::optional<std::uint64_t> bytes) {
  return bytes ? ballast::grouped(*bytes / kMiB) + " MiB" : "unknown";
}

void upload(const char* path) {
  const std::optional<std::uint64_t> before = resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  ballast::OpenOptions options;
  options.fault_guard = true;
  const ballast::Model model = ballast::Model::open(path, options);
  StandInDevice device;
  const std::optional<std::uint64_t> peak = send_all(model, device);
  model.require_undamaged();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const std::optional<std::uint64_t> after = resident_bytes();  // with the model still open
  std::printf("resident before: %s, at most: %s, after: %s\n", mebibytes(before).c_str(),
              mebibytes(peak).c_str(), mebibytes(after).c_str());
  std::printf("sent: %s bytes in %.3f s, %.0f MB/s, Adler-32 %08" PRIx64 "\n",
              ballast::grouped(device.received()).c_str(), took.count(),
              static_cast<double>(device.received()) / took.count() / 1e6, device.checksum());
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: ballast-upload MODEL\n", stderr);
    return 2;
  }
  upload(argv[1]);
  return 0;
} catch (const ballast::Error& error) {
  std::fprintf(stderr, "ballast-upload: %s\n", error.what());  // PATH: MESSAGE (code at byte N)
  return 1;
} catch (const std::exception& error) {  // memory ran out
  std::fprintf(stderr, "ballast-upload: %s\n", error.what());
  return 1;
}
