// Strings that do something to a terminal, to a page or to whoever reads them: all of them valid
// UTF-8, each with a letter around it, none a prefix of another.
#pragma once

#include <string>
#include <vector>

namespace ballast::test {

/// Every C0 and C1 control, escape sequences, hyperlinks of terminals, characters that turn the
/// direction of text or are not seen, markup, and names that objects of JavaScript have.
[[nodiscard]] const std::vector<std::string>& weapons();

}  // namespace ballast::test
