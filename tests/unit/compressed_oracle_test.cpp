// Two opinions: random bytes, compressed with random settings, decode to what they were by each
// codec's own call for a whole file, by Boost's filters where there are any, and by this library.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#ifdef BALLAST_TEST_HAS_BOOST_IOSTREAMS
#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/bzip2.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/lzma.hpp>
#include <boost/iostreams/filter/zlib.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#endif
#include <catch2/catch_test_macros.hpp>

#include "tests/support/decompress.hpp"
#include "tests/support/random.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// Runs, text and noise, in an order and of lengths that are random.
Bytes random_bytes(Random& random) {
  Bytes out;
  for (std::uint64_t parts = random.below(6); parts > 0; --parts) {
    const auto size = static_cast<std::size_t>(random.below(1ULL << random.between(0, 17)));
    switch (random.below(4)) {
      case 0:
        append(out, noise(size, random.next()));
        break;
      case 1:
        append(out, Bytes(size, static_cast<std::byte>(random.next())));
        break;
      case 2: {  // again what was there already
        const std::size_t begin =
            out.empty() ? 0 : static_cast<std::size_t>(random.below(out.size()));
        const Bytes copy(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end());
        append(out, std::span(copy).first(std::min(size, copy.size())));
        break;
      }
      default:
        for (const std::byte byte : noise(size, random.next()))
          out.push_back(static_cast<std::byte>('a' + std::to_integer<int>(byte) % 6));
    }
  }
  return out;
}

// A model whose one tensor is those bytes.
Bytes random_model_of(Random& random) {
  Bytes data = random_bytes(random);
  data.resize(data.size() / 4 * 4);
  return GgufBuilder()
      .entry("seed", random.next())
      .tensor({.name = "w", .dims = {data.size() / 4}, .data = data})
      .build()
      .bytes();
}

Bytes random_file(Compression codec, std::span<const std::byte> bytes, Random& random) {
  const auto level = [&](int low, int high) {
    return low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  switch (codec) {
    case Compression::gzip:
      return gzip_member(
          bytes, {.level = level(0, 9),
                  .window_bits = level(9, 15),
                  .name = random.one_in(2) ? std::optional<std::string>("model") : std::nullopt,
                  .header_checksum = random.one_in(2)});
    case Compression::zlib:
      return zlib_stream(bytes, {.level = level(0, 9)});
    case Compression::bzip2:
      return bzip2_stream(bytes, level(1, 9));
    case Compression::xz:
      return xz_stream(
          bytes, {.level = level(0, 7),
                  .check = random.pick(
                      std::array{XzCheck::none, XzCheck::crc32, XzCheck::crc64, XzCheck::sha256}),
                  .block_bytes =
                      random.one_in(2) ? 0 : static_cast<std::size_t>(1 + random.below(100'000)),
                  .delta = random.one_in(4)});
    case Compression::zstd:
      return zstd_frame(bytes, {.level = level(-7, 19),
                                .checksum = random.one_in(2),
                                .content_size = random.one_in(2),
                                .window_log = random.one_in(2) ? 0 : level(10, 24),
                                .long_distance = random.one_in(4)});
    default:
      return lz4_frame(bytes, {.level = level(-5, 12),
                               .linked = random.one_in(2),
                               .block_log = random.pick(std::array{16U, 18U, 20U, 22U}),
                               .checksum = random.one_in(2),
                               .block_checksums = random.one_in(2),
                               .content_size = random.one_in(2)});
  }
}

TEST_CASE("random models with random settings decode as by each codec's own call, by every way") {
  const std::uint64_t first = test_seed(40'000);
  for (std::uint64_t seed = first; seed < first + 30; ++seed) {
    for (const Compression codec : kCompressions) {
      INFO(name(codec) << " of BALLAST_TEST_SEED=" << seed);
      Random random(seed);
      const Bytes plain = random_model_of(random);
      const Bytes file = random_file(codec, plain, random);
      REQUIRE(decompress(codec, file, plain.size()) == plain);
      REQUIRE(is_same(load(Way::open, file), plain));
      REQUIRE(is_same(push(file, {}, 1 + static_cast<std::size_t>(random.below(50'000))), plain));
    }
  }
}

#ifdef BALLAST_TEST_HAS_BOOST_IOSTREAMS
namespace io = boost::iostreams;

// What Boost's own filter makes of a file; of LZ4 it has none.
Bytes by_boost(Compression codec, std::span<const std::byte> file) {
  io::filtering_istream in;
  switch (codec) {
    case Compression::gzip:
      in.push(io::gzip_decompressor());
      break;
    case Compression::zlib:
      in.push(io::zlib_decompressor());
      break;
    case Compression::bzip2:
      in.push(io::bzip2_decompressor());
      break;
    case Compression::xz:
      in.push(io::lzma_decompressor());
      break;
    default:
      in.push(io::zstd_decompressor());
  }
  in.push(io::array_source(reinterpret_cast<const char*>(file.data()), file.size()));
  std::vector<char> out;
  io::copy(in, io::back_inserter(out));
  const auto bytes = std::as_bytes(std::span(out));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("random models with random settings decode as by Boost's filters") {
  const std::uint64_t first = test_seed(50'000);
  for (std::uint64_t seed = first; seed < first + 30; ++seed) {
    for (const Compression codec : kCompressions) {
      if (codec == Compression::lz4) continue;
      INFO(name(codec) << " of BALLAST_TEST_SEED=" << seed);
      Random random(seed);
      const Bytes plain = random_model_of(random);
      const Bytes file = random_file(codec, plain, random);
      REQUIRE(by_boost(codec, file) == plain);
      REQUIRE(is_same(push(file, {}, 4096), plain));
    }
  }
}
#endif

}  // namespace
}  // namespace ballast::test
