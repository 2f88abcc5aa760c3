// Models as an input chooses them: small, mostly valid, and sometimes damaged or compressed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/made_stream.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {

inline std::string made_name(FuzzInput& input, std::size_t index) {
  std::string name = "t" + std::to_string(index);
  name.append(input.below(4), 'x');
  return name;
}

inline Bytes made_gguf(FuzzInput& input) {
  // F32, Q4_0, Q8_0, Q4_K, I64 and BF16, of one block in a row; and one that has no size.
  struct Type {
    std::uint32_t id;
    std::uint64_t elements;
  };
  constexpr std::array<Type, 7> kTypes{
      {{0, 4}, {2, 32}, {8, 32}, {12, 256}, {27, 3}, {30, 5}, {4, 32}}};
  GgufBuilder builder;
  builder.entry("general.architecture", "llama");
  for (std::size_t i = input.below(4); i > 0; --i) {
    builder.entry("n" + std::to_string(i), static_cast<std::uint32_t>(input.number(2)));
    builder.entry("a" + std::to_string(i), array_of<std::string>({"one", "", "three"}));
  }
  if (input.below(8) == 1) builder.aligned(std::uint32_t{8} << input.below(8));
  for (std::size_t i = input.below(5); i > 0; --i) {
    const Type& type =
        kTypes[input.byte() % (input.below(16) == 1 ? kTypes.size() : kTypes.size() - 1)];
    builder.tensor({.name = made_name(input, i),
                    .dims = {type.elements, 1 + input.below(4)},
                    .dtype = type.id});
  }
  if (input.below(8) == 1) builder.without_final_padding();
  if (input.below(8) == 1) builder.trailing(noise(input.below(64), 1));
  return builder.build().bytes();
}

inline Bytes made_safetensors(FuzzInput& input) {
  constexpr std::array kTypes{"F32", "BF16", "I64", "BOOL", "F8_E4M3", "C64"};
  SafetensorsBuilder builder;
  for (std::size_t i = input.below(3); i > 0; --i)
    builder.entry("k" + std::to_string(i), "value \xC3\xA9");
  for (std::size_t i = input.below(5); i > 0; --i) {
    builder.tensor({.name = made_name(input, i),
                    .dtype = kTypes[input.byte() % kTypes.size()],
                    .shape = {input.below(8), input.below(4)}});
  }
  if (input.below(8) == 1) builder.metadata_last();
  if (input.below(8) == 1) builder.trailing(noise(input.below(64), 1));
  return builder.build().bytes();
}

inline Bytes made_index(FuzzInput& input) {
  IndexBuilder builder;
  for (std::size_t i = input.below(4); i > 0; --i) {
    builder.tensor(made_name(input, i),
                   "model-0000" + std::to_string(input.below(3)) + ".safetensors");
  }
  return bytes_of(builder.build());
}

/// A model, an index, or whatever the input is.
inline Bytes made_plain_file(FuzzInput& input) {
  switch (input.byte() % 8) {
    case 0:
      return {input.rest().begin(), input.rest().end()};
    case 1:
      return made_index(input);
    case 2:
    case 3:
    case 4:
      return made_safetensors(input);
    default:
      return made_gguf(input);
  }
}

/// The same, now and then damaged, compressed, or both.
inline Bytes made_file(FuzzInput& input) {
  const std::uint8_t kind = input.byte();
  Bytes file = made_plain_file(input);
  if (kind % 4 == 1) damage(input, file);
  if (kind < 128) return file;
  Bytes compressed = made_stream(kCompressions[kind % kCompressions.size()], input, file);
  if (kind % 8 == 2) damage(input, compressed);
  return compressed;
}

}  // namespace ballast::test
