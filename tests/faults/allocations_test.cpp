// Every allocation fails, once and from then on: then there is an Error or std::bad_alloc, or what
// was asked for, and nothing is left behind.
#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/config.hpp>
#include <ballast/error.hpp>
#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#include <ballast/text.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/values.hpp>
#endif

#include "tests/faults/heap.hpp"
#include "tests/faults/scenarios.hpp"
#include "tests/faults/system_calls.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = 20'000;

using Run = std::function<void()>;

/// What is wrong with something that an allocation fails in; empty where nothing is.
template <class Failing>
std::string run_with(const Run& run, std::uint64_t nth, bool lasting, bool& has_fired) {
  std::string wrong;
  const std::int64_t pieces = live_pieces();
  const Held before = held();
  try {
    const Failing failing(nth, lasting);
    const FiredAtTheEnd<Failing> fired(failing, has_fired);
    run();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): one of the right answers
  } catch (const Error& error) {
    if (error.code() != Errc::out_of_memory) wrong = error.what();
  } catch (const std::exception& other) {
    wrong = other.what();
  }
  if (!wrong.empty()) return wrong;
  if (live_pieces() != pieces) return "memory is left behind";
  return held() == before ? "" : "a file is left behind";
}

template <class Failing>
void run_with_all(const std::string& name, const Run& run, bool lasting) {
  bool has_fired = true;
  for (std::uint64_t nth = 1; has_fired; ++nth) {
    const std::string wrong = run_with<Failing>(run, nth, lasting, has_fired);
    if (!wrong.empty()) {
      FAIL_CHECK(name << ", allocation " << nth << (lasting ? " and later: " : ": ") << wrong);
    }
    REQUIRE(nth < kMost);
  }
}

void run_all(const std::string& name, const Run& run) {
  run();  // what is made once, and kept, is there from here on
  for (const bool lasting : {false, true}) {
    run_with_all<FailingAllocations>(name, run, lasting);
#if BALLAST_TEST_FAILS_MALLOC
    run_with_all<FailingHeap>(name, run, lasting);
#endif
  }
}

void require(bool holds, const char* what) {
  if (!holds) throw WrongAnswer(what);
}

bool is_refused_for(const std::exception_ptr& failure, Errc code) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == code;
  } catch (...) {
    return false;
  }
}

// ---- Bytes that are in memory already ----------------------------------------------------------

Sample rich_gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("general.name", std::string(300, 'n'))
      .entry("tokens", array_of<std::string>({"one", "two", std::string(100, 't')}))
      .entry("nested", GgufValue::array(ValueType::array, {array_of<std::int32_t>({1, 2, 3}),
                                                           array_of<std::int32_t>({})}))
      .entry("truth", true)
      .entry("number", 1.5)
      .tensor({.name = "a.tensor.whose.name.is.too.long.to.be.in.place", .dims = {32, 2}})
      .tensor({.name = "of.a.new.dtype", .dims = {1}, .dtype = 99, .nbytes = 32})
      .tensor({.name = "scalar", .dims = {}})
      .tensor({.name = "quantized", .dims = {256}, .dtype = 12})
      .build();
}

Sample rich_safetensors() {
  return SafetensorsBuilder()
      .entry("format", "pt")
      .entry("escaped \" \\ \n \x01", std::string(300, 'v'))
      .tensor({.name = "a.tensor.whose.name.is.too.long.to.be.in.place", .shape = {2, 3}})
      .tensor({.name = "\xC3\xA9", .dtype = "BF16", .shape = {4}})
      .build();
}

TEST_CASE("a parser that runs out of memory says so") {
  const Sample gguf = rich_gguf();
  const Sample safetensors = rich_safetensors();
  for (const Sample* sample : {&gguf, &safetensors}) {
    run_all("parse", [&] {
      const Parsed parsed = parse({sample->bytes(), sample->size()});
      require(parsed.directory && !parsed.directory->tensors.empty(), "no directory");
    });
    run_all("a prefix", [&] {
      require(!parse({std::span(sample->bytes()).first(60), sample->size()}).directory,
              "too early");
    });
  }
}

TEST_CASE("a model of memory that runs out of it says so") {
  const Sample gguf = rich_gguf();
  run_all("a model of memory", [&] {
    Model model = Model::from_data(ModelData::borrow(gguf.bytes()));
    Model other = std::move(model);
    model = std::move(other);
    require(model.find("scalar") != nullptr, "a tensor is missing");
    require(model.tensors().size() == 4, "tensors are missing");
    require(model.metadata().size() == 6, "entries are missing");
    require(!model.warnings().empty(), "the warning is missing");
    require(model.verify().empty(), "something is odd");
    const TypedValues<float> values = model.values<float>(model.at("scalar"));
    require(values.values().size() == 1, "a value is missing");
  });
}

#if BALLAST_HAS_VALUES
TEST_CASE("values and statistics take no memory") {
  const Sample gguf = rich_gguf();
  const Model model = Model::from_data(ModelData::borrow(gguf.bytes()));
  const Tensor& tensor = model.at("quantized");
  std::vector<float> floats(256);
  std::vector<std::uint16_t> halves(256);
  const auto pieces = live_pieces();
  const Allocations allocations;
  {
    const FailingAllocations failing(1, true);
    read_floats(model, tensor, {}, floats);
    read_f16(model, tensor, {}, halves);
    read_bf16(model, tensor, {}, halves);
    static_cast<void>(statistics(model, tensor));
  }
  CHECK(allocations.count() == 0);
  CHECK(live_pieces() == pieces);
}
#endif

// ---- Files -------------------------------------------------------------------------------------

TEST_CASE("a load that runs out of memory says so, and leaves nothing behind") {
  for (const Scenario& scenario : scenarios()) run_all(scenario.name, scenario.run);
}

TEST_CASE("advice takes no memory but that of the file") {
  for (const Scenario& scenario : advice_scenarios()) run_all(scenario.name, scenario.run);
}

TEST_CASE("a file that is gone, or cannot be looked at, has changed, whatever memory there is") {
  const ModelData data = ModelData::open_mmap(scenarios().front().files.front());
  for (const Call call : {Call::stat, Call::fstat}) {
    const Injection injection({call, Effect::error, 5}, 1, true);
    const FailingAllocations failing(1, true);
    const bool unchanged = data.unchanged();
    const bool intact = data.intact();
    const AllocationsPaused paused;
    CHECK(unchanged == (call == Call::fstat));
    CHECK(intact == (call == Call::stat));
  }
}

// ---- Errors ------------------------------------------------------------------------------------

/// The error itself needs memory: without any, what is thrown is std::bad_alloc.
TEST_CASE("an error that runs out of memory is another error") {
  const std::string path(100, 'p');
  const std::string name(100, 'n');
  const Run problem = [&] {
    const Error error(
        {.code = Errc::duplicate_tensor, .kind = SubjectKind::tensor, .offset = 1, .name = name},
        path);
    const Error copy = error;  // NOLINT(performance-*): that it cannot throw is the point
    require(copy.path() == path && copy.subject() == name, "a string is missing");
    require(error.with_path("another path that is long enough").message() == copy.message(),
            "lost");
    require(error.with_input_offset(7).input_offset() == 7U, "the offset is missing");
  };
  const Run system = [&] {
    const Error error(std::make_error_code(std::errc::io_error), "read", path);
    require(error.path() == path, "the path is missing");
  };
  run_all("an error of the format", problem);
  run_all("an error of the system", system);
}

TEST_CASE("a refusal that runs out of memory is std::bad_alloc, or the refusal") {
  const Sample broken = rich_gguf().cut(200);
  run_all("a refusal", [&] {
    try {
      static_cast<void>(Model::from_data(ModelData::borrow(broken.bytes())));
    } catch (const Error& error) {
      require(error.code() == Errc::truncated || error.code() == Errc::outside_file,
              "another code");
      return;
    }
    throw WrongAnswer("half a model");
  });
  run_all("a loader's refusal", [&] {
    Loader loader({.path = "a/path/that/is/too/long/to/be/in/place.gguf"});
    try {
      loader.push(broken.bytes());
      static_cast<void>(loader.finish());
    } catch (...) {
      require_ended(loader);
      if (is_refused_for(std::current_exception(), Errc::truncated)) return;
      throw;
    }
    throw WrongAnswer("half a model");
  });
  run_all("a file that is not there", [&] {
    try {
      static_cast<void>(Model::open("/a/path/to/a/file/that/is/not/there/at/all"));
    } catch (const Error& error) {
      if (error.code() == std::errc::no_such_file_or_directory) return;
      throw;
    }
    throw WrongAnswer("a model of nothing");
  });
}

TEST_CASE("the test sees an allocation that fails, and memory that is left behind") {
  bool has_fired = false;
  std::vector<std::vector<int>> kept;
  kept.reserve(2);
  CHECK(run_with<FailingAllocations>([&] { kept.emplace_back(100); }, 1, false, has_fired).empty());
  CHECK(has_fired);
  CHECK(kept.empty());
  CHECK(run_with<FailingAllocations>([&] { kept.emplace_back(100); }, 2, false, has_fired) ==
        "memory is left behind");
  CHECK_FALSE(has_fired);
}

}  // namespace
}  // namespace ballast::test
