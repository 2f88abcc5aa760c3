// Threads that are cancelled (pthread_cancel(3)) while they call the library: no call ends them,
// and none ends the process. Each test has a process of its own, which a failure would end.
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>
#include <ballast/compression.hpp>
#include <ballast/config.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/values.hpp>
#endif

#include "tests/support/child.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/temp.hpp"
#include "tests/threads/together.hpp"

namespace ballast::test {
namespace {

/// Large enough that several threads read or decode it.
const Bytes& bytes() {
  static const Bytes kBytes = model_bytes(std::uint64_t{12} << 20);
  return kBytes;
}

/// Work on a thread that has been asked to end, and whether it did all of it.
struct Cancelled {
  const std::function<void()>& work;
  bool is_done = false;

  static void* run(void* self) {
    auto& cancelled = *static_cast<Cancelled*>(self);
    ::pthread_cancel(::pthread_self());  // pending: it takes effect at the next cancellation point
    cancelled.work();
    cancelled.is_done = true;
    ::pthread_testcancel();
    return nullptr;
  }
};

/// The work is done to its end, and the program's own next cancellation point ends the thread.
Ended while_cancelled(const std::function<void()>& work) {
  return in_child([&] {
    Cancelled cancelled{work};
    pthread_t thread{};
    expect(::pthread_create(&thread, nullptr, &Cancelled::run, &cancelled) == 0, "a thread");
    void* result = nullptr;
    ::pthread_join(thread, &result);
    expect(cancelled.is_done, "no call ended the thread");
    expect(result == PTHREAD_CANCELED, "the request is still pending afterwards");
  });
}

/// A progress callback with a cancellation point.
int wait_a_little(void*, const ballast_progress*) {
  ::usleep(1);
  return 0;
}

/// The model as it is, and compressed by each codec.
std::vector<std::pair<std::string_view, Bytes>> forms() {
  std::vector<std::pair<std::string_view, Bytes>> all{{"plain", bytes()}};
  for (const Compression codec : codecs()) all.emplace_back(name(codec), compress(codec, bytes()));
  return all;
}

void compute([[maybe_unused]] const Model& model) {
#if BALLAST_HAS_VALUES
  static_cast<void>(statistics(model, model.at("quantized")));
#endif
}

TEST_CASE("opening a model in C++ is no cancellation point") {
  const TempFile file(bytes());
  for (const Backend backend : {Backend::automatic, Backend::heap}) {
    CHECK(while_cancelled([&] {
            OpenOptions options{.backend = backend, .fault_guard = true};
            options.progress = [](const Progress&) { ::usleep(1); };
            const Model model = Model::open(file.path(), options);
            static_cast<void>(model.verify(options));
            const ModelData& data = model.shards()[0].data;
            static_cast<void>(data.unchanged());
            static_cast<void>(data.damaged());
            static_cast<void>(data.intact());
            static_cast<void>(data.release_cpu_pages(0, ModelData::npos, PageCache::drop));
            compute(model);
          }).well());
  }
}

TEST_CASE("decoding a compressed model in C++ is no cancellation point") {
  for (const auto& [name, form] : forms()) {
    INFO(name);
    const TempFile file(form);
    CHECK(while_cancelled([&] {
            OpenOptions options;
            options.progress = [](const Progress&) { ::usleep(1); };
            static_cast<void>(Model::open(file.path(), options));
          }).well());
  }
}

TEST_CASE("a pipe is read without a cancellation point") {
  CHECK(while_cancelled([&] {
          std::array<int, 2> ends{};
          expect(::pipe(ends.data()) == 0, "a pipe");
          const Bytes small = model_bytes(1000);
          int before = 0;
          ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
          expect(::write(ends[1], small.data(), small.size()) > 0, "it is written");
          ::close(ends[1]);
          ::pthread_setcancelstate(before, &before);
          static_cast<void>(ModelData::open_descriptor(ends[0]));
        }).well());
}

TEST_CASE("a loader in C++ is no cancellation point") {
  const Bytes form = compress(Compression::gzip, bytes());
  CHECK(while_cancelled([&] {
          Loader loader;
          loader.push(form);
          static_cast<void>(loader.finish());
        }).well());
}

TEST_CASE("calls of the C API are no cancellation points, nor are the callbacks that they make") {
  for (const auto& [name, form] : forms()) {
    INFO(name);
    const TempFile file(form);
    CHECK(
        while_cancelled([&] {
          for (const int backend : {BALLAST_BACKEND_AUTO, BALLAST_BACKEND_HEAP}) {
            ballast_options* options = ballast_options_create();
            ballast_options_set(options, BALLAST_OPTION_BACKEND,
                                static_cast<std::uint64_t>(backend));
            ballast_options_set_progress(options, wait_a_little, nullptr);
            ballast_model* model = nullptr;
            expect(ballast_model_open(file.path().c_str(), options, &model, nullptr) == 0, "open");
            expect(ballast_model_verify(model, options, nullptr, nullptr, nullptr) == 0, "verify");
            ballast_model_close(model);
            expect(ballast_model_open("/none", options, &model, nullptr) != 0, "no such file");
            ballast_options_free(options);
          }
        }).well());
  }
}

TEST_CASE("memory that the program gives back when the C API closes it may wait") {
  const Bytes small = model_bytes(1000);
  CHECK(while_cancelled([&] {
          ballast_data* data = nullptr;
          const auto release = [](void*) { ::usleep(1); };
          expect(ballast_data_from_memory(small.data(), small.size(), release, nullptr, &data,
                                          nullptr) == 0,
                 "data");
          ballast_data_close(data);
          expect(ballast_data_from_memory(small.data(), small.size(), release, nullptr, &data,
                                          nullptr) == 0,
                 "data");
          ballast_model* model = nullptr;
          expect(ballast_model_from_data(&data, nullptr, 1, nullptr, &model, nullptr) == 0,
                 "model");
          ballast_model_close(model);
        }).well());
}

}  // namespace
}  // namespace ballast::test
