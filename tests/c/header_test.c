/* ballast.h alone, in C99 and nothing newer: every warning and every extension is an error. */
#include <ballast/ballast.h>

int main(void) {
  ballast_options *options = ballast_options_create();
  ballast_error *error = NULL;
  ballast_model *model = NULL;
  int code = ballast_model_open_shards(NULL, 0, options, &model, &error);
  ballast_error_free(error);
  ballast_options_free(options);
  return code == BALLAST_ERRC_misuse && BALLAST_ERRC_end > BALLAST_ERRC_ok ? 0 : 1;
}
