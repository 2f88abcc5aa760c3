#!/usr/bin/env python3
"""The example `upload`: every byte of every tensor is sent, in the order of the files, in little memory."""
import gzip
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import models  # noqa: E402, beside the tests of the command
from support import HAS_MMAP, ModelTest, Result, run  # noqa: E402

UPLOAD = os.environ.get("BALLAST_UPLOAD", "ballast-upload")
SAMPLES = os.environ.get("BALLAST_SAMPLES", ".")
SANITIZED = bool(os.environ.get("BALLAST_SANITIZE"))
HAS_PROC = os.path.exists("/proc/self/status")
MIB = 1 << 20

MEMORY = r"([\d,]+) MiB" if HAS_PROC else "(unknown)"
PRINTED = re.compile(rf"resident before: {MEMORY}, at most: {MEMORY}, after: {MEMORY}\n"
                     r"sent: ([\d,]+) bytes in \d+\.\d{3} s, \d+ MB/s, Adler-32 ([0-9a-f]{8})\n")


def upload(*arguments, **more):
    done = subprocess.run([UPLOAD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **more)
    return Result(done.returncode, done.stdout, done.stderr)


def number(text):
    return int(text.replace(",", ""))


def expected(path):
    """How many bytes the tensors have and the Adler-32 of them, by what the command says and the files hold."""
    model = json.loads(run("inspect", "--json", "--full", path).out)
    shards = [shard["file"] for shard in model.get("shards", [])]

    def place(tensor):
        return (shards.index(tensor["shard"]) if shards else 0, tensor["offset"])

    total, checksum = 0, 1
    for tensor in sorted(model["tensors"], key=place):
        with open(os.path.join(os.path.dirname(path), tensor["shard"]) if shards else path, "rb") as file:
            file.seek(tensor["offset"])
            left = tensor["nbytes"]
            while left > 0:
                content = file.read(min(left, MIB))
                checksum = zlib.adler32(content, checksum)
                left -= len(content)
        total += tensor["nbytes"]
    return total, checksum


class UploadTest(ModelTest):
    def assert_sent(self, path, sent=None):
        """Every byte of the model was sent; the three figures of memory, in MiB."""
        result = upload(path)
        self.assert_fine(result)
        printed = PRINTED.fullmatch(result.out.decode())
        self.assertIsNotNone(printed, result.out)
        self.assertEqual((number(printed[4]), int(printed[5], 16)), sent or expected(path))
        return [number(figure) for figure in printed.groups()[:3]] if HAS_PROC else None

    def assert_failed(self, result, pattern):
        """One line on standard error, nothing on standard output."""
        self.assertEqual((result.status, result.out), (1, b""), result.err)
        self.assertRegex(result.err.decode(), rf"^ballast-upload: {pattern}\n$")

    def test_the_samples_are_sent_whole(self):
        for name in ("tiny.gguf", "tiny.safetensors", "tiny-00001-of-00003.gguf", "tiny.safetensors.index.json"):
            with self.subTest(name):
                path = os.path.join(SAMPLES, name)
                self.assertGreater(expected(path)[0], 0)
                self.assert_sent(path)

    def test_tensors_go_in_the_order_of_the_file_not_of_its_list(self):
        data = b"first" + b"second"
        header = json.dumps({"b": dict(dtype="U8", shape=[6], data_offsets=[5, 11]),
                             "none": dict(dtype="U8", shape=[0], data_offsets=[5, 5]),
                             "a": dict(dtype="U8", shape=[5], data_offsets=[0, 5])}).encode()
        path = self.file(struct.pack("<Q", len(header)) + header + data)
        self.assert_sent(path, (len(data), zlib.adler32(data)))

    def test_a_model_without_tensors_sends_nothing(self):
        self.assert_sent(self.file(models.gguf()), (0, 1))

    def test_a_tensor_of_more_than_a_piece_in_a_compressed_file(self):
        content = random.Random(3).randbytes(MIB) * 17 + b"the end"
        plain = models.safetensors([("head", "U8", [3], b"one"), ("long", "U8", [len(content)], content)])
        sent = len(content) + 3, zlib.adler32(b"one" + content)
        self.assert_sent(self.file(plain), sent)
        self.assert_sent(self.file(gzip.compress(plain, 1)), sent)

    def test_a_file_that_is_not_there(self):
        path = self.path("missing.gguf")
        self.assert_failed(upload(path), rf"{path}: cannot open: [^\n]+ \(no_such_file_or_directory\)")

    def test_a_truncated_file(self):
        for name in ("tiny.gguf", "tiny.safetensors"):
            with open(os.path.join(SAMPLES, name), "rb") as file:
                path = self.file(file.read()[:-100], name)
            self.assert_failed(upload(path), rf"{path}: [^\n]+ \(outside_file at byte \d+\)")

    def test_a_set_that_lacks_a_file(self):
        path = self.path("tiny-00001-of-00003.gguf")
        shutil.copy(os.path.join(SAMPLES, "tiny-00001-of-00003.gguf"), path)
        self.assert_failed(upload(path), rf"{self.folder}/[^\n]+ \(missing_shard\)")

    def test_a_tensor_without_a_size_is_refused(self):
        path = self.file(models.gguf([], [("known", [1], models.I8, b"x"), ("future", [9], 200, bytes(9))]))
        self.assert_failed(upload(path), rf"{path}: [^\n]+ \(unknown_dtype[^\n]*\)")

    def test_wrong_usage(self):
        for arguments in ((), ("a", "b")):
            result = upload(*arguments)
            self.assertEqual((result.status, result.out, result.err), (2, b"", b"usage: ballast-upload MODEL\n"))

    def test_a_large_model_takes_little_memory(self):
        # 256 MiB: tensors of many pieces, of odd sizes, and 17 MiB of tensors that are less than a page each.
        sizes = [80 * MIB, 3 * MIB + 1, *[1500] * 12000, 80 * MIB + 4, 64 * MIB]
        sizes.append(256 * MIB - sum(sizes))
        path = self.path("large.safetensors")
        sent = self.write_large(path, sizes)
        self.assertEqual(expected(path), sent)
        memory = self.assert_sent(path, sent)
        if memory is None or SANITIZED or not HAS_MMAP:
            return  # then nobody counts, or what is counted is the sanitizer's, or nothing can be given back
        before, peak, after = memory
        self.assertLess(peak - before, 64)  # a piece, the staging buffer, the directory; the file has 256
        self.assertLess(after - before, 12)  # the directory of 12,000 tensors, and no pages between them

    def write_large(self, path, sizes):
        """Writes tensors of such sizes; their bytes in all, and the Adler-32 of them."""
        header, at = {}, 0
        for i, size in enumerate(sizes):
            dtype, shape = ("F32", [size // 4]) if size % 4 == 0 else ("U8", [size])
            header[f"tensor.{i}"] = dict(dtype=dtype, shape=shape, data_offsets=[at, at + size])
            at += size
        text = json.dumps(header).encode()
        noise, checksum = random.Random(5).randbytes(MIB + 7), 1  # repeats, but never on the same page
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            left = at
            while left > 0:
                content = noise[:left]
                file.write(content)
                checksum = zlib.adler32(content, checksum)
                left -= len(content)
        return at, checksum


if __name__ == "__main__":
    unittest.main()
