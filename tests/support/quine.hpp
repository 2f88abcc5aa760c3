// A gzip file that decompresses to itself (Russ Cox, "Zip Files All The Way Down", 2010): whoever
// decodes until nothing is compressed any more goes on for ever.
#pragma once

#include "tests/support/sample.hpp"

namespace ballast::test {

/// The file. Its stored blocks print themselves and what repeats them; its checksum, which is a
/// part of what it is a checksum of, is a solution of 32 linear equations.
[[nodiscard]] Bytes gzip_quine();

}  // namespace ballast::test
