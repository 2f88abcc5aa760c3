/* Ballast in C (C99 or newer): model weights in memory, mapped on a desktop and in one vector
 * elsewhere, with the same objects on top. The door for every other language, and all that
 * JavaScript calls.
 *
 * Getting started
 *
 *     ballast_error *error;
 *     ballast_model *model;
 *     ballast_tensor tensor;
 *
 *     if (ballast_model_open("model.gguf", NULL, &model, &error) != BALLAST_OK) {
 *       fprintf(stderr, "%s\n", error->what);  // model.gguf: what is wrong (code at byte N)
 *       ballast_error_free(error);
 *       return 1;
 *     }
 *     if (ballast_model_find(model, "token_embd.weight", 17, &tensor))
 *       upload(tensor.bytes, (size_t)tensor.nbytes);      // zero-copy: a view of the file
 *     ballast_model_close(model);
 *
 * Bytes that come piece by piece go through a loader, which puts each where it stays:
 *
 *     ballast_loader_create(NULL, &loader, &error);
 *     do {
 *       ballast_loader_prepare(loader, SIZE_MAX, &room, &size, &error);   // where, and how many
 *       got = fread(room, 1, size, file);
 *       ballast_loader_commit(loader, got, &error);
 *     } while (got > 0);
 *     ballast_loader_finish(loader, &data, &error);                       // a ballast_data
 *     ballast_model_from_data(&data, NULL, 1, NULL, &model, &error);      // which the model takes
 *
 * (Every one of these calls answers a code that has to be looked at.)
 *
 * Objects. Four handles own something, and each has a function that ends it and takes NULL, too:
 *
 *     ballast_options   what may be said about opening        ballast_options_free
 *     ballast_loader    a load under way                      ballast_loader_free
 *     ballast_data      the bytes of one file                 ballast_data_close
 *     ballast_model     one file or a set, and its directory  ballast_model_close
 *
 * Everything else is a plain structure of the caller's that a call fills in. What its pointers lead
 * to belongs to the handle that was asked, is never copied, and is valid until that handle is
 * closed. The exception is ballast_error, which is freed by ballast_error_free.
 *
 * Results. Functions that can fail answer BALLAST_OK, which is 0; or a ballast_errc, which is
 * positive; or, where the operating system refused, its errno with a minus in front. They put an
 * error with all that is known into *error, if `error` is not NULL; on success they leave *error
 * alone. Output is written on success only. Functions that look for something answer 1 if it is
 * there and 0, with their output untouched, if it is not. Nothing aborts, and nothing is printed.
 *
 * NULL where a handle, an input or a place for output is expected is never dereferenced: functions
 * that can fail then fail with misuse, those that look for something answer 0, and those without an
 * answer do nothing. Where NULL means something, the function says so.
 *
 * Strings that come from a file are not terminated: they have a size, may hold any byte, NUL and
 * escape sequences included, and are usually but not always UTF-8. ballast_printable makes them
 * safe to show. Strings of the library's own (names, messages) end with a NUL.
 *
 * Numbers. File offsets and sizes are uint64_t everywhere; sizes in memory are size_t. Where a
 * number may be missing it is BALLAST_UNKNOWN.
 *
 * Threads. A model, a data and an option set may be read from any number of threads at the same
 * time. Everything else takes one thread at a time. There are no global variables but those of
 * the handler that BALLAST_OPTION_FAULT_GUARD installs.
 *
 * No call is a cancellation point of pthread_cancel, nor are the callbacks that it makes: a request
 * stays pending, and takes effect at the next cancellation point after the call. A progress
 * callback ends a long call. Threads with asynchronous cancellation must not call the library.
 *
 * A process may be forked while other threads make calls; the child must not go on with a call of
 * the parent's, as it would by returning from a callback.
 *
 * Versions. BALLAST_VERSION_MAJOR, _MINOR and _PATCH are those of this header, ballast_version()
 * tells those of the library. While the major version is 0, a new minor version may change
 * structures and the numbers of codes; the names of codes are stable.
 */
#ifndef BALLAST_BALLAST_H
#define BALLAST_BALLAST_H

#include <stddef.h>
#include <stdint.h>

#include <ballast/error_table.h> /* plain preprocessor: every code with its sentence */
#include <ballast/config.hpp>    /* plain preprocessor: BALLAST_VERSION, BALLAST_API */

#ifdef __cplusplus
extern "C" {
#endif

/* The linter knows C++ only.
 * NOLINTBEGIN(modernize-use-using,performance-enum-size,readability-identifier-naming)
 */

/* ---- Version --------------------------------------------------------------------------------- */

/** The version of the library, "0.1.0"; its three numbers where the pointers are not NULL. */
BALLAST_API const char *ballast_version(int *major, int *minor, int *patch);

/** 1 where this library maps files into memory, 0 where it reads them to the heap. */
BALLAST_API int ballast_has_mmap(void);

/* ---- Codes and errors ------------------------------------------------------------------------ */

/** Success. */
#define BALLAST_OK 0

/** A size or a number that is not known. */
#define BALLAST_UNKNOWN UINT64_MAX

/** Every refusal and every warning: BALLAST_ERRC_truncated, BALLAST_ERRC_html_page and so on, by
 * the names of error_table.h. */
typedef enum ballast_errc {
  BALLAST_ERRC_ok = 0,
#define BALLAST_ERRC_ENUMERATOR(code, sentence) BALLAST_ERRC_##code,
  BALLAST_ERRC_TABLE(BALLAST_ERRC_ENUMERATOR)
#undef BALLAST_ERRC_ENUMERATOR
      BALLAST_ERRC_end /**< one more than the last */
} ballast_errc;

/** What an error is about. */
enum {
  BALLAST_SUBJECT_NONE = 0,
  BALLAST_SUBJECT_HEADER = 1,
  BALLAST_SUBJECT_TENSOR = 2,
  BALLAST_SUBJECT_KEY = 3,
  BALLAST_SUBJECT_FILE = 4,
  BALLAST_SUBJECT_DATA = 5 /**< what was given to a call, and is no file */
};

/** Which numbers of a ballast_error mean something: bits of `has`. */
enum {
  BALLAST_HAS_OFFSET = 1,
  BALLAST_HAS_EXPECTED = 2,
  BALLAST_HAS_ACTUAL = 4,
  BALLAST_HAS_INPUT_OFFSET = 8
};

/** A refusal. Strings end with a NUL, and all but `subject` and `path` are safe to print. */
typedef struct ballast_error {
  uint64_t offset;      /**< the byte of the file that is at fault, after decompression */
  uint64_t expected;    /**< how much there should have been */
  uint64_t actual;      /**< how much there was */
  const char *name;     /**< of the code, stable: "truncated", "no_such_file_or_directory" */
  const char *message;  /**< the sentence alone */
  const char *what;     /**< "PATH: MESSAGE (NAME at byte N)" */
  const char *path;     /**< of the file, as it was given; "" for bytes that came from memory */
  const char *subject;  /**< raw name of the tensor, key or file that is at fault, or "" */
  size_t subject_size;  /**< bytes of it, which may hold NUL */
  int32_t code;         /**< what the function answered */
  int32_t subject_kind; /**< BALLAST_SUBJECT_... */
  uint32_t has;         /**< BALLAST_HAS_... bits */
  uint32_t reserved;
  uint64_t input_offset; /**< of a compressed file: how far it had been decoded, in bytes of it */
} ballast_error;

/** Frees an error, and with it all its strings. */
BALLAST_API void ballast_error_free(ballast_error *error);

/** The stable name of a code that a function answered or a warning has: "truncated", "ok",
 * "no_such_file_or_directory"; "system_error" for an errno that has no name here. */
BALLAST_API const char *ballast_code_name(int code);

/* ---- Options --------------------------------------------------------------------------------- */

/** What may be said about opening and parsing. Wherever options are taken, NULL stands for the
 * defaults. One set serves any number of calls, which copy what they need. */
typedef struct ballast_options ballast_options;

/** Numbers that can be set. Each is used by the calls that it concerns and ignored by the others.
 */
typedef enum ballast_option {
  /** Where the bytes are to be: BALLAST_BACKEND_... (opening by path or descriptor). */
  BALLAST_OPTION_BACKEND = 0,
  /** First byte of a model inside a bigger file (opening by path or descriptor). */
  BALLAST_OPTION_OFFSET = 1,
  /** Bytes of the model inside a bigger file; by default, to its end. */
  BALLAST_OPTION_LENGTH = 2,
  /** Bytes that will come, where somebody knows it (loaders): of a compressed file, as it is. Not
   * the size of a transfer that is encoded on its way. */
  BALLAST_OPTION_TOTAL = 3,
  /** The most bytes that may be put on the heap, for all files of a model together, else too_large
   * before they are allocated; by default, what the process can get. Loaders know of one file each:
   * see BALLAST_OPTION_USED_BYTES. ballast_model_from_data checks the sum of what loaders and calls
   * that open have put there; it has no default. */
  BALLAST_OPTION_MAX_BYTES = 4,
  /** 1: accept trailing bytes in safetensors with a warning. */
  BALLAST_OPTION_LENIENT = 5,
  /** 0: a loader takes bytes that are no model, too (an index.json, say). By default 1. */
  BALLAST_OPTION_REQUIRE_MODEL = 6,
  /** 0: compressed input is taken as it is. By default 1: it is decoded. */
  BALLAST_OPTION_DECOMPRESS = 7,
  /** 1: no more is decoded (files), or taken (loaders), than it takes to read the directory:
   * tensors have no bytes then. By default 0. */
  BALLAST_OPTION_DIRECTORY_ONLY = 8,
  /** The most decoded bytes for a compressed one, else ratio_too_high: 1000 by default. */
  BALLAST_OPTION_MAX_RATIO = 9,
  /** The most bytes that a compressed stream may ask for beside the model, else window_too_large:
   * 128 MiB by default. */
  BALLAST_OPTION_MAX_WINDOW = 10,
  /** 1: a loader takes the index.json of a set, too; see ballast_data_siblings. By default 0. */
  BALLAST_OPTION_ACCEPT_INDEX = 11,
  /** 1: a mapped file that is truncated, or whose disk fails, reads as zeros where it would end the
   * process with SIGBUS, and ballast_data_damaged tells. By default 0. Installs a handler, which
   * stays, and the library with it, which dlclose does not unload any more: see
   * OpenOptions::fault_guard in model_data.hpp. */
  BALLAST_OPTION_FAULT_GUARD = 12,
  /** Bytes that count for BALLAST_OPTION_MAX_BYTES already (opening, loaders): the sizes of the
   * other files of the same model that were loaded before. By default 0. */
  BALLAST_OPTION_USED_BYTES = 13,
  /* Limits of the parsers; directory.hpp has the defaults and their reasons. */
  BALLAST_OPTION_MAX_TENSORS = 16,
  BALLAST_OPTION_MAX_ENTRIES = 17,
  BALLAST_OPTION_MAX_STRING = 18,
  BALLAST_OPTION_MAX_ALIGNMENT = 19,
  BALLAST_OPTION_MAX_ARRAY_DEPTH = 20,
  BALLAST_OPTION_MAX_HEADER = 21,
  BALLAST_OPTION_MAX_TRAILING = 22
} ballast_option;

/** Values of BALLAST_OPTION_BACKEND. */
enum {
  BALLAST_BACKEND_AUTO = 0, /**< mapped where that is possible, else on the heap */
  BALLAST_BACKEND_MAP = 1,  /**< mapped, or an error */
  BALLAST_BACKEND_HEAP = 2  /**< in one vector */
};

/** The defaults. NULL where there is no memory. */
BALLAST_API ballast_options *ballast_options_create(void);
BALLAST_API void ballast_options_free(ballast_options *options);

/** Sets a number. Fails (misuse) for an option that this version does not know, and for a value
 * that the option cannot have; nothing is changed then. */
BALLAST_API int ballast_options_set(ballast_options *options, int option, uint64_t value);

/** What errors call the input of a loader: a path, a URL. It is copied. Fails (out_of_memory). */
BALLAST_API int ballast_options_set_path(ballast_options *options, const char *path);

/** How far a load is. What nobody knows is BALLAST_UNKNOWN. */
typedef struct ballast_progress {
  uint64_t done;        /**< bytes in memory */
  uint64_t total;       /**< bytes in all */
  uint64_t input_done;  /**< of compressed input: bytes of it that are decoded; else 0 */
  uint64_t input_total; /**< how many there are; BALLAST_UNKNOWN where it is not compressed */
} ballast_progress;

/** Called every few MiB while a file is read, from the calling thread, and a last time when all
 * bytes are there. What it answers other than 0 ends the call with `cancelled`. NULL: nobody is
 * called. Mapping reads nothing, and does not call. */
BALLAST_API void ballast_options_set_progress(ballast_options *options,
                                              int (*progress)(void *user,
                                                              const ballast_progress *progress),
                                              void *user);

/* ---- The bytes of one file ------------------------------------------------------------------- */

/** The bytes of one file, mapped or on the heap, and nothing about what they mean. */
typedef struct ballast_data ballast_data;

/** The file at `path`, mapped if it can be, else read; see ModelData::open in model_data.hpp. */
BALLAST_API int ballast_data_open(const char *path, const ballast_options *options,
                                  ballast_data **data, ballast_error **error);

/** The same from a file that is already open. The descriptor stays the caller's. */
BALLAST_API int ballast_data_open_descriptor(int descriptor, const ballast_options *options,
                                             ballast_data **data, ballast_error **error);

/** Bytes that are in memory already: neither copied nor freed. They must stay where and as they are
 * until the data, or the model that has taken it, is closed; then `release(user)` is called, if it
 * is not NULL: also where this call fails, so that it is called exactly once. */
BALLAST_API int ballast_data_from_memory(const void *bytes, size_t size,
                                         void (*release)(void *user), void *user,
                                         ballast_data **data, ballast_error **error);

BALLAST_API void ballast_data_close(ballast_data *data);

/** The other files of the set that `data` is the first of: the shards that an index.json names, or
 * the second and further shards of a split GGUF whose own name is `name` (NULL: as its path says).
 * Each name ends with a NUL, and an empty one ends the list; a file that is a model by itself has
 * an empty list. They lie beside it, perhaps with the suffix of a compressed file, and
 * ballast_model_from_data wants them behind it, in this order. Fails for a broken index, and
 * (shard_name_mismatch) where `name` leads to no other names. */
BALLAST_API int ballast_data_siblings(const ballast_data *data, const char *name,
                                      const ballast_options *options, char **siblings,
                                      ballast_error **error);
BALLAST_API void ballast_siblings_free(char *siblings);

/** What is known of a file's bytes. */
typedef struct ballast_file {
  uint64_t file_size;   /**< bytes of the file, after decompression; more than `size` where it went
                             on after the model */
  uint64_t data_offset; /**< where the data of its tensors begin; 0 outside a model */
  const void *bytes;
  size_t size;
  const char *name; /**< without folders; not terminated */
  size_t name_size;
  const ballast_data *data; /**< for advice and release */
  const char *compression;  /**< "none", "gzip", "zlib", "bzip2", "xz", "zstd", "lz4" */
  uint64_t compressed_size; /**< bytes of the compressed file; 0 where it is not compressed */
  int32_t is_mmap;
  int32_t is_complete; /**< 0 where no more was read than the directory */
} ballast_file;

/** 1 where this library was built to decode that compression: "zstd". */
BALLAST_API int ballast_can_decode(const char *compression);

/** All zero where `data` is NULL. */
BALLAST_API void ballast_data_file(const ballast_data *data, ballast_file *file);

/** What the system is told about a range of pages; see Advice in model_data.hpp. */
typedef enum ballast_advice {
  BALLAST_ADVICE_SEQUENTIAL = 0,    /**< before a linear scan */
  BALLAST_ADVICE_RANDOM = 1,        /**< no read-ahead: slow where the data are cold */
  BALLAST_ADVICE_WILL_NEED = 2,     /**< begin to read it all */
  BALLAST_ADVICE_POPULATE_READ = 3, /**< read it now, and come back when that is done */
  BALLAST_ADVICE_COLD = 4,          /**< first to go under memory pressure */
  BALLAST_ADVICE_PAGE_OUT = 5,      /**< reclaim now */
  BALLAST_ADVICE_HUGE_PAGE = 6      /**< huge pages where the file system can */
} ballast_advice;

/** The answer to an advice that was not taken, because the bytes are on the heap or the system has
 * no such call. Not an error: nothing was done. */
#define BALLAST_UNSUPPORTED 1

/** Tells the system how a range will be used; it is widened to whole pages and cut where the data
 * end. Answers BALLAST_OK, BALLAST_UNSUPPORTED, or an errno with a minus in front. */
BALLAST_API int ballast_data_advise(const ballast_data *data, int advice, size_t offset,
                                    size_t length);

/** Gives the memory of a mapped range back: after the weights went to a GPU. With `drop_cache` the
 * system's copy of the file goes, too. Answers as ballast_data_advise does. */
BALLAST_API int ballast_data_release(const ballast_data *data, size_t offset, size_t length,
                                     int drop_cache);

/** 1 while the path still leads to the file that was opened, and that file is as it was. */
BALLAST_API int ballast_data_unchanged(const ballast_data *data);

/** 1 while a range can be touched; 0 where it lies beyond the end of a file that was truncated. */
BALLAST_API int ballast_data_intact(const ballast_data *data, size_t offset, size_t length);

/** 1 where bytes are not, or no more, those of the file that was mapped, because it was truncated
 * or could not be read: with BALLAST_OPTION_FAULT_GUARD they are zeros. 0 on the heap. */
BALLAST_API int ballast_data_damaged(const ballast_data *data);

/* ---- Bytes that come piece by piece ---------------------------------------------------------- */

/** A load under way; see loader.hpp. After a call that failed, after cancel and after finish it
 * holds nothing, and every call but ballast_loader_progress and _free fails with misuse. */
typedef struct ballast_loader ballast_loader;

BALLAST_API int ballast_loader_create(const ballast_options *options, ballast_loader **loader,
                                      ballast_error **error);
BALLAST_API void ballast_loader_free(ballast_loader *loader);

/** Where the next bytes go: up to `want` of them, and at least one if `want` is not 0, unless there
 * is the directory and no more was wanted. Compressed input goes there compressed. While the
 * directory is not there yet the room is small, whatever is wanted. Valid until the next call with
 * this loader. In WebAssembly the memory may have grown, and JavaScript's views of it with it. */
BALLAST_API int ballast_loader_prepare(ballast_loader *loader, size_t want, void **room,
                                       size_t *size, ballast_error **error);

/** The first `count` bytes of that room are filled. Fails as soon as the bytes cannot become a
 * model, and (misuse) for more bytes than there was room for. */
BALLAST_API int ballast_loader_commit(ballast_loader *loader, size_t count, ballast_error **error);

/** Both, for bytes that lie elsewhere: copies them. */
BALLAST_API int ballast_loader_push(ballast_loader *loader, const void *bytes, size_t size,
                                    ballast_error **error);

/** All bytes have come. Fails where some are missing. */
BALLAST_API int ballast_loader_finish(ballast_loader *loader, ballast_data **data,
                                      ballast_error **error);

/** How far the load is. */
BALLAST_API void ballast_loader_progress(const ballast_loader *loader, ballast_progress *progress);

/** 1 once the directory is there, where no more than that was wanted
 * (BALLAST_OPTION_DIRECTORY_ONLY): then there is no more room, and the load can be finished. */
BALLAST_API int ballast_loader_has_directory(const ballast_loader *loader);

/** Frees what was loaded so far. */
BALLAST_API void ballast_loader_cancel(ballast_loader *loader);

/* ---- Models ---------------------------------------------------------------------------------- */

/** A model of one file or of many. */
typedef struct ballast_model ballast_model;

/** Opens a GGUF or safetensors file, the first shard of a split GGUF, or the index.json of a
 * sharded safetensors model. */
BALLAST_API int ballast_model_open(const char *path, const ballast_options *options,
                                   ballast_model **model, ballast_error **error);

/** Opens exactly these files as one model, in this order. */
BALLAST_API int ballast_model_open_shards(const char *const *paths, size_t count,
                                          const ballast_options *options, ballast_model **model,
                                          ballast_error **error);

/** A model of files that are there already, in order: one, or the shards of a set, or the
 * index.json of a set and then its shards. `names` are what the files are called in errors and in
 * ballast_file; NULL, or a NULL in it: as their path says.
 * The model takes the data, whether the call succeeds or not: every data[i] is NULL afterwards. */
BALLAST_API int ballast_model_from_data(ballast_data **data, const char *const *names, size_t count,
                                        const ballast_options *options, ballast_model **model,
                                        ballast_error **error);

BALLAST_API void ballast_model_close(ballast_model *model);

/** What is known of a model as a whole. */
typedef struct ballast_summary {
  uint64_t version;         /**< of GGUF; BALLAST_UNKNOWN for safetensors, which has none */
  uint64_t alignment;       /**< of GGUF, in bytes; BALLAST_UNKNOWN for safetensors */
  uint64_t file_bytes;      /**< of all files together, after decompression */
  uint64_t parameter_count; /**< elements of all tensors together, saturating */
  const char *format;       /**< "gguf" or "safetensors" */
  size_t tensor_count;
  size_t entry_count;
  size_t warning_count;
  size_t shard_count;  /**< 1 for a single file */
  int32_t is_sharded;  /**< 1 for a set, even of one file: then tensors tell their shard */
  int32_t is_complete; /**< 0 where of some file no more was read than the directory: then tensors
                            have no bytes, and file_bytes are those that were read */
} ballast_summary;

/** All zero where `model` is NULL. */
BALLAST_API void ballast_model_summary(const ballast_model *model, ballast_summary *summary);

/** One tensor. `bytes` is a view of the file: whether it is aligned for a type is up to its
 * address. */
typedef struct ballast_tensor {
  uint64_t offset;       /**< of its first byte, counted from the start of its file */
  uint64_t nbytes;       /**< BALLAST_UNKNOWN where the dtype has no size that is known here */
  uint64_t elements;     /**< the product of its dimensions */
  const uint64_t *shape; /**< `rank` dimensions in the file's own order: GGUF has the contiguous one
                              first, safetensors last */
  size_t rank;           /**< 0 for a scalar, which has one element */
  const char *name;      /**< not terminated */
  size_t name_size;
  const char *dtype; /**< "F32", "Q4_K", as the file spells it; "unknown(43)"; not terminated */
  size_t dtype_size;
  const void *bytes; /**< `nbytes` of them; NULL where there are none, their number is unknown, or
                          they were not read */
  size_t shard;      /**< which file of the set it lies in */
  size_t index;      /**< its place among the tensors */
  uint32_t block_elements; /**< values that are stored together; 0 where nobody knows */
  uint32_t block_bytes;    /**< bytes of such a block; 0 where nobody knows */
} ballast_tensor;

/** Tensor `index`, in the files' own order. */
BALLAST_API int ballast_model_tensor(const ballast_model *model, size_t index,
                                     ballast_tensor *tensor);
/** The tensor of that name, in constant time. */
BALLAST_API int ballast_model_find(const ballast_model *model, const char *name, size_t size,
                                   ballast_tensor *tensor);

/** Shard `index`: its bytes, its name, where its data begin. */
BALLAST_API int ballast_model_shard(const ballast_model *model, size_t index, ballast_file *file);

/** Something odd that did not stop the load. */
typedef struct ballast_warning {
  uint64_t offset;     /**< byte in the file; BALLAST_UNKNOWN where none is at fault */
  const char *name;    /**< of the code: "trailing_bytes" */
  const char *message; /**< safe to print */
  int32_t code;        /**< a ballast_errc */
  uint32_t reserved;
} ballast_warning;

BALLAST_API int ballast_model_warning(const ballast_model *model, size_t index,
                                      ballast_warning *warning);

/** Reads every byte of every file once, and looks at what opening leaves alone (padding, the
 * strings inside arrays). The pages of a mapped model that are in memory, and what the system was
 * advised about them, stay as they are. Calls `found` for everything odd, on top of the warnings of
 * the model; what it is given is valid during the call. `options` brings progress and cancellation.
 */
BALLAST_API int ballast_model_verify(const ballast_model *model, const ballast_options *options,
                                     void (*found)(void *user, const ballast_warning *warning),
                                     void *user, ballast_error **error);

/* ---- Metadata -------------------------------------------------------------------------------- */

/** Types of values, numbered as in GGUF. safetensors metadata are all strings. */
typedef enum ballast_type {
  BALLAST_TYPE_U8 = 0,
  BALLAST_TYPE_I8 = 1,
  BALLAST_TYPE_U16 = 2,
  BALLAST_TYPE_I16 = 3,
  BALLAST_TYPE_U32 = 4,
  BALLAST_TYPE_I32 = 5,
  BALLAST_TYPE_F32 = 6,
  BALLAST_TYPE_BOOL = 7,
  BALLAST_TYPE_STRING = 8,
  BALLAST_TYPE_ARRAY = 9,
  BALLAST_TYPE_U64 = 10,
  BALLAST_TYPE_I64 = 11,
  BALLAST_TYPE_F64 = 12
} ballast_type;

/** A value: a view, as cheap to copy as it looks. Arrays are decoded when they are asked for. */
typedef struct ballast_value {
  uint64_t bits;        /**< a number or bool as the file has it, zero-extended; of an array, how
                             many elements it has; of a string, 0 */
  const void *data;     /**< of a string, its bytes, not terminated; of an array, its elements as
                             GGUF encodes them; else NULL */
  size_t size;          /**< bytes at `data` */
  int32_t type;         /**< a ballast_type */
  int32_t element_type; /**< of an array */
} ballast_value;

/** A key with its value. */
typedef struct ballast_entry {
  uint64_t offset; /**< of the entry in its file */
  const char *key; /**< not terminated */
  size_t key_size;
  ballast_value value;
} ballast_entry;

/** Entry `index`, in the file's own order; of a set, the first shard's, or the index's own. */
BALLAST_API int ballast_model_entry(const ballast_model *model, size_t index, ballast_entry *entry);
/** The value of a key, in constant time. */
BALLAST_API int ballast_model_value(const ballast_model *model, const char *key, size_t size,
                                    ballast_value *value);

/** The value as a number, 0 where that would lose something: integers from every integer type whose
 * value fits, double from f32 and f64. */
BALLAST_API int ballast_value_u64(const ballast_value *value, uint64_t *number);
BALLAST_API int ballast_value_i64(const ballast_value *value, int64_t *number);
BALLAST_API int ballast_value_double(const ballast_value *value, double *number);

/** Element `index` of an array. In constant time for numbers and bools; in the time that it takes
 * to pass all before it for strings and arrays, which ballast_value_next steps through. */
BALLAST_API int ballast_value_at(const ballast_value *array, uint64_t index,
                                 ballast_value *element);

/** Takes the first element off an array, in constant time for all but nested arrays. The array
 * itself lives in the file and is not changed: `rest` is the caller's copy of its value.
 *
 *     ballast_value rest = entry.value;
 *     while (ballast_value_next(&rest, &token)) use(token.data, token.size);
 */
BALLAST_API int ballast_value_next(ballast_value *rest, ballast_value *element);

/* ---- Values ---------------------------------------------------------------------------------- */

#if BALLAST_HAS_VALUES /* the build option BALLAST_VALUES */

/** What values are wanted as. */
enum {
  BALLAST_AS_F32 = 0, /**< float */
  BALLAST_AS_F16 = 1, /**< uint16_t: the bits of the nearest IEEE binary16 */
  BALLAST_AS_BF16 = 2 /**< uint16_t: the bits of the nearest bfloat16 */
};

/** Decodes blocks of the dtype of that name ("Q4_K", "F8_E4M3") that lie back to back: `size`
 * bytes, which must be those of `count` values, of which C64 has two for each element. What comes
 * out is what the format defines, bit for bit; see values.hpp. Fails with unknown_dtype,
 * wrong_length, and, for integers of 32 and 64 bits, wrong_type. */
BALLAST_API int ballast_to_float(const char *dtype, size_t dtype_size, const void *blocks,
                                 size_t size, int as, void *out, size_t count,
                                 ballast_error **error);

/** How many rows tensor `index` has, and how many elements each of them: a row is a run along the
 * dimension whose elements lie side by side. Answers 0 where there is no such tensor. Either place
 * for output may be NULL. */
BALLAST_API int ballast_model_rows(const ballast_model *model, size_t index, uint64_t *rows,
                                   uint64_t *row_elements);

/** The values of tensor `index` in the rows from `begin` up to but not `end` (BALLAST_UNKNOWN: to
 * the last one), row after row. `out` has room for exactly `count` of them. Fails with
 * rows_outside, wrong_length, unknown_dtype, wrong_type and not_loaded. */
BALLAST_API int ballast_model_values(const ballast_model *model, size_t index, uint64_t begin,
                                     uint64_t end, int as, void *out, size_t count,
                                     ballast_error **error);

/** Bins of a histogram: half of them below zero, half from zero on. */
#define BALLAST_HISTOGRAM_BINS 1024

/** What many numbers are like. NaN and infinities are counted, and take no part in the rest. */
typedef struct ballast_statistics {
  uint64_t count; /**< of all numbers */
  uint64_t nan;
  uint64_t positive_infinity;
  uint64_t negative_infinity;
  uint64_t zero; /**< of both signs */
  double min;    /**< of the finite ones, and so on; 0 where there are none */
  double max;
  double mean;
  double standard_deviation; /**< of the whole population */
  double bin_width;          /**< a power of two; 0 where there are none but zeros */
  /** Bin BINS / 2 + i has the numbers from i * bin_width up to but not (i + 1) * bin_width, bin
   * BINS / 2 - 1 - i the negative ones of the same magnitudes. */
  uint64_t histogram[BALLAST_HISTOGRAM_BINS];
} ballast_statistics;

/** Statistics of the values in some rows, in one pass; of every dtype that has values. `options`
 * brings progress, in bytes of the tensor, and cancellation. */
BALLAST_API int ballast_model_statistics(const ballast_model *model, size_t index, uint64_t begin,
                                         uint64_t end, const ballast_options *options,
                                         ballast_statistics *statistics, ballast_error **error);

#endif

/* ---- Text ------------------------------------------------------------------------------------ */

/** Puts `text` into `out` with everything escaped that must not reach a terminal, terminated, and
 * cut after `capacity` - 1 bytes; nothing where `out` is NULL. Answers how many bytes there would
 * have been, as snprintf does, or 0 where there is no memory. */
BALLAST_API size_t ballast_printable(const char *text, size_t size, char *out, size_t capacity);

/* NOLINTEND(modernize-use-using,performance-enum-size,readability-identifier-naming) */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BALLAST_BALLAST_H */
