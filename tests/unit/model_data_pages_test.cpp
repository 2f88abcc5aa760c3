// Advice about pages, pages given back, and files that shrink: what the system is told, and what it
// then does.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

constexpr std::array kAllAdvice{Advice::sequential,    Advice::random, Advice::will_need,
                                Advice::populate_read, Advice::cold,   Advice::page_out,
                                Advice::huge_page};

void require_mapping() {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
}

/// For tests that look at pages, too.
void require_page_tables() {
  require_mapping();
  require_proc();
}

/// Brings a file to the disk and out of the page cache, while nobody maps it.
void make_cold(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  CHECK(::fsync(descriptor) == 0);
  const auto file = platform::File::duplicate(descriptor);
  ::close(descriptor);
  static_cast<void>(file.drop_cache(0, std::filesystem::file_size(path)));
}

/// A file that is mapped, with nothing of it in the page cache; skips where the file system keeps
/// every file there, as tmpfs does.
ModelData open_cold(const std::filesystem::path& path) {
  make_cold(path);
  ModelData data = ModelData::open(path, on(Backend::map));
  if (cached(data.bytes()) > 0) SKIP("this file system keeps all files in memory");
  return data;
}

TEST_CASE("heap data answers every advice with unsupported, and stays") {
  const Bytes expected = noise(5 * kMiB, 1);
  const TempFile file(expected);
  const bool adopted = GENERATE(false, true);
  const ModelData data = adopted ? ModelData::from_vector(expected) : ModelData::read(file.path());
  for (const Advice advice : kAllAdvice) CHECK(data.advise(advice).unsupported());
  CHECK(data.advise_sequential().unsupported());
  CHECK(data.release_cpu_pages().unsupported());
  CHECK(data.release_cpu_pages(0, ModelData::npos, PageCache::drop).unsupported());
  CHECK(copy_of(data) == expected);
}

TEST_CASE("every advice about any range is applied or unsupported, and changes no byte") {
  require_mapping();
  const Advice advice = GENERATE(from_range(kAllAdvice));
  const std::uint64_t offset = GENERATE(0U, 1U, 4095U, 4097U);
  const Bytes whole = noise(3 * kMiB + 11, 2);
  const TempFile file(whole);
  OpenOptions options = on(Backend::map);
  options.offset = offset;
  const ModelData data = ModelData::open(file.path(), options);
  constexpr std::size_t kNpos = ModelData::npos;
  struct Range {
    std::size_t offset;
    std::size_t length;
  };
  for (const auto& [at, length] :
       {Range{0, kNpos}, Range{1, 1}, Range{5000, kNpos}, Range{5000, kNpos - 1}, Range{0, 0},
        Range{data.size() - 1, 1}, Range{data.size(), 1}, Range{kNpos, kNpos}, Range{kNpos, 1}}) {
    const Advised advised = data.advise(advice, at, length);
    CAPTURE(static_cast<int>(advice), at, length, advised.error().message());
    CHECK_FALSE(advised.failed());
    CHECK_FALSE(advised.error());
  }
  CHECK(std::ranges::equal(data.bytes(), std::span(whole).subspan(offset)));
}

TEST_CASE("advice that every system has is applied") {
  require_mapping();
  const TempFile file(noise(10000, 3));
  const ModelData data = ModelData::open(file.path(), on(Backend::map));
  CHECK(data.advise_sequential().applied());
  CHECK(data.advise(Advice::random).applied());
  CHECK(data.advise(Advice::will_need).applied());
  CHECK(data.release_cpu_pages().applied());
}

TEST_CASE("populate_read maps every page of the range") {
  require_page_tables();
  const TempFile file(noise(8 * kMiB, 4));
  const ModelData data = ModelData::open(file.path(), on(Backend::map));
  const auto range = data.bytes().subspan(kMiB + 5, 2 * kMiB);
  if (data.advise(Advice::populate_read, kMiB + 5, 2 * kMiB).unsupported()) {
    SKIP("this system has no populate_read");
  }
  CHECK(resident(range) == pages_of(range).size());
}

TEST_CASE("will_need reads all of a long range, not only the first read-ahead window") {
  require_mapping();
  const TempFile file(noise(48 * kMiB, 5));
  const ModelData data = open_cold(file.path());
  REQUIRE(data.advise(Advice::will_need).applied());
  for (int i = 0; i < 1000 && cached(data.bytes()) < data.size(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(cached(data.bytes()) == data.size());
}

TEST_CASE("released pages leave the resident set, and come back with the same bytes") {
  require_page_tables();
  const Bytes whole = noise(32 * kMiB + 777, 6);
  const TempFile file(whole);
  const std::uint64_t offset = GENERATE(0U, 4099U);
  OpenOptions options = on(Backend::map);
  options.offset = offset;
  const ModelData data = ModelData::open(file.path(), options);
  CHECK(std::ranges::equal(data.bytes(), std::span(whole).subspan(offset)));
  REQUIRE(resident(data.bytes()) == pages_of(data.bytes()).size());
  CHECK(data.release_cpu_pages().applied());
  CHECK(resident(data.bytes()) == 0);
  CHECK(std::ranges::equal(data.bytes(), std::span(whole).subspan(offset)));
}

TEST_CASE("the resident set of the process shrinks by what is released, within 1 %") {
  require_page_tables();
  const TempFile file(noise(64 * kMiB, 7));
  const ModelData data = ModelData::open(file.path(), on(Backend::map));
  touch(data.bytes());
  const std::size_t before = process_status("RssFile");
  CHECK(data.release_cpu_pages().applied());
  const std::size_t released = (before - process_status("RssFile")) * 1024;
  CHECK(released >= data.size() / 100 * 99);
}

TEST_CASE("release takes the pages that lie wholly inside the range, and no neighbour") {
  require_page_tables();
  const std::size_t page = page_size();
  const TempFile file(noise(20 * page, 8));
  const ModelData data = ModelData::open(file.path(), on(Backend::map));
  const auto present_after = [&](std::size_t offset, std::size_t length) {
    touch(data.bytes());
    REQUIRE(resident(data.bytes()) == 20 * page);
    CHECK(data.release_cpu_pages(offset, length).applied());
    return present_pages(data.bytes());
  };
  const auto expect_gone = [&](const std::vector<bool>& present, std::size_t from, std::size_t to) {
    for (std::size_t i = 0; i < present.size(); ++i) {
      CAPTURE(i, from, to);
      CHECK(present[i] == (i < from || i >= to));
    }
  };
  expect_gone(present_after(3 * page, 4 * page), 3, 7);
  expect_gone(present_after(3 * page + 1, 4 * page), 4, 7);
  expect_gone(present_after(3 * page - 1, 4 * page), 3, 6);
  expect_gone(present_after(3 * page + 1, page), 0, 0);
  expect_gone(present_after(0, page - 1), 0, 0);
  expect_gone(present_after(0, 0), 0, 0);
  expect_gone(present_after(20 * page, 5), 0, 0);
  expect_gone(present_after(18 * page, ModelData::npos - 1), 18, 20);
}

TEST_CASE("the partial pages at both ends of a mapped range count as whole") {
  require_page_tables();
  const std::size_t page = page_size();
  const TempFile file(noise(20 * page, 9));
  OpenOptions options = on(Backend::map);
  options.offset = 2 * page + 100;  // and ends 100 bytes into a page
  options.length = 5 * page;
  const ModelData data = ModelData::open(file.path(), options);
  REQUIRE(pages_of(data.bytes()).size() == 6 * page);
  touch(pages_of(data.bytes()));
  CHECK(data.release_cpu_pages(0, page).applied());
  CHECK(present_pages(data.bytes()) == std::vector{false, true, true, true, true, true});
  CHECK(data.release_cpu_pages(5 * page - 101, 101).applied());
  CHECK(present_pages(data.bytes()) == std::vector{false, true, true, true, true, false});
  CHECK(data.release_cpu_pages(1, 2 * page - 1).applied());
  CHECK(present_pages(data.bytes()) == std::vector{false, false, true, true, true, false});
}

TEST_CASE("the page cache keeps what is released, or drops it when asked to") {
  require_mapping();
  const Bytes expected = noise(16 * kMiB + 5, 10);
  const TempFile file(expected);
  const ModelData data = open_cold(file.path());
  touch(data.bytes());
  const std::size_t all = pages_of(data.bytes()).size();
  REQUIRE(cached(data.bytes()) == all);
  CHECK(data.release_cpu_pages().applied());
  CHECK(cached(data.bytes()) == all);
  CHECK(data.release_cpu_pages(4 * kMiB, 8 * kMiB, PageCache::drop).applied());
  CHECK(cached(data.bytes().subspan(4 * kMiB, 8 * kMiB)) == 0);
  CHECK(cached(data.bytes()) == all - 8 * kMiB);
  CHECK(data.release_cpu_pages(0, ModelData::npos, PageCache::drop).applied());
  CHECK(cached(data.bytes()) == 0);
  CHECK(copy_of(data) == expected);
}

TEST_CASE("a mapping inside a bigger file drops its own part of the page cache") {
  require_mapping();
  const TempFile file(noise(16 * kMiB, 11));
  const ModelData whole = open_cold(file.path());
  touch(whole.bytes());
  whole.release_cpu_pages();
  OpenOptions options = on(Backend::map);
  options.offset = 4 * kMiB + 100;
  options.length = 4 * kMiB;
  const ModelData part = ModelData::open(file.path(), options);
  CHECK(part.release_cpu_pages(0, ModelData::npos, PageCache::drop).applied());
  CHECK(cached(whole.bytes().subspan(4 * kMiB + page_size(), 4 * kMiB - page_size())) == 0);
  CHECK(cached(whole.bytes().first(4 * kMiB + page_size())) == 4 * kMiB + page_size());
  CHECK(cached(whole.bytes().subspan(8 * kMiB)) == 8 * kMiB);
}

TEST_CASE(
    "a mapped file that is truncated is not intact, and populate_read says so without a signal") {
  require_mapping();
  const std::size_t page = page_size();
  const TempFile file(noise(16 * page, 12));
  const std::uint64_t offset = GENERATE(0U, 100U);
  OpenOptions options = on(Backend::map);
  options.offset = offset;
  const ModelData data = ModelData::open(file.path(), options);
  CHECK(data.intact());
  std::filesystem::resize_file(file.path(), 8 * page);
  CHECK_FALSE(data.unchanged());
  CHECK_FALSE(data.intact());
  CHECK(data.intact(0, 8 * page - offset));
  CHECK_FALSE(data.intact(0, 8 * page - offset + 1));
  CHECK_FALSE(data.intact(9 * page, 1));
  CHECK(data.intact(9 * page, 0));
  CHECK(data.intact(ModelData::npos, ModelData::npos));
  CHECK_FALSE(data.advise(Advice::populate_read, 0, 7 * page).failed());
  const Advised lost = data.advise(Advice::populate_read, 9 * page, page);
  if (lost.unsupported()) SKIP("this system has no populate_read");
  CHECK(lost.failed());
  CHECK(lost.error() == std::errc::bad_address);
}

TEST_CASE("a file that was read is intact whatever becomes of it") {
  const Bytes expected = noise(100000, 13);
  const TempFile file(expected);
  const ModelData data = ModelData::read(file.path());
  std::filesystem::resize_file(file.path(), 0);
  CHECK(data.intact());
  CHECK_FALSE(data.unchanged());
  CHECK(copy_of(data) == expected);
}

TEST_CASE("an answer that did not fail has no error") {
  CHECK(Advised(Advised::Outcome::applied).applied());
  CHECK_FALSE(Advised(Advised::Outcome::applied).error());
  CHECK_FALSE(Advised(Advised::Outcome::unsupported).error());
  const Advised failed(Advised::Outcome::failed, EFAULT);
  CHECK(failed.failed());
  CHECK_FALSE(failed.applied());
  CHECK_FALSE(failed.unsupported());
  CHECK(failed.error() == std::errc::bad_address);
}

}  // namespace
}  // namespace ballast::test
