#include <ballast/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <system_error>
#include <utility>

#include <ballast/format.hpp>
#include <ballast/layout.hpp>
#include <ballast/shards.hpp>
#include <ballast/text.hpp>
#include <ballast/warning_list.hpp>

#include "ballast/model_data_storage.hpp"

namespace ballast {

struct Model::State {
  std::vector<Shard> shards;
  std::vector<std::unique_ptr<std::pmr::monotonic_buffer_resource>> arenas;
  Format format = Format::gguf;
  std::optional<std::uint32_t> version;
  std::optional<std::uint64_t> alignment;
  Metadata metadata;
  std::vector<Tensor> tensors;
  NameIndex tensor_index;
  std::vector<Warning> warnings;
  bool sharded = false;
};

namespace {

using Shard = Model::Shard;
namespace fs = std::filesystem;

// The path of a file in errors: as it was opened, or at least its name.
std::string shown_path(const ModelData& data, std::string_view file) {
  return data.path().empty() ? std::string(file) : data.path().string();
}
std::string shown_path(const Shard& shard) { return shown_path(shard.data, shard.file); }

Directory parse_file(const ModelData& data, std::string_view file, const ParseOptions& options) {
  try {
    Input input{
        .bytes = data.bytes(), .total = data.file_size(), .is_stable = DataAccess::is_stable(data)};
    if (!data.is_complete()) input.total.reset();
    Directory directory = std::move(*parse(input, options).directory);
    DataAccess::require_undamaged(data);
    return directory;
  } catch (const Error& error) {
    DataAccess::require_undamaged(data);  // else what is wrong with zeros would be said
    throw error.with_path(shown_path(data, file));
  }
}
Directory parse_shard(const Shard& shard, const ParseOptions& options) {
  return parse_file(shard.data, shard.file, options);
}

ShardIndex parse_index(const ModelData& data, std::string_view file, const ParseOptions& options) {
  try {
    ShardIndex index = parse_index(data.bytes(), options);
    DataAccess::require_undamaged(data);
    return index;
  } catch (const Error& error) {
    DataAccess::require_undamaged(data);
    throw error.with_path(shown_path(data, file));
  }
}

Shard open_shard(const fs::path& path, const OpenOptions& options) {
  return {path.filename().string(), ModelData::open(path, options), 0};
}

// What compressed files are called after what is in them. What they are compressed with, their
// content says.
constexpr std::array<std::string_view, 6> kSuffixes{".zst", ".gz", ".xz", ".bz2", ".lz4", ".zz"};

bool is_missing(const Error& error) { return error.code() == std::errc::no_such_file_or_directory; }

// What nobody named is a file: a FIFO would wait for its writer, and a device may have no end.
void require_file(const fs::path& path) {
  if (!DataAccess::is_pipe_or_device(path)) return;
  const auto code = static_cast<int>(std::errc::operation_not_supported);
  throw Error(std::error_code(code, std::system_category()), "open", path.string());
}

// A file under its own name, or else under that of a compressed one.
Shard open_compressed_or_not(const fs::path& path, std::string_view suffix,
                             const OpenOptions& options) {
  std::vector<std::string> suffixes{std::string(suffix)};
  if (!suffix.empty()) suffixes.emplace_back();
  suffixes.insert(suffixes.end(), kSuffixes.begin(), kSuffixes.end());
  for (const std::string& candidate : suffixes) {
    try {
      fs::path named = path;
      named += candidate;
      require_file(named);
      return open_shard(named, options);
    } catch (const Error& error) {
      if (!is_missing(error)) throw;
    }
  }
  return open_shard(path, options);  // to say that it is not there
}

// A file beside the one that was opened, whose name has that suffix behind its own; one that is not
// there is a missing shard rather than just a missing file.
Shard open_sibling(const fs::path& opened, std::string_view name, std::string_view suffix,
                   const OpenOptions& options) {
  try {
    return open_compressed_or_not(opened.parent_path() / name, suffix, options);
  } catch (const Error& error) {
    if (!is_missing(error)) throw;
    throw Error({.code = Errc::missing_shard, .kind = SubjectKind::file, .name = name},
                opened.string());
  }
}

// What stands behind the own name of a compressed file, if that is one of the suffixes.
std::string_view suffix_of(std::string_view file) noexcept {
  for (const std::string_view suffix : kSuffixes) {
    if (file.ends_with(suffix)) return suffix;
  }
  return {};
}

// Whether a file that may be compressed is the one of that name.
bool is_called(std::string_view file, std::string_view name) noexcept {
  return file.starts_with(name) && file.size() == name.size() + suffix_of(file).size();
}

// The names of the others of a split GGUF, by that of its first file.
std::vector<std::string> other_names(const Split& split, const ModelData& first,
                                     std::string_view file) {
  if (split.count <= 1 || split.number != 0) return {};
  const std::string_view own = file.substr(0, file.size() - suffix_of(file).size());
  std::vector<std::string> names = split_names(own, split.count);
  if (!names.empty()) return names;
  throw Error({.code = Errc::shard_name_mismatch, .expected = split.count},
              shown_path(first, file));
}

// A range inside a bigger file is that of the file which was named; its siblings are whole files.
OpenOptions for_siblings(OpenOptions options) {
  options.offset = 0;
  options.length.reset();
  return options;
}

void check_split(const Shard& shard, const Split& split, const Split& first,
                 std::uint64_t position) {
  const auto require = [&](std::string_view key, std::uint64_t actual, std::uint64_t expected) {
    if (actual == expected) return;
    throw Error({.code = Errc::wrong_shard, .expected = expected, .actual = actual, .word = key},
                shown_path(shard));
  };
  require("split.count", split.count, first.count);
  require("split.no", split.number, position);
  require("split.tensors.count", split.tensor_total.value_or(0), first.tensor_total.value_or(0));
}

// Whether these files are all there is, and each is what it must be.
void check_set(std::span<const Shard> shards, std::span<const Directory> directories) {
  for (std::size_t i = 1; i < directories.size(); ++i) {
    if (directories[i].format != directories[0].format) {
      throw Error({.code = Errc::mixed_formats}, shown_path(shards[i]));
    }
  }
  if (directories[0].format != Format::gguf) return;
  const Split first = split_of(directories[0].metadata);
  if (first.number != 0) {
    throw Error({.code = Errc::not_first_shard,
                 .expected = first.count,
                 .actual = std::max(first.number + 1, first.number)},  // what wraps stays as it is
                shown_path(shards[0]));
  }
  if (std::max<std::uint64_t>(first.count, 1) != shards.size()) {
    throw Error({.code = Errc::incomplete_set, .expected = first.count, .actual = shards.size()},
                shown_path(shards[0]));
  }
  std::uint64_t tensors = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (shards.size() > 1) check_split(shards[i], split_of(directories[i].metadata), first, i);
    tensors += directories[i].tensors.size();
  }
  if (shards.size() > 1 && first.tensor_total.value_or(tensors) != tensors) {
    throw Error(
        {.code = Errc::wrong_tensor_total, .expected = first.tensor_total, .actual = tensors},
        shown_path(shards[0]));
  }
}

}  // namespace

Model::Model(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

// Turns files and their directories into one model. Directories hold views of the files' bytes,
// which stay where they are when their owners move.
struct ModelBuilder {
  Model::State state;
  WarningList set_warnings;  // about the set rather than about one of its files

  // A model of one file takes its directory as it is.
  void take_only(Shard shard, Directory directory) {
    take_head(directory);
    shard.data_offset = directory.data_offset;
    state.tensors = std::move(directory.tensors);
    state.tensor_index = std::move(directory.tensor_index);
    state.warnings = std::move(directory.warnings);
    state.arenas.push_back(std::move(directory.arena));
    state.shards.push_back(std::move(shard));
  }

  void take_head(Directory& directory) {
    state.format = directory.format;
    state.version = directory.version;
    state.alignment = directory.alignment;
    state.metadata = std::move(directory.metadata);
  }

  // One more file of a set; of an index, which calls it `name`, only the tensors that it places
  // there or does not know.
  void append(Shard shard, Directory directory, const ShardIndex* index, std::string_view name) {
    const auto position = static_cast<std::uint32_t>(state.shards.size());
    for (Tensor& tensor : directory.tensors) {
      const ShardIndex::Entry* entry = index != nullptr ? index->find(tensor.name) : nullptr;
      const bool placed_here = entry != nullptr && entry->file == name;
      if (index != nullptr && !placed_here) {
        set_warnings.add(
            {.code = Errc::not_in_index, .kind = SubjectKind::tensor, .name = tensor.name});
      }
      if (entry != nullptr && !placed_here) continue;
      tensor.shard = position;
      state.tensors.push_back(tensor);
    }
    for (Warning& warning : directory.warnings) {
      warning.message = printable(shard.file) + ": " + warning.message;
      state.warnings.push_back(std::move(warning));
    }
    shard.data_offset = directory.data_offset;
    state.arenas.push_back(std::move(directory.arena));
    state.shards.push_back(std::move(shard));
  }

  void index_tensors() {
    const std::span<const Tensor> tensors = state.tensors;
    if (const auto repeated = state.tensor_index.build({tensors, &Tensor::name})) {
      const Tensor& tensor = tensors[*repeated];
      throw Error(
          {.code = Errc::duplicate_tensor, .kind = SubjectKind::tensor, .name = tensor.name},
          shown_path(state.shards[tensor.shard]));
    }
  }

  // Every tensor of the index must be in the shard that it names.
  void check_index(const ShardIndex& index, const std::string& path) const {
    for (const ShardIndex::Entry& entry : index.weights) {
      const std::span<const Tensor> tensors = state.tensors;
      if (state.tensor_index.find({tensors, &Tensor::name}, entry.tensor)) continue;
      throw Error({.code = Errc::tensor_not_in_shard,
                   .kind = SubjectKind::tensor,
                   .offset = entry.offset,
                   .name = entry.tensor,
                   .word = entry.file},
                  path);
    }
  }

  Model finish() && {
    for (Warning& warning : std::move(set_warnings).finish())
      state.warnings.push_back(std::move(warning));
    return Model(std::make_unique<Model::State>(std::move(state)));
  }

  static Model from_one(Shard shard, Directory directory) {
    ModelBuilder builder;
    builder.take_only(std::move(shard), std::move(directory));
    return std::move(builder).finish();
  }

  static Model from_set(std::vector<Shard> shards, std::vector<Directory> directories) {
    check_set(shards, directories);
    if (shards.size() == 1) return from_one(std::move(shards[0]), std::move(directories[0]));
    ModelBuilder builder;
    builder.state.sharded = true;
    builder.take_head(directories[0]);
    for (std::size_t i = 0; i < shards.size(); ++i) {
      builder.append(std::move(shards[i]), std::move(directories[i]), nullptr, {});
    }
    builder.index_tensors();
    return std::move(builder).finish();
  }

  // An index and its shards, each of which `take` gives when its turn has come.
  template <class Take>
  static Model from_index(Shard first, const ParseOptions& parsing, Take take) {
    ShardIndex index = parse_index(first.data, first.file, parsing);
    ModelBuilder builder;
    builder.state.sharded = true;
    for (const std::string_view file : index.files) {
      Shard shard = take(file);
      Directory directory = parse_shard(shard, parsing);
      if (directory.format != Format::safetensors)
        throw Error({.code = Errc::mixed_formats}, shown_path(shard));
      builder.append(std::move(shard), std::move(directory), &index, file);
    }
    builder.index_tensors();
    builder.check_index(index, shown_path(first));
    builder.state.format = Format::safetensors;
    builder.state.metadata = std::move(index.metadata);
    builder.state.arenas.push_back(std::move(index.arena));
    return std::move(builder).finish();
  }

  // An index whose shards are there already. Those that have a name are found by it.
  static Model from_index(std::vector<Shard> shards, const ParseOptions& parsing) {
    Shard first = std::move(shards[0]);
    const std::string path = shown_path(first);
    std::size_t position = 0;
    Model model = from_index(std::move(first), parsing, [&](std::string_view file) {
      ++position;
      for (Shard& shard : std::span(shards).subspan(1)) {
        if (is_called(shard.file, file)) return std::move(shard);
      }
      if (position < shards.size() && shards[position].file.empty())
        return std::move(shards[position]);
      throw Error({.code = Errc::missing_shard, .kind = SubjectKind::file, .name = file}, path);
    });
    if (position + 1 == shards.size()) return model;
    throw Error({.code = Errc::incomplete_set, .expected = position, .actual = shards.size() - 1},
                path);
  }

  // The first shard of a split GGUF, whose siblings are found by its name.
  static Model from_first(const fs::path& path, Shard first, Directory directory,
                          const OpenOptions& options) {
    const std::string suffix(suffix_of(first.file));
    const std::vector<std::string> names =
        other_names(split_of(directory.metadata), first.data, first.file);
    std::vector<Shard> shards;
    std::vector<Directory> directories;
    shards.push_back(std::move(first));
    directories.push_back(std::move(directory));
    for (const std::string& name : names) {
      shards.push_back(open_sibling(path, name, suffix, for_siblings(options)));
      directories.push_back(parse_shard(shards.back(), options.parse));
    }
    return from_set(std::move(shards), std::move(directories));
  }
};

Model Model::open(const fs::path& path, const OpenOptions& options) {
  Shard shard = open_shard(path, options);
  if (is_json(shard.data.bytes())) {
    return ModelBuilder::from_index(std::move(shard), options.parse, [&](std::string_view file) {
      return open_sibling(path, file, suffix_of(path.native()), for_siblings(options));
    });
  }
  Directory directory = parse_shard(shard, options.parse);
  return ModelBuilder::from_first(path, std::move(shard), std::move(directory), options);
}

Model Model::open_shards(std::span<const fs::path> paths, const OpenOptions& options) {
  std::vector<Shard> shards;
  shards.reserve(paths.size());
  for (const fs::path& path : paths) shards.push_back(open_shard(path, for_siblings(options)));
  return from_shards(std::move(shards), options.parse);
}

Model Model::from_data(ModelData data, const ParseOptions& parsing) {
  std::vector<Shard> shards(1);
  shards[0].file = data.path().filename().string();
  shards[0].data = std::move(data);
  return from_shards(std::move(shards), parsing);
}

Model Model::from_shards(std::vector<Shard> shards, const ParseOptions& parsing) {
  if (shards.empty()) throw Error(Problem{.code = Errc::empty_file});
  if (is_json(shards[0].data.bytes())) return ModelBuilder::from_index(std::move(shards), parsing);
  std::vector<Directory> directories;
  directories.reserve(shards.size());
  for (const Shard& shard : shards) directories.push_back(parse_shard(shard, parsing));
  return ModelBuilder::from_set(std::move(shards), std::move(directories));
}

std::vector<std::string> Model::siblings(const ModelData& first, std::string_view file,
                                         const ParseOptions& parsing) {
  if (is_json(first.bytes())) {
    const ShardIndex index = parse_index(first, file, parsing);
    return {index.files.begin(), index.files.end()};
  }
  const std::optional<Split> known = DataAccess::split(first);
  const Split split = known ? *known : split_of(parse_file(first, file, parsing).metadata);
  return other_names(split, first, file);
}

Format Model::format() const noexcept { return state_->format; }
std::optional<std::uint32_t> Model::version() const noexcept { return state_->version; }
std::optional<std::uint64_t> Model::alignment() const noexcept { return state_->alignment; }
const Metadata& Model::metadata() const& noexcept { return state_->metadata; }
std::span<const Tensor> Model::tensors() const& noexcept { return state_->tensors; }
bool Model::is_sharded() const noexcept { return state_->sharded; }
std::span<const Shard> Model::shards() const& noexcept { return state_->shards; }
std::span<const Warning> Model::warnings() const& noexcept { return state_->warnings; }

const Tensor* Model::find(std::string_view name) const& noexcept {
  const auto position = state_->tensor_index.find({tensors(), &Tensor::name}, name);
  return position ? &state_->tensors[*position] : nullptr;
}

const Tensor& Model::at(std::string_view name) const& {
  if (const Tensor* tensor = find(name)) return *tensor;
  throw Error({.code = Errc::no_such_tensor, .kind = SubjectKind::tensor, .name = name},
              shown_path(state_->shards[0]));
}

std::span<const std::byte> Model::bytes(const Tensor& tensor) const& {
  const Shard& shard = state_->shards[tensor.shard];
  if (!tensor.nbytes) {
    throw Error({.code = Errc::unknown_dtype,
                 .kind = SubjectKind::tensor,
                 .name = tensor.name,
                 .word = tensor.dtype_name},
                shown_path(shard));
  }
  if (*tensor.nbytes == 0) return {};  // may lie behind the end of a file without its last padding
  if (!shard.data.is_complete()) {
    throw Error({.code = Errc::not_loaded, .kind = SubjectKind::tensor, .name = tensor.name},
                shown_path(shard));
  }
  return shard.data.bytes().subspan(static_cast<std::size_t>(tensor.offset),
                                    static_cast<std::size_t>(*tensor.nbytes));
}

std::size_t Model::alignment_of(const Tensor& tensor) const {
  constexpr std::uintptr_t kMost = 4096;
  return std::size_t{1} << std::countr_zero(reinterpret_cast<std::uintptr_t>(bytes(tensor).data()) |
                                            kMost);
}

std::span<const std::byte> Model::typed_bytes(const Tensor& tensor, std::size_t size) const {
  const DTypeInfo& type = info(tensor.dtype);
  if (type.block_elements == 1 && type.block_bytes == size) return bytes(tensor);
  throw Error({.code = Errc::wrong_type,
               .kind = SubjectKind::tensor,
               .name = tensor.name,
               .word = tensor.dtype_name},
              shown_path(state_->shards[tensor.shard]));
}

std::uint64_t Model::parameter_count() const noexcept {
  std::uint64_t count = 0;
  for (const Tensor& tensor : state_->tensors) {
    if (!add(count, tensor.elements(), count)) return UINT64_MAX;
  }
  return count;
}

std::uint64_t Model::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Shard& shard : state_->shards) bytes += shard.data.file_size();
  return bytes;
}

bool Model::damaged() const noexcept {
  return std::any_of(state_->shards.begin(), state_->shards.end(),
                     [](const Shard& shard) { return shard.data.damaged(); });
}

void Model::require_undamaged() const {
  for (const Shard& shard : state_->shards) shard.data.require_undamaged();
}

bool Model::is_complete() const noexcept {
  return std::all_of(state_->shards.begin(), state_->shards.end(),
                     [](const Shard& shard) { return shard.data.is_complete(); });
}

}  // namespace ballast
