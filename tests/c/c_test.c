/* ballast.h as a C program uses it: compiled as C11 with every warning an error, linked, and run on
 * the model that is named. Each fact that does not hold is told, and makes the exit status 1. */
#include <ballast/ballast.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static void check(int holds, const char *fact) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", fact);
  ++failures;
}

/* Says what went wrong, and ends: there is nothing to go on with. */
static void must(int code, ballast_error *error) {
  if (code == BALLAST_OK) return;
  fprintf(stderr, "%s: %s\n", ballast_code_name(code), error->what);
  ballast_error_free(error);
  exit(1);
}

static ballast_model *load_by_pieces(const char *path) {
  ballast_error *error = NULL;
  ballast_loader *loader = NULL;
  ballast_data *data = NULL;
  ballast_model *model = NULL;
  FILE *file = fopen(path, "rb");
  size_t got = 0;
  if (file == NULL) exit(1);
  must(ballast_loader_create(NULL, &loader, &error), error);
  do {
    void *room = NULL;
    size_t size = 0;
    must(ballast_loader_prepare(loader, 1000, &room, &size, &error), error);
    got = fread(room, 1, size, file);
    must(ballast_loader_commit(loader, got, &error), error);
  } while (got > 0);
  must(ballast_loader_finish(loader, &data, &error), error);
  must(ballast_model_from_data(&data, &path, 1, NULL, &model, &error), error);
  ballast_loader_free(loader);
  fclose(file);
  return model;
}

static void compare(const ballast_model *one, const ballast_model *other) {
  ballast_summary a;
  ballast_summary b;
  size_t i = 0;
  ballast_model_summary(one, &a);
  ballast_model_summary(other, &b);
  check(a.tensor_count > 0, "the model has tensors");
  check(a.tensor_count == b.tensor_count, "both ways in find as many tensors");
  check(a.entry_count == b.entry_count, "both ways in find as many entries");
  for (i = 0; i < a.tensor_count; ++i) {
    ballast_tensor x;
    ballast_tensor y;
    check(ballast_model_tensor(one, i, &x) && ballast_model_tensor(other, i, &y), "it is there");
    check(x.nbytes == y.nbytes && memcmp(x.bytes, y.bytes, (size_t)x.nbytes) == 0,
          "both ways in give the same bytes");
    check(ballast_model_find(other, x.name, x.name_size, &y) && y.index == i, "names are found");
    printf("%.*s %.*s %" PRIu64 "\n", (int)x.name_size, x.name, (int)x.dtype_size, x.dtype,
           x.nbytes);
  }
}

#if BALLAST_HAS_VALUES
/* The values of the first tensor, and what they are like. */
static void look_at_values(const ballast_model *model) {
  static ballast_statistics all; /* of 8 KiB */
  ballast_error *error = NULL;
  uint64_t rows = 0;
  uint64_t row_elements = 0;
  uint64_t counted = 0;
  size_t bin = 0;
  float *values = NULL;
  check(ballast_model_rows(model, 0, &rows, &row_elements) == 1 && rows > 0, "there are rows");
  must(ballast_model_statistics(model, 0, 0, BALLAST_UNKNOWN, NULL, &all, &error), error);
  check(all.count == rows * row_elements, "every value is counted");
  for (bin = 0; bin < BALLAST_HISTOGRAM_BINS; ++bin) counted += all.histogram[bin];
  check(counted == all.count - all.nan - all.positive_infinity - all.negative_infinity,
        "every finite value is in a bin");
  values = (float *)malloc((size_t)row_elements * sizeof *values);
  if (values == NULL) exit(1);
  must(ballast_model_values(model, 0, 0, 1, BALLAST_AS_F32, values, (size_t)row_elements, &error),
       error);
  check(values[0] >= all.min && values[0] <= all.max, "a value lies between the extremes");
  free(values);
  check(ballast_model_values(model, 0, rows, rows + 1, BALLAST_AS_F32, NULL, 0, &error) ==
            BALLAST_ERRC_rows_outside,
        "rows that are not there are refused");
  ballast_error_free(error);
}

static void decode_blocks(void) {
  /* Q4_0: a scale of 2.0, and quants of 8 (which is zero) but for the first one, 15. */
  unsigned char block[18] = {0x00, 0x40, 0x8f};
  float values[32];
  ballast_error *error = NULL;
  memset(block + 3, 0x88, sizeof block - 3);
  must(ballast_to_float("Q4_0", 4, block, sizeof block, BALLAST_AS_F32, values, 32, &error), error);
  check(values[0] == 14.0F && values[1] == 0.0F && values[31] == 0.0F, "blocks are decoded");
  check(ballast_to_float("Q4_0", 4, block, sizeof block, BALLAST_AS_F32, values, 31, NULL) ==
            BALLAST_ERRC_wrong_length,
        "another number of values is refused");
}
#endif

int main(int argc, char **argv) {
  ballast_error *error = NULL;
  ballast_model *opened = NULL;
  ballast_model *pushed = NULL;
  ballast_summary summary;
  ballast_entry entry;
  ballast_value value;
  if (argc != 2) return 2;

  check(strcmp(ballast_version(NULL, NULL, NULL), BALLAST_VERSION) == 0,
        "header and library agree");
  must(ballast_model_open(argv[1], NULL, &opened, &error), error);
  pushed = load_by_pieces(argv[1]);
  compare(opened, pushed);
  ballast_model_summary(opened, &summary);
  check(summary.entry_count > 0 && ballast_model_entry(opened, 0, &entry) &&
            ballast_model_value(opened, entry.key, entry.key_size, &value),
        "the first entry is found by its key");
  check(value.type == BALLAST_TYPE_STRING && value.data == entry.value.data,
        "and is the same string");
#if BALLAST_HAS_VALUES
  look_at_values(opened);
  decode_blocks();
#endif
  ballast_model_close(pushed);
  ballast_model_close(opened);

  check(ballast_model_open("/nowhere/at/all", NULL, &opened, &error) == -ENOENT,
        "a file that is not there is refused with its errno");
  check(strcmp(error->name, "no_such_file_or_directory") == 0, "the errno has a name");
  ballast_error_free(error);
  return failures == 0 ? 0 : 1;
}
