#!/usr/bin/env python3
"""The tables of `ballast inspect`: what is in them, and that they fit."""
import re
import unicodedata
import unittest

import models
from support import HAS_MMAP, ModelTest, environment, on_terminal, run

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

GOLDEN = """{path}

  format        GGUF version 3, alignment 32
  architecture  llama
  name          Tiny
  size          768 bytes
  parameters    46
  bits/weight   12.17
  storage       {storage}

dtypes  3
  F32   1 tensor   48 bytes   68.6 %
  Q4_0  1 tensor   18 bytes   25.7 %
  F16   1 tensor    4 bytes    5.7 %

metadata  4
  general.architecture   string    llama
  general.name           string    Tiny
  llama.block_count      u32       2
  tokenizer.ggml.tokens  string[]  ["token0", "token1", "token2", "token3", "token4", "token5", "token6", "token7", ...] \
(20 items)

tensors  3
  name                 dtype  shape   offset  bytes
  token_embd.weight    F32     4 x 3     640     48
  blk.0.attn_q.weight  Q4_0   32         704     18
  blk.1.attn_q.weight  F16     2         736      4
"""


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def sections(text):
    """The lines below each heading, by its first word."""
    found, name = {}, "summary"
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name = line.split("  ")[0]
        found.setdefault(name, []).append(line)
    return found


class TableTest(ModelTest):
    def show(self, path, *more):
        result = run("inspect", path, *more)
        self.assert_fine(result)
        return result.out.decode()

    def show_on_terminal(self, path, *more, columns=80, **other):
        result = on_terminal("inspect", path, *more, columns=columns, **other)
        self.assertEqual(result.status, 0)
        return result.out.decode()

    def test_the_tables_are_these(self):
        path = self.file(models.simple())
        self.assertEqual(self.show(path), GOLDEN.format(path=path, storage="mmap" if HAS_MMAP else "heap"))
        self.assertIn("\n  storage       heap\n", self.show(path, "--backend", "heap"))

    def test_a_pipe_gets_no_colours_and_a_terminal_does(self):
        path = self.file(models.simple())
        self.assertNotIn("\x1b", self.show(path))
        shown = self.show_on_terminal(path)
        self.assertIn("\x1b[1mtensors\x1b[0m", shown)
        for env in (environment(NO_COLOR="1"), environment(TERM="dumb")):
            self.assertNotIn("\x1b", self.show_on_terminal(path, env=env))
        self.assertIn("\x1b[1m", self.show_on_terminal(path, env=environment(NO_COLOR="")))

    def test_colours_change_nothing_else(self):
        path = self.file(models.simple())
        coloured = self.show_on_terminal(path)
        self.assertEqual(ESCAPE.sub("", coloured), self.show_on_terminal(path, env=environment(NO_COLOR="1")))

    def test_json_has_no_colours_anywhere(self):
        path = self.file(models.simple())
        self.assertEqual(self.show_on_terminal(path, "--json"), self.show(path, "--json"))
        self.assertNotIn("\x1b", self.show_on_terminal(path, "--json"))

    def test_lines_fit_the_terminal(self):
        long = "model.layers.0.self_attention.very_long_name_of_a_projection.inner.weight"
        entries = [("general.name", "string", "a rather long name " * 20), (long, "string", "text " * 50),
                   ("array", "array", ("string", ["a long element of an array"] * 9)),
                   ("numbers", "array", ("f64", [0.1234567890123 * i for i in range(20)])),
                   ("nested", "array", ("array", [("u32", list(range(100)))] * 3)), ("wide", "string", "大模型" * 60)]
        tensors = [(long[:64], [1 << 3, 1 << 4], models.I8, bytes(1 << 7)), ("大模型" * 7, [1], models.I8, b"x"),
                   ("e\u0301" * 20, [1], models.I8, b"x"), ("short", [1], models.I8, b"x")]
        path = self.file(models.gguf(entries, tensors) + b"trailing", "m.gguf")
        for columns in (72, 80, 100, 160):
            text = ESCAPE.sub("", self.show_on_terminal("m.gguf", columns=columns, cwd=self.folder))
            for line in text.splitlines():
                self.assertLessEqual(width(line), columns, line)
            if columns < 100:
                self.assertRegex(sections(text)["tensors"][2], r"^  model\.layers\.\S+\.\.\.\S+  I8 ")
        self.assertIn(long[:64], self.show(path))
        self.assertIn("text " * 50, self.show(path))
        self.assertIn(long, self.show_on_terminal(path, "--full", columns=60))

    def test_columns_stand_below_each_other_whatever_the_script(self):
        names = ["plain", "大模型", "e\u0301e\u0301", "ไม้", "\U0001f600", "Größe"]
        path = self.file(models.gguf([], [(name, [1], models.I8, b"x") for name in names]))
        rows = sections(self.show(path))["tensors"][1:]
        self.assertEqual(len(rows), 1 + len(names))
        ends = {width(row[:row.index("I8")]) for row in rows[1:] if "ไ" not in row}
        self.assertEqual(ends, {width(rows[0][:rows[0].index("dtype")])})

    def test_a_folded_string_says_how_long_it_is(self):
        path = self.file(models.gguf([("template", "string", "x" * 12345)]))
        text = self.show_on_terminal(path, env=environment(NO_COLOR="1"))
        self.assertRegex(text, r"\n  template  string  x+\.\.\. \(12,345 bytes\)\n")

    def test_arrays_show_eight_elements_unless_all_are_asked_for(self):
        for count, expected in [(0, "[]"), (8, "[0, 1, 2, 3, 4, 5, 6, 7]"), (9, "[0, 1, 2, 3, 4, 5, 6, 7, ...] (9 items)")]:
            path = self.file(models.gguf([("x", "array", ("u8", list(range(count))))]))
            self.assertIn(f"  x  u8[]  {expected}\n", self.show(path))
        self.assertIn("  x  u8[]  [0, 1, 2, 3, 4, 5, 6, 7, 8]\n", self.show(path, "--full"))

    def test_elements_are_told_apart(self):
        path = self.file(models.gguf([("x", "array", ("string", ['"', "\\", "a, b", ""]))]))
        self.assertIn('["\\"", "\\\\", "a, b", ""]\n', self.show(path))

    def test_short_names_are_folded_without_a_length(self):
        path = self.file(models.gguf([("k" * 30, "string", "words " * 10)]))
        text = self.show_on_terminal(path, columns=60, env=environment(NO_COLOR="1"))
        self.assertRegex(text, r"  string  words words w\S*\.\.\.\n")

    def test_the_filter(self):
        path = self.file(models.simple())
        names = ["token_embd.weight", "blk.0.attn_q.weight", "blk.1.attn_q.weight"]
        for pattern, expected in [
            ("", names), ("*", names), ("attn", names[1:]), ("ATTN_Q", names[1:]), ("blk.*", names[1:]),
            ("BLK.?.*", names[1:]), ("blk.[0]*", names[1:2]), ("blk.[!0]*", names[2:]), ("blk.[^0]*", names[2:]),
            ("blk.[1-9].*", names[2:]), ("*weight", names), ("*.attn*.weight", names[1:]), ("attn*", []),
            ("?", []), ("blk.?", []), ("[", []), ("[]", []), ("*[q]*", names[1:]), ("nothing", []),
            ("**t**", names), ("*x*y*z*", []),
        ]:
            lines = sections(self.show(path, "--filter", pattern)).get("tensors", [])
            shown = [line.split()[0] for line in lines[2:] if line]
            self.assertEqual(shown, expected, pattern)
            count = "3" if len(expected) == 3 else f"{len(expected)} of 3"
            self.assertEqual(lines[0], f"tensors  {count}", pattern)

    def test_the_filter_takes_letters_in_either_case(self):
        path = self.file(models.gguf([("LM.Head", "u8", 1)]))
        for pattern in ("lm.head", "Lm.HEAD", "lm.*", "L?.*d", "[l]m*", "[A-Z]M.*"):
            self.assertIn("metadata  1\n", self.show(path, "--filter", pattern), pattern)

    def test_the_filter_takes_characters_not_bytes(self):
        path = self.file(models.gguf([], [("größe", [1], models.I8, b"x"), (b"gr\xff", [1], models.I8, b"x")]))
        for pattern, count in [("gr?ße", 1), ("gr??", 0), ("gr?", 1), ("gr[ö]ße", 1), ("gr[a-z]*", 0), ("GRö", 1)]:
            self.assertIn(f"tensors  {count} of 2", self.show(path, "--filter", pattern), pattern)

    def test_a_glob_with_many_stars_ends(self):
        path = self.file(models.gguf([("k" * 60000, "u8", 1)]))
        self.assertIn("metadata  0 of 1", self.show(path, "--filter", "*k" * 30 + "*x"))

    def test_what_is_summed_up_is_the_whole_model(self):
        path = self.file(models.simple())
        text = self.show(path, "--filter", "token_embd")
        self.assertIn("  parameters    46\n", text)
        self.assertIn("dtypes  3\n", text)

    def test_a_model_without_anything(self):
        path = self.file(models.gguf())
        text = self.show(path)
        self.assertEqual(list(sections(text)), [path])
        self.assertIn("  parameters    0\n", text)

    def test_a_tensor_of_no_known_size(self):
        path = self.file(models.gguf([], [("t", [5], 200, bytes(5))]))
        text = self.show(path)
        self.assertRegex(text, r"\n  unknown\(200\)  1 tensor   unknown    0\.0 %\n")
        self.assertRegex(text, r"\n  t     unknown\(200\)  5      +\d+  unknown\n")

    def test_a_set_lists_its_files(self):
        for i in range(2):
            entries = [("split.no", "u16", i), ("split.count", "u16", 2), ("split.tensors.count", "i32", 2)]
            self.file(models.gguf(entries, [(f"t{i}", [1], models.I8, b"0")]), f"m-0000{i + 1}-of-00002.gguf")
        text = self.show(self.path("m-00001-of-00002.gguf"))
        found = sections(text)
        self.assertRegex(found["files"][1], r"^  1  m-00001-of-00002\.gguf  \d+ bytes$")
        self.assertRegex(found["files"][2], r"^  2  m-00002-of-00002\.gguf  \d+ bytes$")
        self.assertEqual([line.split()[-1] for line in found["tensors"][1:] if line], ["file", "1", "2"])

    def test_sizes_have_three_digits_and_a_unit(self):
        for count, size, parameters in [(999, None, "999"), (1000, None, "1.00 K"), (9994, None, "9.99 K"),
                                        (9996, None, "10.0 K"), (999499, None, "999 K"), (999500, None, "1.00 M")]:
            path = self.file(models.gguf([], [("t", [count], models.I8, bytes(count))]))
            exact = f"  ({count:,})" if count >= 1000 else ""
            self.assertIn(f"\n  parameters    {parameters}{exact}\n", self.show(path))


if __name__ == "__main__":
    unittest.main()
