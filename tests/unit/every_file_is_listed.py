#!/usr/bin/env python3
"""Holds that CMake names every source: a file that is in no list is neither built, nor installed, nor run, in silence.

usage: every_file_is_listed.py CHECKOUT | --self-test
"""
import pathlib
import re
import sys
import tempfile

# Headers of src/ballast that are not installed, and why nobody outside needs them.
PRIVATE_HEADERS = {
    "c_api.hpp": "what the files of the C API share",
    "c_api_values.hpp": "what the C API shares with the package's module of values",
    "codec.hpp": "the decoders behind a load",
    "cursor.hpp": "reads that the formats share",
    "decode.hpp": "the decoders behind values.hpp",
    "decode_grids.hpp": "their codebooks",
    "decode_kernel.hpp": "what they share",
    "fetch.hpp": "one read of bytes that others may write",
    "gguf_layout.hpp": "how GGUF checks where data lie",
    "json_scanner.hpp": "what safetensors and its index need of JSON",
    "layout.hpp": "how the formats check where data lie",
    "model_data_storage.hpp": "what ModelData holds, and who fills it",
    "name_copies.hpp": "names that a parser keeps",
    "open_compressed.hpp": "one way in which open.cpp loads",
    "open_job.hpp": "what the files of a load share",
    "placer.hpp": "where the bytes of every load go",
    "shard_files.hpp": "which file of a set is which",
    "shards.hpp": "how Model finds the files of a set",
    "small_float.hpp": "floats of few bits, for the decoders",
    "warning_list.hpp": "how the formats collect what is odd",
    "whole.hpp": "another way in which open.cpp loads",
    "whole_job.hpp": "what its codecs share",
}

# Folder, pattern, and the list that must name each match.
LISTS = [
    ("src/ballast", "*.cpp", "CMakeLists.txt"),
    ("src/ballast", "*.hpp", "CMakeLists.txt"),
    ("src/ballast", "*.h", "CMakeLists.txt"),
    ("src/cli", "*.cpp", "CMakeLists.txt"),
    ("src/examples", "*.cpp", "src/examples/CMakeLists.txt"),
    ("platform", "*.cpp", "CMakeLists.txt"),
    ("tests/unit", "*.cpp", "tests/CMakeLists.txt"),
    ("tests/faults", "*.cpp", "tests/faults/CMakeLists.txt"),
    ("tests/changing_bytes", "*.cpp", "tests/changing_bytes/CMakeLists.txt"),
    ("tests/threads", "*.cpp", "tests/threads/CMakeLists.txt"),
    ("tests/support", "*.cpp", "tests/support/CMakeLists.txt"),
    ("tests/compile_fail", "*.cpp", "tests/CMakeLists.txt"),
    ("tests/c", "*.c", "tests/CMakeLists.txt"),
    ("tests/fuzz", "replay.cpp", "tests/fuzz/CMakeLists.txt"),
    ("tests/web", "*_test.mjs", "tests/web/CMakeLists.txt"),
    ("tests/package", "*_test.mjs", "platform/setup/package.sh"),
    ("tests/package", "*_cases.mjs", "tests/package/node_test.mjs"),
    ("tests/embedding", "*.cpp", "tests/embedding/CMakeLists.txt"),
    ("web/exports", "*.cpp", "CMakeLists.txt"),
    ("web/module", "*.cpp", "web/module/CMakeLists.txt"),
]


def named(name, text):
    return re.search(rf"(?<![\w./-])(?:\./)?{re.escape(name)}(?![\w.])", text) is not None


def check(root):
    found = []
    for folder, pattern, listing in LISTS:
        text = "\n".join(line.split("#")[0] for line in (root / listing).read_text(encoding="utf-8").splitlines())
        # Groups of sources: they build nothing themselves.
        text = re.sub(r"\bballast_compile_together\([^)]*\)", "", text)
        for path in sorted((root / folder).rglob(pattern)):
            parent = (root / listing).parent
            name = path.relative_to(parent if path.is_relative_to(parent) else root).as_posix()
            private = folder == "src/ballast" and path.name in PRIVATE_HEADERS
            if private and named(name, text):
                found.append(f"{path.relative_to(root)} is private, but {listing} names it")
            elif not private and not named(name, text):
                found.append(f"{path.relative_to(root)} is not named in {listing}")
    return found


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("src/ballast/a.cpp", "src/ballast/aa.cpp", "src/ballast/cursor.hpp", "tests/unit/b_test.cpp"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        for listing in {listing for _, _, listing in LISTS}:
            (root / listing).parent.mkdir(parents=True, exist_ok=True)
            (root / listing).touch()
        (root / "tests/CMakeLists.txt").write_text("add_executable(unit unit/b_test.cpp)\n", encoding="utf-8")
        (root / "platform/setup/package.sh").write_text("node tests/package/node_test.mjs\n", encoding="utf-8")
        failures = []
        for text, expected in (
            ("src/ballast/a.cpp src/ballast/aa.cpp", []),
            ("src/ballast/aa.cpp", ["src/ballast/a.cpp is not named in CMakeLists.txt"]),
            ("src/ballast/a.cpp # src/ballast/aa.cpp", ["src/ballast/aa.cpp is not named in CMakeLists.txt"]),
            ("src/ballast/a.cpp ballast_compile_together(group\n  src/ballast/aa.cpp)",
             ["src/ballast/aa.cpp is not named in CMakeLists.txt"]),
            ("src/ballast/a.cpp src/ballast/aa.cpp src/ballast/cursor.hpp",
             ["src/ballast/cursor.hpp is private, but CMakeLists.txt names it"]),
        ):
            (root / "CMakeLists.txt").write_text(text, encoding="utf-8")
            if (got := check(root)) != expected:
                failures.append(f"{text!r}: expected {expected}, got {got}")
        return failures


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(found) or "fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
