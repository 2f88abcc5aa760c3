// ModelData::open and its sisters: from a path or a descriptor to bytes in memory.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model_data.hpp>

#include "ballast/model_data_storage.hpp"
#include "ballast/open_compressed.hpp"
#include "ballast/open_job.hpp"
#include "ballast/placer.hpp"
#include "platform/bulk_read.hpp"
#include "platform/cancellation.hpp"
#include "platform/fault_guard.hpp"
#include "platform/file.hpp"
#include "platform/mapped_file.hpp"
#include "platform/memory.hpp"

namespace ballast {
namespace {

using platform::File;
using platform::FileKind;
using platform::FileStatus;
using platform::Mapping;
using platform::PlacedBytes;

constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

// The directory of most models fits; to read that much costs less than to open the file.
constexpr std::uint64_t kFirstPrefix = std::uint64_t{64} << 10;

// So many bytes tell every codec, and a skippable frame of zstd's or LZ4's before it.
constexpr std::size_t kSignature = 64;

// What is asked of a pipe at once; it gives less.
constexpr std::size_t kPiece = std::size_t{4} << 20;

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) noexcept {
  return a > kNoEnd - b ? kNoEnd : a + b;
}

// ---- Placement ----------------------------------------------------------------------------------

/// What one look at the beginning of a file says. Nothing, where the bytes are no model: they are
/// loaded all the same, and the Model says later what is wrong with them.
Parsed parse_leniently(const Input& input, const ParseOptions& options) {
  try {
    return parse(input, options);
  } catch (const Error&) {
    return {};
  }
}

/// The address modulo 64 where the first of `total` bytes has to lie for the data of the tensors to
/// begin at a multiple of 64. `read_prefix` fills a span with the first bytes and answers how many
/// there are.
template <class ReadPrefix>
std::size_t residue_for(const Job& job, std::uint64_t total, ReadPrefix read_prefix) {
  const std::uint64_t largest_header =
      saturating_add(job.options.parse.limits.max_header, kFirstPrefix);
  const std::uint64_t most = std::min(total, largest_header);
  std::uint64_t have = std::min(kFirstPrefix, most);
  while (have > 0) {
    PlacedBytes prefix = job.allocate(have);
    const std::size_t got = read_prefix(std::span<std::byte>(prefix));
    const Parsed parsed =
        parse_leniently({.bytes = std::span(prefix).first(got), .total = total, .is_stable = true},
                        job.options.parse);
    if (parsed.directory) {
      const std::uint64_t into = parsed.directory->data_offset % platform::kPlacementUnit;
      return static_cast<std::size_t>(platform::kPlacementUnit - into);
    }
    if (parsed.needed <= have || parsed.needed > most) break;
    have = std::min(std::max(parsed.needed, 2 * have), most);
  }
  return 0;
}

// ---- Files that have a size ---------------------------------------------------------------------

FileRange range_in_file(const Job& job, std::uint64_t size) {
  const std::uint64_t offset = job.options.offset;
  const std::uint64_t end =
      job.options.length ? saturating_add(offset, *job.options.length) : std::max(offset, size);
  if (end > size) job.refuse({.code = Errc::range_outside_file, .expected = end, .actual = size});
  return {offset, end - offset};
}

/// The range, mapped; nothing where it cannot be and need not be.
std::optional<Mapping> map_range(const Job& job, const FileRange& range) {
  constexpr std::uint64_t kAddressSpace = std::numeric_limits<std::size_t>::max();
  const bool required = job.backend == Backend::map;
  if (range.length > kAddressSpace) {
    if (!required) return std::nullopt;
    job.refuse({.code = Errc::too_large, .expected = range.length, .actual = kAddressSpace});
  }
  try {
    return Mapping::map(job.file, range.offset, static_cast<std::size_t>(range.length));
  } catch (const std::system_error& error) {
    if (!required) return std::nullopt;
    throw Error(error.code(), "map", job.path.string());
  }
}

/// The range, in one vector.
PlacedBytes read_range(const Job& job, const FileRange& range) {
  job.require_room(range.length);
  job.report(0, range.length);
  const auto read_prefix = [&](std::span<std::byte> prefix) {
    return job.attempt("read", [&] { return job.file.read_at(range.offset, prefix); });
  };
  PlacedBytes bytes = job.allocate(range.length, residue_for(job, range.length, read_prefix));
  platform::BulkRead reading(job.file, range.offset, bytes);
  while (job.attempt("read", [&] { return reading.step(); })) {
    job.report(reading.done(), range.length);
  }
  if (reading.done() < range.length) {
    job.refuse({.code = Errc::file_changed, .expected = range.length, .actual = reading.done()});
  }
  job.report(range.length, range.length);
  return bytes;
}

/// What the bytes of a file are compressed with, by the first few of them.
Compression compression_in(const Job& job, const FileRange& range) {
  if (!job.options.decompress || range.length == 0) return Compression::none;
  std::array<std::byte, kSignature> first;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(range.length, kSignature));
  const std::size_t got = job.attempt(
      "read", [&] { return job.file.read_at(range.offset, std::span(first).first(size)); });
  if (got < size) {
    job.refuse({.code = Errc::file_changed, .expected = range.length, .actual = got});
  }
  const Compression found = compression_of(std::span(first).first(got));
  // What this build cannot decode is opened like anything else that is no model, which is refused.
  return std::ranges::find(codecs(), found) != codecs().end() ? found : Compression::none;
}

DataAccess::Storage load_sized(const Job& job, std::uint64_t size) {
  const FileRange range = range_in_file(job, size);
  const Compression codec = compression_in(job, range);
  if (codec != Compression::none) return load_compressed(job, range, codec);
  if (job.backend != Backend::heap && range.length > 0) {
    if (std::optional<Mapping> mapping = map_range(job, range))
      return {.bytes = std::move(*mapping)};
  }
  return {.bytes = read_range(job, range)};
}

// ---- Files that have none: pipes, devices, /proc ------------------------------------------------

[[noreturn]] void refuse_short(const Job& job, std::uint64_t end) {
  const std::uint64_t expected = saturating_add(job.options.offset, job.options.length.value_or(0));
  job.refuse({.code = Errc::range_outside_file, .expected = expected, .actual = end});
}

/// Passes over what comes before the offset that was asked for.
void skip(const Job& job, Incoming& incoming) {
  if (job.options.offset == 0) return;
  PlacedBytes passed = job.allocate(std::min<std::uint64_t>(job.options.offset, kPiece));
  while (incoming.position() < job.options.offset) {
    const std::uint64_t left = job.options.offset - incoming.position();
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, passed.size()));
    job.report(0, job.options.length);
    if (incoming.read(std::span(passed).first(want)) == 0) refuse_short(job, incoming.position());
  }
}

/// A regular file that says it has no bytes may have some: those of /proc say so.
bool is_empty(const Job& job, const FileStatus& status) {
  std::array<std::byte, 1> first;
  return status.kind == FileKind::regular &&
         job.attempt("read", [&] { return job.file.read_at(0, first); }) == 0;
}

/// Everything that comes, or as much as was asked for.
ModelData collect(const Job& job, Incoming& incoming) {
  const std::optional<std::uint64_t> wanted = job.options.length;
  Placer placer({.total = wanted,
                 .max_bytes = job.options.max_bytes,
                 .used_bytes = job.options.used_bytes,
                 .non_model = job.is_for_model ? NonModel::collect_indexes : NonModel::collect,
                 .require_end = false,
                 .decompress = job.options.decompress,
                 .parse = job.options.parse});
  const auto left = [&] { return wanted.value_or(kNoEnd) - placer.received(); };
  while (left() > 0 && placer.compression() == Compression::none) {
    job.report(placer.received(), placer.expected());
    const std::span<std::byte> room = placer.room();
    const auto want = std::min<std::uint64_t>({left(), room.size(), kPiece});
    const std::size_t got = incoming.read(room.first(static_cast<std::size_t>(want)));
    if (got == 0 && wanted) refuse_short(job, incoming.position());
    if (got == 0) break;
    placer.take(got);
  }
  if (placer.compression() == Compression::none) placer.end();
  if (placer.compression() == Compression::none) return placer.finish(job.path);
  return DataAccess::make(load_compressed(job, incoming, placer.prefix(), placer.compression()));
}

ModelData load_unsized(const Job& job, const FileStatus& status) {
  if (job.backend == Backend::map && !is_empty(job, status)) {
    job.refuse({.code = Errc::not_mappable});
  }
  Incoming incoming(job);
  skip(job, incoming);
  ModelData data = with_path(job, [&] { return collect(job, incoming); });
  if (data.compression() == Compression::none) job.report(data.file_size(), data.file_size());
  return data;
}

// ---- All of them --------------------------------------------------------------------------------

void guard(const Job& job, DataAccess::Storage& storage) {
  const Mapping* const mapping = storage.mapping();
  if (!job.options.fault_guard || mapping == nullptr) return;
  storage.guard = job.attempt("guard", [&] {
    return platform::FaultGuard::over(mapping->bytes(), storage.file, storage.offset);
  });
}

ModelData load(Job job) {
  const platform::CancellationOff
      off;  // what the program's callbacks wait for unwinds nothing here
  const FileStatus status = job.attempt("examine", [&] { return job.file.status(); });
  if (status.kind == FileKind::directory) {
    const std::error_code code(static_cast<int>(std::errc::is_a_directory), std::system_category());
    throw Error(code, "open", job.path.string());
  }
  const bool sized = status.kind == FileKind::regular && status.identity.size > 0;
  ModelData data =
      sized ? DataAccess::make(load_sized(job, status.identity.size)) : load_unsized(job, status);
  DataAccess::Storage& storage = DataAccess::storage(data);
  storage.path = job.path;
  storage.identity = status.identity;
  storage.offset = job.options.offset;
  const bool comparable = sized || (status.kind == FileKind::regular && data.empty());
  if (comparable) storage.file = std::move(job.file);
  guard(job, storage);
  return data;
}

ModelData load_path(const std::filesystem::path& path, Backend backend, const OpenOptions& options,
                    bool is_for_model = false) {
  File file = attempt("open", path, [&] { return File::open(path); });
  return load({.file = std::move(file),
               .path = path,
               .backend = backend,
               .options = options,
               .is_for_model = is_for_model});
}

}  // namespace

bool DataAccess::is_pipe_or_device(const std::filesystem::path& path) {
  try {
    return platform::status_of(path).kind == FileKind::other;
  } catch (const std::system_error&) {
    return false;  // what cannot be examined is refused when it is opened
  }
}

ModelData DataAccess::open_for_model(const std::filesystem::path& path,
                                     const OpenOptions& options) {
  return load_path(path, options.backend, options, true);
}

ModelData ModelData::open(const std::filesystem::path& path, const OpenOptions& options) {
  return load_path(path, options.backend, options);
}

#if BALLAST_HAS_MMAP
ModelData ModelData::open_mmap(const std::filesystem::path& path) {
  return load_path(path, Backend::map, {});
}
#endif

ModelData ModelData::read(const std::filesystem::path& path, const OpenOptions& options) {
  return load_path(path, Backend::heap, options);
}

ModelData ModelData::open_descriptor(int descriptor, const OpenOptions& options) {
  File file = attempt("open", {}, [&] { return File::duplicate(descriptor); });
  return load(
      {.file = std::move(file), .path = {}, .backend = options.backend, .options = options});
}

}  // namespace ballast
