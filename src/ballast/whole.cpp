#include "ballast/whole.hpp"

#include <exception>

#include "ballast/whole_job.hpp"

// Which codecs there are is an option of the build (see codec.cpp).
#ifndef BALLAST_WITH_GZIP
#define BALLAST_WITH_GZIP 0
#endif
#ifndef BALLAST_WITH_XZ  // the same
#define BALLAST_WITH_XZ 0
#endif
#ifndef BALLAST_WITH_ZSTD  // the same
#define BALLAST_WITH_ZSTD 0
#endif
#ifndef BALLAST_WITH_LZ4  // the same
#define BALLAST_WITH_LZ4 0
#endif

namespace ballast {
namespace {

// A stream takes 3 ms for it, of the slower codecs 15: not worth a thread.
constexpr std::size_t kLeast = std::size_t{1} << 20;

bool decode(Compression codec, [[maybe_unused]] WholeJob& job) {
  switch (codec) {
#if BALLAST_WITH_GZIP
    case Compression::gzip:
      return decode_whole_gzip(job);
#endif
#if BALLAST_WITH_XZ  // as above
    case Compression::xz:
      return decode_whole_xz(job);
#endif
#if BALLAST_WITH_ZSTD  // as above
    case Compression::zstd:
      return decode_whole_zstd(job);
#endif
#if BALLAST_WITH_LZ4  // as above
    case Compression::lz4:
      return decode_whole_lz4(job);
#endif
    default:
      return false;
  }
}

}  // namespace

Whole decode_whole(Compression codec, const WholeFile& file, std::span<std::byte> out,
                   const DecodeLimits& limits, const WholeWatch& watch) {
  if (out.size() < kLeast) return Whole::not_tried;
  WholeJob job(file, out, limits, watch);
  try {
    return decode(codec, job) ? Whole::done : Whole::not_tried;
  } catch (...) {
    if (job.thrown()) std::rethrow_exception(job.thrown());
    return Whole::failed;
  }
}

}  // namespace ballast
