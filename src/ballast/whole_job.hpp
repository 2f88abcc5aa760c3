// (private) One file that is decoded as a whole: for whole.cpp, and a file for each codec.
//
// Whatever is not as expected is thrown, as NotAsExpected or anything else, on any thread: it only
// means that these ways do not work here.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

#include "ballast/whole.hpp"
#include "platform/workers.hpp"

namespace ballast {

struct NotAsExpected : std::exception {};

inline void expect(bool is_so) {
  if (!is_so) throw NotAsExpected();
}

class WholeJob {
 public:
  WholeJob(const WholeFile& file, std::span<std::byte> out, const DecodeLimits& limits,
           const WholeWatch& watch)
      : file_(file), out_(out), limits_(limits), watch_(watch) {}

  [[nodiscard]] std::uint64_t size() const noexcept { return file_.size; }
  [[nodiscard]] const DecodeLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] std::span<std::byte> out() const noexcept { return out_; }
  /// The part of it from a position on.
  [[nodiscard]] std::span<std::byte> out(std::uint64_t position) const {
    return out_.subspan(static_cast<std::size_t>(position));
  }

  /// Reads all of `into` from a position of the compressed bytes, which must have so many.
  void read(std::uint64_t position, std::span<std::byte> into) const {
    expect(position <= file_.size && into.size() <= file_.size - position);
    expect(file_.file.read_at(file_.offset + position, into) == into.size());
  }

  /// So many bytes more are taken and given; on any thread.
  void count(std::uint64_t input, std::uint64_t output) noexcept {
    input_ += input;
    output_ += output;
  }
  /// Tells the caller what is counted. Only on the calling thread, whose pulse does it.
  void watch() {
    try {
      watch_(input_, output_);
    } catch (...) {
      thrown_ = std::current_exception();
      throw;
    }
  }
  /// What the caller threw to end it, which is not a failure of these ways.
  [[nodiscard]] const std::exception_ptr& thrown() const noexcept { return thrown_; }

  void work(std::size_t threads, const platform::Work& work) {
    platform::work_together(threads, work, [this] { watch(); });
  }

 private:
  const WholeFile& file_;
  std::span<std::byte> out_;
  const DecodeLimits& limits_;
  const WholeWatch& watch_;
  std::atomic<std::uint64_t> input_{0};
  std::atomic<std::uint64_t> output_{0};
  std::exception_ptr thrown_;
};

/// So many, but no more than that.
[[nodiscard]] inline std::size_t limited(std::uint64_t count, std::size_t most) noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(count, most));
}

/// The bytes of a little-endian number.
[[nodiscard]] inline std::uint64_t little_endian(std::span<const std::byte> bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i - 1]);
  }
  return value;
}

// One for each codec that is built in. True: all is decoded and verified. False: not tried.
[[nodiscard]] bool decode_whole_gzip(WholeJob& job);
[[nodiscard]] bool decode_whole_xz(WholeJob& job);
[[nodiscard]] bool decode_whole_zstd(WholeJob& job);
[[nodiscard]] bool decode_whole_lz4(WholeJob& job);

}  // namespace ballast
