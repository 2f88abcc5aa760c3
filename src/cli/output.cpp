#include "cli/output.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <ballast/error.hpp>

#include "cli/terminal.hpp"

namespace ballast::cli {
namespace {

// The most that one write is given. Some systems refuse more than 2 GiB at once, and a pipe or a
// disk gains nothing from more than this.
constexpr std::size_t kLargestPiece = std::size_t{8} << 20;

std::FILE* open_for_writing(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const int error =
      errno;  // memory for the exception is taken before it is made, and may set another
  if (file == nullptr) throw Error({error, std::generic_category()}, "open", path);
  return file;
}

}  // namespace

// The stream's own buffer would be a second one.
Output::Output() : file_(stdout), name_("standard output") {
  std::setvbuf(file_, nullptr, _IONBF, 0);
}

Output::Output(const std::string& path) : file_(open_for_writing(path)), name_(path) {
  std::setvbuf(file_, nullptr, _IONBF, 0);
}

Output::~Output() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void Output::write_through(std::span<const std::byte> bytes) {
  flush();
  write_all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Output::flush() {
  // Emptied first: what could not be written must not be tried again.
  const std::size_t size = buffer_.size();
  buffer_.resize(0);
  write_all(buffer_.data(), size);
}

void Output::close() {
  flush();
  std::FILE* file = std::exchange(file_, nullptr);
  errno = 0;
  if (std::fclose(file) != 0) fail(errno);
}

void Output::write_all(const char* data, std::size_t size) {
  while (size > 0) {
    const std::size_t piece = std::min(size, kLargestPiece);
    errno = 0;
    const std::size_t written = std::fwrite(data, 1, piece, file_);
    data += written;
    size -= written;
    if (written == piece) continue;
    const int error = errno;
    const bool waited = file_ == stdout && wait_until_writable(Stream::out, error);
    if (!waited && error != EINTR) fail(error);
    std::clearerr(file_);
  }
}

void Output::fail(int error) const {
  if (error == EPIPE) throw BrokenPipe{};
  const int known = error != 0 ? error : EIO;  // C does not promise that a failure has a number
  throw Error({known, std::generic_category()}, "write", name_);
}

}  // namespace ballast::cli
