#include <algorithm>
#include <array>
#include <cstring>

#include "tests/changing_bytes/changing_memory.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kPage = 4096;

constexpr std::array<unsigned char, 28> kNasty{
    '"', '\\', '{',  '}',  '[',  ']',  ',',  ':',  'u',  'n',  '0',  '9',  '-',  '.',
    'G', 0x00, 0x01, 0x02, 0x08, 0x09, 0x20, 0x7E, 0x7F, 0x80, 0xC3, 0xE2, 0xFE, 0xFF};

constexpr std::array<std::uint64_t, 12> kNumbers{0,
                                                 1,
                                                 7,
                                                 9,
                                                 255,
                                                 4096,
                                                 INT32_MAX,
                                                 UINT32_MAX,
                                                 std::uint64_t{1} << 40,
                                                 INT64_MAX,
                                                 UINT64_MAX - 7,
                                                 UINT64_MAX};

}  // namespace

Script::Script(std::span<const std::byte> file, std::span<const std::byte> other)
    : file_(file.begin(), file.end()), other_(other.begin(), other.end()) {
  other_.resize(file_.size());
}

void Script::begin(std::span<std::byte> bytes, const Plan& plan) noexcept {
  bytes_ = bytes;
  plan_ = plan;
  random_ = Random(plan.seed);
  fetches_ = 0;
  changes_ = 0;
  next_ = 0;
  restore();
}

void Script::restore() noexcept {
  if (!file_.empty()) std::memcpy(bytes_.data(), file_.data(), file_.size());
  is_transient_ = false;
}

bool Script::is_over() const noexcept {
  if (is_transient_) return false;
  if (!plan_.list.empty()) return next_ == plan_.list.size();
  return plan_.every == 0 && fetches_ >= plan_.first;
}

void Script::before_fetch(std::size_t at) noexcept {
  ++fetches_;
  if (!plan_.list.empty()) {
    while (next_ < plan_.list.size() && plan_.list[next_].fetch <= fetches_) {
      make(plan_.list[next_++], at);
    }
    return;
  }
  if (fetches_ < plan_.first) return;
  const std::uint64_t since = fetches_ - plan_.first;
  if (plan_.every == 0 ? since != 0 : since % plan_.every != 0) return;
  const auto how = static_cast<How>(random_.below(kHows));
  make({fetches_, how, random_.next(), plan_.stays}, at);
}

void Script::after_fetch() noexcept {
  if (is_transient_) restore();
}

void Script::make(const Change& change, std::size_t at) noexcept {
  const std::size_t left = bytes_.size() - at;
  const auto value = static_cast<std::size_t>(change.value);
  std::byte* const first = bytes_.data() + at;
  switch (change.how) {
    case How::byte:
      first[(value >> 8) % std::min<std::size_t>(left, 8)] = static_cast<std::byte>(value & 0xFF);
      break;
    case How::nasty_byte:
      first[(value >> 8) % std::min<std::size_t>(left, 8)] =
          std::byte{kNasty[(value & 0xFF) % kNasty.size()]};
      break;
    case How::nasty_near:
      first[(value >> 8) % std::min<std::size_t>(left, 32)] =
          std::byte{kNasty[(value & 0xFF) % kNasty.size()]};
      break;
    case How::bit:
      *first ^= std::byte{1} << (value % 8);
      break;
    case How::number:
      std::memcpy(first, &kNumbers[value % kNumbers.size()], std::min<std::size_t>(left, 8));
      break;
    case How::noise:
      std::memcpy(first, &change.value, std::min<std::size_t>(left, 8));
      break;
    case How::zeros:
      std::memset(first, 0, std::min(left, kPage - at % kPage));
      break;
    case How::other:
      std::memcpy(bytes_.data(), other_.data(), bytes_.size());
      break;
  }
  ++changes_;
  is_transient_ = !change.stays;
}

}  // namespace ballast::test
