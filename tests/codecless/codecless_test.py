#!/usr/bin/env python3
"""Builds without the decoders of values, with some codecs left out and with all of them: what is left works, and what is
not there is named.

usage: codecless_test.py SOURCE WORK [CMAKE_OPTION...]
"""
import bz2
import gzip
import lzma
import os
import subprocess
import sys
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import models  # noqa: E402, beside the tests of the command

SOURCE, WORK, OPTIONS = "", "", []

# Of zstd and LZ4, for which Python has no library, as much as tells them: a frame of one raw block, and a header.
CODECS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: b"\x28\xb5\x2f\xfd\xa0" + len(content).to_bytes(4, "little") +
                            (len(content) << 3 | 1).to_bytes(3, "little") + content,
    "lz4": lambda content: b"\x04\x22\x4d\x18\x64\x40\xa7" + (len(content) | 1 << 31).to_bytes(4, "little") + content +
                           bytes(8),
}


def run(*arguments):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", timeout=900)


class CodeclessTest(unittest.TestCase):
    def build(self, codecs):
        """The command with those codecs and no others, not optimised: it is run a dozen times. All in one folder: the
        sources of the command know nothing of codecs, and are compiled once."""
        folder = os.path.join(WORK, "build")
        chosen = [f"-DBALLAST_{codec.upper()}={'ON' if codec in codecs else 'OFF'}" for codec in CODECS]
        for command in (["cmake", "-S", SOURCE, "-B", folder, *OPTIONS, *chosen, "-DCMAKE_BUILD_TYPE=Debug",
                         "-DCMAKE_CXX_FLAGS_DEBUG=-O0", "-DBALLAST_VALUES=OFF", "-DBALLAST_BUILD_TESTS=OFF",
                         "-DBALLAST_INSTALL=OFF", "-DCMAKE_UNITY_BUILD=ON"],
                        ["cmake", "--build", folder, "--target", "ballast-cli"]):
            done = run(*command)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return os.path.join(folder, "ballast")

    def file(self, content):
        path = os.path.join(WORK, "model")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def check(self, command, codecs):
        plain = models.simple()
        done = run(command, "check", self.file(plain))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = run(command, "show", self.file(plain), "token_embd.weight")
        self.assertEqual(done.returncode, 2)
        self.assertIn('there is no command "show"', done.stderr)
        for codec, compress in CODECS.items():
            with self.subTest(codec=codec):
                done = run(command, "check", self.file(compress(plain)))
                if codec in codecs:
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                else:
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(f"this library was built without {codec}", done.stderr)
                    self.assertIn("(codec_missing", done.stderr)
        with self.subTest(codec="zlib"):  # which comes and goes with gzip
            done = run(command, "check", self.file(zlib.compress(plain)))
            self.assertEqual(done.returncode, 0 if "gzip" in codecs else 1)
            self.assertEqual("built without zlib" in done.stderr, "gzip" not in codecs)
        # One that is there is decoded, and then it is the one inside that is missing or was one too many.
        for codec in codecs:
            done = run(command, "check", self.file(CODECS[codec](lzma.compress(plain))))
            self.assertIn("(compressed_twice", done.stderr)

    def test_some_codecs(self):
        self.check(self.build({"gzip", "zstd"}), {"gzip", "zstd"})

    def test_no_codec(self):
        self.check(self.build(set()), set())


if __name__ == "__main__":
    SOURCE, WORK, OPTIONS = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(WORK, exist_ok=True)
    unittest.main(argv=sys.argv[:1])
