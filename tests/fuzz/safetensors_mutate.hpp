// Changes the header of safetensors as JSON, and mostly has its length say so.
#pragma once

#include "tests/fuzz/json_mutate.hpp"

namespace ballast::test {

inline constexpr std::size_t kLengthBytes = 8;

inline std::uint64_t length_of(const std::string& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  return length;
}

inline void mutate_header(std::string& file, Random& random) {
  const std::uint64_t claimed = length_of(file);
  const auto there =
      static_cast<std::size_t>(std::min<std::uint64_t>(claimed, file.size() - kLengthBytes));
  std::string header = file.substr(kLengthBytes, there);
  mutate_json(header, random);
  const std::uint64_t length =
      random.one_in(16) ? interesting_number(random, header.size()) : header.size();
  file.replace(kLengthBytes, there, header);
  std::memcpy(file.data(), &length, kLengthBytes);
}

// As many bytes as the last tensor may want, more or less.
inline void mutate_data(std::string& file, Random& random) {
  if (random.one_in(2)) {
    file.append(random.below(64), 'x');
  } else {
    file.resize(file.size() - std::min<std::size_t>(file.size() - kLengthBytes, random.below(64)));
  }
}

/// The file is at least kLengthBytes long.
inline void mutate_safetensors(std::string& file, Random& random) {
  if (random.one_in(8)) {
    mutate_data(file, random);
  } else {
    mutate_header(file, random);
  }
}

}  // namespace ballast::test
