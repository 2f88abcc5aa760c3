// The terminal, and whatever else the command asks of the operating system.
//
// This is the only file of the command that does, because systems differ here: each call is
// compiled where its header exists and has an honest answer where it does not.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ballast::cli {

/// The standard streams, numbered like their descriptors.
enum class Stream : std::uint8_t { in = 0, out = 1, error = 2 };

/// Makes the process safe to write from: the three standard descriptors are open (so that no model
/// and no output file takes their place), and a reader that goes away is an error of the write, not
/// a signal.
void prepare_process() noexcept;

[[nodiscard]] bool is_terminal(Stream stream) noexcept;

/// Columns of the terminal behind a stream; $COLUMNS, or 80, where the system does not say.
[[nodiscard]] std::size_t terminal_columns(Stream stream) noexcept;

/// Whether the cursor of that terminal can be moved: false for a pipe and for TERM=dumb.
[[nodiscard]] bool can_repaint(Stream stream) noexcept;

/// Whether colours are welcome: a terminal that is not dumb, and no NO_COLOR in the environment
/// (no-color.org).
[[nodiscard]] bool wants_colour(Stream stream) noexcept;

/// After a write failed with `error`: where that only means that somebody made the stream
/// non-blocking, waits until it takes bytes again and answers true. False for every other error.
[[nodiscard]] bool wait_until_writable(Stream stream, int error) noexcept;

/// Erases the line the cursor is in, on standard error.
void erase_line() noexcept;

/// While it lives, Ctrl-C first erases the line that is being painted on standard error, then ends
/// the process as it always does: by the signal, so that a shell sees it. There is nothing else to
/// clean up.
class LineGuard {
 public:
  LineGuard() noexcept;
  ~LineGuard();
  LineGuard(const LineGuard&) = delete;
  LineGuard& operator=(const LineGuard&) = delete;
};

}  // namespace ballast::cli
