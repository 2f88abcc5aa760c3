// Calls of the C API in any order, with any numbers, over models that an input makes.
//
//   * A call answers what is documented: 0, a code of the table, or an errno with a minus; with an
//     error of that very code, or without one. Output is written on success only.
//   * Borrowed bytes are released exactly once, and not before what views them is closed.
//   * What a model says of its tensors lies inside its files.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ballast/ballast.h>

#include "tests/fuzz/explore_model.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/made_model.hpp"
#include "tests/fuzz/require.hpp"

namespace ballast::test {
namespace {

// Bytes that an input may claim, which are then zeroed: that takes most of the time.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 18;
constexpr std::size_t kMostHandles = 4;

/// Bytes that were lent, and how often they were given back.
struct Lent {
  Bytes bytes;
  int released = 0;
};

void release(void* user) { ++static_cast<Lent*>(user)->released; }

class Calls {
 public:
  explicit Calls(FuzzInput& input) : input_(input), options_(ballast_options_create()) {
    require(options_ != nullptr, "there is memory for options");
    set(BALLAST_OPTION_MAX_BYTES, kMostBytes);
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  ~Calls() {
    for (ballast_loader* const loader : loaders_) ballast_loader_free(loader);
    for (ballast_model* const model : models_) ballast_model_close(model);
    for (ballast_data* const data : datas_) ballast_data_close(data);
    ballast_options_free(options_);
    for (const auto& lent : lent_) require(lent->released == 1, "bytes are released exactly once");
  }

  void step() {
    switch (input_.byte() % 10) {
      case 0:
      case 1:
        return lend();
      case 2:
        return close();
      case 3:
        return look_at_data();
      case 4:
      case 5:
        return make_model();
      case 6:
        return explore();
      case 7:
        return load();
      case 8:
        return set_any();
      default:
        return call_plain_functions();
    }
  }

 private:
  const ballast_options* options() { return input_.byte() % 8 == 0 ? nullptr : options_; }

  template <class Handle>
  Handle* pick(const std::vector<Handle*>& handles) {
    return handles.empty() ? nullptr : handles[input_.below(handles.size())];
  }
  template <class Handle>
  Handle* remove(std::vector<Handle*>& handles) {
    if (handles.empty()) return nullptr;
    const auto at = handles.begin() + static_cast<std::ptrdiff_t>(input_.below(handles.size()));
    Handle* const handle = *at;
    handles.erase(at);
    return handle;
  }

  /// The made file, of a piece of the input that it has for itself.
  Bytes file() {
    FuzzInput own(input_.take(1 + input_.below(64)));
    return made_file(own);
  }

  void lend() {
    if (datas_.size() >= kMostHandles) return;
    auto lent = std::make_unique<Lent>(file());
    ballast_data* data = nullptr;
    ballast_error* error = nullptr;
    const int code = ballast_data_from_memory(lent->bytes.data(), lent->bytes.size(), release,
                                              lent.get(), &data, &error);
    require_documented(code, error);
    require((code == BALLAST_OK) == (data != nullptr), "output is written on success only");
    require((code == BALLAST_OK) == (lent->released == 0), "a call that fails releases the bytes");
    if (data != nullptr) datas_.push_back(data);
    lent_.push_back(std::move(lent));
  }

  void close() {
    switch (input_.byte() % 3) {
      case 0:
        return ballast_data_close(remove(datas_));
      case 1:
        return ballast_model_close(remove(models_));
      default:
        return ballast_loader_free(remove(loaders_));
    }
  }

  void look_at_data() {
    const ballast_data* const data = pick(datas_);
    if (data == nullptr) return;
    ballast_file seen{};
    ballast_data_file(data, &seen);
    require(seen.size == 0 || seen.bytes != nullptr, "there are the bytes that there should be");
    const auto offset = static_cast<std::size_t>(input_.any());
    const auto length = static_cast<std::size_t>(input_.any());
    require(ballast_data_intact(data, offset, length) == 1, "memory stays intact");
    require(ballast_data_unchanged(data) == 1, "memory does not change");
    static_cast<void>(ballast_data_advise(data, input_.byte() % 9, offset, length));
    require(ballast_data_release(data, offset, length, input_.byte() % 2) == BALLAST_UNSUPPORTED,
            "lent memory is not given back");
    char* siblings = nullptr;
    ballast_error* error = nullptr;
    constexpr std::array kNames{"model-00001-of-00003.gguf", "model.gguf", ""};
    const char* const name = input_.flag() ? kNames[input_.below(kNames.size())] : nullptr;
    const int code = ballast_data_siblings(data, name, options(), &siblings, &error);
    require_documented(code, error);
    require((code == BALLAST_OK) == (siblings != nullptr), "output is written on success only");
    for (const char* at = siblings; at != nullptr && *at != '\0'; at += std::strlen(at) + 1) {
      require(std::strchr(at, '/') == nullptr, "siblings lie beside the file");
    }
    ballast_siblings_free(siblings);
  }

  void make_model() {
    if (models_.size() >= kMostHandles) return;
    std::vector<ballast_data*> taken;
    for (std::size_t i = 1 + input_.below(3); i > 0 && !datas_.empty(); --i) {
      taken.push_back(remove(datas_));
    }
    ballast_model* model = nullptr;
    ballast_error* error = nullptr;
    const std::vector<const char*> names(taken.size(), "model.safetensors");
    const char* const* const named = input_.flag() ? names.data() : nullptr;
    const int code =
        ballast_model_from_data(taken.data(), named, taken.size(), options(), &model, &error);
    require_documented(code, error);
    require((code == BALLAST_OK) == (model != nullptr), "output is written on success only");
    require(std::ranges::count(taken, nullptr) == static_cast<std::ptrdiff_t>(taken.size()),
            "a model takes its data in any case");
    if (model != nullptr) models_.push_back(model);
  }

  void explore() {
    if (const ballast_model* const model = pick(models_)) explore_model(model, input_, options());
  }

  // ---- Loaders ----------------------------------------------------------------------------------

  void load() {
    if (loaders_.empty() || (input_.flag() && loaders_.size() < kMostHandles)) {
      ballast_loader* loader = nullptr;
      ballast_error* error = nullptr;
      const int code = ballast_loader_create(options_, &loader, &error);
      require_documented(code, error);
      require((code == BALLAST_OK) == (loader != nullptr), "output is written on success only");
      if (loader != nullptr) loaders_.push_back(loader);
      return;
    }
    ballast_loader* const loader = pick(loaders_);
    switch (input_.byte() % 6) {
      case 0:
        return ballast_loader_cancel(loader);
      case 1:
        return finish(loader);
      case 2:
        return prepare(loader);
      default:
        return push(loader);
    }
  }

  void push(ballast_loader* loader) {
    const Bytes bytes = file();
    ballast_error* error = nullptr;
    const int code = ballast_loader_push(loader, bytes.data(), bytes.size(), &error);
    require_documented(code, error);
    ballast_progress progress{};
    ballast_loader_progress(loader, &progress);
  }

  void prepare(ballast_loader* loader) {
    char untouched = 0;
    void* room = &untouched;
    std::size_t size = 12345;
    ballast_error* error = nullptr;
    const auto want = static_cast<std::size_t>(input_.any());
    const int code = ballast_loader_prepare(loader, want, &room, &size, &error);
    require_documented(code, error);
    if (code != BALLAST_OK) {
      require(room == &untouched && size == 12345, "output is written on success only");
      return;
    }
    require(size <= want, "there is no more room than was wanted");
    require(size > 0 || want == 0 || ballast_loader_has_directory(loader) == 1,
            "there is room where some is wanted");
    const auto bytes = input_.take(std::min<std::size_t>(size, input_.byte()));
    if (!bytes.empty()) std::memcpy(room, bytes.data(), bytes.size());
    const std::size_t count = input_.byte() % 16 == 0 ? input_.byte() : bytes.size();
    if (count <= size && count > bytes.size()) std::memset(room, 0, count);
    error = nullptr;
    const int committed = ballast_loader_commit(loader, count, &error);
    require_documented(committed, error);
    require(count <= size || committed == BALLAST_ERRC_misuse, "more than was prepared is misuse");
  }

  void finish(ballast_loader* loader) {
    ballast_data* data = nullptr;
    ballast_error* error = nullptr;
    const int code = ballast_loader_finish(loader, &data, &error);
    require_documented(code, error);
    require((code == BALLAST_OK) == (data != nullptr), "output is written on success only");
    if (data != nullptr) datas_.push_back(data);
    error = nullptr;
    require(ballast_loader_finish(loader, &data, &error) == BALLAST_ERRC_misuse,
            "a load ends once");
    require_documented(BALLAST_ERRC_misuse, error);
  }

  // ---- The rest ---------------------------------------------------------------------------------

  void set(int option, std::uint64_t value) {
    const int code = ballast_options_set(options_, option, value);
    require(code == BALLAST_OK || code == BALLAST_ERRC_misuse, "an option is set, or misused");
  }

  void set_any() {
    const int option = input_.byte() % 25;
    std::uint64_t value = input_.any();
    // Of memory there is only so much.
    const bool is_memory =
        option == BALLAST_OPTION_MAX_BYTES || option == BALLAST_OPTION_MAX_WINDOW;
    if (is_memory) value = std::min(value, kMostBytes);
    set(option, value);
    if (option == 24) static_cast<void>(ballast_options_set_path(options_, "name of a file"));
  }

  void call_plain_functions() {
    const std::span<const std::byte> text = input_.take(input_.below(32));
    std::vector<char> out(input_.below(64));
    const std::size_t size = ballast_printable(reinterpret_cast<const char*>(text.data()),
                                               text.size(), out.data(), out.size());
    require(size >= text.size(), "what is escaped is not shorter");
    if (!out.empty()) require(std::strlen(out.data()) <= size, "it is terminated");
    require(ballast_code_name(static_cast<int>(input_.number(4))) != nullptr, "codes have names");
    convert_blocks(input_);
  }

  FuzzInput& input_;
  ballast_options* options_;
  std::vector<std::unique_ptr<Lent>> lent_;
  std::vector<ballast_data*> datas_;
  std::vector<ballast_model*> models_;
  std::vector<ballast_loader*> loaders_;
};

}  // namespace
}  // namespace ballast::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ballast::test::FuzzInput input(data, size);
  ballast::test::Calls calls(input);
  constexpr int kMostSteps = 64;
  for (int i = 0; i < kMostSteps && !input.empty(); ++i) calls.step();
  return 0;
}
