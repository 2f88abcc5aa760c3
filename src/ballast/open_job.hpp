// (private) One load under way, for open.cpp and open_compressed.cpp: what is loaded, how, and who
// is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include <ballast/error.hpp>
#include <ballast/model_data.hpp>

#include "ballast/model_data_storage.hpp"
#include "platform/file.hpp"
#include "platform/memory.hpp"

namespace ballast {

/// Does what the platform may refuse, and says of the refusal which file it was about.
template <class Work>
auto attempt(std::string_view action, const std::filesystem::path& path, Work work) {
  try {
    return work();
  } catch (const std::system_error& error) {
    throw Error(error.code(), action, path.string());
  }
}

struct Job {
  platform::File file;
  std::filesystem::path path;  // empty for a descriptor
  Backend backend;
  const OpenOptions& options;
  bool is_for_model = false;  // else bytes of any kind are taken

  [[noreturn]] void refuse(const Problem& problem) const { throw Error(problem, path.string()); }

  template <class Work>
  auto attempt(std::string_view action, Work work) const {
    return ballast::attempt(action, path, work);
  }

  /// Tells the caller how far the load is, and asks whether to go on.
  void report(std::uint64_t done, std::optional<std::uint64_t> total) const {
    report(Progress{.done = done, .total = total});
  }
  void report(const Progress& progress) const {
    bool stop = options.cancelled && options.cancelled();
#ifdef __cpp_lib_jthread
    stop = stop || options.stop.stop_requested();
#endif
    if (stop) refuse({.code = Errc::cancelled});
    if (options.progress) options.progress(progress);
  }

  void require_room(std::uint64_t size) const {
    HeapLimit(options.max_bytes, options.used_bytes).require(size, path.string());
  }

  /// Room for that many bytes, which require_room() has let pass; they are not initialised.
  [[nodiscard]] platform::PlacedBytes allocate(std::uint64_t size, std::size_t residue = 0) const {
    try {
      const platform::PlacingAllocator<std::byte> allocator(residue);
      return platform::PlacedBytes(static_cast<std::size_t>(size), allocator);
    } catch (const std::bad_alloc&) {
      refuse({.code = Errc::out_of_memory, .expected = size});
    }
  }
};

/// Does what may find fault with the bytes, and says of which file they are.
template <class Work>
auto with_path(const Job& job, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    if (!error.path().empty() || job.path.empty()) throw;
    throw error.with_path(job.path.string());
  }
}

/// Where in a file the bytes lie that are asked for.
struct FileRange {
  std::uint64_t offset;
  std::uint64_t length;
};

/// The bytes of a file in the order in which they come.
class Incoming {
 public:
  explicit Incoming(const Job& job) : job_(job), seekable_(job.file.is_seekable()) {}

  /// Waits for some bytes, and answers how many came; 0 at the end.
  std::size_t read(std::span<std::byte> into) {
    const std::size_t got = job_.attempt("read", [&] {
      return seekable_ ? job_.file.read_at(position_, into) : job_.file.read_some(into);
    });
    position_ += got;
    return got;
  }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  const Job& job_;
  bool seekable_;
  std::uint64_t position_ = 0;
};

}  // namespace ballast
