// ProgressLine: how far something is, in one line of a terminal that is painted over and over.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <ballast/model_data.hpp>

#include "cli/terminal.hpp"

namespace ballast::cli {

/// What a progress line says after `seconds`: "model.gguf  [====>     ]  42 %  3.10 GB  1.20 GB/s
/// 0:03 left", at most `columns` wide. Without a total there is no bar and no end in sight.
[[nodiscard]] std::string progress_text(std::string_view label, const Progress& progress,
                                        double seconds, std::size_t columns);

/// Shows progress on standard error if that is a terminal, and nothing at all otherwise. What is
/// over in the blink of an eye is not shown. The line is gone when the object is, and also when
/// Ctrl-C ends the process.
class ProgressLine {
 public:
  /// `label` may be any bytes.
  explicit ProgressLine(std::string_view label);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(const Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  LineGuard guard_;
  std::string label_;
  bool is_shown_;
  bool is_painted_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_;
};

}  // namespace ballast::cli
