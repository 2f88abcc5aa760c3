#!/usr/bin/env python3
"""`ballast inspect --json`, to the byte."""
import json
import math
import os
import random
import struct
import subprocess
import unittest

import models
from support import BACKENDS, HAS_MMAP, ModelTest, run

ALL_TYPES = [
    ("a.u8", "u8", 255), ("a.i8", "i8", -128), ("a.u16", "u16", 65535), ("a.i16", "i16", -32768),
    ("a.u32", "u32", 2**32 - 1), ("a.i32", "i32", -(2**31)), ("a.f32", "f32", 0.1), ("a.bool", "bool", 1),
    ("a.string", "string", "text"), ("a.u64", "u64", 2**64 - 1), ("a.i64", "i64", -(2**63)), ("a.f64", "f64", 0.1),
    ("a.array", "array", ("i16", list(range(-5, 5)))), ("a.empty", "array", ("string", [])),
    ("a.nested", "array", ("array", [("u8", [1, 2]), ("string", ["x"])])),
]

GOLDEN_GGUF = """{
  "format": "gguf",
  "version": 3,
  "file_bytes": 672,
  "complete": true,
  "alignment": 32,
  "data_offset": 576,
  "metadata": {
    "a.u8": {"type": "u8", "value": 255},
    "a.i8": {"type": "i8", "value": -128},
    "a.u16": {"type": "u16", "value": 65535},
    "a.i16": {"type": "i16", "value": -32768},
    "a.u32": {"type": "u32", "value": 4294967295},
    "a.i32": {"type": "i32", "value": -2147483648},
    "a.f32": {"type": "f32", "value": 0.1},
    "a.bool": {"type": "bool", "value": true},
    "a.string": {"type": "string", "value": "text"},
    "a.u64": {"type": "u64", "value": 18446744073709551615},
    "a.i64": {"type": "i64", "value": -9223372036854775808},
    "a.f64": {"type": "f64", "value": 0.1},
    "a.array": {"type": "array", "element": "i16", "length": 10, "value": [-5, -4, -3, -2, -1, 0, 1, 2]},
    "a.empty": {"type": "array", "element": "string", "length": 0, "value": []},
    "a.nested": {"type": "array", "element": "array", "length": 2, "value": [\
{"type": "array", "element": "u8", "length": 2, "value": [1, 2]}, \
{"type": "array", "element": "string", "length": 1, "value": ["x"]}]}
  },
  "tensors": [
    {"name": "scalar", "dtype": "F32", "shape": [], "offset": 576, "nbytes": 4},
    {"name": "quantized", "dtype": "Q4_0", "shape": [32, 1], "offset": 608, "nbytes": 18},
    {"name": "from the future", "dtype": "unknown(200)", "shape": [5], "offset": 640, "nbytes": null}
  ],
  "warnings": [
"""

GOLDEN_SAFETENSORS = """{
  "format": "safetensors",
  "version": null,
  "file_bytes": 170,
  "complete": true,
  "alignment": null,
  "data_offset": 157,
  "metadata": {
    "format": {"type": "string", "value": "pt"}
  },
  "tensors": [
    {"name": "scalar", "dtype": "U8", "shape": [], "offset": 157, "nbytes": 1},
    {"name": "matrix", "dtype": "I16", "shape": [2, 3], "offset": 158, "nbytes": 12}
  ],
  "warnings": [],
"""

# A float's bytes, little-endian and in hexadecimal, and what JSON has to say.
FLOATS = [
    ("f32", "00000000", "0"), ("f32", "00000080", "-0.0"), ("f32", "0000803f", "1"), ("f32", "000080bf", "-1"),
    ("f32", "cdcccc3d", "0.1"), ("f32", "0000804b", "16777216"), ("f32", "bd378635", "0.000001"),
    ("f32", "95bfd633", "1e-7"), ("f32", "ecad9e60", "91472440000000000000"), ("f32", "ec78ad60", "100000000000000000000"),
    ("f32", "27d75862", "1e+21"), ("f32", "01000000", "1e-45"), ("f32", "ffff7f7f", "3.4028235e+38"),
    ("f32", "0000c07f", '"NaN"'), ("f32", "0000807f", '"Infinity"'), ("f32", "000080ff", '"-Infinity"'),
    ("f64", "0000000000000000", "0"), ("f64", "0000000000000080", "-0.0"), ("f64", "9a9999999999b93f", "0.1"),
    ("f64", "000000000088c340", "10000"), ("f64", "408cb5781daf1544", "100000000000000000000"),
    ("f64", "50efe2d6e41a4b44", "1e+21"), ("f64", "dabc047e3ac51a44", "123456789012345680000"),
    ("f64", "8dedb5a0f7c6b03e", "0.000001"), ("f64", "48afbc9af2d77a3e", "1e-7"),
    ("f64", "0100000000000000", "5e-324"), ("f64", "ffffffffffffef7f", "1.7976931348623157e+308"),
    ("f64", "000000000000f87f", '"NaN"'), ("f64", "000000000000f07f", '"Infinity"'),
]


def without_runtime(text):
    return b"".join(line for line in text.splitlines(True) if not line.startswith(b'  "runtime": '))


class JsonTest(ModelTest):
    def inspect(self, path, *more, **other):
        result = run("inspect", "--json", path, *more, **other)
        self.assert_fine(result)
        return json.loads(result.out)

    def text(self, path, *more):
        result = run("inspect", "--json", path, *more)
        self.assert_fine(result)
        return result.out.decode()

    def test_a_gguf_file_is_written_as_documented(self):
        path = self.file(models.gguf(ALL_TYPES, [
            ("scalar", [], models.F32, b"\x00\x00\x80\x3f"), ("quantized", [32, 1], models.Q4_0, bytes(18)),
            ("from the future", [5], 200, bytes(20))]))
        text = self.text(path)
        self.assertEqual(text[:len(GOLDEN_GGUF)], GOLDEN_GGUF)
        self.assertIn('{"code": "unknown_dtype", "offset": ', text)
        self.assertIn('{"code": "nested_array", "offset": ', text)

    def test_a_safetensors_file_is_written_as_documented(self):
        path = self.file(models.safetensors(
            [("scalar", "U8", [], b"\x07"), ("matrix", "I16", [2, 3], bytes(12))], {"format": "pt"}))
        text = self.text(path)
        self.assertEqual(text[:len(GOLDEN_SAFETENSORS)], GOLDEN_SAFETENSORS)

    def test_runtime_is_the_last_line_and_says_where_the_bytes_are(self):
        path = self.file(models.simple())
        size = os.path.getsize(path)
        for backend in BACKENDS:
            storage = "mmap" if HAS_MMAP and backend != "heap" else "heap"
            lines = self.text(path, "--backend", backend).splitlines()
            self.assertEqual(lines[-1], "}")
            self.assertRegex(lines[-2], rf'^  "runtime": \{{"storage": "{storage}", "compression": null, '
                                        rf'"decoded_bytes": {size}, "build": "[^"]+"\}}$')

    def test_every_backend_and_a_pipe_give_the_same_but_for_the_runtime(self):
        path = self.file(models.gguf(ALL_TYPES, [("t", [3], models.I8, b"abc")]) + b"trailing")
        first = without_runtime(run("inspect", "--json", path).out)
        self.assertIn(b"trailing_bytes", first)
        for backend in BACKENDS:
            result = run("inspect", "--json", "--backend", backend, path)
            self.assert_fine(result)
            self.assertEqual(without_runtime(result.out), first, backend)
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
            piped = run("inspect", "--json", "-", stdin=pipe.stdout)
        self.assert_fine(piped)
        self.assertEqual(without_runtime(piped.out), first)
        self.assertIn(b'"storage": "heap"', piped.out)

    def test_a_file_without_tensors_has_no_data_offset(self):
        for content in (models.gguf(), models.safetensors()):
            text = self.text(self.file(content))
            self.assertIn('\n  "data_offset": null,\n  "metadata": {},\n  "tensors": [],\n', text)

    def test_floats_have_the_fewest_digits_that_read_back(self):
        for kind, bits, expected in FLOATS:
            raw = bytes.fromhex(bits)
            text = self.text(self.file(models.gguf([("x", kind, raw)])))
            self.assertIn(f'"x": {{"type": "{kind}", "value": {expected}}}', text, (kind, bits))

    def test_floats_read_back_exactly(self):
        seed = random.randrange(2**32)
        source = random.Random(seed)
        for kind, form, size in (("f32", "<f", 4), ("f64", "<d", 8)):
            raws = [source.randbytes(size) for _ in range(3000)]
            path = self.file(models.gguf([("x", "array", (kind, raws))]))
            values = self.inspect(path, "--full")["metadata"]["x"]["value"]
            self.assertEqual(len(values), len(raws))
            for raw, value in zip(raws, values):
                true = struct.unpack(form, raw)[0]
                if isinstance(value, str):
                    self.assertFalse(math.isfinite(true), seed)
                    continue
                self.assertEqual(struct.pack(form, value), raw, f"seed {seed}")
                if kind == "f64":  # Python's repr is as short as can be
                    digits = [str(abs(number)).replace(".", "").split("e")[0].strip("0") for number in (value, true)]
                    self.assertEqual(digits[0], digits[1], f"seed {seed}")

    def test_arrays_are_cut_to_eight_elements_unless_all_are_asked_for(self):
        for count in (0, 1, 7, 8, 9, 100):
            path = self.file(models.gguf([("x", "array", ("u32", list(range(count)))),
                                          ("s", "array", ("string", [str(i) for i in range(count)]))]))
            cut, full = self.inspect(path)["metadata"], self.inspect(path, "--full")["metadata"]
            self.assertEqual(cut["x"], {"type": "array", "element": "u32", "length": count,
                                        "value": list(range(min(count, 8)))})
            self.assertEqual(full["x"]["value"], list(range(count)))
            self.assertEqual(cut["s"]["value"], [str(i) for i in range(min(count, 8))])
            self.assertEqual(full["s"]["value"], [str(i) for i in range(count)])

    def test_bytes_that_are_not_utf8_become_one_replacement_per_maximal_subpart(self):
        # The example of the Unicode standard, table 3-8, and a truncated character at the end.
        raw = b"a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd\xe2\x82"
        text = self.text(self.file(models.gguf([("x", "string", raw)])))
        self.assertIn('"value": "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd\ufffd"', text)

    def test_what_could_repaint_a_terminal_is_escaped(self):
        for character, escape in [("\x1b", "\\u001b"), ("\x00", "\\u0000"), ("\x7f", "\\u007f"), ("\x85", "\\u0085"),
                                  ("\x9b", "\\u009b"), ("\u202e", "\\u202e"), ("\u2066", "\\u2066"),
                                  ("\u200f", "\\u200f"), ("\u061c", "\\u061c"), ("\u2028", "\\u2028"),
                                  ("\u2029", "\\u2029"), ("\U000e0041", "\\udb40\\udc41"), ("\n", "\\n"),
                                  ("\t", "\\t"), ("\r", "\\r"), ('"', '\\"'), ("\\", "\\\\")]:
            path = self.file(models.gguf([("x", "string", f"a{character}b")]))
            text = self.text(path)
            self.assertIn(f'"value": "a{escape}b"', text, repr(character))
            self.assertEqual(self.inspect(path)["metadata"]["x"]["value"], f"a{character}b")

    def test_other_characters_stay_as_they_are(self):
        path = self.file(models.gguf([("x", "string", "Größe 大 \U0001f600 é")]))
        self.assertIn('"value": "Größe 大 \U0001f600 é"', self.text(path))

    def test_any_key_is_just_a_key(self):
        keys = ["__proto__", "constructor", "", "a\"b", "line\nbreak", "format"]
        path = self.file(models.gguf([(key, "u8", i) for i, key in enumerate(keys) if key]))
        pairs = json.loads(run("inspect", "--json", path).out)["metadata"]
        self.assertEqual(list(pairs), [key for key in keys if key])

    def test_the_filter_selects_tensors_and_metadata(self):
        path = self.file(models.simple())
        got = self.inspect(path, "--filter", "BLOCK")
        self.assertEqual((list(got["metadata"]), got["tensors"]), (["llama.block_count"], []))
        got = self.inspect(path, "--filter", "blk.[!0].*")
        self.assertEqual(([t["name"] for t in got["tensors"]], got["metadata"]), (["blk.1.attn_q.weight"], {}))
        self.assertEqual(got["data_offset"], self.inspect(path)["data_offset"])

    def test_a_split_gguf_is_one_model_with_its_shards(self):
        for i in range(2):
            entries = [("general.architecture", "string", "llama")] if i == 0 else []
            entries += [("split.no", "u16", i), ("split.count", "u16", 2), ("split.tensors.count", "i32", 1)]
            tensors = [("t", [3], models.I8, b"abc")] if i == 1 else []
            self.file(models.gguf(entries, tensors), f"m-0000{i + 1}-of-00002.gguf")
        sizes = [os.path.getsize(self.path(f"m-0000{i}-of-00002.gguf")) for i in (1, 2)]
        got = self.inspect(self.path("m-00001-of-00002.gguf"))
        self.assertEqual(list(got), ["format", "version", "file_bytes", "complete", "alignment", "data_offset",
                                     "metadata", "tensors", "shards", "warnings", "runtime"])
        offset = got["tensors"][0]["offset"]
        self.assertEqual(got["tensors"], [{"name": "t", "dtype": "I8", "shape": [3], "offset": offset, "nbytes": 3,
                                           "shard": "m-00002-of-00002.gguf"}])
        self.assertEqual(got["shards"], [
            {"file": "m-00001-of-00002.gguf", "file_bytes": sizes[0], "data_offset": None},
            {"file": "m-00002-of-00002.gguf", "file_bytes": sizes[1], "data_offset": offset}])
        self.assertEqual((got["file_bytes"], got["data_offset"]), (sum(sizes), None))
        self.assertEqual(got["metadata"]["general.architecture"]["value"], "llama")

    def test_an_index_opens_the_set_it_names(self):
        self.file(models.safetensors([("a", "U8", [2], b"ab")]), "one.safetensors")
        self.file(models.safetensors([("b", "U8", [1], b"c")]), "two.safetensors")
        index = {"metadata": {"total_size": 3}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
        got = self.inspect(self.file(json.dumps(index).encode(), "model.safetensors.index.json"))
        self.assertEqual([(t["name"], t["shard"]) for t in got["tensors"]],
                         [("a", "one.safetensors"), ("b", "two.safetensors")])
        self.assertEqual([shard["file"] for shard in got["shards"]], ["one.safetensors", "two.safetensors"])


if __name__ == "__main__":
    unittest.main()
