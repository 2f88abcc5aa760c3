// Placer: the bytes of one file, as they come, to where they stay. Private.
//
//     Placer placer(options);
//     while (more) {
//       const std::span<std::byte> room = placer.room();
//       placer.take(fill(room));
//     }
//     ModelData data = placer.finish(path);
//
// The first bytes go to a small buffer that doubles until the directory in it can be read, which
// says how large the model is. Then one vector of exactly that size is allocated, and the rest
// lands in it. What decodes compressed input, and what receives plain input, puts its bytes here;
// bytes that turn out to be compressed are handed back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include <ballast/compression.hpp>
#include <ballast/directory.hpp>
#include <ballast/model_data.hpp>

#include "ballast/model_data_storage.hpp"
#include "platform/memory.hpp"

namespace ballast {

/// What becomes of bytes that are no model.
enum class NonModel : std::uint8_t {
  refuse,
  collect,          ///< they are kept, in pieces where their number is not known
  collect_indexes,  ///< only JSON, as the index of a set is; everything else is refused
};

struct PlacerOptions {
  std::optional<std::uint64_t> total{};
  std::optional<std::uint64_t> max_bytes{};
  std::uint64_t used_bytes = 0;  // of max_bytes, by other files
  NonModel non_model = NonModel::refuse;
  /// Whether a model whose end nobody knows is refused; else it is collected.
  bool require_end = true;
  /// Whether compressed bytes are handed back.
  bool decompress = true;
  /// Whether the directory is all that is wanted.
  bool directory_only = false;
  ParseOptions parse{};
};

/// Where decoded bytes come from: what a model that they claim to be is measured by. Whoever
/// decodes keeps it up to date.
struct CompressedInput {
  Compression codec = Compression::none;
  std::uint64_t max_ratio = 0;
  std::uint64_t received = 0;
  std::optional<std::uint64_t> total{};
};

class Placer {
 public:
  /// `input` is null for plain bytes, and must outlive the object. Throws Error where the total is
  /// more than may be allocated.
  explicit Placer(const PlacerOptions& options, const CompressedInput* input = nullptr);

  /// Where the next bytes go; never empty for plain bytes. Decoded ones may have to wait: there is
  /// no room for more than `max_ratio` allows of the input that has come, and an Error
  /// (ratio_too_high) once no more will come. Throws Error.
  [[nodiscard]] std::span<std::byte> room();
  /// So many bytes of that are filled. Throws Error.
  void take(std::size_t count);
  /// All bytes have come. Throws Error where they are not enough. Afterwards compression() may tell
  /// what it did not before.
  void end();
  /// No more bytes will come than have: where the directory is all that is wanted, parses it now,
  /// however few they are. Throws Error.
  void look_for_directory();
  /// What was placed. After end(), or with has_directory().
  [[nodiscard]] ModelData finish(const std::filesystem::path& path);

  /// What the bytes are compressed with, where they are: then nothing more can be placed, and
  /// prefix() is all that has come.
  [[nodiscard]] Compression compression() const noexcept { return compression_; }
  [[nodiscard]] std::span<const std::byte> prefix() const noexcept { return prefix_.content(); }
  /// Whether the directory is there, which was all that is wanted.
  [[nodiscard]] bool has_directory() const noexcept { return phase_ == Phase::directory; }
  /// Bytes that have come, and how many there will be where that is known by now.
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  [[nodiscard]] std::optional<std::uint64_t> expected() const noexcept { return expected_; }

  /// The vector for the whole model, once it is there and not full; else nothing. A caller that
  /// fills it calls accept_whole(), or begin_again() where that failed.
  [[nodiscard]] std::span<std::byte> whole() noexcept;
  void accept_whole() noexcept;
  /// Drops all that has come, and what was learnt from it: the bytes come once more, and may be
  /// others. Throws Error.
  void begin_again();

 private:
  /// Memory with a filled part.
  struct Buffer {
    platform::PlacedBytes bytes;
    std::size_t filled = 0;

    [[nodiscard]] std::span<std::byte> rest() noexcept { return std::span(bytes).subspan(filled); }
    [[nodiscard]] std::span<const std::byte> content() const noexcept {
      return std::span(bytes).first(filled);
    }
    [[nodiscard]] bool full() const noexcept { return filled == bytes.size(); }
    void append(std::span<const std::byte> more) noexcept;
  };

  /// Where the bytes go that come next.
  enum class Phase : std::uint8_t {
    prefix,     // into a small buffer, until the directory in it can be read
    deferred,   // nowhere, until the input is large enough for what the directory claims
    body,       // into the vector, where they stay
    segments,   // into pieces: no model, and nobody knows how many bytes there are
    trailing,   // nowhere: they follow the model
    directory,  // nowhere: the prefix is all that is wanted
  };

  [[nodiscard]] static platform::PlacedBytes allocate(std::uint64_t size, std::size_t residue = 0);
  void require_room(std::uint64_t size) const { limit_.require(size, {}); }
  [[nodiscard]] bool is_plausible(std::uint64_t size) const;
  [[nodiscard]] std::span<std::byte> room_in_prefix();
  [[nodiscard]] std::span<std::byte> room_in_segments();
  void look(std::optional<std::uint64_t> total);
  void refuse_or_collect(const Error& error, std::optional<std::uint64_t> total);
  void begin_body(std::optional<std::uint64_t> size, std::uint64_t data_offset);
  void allocate_body();
  void note_trailing(std::span<const std::byte> bytes);
  [[nodiscard]] bool begins_in_padding(std::span<const std::byte> behind) const;
  void join();

  PlacerOptions options_;
  const CompressedInput* input_;
  HeapLimit limit_;
  Phase phase_ = Phase::prefix;
  Compression compression_ = Compression::none;
  Buffer prefix_;
  std::uint64_t look_at_;  // bytes in the prefix at which it is parsed again
  std::uint64_t body_size_ = 0;
  std::uint64_t data_offset_ = 0;
  std::uint64_t data_end_ = 0;
  std::optional<Split> split_;
  Buffer body_;
  std::vector<Buffer> segments_;
  platform::PlacedBytes scratch_;
  std::array<std::byte, 16> first_trailing_{};
  std::uint64_t received_ = 0;
  std::optional<std::uint64_t> expected_;  // bytes in all
};

}  // namespace ballast
