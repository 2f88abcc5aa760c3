#include <ballast/model_data.hpp>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "ballast/model_data_storage.hpp"

namespace ballast {
namespace {

struct Range {
  std::size_t offset;
  std::size_t length;
};

/// Cut where the data end; without a sum, which could overflow.
Range clamp(Range range, std::size_t size) noexcept {
  const std::size_t offset = std::min(range.offset, size);
  return {offset, std::min(range.length, size - offset)};
}

constexpr platform::Hint hint_of(Advice advice) noexcept {
  switch (advice) {
    case Advice::sequential:
      return platform::Hint::sequential;
    case Advice::random:
      return platform::Hint::random;
    case Advice::will_need:
      return platform::Hint::will_need;
    case Advice::populate_read:
      return platform::Hint::populate_read;
    case Advice::cold:
      return platform::Hint::cold;
    case Advice::page_out:
      return platform::Hint::page_out;
    case Advice::huge_page:
      return platform::Hint::huge_page;
  }
  return platform::Hint::sequential;
}

/// The answer of the platform: 0, an errno, or kUnsupported.
Advised answer(int result) noexcept {
  if (result == 0) return Advised::Outcome::applied;
  if (result == platform::kUnsupported) return Advised::Outcome::unsupported;
  return {Advised::Outcome::failed, result};
}

}  // namespace

ModelData::ModelData() noexcept = default;

ModelData::ModelData(std::unique_ptr<Storage> storage) noexcept
    : bytes_(storage->view()), storage_(std::move(storage)) {}

ModelData::ModelData(ModelData&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), storage_(std::move(other.storage_)) {}

ModelData& ModelData::operator=(ModelData&& other) noexcept {
  ModelData taken(std::move(other));  // first, so that moving to itself keeps the bytes
  std::swap(bytes_, taken.bytes_);
  std::swap(storage_, taken.storage_);
  return *this;
}

ModelData::~ModelData() = default;

ModelData ModelData::from_vector(std::vector<std::byte> bytes) {
  return DataAccess::make({.bytes = std::move(bytes)});
}

ModelData ModelData::borrow(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  return DataAccess::make({.bytes = Borrowed{bytes, std::move(owner)}});
}

// The constant lets the compiler drop what is for mappings alone, where there are none.
bool ModelData::is_mmap() const noexcept {
  return BALLAST_HAS_MMAP != 0 && storage_ && storage_->mapping() != nullptr;
}

Compression ModelData::compression() const noexcept {
  return storage_ ? storage_->compression : Compression::none;
}

std::uint64_t ModelData::compressed_size() const noexcept {
  return storage_ ? storage_->compressed_size : 0;
}

bool ModelData::is_complete() const noexcept { return !storage_ || storage_->is_complete; }

std::uint64_t ModelData::file_size() const noexcept {
  return bytes_.size() + (storage_ ? storage_->trailing : 0);
}

const std::filesystem::path& ModelData::path() const noexcept {
  static const std::filesystem::path kNone;
  return storage_ ? storage_->path : kNone;
}

Advised ModelData::advise(Advice advice, std::size_t offset, std::size_t length) const noexcept {
  if (!is_mmap()) return Advised::Outcome::unsupported;
  const Range range = clamp({offset, length}, size());
  return answer(storage_->mapping()->advise(hint_of(advice), range.offset, range.length));
}

Advised ModelData::advise_sequential() const noexcept { return advise(Advice::sequential); }

Advised ModelData::release_cpu_pages(std::size_t offset, std::size_t length,
                                     PageCache cache) const noexcept {
  if (!is_mmap()) return Advised::Outcome::unsupported;
  const Range range = clamp({offset, length}, size());
  const int released = storage_->mapping()->release(range.offset, range.length);
  if (released != 0 || cache == PageCache::keep) return answer(released);
  // In this order: the page cache keeps every page that is mapped.
  return answer(storage_->file.drop_cache(storage_->offset + range.offset, range.length));
}

bool ModelData::unchanged() const noexcept {
  if (!storage_ || !storage_->file.is_open()) return true;
  try {
    const std::filesystem::path& at = storage_->path;
    const platform::FileStatus now = at.empty() ? storage_->file.status() : platform::status_of(at);
    return now.identity == storage_->identity;
  } catch (const std::exception&) {
    return false;  // nothing is there, nothing that may be looked at, or no memory to say which
  }
}

bool ModelData::damaged() const noexcept {
  return is_mmap() && (storage_->guard.has_faulted() || !intact());
}

void ModelData::require_undamaged() const {
  if (!damaged()) return;
  const std::string path = storage_->path.string();
  std::uint64_t there = 0;
  try {
    there = storage_->file.status().identity.size;
  } catch (const std::system_error& error) {
    throw Error(error.code(), "examine", path);
  }
  const std::uint64_t left = there - std::min(there, storage_->offset);
  if (left < size()) {
    throw Error({.code = Errc::file_changed, .offset = left, .expected = size(), .actual = left},
                path);
  }
  throw Error(std::make_error_code(std::errc::io_error), "read", path);
}

bool ModelData::intact(std::size_t offset, std::size_t length) const noexcept {
  const Range range = clamp({offset, length}, size());
  if (!is_mmap() || range.length == 0) return true;
  try {
    const std::uint64_t end = storage_->offset + range.offset + range.length;
    return storage_->file.status().identity.size >= end;
  } catch (const std::exception&) {
    return false;  // as above
  }
}

}  // namespace ballast
