// A module with a fault guard of its own, as a plug-in has that is linked with a static Ballast:
// fault_guard_copies_test.cpp loads it, several times, and unloads it.
#include <memory>
#include <system_error>

#include "platform/fault_guard.hpp"
#include "platform/file.hpp"
#include "platform/mapped_file.hpp"
#include "tests/unit/guard_module.hpp"

namespace ballast::platform {
namespace {

class GuardedFile final : public test::Guarded {
 public:
  explicit GuardedFile(const char* path)
      : file_(File::open(path)),
        mapping_(Mapping::map(file_, 0, static_cast<std::size_t>(file_.status().identity.size))),
        guard_(FaultGuard::over(mapping_.bytes(), file_, 0)) {}

  [[nodiscard]] const std::byte* begin() const override { return mapping_.bytes().data(); }
  [[nodiscard]] bool has_faulted() const override { return guard_.has_faulted(); }

 private:
  File file_;
  Mapping mapping_;
  FaultGuard guard_;
};

}  // namespace
}  // namespace ballast::platform

[[gnu::visibility("default")]] ballast::test::Guarded* ballast_test_guard(const char* path) {
  try {
    return std::make_unique<ballast::platform::GuardedFile>(path).release();
  } catch (const std::system_error&) {
    return nullptr;
  }
}
