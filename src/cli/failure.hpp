// How a command fails: one line on standard error, and an exit status.
//
//     ballast: PATH: MESSAGE (code at byte N)
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ballast/error.hpp>

namespace ballast::cli {

/// Exit statuses. They are part of the interface: scripts rely on them.
inline constexpr int kFine = 0;
inline constexpr int kFailed = 1;      ///< the file is bad, or cannot be read or written
inline constexpr int kWrongUsage = 2;  ///< what was asked makes no sense
inline constexpr int kDefect = 70;  ///< a defect of the command itself (EX_SOFTWARE of sysexits.h)

/// What was asked makes no sense. The message is a sentence without its full stop, safe to print.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "MESSAGE (code at byte N)": a warning in the words of an error.
[[nodiscard]] std::string warning_text(const Warning& warning);

/// Prints "ballast: LINE" on standard error, in one piece. `line` must be safe to print.
void print_failure(std::string_view line) noexcept;

/// Prints the line that an exception is due and answers the exit status. `path` names the model for
/// errors that do not know it; it may be any bytes.
[[nodiscard]] int report_failure(const std::exception_ptr& failure, std::string_view path) noexcept;

}  // namespace ballast::cli
