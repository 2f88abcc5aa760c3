// Model::verify: checks what opening leaves alone because it would touch the data.
//
// A mapped file is read into a buffer: the caller's mapping keeps its pages and its advice, a file
// that is cut meanwhile gives an error and no signal, and no other process changes the bytes that
// are checked.
#include <algorithm>
#include <cstring>
#include <system_error>
#include <vector>

#include <ballast/layout.hpp>
#include <ballast/model.hpp>
#include <ballast/text.hpp>
#include <ballast/warning_list.hpp>

#include "ballast/model_data_storage.hpp"
#include "platform/bulk_read.hpp"
#include "platform/cancellation.hpp"
#include "platform/memory.hpp"

namespace ballast {
namespace {

// Between two looks at progress and cancellation: a few milliseconds of memory, a tenth of a second
// of a slow disk.
constexpr std::size_t kPiece = std::size_t{16} << 20;

// Of strings and padding: most arrays of strings fit, and so does every alignment that is allowed
// by default.
constexpr std::size_t kWindow = std::size_t{1} << 20;

// Every byte goes into a result that the compiler may not drop.
void touch(std::span<const std::byte> bytes) noexcept {
  std::uint64_t all = 0;
  for (; bytes.size() >= sizeof all; bytes = bytes.subspan(sizeof all)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    all ^= word;
  }
  for (const std::byte byte : bytes) all ^= std::to_integer<std::uint64_t>(byte);
  [[maybe_unused]] const volatile std::uint64_t sink = all;
}

/// The bytes of one file: where they lie, or, of a mapped file, a copy of some of them.
class Source {
 public:
  explicit Source(const ModelData& data) noexcept : data_(data) {}

  [[nodiscard]] std::uint64_t size() const noexcept { return data_.size(); }

  /// The bytes from `at` on, which are valid until the next call. Throws Error where the file does
  /// not give them.
  std::span<const std::byte> read(std::uint64_t at, std::size_t length) {
    if (!data_.is_mmap()) return data_.bytes().subspan(static_cast<std::size_t>(at), length);
    if (buffer_.size() < length) buffer_ = platform::PlacedBytes(length);
    const std::span<std::byte> into = std::span(buffer_).first(length);
    const std::uint64_t got = fill(at, into);
    if (got < length) refuse_change(at + got);
    return into;
  }

  /// Throws Error: the bytes from `at` on are no longer those that were there when the file was
  /// parsed.
  [[noreturn]] void refuse_change(std::uint64_t at) const {
    data_.require_undamaged();
    throw Error({.code = Errc::file_changed, .offset = at, .expected = data_.size(), .actual = at},
                data_.path().string());
  }

 private:
  std::uint64_t fill(std::uint64_t at, std::span<std::byte> into) const {
    const DataAccess::Storage& storage = DataAccess::storage(data_);
    try {
      platform::BulkRead reading(storage.file, storage.offset + at, into);
      while (reading.step()) {
      }
      return reading.done();
    } catch (const std::system_error& error) {
      throw Error(error.code(), "read", storage.path.string());
    }
  }

  const ModelData& data_;
  platform::PlacedBytes buffer_;
};

/// A part of a file, from the front to the back. Every byte is taken once.
class Window {
 public:
  Window(Source& source, std::uint64_t begin, std::uint64_t end) noexcept
      : source_(source), at_(begin), end_(end) {}

  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }
  [[nodiscard]] std::uint64_t left() const noexcept { return end_ - at_; }

  /// The next bytes, at most kWindow of them. Refuses the file where fewer are left: they were
  /// there when the file was parsed.
  std::span<const std::byte> take(std::size_t length) {
    require(length);
    if (held_.size() < length) {
      held_ = source_.read(at_, static_cast<std::size_t>(std::min<std::uint64_t>(kWindow, left())));
    }
    const std::span<const std::byte> taken = held_.first(length);
    skip(length);
    return taken;
  }
  /// Takes the last `count` bytes back that take() has given.
  void put_back(std::size_t count) noexcept {
    at_ -= count;
    held_ = {};
  }
  void skip(std::uint64_t length) {
    require(length);
    at_ += length;
    held_ = held_.subspan(static_cast<std::size_t>(std::min<std::uint64_t>(length, held_.size())));
  }

  template <class Number>
  Number number() {
    const std::span<const std::byte> bytes = take(sizeof(Number));
    Number number = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      number |= static_cast<Number>(std::to_integer<Number>(bytes[i]) << (8 * i));
    }
    return number;
  }

  [[noreturn]] void refuse_change() const { source_.refuse_change(at_); }

 private:
  void require(std::uint64_t length) const {
    if (length > left()) refuse_change();
  }

  Source& source_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::span<const std::byte> held_;
};

/// Whether the next `length` bytes are UTF-8, however long they are; takes them all.
bool take_text(Window& window, std::uint64_t length) {
  while (length > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(length, kWindow));
    const std::span<const std::byte> bytes = window.take(size);
    length -= size;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), size);
    const std::size_t bad = find_invalid_utf8(text);
    if (bad == std::string_view::npos) continue;
    // A character of up to four bytes may go on in the next piece, which then begins with it.
    const std::size_t rest = size - bad;
    if (length == 0 || rest > 3) {
      window.skip(length);
      return false;
    }
    window.put_back(rest);
    length += rest;
  }
  return true;
}

class Verifier {
 public:
  Verifier(const Model& model, const OpenOptions& options) : model_(model), options_(options) {}

  std::vector<Warning> run() {
    for (const Model::Shard& shard : model_.shards()) read_all(shard.data);
    for (const Tensor& tensor : model_.tensors()) check_padding(tensor);
    for (const Entry& entry : model_.metadata()) check_strings(entry);
    // Zeros of a guard stand in the caller's mapping, not in what was read here.
    model_.require_undamaged();
    return std::move(warnings_).finish();
  }

 private:
  void read_all(const ModelData& data) {
    Source source(data);
    for (std::size_t at = 0; at < data.size(); at += kPiece) {
      report(at);
      const std::span piece = source.read(at, std::min(kPiece, data.size() - at));
      if (!data.is_mmap()) touch(piece);
    }
    done_ += data.size();
    report(0);
  }

  void report(std::size_t within) const {
    bool cancelled = options_.cancelled && options_.cancelled();
#ifdef __cpp_lib_jthread
    cancelled |= options_.stop.stop_requested();
#endif
    if (cancelled) throw Error(Problem{.code = Errc::cancelled});
    if (options_.progress) options_.progress({done_ + within, model_.file_bytes()});
  }

  // Behind a tensor; what lies in front of the first was checked when the file was opened.
  void check_padding(const Tensor& tensor) {
    if (!model_.alignment() || !tensor.nbytes) return;
    Source source(model_.shards()[tensor.shard].data);
    const std::uint64_t end = tensor.offset + *tensor.nbytes;
    std::uint64_t padded = end;
    static_cast<void>(round_up(end, *model_.alignment(), padded));
    Window window(source, end, std::max(end, std::min(padded, source.size())));
    while (window.left() > 0) {
      const std::uint64_t at = window.at();
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(window.left(), kWindow));
      const std::span<const std::byte> bytes = window.take(size);
      const auto odd = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{0}; });
      if (odd == bytes.end()) continue;
      return warnings_.add({.code = Errc::nonzero_padding,
                            .kind = SubjectKind::tensor,
                            .offset = at + static_cast<std::uint64_t>(odd - bytes.begin()),
                            .name = tensor.name});
    }
  }

  // Metadata are views of the first file; those of an index have no arrays.
  void check_strings(const Entry& entry) {
    const std::optional<Array> array = entry.value.get<Array>();
    if (!array || !may_hold_strings(array->element_type())) return;
    const ModelData& data = model_.shards()[0].data;
    const auto begin = static_cast<std::uint64_t>(array->bytes().data() - data.bytes().data());
    Source source(data);
    Window window(source, begin, begin + array->bytes().size());
    check_elements(entry, window, array->element_type(), array->size());
  }

  static bool may_hold_strings(ValueType type) noexcept {
    return type == ValueType::string || type == ValueType::array;
  }

  // Arrays nest as deep as the parser allowed, which has accepted these bytes, unless they have
  // changed since.
  void check_elements(const Entry& entry, Window& window, ValueType type, std::uint64_t count,
                      std::uint32_t depth = 0) {
    if (!may_hold_strings(type)) return skip_numbers(window, type, count);
    if (depth > kMaxArrayDepth) window.refuse_change();
    for (; count > 0; --count) {
      if (type == ValueType::string) {
        check_string(entry, window);
        continue;
      }
      const auto element_type = window.number<std::uint32_t>();
      const auto size = window.number<std::uint64_t>();
      if (element_type >= kValueTypeCount) window.refuse_change();
      check_elements(entry, window, static_cast<ValueType>(element_type), size, depth + 1);
    }
  }

  void check_string(const Entry& entry, Window& window) {
    const auto length = window.number<std::uint64_t>();
    if (length > window.left()) window.refuse_change();
    if (take_text(window, length)) return;
    warnings_.add({.code = Errc::not_utf8,
                   .kind = SubjectKind::key,
                   .offset = entry.offset,
                   .name = entry.key});
  }

  static void skip_numbers(Window& window, ValueType type, std::uint64_t count) {
    const std::size_t size = encoded_size(type);
    if (count > window.left() / size) window.refuse_change();
    window.skip(count * size);
  }

  const Model& model_;
  const OpenOptions& options_;
  WarningList warnings_;
  std::uint64_t done_ = 0;
};

}  // namespace

std::vector<Warning> Model::verify(const OpenOptions& options) const {
  if (!is_complete()) throw Error(Problem{.code = Errc::not_loaded});
  const platform::CancellationOff off;
  return Verifier(*this, options).run();
}

}  // namespace ballast
