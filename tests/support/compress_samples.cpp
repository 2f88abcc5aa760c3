// compress-samples FILE FOLDER    writes the file into the folder in every compression that this
// build knows, at every level of it: FOLDER/zstd.19 and so on, and prints their names
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "tests/support/compress.hpp"
#include "tests/support/temp.hpp"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fputs("usage: compress-samples FILE FOLDER\n", stderr);
    return 2;
  }
  const ballast::test::Bytes plain = ballast::test::read_file(argv[1]);
  const std::filesystem::path folder(argv[2]);
  std::filesystem::create_directories(folder);
  for (const ballast::Compression codec : ballast::codecs()) {
    for (const int level : ballast::test::levels(codec)) {
      const std::string name = std::string(ballast::name(codec)) + "." + std::to_string(level);
      ballast::test::write_file(folder / name, ballast::test::compress(codec, plain, level));
      std::puts(name.c_str());
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "compress-samples: %s\n", error.what());
  return 1;
}
