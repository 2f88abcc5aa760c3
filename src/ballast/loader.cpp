#include <ballast/loader.hpp>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include <ballast/error.hpp>

#include "ballast/codec.hpp"
#include "ballast/model_data_storage.hpp"
#include "ballast/placer.hpp"

namespace ballast {
namespace {

// Compressed bytes that are prepared at once: half a millisecond of decoding, and a system call or
// a call from JavaScript is nothing beside that.
constexpr std::size_t kInput = std::size_t{256} << 10;

NonModel non_model(const LoaderOptions& options) noexcept {
  if (!options.require_model) return NonModel::collect;
  return options.accept_index ? NonModel::collect_indexes : NonModel::refuse;
}

PlacerOptions placing(const LoaderOptions& options) {
  return {.total = options.total,
          .max_bytes = options.max_bytes,
          .used_bytes = options.used_bytes,
          .non_model = non_model(options),
          .require_end = options.require_model,
          .decompress = options.decompress,
          .directory_only = options.directory_only,
          .parse = options.parse};
}

// Of a compressed file, whose size says nothing about what comes out.
PlacerOptions placing_decoded(const LoaderOptions& options) {
  PlacerOptions placing_options = placing(options);
  placing_options.total.reset();
  if (!options.require_model) placing_options.non_model = NonModel::collect_indexes;
  return placing_options;
}

/// Compressed bytes, on their way to a Placer.
class Decoding {
 public:
  Decoding(Compression codec, const LoaderOptions& options)
      : decoder_(codec, {.max_window = options.decode.max_window}),
        input_{.codec = codec, .max_ratio = options.decode.max_ratio, .total = options.total},
        placer_(placing_decoded(options), &input_) {}
  Decoding(const Decoding&) = delete;
  Decoding& operator=(const Decoding&) = delete;
  ~Decoding() = default;

  [[nodiscard]] std::span<std::byte> room() {
    if (has_directory()) return {};
    if (buffer_.empty()) buffer_.resize(kInput);
    return buffer_;
  }

  void take(std::span<const std::byte> bytes) {
    input_.received += bytes.size();
    if (input_.total && input_.received > *input_.total) {
      throw Error(
          {.code = Errc::file_changed, .expected = input_.total, .actual = input_.received});
    }
    if (held_.empty()) return decode(bytes, false);
    // What had to wait comes first.
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    if (located(decoder_, [&] { return placer_.room(); }).empty()) return;
    const std::vector<std::byte> waited = std::exchange(held_, {});
    decode(waited, false);
  }

  [[nodiscard]] bool has_directory() const noexcept { return placer_.has_directory(); }

  [[nodiscard]] ModelData finish(const std::filesystem::path& path) {
    if (!has_directory()) located(decoder_, [&] { placer_.look_for_directory(); });
    if (!has_directory() && input_.total && input_.received < *input_.total) {
      throw Error(
          {.code = Errc::incomplete_input, .expected = input_.total, .actual = input_.received});
    }
    input_.total = input_.received;  // from here on there is room, or an error
    const std::vector<std::byte> waited = std::exchange(held_, {});
    decode(waited, true);
    if (!has_directory()) located(decoder_, [&] { placer_.end(); });
    ModelData data = located(decoder_, [&] { return placer_.finish(path); });
    DataAccess::Storage& storage = DataAccess::storage(data);
    storage.compression = decoder_.codec();
    storage.compressed_size = input_.received;
    return data;
  }

  [[nodiscard]] Progress progress() const noexcept {
    return {.done = placer_.received(),
            .total = placer_.expected(),
            .input_done = decoder_.input(),
            .input_total = input_.total};
  }

 private:
  /// Decodes bytes and places what comes out; keeps what there is no room for yet. `last` says that
  /// no more will come.
  void decode(std::span<const std::byte> bytes, bool last) {
    const char* in = reinterpret_cast<const char*>(bytes.data());
    const char* const end = in + bytes.size();
    for (bool more = true; more && !has_directory();) {
      const std::span<std::byte> room = located(decoder_, [&] { return placer_.room(); });
      if (room.empty()) return held_.assign(as_bytes(in), as_bytes(end));
      char* out = reinterpret_cast<char*>(room.data());
      more = decoder_.filter(in, end, out, out + room.size(), last);
      const auto count = static_cast<std::size_t>(out - reinterpret_cast<char*>(room.data()));
      located(decoder_, [&] { placer_.take(count); });
      // With room left and nothing to decode there is no more until more comes.
      if (!last && in == end && count < room.size()) return;
    }
  }

  static const std::byte* as_bytes(const char* text) noexcept {
    return reinterpret_cast<const std::byte*>(text);
  }

  Decoder decoder_;
  CompressedInput input_;
  Placer placer_;
  std::vector<std::byte> buffer_;  // what is prepared
  std::vector<std::byte> held_;    // a thousandth of the model at most (max_ratio)
};

}  // namespace

class Loader::State {
 public:
  explicit State(const LoaderOptions& options) : options_(options), placer_(placing(options)) {}

  [[nodiscard]] std::filesystem::path take_path() noexcept { return std::move(options_.path); }

  [[nodiscard]] std::span<std::byte> prepare(std::size_t want) {
    const std::span<std::byte> room = decoding_ ? decoding_->room() : placer_.room();
    given_ = room.first(std::min(want, room.size()));
    return given_;
  }

  void commit(std::size_t count) {
    if (count > given_.size()) {
      throw Error({.code = Errc::misuse, .word = "more bytes are committed than were prepared"});
    }
    const std::span<const std::byte> bytes = std::exchange(given_, {}).first(count);
    if (decoding_) return decoding_->take(bytes);
    placer_.take(count);
    begin_decoding();
  }

  void push(std::span<const std::byte> bytes) {
    while (!decoding_ && !has_directory() && !bytes.empty()) {
      const std::span<std::byte> room = prepare(bytes.size());
      std::ranges::copy(bytes.first(room.size()), room.begin());
      bytes = bytes.subspan(room.size());
      commit(room.size());
    }
    given_ = {};
    if (decoding_ && !has_directory()) decoding_->take(bytes);
  }

  [[nodiscard]] bool has_directory() const noexcept {
    return decoding_ ? decoding_->has_directory() : placer_.has_directory();
  }

  [[nodiscard]] ModelData finish() {
    if (!decoding_ && !has_directory()) {
      placer_.end();
      begin_decoding();
    }
    return decoding_ ? decoding_->finish(options_.path) : placer_.finish(options_.path);
  }

  [[nodiscard]] Progress progress() const noexcept {
    if (decoding_) return decoding_->progress();
    return {.done = placer_.received(), .total = placer_.expected()};
  }

 private:
  /// Where what has come so far is compressed, it goes through a decoder, and so does the rest.
  void begin_decoding() {
    if (placer_.compression() == Compression::none) return;
    decoding_ = std::make_unique<Decoding>(placer_.compression(), options_);
    decoding_->take(placer_.prefix());
    placer_ = Placer({});
  }

  LoaderOptions options_;
  Placer placer_;
  std::unique_ptr<Decoding> decoding_;
  std::span<std::byte> given_;  // room that is handed out, and not filled yet
};

/// Does what may fail. Whatever it throws, the loader holds nothing afterwards, and the error says
/// what the input was.
template <class Work>
auto Loader::guarded(Work work) {
  if (!state_) throw Error(Problem{.code = Errc::misuse, .word = "this load has ended"});
  try {
    return work(*state_);
  } catch (const Error& error) {
    const std::filesystem::path path = state_->take_path();  // a copy could fail before cancel()
    cancel();
    if (path.empty()) throw;
    throw error.with_path(path.string());
  } catch (...) {
    cancel();
    throw;
  }
}

Loader::Loader(const LoaderOptions& options) try : state_(std::make_unique<State>(options)) {
} catch (const Error& error) {
  throw error.with_path(options.path.string());
}

Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;
Loader::~Loader() = default;

std::span<std::byte> Loader::prepare(std::size_t want) {
  return guarded([want](State& state) { return state.prepare(want); });
}

void Loader::commit(std::size_t count) {
  guarded([count](State& state) { state.commit(count); });
}

void Loader::push(std::span<const std::byte> bytes) {
  if (bytes.empty()) return static_cast<void>(prepare(0));  // refuses after the end, too
  guarded([bytes](State& state) { state.push(bytes); });
}

ModelData Loader::finish() {
  ModelData data = guarded([](State& state) { return state.finish(); });
  cancel();
  return data;
}

bool Loader::has_directory() const noexcept { return state_ && state_->has_directory(); }

void Loader::cancel() noexcept { state_.reset(); }

Progress Loader::progress() const noexcept {
  if (!state_) return {};
  return state_->progress();
}

}  // namespace ballast
