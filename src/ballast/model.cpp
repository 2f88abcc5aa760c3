#include <ballast/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <system_error>
#include <utility>

#include <ballast/format.hpp>
#include <ballast/layout.hpp>
#include <ballast/shard_files.hpp>
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
  return {path.filename().string(), DataAccess::open_for_model(path, options), 0};
}

bool is_missing(const Error& error) { return error.code() == std::errc::no_such_file_or_directory; }

// What nobody named is a file: a FIFO would wait for its writer, and a device may have no end.
void require_file(const fs::path& path) {
  if (!DataAccess::is_pipe_or_device(path)) return;
  const auto code = static_cast<int>(std::errc::operation_not_supported);
  throw Error(std::error_code(code, std::system_category()), "open", path.string());
}

// A file of a set that is looked for beside the one that was opened.
struct Sibling {
  std::string_view name;
  std::string_view suffix{};                   // of the one that was opened: tried first
  std::span<const std::string_view> others{};  // sorted names of the set
};

// A file under its own name, or else under that of a compressed one, but never under that of
// another file of the set.
Shard open_compressed_or_not(const fs::path& path, const Sibling& sibling,
                             const OpenOptions& options) {
  const std::string_view suffix = sibling.suffix;
  std::vector<std::string> suffixes{std::string(suffix)};
  if (!suffix.empty()) suffixes.emplace_back();
  suffixes.insert(suffixes.end(), kSuffixes.begin(), kSuffixes.end());
  for (const std::string& candidate : suffixes) {
    const std::string called = std::string(sibling.name) + candidate;
    if (!candidate.empty() && std::ranges::binary_search(sibling.others, called)) continue;
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

// A file beside the one that was opened; one that is not there is a missing shard rather than just
// a missing file. What it takes of the heap is counted.
Shard open_sibling(const fs::path& opened, const Sibling& sibling, OpenOptions& options) {
  try {
    Shard shard = open_compressed_or_not(opened.parent_path() / sibling.name, sibling, options);
    options.used_bytes += DataAccess::heap_bytes(shard.data);
    return shard;
  } catch (const Error& error) {
    if (!is_missing(error)) throw;
    throw Error({.code = Errc::missing_shard, .kind = SubjectKind::file, .name = sibling.name},
                opened.string());
  }
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

// A range inside a bigger file is that of the file which was named; its siblings are whole files,
// and share what may be put on the heap with the one that is open.
OpenOptions for_siblings(OpenOptions options, const Shard& opened) {
  options.offset = 0;
  options.length.reset();
  options.used_bytes += DataAccess::heap_bytes(opened.data);
  return options;
}

// However little may be put on the heap: headers of nearly every file fit.
constexpr std::uint64_t kSmallCopies = std::uint64_t{1} << 20;

// What parsers copy out of mapped files has the limit of the heap by itself.
ParseOptions parsing_of(const OpenOptions& options) {
  ParseOptions parsing = options.parse;
  if (!options.max_bytes) return parsing;
  const std::uint64_t left = *options.max_bytes - std::min(*options.max_bytes, options.used_bytes);
  parsing.max_bytes = std::min(parsing.max_bytes, std::max(left, kSmallCopies));
  return parsing;
}

// What the parser copies is no longer left for other files.
Directory parse_counted(const Shard& shard, ParseOptions& options) {
  Directory directory = parse_shard(shard, options);
  options.max_bytes -= directory.copied_bytes;  // which the parser has held to it
  return directory;
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

[[noreturn]] void refuse_foreign() {
  throw Error(Problem{.code = Errc::misuse, .word = "a tensor that is not of this model"});
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

  // An index and its shards; `take` gives the one of a name when its turn has come, and gets all
  // names and the place of that one.
  template <class Take>
  static Model from_index(Shard first, ParseOptions parsing, Take take) {
    ShardIndex index = parse_index(first.data, first.file, parsing);
    ModelBuilder builder;
    builder.state.sharded = true;
    for (std::size_t i = 0; i < index.files.size(); ++i) {
      const std::string_view file = index.files[i];
      Shard shard = take(std::span<const std::string_view>(index.files), i);
      Directory directory = parse_counted(shard, parsing);
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

  // An index whose shards are there already.
  static Model from_index(std::vector<Shard> shards, const ParseOptions& parsing) {
    Shard first = std::move(shards.front());
    shards.erase(shards.begin());
    const std::string path = shown_path(first);
    const std::vector<std::string_view> given = names_of(shards);
    std::vector<std::size_t> places;  // before any shard, and with it a name, is moved
    return from_index(std::move(first), parsing,
                      [&](std::span<const std::string_view> names, std::size_t i) {
                        if (i == 0) places = match_files(names, given, path);
                        return std::move(shards[places[i]]);
                      });
  }

  static std::vector<std::string_view> names_of(std::span<const Shard> shards) {
    std::vector<std::string_view> names;
    for (const Shard& shard : shards) names.emplace_back(shard.file);
    return names;
  }

  // The first shard of a split GGUF, whose siblings are found by its name.
  static Model from_first(const fs::path& path, Shard first, OpenOptions rest) {
    ParseOptions parsing = parsing_of(rest);
    Directory directory = parse_counted(first, parsing);
    const std::string suffix(suffix_of(first.file));
    const std::vector<std::string> names =
        other_names(split_of(directory.metadata), first.data, first.file);
    std::vector<Shard> shards;
    std::vector<Directory> directories;
    shards.push_back(std::move(first));
    directories.push_back(std::move(directory));
    for (const std::string& name : names) {
      shards.push_back(open_sibling(path, {.name = name, .suffix = suffix}, rest));
      directories.push_back(parse_counted(shards.back(), parsing));
    }
    return from_set(std::move(shards), std::move(directories));
  }
};

Model Model::open(const fs::path& path, const OpenOptions& options) {
  Shard shard = open_shard(path, options);
  OpenOptions rest = for_siblings(options, shard);
  if (is_json(shard.data.bytes())) {
    return ModelBuilder::from_index(
        std::move(shard), parsing_of(rest),
        [&](std::span<const std::string_view> names, std::size_t i) {
          return open_sibling(
              path, {.name = names[i], .suffix = suffix_of(path.native()), .others = names}, rest);
        });
  }
  return ModelBuilder::from_first(path, std::move(shard), std::move(rest));
}

Model Model::open_shards(std::span<const fs::path> paths, const OpenOptions& options) {
  std::vector<Shard> shards;
  shards.reserve(paths.size());
  OpenOptions each = for_siblings(options, {});
  for (const fs::path& path : paths) {
    shards.push_back(open_shard(path, each));
    each.used_bytes += DataAccess::heap_bytes(shards.back().data);
  }
  return from_shards(std::move(shards), parsing_of(each));
}

Model Model::from_data(ModelData data, const ParseOptions& parsing) {
  std::vector<Shard> shards(1);
  shards[0].file = data.path().filename().string();
  shards[0].data = std::move(data);
  return from_shards(std::move(shards), parsing);
}

Model Model::from_shards(std::vector<Shard> shards, const ParseOptions& parsing) {
  if (shards.empty()) throw Error(Problem{.code = Errc::misuse, .word = "a model of no files"});
  if (is_json(shards[0].data.bytes())) return ModelBuilder::from_index(std::move(shards), parsing);
  std::vector<Directory> directories;
  directories.reserve(shards.size());
  ParseOptions left = parsing;
  for (const Shard& shard : shards) directories.push_back(parse_counted(shard, left));
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

const Model::State& Model::state() const noexcept {
  static const State kMovedFrom;
  return state_ ? *state_ : kMovedFrom;
}

const Shard& Model::shard_of(const Tensor& tensor) const {
  if (tensor.shard < shards().size()) return shards()[tensor.shard];
  refuse_foreign();
}

Format Model::format() const noexcept { return state().format; }
std::optional<std::uint32_t> Model::version() const noexcept { return state().version; }
std::optional<std::uint64_t> Model::alignment() const noexcept { return state().alignment; }
const Metadata& Model::metadata() const& noexcept { return state().metadata; }
std::span<const Tensor> Model::tensors() const& noexcept { return state().tensors; }
bool Model::is_sharded() const noexcept { return state().sharded; }
std::span<const Shard> Model::shards() const& noexcept { return state().shards; }
std::span<const Warning> Model::warnings() const& noexcept { return state().warnings; }

const Tensor* Model::find(std::string_view name) const& noexcept {
  const auto position = state().tensor_index.find({tensors(), &Tensor::name}, name);
  return position ? &state().tensors[*position] : nullptr;
}

const Tensor& Model::at(std::string_view name) const& {
  if (const Tensor* tensor = find(name)) return *tensor;
  throw Error({.code = Errc::no_such_tensor, .kind = SubjectKind::tensor, .name = name},
              shards().empty() ? std::string() : shown_path(shards().front()));
}

std::span<const std::byte> Model::bytes(const Tensor& tensor) const& {
  const Shard& shard = shard_of(tensor);
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
  const std::span<const std::byte> file = shard.data.bytes();
  if (tensor.offset > file.size() || *tensor.nbytes > file.size() - tensor.offset) refuse_foreign();
  return file.subspan(static_cast<std::size_t>(tensor.offset),
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
              shown_path(shard_of(tensor)));
}

std::uint64_t Model::parameter_count() const noexcept {
  std::uint64_t count = 0;
  for (const Tensor& tensor : state().tensors) {
    if (!add(count, tensor.elements(), count)) return UINT64_MAX;
  }
  return count;
}

std::uint64_t Model::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Shard& shard : state().shards) bytes += shard.data.file_size();
  return bytes;
}

bool Model::damaged() const noexcept {
  return std::any_of(state().shards.begin(), state().shards.end(),
                     [](const Shard& shard) { return shard.data.damaged(); });
}

void Model::require_undamaged() const {
  for (const Shard& shard : state().shards) shard.data.require_undamaged();
}

bool Model::is_complete() const noexcept {
  return std::all_of(state().shards.begin(), state().shards.end(),
                     [](const Shard& shard) { return shard.data.is_complete(); });
}

}  // namespace ballast
