// (private) What a ModelData holds: shared by model_data.cpp, which uses it, and by loader.cpp and
// open.cpp, which fill it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/model_data.hpp>
#include <ballast/shards.hpp>

#include "platform/fault_guard.hpp"
#include "platform/file.hpp"
#include "platform/mapped_file.hpp"
#include "platform/memory.hpp"

namespace ballast {

/// Bytes of somebody else, and what keeps them alive.
struct Borrowed {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

struct ModelData::Storage {
  using Bytes =
      std::variant<platform::PlacedBytes, platform::Mapping, std::vector<std::byte>, Borrowed>;

  Bytes bytes{};
  std::filesystem::path path{};  // empty for memory and descriptors
  /// Kept open, so that size, identity and bytes are those of one file whatever becomes of its
  /// path; closed where there is nothing to compare with: memory, and what has no size of its own.
  platform::File file{};
  platform::FileIdentity identity{};
  std::uint64_t offset = 0;    // of the first byte in the file
  std::uint64_t trailing = 0;  // bytes that followed and were not kept
  Compression compression = Compression::none;
  std::uint64_t compressed_size = 0;  // of what was decoded, in the file
  bool is_complete = true;            // else the directory is all that was wanted
  std::optional<Split> split{};       // what it says of its set, where somebody has looked
  platform::FaultGuard guard{};       // of the mapping; the first to be destroyed

  [[nodiscard]] const platform::Mapping* mapping() const noexcept {
    return std::get_if<platform::Mapping>(&bytes);
  }
  // NOLINTNEXTLINE(bugprone-exception-escape): the variant always holds one of them
  [[nodiscard]] std::span<const std::byte> view() const noexcept {
    return std::visit([](const auto& held) { return view_of(held); }, bytes);
  }

 private:
  static std::span<const std::byte> view_of(const platform::Mapping& mapping) noexcept {
    return mapping.bytes();
  }
  static std::span<const std::byte> view_of(const Borrowed& borrowed) noexcept {
    return borrowed.bytes;
  }
  template <class Allocator>
  static std::span<const std::byte> view_of(
      const std::vector<std::byte, Allocator>& held) noexcept {
    return held;
  }
};

/// Makes a ModelData of what was loaded.
struct DataAccess {
  using Storage = ModelData::Storage;

  static ModelData make(Storage storage) {
    return ModelData(std::make_unique<Storage>(std::move(storage)));
  }
  static Storage& storage(ModelData& data) noexcept { return *data.storage_; }
  /// Of data that are not empty.
  static const Storage& storage(const ModelData& data) noexcept { return *data.storage_; }
  /// What is at a path, if that can be examined; a pipe is anything that is read like one.
  static bool is_pipe_or_device(const std::filesystem::path& path);
  /// ModelData::open for a file of a Model: from a pipe or a device, what is neither a model nor an
  /// index is refused as soon as that is seen, and not when all of it has come.
  static ModelData open_for_model(const std::filesystem::path& path, const OpenOptions& options);
  /// What counts for OpenOptions::max_bytes: bytes that this library put on the heap.
  static std::uint64_t heap_bytes(const ModelData& data) noexcept {
    const bool is_own =
        data.storage_ && std::holds_alternative<platform::PlacedBytes>(data.storage_->bytes);
    return is_own ? data.size() : 0;
  }
  /// Throws Error where faults are survived and one was met, or may have been read as zeros.
  static void require_undamaged(const ModelData& data) {
    const bool is_guarded = data.is_mmap() && data.storage_->guard.is_active();
    if (is_guarded) data.require_undamaged();
  }
  /// Whether the bytes are the library's own, which nothing else writes.
  static bool is_stable(const ModelData& data) noexcept {
    return data.storage_ && !data.is_mmap() &&
           !std::holds_alternative<Borrowed>(data.storage_->bytes);
  }
  static std::optional<Split> split(const ModelData& data) noexcept {
    return data.storage_ ? data.storage_->split : std::nullopt;
  }
};

/// How many bytes a load may put on the heap: what the caller allows for the model, or what the
/// process can get, less what other files of the model have taken; and never more than one vector
/// holds.
class HeapLimit {
 public:
  HeapLimit(std::optional<std::uint64_t> max_bytes, std::uint64_t used) noexcept
      : max_bytes_(max_bytes), used_(used) {}

  /// Throws Error where that many bytes are too many; `path` is the file that wants them.
  void require(std::uint64_t size, const std::string& path) const {
    if (always_fits(size) || size <= most()) return;
    Problem problem{.code = Errc::too_large, .expected = sum(used_, size), .actual = allowed()};
    if (size > vector_limit() && vector_limit() < allowed()) {
      problem.code = Errc::vector_limit;
      problem.expected = size;
      problem.actual = vector_limit();
    }
    throw Error(problem, path);
  }

  /// The same number where it is allowed, else one byte more than what is: enough to see whether
  /// that byte comes.
  [[nodiscard]] std::uint64_t cut(std::uint64_t size) const {
    return always_fits(size) ? size : std::min(size, most() + 1);
  }

 private:
  static std::uint64_t sum(std::uint64_t a, std::uint64_t b) noexcept {
    return a + std::min(b, UINT64_MAX - a);
  }
  /// 2 GiB - 1 byte where pointers have 32 bits, whatever the memory could hold.
  [[nodiscard]] static std::uint64_t vector_limit() noexcept {
    return platform::PlacedBytes().max_size();
  }
  [[nodiscard]] bool always_fits(std::uint64_t size) const noexcept {
    return !max_bytes_ && sum(used_, size) <= platform::kAlwaysFits;
  }
  [[nodiscard]] std::uint64_t most() const {
    return std::min(allowed() - std::min(allowed(), used_), vector_limit());
  }
  /// For all files together. What the system gives no longer counts what they have taken.
  [[nodiscard]] std::uint64_t allowed() const {
    if (!max_bytes_) max_bytes_ = sum(platform::memory_limit(), used_);
    return *max_bytes_;
  }

  mutable std::optional<std::uint64_t> max_bytes_;  // asked of the system once, and late
  std::uint64_t used_;
};

}  // namespace ballast
