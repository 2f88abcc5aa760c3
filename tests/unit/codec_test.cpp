// The decoder by itself: any number of bytes in and out at a time, and always the same result.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <ballast/compression.hpp>
#include <ballast/error.hpp>
#include <ballast/format.hpp>

#include "ballast/codec.hpp"
#include "tests/support/random.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// How much goes in and comes out at a time: of one size, or, for 0, of random ones.
struct Sizes {
  std::size_t in;
  std::size_t out;
};

// Text that compresses, then noise that does not.
Bytes content(std::size_t size) {
  Bytes bytes = noise(size / 2, 3);
  while (bytes.size() < size) append(bytes, bytes_of("all work and no play, "));
  bytes.resize(size);
  return bytes;
}

class Pump {
 public:
  Pump(Compression codec, Sizes sizes, std::uint64_t seed)
      : decoder_(codec, {}), sizes_(sizes), random_(seed) {}

  Bytes run(std::span<const std::byte> file) {
    const char* in = reinterpret_cast<const char*>(file.data());
    const char* const end = in + file.size();
    Bytes out;
    for (bool more = true; more;) {
      const std::size_t ahead = std::min(next(sizes_.in), static_cast<std::size_t>(end - in));
      const std::size_t most = next(sizes_.out);
      if (room_.size() < most) room_.resize(most);
      char* put = room_.data();
      const char* const before = in;
      more = decoder_.filter(in, in + ahead, put, room_.data() + most, in + ahead == end);
      const auto given = static_cast<std::size_t>(put - room_.data());
      append(out, std::as_bytes(std::span(room_).first(given)));
      const auto taken = static_cast<std::uint64_t>(in - begin(file));
      if (decoder_.output() != out.size() || decoder_.input() != taken) FAIL("it counts wrongly");
      if (more && in == before && given == 0 && ahead > 0) FAIL("it does not get on");
    }
    CHECK(in == end);
    return out;
  }

 private:
  static const char* begin(std::span<const std::byte> file) {
    return reinterpret_cast<const char*>(file.data());
  }
  std::size_t next(std::size_t size) {
    return size != 0 ? size : static_cast<std::size_t>(random_.between(1, 5000));
  }

  Decoder decoder_;
  Sizes sizes_;
  std::vector<char> room_;
  Random random_;
};

TEST_CASE("pieces of any size, in and out, decode to the same bytes") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const std::uint64_t seed = test_seed(20261124);
  const Bytes plain = content(20'000);
  const Bytes file = compress(codec, plain);
  for (const std::size_t in : {1U, 2U, 3U, 7U, 4096U, 1U << 20, 0U}) {
    for (const std::size_t out : {1U, 2U, 3U, 7U, 4096U, 1U << 20, 0U}) {
      CAPTURE(name(codec), in, out, seed);
      Pump pump(codec, {in, out}, seed);
      CHECK(pump.run(file) == plain);
    }
  }
}

TEST_CASE("what comes out may be nothing at all") {
  for (const Compression codec : kCompressions) {
    for (const std::size_t piece : {1U, 4096U}) {
      CAPTURE(name(codec), piece);
      CHECK(Pump(codec, {piece, piece}, 1).run(compress(codec, {})).empty());
    }
  }
}

TEST_CASE("pieces of any size make a member end where it ends") {
  for (const Compression codec : kCompressions) {
    if (codec == Compression::zlib) continue;  // of which there is only one
    const Bytes first = content(5'000);
    const Bytes second = noise(3'000, 5);
    Bytes file = compress(codec, first);
    append(file, compress(codec, {}));
    append(file, compress(codec, second));
    Bytes plain = first;
    append(plain, second);
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 4096U, 1U << 20}) {
      CAPTURE(name(codec), piece);
      CHECK(Pump(codec, {piece, piece}, 1).run(file) == plain);
    }
  }
}

TEST_CASE("every codec has a name, is built in, and is recognised by its first bytes") {
  CHECK(name(Compression::none) == "none");
  const std::vector<std::string> names{"gzip", "zlib", "bzip2", "xz", "zstd", "lz4"};
  for (std::size_t i = 0; i < kCompressions.size(); ++i) {
    const Compression codec = kCompressions[i];
    CHECK(name(codec) == names[i]);
    CHECK(std::ranges::count(codecs(), codec) == 1);
    for (const int level : levels(codec)) {
      CAPTURE(name(codec), level);
      const Bytes file = compress(codec, content(1'000), level);
      CHECK(signature_of(file) == codec);
      CHECK(compression_of(file) == codec);
      CHECK(signature_of(std::span(file).first(8)) == codec);
    }
  }
  CHECK(codecs().size() == kCompressions.size());
}

TEST_CASE("a decoder for nothing is a codec that is missing") {
  const Error error = error_of([] { Decoder(Compression::none, {}); });
  CHECK(error.code() == Errc::codec_missing);
}

TEST_CASE("a skippable frame is of the codec of the frame behind it") {
  const Bytes skipped = skippable_frame(bytes_of("note"), 7);
  for (const Compression codec : {Compression::zstd, Compression::lz4}) {
    CAPTURE(name(codec));
    Bytes file = skipped;
    append(file, skipped);
    append(file, compress(codec, content(100)));
    CHECK(signature_of(file) == codec);
  }
  CHECK(signature_of(skipped) == Compression::zstd);  // where nobody can tell
}

TEST_CASE("a skippable frame that is longer than a look leads to either codec all the same") {
  const Bytes plain = content(2'000);
  for (const Compression codec : {Compression::zstd, Compression::lz4}) {
    Bytes file = skippable_frame(noise(100'000, 9));
    append(file, compress(codec, plain));
    for (const std::size_t piece : {1U, 4096U, 1U << 20}) {
      CAPTURE(name(codec), piece);
      CHECK(Pump(Compression::zstd, {piece, piece}, 1).run(file) == plain);
    }
  }
}

TEST_CASE("models, text and noise are compressed with nothing") {
  CHECK(signature_of(small_model().bytes()) == Compression::none);
  CHECK(signature_of(bytes_of("PK\3\4")) == Compression::none);
  CHECK(signature_of({}) == Compression::none);
  CHECK(signature_of(bytes_of("x")) == Compression::none);   // 78, but not enough of it
  CHECK(signature_of(bytes_of("xy")) == Compression::none);  // its check is wrong
  CHECK(signature_of(bytes_of("BZ")) == Compression::none);
  CHECK(signature_of(bytes_of("\x02\x21\x4C\x18")) == Compression::none);  // LZ4 before its frames
}

}  // namespace
}  // namespace ballast::test
