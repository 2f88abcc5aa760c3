// Compressed files that are not all there, have one byte changed, or have something behind them:
// refused with a code that says so, and never a model that was not compressed.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// Bytes in memory of exactly their size, so that a sanitizer sees every byte that is read behind
// them.
class Exact {
 public:
  explicit Exact(std::span<const std::byte> bytes)
      : bytes_(std::make_unique<std::byte[]>(bytes.size())), size_(bytes.size()) {
    std::ranges::copy(bytes, bytes_.get());
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

// A file of each codec, and more than one where the format has more in it than the plain case.
struct File {
  std::string what;
  Compression codec;
  Bytes bytes;
};

// At a level that takes little memory: each file is decoded thousands of times.
Bytes cheaply(Compression codec, std::span<const std::byte> bytes) {
  if (codec == Compression::bzip2) return bzip2_stream(bytes, 1);
  if (codec == Compression::xz) return xz_stream(bytes, {.dictionary = 4096});
  return compress(codec, bytes);
}

std::vector<File> files() {
  const Bytes model = small_model().bytes();
  std::vector<File> out;
  for (const Compression codec : kCompressions)
    out.push_back({std::string(name(codec)), codec, cheaply(codec, model)});
  out.push_back({"gzip with everything in its header", Compression::gzip,
                 gzip_member(model, {.extra = bytes_of("BC\2\0ab"),
                                     .name = "model.gguf",
                                     .comment = "a comment",
                                     .header_checksum = true})});
  out.push_back({"gzip, stored", Compression::gzip, gzip_member(model, {.level = 0})});
  out.push_back(
      {"xz in blocks, with SHA-256 and a filter", Compression::xz,
       xz_stream(
           model,
           {.check = XzCheck::sha256, .block_bytes = 1000, .dictionary = 4096, .delta = true})});
  out.push_back(
      {"zstd of unknown size", Compression::zstd, zstd_frame(model, {.content_size = false})});
  out.push_back(
      {"LZ4 with every checksum and its size", Compression::lz4,
       lz4_frame(model, {.linked = false, .block_checksums = true, .content_size = true})});
  return out;
}

// How many bytes tell what a file is compressed with.
std::size_t signature_size(Compression codec) {
  switch (codec) {
    case Compression::bzip2:
      return 3;
    case Compression::xz:
      return 6;
    case Compression::zstd:
    case Compression::lz4:
      return 4;
    default:
      return 2;
  }
}

Errc due_for_prefix(Compression codec, std::size_t size) {
  if (size == 0) return Errc::empty_file;
  return size < signature_size(codec) ? Errc::unknown_format : Errc::truncated_stream;
}

TEST_CASE("every prefix of a compressed file is refused, and says after how many bytes it ends") {
  for (const File& file : files()) {
    for (std::size_t size = 0; size < file.bytes.size(); ++size) {
      INFO(file.what << ", " << size << " bytes of " << file.bytes.size());
      const Exact prefix(std::span(file.bytes).first(size));
      const Error error = refusal(Way::push, prefix.bytes());
      REQUIRE(error.code() == due_for_prefix(file.codec, size));
      if (error.code() != Errc::truncated_stream) continue;
      REQUIRE(error.actual() == size);
      REQUIRE(error.input_offset() == size);
      REQUIRE(error.offset() <= small_model().size());
    }
  }
}

TEST_CASE("so is every prefix of a compressed file on a disk") {
  for (const File& file : files()) {
    for (std::size_t size = 0; size < file.bytes.size(); size += 11) {
      INFO(file.what << ", " << size << " bytes of " << file.bytes.size());
      const Bytes prefix(file.bytes.begin(),
                         file.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(outcome(Way::open, prefix) == due_for_prefix(file.codec, size));
    }
  }
}

// Either the model, bit for bit, or an error of this library.
template <class Load>
bool is_accepted(Load loaded, const Bytes& model, const std::string& what) {
  try {
    ModelData data = loaded();
    const bool is_model = is_same(data, model);
    static_cast<void>(Model::from_data(std::move(data)));  // a file may be nothing compressed now
    if (is_model) return true;
    FAIL(what << ": another model came out");
  } catch (const Error& error) {
    if (error.code().category() != category()) FAIL(what << ": " << error.what());
  }
  return false;
}

struct Tally {
  int accepted = 0;
  int refused = 0;
  void add(bool is_accepted) { ++(is_accepted ? accepted : refused); }
};

TEST_CASE("every change of one byte of a compressed file is refused, or changes nothing") {
  const Bytes model = small_model().bytes();
  for (const File& file : files()) {
    const Exact exact(file.bytes);
    const std::span<std::byte> bytes = exact.bytes();
    Tally tally;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      const std::byte good = bytes[at];
      for (const unsigned change : {1U << at % 8, 0xFFU}) {
        bytes[at] = good ^ static_cast<std::byte>(change);
        const std::string what = file.what + ", byte " + std::to_string(at) + " of " +
                                 std::to_string(bytes.size()) + " xor " + std::to_string(change);
        tally.add(is_accepted([&] { return push(bytes); }, model, what));
      }
      bytes[at] = good;
    }
    INFO(file.what << ": " << tally.accepted << " accepted, " << tally.refused << " refused");
    CHECK(tally.accepted < 2 * 40);  // names, times and bits that mean nothing
    CHECK(tally.refused > 600);
  }
}

TEST_CASE("so is every change of one byte of a compressed file on a disk") {
  const Bytes model = small_model().bytes();
  for (const File& file : files()) {
    Tally tally;
    Bytes bytes = file.bytes;
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      bytes[at] ^= static_cast<std::byte>(1U << at % 8);
      const std::string what = file.what + ", byte " + std::to_string(at);
      tally.add(is_accepted([&] { return load(Way::open, bytes); }, model, what));
      bytes[at] = file.bytes[at];
    }
    CHECK(tally.refused > 30);
  }
}

TEST_CASE("what follows a compressed file and is no part of it is refused at its first byte") {
  const std::vector<Bytes> tails{bytes_of("x"), bytes_of("GGUF and more"),
                                 Bytes(1, std::byte{0xFF}), bytes_of(std::string(5'000, 'y')),
                                 small_model().bytes()};
  for (const File& file : files()) {
    for (const Bytes& tail : tails) {
      INFO(file.what << " and " << tail.size() << " bytes");
      Bytes bytes = file.bytes;
      append(bytes, tail);
      for (const Way way : kFastWays) {
        const Error error = refusal(way, bytes);
        CHECK(error.code() == Errc::garbage_after_stream);
        CHECK(error.input_offset() == file.bytes.size());
        CHECK(error.offset() == small_model().size());
      }
    }
  }
}

TEST_CASE("the beginning of one more member, and no more of it, is a file that ends too early") {
  for (const File& file : files()) {
    if (file.codec == Compression::zlib) continue;
    for (std::size_t size = 1; size <= signature_size(file.codec) + 1; ++size) {
      INFO(file.what << " and " << size << " bytes of it");
      Bytes bytes = file.bytes;
      append(bytes, std::span(file.bytes).first(size));
      for (const Way way : kFastWays) {
        const Error error = refusal(way, bytes);
        CHECK(error.code() == Errc::truncated_stream);
        CHECK(error.input_offset() == bytes.size());
      }
    }
  }
}

TEST_CASE("a compressed file that was cut and glued to another is refused") {
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const Bytes file = compress(codec, small_model().bytes());
    Bytes glued(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(file.size() / 2));
    append(glued, file);
    for (const Way way : kFastWays) {
      const Error error = refusal(way, glued);
      CHECK((error.code() == Errc::damaged_stream || error.code() == Errc::bad_checksum ||
             error.code() == Errc::unsupported_stream));
      CHECK(error.input_offset() > 0U);
    }
  }
}

TEST_CASE("a checksum that does not match is called that where the codec's library tells") {
  const Bytes model = small_model().bytes();
  const auto flipped = [](Bytes bytes, std::size_t from_end) {
    bytes[bytes.size() - from_end] ^= std::byte{1};
    return bytes;
  };
  struct Row {
    Bytes bytes;
    std::size_t from_end;
    std::string_view word;
  };
  const Row rows[]{
      {gzip_member(model), 8, "its checksum"},
      {gzip_member(model), 4, "its recorded size"},
      {zlib_stream(model), 1, "its checksum"},
      {zstd_frame(model), 1, "its checksum"},
      {lz4_frame(model), 1, "its checksum"},
      {lz4_frame(model, {.checksum = false, .block_checksums = true}), 5, "its checksum"},
      {lz4_frame(model, {.claimed_size = model.size() + 1}), 1, "its recorded size"},
  };
  for (const Row& row : rows) {
    INFO(row.word << ", " << row.bytes.size() << " bytes");
    // The claim of the last row is wrong by itself.
    const bool is_claim = row.from_end == 1 && row.word == "its recorded size";
    const Bytes bytes = is_claim ? row.bytes : flipped(row.bytes, row.from_end);
    for (const Way way : kFastWays) {
      const Error error = refusal(way, bytes);
      CHECK(error.code() == Errc::bad_checksum);
      CHECK(error.message().find(row.word) != std::string::npos);
    }
  }
}

TEST_CASE("of several members each one is verified") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  for (const Compression codec : kCompressions) {
    if (codec == Compression::zlib) continue;
    CAPTURE(name(codec));
    const Bytes first = cheaply(codec, all.first(1000));
    const Bytes second = cheaply(codec, all.subspan(1000));
    Bytes file = first;
    append(file, second);
    CHECK(is_same(push(file), model));
    int refused = 0;
    for (std::size_t at = 0; at < file.size(); ++at) {
      Bytes bytes = file;
      bytes[at] ^= std::byte{0x20};
      const std::string what = std::string(name(codec)) + ", byte " + std::to_string(at);
      if (!is_accepted([&] { return push(bytes); }, model, what)) ++refused;
    }
    CHECK(refused > static_cast<int>(file.size()) - 40);
    // Where the first one ends, so does a file: one that holds half of a model.
    CHECK(outcome(Way::push, first) == Errc::outside_file);
    for (std::size_t size = first.size() + 1; size < file.size(); ++size) {
      const Bytes prefix(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(outcome(Way::push, prefix) == Errc::truncated_stream);
    }
  }
}

}  // namespace
}  // namespace ballast::test
