// What decompression costs, each way beside the codec's own library in the same run.
//
//     bench-codecs read FILE ROUNDS      ModelData::read, beside the streaming API: 1 MiB of the
//                                        file at once, into fresh memory of the same kind
//     bench-codecs decoder FILE ROUNDS   what reads where nothing faster can: symmetric_filter's
//                                        read() over our decoder, beside the streaming API, both
//                                        into memory that is there
//     bench-codecs push FILE ROUNDS SIZE    a Loader that is given chunks of that many bytes,
//     beside
//                                        the streaming API that is given the same
//     bench-codecs commit FILE ROUNDS SIZE  the same by prepare() and commit(), with a copy between
//     bench-codecs write FILE ROUNDS SIZE   the same by symmetric_filter's write() and a sink that
//                                        copies, which the library does not do, and why
//     bench-codecs whole FILE ROUNDS     ModelData::read, beside the library's one call for all of
//                                        it, with the input in memory and fresh output
//     bench-codecs units FILE ROUNDS     ModelData::read of a file of many units, beside a loop
//     over
//                                        the library's one call for each, on all cores, with the
//                                        input in memory and fresh output
//     bench-codecs units-read FILE ROUNDS   the same, beside a loop that reads each from the file
//     bench-codecs count WHAT FILE       does it once, for callgrind: ballast-decoder, or its peer
//                                        codec-decoder; ballast-push, of 256 KiB at once, or
//                                        codec-push
//
// Prints a line of measure.hpp's, in decoded bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/symmetric.hpp>

#include <ballast/ballast.hpp>

#include "ballast/codec.hpp"
#include "platform/memory.hpp"
#include "tests/bench/codec_peers.hpp"
#include "tests/bench/input.hpp"
#include "tests/bench/measure.hpp"

namespace {

using ballast::Compression;
using ballast::bench::require;
using ballast::platform::PlacedBytes;
using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;
using Filter = boost::iostreams::symmetric_filter<ballast::DecoderFilter>;

// As in open_compressed.cpp.
constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::size_t kOutput = std::size_t{1} << 20;
constexpr std::size_t kOutputLz4 = std::size_t{64} << 20;

/// One file, and all that its ways have in common.
struct Work {
  const char* path = nullptr;
  Compression codec = Compression::none;
  Bytes file;        // what is in it
  PlacedBytes kept;  // memory for what comes out that is there already
  std::size_t chunk = std::size_t{256} << 10;

  [[nodiscard]] std::size_t size() const noexcept { return kept.size(); }
};

/// Memory as the library takes it for a model.
PlacedBytes fresh(std::size_t size) {
  return PlacedBytes(size, ballast::platform::PlacingAllocator<std::byte>(0));
}

template <class Use>
void for_each_chunk(const Work& work, Use use) {
  for (View left = work.file; !left.empty();) {
    const View chunk = left.first(std::min(left.size(), work.chunk));
    use(chunk);
    left = left.subspan(chunk.size());
  }
}

// ---- The codec's own library --------------------------------------------------------------------

void stream_file(const Work& work, std::span<std::byte> out) {
  ballast::bench::InputFile file(work.path);
  const auto stream = ballast::bench::open_stream(work.codec);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPiece);
  for (View piece; !(piece = file.read({buffer.get(), kPiece})).empty();) {
    ballast::bench::feed(*stream, piece, out);
  }
  require(out.empty(), "too few bytes");
}

void stream_chunks(const Work& work, std::span<std::byte> out) {
  const auto stream = ballast::bench::open_stream(work.codec);
  for_each_chunk(work, [&](View chunk) { ballast::bench::feed(*stream, chunk, out); });
  require(out.empty(), "too few bytes");
}

void decode_units(const Work& work, std::span<std::byte> out,
                  const ballast::bench::UnitsFile* where) {
  const auto units = ballast::bench::units_of(work.codec, work.file, out);
  const unsigned threads = std::thread::hardware_concurrency();
  ballast::bench::decode_units(work.codec, units, threads, where);
}

/// What does so to memory that is made for it and freed again.
template <class Decode>
auto into_fresh(const Work& work, Decode decode) {
  return [&work, decode] {
    PlacedBytes out = fresh(work.size());
    decode(std::span<std::byte>(out));
  };
}

// ---- Ours ---------------------------------------------------------------------------------------

void read_model(const Work& work) {
  const ballast::ModelData data = ballast::ModelData::read(work.path);
  require(data.size() == work.size(), "another size");
}

struct Source {
  using char_type = char;
  using category = boost::iostreams::source_tag;
  ballast::bench::InputFile& file;

  std::streamsize read(char* into, std::streamsize size) {
    const std::span room(reinterpret_cast<std::byte*>(into), static_cast<std::size_t>(size));
    const std::size_t got = file.read(room).size();
    return got > 0 ? static_cast<std::streamsize>(got) : -1;
  }
};

void filter_file(const Work& work, std::span<std::byte> out) {
  ballast::bench::InputFile file(work.path);
  Source source{file};
  ballast::Decoder decoder(work.codec, {});
  Filter filter(kPiece, &decoder);
  const std::size_t most = work.codec == Compression::lz4 ? kOutputLz4 : kOutput;
  while (!out.empty()) {
    const std::size_t want = std::min(out.size(), most);
    const std::streamsize got = filter.read(source, reinterpret_cast<char*>(out.data()),
                                            static_cast<std::streamsize>(want));
    require(got > 0, "too few bytes");
    out = out.subspan(static_cast<std::size_t>(got));
  }
  char none = 0;
  require(filter.read(source, &none, 1) == -1, "too many bytes");
}

void push(const Work& work) {
  ballast::Loader loader({.total = work.file.size()});
  for_each_chunk(work, [&](View chunk) { loader.push(chunk); });
  require(loader.finish().size() == work.size(), "another size");
}

void commit(const Work& work) {
  ballast::Loader loader({.total = work.file.size()});
  for_each_chunk(work, [&](View chunk) {
    while (!chunk.empty()) {
      const std::span<std::byte> room = loader.prepare(chunk.size());
      std::ranges::copy(chunk.first(room.size()), room.begin());
      loader.commit(room.size());
      chunk = chunk.subspan(room.size());
    }
  });
  require(loader.finish().size() == work.size(), "another size");
}

struct Sink {
  using char_type = char;
  using category = boost::iostreams::sink_tag;
  std::span<std::byte>& out;

  std::streamsize write(const char* bytes, std::streamsize size) {
    std::memcpy(out.data(), bytes, static_cast<std::size_t>(size));
    out = out.subspan(static_cast<std::size_t>(size));
    return size;
  }
};

void write(const Work& work, std::span<std::byte> out) {
  constexpr std::streamsize kBuffer = 64 << 10;  // the fastest in this direction
  ballast::Decoder decoder(work.codec, {});
  Filter filter(kBuffer, &decoder);
  Sink sink{out};
  for_each_chunk(work, [&](View chunk) {
    filter.write(sink, reinterpret_cast<const char*>(chunk.data()),
                 static_cast<std::streamsize>(chunk.size()));
  });
  filter.close(sink, std::ios_base::out);
  require(out.empty(), "too few bytes");
}

}  // namespace

// ---- Counted by callgrind -----------------------------------------------------------------------
// Not inlined and with plain names, so that its --toggle-collect finds them.

extern "C" [[gnu::noinline]] void measured_ballast_decoder(const Work& work,
                                                           std::span<std::byte> out) {
  filter_file(work, out);
}
extern "C" [[gnu::noinline]] void measured_ballast_push(const Work& work) { push(work); }
extern "C" [[gnu::noinline]] void measured_codec_decoder(const Work& work,
                                                         std::span<std::byte> out) {
  stream_file(work, out);
}
extern "C" [[gnu::noinline]] void measured_codec_push(const Work& work, std::span<std::byte> out) {
  stream_chunks(work, out);
}

namespace {

// ---- The program --------------------------------------------------------------------------------

Work work_on(const char* path) {
  Work work;
  work.path = path;
  work.file = ballast::bench::content_of(path);
  work.codec = ballast::signature_of(work.file);
  const ballast::ModelData data = ballast::ModelData::read(path);
  require(data.compression() == work.codec, "another codec");
  work.kept.resize(data.size());
  std::ranges::copy(data.bytes(), work.kept.begin());
  return work;
}

/// The same bytes come out of both.
template <class Decode>
void require_same(const Work& work, Decode decode) {
  PlacedBytes out = fresh(work.size());
  decode(std::span<std::byte>(out));
  require(std::ranges::equal(out, work.kept), "other bytes than Ballast's");
}

template <class Decode, class Ours>
int compare(const Work& work, int rounds, Decode decode, Ours ours) {
  require_same(work, decode);
  ballast::bench::print_comparison(work.size(), rounds, into_fresh(work, decode), ours);
  return 0;
}

template <class Decode, class Ours>
int compare_kept(Work& work, int rounds, Decode decode, Ours ours) {
  require_same(work, decode);
  require_same(work, ours);
  const std::span<std::byte> out(work.kept);
  ballast::bench::print_comparison(work.size(), rounds, [&] { decode(out); }, [&] { ours(out); });
  return 0;
}

int count(std::string_view what, const char* path) {
  Work work = work_on(path);
  if (what == "ballast-decoder") measured_ballast_decoder(work, work.kept);
  if (what == "ballast-push") measured_ballast_push(work);
  if (what == "codec-decoder") measured_codec_decoder(work, work.kept);
  if (what == "codec-push") measured_codec_push(work, work.kept);
  return 0;
}

int run(std::string_view mode, Work& work, int rounds) {
  const auto in_one_call = [&](auto out) {
    ballast::bench::decode_at_once(work.codec, work.file, out);
  };
  const auto streamed = [&](auto out) { stream_file(work, out); };
  const auto chunked = [&](auto out) { stream_chunks(work, out); };
  const auto read = [&] { read_model(work); };
  if (mode == "read") return compare(work, rounds, streamed, read);
  if (mode == "decoder")
    return compare_kept(work, rounds, streamed, [&](auto out) { filter_file(work, out); });
  if (mode == "push") return compare(work, rounds, chunked, [&] { push(work); });
  if (mode == "commit") return compare(work, rounds, chunked, [&] { commit(work); });
  if (mode == "write")
    return compare_kept(work, rounds, chunked, [&](auto out) { write(work, out); });
  if (mode == "whole") return compare(work, rounds, in_one_call, read);
  if (mode == "units" || mode == "units-read") {
    const ballast::bench::InputFile file(work.path);
    const ballast::bench::UnitsFile where{file.descriptor(), work.file.data()};
    const auto plain = [&](auto out) {
      decode_units(work, out, mode == "units" ? nullptr : &where);
    };
    return compare(work, rounds, plain, read);
  }
  std::fprintf(stderr, "bench-codecs: there is no mode %.*s here\n", static_cast<int>(mode.size()),
               mode.data());
  return 2;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench-codecs MODE FILE ROUNDS [SIZE] | count WHAT FILE\n");
    return 2;
  }
  const std::string_view mode = argv[1];
  if (mode == "count") return count(argv[2], argv[3]);
  Work work = work_on(argv[2]);
  if (argc > 4) work.chunk = static_cast<std::size_t>(std::atoll(argv[4]));
  return run(mode, work, std::max(1, std::atoi(argv[3])));
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench-codecs: %s\n", error.what());
  return 1;
}
