// Every refusal and every warning there is, in one table: the code, its name, and the sentence that
// a person reads. C and C++ read it: error.hpp makes ballast::Errc of it, ballast.h the constants
// of the C API.
#pragma once

// X(code, sentence). In a sentence {s} is the subject (a tensor, a key, a file), {e} the number
// that was expected, {a} the number that was found, {d} the difference of the two, and {f} a fixed
// word given where the problem is found. Names are stable: they are printed, compared by scripts,
// and reach JavaScript as `error.code`.
#define BALLAST_ERRC_TABLE(X)                                                                      \
  /* the bytes */                                                                                  \
  X(cancelled, "cancelled by the caller")                                                          \
  X(out_of_memory,                                                                                 \
    "{e} bytes of memory could not be allocated: use mmap, a smaller model, or shards")            \
  X(too_large,                                                                                     \
    "{e} bytes are needed, and at most {a} may be used: raise max_bytes, or use shards")           \
  X(vector_limit,                                                                                  \
    "{e} bytes are needed in one vector, which holds at most {a} here: use shards, or a 64-bit "   \
    "build (wasm64)")                                                                              \
  X(not_mappable, "not a regular file with a size, and only those can be mapped: read it instead") \
  X(range_outside_file, "the range asked for ends at byte {e}, but the file has {a} bytes")        \
  X(file_changed, "the file changed while it was read: {e} bytes were expected, {a} came")         \
  X(incomplete_input, "the input ended after {a} bytes of {e}: {d} bytes short")                   \
  /* what the content is, when it is no model */                                                   \
  X(empty_file, "the file is empty: a download that never began, or a full disk")                  \
  X(unknown_format,                                                                                \
    "neither GGUF nor safetensors: its first bytes are those of no format known here")             \
  X(html_page,                                                                                     \
    "a web page, not a model: the server answered with HTML or XML (a login, an error); download " \
    "the file "                                                                                    \
    "itself")                                                                                      \
  X(json_document,                                                                                 \
    "a JSON document without a \"weight_map\", so not the index of a model: open the "             \
    ".safetensors file")                                                                           \
  X(git_lfs_pointer,                                                                               \
    "a Git LFS pointer, not the model it stands for ({e} bytes): run `git lfs pull`")              \
  X(zip_archive,                                                                                   \
    "a zip archive, as PyTorch's .pt and .bin files are, not a model: convert it to safetensors "  \
    "or GGUF")                                                                                     \
  X(pickle,                                                                                        \
    "a Python pickle, not a model (and loading one runs code): convert it to safetensors or GGUF") \
  X(legacy_ggml, "a GGML file from before GGUF: convert it with llama.cpp")                        \
  /* compressed input */                                                                           \
  X(codec_missing,                                                                                 \
    "compressed with {f}, and this library was built without {f}: decompress it first")            \
  X(still_compressed,                                                                              \
    "compressed with {f}, which opening a file decodes and adopting its bytes does not")           \
  X(not_mappable_compressed, "compressed with {f}, so it cannot be mapped: read it instead")       \
  X(truncated_stream, "the {f} data end in the middle, after {a} bytes: an incomplete download?")  \
  X(damaged_stream, "the compressed data are damaged: {f}")                                        \
  X(bad_checksum, "the compressed data are damaged: what comes out does not match {f}")            \
  X(unsupported_stream, "compressed in a way that cannot be decoded: {f}")                         \
  X(garbage_after_stream,                                                                          \
    "after the end of the {f} data comes something else: are several files glued together?")       \
  X(compressed_twice, "compressed twice, {f} at last: decompress it once")                         \
  X(ratio_too_high,                                                                                \
    "{e} bytes would come out of {a} compressed ones: a decompression bomb? If not, raise "        \
    "max_ratio")                                                                                   \
  X(window_too_large,                                                                              \
    "decoding {f} takes {e} bytes beside the model, and at most {a} may be used: raise "           \
    "max_window")                                                                                  \
  /* the directory, in both formats */                                                             \
  X(truncated,                                                                                     \
    "the file ends inside {s}: {e} bytes are needed and {a} are there, {d} bytes short")           \
  X(outside_file,                                                                                  \
    "{s} ends at byte {e}, but the file has {a} bytes: {d} bytes short, an incomplete download?")  \
  X(partial_padding,                                                                               \
    "the file ends inside the padding behind {s}: {e} bytes are needed and {a} are there, {d} "    \
    "bytes "                                                                                       \
    "short")                                                                                       \
  X(size_overflow, "the size of {s} does not fit in 64 bits")                                      \
  X(partial_block,                                                                                 \
    "{s} has {a} elements in a row, not a multiple of the {e} that its dtype packs together")      \
  X(overlap, "{s} begins at byte {a}, inside a tensor that ends at byte {e}")                      \
  X(hole,                                                                                          \
    "{s} begins at byte {a}, but the data before it ends at byte {e}: {d} bytes belong to no "     \
    "tensor")                                                                                      \
  X(trailing_bytes, "{d} bytes follow the last tensor, which ends at byte {e}")                    \
  X(glued_files,                                                                                   \
    "another model begins at byte {e}: these are several files glued together; split them there")  \
  X(duplicate_tensor, "{s} is listed twice")                                                       \
  X(duplicate_key, "{s} is there twice")                                                           \
  X(too_many_tensors, "{a} tensors, and at most {e} are accepted (max_tensors)")                   \
  X(too_many_entries, "{a} metadata entries, and at most {e} are accepted (max_entries)")          \
  X(string_too_long, "a string of {a} bytes in {s}, and at most {e} are accepted (max_string)")    \
  X(count_too_large, "{s} claims {a} {f}, but the bytes that are left hold at most {e}")           \
  X(too_many_dimensions, "{s} has {a} dimensions, and at most {e} are accepted")                   \
  X(unknown_dtype,                                                                                 \
    "{s} has a dtype that is not known here ({f}): it is listed, but has no values")               \
  X(unknown_end, "{s} is last and of unknown size, so the size of the file must be given")         \
  /* GGUF */                                                                                       \
  X(unsupported_version, "GGUF version {a}: versions 2 to {e} can be read")                        \
  X(big_endian, "a big-endian GGUF: convert it to little-endian (gguf_convert_endian.py)")         \
  X(bad_value_type, "{s} has value type {a}, and the types are 0 to {e}")                          \
  X(array_too_deep, "{s} nests arrays more than {e} deep")                                         \
  X(empty_key, "metadata entry {a} has an empty key")                                              \
  X(bad_alignment,                                                                                 \
    "general.alignment must be a u32 that is a power of two and at most {e}; it is {f} {a}")       \
  X(name_too_long, "{s} has a name of {a} bytes, and GGUF allows {e}")                             \
  X(misaligned_offset, "{s} has offset {a}, not a multiple of the alignment {e}")                  \
  /* safetensors, and the index of its shards */                                                   \
  X(header_too_large, "a header of {a} bytes, and at most {e} are accepted (max_header)")          \
  X(bad_json, "the JSON is malformed: {f}")                                                        \
  X(json_too_deep, "the JSON nests more than {e} deep")                                            \
  X(bad_utf8, "the JSON is not UTF-8")                                                             \
  X(bad_field, "{s} has a bad {f}")                                                                \
  X(missing_field, "{s} has no {f}")                                                               \
  X(duplicate_field, "{s} has two fields {f}")                                                     \
  X(size_mismatch, "{s} has {a} bytes of data, but its dtype and shape make {e}")                  \
  /* sets of shards */                                                                             \
  X(empty_index,                                                                                   \
    "the index names no tensor: its \"weight_map\" is empty, so there is no file to open")         \
  X(bad_shard_name, "{s} is not a plain file name: shards lie beside their index")                 \
  X(shard_name_mismatch,                                                                           \
    "the first of {e} shards, but its name does not end in -00001-of-NNNNN.gguf, so the others "   \
    "cannot be found: list all of them")                                                           \
  X(missing_shard, "{s} is missing: it must lie beside the file that was opened")                  \
  X(duplicate_shard, "{s} is given twice: list every file of the set once")                        \
  X(incomplete_set,                                                                                \
    "{a} shards of a model of {e}: open the first one by its path, or list all of them")           \
  X(not_first_shard, "shard {a} of {e}: open the first one (-00001-of-), or list all of them")     \
  X(wrong_shard, "this shard does not belong here: its {f} is {a}, and {e} was expected")          \
  X(wrong_tensor_total,                                                                            \
    "the shards hold {a} tensors, and {e} were expected (split.tensors.count): are they all of "   \
    "one model?")                                                                                  \
  X(mixed_formats, "GGUF and safetensors files cannot be shards of one model")                     \
  X(tensor_not_in_shard, "{s} is not in the shard that the index names ({f})")                     \
  /* asking for what is not there */                                                               \
  X(no_such_tensor, "there is no {s}")                                                             \
  X(wrong_type, "{s} is not of the type asked for ({f})")                                          \
  X(not_loaded, "{s} was not read: only the directory of the file was asked for")                  \
  X(rows_outside, "{s} has {e} rows, and row {a} was asked for")                                   \
  X(wrong_length, "{s}: {a} {f} were given, and {e} are needed")                                   \
  X(misuse, "the library is used wrongly: {f}")                                                    \
  X(unexpected, "what should not happen has happened: {f}")                                        \
  /* only ever warnings */                                                                         \
  X(out_of_order,                                                                                  \
    "{s} comes before its predecessor in the file: tensors are not in the order of their data")    \
  X(odd_alignment, "the alignment is {a}, and the specification asks for a multiple of {e}")       \
  X(nested_array, "{s} holds arrays of arrays, which most readers refuse")                         \
  X(long_name, "{s} has a name of {a} bytes, and most readers allow {e}")                          \
  X(empty_name, "{s} has an empty name")                                                           \
  X(long_key, "a key of {a} bytes, and the specification allows {e}")                              \
  X(many_dimensions, "{s} has {a} dimensions, and most readers allow {e}")                         \
  X(not_utf8, "{s} is not UTF-8")                                                                  \
  X(nul_in_name, "the name of {s} contains a NUL byte, where most readers stop")                   \
  X(bad_bool, "{s} is a bool of value {a}, which is neither 0 nor 1")                              \
  X(nonzero_padding, "padding beside {s} is not zero")                                             \
  X(not_in_index, "{s} is in a shard, but the index does not place it there")
