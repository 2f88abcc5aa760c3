// ballast.h alone, in the oldest C++ that it can be used from.
#include "header_test.c"
