#include "cli/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cli/filter.hpp"

namespace ballast::cli {
namespace {

constexpr std::size_t kSuggestions = 3;
constexpr std::size_t kTensorsSeen = 20'000;  // a tenth of a second, and more than models have
constexpr std::size_t kLongestName = 128;     // longer names are compared by nobody

// How many characters have to be put in, taken out or exchanged (Levenshtein, 1966).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({exchanged, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string_view> close_names(std::span<const Tensor> tensors,
                                          std::string_view wanted) {
  if (wanted.empty() || wanted.size() > kLongestName) return {};
  const std::size_t tolerated = std::max<std::size_t>(2, wanted.size() / 4);
  const std::span<const Tensor> seen = tensors.first(std::min(tensors.size(), kTensorsSeen));
  std::vector<std::pair<std::size_t, std::size_t>> found;  // distance and position
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const std::string_view name = seen[i].name;
    if (name.empty() || name.size() > kLongestName) continue;
    // Who writes "blk.0.attn_q" means "blk.0.attn_q.weight", however many characters that adds.
    const bool contains = name.find(wanted) != std::string_view::npos;
    const std::size_t distance = contains ? 1 : edit_distance(wanted, name);
    if (distance <= tolerated) found.emplace_back(distance, i);
  }
  std::ranges::sort(found);
  std::vector<std::string_view> names(std::min(found.size(), kSuggestions));
  std::transform(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(names.size()),
                 names.begin(), [seen](const auto& entry) { return seen[entry.second].name; });
  return names;
}

}  // namespace ballast::cli
