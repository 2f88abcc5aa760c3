// Names that an attacker would choose: all of them want the same place in a hash table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ballast::test {

/// `count` different names whose hashes agree in their lowest `bits` bits: in a table of 2^bits
/// slots they all want the same one. Found by trying, about 2^bits hashes for each name, so that it
/// works whatever the hash is.
[[nodiscard]] std::vector<std::string> colliding_names(std::size_t count, unsigned bits);

}  // namespace ballast::test
