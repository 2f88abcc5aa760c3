// A loader, called in any order with any pieces of a file, which is a model more often than not.
//
//   * All that a loader throws is an Error; after it, after cancel and after finish it refuses
//     everything (misuse), and holds no memory.
//   * Progress never goes back and never passes the total.
//   * What it loads is what was put into it, or what that decodes to, and parses as the whole does.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/made_model.hpp"
#include "tests/fuzz/require.hpp"

namespace ballast::test {
namespace {

// Bytes that an input may claim, which are then zeroed: that takes most of the time.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 18;

LoaderOptions options_of(FuzzInput& input, std::size_t size) {
  LoaderOptions options{.max_bytes = kMostBytes};
  const std::uint8_t flags = input.byte();
  options.require_model = (flags & 1U) == 0;
  options.accept_index = (flags & 2U) != 0;
  options.directory_only = (flags & 12U) == 12U;
  options.decompress = (flags & 48U) != 48U;
  options.parse.lenient = (flags & 64U) != 0;
  if ((flags & 128U) != 0) options.path = "model.bin";
  const std::uint8_t kind = input.byte();
  if (kind % 2 == 1) options.total = size;
  if (kind % 16 == 2) options.total = size + input.any();
  if (kind % 16 == 4) options.total = input.any();
  if (kind % 16 == 6) options.max_bytes = std::min(input.any(), kMostBytes);
  if (kind % 16 == 8) options.decode.max_window = std::min(input.any(), kMostBytes);
  if (kind % 16 == 8) options.decode.max_ratio = input.any();
  if (kind % 16 == 10) options.parse.limits.max_tensors = input.any();
  if (kind % 16 == 10) options.parse.limits.max_header = input.any();
  return options;
}

/// A loader, and what it must keep to.
class Watched {
 public:
  Watched(FuzzInput& input, std::span<const std::byte> file)
      : input_(input), file_(file), options_(options_of(input, file.size())) {}

  void run() {
    std::optional<Loader> loader;
    if (!attempt([&] { loader.emplace(options_); })) return;
    constexpr int kMostSteps = 200;
    for (int i = 0; i < kMostSteps && !has_ended_; ++i) {
      attempt([&] { step(*loader); });
      check_progress(*loader);
    }
    if (!has_ended_) attempt([&] { finish(*loader); });
    if (has_ended_) require_ended(*loader);
  }

 private:
  template <class Work>
  bool attempt(Work work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      require(error.code() != Errc::unexpected, "an error has its own code", error.what());
      has_ended_ = true;
      return false;
    }
  }

  std::span<const std::byte> next(std::size_t want) {
    const auto piece = file_.subspan(given_).first(std::min(want, file_.size() - given_));
    given_ += piece.size();
    return piece;
  }

  std::size_t piece_size() {
    const std::uint8_t kind = input_.byte();
    return kind < 64 ? kind : std::size_t{1} << (kind % 18);
  }

  void step(Loader& loader) {
    const std::uint8_t what = input_.empty() ? 0 : input_.byte() % 32;
    if (what < 16) return push(loader);
    if (what < 28) return place(loader);
    if (what == 28) return static_cast<void>(loader.prepare(input_.any()));
    if (what == 29) return commit_too_much(loader);
    if (what == 30) return finish(loader);
    if (input_.below(4) == 0) cancel(loader);
  }

  void push(Loader& loader) {
    if (given_ == file_.size()) return finish(loader);
    const bool is_taken = !loader.has_directory();
    const auto piece = next(input_.empty() ? file_.size() : piece_size());
    loader.push(piece);
    if (!is_taken) given_ -= piece.size();
  }

  void place(Loader& loader) {
    const std::size_t want = piece_size();
    const bool was_there = loader.has_directory();
    const std::span<std::byte> room = loader.prepare(want);
    require(room.size() <= want, "there is no more room than was wanted");
    require(room.empty() == (want == 0 || was_there), "there is room where some is wanted");
    const auto piece = next(room.size());
    std::ranges::copy(piece, room.begin());
    loader.commit(piece.size());
  }

  void commit_too_much(Loader& loader) {
    const std::size_t want = piece_size();
    const std::size_t size = loader.prepare(want).size();
    try {
      loader.commit(size + 1 + input_.below(3));
    } catch (const Error& error) {
      require(error.code() == Errc::misuse, "more than was prepared is misuse", error.what());
      throw;
    }
    require(false, "more than was prepared is refused");
  }

  void cancel(Loader& loader) {
    loader.cancel();
    has_ended_ = true;
  }

  void finish(Loader& loader) {
    const ModelData data = loader.finish();
    has_ended_ = true;
    require(data.size() <= options_.max_bytes, "no more is loaded than is allowed");
    require(data.is_complete() || options_.directory_only, "only what was asked for is left out");
    const auto given = file_.first(given_);
    if (data.compression() == Compression::none) check_plain(data, given);
    if (options_.require_model) check_model(data);
  }

  void check_plain(const ModelData& data, std::span<const std::byte> given) const {
    require(
        data.size() <= given.size() && std::ranges::equal(data.bytes(), given.first(data.size())),
        "what was put in is there");
    require(data.file_size() == given.size() || !data.is_complete(), "every byte is counted");
    if (!data.is_complete() || !options_.require_model || options_.accept_index) return;
    const Directory loaded = parse_whole(data.bytes(), options_.parse);
    const Directory expected = parse_whole(given, options_.parse);
    require(
        loaded.tensors.size() == expected.tensors.size() && loaded.data_end == expected.data_end,
        "it parses as the whole does");
  }

  void check_model(const ModelData& data) const {
    if (options_.accept_index && is_json(data.bytes())) return;
    if (data.is_complete()) static_cast<void>(parse_whole(data.bytes(), options_.parse));
  }

  void check_progress(const Loader& loader) {
    const Progress now = loader.progress();
    if (has_ended_)
      return require(now.done == 0 && now.input_done == 0, "what has ended holds nothing");
    // Until compressed bytes are recognised, in the first 512, they count as they are.
    constexpr std::uint64_t kFirstLook = 512;
    const bool is_recognised =
        now.input_done > 0 && seen_.input_done == 0 && seen_.done <= kFirstLook;
    const Progress before = is_recognised ? Progress{} : seen_;
    require(now.done >= before.done && now.input_done >= before.input_done,
            "progress never goes back");
    require(now.input_done <= given_, "no more is decoded than came");
    require(!now.input_total || now.input_done <= *now.input_total,
            "progress never passes the total");
    // Bytes behind a model are counted, too.
    const bool is_plain = !now.input_total && now.input_done == 0;
    require(!is_plain || !options_.total || now.done <= *options_.total,
            "progress never passes the total");
    seen_ = now;
  }

  static void require_ended(Loader& loader) {
    require(!loader.has_directory() && loader.progress().done == 0, "what has ended holds nothing");
    const auto refuses = [](auto work) {
      try {
        work();
      } catch (const Error& error) {
        return error.code() == Errc::misuse;
      }
      return false;
    };
    constexpr std::byte kByte{};
    require(refuses([&] { static_cast<void>(loader.prepare(1)); }),
            "what has ended prepares nothing");
    require(refuses([&] { loader.commit(0); }), "what has ended takes nothing");
    require(refuses([&] { loader.push({&kByte, 1}); }), "what has ended takes nothing");
    require(refuses([&] { loader.push({}); }), "what has ended takes nothing");
    require(refuses([&] { static_cast<void>(loader.finish()); }), "what has ended does not finish");
  }

  FuzzInput& input_;
  std::span<const std::byte> file_;
  LoaderOptions options_;
  std::size_t given_ = 0;
  bool has_ended_ = false;
  Progress seen_{};
};

}  // namespace
}  // namespace ballast::test

// The file first, which an input makes of a few bytes of its own; then options and calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ballast::test;
  constexpr std::size_t kCalls = 48;
  FuzzInput input(data, size);
  FuzzInput calls(input.take(kCalls));
  const Bytes file = made_file(input);
  Watched(calls, file).run();
  return 0;
}
