// NameIndex: finds a name among many, in constant time, whatever the names are.
//
// A hash table alone is quadratic for names that somebody chose to collide. This one notices: where
// one name needs more than kProbeLimit steps, it gives the hash up and sorts, and from then on
// looks up by binary search. So building takes at most n log n steps for any input, with no random
// seed, and the same file behaves the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <ballast/config.hpp>

namespace ballast {

/// Names that are the same member of consecutive objects: the keys of entries, the names of
/// tensors. A view.
class NameList {
 public:
  NameList() noexcept = default;
  template <class T>
  NameList(std::span<const T> objects, std::string_view T::* member) noexcept
      : first_(objects.empty() ? nullptr
                               : reinterpret_cast<const std::byte*>(&(objects.front().*member))),
        stride_(sizeof(T)),
        size_(objects.size()) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    return *reinterpret_cast<const std::string_view*>(first_ + i * stride_);
  }

 private:
  const std::byte* first_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t size_ = 0;
};

/// An index over a NameList. It keeps no pointer to the names: each call gets the same list again,
/// so that the index can be moved together with the objects that own them.
class BALLAST_API NameIndex {
 public:
  /// Indexes `names`, fewer than 2^32. Answers the first position whose name stood before, empty
  /// where all differ; after a repetition the index must not be searched.
  [[nodiscard]] std::optional<std::size_t> build(NameList names);

  /// The position of `name` in the list that was indexed; empty where it is not there.
  [[nodiscard]] std::optional<std::size_t> find(NameList names,
                                                std::string_view name) const noexcept;

  /// The hash in use, for tests that need names which collide.
  [[nodiscard]] static std::uint64_t hash(std::string_view name) noexcept;

  /// Whether the names collided so much that the index sorted them instead.
  [[nodiscard]] bool is_sorted() const noexcept { return !sorted_.empty(); }

  /// Steps after which a name is taken for hostile. A table at most three quarters full needs fewer
  /// than a hundred for its worst name among a million ordinary ones.
  static constexpr std::size_t kProbeLimit = 512;

 private:
  struct Slot {
    std::uint32_t tag = 0;       // the upper half of the hash
    std::uint32_t position = 0;  // in the list, plus one; 0: free
  };
  [[nodiscard]] std::optional<std::size_t> build_sorted(NameList names);

  std::vector<Slot> slots_;  // a power of two of them, at most three quarters used
  std::vector<std::uint32_t> sorted_;
};

}  // namespace ballast
