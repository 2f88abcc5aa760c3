// Loader: bytes that come piece by piece, from a network, a pipe or JavaScript, into one ModelData.
//
//     ballast::Loader loader({.total = content_length});
//     while (more) {
//       std::span<std::byte> room = loader.prepare(chunk.size());      // where the next bytes go
//       loader.commit(receive(room));                                  // how many were put there
//     }
//     auto model = ballast::Model::from_data(loader.finish());
//
// What is compressed (compression.hpp) is recognised by its content and decoded as it comes: then
// what is prepared and committed are the compressed bytes, and a small buffer takes them.
//
// Each byte is put where it stays: the first few go to a small buffer until the directory in it can
// be read, which says how large the model is and where its data begin. Then one vector is
// allocated, of exactly that size, placed so that the data of the tensors begin at a multiple of
// 64, and the rest lands in it. A vector that grows would take three times the memory of the model,
// and a WebAssembly heap never gives that back.
//
// Bytes that are no model are refused as soon as that is seen, not when all of them have come. A
// Loader that has thrown, was cancelled, is finished or was moved from has freed everything, and
// refuses what else is asked of it (misuse).
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include <ballast/config.hpp>
#include <ballast/model_data.hpp>

namespace ballast {

/// What is known beforehand, and what is allowed.
struct LoaderOptions {
  /// Bytes that will come, where somebody knows it: of a compressed file, as it is. The size of a
  /// transfer that is encoded on its way (Content-Encoding) is not that.
  std::optional<std::uint64_t> total{};
  /// The most bytes that may be allocated for the model, all its files together, else
  /// Errc::too_large before they are; by default what the process can get, as in OpenOptions. A
  /// `total` that is more is refused before its first byte comes, compressed or not: what comes out
  /// of it is hardly ever less.
  std::optional<std::uint64_t> max_bytes{};
  /// Bytes that count for `max_bytes` already: the sizes of the other files of the same model that
  /// were loaded before.
  std::uint64_t used_bytes = 0;
  /// Whether bytes that are no model are refused. Where they are not, they are collected, in pieces
  /// if their number is not known.
  bool require_model = true;
  /// Whether the index of a set (a JSON text) is collected all the same; see Model::siblings.
  bool accept_index = false;
  /// What errors call the input: a path, a URL; empty where it has no name.
  std::filesystem::path path{};
  /// Whether compressed input is decoded, or loaded as it is.
  bool decompress = true;
  /// Whether no more than the directory is wanted, as in OpenOptions; also of plain bytes.
  bool directory_only = false;
  DecodeLimits decode{};
  ParseOptions parse{};
};

class BALLAST_API Loader {
 public:
  explicit Loader(const LoaderOptions& options = {});
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;
  ~Loader();

  /// Where the next bytes go: room for up to `want` of them, at least one if `want` is not 0. Valid
  /// until the next call. Empty once has_directory(). While the directory is not there yet the room
  /// is small, whatever is wanted. Throws Error (out_of_memory).
  [[nodiscard]] std::span<std::byte> prepare(std::size_t want);
  /// The first `count` bytes of what prepare() gave are there now. Throws Error as soon as the
  /// bytes cannot become a model, and misuse for more bytes than there was room for.
  void commit(std::size_t count);
  /// Both, for bytes that lie elsewhere: copies them, or decodes them from where they are. They
  /// must not change during the call.
  void push(std::span<const std::byte> bytes);
  /// Whether the directory is there, where no more was wanted: more bytes are not taken, and
  /// finish() may be called.
  [[nodiscard]] bool has_directory() const noexcept;
  /// All bytes have come. Throws Error where some are missing; where the directory was all that is
  /// wanted, those of it.
  [[nodiscard]] ModelData finish();
  /// Frees what was loaded so far.
  void cancel() noexcept;

  /// Bytes that have come, and how many there will be where that is known by now. The first 512
  /// count as bytes of the model until it is seen that they are compressed.
  [[nodiscard]] Progress progress() const noexcept;

 private:
  class State;
  template <class Work>
  auto guarded(Work work);
  std::unique_ptr<State> state_;
};

}  // namespace ballast
