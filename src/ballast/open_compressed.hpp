// (private) Loads of compressed files: pulled through a decoder to where the bytes stay.
#pragma once

#include <cstddef>
#include <span>

#include <ballast/compression.hpp>

#include "ballast/model_data_storage.hpp"
#include "ballast/open_job.hpp"

namespace ballast {

/// The range of a file that holds compressed bytes. Throws Error.
[[nodiscard]] DataAccess::Storage load_compressed(const Job& job, const FileRange& range,
                                                  Compression codec);

/// The same for bytes that come once: `begun` are those that have come already.
[[nodiscard]] DataAccess::Storage load_compressed(const Job& job, Incoming& incoming,
                                                  std::span<const std::byte> begun,
                                                  Compression codec);

}  // namespace ballast
