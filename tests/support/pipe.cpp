#include "tests/support/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace ballast::test {

Fifo::Fifo(std::span<const std::byte> bytes) {
  const std::string content = "'" + folder_.write("content", bytes).string() + "'";
  const std::string fifo = "'" + path().string() + "'";
  const std::string command =
      "mkfifo " + fifo + " && { cat " + content + " > " + fifo + " & } 2>&-";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("no FIFO was made: " + command);
}

Fifo::~Fifo() {
  // Before its folder: to see what is a folder, libc++ opens everything, for which Emscripten's
  // Node has to wait at a FIFO.
  std::error_code ignored;
  std::filesystem::remove(path(), ignored);
}

Pipe::Pipe(std::span<const std::byte> bytes)
    : fifo_(bytes), reader_(::open(fifo_.path().c_str(), O_RDONLY | O_CLOEXEC)) {
  if (reader_ < 0) throw std::system_error(errno, std::system_category(), "open");
}

Pipe::~Pipe() { ::close(reader_); }

}  // namespace ballast::test
