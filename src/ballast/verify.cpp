// Model::verify: what opening leaves alone because it would touch the data.
#include <algorithm>
#include <cstring>
#include <vector>

#include <ballast/layout.hpp>
#include <ballast/model.hpp>
#include <ballast/text.hpp>
#include <ballast/warning_list.hpp>

namespace ballast {
namespace {

// Between two looks at progress and cancellation: about a millisecond of memory, a tenth of a
// second of a slow disk.
constexpr std::size_t kPiece = std::size_t{16} << 20;

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

class Verifier {
 public:
  Verifier(const Model& model, const OpenOptions& options) : model_(model), options_(options) {}

  std::vector<Warning> run() {
    for (const Model::Shard& shard : model_.shards()) touch_all(shard);
    for (const Tensor& tensor : model_.tensors()) look_at_padding(tensor);
    for (const Entry& entry : model_.metadata()) look_at_strings(entry, entry.value);
    return std::move(warnings_).finish();
  }

 private:
  void touch_all(const Model::Shard& shard) {
    const ModelData& data = shard.data;
    data.advise_sequential();
    for (std::size_t at = 0; at < data.size(); at += kPiece) {
      const std::size_t length = std::min(kPiece, data.size() - at);
      report(at);
      make_sure(data, at, length);
      touch(data.bytes().subspan(at, length));
      data.release_cpu_pages(
          at, length);  // a model larger than the memory must not push everything else out
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

  // Asks the system for the pages, which answers where a touch would raise SIGBUS: a truncated
  // file, a failing disk.
  static void make_sure(const ModelData& data, std::size_t at, std::size_t length) {
    data.require_undamaged();
    const Advised advised = data.advise(Advice::populate_read, at, length);
    if (!advised.failed()) return;
    data.require_undamaged();  // cut between the two: EFAULT
    throw Error(advised.error(), "read", data.path().string());
  }

  // Behind a tensor; what lies in front of the first was looked at when the file was opened.
  void look_at_padding(const Tensor& tensor) {
    if (!model_.alignment() || !tensor.nbytes) return;
    const std::span<const std::byte> bytes = model_.shards()[tensor.shard].data.bytes();
    std::uint64_t end = tensor.offset + *tensor.nbytes;
    std::uint64_t padded = end;
    static_cast<void>(round_up(end, *model_.alignment(), padded));
    for (padded = std::min<std::uint64_t>(padded, bytes.size()); end < padded; ++end) {
      if (bytes[static_cast<std::size_t>(end)] == std::byte{0}) continue;
      return warnings_.add({.code = Errc::nonzero_padding,
                            .kind = SubjectKind::tensor,
                            .offset = end,
                            .name = tensor.name});
    }
  }

  // Arrays nest as deep as the parser allowed, at most kMaxArrayDepth.
  void look_at_strings(const Entry& entry, const Value& value) {
    const std::optional<Array> array = value.get<Array>();
    if (!array ||
        (array->element_type() != ValueType::string && array->element_type() != ValueType::array))
      return;
    for (const Value element : *array) {
      if (const auto text = element.get<std::string_view>(); text && !is_utf8(*text)) {
        warnings_.add({.code = Errc::not_utf8,
                       .kind = SubjectKind::key,
                       .offset = entry.offset,
                       .name = entry.key});
      }
      look_at_strings(entry, element);
    }
  }

  const Model& model_;
  const OpenOptions& options_;
  WarningList warnings_;
  std::uint64_t done_ = 0;
};

}  // namespace

std::vector<Warning> Model::verify(const OpenOptions& options) const {
  if (!is_complete()) throw Error(Problem{.code = Errc::not_loaded});
  return Verifier(*this, options).run();
}

}  // namespace ballast
