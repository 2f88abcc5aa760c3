// Ballast: model weights in memory, mapped on a desktop and in one vector elsewhere, with the same
// objects on top. A tour, in the order in which one meets the parts:
//
//   model.hpp        Model model = Model::open("model.gguf");          a file, or a set of shards
//   metadata.hpp     model.metadata().get<std::uint32_t>("llama.block_count");      typed, lazy
//   tensor.hpp       const Tensor& tensor = model.at("token_embd.weight");  name, shape, offset
//   dtype.hpp        info(tensor.dtype).block_bytes;                        every element type
//                    std::span<const std::byte> weights = model.bytes(tensor);      zero-copy
//   values.hpp       read_floats(model, tensor, {0, 1}, out);          its numbers, of every dtype
//   statistics.hpp   statistics(model, tensor).mean;                   what they are like
//   model_data.hpp   model.shards()[tensor.shard].data.release_cpu_pages();         one file
//   loader.hpp       Loader loader; loader.push(bytes);                bytes that come in pieces
//   error.hpp        catch (const Error& error) { error.what(); }      every code, in one table
//   text.hpp         printable(tensor.name);                           strings made safe to show
//
// For those who bring their own bytes: parse_whole (format.hpp) gives the Directory
// (directory.hpp) of any span.
#pragma once

#include <ballast/config.hpp>       // IWYU pragma: export
#include <ballast/directory.hpp>    // IWYU pragma: export
#include <ballast/dtype.hpp>        // IWYU pragma: export
#include <ballast/error.hpp>        // IWYU pragma: export
#include <ballast/format.hpp>       // IWYU pragma: export
#include <ballast/gguf.hpp>         // IWYU pragma: export
#include <ballast/loader.hpp>       // IWYU pragma: export
#include <ballast/metadata.hpp>     // IWYU pragma: export
#include <ballast/model.hpp>        // IWYU pragma: export
#include <ballast/model_data.hpp>   // IWYU pragma: export
#include <ballast/safetensors.hpp>  // IWYU pragma: export
#include <ballast/tensor.hpp>       // IWYU pragma: export
#include <ballast/text.hpp>         // IWYU pragma: export
#if BALLAST_HAS_VALUES              // a choice of the build
#include <ballast/statistics.hpp>   // IWYU pragma: export
#include <ballast/values.hpp>       // IWYU pragma: export
#endif
