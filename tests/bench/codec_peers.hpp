// The peers of decompression: each codec's own library, called as its manual says and with nothing
// around it. What it refuses ends the process: these files are our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <ballast/compression.hpp>

namespace ballast::bench {

/// Says why on standard error and ends the process.
[[noreturn]] void give_up(const char* reason);
inline void require(bool good, const char* reason) {
  if (!good) give_up(reason);
}

// ---- The streaming API --------------------------------------------------------------------------

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  /// One call of the library's; takes from the front of `in` what it used, and from the front of
  /// `out` what it filled.
  virtual void decode(std::span<const std::byte>& in, std::span<std::byte>& out) = 0;
};

/// A stream for one member.
[[nodiscard]] std::unique_ptr<Stream> open_stream(Compression codec);

/// Decodes all of a chunk to the front of `out`, and moves that on.
void feed(Stream& stream, std::span<const std::byte> chunk, std::span<std::byte>& out);

// ---- One call for the whole of it ---------------------------------------------------------------

void decode_at_once(Compression codec, std::span<const std::byte> in, std::span<std::byte> out);

#ifdef BALLAST_WITH_LIBDEFLATE
/// gzip by libdeflate.
void inflate_by_libdeflate(std::span<const std::byte> in, std::span<std::byte> out);
#endif

// ---- Files of many units ------------------------------------------------------------------------

/// A frame, a member or a block that is decoded without the others.
struct Unit {
  std::span<const std::byte> in;
  std::span<std::byte> out;
  std::uint32_t check = 0;  // xz: which checksum its blocks have
};

/// How many bytes bench-compress puts into a unit where it may choose. pzstd's frames do not say
/// how many that are.
constexpr std::size_t kUnits = 32;
[[nodiscard]] constexpr std::size_t unit_size(std::size_t size) noexcept {
  return (size + kUnits - 1) / kUnits;
}

/// Where the units of a file lie, and where in `out` each one's bytes go.
[[nodiscard]] std::vector<Unit> units_of(Compression codec, std::span<const std::byte> file,
                                         std::span<std::byte> out);
/// The codec's call for one unit, in a loop on that many threads that take the next one each. With
/// a descriptor, each is first read from there: `file` says what is the first byte of the units'.
struct UnitsFile {
  int descriptor;
  const std::byte* first;
};
void decode_units(Compression codec, std::span<const Unit> units, unsigned threads,
                  const UnitsFile* file = nullptr);

}  // namespace ballast::bench
