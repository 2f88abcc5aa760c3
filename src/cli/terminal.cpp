#include "cli/terminal.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

#if __has_include(<unistd.h>)
#include <unistd.h>
#define BALLAST_CLI_HAS_UNISTD 1
#elif __has_include(<io.h>)
#include <io.h>  // isatty and write, where there is no POSIX
#define BALLAST_CLI_HAS_UNISTD 0
#endif
#if __has_include(<fcntl.h>)
#include <fcntl.h>
#endif
#if __has_include(<sys/ioctl.h>)
#include <sys/ioctl.h>
#endif
#if __has_include(<poll.h>)
#include <poll.h>
#endif

namespace ballast::cli {
namespace {

constexpr std::size_t kDefaultColumns = 80;
constexpr std::string_view kEraseLine = "\r\x1b[K";

std::string_view environment(const char* name) noexcept {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): there is one thread
  return value != nullptr ? value : "";
}

// Closed standard descriptors are taken in such a way that using one still fails: standard output
// is opened for reading and standard input for writing. Only standard error swallows.
void open_standard_descriptors() noexcept {
#if BALLAST_CLI_HAS_UNISTD && defined(F_GETFD)
  constexpr std::array kModes{O_WRONLY, O_RDONLY, O_RDWR};
  int descriptor = 0;
  for (const int mode : kModes) {
    if (fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) {
      // open() gives the lowest free number, and all below this one are taken.
      [[maybe_unused]] const int opened = open("/dev/null", mode);
    }
    ++descriptor;
  }
#endif
}

// Everything here is async-signal-safe. The handler has reset itself when the signal is raised
// again, and that one ends the process once this function has returned.
extern "C" void erase_and_end(int signal_number) {
  const int saved_error = errno;
  erase_line();
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
  errno = saved_error;
}

}  // namespace

void prepare_process() noexcept {
  open_standard_descriptors();
#ifdef SIGPIPE
  std::signal(SIGPIPE, SIG_IGN);
#endif
}

bool is_terminal(Stream stream) noexcept { return isatty(static_cast<int>(stream)) == 1; }

std::size_t terminal_columns(Stream stream) noexcept {
#ifdef TIOCGWINSZ
  winsize size{};
  if (ioctl(static_cast<int>(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
#else
  static_cast<void>(stream);
#endif
  const std::string_view text = environment("COLUMNS");
  std::size_t columns = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
  const bool is_number = error == std::errc{} && end == text.data() + text.size();
  return is_number && columns > 0 ? columns : kDefaultColumns;
}

bool can_repaint(Stream stream) noexcept {
  return is_terminal(stream) && environment("TERM") != "dumb";
}

bool wants_colour(Stream stream) noexcept {
  return can_repaint(stream) && environment("NO_COLOR").empty();
}

bool wait_until_writable(Stream stream, int error) noexcept {
#ifdef POLLOUT
  if (error != EAGAIN && error != EWOULDBLOCK) return false;
  pollfd waiting{static_cast<int>(stream), POLLOUT, 0};
  return poll(&waiting, 1, -1) >= 0 || errno == EINTR;
#else
  static_cast<void>(stream);
  static_cast<void>(error);
  return false;
#endif
}

void erase_line() noexcept {
  // A failure means that nobody looks.
  [[maybe_unused]] const auto written =
      write(static_cast<int>(Stream::error), kEraseLine.data(), kEraseLine.size());
}

LineGuard::LineGuard() noexcept {
  // A process that was started with Ctrl-C ignored, as by nohup, goes on ignoring it.
  if (std::signal(SIGINT, erase_and_end) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
}

LineGuard::~LineGuard() {
  if (std::signal(SIGINT, SIG_DFL) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
}

}  // namespace ballast::cli
