// The files of a sharded model by their names: which of those that are given is which of those that
// an index names, where any of them may be compressed. Private.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ballast {

/// What compressed files are called after what is in them. What they are compressed with, their
/// content says.
inline constexpr std::array<std::string_view, 6> kSuffixes{".zst", ".gz",  ".xz",
                                                           ".bz2", ".lz4", ".zz"};

/// The one of these at the end of a name, else nothing.
[[nodiscard]] std::string_view suffix_of(std::string_view file) noexcept;

/// For each of the sorted `names` of an index the place in `given` of the file that it takes: the
/// one called so, else the one with the suffix of a compressed file behind that name, else the next
/// one without a name. No file is taken twice. Throws Error about the index at `path`:
/// duplicate_shard, missing_shard, and incomplete_set where files are left over.
[[nodiscard]] std::vector<std::size_t> match_files(std::span<const std::string_view> names,
                                                   std::span<const std::string_view> given,
                                                   const std::string& path);

}  // namespace ballast
