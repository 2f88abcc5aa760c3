// Model: a model of one file or of many, ready to use.
//
//     auto model = ballast::Model::open("model.gguf");  // or a first shard, or an index.json
//     for (const ballast::Tensor& tensor : model.tensors()) {
//       std::span<const std::byte> weights = model.bytes(tensor);  // zero-copy
//       ...
//     }
//
// Ownership: move-only. Tensors, metadata and bytes are views that stay valid when the model is
// moved, and die with it. A moved-from Model has no files, tensors, metadata or warnings, is
// complete and undamaged, and may be assigned to or destroyed.
// Threads: all const functions may be called from any number of threads at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ballast/config.hpp>
#include <ballast/directory.hpp>
#include <ballast/error.hpp>
#include <ballast/metadata.hpp>
#include <ballast/model_data.hpp>
#include <ballast/tensor.hpp>

namespace ballast {

/// The values of a tensor as a C++ type: a view where their address is a multiple of alignof(T),
/// else a copy.
template <class T>
class TypedValues {
 public:
  explicit TypedValues(std::span<const T> view) noexcept : values_(view) {}
  explicit TypedValues(std::vector<T> copy) noexcept : copy_(std::move(copy)), values_(copy_) {}
  /// A moved vector keeps its address. What was moved from has no values.
  TypedValues(TypedValues&& other) noexcept
      : copy_(std::exchange(other.copy_, {})), values_(std::exchange(other.values_, {})) {}
  TypedValues& operator=(TypedValues&& other) noexcept {
    TypedValues taken(std::move(other));  // first, so that moving to itself keeps the values
    std::swap(copy_, taken.copy_);
    std::swap(values_, taken.values_);
    return *this;
  }
  TypedValues(const TypedValues&) = delete;
  TypedValues& operator=(const TypedValues&) = delete;
  ~TypedValues() = default;

  [[nodiscard]] std::span<const T> values() const& noexcept { return values_; }
  std::span<const T> values() const&& = delete;  // would dangle
  [[nodiscard]] bool is_copy() const noexcept { return !copy_.empty(); }

 private:
  std::vector<T> copy_;
  std::span<const T> values_;
};

class BALLAST_API Model {
 public:
  /// One file of a set, or the only one.
  struct Shard {
    std::string file;  ///< its name without folders; empty for bytes that came from memory
    ModelData data;
    std::uint64_t data_offset = 0;  ///< where the data of its tensors begin
  };

  /// Opens a model: a GGUF or safetensors file, the first shard of a split GGUF (its siblings are
  /// found beside the path as it is given, so that a cache of symbolic links works), or the
  /// `*.safetensors.index.json` of a sharded one. Each file may be compressed; one of a set that is
  /// not found by its name is looked for with the suffixes that compressed files have (".zst").
  /// What is found so is a file: a FIFO or a device is refused (operation_not_supported), and has
  /// to be listed. No file is opened under two names of an index. OpenOptions::max_bytes is for all
  /// of them together. Throws Error: empty_index for an index that names no tensor.
  [[nodiscard]] static Model open(const std::filesystem::path& path,
                                  const OpenOptions& options = {});
  /// Opens exactly these files as one model, in this order; see from_shards. Throws Error.
  [[nodiscard]] static Model open_shards(std::span<const std::filesystem::path> paths,
                                         const OpenOptions& options = {});
  /// A model of one file from bytes that are there already. Throws Error.
  [[nodiscard]] static Model from_data(ModelData data, const ParseOptions& parsing = {});
  /// A set whose files are there already, in order; an index comes before the shards that it names.
  /// Of those, each name takes the file that is called so, else the one with the suffix of a
  /// compressed file behind that name, else the next one without a name. Throws Error:
  /// duplicate_shard for two files of one name, missing_shard for a name without a file,
  /// incomplete_set for a file without a name in the index, misuse where there are no files at all.
  [[nodiscard]] static Model from_shards(std::vector<Shard> shards,
                                         const ParseOptions& parsing = {});
  /// The names of the other files of the set that `first` is the first of, as from_shards wants
  /// them behind it: the shards that an index names, or those of a split GGUF whose own name is
  /// `file`. Empty where it is a model by itself. They lie beside it, perhaps with the suffix of a
  /// compressed file. Throws Error: shard_name_mismatch where `file` leads to no other names.
  [[nodiscard]] static std::vector<std::string> siblings(const ModelData& first,
                                                         std::string_view file,
                                                         const ParseOptions& parsing = {});

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  [[nodiscard]] Format format() const noexcept;
  /// GGUF's version; empty for safetensors.
  [[nodiscard]] std::optional<std::uint32_t> version() const noexcept;
  /// GGUF's alignment in bytes; empty for safetensors.
  [[nodiscard]] std::optional<std::uint64_t> alignment() const noexcept;
  /// In the file's own order; of a set, the first shard's, or the index's own.
  [[nodiscard]] const Metadata& metadata() const& noexcept;
  const Metadata& metadata() const&& = delete;  // would dangle
  /// In the files' own order, shard by shard.
  [[nodiscard]] std::span<const Tensor> tensors() const& noexcept;
  std::span<const Tensor> tensors() const&& = delete;  // would dangle
  /// The tensor of that name, or null. Constant time.
  [[nodiscard]] const Tensor* find(std::string_view name) const& noexcept;
  const Tensor* find(std::string_view name) const&& = delete;  // would dangle
  /// The tensor of that name, or an Error (no_such_tensor).
  [[nodiscard]] const Tensor& at(std::string_view name) const&;
  const Tensor& at(std::string_view name) const&& = delete;  // would dangle

  /// The bytes of a tensor of this model: a view of `*tensor.nbytes` bytes into its shard. Throws
  /// Error: unknown_dtype for a tensor whose size is not known, not_loaded where the directory was
  /// all that was read (OpenOptions::directory_only), misuse for a tensor that cannot be of this
  /// model.
  [[nodiscard]] std::span<const std::byte> bytes(const Tensor& tensor) const&;
  std::span<const std::byte> bytes(const Tensor& tensor) const&& = delete;  // would dangle

  /// The largest power of two, up to 4096, that the address of a tensor's first byte is a multiple
  /// of.
  [[nodiscard]] std::size_t alignment_of(const Tensor& tensor) const;

  /// The values of a plain dtype as T, whose size must be that of one element (float for F32,
  /// std::uint16_t for F16 and BF16, ...): a view where the address allows it, else a copy. Throws
  /// Error (wrong_type).
  template <class T>
  [[nodiscard]] TypedValues<T> values(const Tensor& tensor) const& {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::span<const std::byte> raw = typed_bytes(tensor, sizeof(T));
    const std::size_t count = raw.size() / sizeof(T);
    if (reinterpret_cast<std::uintptr_t>(raw.data()) % alignof(T) == 0) {
      return TypedValues<T>(std::span<const T>(reinterpret_cast<const T*>(raw.data()), count));
    }
    std::vector<T> copy(count);
    std::memcpy(copy.data(), raw.data(), raw.size());
    return TypedValues<T>(std::move(copy));
  }
  template <class T>
  TypedValues<T> values(const Tensor& tensor) const&& = delete;  // would dangle

  /// Whether it is a set of files (then every tensor says its shard), and the files. A single file
  /// is a set of one.
  [[nodiscard]] bool is_sharded() const noexcept;
  [[nodiscard]] std::span<const Shard> shards() const& noexcept;
  std::span<const Shard> shards() const&& = delete;  // would dangle

  /// How many parameters it has: the elements of all tensors together, saturating.
  [[nodiscard]] std::uint64_t parameter_count() const noexcept;
  /// Bytes of all files together, after decompression; of an incomplete model, those that were
  /// read.
  [[nodiscard]] std::uint64_t file_bytes() const noexcept;
  /// False where of some file the directory was all that was read (OpenOptions::directory_only).
  [[nodiscard]] bool is_complete() const noexcept;

  /// Whether bytes of a mapped file are not, or no more, those of the file, and an Error where that
  /// is so: see ModelData::damaged and require_undamaged.
  [[nodiscard]] bool damaged() const noexcept;
  void require_undamaged() const;

  /// What is odd about the files without being wrong; of a set, shard by shard.
  [[nodiscard]] std::span<const Warning> warnings() const& noexcept;
  std::span<const Warning> warnings() const&& = delete;  // would dangle

  /// Reads every byte of every file once and looks at what opening leaves alone, because it would
  /// touch the data: padding between tensors, and the strings inside arrays. Answers what is odd,
  /// on top of `warnings()`. `options` gives progress and cancellation. A mapped file is read
  /// again, to some 16 MiB of memory, and not touched: the pages that are in memory, and what the
  /// system was advised about them, stay as they are. Throws Error (cancelled, file_changed where a
  /// mapped file was truncated or is no longer what was parsed, std::bad_alloc).
  [[nodiscard]] std::vector<Warning> verify(const OpenOptions& options = {}) const;

 private:
  struct State;
  friend struct ModelBuilder;  // model.cpp, which fills it
  explicit Model(std::unique_ptr<State> state) noexcept;
  [[nodiscard]] const State& state() const noexcept;
  [[nodiscard]] const Shard& shard_of(const Tensor& tensor) const;
  [[nodiscard]] std::span<const std::byte> typed_bytes(const Tensor& tensor,
                                                       std::size_t size) const;

  std::unique_ptr<State> state_;
};

}  // namespace ballast
