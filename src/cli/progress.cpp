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

std::string numbers(const Progress& progress, double seconds) {
  const double rate = static_cast<double>(progress.done) / std::max(seconds, 0.001);
  const std::string speed = human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (!progress.total.has_value() || *progress.total == 0) {
    return fmt::format("{}  {}", human_bytes(progress.done), speed);
  }
  const std::uint64_t done = std::min(progress.done, *progress.total);
  const double fraction = static_cast<double>(done) / static_cast<double>(*progress.total);
  const double left = static_cast<double>(*progress.total - done) / std::max(rate, 1.0);
  return fmt::format("{} {:3} %  {:>9}  {}  {} left", bar(fraction),
                     static_cast<int>(fraction * 100), human_bytes(done), speed, duration(left));
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
