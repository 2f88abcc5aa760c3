#!/usr/bin/env python3
"""`ballast show`: the values of a tensor, and what they are like."""
import csv
import json
import math
import os
import pathlib
import struct
import unittest

import models
from support import BACKENDS, ModelTest, on_terminal, run

Q8_0, I32, I64, F64, BF16 = 8, 26, 27, 28, 30
FIXTURES = pathlib.Path(os.environ.get("BALLAST_FIXTURES") or
                        pathlib.Path(__file__).resolve().parents[3] / "shared" / "fixtures") / "values"


def q8(scales, quants):
    """Blocks of Q8_0, and what they stand for."""
    blocks, values = b"", []
    for i, scale in enumerate(scales):
        here = quants[32 * i:32 * i + 32]
        blocks += struct.pack("<e32b", scale, *here)
        values += [quant * struct.unpack("<e", struct.pack("<e", scale))[0] for quant in here]
    return blocks, values


def q4(scale, codes):
    """A block of Q4_0: codes 0 to 15, of which 8 is zero."""
    return struct.pack("<e", scale) + bytes(codes[i] | codes[16 + i] << 4 for i in range(16))


BLOCKS, VALUES = q8([0.5, -0.125, 2.0, 0.0625, 1.0, 3.0], [(i * 37) % 255 - 127 for i in range(192)])


class ShowTest(ModelTest):
    def setUp(self):
        super().setUp()
        self.model = self.file(models.gguf([], [
            ("wide", [64, 3], Q8_0, BLOCKS),
            ("four", [32], models.Q4_0, q4(0.25, [i % 16 for i in range(32)])),
            ("halves", [2, 2], models.F16, struct.pack("<4e", 1, -2.5, 65504, 2 ** -24)),
            ("brains", [3], BF16, b"\x80\x3f\xc0\x7f\x80\xff"),
            ("long", [2], I64, struct.pack("<2q", -(1 << 63), (1 << 53) + 1)),
            ("doubles", [2], F64, struct.pack("<2d", 0.1, 1e300)),
            ("single", [], models.F32, struct.pack("<f", 7)),
            ("none", [0, 5], models.F32, b""),
            ("future", [9], 200, bytes(9))]))

    def json(self, *arguments):
        result = run("show", *arguments, "--json")
        self.assert_fine(result)
        return json.loads(result.out)

    def values(self, *arguments):
        return self.json(*arguments)["values"]

    def test_values_are_decoded(self):
        rows = [VALUES[64 * i:64 * i + 64] for i in range(3)]
        for backend in BACKENDS:
            self.assertEqual(self.values(self.model, "wide", "--backend", backend), rows)
        self.assertEqual(self.values(self.model, "four"), [[(i % 16 - 8) * 0.25 for i in range(32)]])
        self.assertEqual(self.values(self.model, "halves"), [[1, -2.5], [65504, 5.9604645e-08]])
        self.assertEqual(self.values(self.model, "brains"), [[1, "NaN", "-Infinity"]])
        self.assertEqual(self.values(self.model, "single"), [[7]])
        with open(self.model, "rb") as file:
            result = run("show", "-", "single", "--json", stdin=file)
        self.assertEqual(json.loads(result.out)["values"], [[7]])

    def test_rows_without_elements_are_not_written_however_many_there_are(self):
        self.assertEqual((self.json(self.model, "none")["rows"], self.values(self.model, "none")), (5, []))
        many = self.file(models.gguf([], [("t", [0, 1 << 60], models.F32, b"")]), "many.gguf")
        shown = self.json(many, "t")
        self.assertEqual((shown["rows"], shown["range"], shown["values"]), (1 << 60, [0, 1 << 60], []))
        self.assertEqual(self.values(many, "t", "--rows", ":1000000000000"), [])
        self.assert_fine(run("show", many, "t", "--rows", ":"))

    def test_what_float_does_not_hold_is_shown_as_it_is(self):
        result = run("show", self.model, "long", "--json")
        self.assertIn(b"[-9223372036854775808, 9007199254740993]", result.out)
        self.assertEqual(self.values(self.model, "doubles"), [[0.1, 1e300]])
        complexes = self.file(models.safetensors([("c", "C64", [1, 2], struct.pack("<4f", 1, -2, 3, -4))]), "c.safetensors")
        self.assertEqual(self.values(complexes, "c"), [[[1, -2], [3, -4]]])

    def test_rows(self):
        for text, begin, end in [("0:3", 0, 3), ("1:2", 1, 2), ("1", 1, 2), (":2", 0, 2), ("2:", 2, 3), (":", 0, 3),
                                 ("3:3", 3, 3)]:
            shown = self.json(self.model, "wide", "--rows", text)
            self.assertEqual((shown["range"], shown["rows"], shown["row_elements"]), ([begin, end], 3, 64))
            self.assertEqual(shown["values"], [VALUES[64 * i:64 * i + 64] for i in range(begin, end)])
            self.assertEqual(shown["statistics"]["count"], 64 * (end - begin))
        packed = self.file(models.safetensors([("t", "F4", [4, 3], bytes.fromhex("1032547698ba"))]), "f4.safetensors")
        codes = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5]
        flat = [code for pair in zip(range(0, 12, 2), range(1, 12, 2)) for code in pair]
        rows = [[codes[flat[3 * r + c]] for c in range(3)] for r in range(4)]
        for row in range(4):  # every other one begins inside a byte
            self.assertEqual(self.values(packed, "t", "--rows", str(row)), [rows[row]])

    def test_rows_that_are_none(self):
        for text in ("a", "1:b", "2:1", "-1:2", "1:2:3", "", "0x1:2", "1.5", " 1:2", "18446744073709551616",
                     "0:18446744073709551615", "18446744073709551615"):
            self.assert_wrong_usage_of(text)
        result = run("show", self.model, "wide", "--rows", "1:4")
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertIn(b"tensor 'wide' has 3 rows, and row 3 was asked for (rows_outside)", result.err)

    def assert_wrong_usage_of(self, text):
        result = run("show", self.model, "wide", f"--rows={text}")
        self.assertEqual((result.status, result.out), (2, b""), (text, result.err))

    def test_statistics(self):
        shown = self.json(self.model, "wide", "--stats")
        self.assertNotIn("values", shown)
        found = shown["statistics"]
        mean = math.fsum(VALUES) / len(VALUES)
        self.assertEqual((found["count"], found["min"], found["max"]), (192, min(VALUES), max(VALUES)))
        self.assertEqual(found["zero"], VALUES.count(0))
        self.assertAlmostEqual(found["mean"], mean, delta=1e-12)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in VALUES) / len(VALUES))
        self.assertAlmostEqual(found["standard_deviation"], deviation, delta=1e-10)
        histogram = found["histogram"]
        self.assertEqual(sum(histogram["counts"]), 192)
        for i, count in enumerate(histogram["counts"]):
            lower = (histogram["first"] + i) * histogram["bin_width"]
            upper = lower + histogram["bin_width"]
            here = sum(1 for value in VALUES if (lower <= value < upper if lower >= 0 else lower < value <= upper and value < 0))
            self.assertEqual(count, here, (lower, upper))
        odd = self.json(self.model, "brains")["statistics"]
        self.assertEqual((odd["count"], odd["nan"], odd["positive_infinity"], odd["negative_infinity"], odd["max"]), (3, 1, 0, 1, 1))
        self.assertEqual(float(self.json(self.model, "long")["statistics"]["min"]), -(2.0 ** 63))
        self.assertEqual(self.json(self.model, "none")["statistics"]["count"], 0)

    def test_people_see_a_table(self):
        result = run("show", self.model, "wide", env={**os.environ, "COLUMNS": "80"})
        self.assert_fine(result)
        lines = result.out.decode().splitlines()
        self.assertEqual(lines[0], "wide")
        facts = {line[2:16].strip(): line[16:] for line in lines if line.startswith("  ") and not line.startswith("   ")}
        self.assertEqual((facts["dtype"], facts["shape"], facts["rows"], facts["count"]), ("Q8_0", "64 x 3", "3 of 64", "192"))
        self.assertEqual((facts["min"], facts["max"]), (f"{min(VALUES):g}", f"{max(VALUES):g}"))
        bars = [line for line in lines if line.rstrip().endswith("#")]
        self.assertTrue(4 <= len(bars) <= 16, bars)
        self.assertTrue(lines[-1].split()[:3] == ["2", f"{VALUES[128]:.4g}", f"{VALUES[129]:.4g}"], lines[-1])
        self.assertEqual(lines[-1].split()[-1], f"{VALUES[191]:.4g}")
        self.assertTrue(all(len(line) <= 80 for line in lines), lines)
        without = run("show", self.model, "wide", "--stats")
        self.assertEqual(without.out.decode().splitlines()[-1].rstrip()[-1], "#")

    def row_of_table(self, path, columns):
        """The last row, once it is known that all lines have room."""
        result = run("show", path, "t", env={**os.environ, "COLUMNS": str(columns)})
        self.assert_fine(result)
        lines = result.out.decode().splitlines()
        self.assertLessEqual(max(map(len, lines)), columns, lines)
        return lines[-1].split()[1:]

    def test_numbers_stay_apart_and_rows_whole_or_folded_within_the_width(self):
        least, double = -(1 << 63), -1.234567e-308
        for dtype, code, numbers, texts in [
                (I32, "i", [-(1 << 31)] * 30, ["-2147483648"] * 30),
                (I64, "q", [least + i for i in range(30)], [str(least + i) for i in range(30)]),
                (F64, "d", [double * i for i in range(1, 31)], [f"{double * i:.4g}" for i in range(1, 31)]),
                (models.F32, "f", [-1.2345e-38] * 30, ["-1.234e-38"] * 30)]:
            for length in (*range(1, 9), 30):
                path = self.file(models.gguf([], [("t", [length], dtype, struct.pack(f"<{length}{code}",
                                                                                     *numbers[:length]))]))
                for columns in (40, 80):
                    row = self.row_of_table(path, columns)
                    if "..." not in row:
                        self.assertEqual(row, texts[:length])
                        continue
                    near, far = row[:row.index("...")], row[row.index("...") + 1:]
                    self.assertEqual(near + far, texts[:len(near)] + texts[length - len(far):length])
                    self.assertTrue(near and len(near) >= len(far), row)
                    self.assertGreater(len(" ".join(texts[:length])), columns - 8, row)  # or there was no need

    def test_a_complex_number_is_not_cut_in_two(self):
        path = self.file(models.safetensors([("t", "C64", [1, 20], struct.pack("<40f", *range(40)))]))
        self.assertEqual(self.row_of_table(path, 80), ["0", "1", "2", "3", "...", "38", "39"])

    def test_extremes_have_the_digits_of_their_dtype(self):
        number = struct.unpack("<f", struct.pack("<f", 0.1))[0]
        for dtype, code, text in [(models.F32, "f", "0.1"), (F64, "d", "0.10000000149011612")]:
            path = self.file(models.gguf([], [("t", [1], dtype, struct.pack("<" + code, number))]))
            self.assertRegex(run("show", path, "t").out.decode(), rf"\n  min +{text}\n  max +{text}\n")

    def test_what_is_no_number_has_the_names_it_has_in_json(self):
        self.assertEqual(run("show", self.model, "brains").out.split()[-4:], [b"0", b"1", b"NaN", b"-Infinity"])

    def test_long_tensors_are_folded_and_named_rows_are_not(self):
        count = 50
        model = self.file(models.gguf([], [("t", [2, count], models.F32, struct.pack(f"<{2 * count}f", *range(2 * count)))]))
        self.assertIn(b"... 42 more rows\n", run("show", model, "t").out)
        lines = run("show", model, "t", "--rows", "5:25").out.decode().splitlines()
        self.assertEqual([line.split() for line in lines[-20:]], [[str(i), str(2 * i), str(2 * i + 1)] for i in range(5, 25)])

    def test_a_tensor_that_is_not_there(self):
        result = run("show", self.model, "wde")
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertIn(b"there is no tensor 'wde'; did you mean 'wide'? (no_such_tensor)", result.err)

    def test_a_tensor_without_values(self):
        result = run("show", self.model, "future")
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertIn(b"(unknown_dtype)", result.err)

    def test_compressed_models_and_shards(self):
        import gzip
        with open(self.model, "rb") as file:
            packed = self.file(gzip.compress(file.read()), "m.gguf.gz")
        self.assertEqual(self.values(packed, "four"), self.values(self.model, "four"))
        for i in range(2):
            self.file(models.gguf([("split.no", "u16", i), ("split.count", "u16", 2), ("split.tensors.count", "i32", 2)],
                                  [(f"t{i}", [1], models.F32, struct.pack("<f", i))]), f"m-0000{i + 1}-of-00002.gguf")
        self.assertEqual(self.values(self.path("m-00001-of-00002.gguf"), "t1"), [[1]])

    def test_a_hostile_name_reaches_no_terminal(self):
        name = "\x1b]0;owned\x07\u202e"
        model = self.file(models.gguf([], [(name, [1], models.F32, struct.pack("<f", 1))]))
        for arguments in ([model, name], [model, name, "--json"]):
            shown = on_terminal("show", *arguments)
            self.assertEqual(shown.status, 0)
            for bad in (b"\x1b]", b"\x07", "\u202e".encode()):
                self.assertNotIn(bad, shown.out)

    @unittest.skipUnless(FIXTURES.is_dir(), "there is no corpus")
    def test_the_corpus(self):
        with open(FIXTURES / "index.tsv", encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
        for row in rows:
            name, type_id, elements, size = row[0], row[1], int(row[3]), int(row[4])
            if not type_id.isdigit():
                continue  # of safetensors; the small floats are held elsewhere
            blocks = (FIXTURES / f"{name}.blocks").read_bytes()[:4 * 64 * size]
            truth = struct.unpack(f"<{len(blocks) // size * elements}f",
                                  (FIXTURES / f"{name}.f32").read_bytes()[:len(blocks) // size * elements * 4])
            model = self.file(models.gguf([], [("t", [len(truth)], int(type_id), blocks)]), f"{name}.gguf")
            found = [struct.unpack("<f", struct.pack("<f", float(value)))[0] for value in self.values(model, "t")[0]]
            same = [a == b and math.copysign(1, a) == math.copysign(1, b) or (a != a and b != b) for a, b in zip(found, truth)]
            self.assertTrue(all(same), name)


if __name__ == "__main__":
    unittest.main()
