// Every code that an error of this package can have.

/** What the C++ library refuses, by the names of src/ballast/error_table.h. */
export const NATIVE_CODES = [
  'cancelled', 'out_of_memory', 'too_large', 'vector_limit', 'not_mappable', 'range_outside_file',
  'file_changed', 'incomplete_input', 'empty_file', 'unknown_format', 'html_page', 'json_document',
  'git_lfs_pointer', 'zip_archive', 'pickle', 'legacy_ggml', 'codec_missing', 'still_compressed',
  'not_mappable_compressed', 'truncated_stream', 'damaged_stream', 'bad_checksum', 'unsupported_stream',
  'garbage_after_stream', 'compressed_twice', 'ratio_too_high', 'window_too_large', 'truncated',
  'outside_file', 'partial_padding', 'size_overflow', 'partial_block', 'overlap', 'hole', 'trailing_bytes',
  'glued_files', 'duplicate_tensor', 'duplicate_key', 'too_many_tensors', 'too_many_entries',
  'string_too_long', 'count_too_large', 'too_many_dimensions', 'unknown_dtype', 'unknown_end',
  'unsupported_version', 'big_endian', 'bad_value_type', 'array_too_deep', 'empty_key', 'bad_alignment',
  'name_too_long', 'misaligned_offset', 'header_too_large', 'bad_json', 'json_too_deep', 'bad_utf8',
  'bad_field', 'missing_field', 'duplicate_field', 'size_mismatch', 'empty_index',
  'bad_shard_name', 'shard_name_mismatch', 'missing_shard', 'duplicate_shard', 'incomplete_set', 'not_first_shard', 'wrong_shard',
  'wrong_tensor_total', 'mixed_formats', 'tensor_not_in_shard', 'no_such_tensor', 'wrong_type',
  'not_loaded', 'rows_outside', 'wrong_length', 'misuse', 'unexpected', 'out_of_order', 'odd_alignment', 'nested_array', 'long_name',
  'empty_name', 'long_key', 'many_dimensions', 'not_utf8', 'nul_in_name', 'bad_bool', 'nonzero_padding',
  'not_in_index',
] as const;

/** What only this package refuses. */
export const PACKAGE_CODES = [
  'closed', // a model or a tensor is used after close()
  'unsupported_source', // this is nothing that can be opened here
  'http_status', // the server answered with an error
  'network', // the connection failed, or broke off
  'bad_range', // the server answered a Range request with something else
  'cannot_read_again', // a stream has no second beginning
  'no_such_file_or_directory',
  'permission_denied',
  'is_a_directory',
  'system_error', // another error of the operating system
  'no_module', // the WebAssembly module could not be loaded
  'no_wasm64', // this engine has no 64-bit memory
] as const;

export type ErrorCode = (typeof NATIVE_CODES)[number] | (typeof PACKAGE_CODES)[number];
