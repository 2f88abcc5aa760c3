#include "platform/bulk_read.hpp"

#include <algorithm>

namespace ballast::platform {

struct BulkRead::State {
  const File& file;
  std::uint64_t offset;
  std::span<std::byte> into;
  std::size_t done;
};

BulkRead::BulkRead(const File& file, std::uint64_t offset, std::span<std::byte> into)
    : state_(new State{file, offset, into, 0}) {}

BulkRead::~BulkRead() = default;

bool BulkRead::step() {
  const std::size_t want = std::min(kChunk, state_->into.size() - state_->done);
  const std::size_t got =
      state_->file.read_at(state_->offset + state_->done, state_->into.subspan(state_->done, want));
  state_->done += got;
  return got == want && state_->done < state_->into.size();
}

std::uint64_t BulkRead::done() const noexcept { return state_->done; }

}  // namespace ballast::platform
