#include "cli/progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include <ballast/text.hpp>

#include "cli/layout.hpp"
#include "cli/numbers.hpp"

namespace ballast::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDelay{300};     // what takes less needs no progress
constexpr milliseconds kInterval{100};  // as often as people can read
constexpr std::size_t kBarWidth = 20;
constexpr std::size_t kShortestLabel = 8;

std::string bar(double fraction) {
  const auto full = static_cast<std::size_t>(fraction * static_cast<double>(kBarWidth));
  std::string text(full, '=');
  if (full < kBarWidth) text += '>';
  text.append(kBarWidth - text.size(), ' ');
  return "[" + text + "]";
}

std::string duration(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

/// How much of the work is done, of 1; negative where nobody knows. Of compressed input, whose
/// decoded size may not be known yet, it is how much of that is decoded.
double fraction_of(const Progress& progress) {
  const auto part = [](std::uint64_t done, std::uint64_t total) {
    return static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  };
  if (progress.total.value_or(0) > 0) return part(progress.done, *progress.total);
  if (progress.input_total.value_or(0) > 0) return part(progress.input_done, *progress.input_total);
  return -1;
}

std::string numbers(const Progress& progress, double seconds) {
  const double rate = static_cast<double>(progress.done) / std::max(seconds, 0.001);
  const std::string speed = human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  const double fraction = fraction_of(progress);
  if (fraction < 0) return fmt::format("{}  {}", human_bytes(progress.done), speed);
  const std::uint64_t done = std::min(progress.done, progress.total.value_or(progress.done));
  const double left = seconds * (1 - fraction) / std::max(fraction, 1e-9);
  constexpr double kYear = 365.0 * 24 * 3600;
  return fmt::format("{} {:3} %  {:>9}  {}  {} left", bar(fraction),
                     static_cast<int>(fraction * 100), human_bytes(done), speed,
                     duration(std::min(left, kYear)));
}

}  // namespace

std::string progress_text(std::string_view label, const Progress& progress, double seconds,
                          std::size_t columns) {
  const std::string text = numbers(progress, seconds);
  const std::size_t taken = text.size() + 2;
  if (taken + kShortestLabel > columns) return fold_end(text, columns);
  return fmt::format("{}  {}", fold_middle(label, columns - taken), text);
}

ProgressLine::ProgressLine(std::string_view label)
    : label_(printable(label)), is_shown_(can_repaint(Stream::error)), next_(begin_ + kDelay) {}

ProgressLine::~ProgressLine() {
  if (is_painted_) erase_line();
}

void ProgressLine::update(const Progress& progress) {
  if (!is_shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  // The last column stays free: a terminal that wraps there would leave half a line behind.
  const std::size_t columns = terminal_columns(Stream::error) - 1;
  const std::string line = "\r" + progress_text(label_, progress, seconds, columns) + "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  is_painted_ = true;
}

}  // namespace ballast::cli
