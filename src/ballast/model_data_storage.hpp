// (private) What a ModelData holds: shared by model_data.cpp, which uses it, and by loader.cpp and
// open.cpp, which fill it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <ballast/model_data.hpp>

#include "platform/file.hpp"
#include "platform/mapped_file.hpp"
#include "platform/memory.hpp"

namespace ballast {

struct ModelData::Storage {
  using Bytes = std::variant<platform::PlacedBytes, platform::Mapping, std::vector<std::byte>>;

  Bytes bytes{};
  std::filesystem::path path{};  // empty for memory and descriptors
  /// Kept open, so that size, identity and bytes are those of one file whatever becomes of its
  /// path; closed where there is nothing to compare with: memory, and what has no size of its own.
  platform::File file{};
  platform::FileIdentity identity{};
  std::uint64_t offset = 0;    // of the first byte in the file
  std::uint64_t trailing = 0;  // bytes that followed and were not kept

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
};

}  // namespace ballast
