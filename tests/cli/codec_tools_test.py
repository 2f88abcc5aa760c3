#!/usr/bin/env python3
"""Models compressed by the tools that people compress with: each opens as the plain file does.

A tool that is not on this machine is skipped by its name.
"""
import json
import os
import random
import shutil
import subprocess
import unittest

import models
from support import ModelTest, run

# For each tool the settings that it is run with. IN is the path of the plain file; without it the file comes through
# standard input, whose size nobody knows beforehand.
IN = "IN"
SETTINGS = {
    "gzip": [["-1", IN], ["-6", IN], ["-9", IN], ["-n", IN], ["-6"], ["--rsyncable", IN]],
    "pigz": [["-0", IN], ["-6", "-p2", "-b128", IN], ["-9", "-p2", "-i", IN], ["-z", IN], ["-1"]],
    "bgzip": [["-@2", IN], ["-l1", IN], []],
    "bzip2": [["-1", IN], ["-9", IN], []],
    "pbzip2": [["-1", "-p2", "-k", IN], ["-9", "-b1", "-p2", "-k", IN]],
    "xz": [["-0", IN], ["-6", IN], ["-9e", IN], ["-T2", "--block-size=65536", IN], ["--check=none", IN],
           ["--check=sha256", IN], ["--check=crc32"], ["--x86", "--lzma2", IN],
           ["--delta=dist=2", "--lzma2=dict=64KiB", IN]],
    "pixz": [["-1", "-p2"], ["-9"]],
    "zstd": [["--fast=5", IN], ["-3", IN], ["-19", IN], ["--ultra", "-22", IN], ["-T0", IN], ["-T2", "-B64K", IN],
             ["--long=27", IN], ["--long=27"], ["--no-check", IN], ["--no-content-size", IN], ["-3"],
             ["--rsyncable", IN]],
    "pzstd": [["-p2", IN], ["-1", "-p4", IN]],
    "lz4": [["-1", IN], ["-9", IN], ["-12", IN], ["--fast=9", IN], ["-BD", "-B4", IN], ["-BI", "-B4", IN], ["-B7", IN],
            ["-BX", IN], ["--no-frame-crc", IN], ["--content-size", IN], ["-1"]],
}
# What a tool makes that is refused, and the code. --long=31 asks for 2 GiB of memory where the size is not known.
REFUSED = {
    "lz4": [(["-l", IN], "unknown_format")],
    "xz": [(["--format=lzma", IN], "unknown_format")],
    "zstd": [(["--long=31"], "window_too_large")],
}


WORDS = [b"ballast ", b"keel ", b"sail "]


def model():
    """A few hundred kilobytes: noise, text and zeros, so that every tool cuts it into several blocks."""
    source = random.Random(20261124)
    noise, text = source.randbytes(300_000), b"".join(source.choice(WORDS) for _ in range(50_000))
    tensors = [("noise", [len(noise)], models.I8, noise), ("text", [len(text)], models.I8, text),
               ("zeros", [200_000], models.I8, bytes(200_000)), ("last", [3], models.I8, b"end")]
    entries = [("general.architecture", "string", "llama"),
               ("tokenizer.ggml.tokens", "array", ("string", [f"token{i}" for i in range(2000)]))]
    return models.gguf(entries, tensors), {"noise": noise, "last": b"end"}


class CodecToolsTest(ModelTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content, cls.tensors = model()

    def setUp(self):
        super().setUp()
        self.plain = self.file(self.content, "plain.gguf")
        self.due = self.inspected(self.plain)
        self.due.pop("runtime")
        # Of a compressed file no more is decoded for this than the directory.
        self.due.update(file_bytes=None, complete=False)

    def compressed(self, tool, settings, plain=None):
        plain = plain or self.plain
        arguments = [plain if each is IN else each for each in settings]
        flags = [] if tool == "pixz" else ["-c"]
        with open(plain, "rb") as file:
            done = subprocess.run([tool, *flags, *arguments], stdin=subprocess.DEVNULL if IN in settings else file,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(done.returncode, 0, (tool, settings, done.stderr))
        return self.file(done.stdout, "compressed")

    def inspected(self, path):
        result = run("inspect", "--json", "--full", path)
        self.assert_fine(result)
        return json.loads(result.out)

    def assert_same(self, path):
        """The same directory, the same data, and nothing odd."""
        found = self.inspected(path)
        self.assertIsNotNone(found.pop("runtime")["compression"])
        self.assertEqual(found, self.due)
        self.assert_fine(run("check", path))
        for name, data in self.tensors.items():
            result = run("cat", path, name)
            self.assert_fine(result)
            self.assertEqual(result.out, data)

    def check_tool(self, tool):
        for settings in SETTINGS[tool]:
            with self.subTest(settings=settings):
                self.assert_same(self.compressed(tool, settings))
        for settings, code in REFUSED.get(tool, []):
            with self.subTest(settings=settings):
                result = run("inspect", self.compressed(tool, settings))
                self.assertEqual((result.status, result.out), (1, b""))
                self.assertIn(f"({code}".encode(), result.err)

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd")
    def test_a_zstd_dictionary_is_not_guessed(self):
        folder = self.path("samples")
        os.mkdir(folder)
        source = random.Random(1)
        for i in range(200):
            with open(os.path.join(folder, str(i)), "wb") as file:
                file.write(b"".join(source.choice(WORDS) for _ in range(500)))
        dictionary = self.path("dictionary")
        subprocess.run(["zstd", "-q", "--train", "-r", folder, "-o", dictionary, "--maxdict=4096"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        result = run("inspect", self.compressed("zstd", ["-D", dictionary, IN]))
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertIn(b"(unsupported_stream", result.err)

    @unittest.skipUnless(shutil.which("gzip"), "there is no gzip")
    def test_files_of_a_tool_one_behind_the_other_are_one_file(self):
        halves = [self.content[:100_000], self.content[100_000:]]
        joined = b""
        for half in halves:
            with open(self.compressed("gzip", [IN], self.file(half, "half")), "rb") as file:
                joined += file.read()
        self.assert_same(self.file(joined, "joined"))

    @unittest.skipUnless(shutil.which("gzip"), "there is no gzip")
    def test_a_pipe_from_a_tool_is_decoded(self):
        path = self.compressed("gzip", [IN])
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
            result = run("cat", "-", "last", stdin=pipe.stdout)
        self.assert_fine(result)
        self.assertEqual(result.out, b"end")


def add_test(tool):
    @unittest.skipUnless(shutil.which(tool), f"there is no {tool}")
    def test(self):
        self.check_tool(tool)
    setattr(CodecToolsTest, f"test_{tool}", test)


for each in SETTINGS:
    add_test(each)

if __name__ == "__main__":
    unittest.main()
