#include <ballast/shard_files.hpp>

#include <algorithm>

#include <ballast/error.hpp>

namespace ballast {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class Matching {
 public:
  Matching(std::span<const std::string_view> names, std::span<const std::string_view> given,
           const std::string& path)
      : names_(names),
        given_(given),
        path_(path),
        file_of_(names.size(), kNone),
        is_taken_(given.size()) {}

  std::vector<std::size_t> run() && {
    // Names that match as they are come first, wherever in the list they stand.
    for (std::size_t i = 0; i < given_.size(); ++i) take_named(i, 0);
    for (std::size_t i = 0; i < given_.size(); ++i) take_named(i, suffix_of(given_[i]).size());
    take_nameless();
    if (given_.size() == names_.size()) return std::move(file_of_);
    throw Error({.code = Errc::incomplete_set, .expected = names_.size(), .actual = given_.size()},
                path_);
  }

 private:
  void take_named(std::size_t position, std::size_t suffix) {
    if (given_[position].empty() || is_taken_[position] != 0) return;
    const std::string_view name = given_[position].substr(0, given_[position].size() - suffix);
    const auto found = std::lower_bound(names_.begin(), names_.end(), name);
    if (found == names_.end() || *found != name) return;
    std::size_t& file = file_of_[static_cast<std::size_t>(found - names_.begin())];
    if (file == kNone) {
      file = position;
      is_taken_[position] = 1;
    } else if (given_[file] == given_[position]) {
      refuse(Errc::duplicate_shard, given_[file]);
    }
  }

  void take_nameless() {
    std::size_t next = 0;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (file_of_[i] != kNone) continue;
      while (next < given_.size() && !given_[next].empty()) ++next;
      if (next == given_.size()) refuse(Errc::missing_shard, names_[i]);
      file_of_[i] = next++;
    }
  }

  [[noreturn]] void refuse(Errc code, std::string_view file) const {
    throw Error({.code = code, .kind = SubjectKind::file, .name = file}, path_);
  }

  std::span<const std::string_view> names_;
  std::span<const std::string_view> given_;
  const std::string& path_;
  std::vector<std::size_t> file_of_;   // each name's, in the list
  std::vector<std::size_t> is_taken_;  // 1 for each file that is
};

}  // namespace

std::string_view suffix_of(std::string_view file) noexcept {
  for (const std::string_view suffix : kSuffixes) {
    if (file.ends_with(suffix)) return suffix;
  }
  return {};
}

std::vector<std::size_t> match_files(std::span<const std::string_view> names,
                                     std::span<const std::string_view> given,
                                     const std::string& path) {
  return Matching(names, given, path).run();
}

}  // namespace ballast
