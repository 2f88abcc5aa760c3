#include "tests/support/compress.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace ballast::test {
namespace {

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("not compressed: ") + what);
}

/// Memory that encoders ask for and give back, kept for the next of them: fuzzing makes a stream
/// for each input, and most of its time went into new pages for the tables of the encoders.
class KeptMemory {
 public:
  void* take(std::size_t size) {
    const auto fits = [size](const Block& block) { return !block.taken && block.size == size; };
    auto found = std::ranges::find_if(blocks_, fits);
    if (found == blocks_.end()) {
      blocks_.push_back(
          {std::make_unique_for_overwrite<std::byte[]>(size), size, false});  // NOLINT
      found = blocks_.end() - 1;
    }
    found->taken = true;
    return found->data.get();
  }
  void give_back(const void* data) {
    const auto is_it = [data](const Block& block) { return block.data.get() == data; };
    if (const auto found = std::ranges::find_if(blocks_, is_it); found != blocks_.end()) {
      found->taken = false;
    }
  }

 private:
  struct Block {
    std::unique_ptr<std::byte[]> data;  // NOLINT(modernize-avoid-c-arrays)
    std::size_t size;
    bool taken;
  };
  std::vector<Block> blocks_;
};

// Encoders of each thread, used again and again.
thread_local KeptMemory kept_memory;

template <class Number>
void* kept(void* /*user*/, Number count, Number size) {
  return kept_memory.take(static_cast<std::size_t>(count) * static_cast<std::size_t>(size));
}
void give_back(void* /*user*/, void* data) { kept_memory.give_back(data); }

Bytef* zlib_bytes(const Bytes& bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

Bytes deflated(std::span<const std::byte> bytes, const Deflated& options, int window_bits) {
  z_stream stream{};
  stream.zalloc = kept<uInt>;
  stream.zfree = give_back;
  constexpr int kMemory = 8;  // zlib's default
  require(deflateInit2(&stream, options.level, Z_DEFLATED, window_bits, kMemory,
                       Z_DEFAULT_STRATEGY) == Z_OK,
          "deflateInit2");
  const std::unique_ptr<z_stream, int (*)(z_streamp)> ends(&stream, deflateEnd);
  gz_header header{};
  std::string name = options.name.value_or("");
  std::string comment = options.comment.value_or("");
  if (window_bits > MAX_WBITS) {
    header.os = 3;  // Unix
    header.hcrc = options.header_checksum ? 1 : 0;
    if (options.extra) header.extra = zlib_bytes(*options.extra);
    if (options.extra) header.extra_len = static_cast<uInt>(options.extra->size());
    if (options.name) header.name = reinterpret_cast<Bytef*>(name.data());
    if (options.comment) header.comment = reinterpret_cast<Bytef*>(comment.data());
    require(deflateSetHeader(&stream, &header) == Z_OK, "deflateSetHeader");
  }
  if (options.dictionary) {
    const auto size = static_cast<uInt>(options.dictionary->size());
    require(deflateSetDictionary(&stream, zlib_bytes(*options.dictionary), size) == Z_OK,
            "deflateSetDictionary");
  }
  Bytes out(deflateBound(&stream, static_cast<uLong>(bytes.size())));
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
  out.resize(out.size() - stream.avail_out);
  return out;
}

// Runs what is left of the input through liblzma until the action is done.
void run_xz(lzma_stream& stream, Bytes& out, lzma_action action) {
  thread_local Bytes piece(std::size_t{64} << 10);
  for (lzma_ret result = LZMA_OK; result != LZMA_STREAM_END;) {
    stream.next_out = reinterpret_cast<std::uint8_t*>(piece.data());
    stream.avail_out = piece.size();
    result = lzma_code(&stream, action);
    require(result == LZMA_OK || result == LZMA_STREAM_END, "lzma_code");
    append(out, std::span(piece).first(piece.size() - stream.avail_out));
  }
}

struct Lz4Encoder {
  LZ4F_cctx* context = nullptr;
  Lz4Encoder() {
    require(LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) == 0,
            "an LZ4 context");
  }
  Lz4Encoder(const Lz4Encoder&) = delete;
  Lz4Encoder& operator=(const Lz4Encoder&) = delete;
  ~Lz4Encoder() { LZ4F_freeCompressionContext(context); }
};

struct ZstdContext {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZstdContext() = default;
  ZstdContext(const ZstdContext&) = delete;
  ZstdContext& operator=(const ZstdContext&) = delete;
  ~ZstdContext() { ZSTD_freeCCtx(context); }

  void set(ZSTD_cParameter parameter, int value) const {
    require(ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)) == 0,
            "a zstd parameter");
  }
};

}  // namespace

std::vector<int> levels(Compression codec) {
  switch (codec) {
    case Compression::gzip:
    case Compression::zlib:
      return {0, 6, 9};
    case Compression::bzip2:
      return {1, 9};
    case Compression::xz:
      return {0, 6, 9};
    case Compression::zstd:
      return {ZSTD_minCLevel(), ZSTD_CLEVEL_DEFAULT, ZSTD_maxCLevel()};
    case Compression::lz4:
      return {-65'536, 0, LZ4F_compressionLevel_max()};
    case Compression::none:
      break;
  }
  throw std::logic_error("no codec");
}

Bytes compress(Compression codec, std::span<const std::byte> bytes, int level) {
  switch (codec) {
    case Compression::gzip:
      return gzip_member(bytes, {.level = level});
    case Compression::zlib:
      return zlib_stream(bytes, {.level = level});
    case Compression::bzip2:
      return bzip2_stream(bytes, level);
    case Compression::xz:
      return xz_stream(bytes, {.level = level});
    case Compression::zstd:
      return zstd_frame(bytes, {.level = level});
    case Compression::lz4:
      return lz4_frame(bytes, {.level = level});
    case Compression::none:
      break;
  }
  throw std::logic_error("no codec");
}

Bytes compress(Compression codec, std::span<const std::byte> bytes) {
  const std::vector<int> all = levels(codec);
  return compress(codec, bytes, codec == Compression::bzip2 ? all.back() : all[1]);
}

Bytes gzip_member(std::span<const std::byte> bytes, const Deflated& options) {
  return deflated(bytes, options, options.window_bits + 16);
}

Bytes zlib_stream(std::span<const std::byte> bytes, const Deflated& options) {
  return deflated(bytes, options, options.window_bits);
}

Bytes bzip2_stream(std::span<const std::byte> bytes, int level) {
  Bytes out(bytes.size() + bytes.size() / 100 + 600);  // what the manual asks for
  bz_stream stream{};
  stream.bzalloc = kept<int>;
  stream.bzfree = give_back;
  require(BZ2_bzCompressInit(&stream, level, 0, 0) == BZ_OK, "BZ2_bzCompressInit");
  const std::unique_ptr<bz_stream, int (*)(bz_stream*)> ends(&stream, BZ2_bzCompressEnd);
  stream.next_in = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = reinterpret_cast<char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  require(BZ2_bzCompress(&stream, BZ_FINISH) == BZ_STREAM_END, "BZ2_bzCompress");
  out.resize(out.size() - stream.avail_out);
  return out;
}

Bytes xz_stream(std::span<const std::byte> bytes, const XzStream& options) {
  lzma_options_lzma lzma{};
  require(lzma_lzma_preset(&lzma, static_cast<std::uint32_t>(options.level)) == 0,
          "lzma_lzma_preset");
  if (options.dictionary) lzma.dict_size = *options.dictionary;
  lzma_options_delta delta{};
  delta.type = LZMA_DELTA_TYPE_BYTE;
  delta.dist = 2;
  std::vector<lzma_filter> filters;
  if (options.delta) filters.push_back({LZMA_FILTER_DELTA, &delta});
  filters.push_back({LZMA_FILTER_LZMA2, &lzma});
  filters.push_back({LZMA_VLI_UNKNOWN, nullptr});
  const lzma_allocator memory{kept<std::size_t>, give_back, nullptr};
  lzma_stream stream = LZMA_STREAM_INIT;
  stream.allocator = &memory;
  const auto check = static_cast<lzma_check>(options.check);
  require(lzma_stream_encoder(&stream, filters.data(), check) == LZMA_OK, "lzma_stream_encoder");
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> ends(&stream, lzma_end);
  Bytes out;
  const std::size_t piece = options.block_bytes > 0 ? options.block_bytes : bytes.size();
  while (bytes.size() > piece) {
    stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    stream.avail_in = piece;
    run_xz(stream, out, LZMA_FULL_FLUSH);  // ends the block
    bytes = bytes.subspan(piece);
  }
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  run_xz(stream, out, LZMA_FINISH);
  return out;
}

Bytes zstd_frame(std::span<const std::byte> bytes, const ZstdFrame& options) {
  thread_local const ZstdContext kZstd;
  ZSTD_CCtx_reset(kZstd.context, ZSTD_reset_session_and_parameters);
  kZstd.set(ZSTD_c_compressionLevel, options.level);
  kZstd.set(ZSTD_c_checksumFlag, options.checksum ? 1 : 0);
  kZstd.set(ZSTD_c_contentSizeFlag, options.content_size ? 1 : 0);
  if (options.window_log != 0) kZstd.set(ZSTD_c_windowLog, options.window_log);
  if (options.long_distance) kZstd.set(ZSTD_c_enableLongDistanceMatching, 1);
  if (options.dictionary) {
    const std::size_t loaded = ZSTD_CCtx_loadDictionary(kZstd.context, options.dictionary->data(),
                                                        options.dictionary->size());
    require(ZSTD_isError(loaded) == 0, "ZSTD_CCtx_loadDictionary");
  }
  Bytes out(ZSTD_compressBound(bytes.size()) + (std::size_t{1} << 10));
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  const auto run = [&](ZSTD_EndDirective directive) {
    require(ZSTD_compressStream2(kZstd.context, &output, &input, directive) == 0, "zstd");
  };
  // With all of the input in the one call that ends it, libzstd would know the size.
  if (!options.content_size) run(ZSTD_e_flush);
  run(ZSTD_e_end);
  out.resize(output.pos);
  return out;
}

Bytes raw_zstd_frame(std::span<const std::byte> bytes, const ZstdHeader& header) {
  constexpr std::size_t kLargestBlock = std::size_t{128} << 10;
  constexpr unsigned kEightBytes = 3U << 6;
  constexpr unsigned kSingleSegment = 1U << 5;
  constexpr unsigned kReserved = 1U << 3;
  unsigned descriptor = header.content_size ? kEightBytes : 0;
  if (!header.window_log) descriptor |= kSingleSegment;
  if (header.reserved_bit) descriptor |= kReserved;
  if (header.dictionary_id) descriptor |= 1;  // one byte of it
  Bytes out = bytes_of("\x28\xB5\x2F\xFD");
  append_number(out, descriptor, 1);
  if (header.window_log) append_number(out, (*header.window_log - 10) << 3, 1);
  if (header.dictionary_id) append_number(out, *header.dictionary_id, 1);
  if (header.content_size) append_number(out, *header.content_size, 8);
  bool last = false;
  while (!last) {
    const std::size_t size = std::min(bytes.size(), kLargestBlock);
    last = size == bytes.size();
    append_number(out, size << 3 | (last ? 1U : 0U), 3);
    append(out, bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return out;
}

Bytes lz4_frame(std::span<const std::byte> bytes, const Lz4Frame& options) {
  LZ4F_preferences_t preferences{};
  preferences.compressionLevel = options.level;
  preferences.autoFlush = 1;
  LZ4F_frameInfo_t& info = preferences.frameInfo;
  info.blockSizeID = static_cast<LZ4F_blockSizeID_t>((options.block_log - 8) / 2);
  info.blockMode = options.linked ? LZ4F_blockLinked : LZ4F_blockIndependent;
  info.contentChecksumFlag =
      options.checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
  info.blockChecksumFlag =
      options.block_checksums ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
  info.dictID = options.dictionary_id;
  if (options.content_size) info.contentSize = bytes.size();
  if (options.claimed_size) info.contentSize = *options.claimed_size;
  thread_local const Lz4Encoder kEncoder;
  LZ4F_cctx* const context = kEncoder.context;
  // Kept, because the bound is 4 MiB however little is compressed.
  thread_local Bytes out;
  const std::size_t most =
      LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(bytes.size(), &preferences) + 16;
  out.resize(std::max(out.size(), most));
  std::size_t size = 0;
  const auto add = [&](std::size_t result) {
    require(LZ4F_isError(result) == 0, LZ4F_getErrorName(result));
    size += result;
  };
  const auto rest = [&] { return out.size() - size; };
  add(LZ4F_compressBegin(context, out.data(), rest(), &preferences));
  add(LZ4F_compressUpdate(context, &out[size], rest(), bytes.data(), bytes.size(), nullptr));
  if (!options.claimed_size) add(LZ4F_compressEnd(context, &out[size], rest(), nullptr));
  const std::span<const std::byte> filled = std::span(out).first(size);
  Bytes frame(filled.begin(), filled.end());
  // The end mark; LZ4F_compressEnd would compare the sizes.
  if (options.claimed_size) append_number(frame, 0, 4);
  return frame;
}

Bytes skippable_frame(std::span<const std::byte> content, unsigned kind) {
  Bytes out;
  append_number(out, 0x184D2A50U + kind, 4);
  append_number(out, content.size(), 4);
  append(out, content);
  return out;
}

}  // namespace ballast::test
