// A model is not copied by accident: it may hold 40 GB.
#include <utility>

#include <ballast/model.hpp>

ballast::Model keep(ballast::Model& model) {
#ifdef BALLAST_TEST_CONTROL
  return std::move(model);
#else
  return model;
#endif
}
