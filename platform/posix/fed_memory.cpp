#include "platform/fed_memory.hpp"

#if __has_include(<linux/userfaultfd.h>)
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "platform/cancellation.hpp"
#include "platform/posix/signals_blocked.hpp"
#endif

namespace ballast::platform {

#ifdef SYS_userfaultfd
namespace {

// Faults of the program itself only, which need no privilege (since 5.11; older headers do not know
// it).
constexpr int kUserModeOnly = 1;

// What is read at once, while the reader is in the piece before: it takes libdeflate 3 ms.
constexpr std::size_t kPiece = std::size_t{1} << 20;

// Between two looks of the caller where no page is asked for.
constexpr int kBetweenLooksMs = 5;

[[noreturn]] void throw_errno() {
  const int error = errno;  // memory for the exception is taken first, and may set another
  throw std::system_error(error, std::system_category());
}

std::size_t page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// Memory whose pages come when they are given, and whoever reads one earlier waits for it.
class Pages {
 public:
  /// Nothing where the system does not have it, or does not let us.
  static std::optional<Pages> make(std::size_t size) {
    Pages pages;
    if (!pages.map(size) || !pages.watch()) return std::nullopt;
    return pages;
  }
  Pages(Pages&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        begin_(std::exchange(other.begin_, nullptr)),
        size_(other.size_) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  Pages& operator=(Pages&&) = delete;
  ~Pages() {
    let_go();
    if (begin_ != nullptr) ::munmap(begin_, size_);
  }

  [[nodiscard]] const std::byte* begin() const noexcept { return begin_; }

  /// Waits a little for somebody to read a page that is not there, and answers which.
  [[nodiscard]] std::optional<std::size_t> wait() const {
    pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, kBetweenLooksMs);
    if (ready == -1 && errno != EINTR) throw_errno();
    if (ready <= 0) return std::nullopt;
    uffd_msg message;
    const ssize_t got = ::read(descriptor_, &message, sizeof message);
    if (got == -1 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
    if (got == -1) throw_errno();
    if (got != sizeof message) throw std::system_error(std::make_error_code(std::errc::io_error));
    if (message.event != UFFD_EVENT_PAGEFAULT) return std::nullopt;
    const auto base = reinterpret_cast<std::uintptr_t>(begin_);
    return (message.arg.pagefault.address - base) & ~(page_size() - 1);
  }

  /// Puts whole pages there, and wakes who waits for them.
  void give(std::size_t at, std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      uffdio_copy request{.dst = reinterpret_cast<std::uintptr_t>(begin_) + at,
                          .src = reinterpret_cast<std::uintptr_t>(bytes.data()),
                          .len = bytes.size(),
                          .mode = 0,
                          .copy = 0};
      const int result = ::ioctl(descriptor_, UFFDIO_COPY, &request);
      if (result != 0 && errno != EAGAIN) throw_errno();  // EAGAIN: not all of it
      const std::size_t done = request.copy > 0 ? static_cast<std::size_t>(request.copy) : 0;
      at += done;
      bytes = bytes.subspan(done);
    }
  }

  void drop(std::size_t at, std::size_t size) const noexcept {
    ::madvise(begin_ + at, size, MADV_DONTNEED);
  }

  /// Whoever waits goes on, and from now on finds zeros.
  void let_go() noexcept {
    if (descriptor_ != -1) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  Pages() = default;

  bool map(std::size_t size) noexcept {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    begin_ = static_cast<std::byte*>(memory);
    size_ = size;
    return true;
  }

  bool watch() noexcept {
    descriptor_ =
        static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | kUserModeOnly));
    if (descriptor_ == -1) return false;
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    if (::ioctl(descriptor_, UFFDIO_API, &api) != 0) return false;
    uffdio_register range{
        .range = {.start = reinterpret_cast<std::uintptr_t>(begin_), .len = size_},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
        .ioctls = 0};
    return ::ioctl(descriptor_, UFFDIO_REGISTER, &range) == 0;
  }

  int descriptor_ = -1;
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
};

/// Gives the pages of a file to one who reads them in order.
///
/// A piece is given while the reader is in the one before, all but its first page: so the system
/// tells when the reader arrives there, which is the time to read the next piece. The page behind
/// the last one is the reader's bell: it touches it when it is done.
class Feeder {
 public:
  // NOLINTNEXTLINE(cert-msc51-cpp): any noise will do, the same one too
  Feeder(const File& file, std::uint64_t offset, std::size_t size, const Pages& pages)
      : file_(file),
        offset_(offset),
        size_(size),
        end_(whole_pages(size)),
        pages_(pages),
        piece_(std::min(kPiece, end_)),
        noise_(page_size()) {}

  static std::size_t whole_pages(std::size_t size) noexcept {
    return (size + page_size() - 1) / page_size() * page_size();
  }

  /// Until the reader has rung, or nothing can be given to it any more.
  void feed(const std::function<void(std::uint64_t)>& watch) {
    keep([&] { prepare(0); });
    for (bool ended = false; !ended && !lost_;) {
      std::optional<std::size_t> asked;
      lost_ = !keep([&] { asked = pages_.wait(); });
      if (asked) {
        ended = *asked == end_;
        answer(*asked);
      }
      if (!failure_) keep([&] { watch(std::min(next_, size_)); });
    }
  }

  void finish() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  /// Whether the reader may wait for a page that nobody gives.
  [[nodiscard]] bool lost() const noexcept { return lost_; }

 private:
  /// Does something, and keeps the first failure.
  template <class Action>
  bool keep(Action action) {
    try {
      action();
      return true;
    } catch (...) {
      if (!failure_) failure_ = std::current_exception();
      return false;
    }
  }

  void answer(std::size_t asked) {
    const bool is_next = asked == next_ && asked != end_ && !failure_;
    const auto page = std::span<const std::byte>(is_next ? piece_ : noise()).first(page_size());
    lost_ = !keep([&] { pages_.give(asked, page); });
    if (is_next && !lost_) keep([&] { advance(); });
  }

  void advance() {
    // The reader may still look back over the edge: only what lies before that is dropped.
    if (next_ >= 2 * kPiece) pages_.drop(next_ - 2 * kPiece, kPiece);
    next_ += std::min(kPiece, end_ - next_);
    if (next_ < end_) prepare(next_);
  }

  void prepare(std::size_t at) {
    const std::size_t wanted = std::min(kPiece, size_ - at);
    const std::size_t got = file_.read_at(offset_ + at, std::span(piece_).first(wanted));
    if (got < wanted) throw std::system_error(std::make_error_code(std::errc::io_error));
    const std::size_t whole = whole_pages(wanted);
    pages_.give(at + page_size(), std::span(piece_).first(whole).subspan(page_size()));
  }

  /// Any compressed data end soon at random bytes; zeros could be a symbol that repeats.
  const std::vector<std::byte>& noise() {
    std::ranges::generate(noise_, [&] { return static_cast<std::byte>(random_()); });
    return noise_;
  }

  const File& file_;
  std::uint64_t offset_;
  std::size_t size_;
  std::size_t end_;  // of the last page; the bell is behind it
  const Pages& pages_;
  std::vector<std::byte> piece_;  // the one that is given but for its first page
  std::size_t next_ = 0;          // where it begins
  std::vector<std::byte> noise_;
  std::minstd_rand random_;
  std::exception_ptr failure_;
  bool lost_ = false;
};

void ring(const std::byte* bell) noexcept {
  static_cast<void>(*static_cast<const volatile std::byte*>(bell));
}

}  // namespace

bool read_as_memory(const File& file, std::uint64_t offset, std::size_t size,
                    const std::function<void(std::span<const std::byte>)>& reader,
                    const std::function<void(std::uint64_t)>& watch) {
  const CancellationOff off;
  if (size == 0 || size > std::numeric_limits<std::size_t>::max() / 2) return false;
  const std::size_t end = Feeder::whole_pages(size);
  std::optional<Pages> pages = Pages::make(end + page_size());
  if (!pages) return false;
  Feeder feeder(file, offset, size, *pages);
  std::exception_ptr failure;
  std::thread thread;
  try {
    const SignalsBlocked blocked;
    thread = std::thread([&] {
      try {
        reader({pages->begin(), size});
      } catch (...) {
        failure = std::current_exception();
      }
      ring(pages->begin() + end);
    });
  } catch (const std::system_error&) {
    return false;
  }
  feeder.feed(watch);
  if (feeder.lost()) pages->let_go();
  thread.join();
  feeder.finish();
  if (failure) std::rethrow_exception(failure);
  return true;
}

#else

bool read_as_memory(const File&, std::uint64_t, std::size_t,
                    const std::function<void(std::span<const std::byte>)>&,
                    const std::function<void(std::uint64_t)>&) {
  return false;
}

#endif

}  // namespace ballast::platform
