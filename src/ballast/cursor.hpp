// Cursor: reads little-endian values off the front of a file, and never past what is there.
// Private.
//
// It reads each number exactly once, so the bytes may change meanwhile (fetch.hpp). Spans and
// strings are views of those bytes, and their sizes are the cursor's own.
//
// The first failure wins and sticks: from then on every read gives zero and every string is empty,
// so that a parser reads on in straight lines, asks `stopped()` before it loops or branches on what
// it read, and throws at one place.
//
// A cursor over the first bytes of a file tells apart "the file is too short" (a Problem) from
// "more of the file is needed" (`needed()`).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <ballast/directory.hpp>
#include <ballast/error.hpp>
#include <ballast/fetch.hpp>

namespace ballast {

class Cursor {
 public:
  explicit Cursor(const Input& input) noexcept
      : begin_(input.bytes.data()),
        at_(begin_),
        end_(begin_ + input.bytes.size()),
        total_(input.total.value_or(kUnknownTotal)) {}

  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  /// Set where the cursor stopped because the file is bad.
  [[nodiscard]] const std::optional<Problem>& problem() const noexcept { return problem_; }
  /// Set where the cursor stopped because more of the file is needed: so many bytes from its start.
  [[nodiscard]] std::uint64_t needed() const noexcept { return needed_; }

  /// Bytes from the start of the file.
  [[nodiscard]] std::uint64_t offset() const noexcept {
    return static_cast<std::uint64_t>(at_ - begin_);
  }
  /// Bytes between here and the end of the file; huge while nobody knows where that is.
  [[nodiscard]] std::uint64_t left() const noexcept { return total_ - offset(); }
  /// Bytes that can be read without seeing more of the file.
  [[nodiscard]] std::size_t available() const noexcept {
    return static_cast<std::size_t>(end_ - at_);
  }

  /// What is being read, for the message where the file ends inside it: something with a name, or
  /// the one at some position whose name is not known yet.
  void about(SubjectKind kind, std::string_view name) noexcept {
    kind_ = kind;
    name_ = name;
    index_ = kNoIndex;
  }
  void about(SubjectKind kind, std::uint64_t index) noexcept {
    kind_ = kind;
    name_ = {};
    index_ = index;
  }

  void fail(const Problem& problem) noexcept {
    if (!stopped_) problem_ = problem;
    stop();
  }

  template <class T>
  [[nodiscard]] T read() noexcept {
    static_assert(std::is_unsigned_v<T>);
    static_assert(std::endian::native == std::endian::little, "the formats are little-endian");
    if (available() < sizeof(T)) {
      run_out(sizeof(T));
      return 0;
    }
    const T value = fetch<T>(at_);
    at_ += sizeof value;
    return value;
  }

  /// The next `count` bytes; empty where they are not there.
  [[nodiscard]] std::span<const std::byte> take(std::uint64_t count) noexcept {
    if (count > available()) {
      run_out(count);
      return {};
    }
    const std::span<const std::byte> bytes(at_, static_cast<std::size_t>(count));
    at_ += count;
    return bytes;
  }

  /// A u64 length and as many bytes.
  [[nodiscard]] std::string_view string(std::uint64_t max_length) noexcept {
    const std::uint64_t start = offset();
    const auto length = read<std::uint64_t>();
    if (length > max_length) too_long(start, length, max_length);
    const std::span<const std::byte> bytes = take(stopped_ ? 0 : length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// Steps over `count` strings. The hottest loop of the library: a vocabulary has hundreds of
  /// thousands.
  void skip_strings(std::uint64_t count, std::uint64_t max_length) noexcept {
    const std::byte* at = at_;
    for (; count > 0; --count) {
      if (static_cast<std::size_t>(end_ - at) < sizeof(std::uint64_t)) break;
      const auto length = fetch<std::uint64_t>(at);
      if (length > static_cast<std::size_t>(end_ - at) - sizeof length || length > max_length)
        break;
      at += sizeof length + length;
    }
    at_ = at;
    if (count > 0)
      static_cast<void>(string(max_length));  // the one that could not be stepped over says why
  }

 private:
  static constexpr std::uint64_t kNoIndex = UINT64_MAX;
  // Larger than every file, and still smaller than a sum that does not fit.
  static constexpr std::uint64_t kUnknownTotal = UINT64_MAX - 1;

  void stop() noexcept {
    stopped_ = true;
    end_ = at_;
  }

  void run_out(std::uint64_t count) noexcept {
    if (stopped_) return;
    const std::uint64_t at = offset();
    const std::uint64_t wanted = count > kUnknownTotal - at ? UINT64_MAX : at + count;
    if (wanted <= total_) {
      needed_ = wanted;
      return stop();
    }
    fail(described({.code = Errc::truncated, .offset = at, .expected = wanted, .actual = total_}));
  }

  void too_long(std::uint64_t start, std::uint64_t length, std::uint64_t max_length) noexcept {
    fail(described({.code = Errc::string_too_long,
                    .offset = start,
                    .expected = max_length,
                    .actual = length}));
  }

  [[nodiscard]] Problem described(Problem problem) const noexcept {
    problem.kind = kind_;
    problem.name = name_;
    if (index_ != kNoIndex) problem.index = index_;
    return problem;
  }

  const std::byte* begin_;
  const std::byte* at_;
  const std::byte* end_;
  std::uint64_t total_;
  std::uint64_t needed_ = 0;
  std::uint64_t index_ = kNoIndex;
  std::string_view name_;
  std::optional<Problem> problem_;
  SubjectKind kind_ = SubjectKind::header;
  bool stopped_ = false;
};

}  // namespace ballast
