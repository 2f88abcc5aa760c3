// The C API while every allocation fails: no exception gets out, the answer is a code, and an error
// that can be read and freed goes with it.
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>

#include "tests/faults/heap.hpp"
#include "tests/faults/scenarios.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/sample.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

/// What a call answered, and the error that it gave.
struct Answer {
  int code = BALLAST_OK;
  ballast_error* error = nullptr;
};

/// What is wrong with an answer; empty where it says that there is no memory, or is as it is when
/// there is some. The error is freed.
std::string fault_of(const Answer& answer, int right) {
  const AllocationsPaused paused;
  std::string fault;
  const ballast_error* const error = answer.error;
  if (answer.code != right && answer.code != BALLAST_ERRC_out_of_memory) fault = "another code";
  if ((answer.code == BALLAST_OK) != (error == nullptr)) fault = "a code without its error";
  if (error != nullptr) {
    if (error->code != answer.code) fault = "the error of another code";
    if (std::strlen(error->message) == 0 || std::strlen(error->what) == 0) fault = "no message";
    if (std::strcmp(error->name, ballast_code_name(answer.code)) != 0) fault = "another name";
  }
  ballast_error_free(answer.error);
  return fault;
}

/// Lets each allocation of a call fail; `call` frees what it got. With plenty of memory the answer
/// is `right`.
void run_all(const std::string& name, int right, const std::function<Answer()>& call) {
  REQUIRE(fault_of(call(), right).empty());
  for (const bool lasting : {false, true}) {
    bool has_fired = true;
    for (std::uint64_t nth = 1; has_fired; ++nth) {
      const std::int64_t pieces = live_pieces();
      std::string fault;
      {
        const FailingAllocations failing(nth, lasting);
        const Answer answer = call();
        fault = fault_of(answer, right);
        has_fired = failing.has_fired();
        if (!has_fired && answer.code != right) fault = "there was memory";
      }
      if (fault.empty() && live_pieces() != pieces) fault = "memory is left behind";
      CAPTURE(name, nth, lasting);
      if (!fault.empty()) FAIL_CHECK(fault);
      REQUIRE(nth < 10'000);
    }
  }
}

/// Of the first scenario, which opens a model.
std::string model_path() { return scenarios().front().files.front().string(); }

TEST_CASE("the C API answers that there is no memory for a model") {
  const std::string path = model_path();
  const char* const file = path.c_str();
  run_all("model_open", BALLAST_OK, [&] {
    Answer answer;
    ballast_model* model = nullptr;
    answer.code = ballast_model_open(file, nullptr, &model, &answer.error);
    ballast_model_close(model);
    return answer;
  });
  run_all("model_open_shards", BALLAST_OK, [&] {
    Answer answer;
    ballast_model* model = nullptr;
    answer.code = ballast_model_open_shards(&file, 1, nullptr, &model, &answer.error);
    ballast_model_close(model);
    return answer;
  });
  run_all("a file that is not there", -ENOENT, [&] {
    Answer answer;
    ballast_model* model = nullptr;
    answer.code =
        ballast_model_open("/a/file/that/is/not/there/at/all", nullptr, &model, &answer.error);
    return answer;
  });
}

TEST_CASE("the C API answers that there is no memory for data, and what is made of them") {
  const std::string path = model_path();
  const Bytes bytes = read_file(path);
  run_all("data_open", BALLAST_OK, [&] {
    Answer answer;
    ballast_data* data = nullptr;
    answer.code = ballast_data_open(path.c_str(), nullptr, &data, &answer.error);
    ballast_data_close(data);
    return answer;
  });
  run_all("data_from_memory and model_from_data", BALLAST_OK, [&] {
    Answer answer;
    int released = 0;
    ballast_data* data = nullptr;
    const auto release = [](void* user) { ++*static_cast<int*>(user); };
    answer.code = ballast_data_from_memory(bytes.data(), bytes.size(), release, &released, &data,
                                           &answer.error);
    if (answer.code != BALLAST_OK) return answer;
    char* siblings = nullptr;
    answer.code = ballast_data_siblings(data, "model.gguf", nullptr, &siblings, &answer.error);
    ballast_siblings_free(siblings);
    if (answer.code != BALLAST_OK) {
      ballast_data_close(data);
      return answer;
    }
    const char* const name = "a name of a file that is too long to be in place";
    ballast_model* model = nullptr;
    answer.code = ballast_model_from_data(&data, &name, 1, nullptr, &model, &answer.error);
    if (answer.code == BALLAST_OK) {
      answer.code = ballast_model_verify(model, nullptr, nullptr, nullptr, &answer.error);
    }
    ballast_model_close(model);
    ballast_data_close(data);
    const AllocationsPaused paused;
    CHECK(released == 1);
    return answer;
  });
}

TEST_CASE("the C API answers that there is no memory for a loader and its options") {
  const Bytes bytes = read_file(model_path());
  run_all("loader", BALLAST_OK, [&] {
    Answer answer;
    ballast_options* options = ballast_options_create();
    if (options == nullptr) {  // has no error to go with it
      answer.code = ballast_loader_create(nullptr, nullptr, &answer.error);
      ballast_error_free(answer.error);
      return Answer{};
    }
    ballast_loader* loader = nullptr;
    ballast_data* data = nullptr;
    const int named = ballast_options_set_path(options, "a/path/that/is/too/long/to/be/in/place");
    answer.code = ballast_loader_create(options, &loader, &answer.error);
    if (answer.code == BALLAST_OK) {
      answer.code = ballast_loader_push(loader, bytes.data(), bytes.size(), &answer.error);
    }
    if (answer.code == BALLAST_OK)
      answer.code = ballast_loader_finish(loader, &data, &answer.error);
    ballast_data_close(data);
    ballast_loader_free(loader);
    ballast_options_free(options);
    const AllocationsPaused paused;
    CHECK((named == BALLAST_OK || named == BALLAST_ERRC_out_of_memory));
    return answer;
  });
}

}  // namespace
}  // namespace ballast::test
