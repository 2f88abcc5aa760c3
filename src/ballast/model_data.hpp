// ModelData: the bytes of one file, mapped or on the heap, and nothing about what they mean.
//
//     auto data = ballast::ModelData::open("model.gguf");   // mapped where possible, else read
//     data.advise_sequential();                             // before a linear scan
//     upload(data.bytes());                                 // to a GPU
//     data.release_cpu_pages();                             // gives back the memory, not the bytes
//
// A mapping is shared and read-only, and it shows the file, not a copy of it:
//   * A file that is replaced by rename, as careful writers do, stays as it was opened.
//   * A file that is overwritten in place changes under the mapping. `unchanged()` tells.
//   * A file that is truncated loses its pages, and touching one of them raises SIGBUS (Vahalia,
//     UNIX Internals, 1996, 14.4). `intact()` asks first, without the signal. Where files come and
//     go, use `read`, or OpenOptions::fault_guard: then they read as zeros, and `damaged()` tells.
//
// Ownership: move-only. A moved-from ModelData is empty, as one without a file is. Views of
// `bytes()` stay valid when the object is moved, and die with it.
// Threads: all const functions may be called from any number of threads at the same time. No
// function of the library is a cancellation point of pthread_cancel(3): a request stays pending
// meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <vector>
#include <version>
#ifdef __cpp_lib_jthread  // libc++ has std::stop_token only as an experiment
#include <stop_token>
#endif

#include <ballast/compression.hpp>
#include <ballast/config.hpp>
#include <ballast/directory.hpp>

namespace ballast {

/// What the system is told about a range of pages. Where it matters: a cold file on a slow disk,
/// and memory pressure.
enum class Advice : std::uint8_t {
  /// Read ahead generously, drop pages behind (MADV_SEQUENTIAL).
  sequential,
  /// No read-ahead: up to 50 times slower on cold data that is then read in order (MADV_RANDOM).
  random,
  /// Begin to read all of it in the background (MADV_WILLNEED). Returns before it is there, but
  /// after some 0.2 s for each GiB that is not cached: Linux takes such requests in small pieces.
  will_need,
  /// Read now, map the pages, and return when it is done; answers EFAULT where the file is
  /// truncated instead of raising SIGBUS (MADV_POPULATE_READ, Linux 5.14).
  populate_read,
  /// The first to go under memory pressure (MADV_COLD, Linux 5.4).
  cold,
  /// Reclaim now (MADV_PAGEOUT, Linux 5.4).
  page_out,
  /// Use huge pages where the file system can (MADV_HUGEPAGE).
  huge_page,
};

/// The answer to an advice.
class Advised {
 public:
  enum class Outcome : std::uint8_t { applied, unsupported, failed };

  // NOLINTNEXTLINE(*-explicit-*): an answer is its outcome
  constexpr Advised(Outcome outcome, int native_error = 0) noexcept
      : outcome_(outcome), native_error_(native_error) {}

  [[nodiscard]] constexpr Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] constexpr bool applied() const noexcept { return outcome_ == Outcome::applied; }
  /// Heap data, a system without such a call, or a kernel that does not know this advice: nothing
  /// was done.
  [[nodiscard]] constexpr bool unsupported() const noexcept {
    return outcome_ == Outcome::unsupported;
  }
  [[nodiscard]] constexpr bool failed() const noexcept { return outcome_ == Outcome::failed; }
  /// The system's reason where it failed; no error otherwise.
  [[nodiscard]] std::error_code error() const noexcept {
    return {native_error_, std::system_category()};
  }

 private:
  Outcome outcome_;
  int native_error_;
};

/// Whether giving pages back also drops the system's copy of the file.
enum class PageCache : std::uint8_t {
  keep,  ///< resident memory drops; touching the bytes again costs page faults, no disk
  drop,  ///< the page cache lets go too: touching the bytes again reads the disk
};

/// Where the bytes are to be.
enum class Backend : std::uint8_t {
  automatic,  ///< mapped where that is possible, else on the heap
  map,        ///< mapped, or an error
  heap,       ///< in one vector
};

/// How far a load is.
struct Progress {
  std::uint64_t done = 0;                ///< bytes in memory by now
  std::optional<std::uint64_t> total{};  ///< bytes in all, where that is known
  /// Of compressed input: bytes of it that are decoded, and how many there are, where that is
  /// known.
  std::uint64_t input_done = 0;
  std::optional<std::uint64_t> input_total{};
};

/// What a small file may turn into, and how. Every limit has a default that no honest model
/// reaches.
struct DecodeLimits {
  /// Decoded bytes over compressed ones, else Errc::ratio_too_high before they are allocated:
  /// against decompression bombs. Weights compress to a half at best. What fits in 16 MiB is let
  /// pass.
  std::uint64_t max_ratio = 1000;
  /// Bytes beside the model that a stream may ask for: zstd's window (`zstd --long=27` makes the
  /// largest that it decodes by default, as here), xz's dictionary (64 MiB with -9).
  std::uint64_t max_window = std::uint64_t{128} << 20;
};

/// Everything that can be said about opening one file.
struct OpenOptions {
  Backend backend = Backend::automatic;
  /// A model inside a bigger file (an archive stored without compression, an APK): its first byte,
  /// of any alignment, and its length; by default to the end of the file.
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length{};
  /// Called every few MiB while bytes are read, from the calling thread, and a last time when all
  /// are there. What it throws ends the load and passes through. Mapping reads nothing, and does
  /// not call.
  std::function<void(const Progress&)> progress{};
  /// Asked as often; true ends the load with Errc::cancelled. A read that waits for the other end
  /// of a pipe goes on waiting.
  std::function<bool()> cancelled{};
#ifdef __cpp_lib_jthread
  /// The same for code that has a stop token.
  std::stop_token stop{};
#endif
  /// The most bytes that may be put on the heap, for all files of a model together, else
  /// Errc::too_large before they are allocated; by default what the process can get at that moment
  /// (free memory, and its limits less what it uses). Mapped bytes do not count, nor do those that
  /// the caller brought, nor directories; but no more than that, or 1 MiB, is copied out of the
  /// headers of mapped files.
  std::optional<std::uint64_t> max_bytes{};
  /// Bytes that count for `max_bytes` already: of other files of the same model, where a program
  /// opens each of them by itself.
  std::uint64_t used_bytes = 0;
  /// Whether a mapped file that is truncated, or whose disk fails, reads as zeros where it would
  /// end the process with SIGBUS; ModelData::damaged tells. The first guarded file installs a
  /// handler for SIGBUS, which stays to the end of the process and passes on what is no fault in a
  /// guarded file to the handler that was there before; one that is installed later must pass on to
  /// it likewise. The library stays loaded with it: dlclose(3) does not unload it any more. A
  /// thread that blocks SIGBUS is not helped. Costs nothing while nothing fails, and concerns only
  /// what is mapped.
  bool fault_guard = false;
  /// Whether a compressed file is decoded, or its bytes are taken as they are.
  bool decompress = true;
  /// Of a compressed file decode no more than it takes to read the directory: to look into a model,
  /// not to use it. The bytes of its tensors are not there then (Errc::not_loaded). Plain files are
  /// opened as ever.
  bool directory_only = false;
  DecodeLimits decode{};
  /// Limits of the parsers, and how lenient they are.
  ParseOptions parse{};
};

class BALLAST_API ModelData {
 public:
  /// The file, mapped if it can be, else read: an empty file, a pipe, and files that report no size
  /// but have bytes (/proc) come to the heap. Opening a FIFO waits for its writer. What is
  /// compressed is recognised by its content and decoded to the heap; it must be a model, or the
  /// index of one. Throws Error; where memory runs out on the way, std::bad_alloc may come instead
  /// of Errc::out_of_memory, here as everywhere.
  [[nodiscard]] static ModelData open(const std::filesystem::path& path,
                                      const OpenOptions& options = {});
#if BALLAST_HAS_MMAP
  /// The file, mapped, or an Error. Empty files are fine. Not declared where the build has no mmap.
  [[nodiscard]] static ModelData open_mmap(const std::filesystem::path& path);
#endif
  /// The file, in one vector of exactly its size that is filled once: no zeroing first, no growing,
  /// and huge pages where the system has them. Where the file is a model, the data of its tensors
  /// begin at an address that is a multiple of 64. A large file is read by up to four threads,
  /// which end before this does. A file of unknown size, such as a pipe, is collected in pieces
  /// first, and takes some 16 MiB more than its size while it is loaded. Throws Error; a cancelled
  /// or failed read leaves nothing behind.
  [[nodiscard]] static ModelData read(const std::filesystem::path& path,
                                      const OpenOptions& options = {});
  /// The same from a file that is already open. `descriptor` stays the caller's; it is duplicated,
  /// and its position is neither used nor moved unless it is a pipe, a socket or a terminal.
  [[nodiscard]] static ModelData open_descriptor(int descriptor, const OpenOptions& options = {});
  /// Bytes that are in memory already: adopted, never copied.
  [[nodiscard]] static ModelData from_vector(std::vector<std::byte> bytes);
  /// Bytes of somebody else (another mapping, a buffer of another language): neither copied nor
  /// freed. They must stay where and as they are while the object lives; `owner` is kept that long.
  [[nodiscard]] static ModelData borrow(std::span<const std::byte> bytes,
                                        std::shared_ptr<const void> owner = {});
  template <class Byte, class Allocator>
  static ModelData borrow(const std::vector<Byte, Allocator>&& bytes,
                          std::shared_ptr<const void> owner = {}) = delete;  // would dangle

  ModelData() noexcept;
  ModelData(ModelData&& other) noexcept;
  ModelData& operator=(ModelData&& other) noexcept;
  ~ModelData();

  /// The bytes. Valid as long as the object lives, wherever it is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const& noexcept { return bytes_; }
  std::span<const std::byte> bytes() const&& = delete;  // would dangle
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  [[nodiscard]] bool is_mmap() const noexcept;
  /// What the file is compressed with, and how many bytes it has: 0 where it is not.
  [[nodiscard]] Compression compression() const noexcept;
  [[nodiscard]] std::uint64_t compressed_size() const noexcept;
  /// False where the directory was all that was wanted (OpenOptions::directory_only) and the bytes
  /// end behind it.
  [[nodiscard]] bool is_complete() const noexcept;
  /// Bytes of the file, after decompression, which are more than `size()` where it came piece by
  /// piece and went on after the model: such bytes are counted and not kept. Of an incomplete one,
  /// those that are there.
  [[nodiscard]] std::uint64_t file_size() const noexcept;
  /// As it was given; empty for memory and descriptors.
  [[nodiscard]] const std::filesystem::path& path() const noexcept;

  /// Everything from an offset to the end.
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  /// Tells the system how a range will be used. The range is widened to whole pages, and cut where
  /// the data end. Never changes what the bytes are.
  Advised advise(Advice advice, std::size_t offset = 0, std::size_t length = npos) const noexcept;
  /// advise(Advice::sequential) for all of it: before a linear scan.
  Advised advise_sequential() const noexcept;
  /// Gives the memory of a range back: pages that lie wholly inside it leave the resident set at
  /// once (MADV_DONTNEED), and come back when they are touched. The partial pages at the two ends
  /// of the data count as whole. Heap data answers `unsupported` and stays, because there is
  /// nothing to come back from. The page cache keeps what another process has mapped and what is
  /// not on the disk yet (posix_fadvise(2)), whatever `cache` says.
  Advised release_cpu_pages(std::size_t offset = 0, std::size_t length = npos,
                            PageCache cache = PageCache::keep) const noexcept;

  /// Whether the path still leads to the file that was opened, and that file is as it was: the same
  /// device, inode, size and modification time. For a descriptor: whether its file is as it was.
  /// Always true for what has no size to compare: bytes from a vector, a pipe, /proc. Costs one
  /// stat; a change within one tick of the file system's clock (often 4 ms) that keeps the size is
  /// not seen. A relative path is followed from where the process is now.
  [[nodiscard]] bool unchanged() const noexcept;
  /// Whether a range can still be touched, or lies beyond the end of a file that was truncated
  /// since. Costs one fstat; a truncation right after it is not seen. Always true on the heap.
  [[nodiscard]] bool intact(std::size_t offset = 0, std::size_t length = npos) const noexcept;
  /// Whether bytes are not, or no more, those of the file that was mapped, because the file was
  /// truncated or could not be read: under OpenOptions::fault_guard they are zeros, and this stays
  /// true once one of them was touched. Costs one fstat. Always false on the heap.
  [[nodiscard]] bool damaged() const noexcept;
  /// Throws Error where that is so: file_changed where the file is too short now, else that the
  /// system could not read it. To be asked when what was computed from the bytes is about to be
  /// used.
  void require_undamaged() const;

 private:
  struct Storage;
  friend struct DataAccess;  // open.cpp, which fills it
  explicit ModelData(std::unique_ptr<Storage> storage) noexcept;

  std::span<const std::byte> bytes_;
  std::unique_ptr<Storage> storage_;
};

}  // namespace ballast
