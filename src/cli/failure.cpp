#include "cli/failure.hpp"

#include <cstdio>
#include <new>
#include <system_error>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/output.hpp"

namespace ballast::cli {
namespace {

std::string about(std::string_view path) { return path.empty() ? "" : printable(path) + ": "; }

int report(const std::exception_ptr& failure, std::string_view path) {
  try {
    std::rethrow_exception(failure);
  } catch (const BrokenPipe&) {
    // `ballast inspect model | head` has all that it asked for.
    return kFine;
  } catch (const UsageError& error) {
    print_failure(fmt::format("{} (wrong_usage)", error.what()));
    return kWrongUsage;
  } catch (const Error& error) {
    print_failure(error.path().empty() ? about(path) + error.what() : error.what());
    return kFailed;
  } catch (const std::bad_alloc&) {
    print_failure(about(path) + "memory ran out (out_of_memory)");
    return kFailed;
  } catch (const std::system_error& error) {
    print_failure(fmt::format("{}{} ({})", about(path), printable(error.code().message()),
                              name(error.code())));
    return kFailed;
  } catch (const std::exception& error) {
    print_failure(about(path) + printable(error.what()) + " (internal_error)");
  } catch (...) {
    print_failure(about(path) + "something went wrong inside (internal_error)");
  }
  return kDefect;
}

}  // namespace

std::string warning_text(const Warning& warning) {
  const std::string at = warning.offset ? fmt::format(" at byte {}", *warning.offset) : "";
  return fmt::format("{} ({}{})", warning.message, name(warning.code), at);
}

void print_failure(std::string_view line) noexcept {
  try {
    const std::string text = fmt::format("ballast: {}\n", line);
    std::fwrite(text.data(), 1, text.size(), stderr);
  } catch (const std::bad_alloc&) {
    std::fputs("ballast: memory ran out (out_of_memory)\n", stderr);
  }
}

int report_failure(const std::exception_ptr& failure, std::string_view path) noexcept try {
  return report(failure, path);
} catch (...) {
  std::fputs("ballast: memory ran out (out_of_memory)\n", stderr);
  return kFailed;
}

}  // namespace ballast::cli
