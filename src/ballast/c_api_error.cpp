// ballast.h: versions, codes, and how an exception becomes one.

#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>

#include <ballast/ballast.h>
#include <ballast/error.hpp>

#include "ballast/c_api.hpp"

static_assert(BALLAST_ERRC_end == ballast::kErrcCount + 1);

namespace ballast::c {
namespace {

int code_of(const std::error_code& code) noexcept {
  return code.category() == ballast::category() ? code.value() : -code.value();
}

// What is given out: the plain structure, and behind it what its strings belong to.
struct KeptError : ballast_error {
  Error kept;

  explicit KeptError(const Error& error) noexcept : ballast_error{}, kept(error) {
    offset = kept.offset().value_or(0);
    expected = kept.expected().value_or(0);
    actual = kept.actual().value_or(0);
    name = kept.name().data();  // a literal, which is terminated
    message = kept.message().c_str();
    what = kept.what();
    path = kept.path().c_str();
    subject = kept.subject().c_str();
    subject_size = kept.subject().size();
    code = code_of(kept.code());
    subject_kind = static_cast<std::int32_t>(kept.subject_kind());
    if (kept.offset()) has |= BALLAST_HAS_OFFSET;
    if (kept.expected()) has |= BALLAST_HAS_EXPECTED;
    if (kept.actual()) has |= BALLAST_HAS_ACTUAL;
    if (kept.input_offset()) has |= BALLAST_HAS_INPUT_OFFSET;
    input_offset = kept.input_offset().value_or(0);
  }
};

// Where there is no memory, there is none for an error either.
constexpr ballast_error kNoMemory{.offset = 0,
                                  .expected = 0,
                                  .actual = 0,
                                  .name = "out_of_memory",
                                  .message = "memory ran out: use a smaller model, or shards",
                                  .what =
                                      "memory ran out: use a smaller model, or shards "
                                      "(out_of_memory)",
                                  .path = "",
                                  .subject = "",
                                  .subject_size = 0,
                                  .code = BALLAST_ERRC_out_of_memory,
                                  .subject_kind = BALLAST_SUBJECT_NONE,
                                  .has = 0,
                                  .reserved = 0,
                                  .input_offset = 0};

int no_memory(ballast_error** error) noexcept {
  if (error != nullptr) *error = const_cast<ballast_error*>(&kNoMemory);
  return BALLAST_ERRC_out_of_memory;
}

int report(const Error& failure, ballast_error** error) {
  if (error != nullptr) *error = std::make_unique<KeptError>(failure).release();
  return code_of(failure.code());
}

}  // namespace

int failure(ballast_error** error) noexcept {
  try {
    try {
      throw;
    } catch (const Error& known) {
      return report(known, error);
    } catch (const std::bad_alloc&) {
      return no_memory(error);
    } catch (const std::length_error&) {  // more than any vector or string could hold
      return no_memory(error);
    } catch (const std::exception& other) {
      return report(Error(Problem{.code = Errc::unexpected, .word = other.what()}), error);
    } catch (...) {
      return report(Error(Problem{.code = Errc::unexpected, .word = "an exception"}), error);
    }
  } catch (...) {
    return no_memory(error);
  }
}

}  // namespace ballast::c

// ---- Version and codes --------------------------------------------------------------------------

const char* ballast_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = BALLAST_VERSION_MAJOR;
  if (minor != nullptr) *minor = BALLAST_VERSION_MINOR;
  if (patch != nullptr) *patch = BALLAST_VERSION_PATCH;
  return BALLAST_VERSION;
}

int ballast_has_mmap(void) { return BALLAST_HAS_MMAP; }

void ballast_error_free(ballast_error* error) {
  if (error != &ballast::c::kNoMemory) delete static_cast<ballast::c::KeptError*>(error);
}

const char* ballast_code_name(int code) {
  if (code > ballast::kErrcCount) return "unknown_code";
  if (code >= 0) return ballast::name(static_cast<ballast::Errc>(code)).data();
  const int native = code == std::numeric_limits<int>::min() ? 0 : -code;
  return ballast::name(std::error_code(native, std::system_category())).data();
}
