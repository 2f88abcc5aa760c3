#!/usr/bin/env python3
"""`ballast cat`: the bytes of a tensor, and only they."""
import os
import stat
import subprocess
import unittest

import models
from support import BACKENDS, COMMAND, UNCOUNTED, ModelTest, on_terminal, run


class CatTest(ModelTest):
    def setUp(self):
        super().setUp()
        self.content = os.urandom(20 << 20)  # more than the command writes at once
        self.model = self.file(models.gguf([], [("first", [3], models.I8, b"abc"),
                                                ("big", [20 << 20], models.I8, self.content),
                                                ("blk.0.attn_q.weight", [0], models.I8, b""),
                                                ("-dash", [1], models.I8, b"x"), ("[a,b]", [1], models.I8, b"y"),
                                                ("inspect", [1], models.I8, b"z"),
                                                ("future", [9], 200, bytes(9))]))

    def test_the_bytes_are_written_whole(self):
        for backend in BACKENDS:
            for name, content in [("first", b"abc"), ("big", self.content), ("blk.0.attn_q.weight", b"")]:
                result = run("cat", self.model, name, "--backend", backend)
                self.assert_fine(result)
                self.assertTrue(result.out == content, (backend, name, len(result.out)))

    def test_any_name_can_be_asked_for(self):
        for arguments, content in [(["--", self.model, "-dash"], b"x"), ([self.model, "--", "-dash"], b"x"),
                                   ([self.model, "[a,b]"], b"y"), ([self.model, "inspect"], b"z")]:
            result = run("cat", *arguments)
            self.assert_fine(result)
            self.assertEqual(result.out, content)

    def test_a_file_is_written(self):
        out = self.path("out.bin")
        for name, content in [("big", self.content), ("first", b"abc")]:  # the second time over the longer first
            result = run("cat", self.model, name, "-o", out)
            self.assert_fine(result)
            self.assertEqual(result.out, b"")
            with open(out, "rb") as file:
                self.assertTrue(file.read() == content)
        self.assertEqual(run("cat", self.model, "first", "-o", "-").out, b"abc")

    def test_a_tensor_from_another_shard(self):
        for i in range(2):
            self.file(models.gguf([("split.no", "u16", i), ("split.count", "u16", 2), ("split.tensors.count", "i32", 2)],
                                  [(f"t{i}", [1], models.I8, b"01"[i:i + 1])]), f"m-0000{i + 1}-of-00002.gguf")
        self.assertEqual(run("cat", self.path("m-00001-of-00002.gguf"), "t1").out, b"1")

    def test_standard_input(self):
        with open(self.model, "rb") as file:
            self.assertEqual(run("cat", "-", "first", stdin=file).out, b"abc")

    def test_a_terminal_is_spared(self):
        message = ("the bytes of a tensor would garble a terminal: pipe them, or name a file with -o "
                   "(wrong_usage)")
        for arguments in (["cat", self.model, "first"], ["cat", self.model, "first", "-o", "-"]):
            result = on_terminal(*arguments, streams=("stdout",))
            self.assertEqual((result.status, result.out, result.err.decode()), (2, b"", f"ballast: {message}\n"))

    def test_an_unknown_tensor_is_named_with_its_neighbours(self):
        for wanted, rest in [("frist", "; did you mean 'first'?"), ("attn_q", "; did you mean 'blk.0.attn_q.weight'?"),
                             ("nothing like it", "")]:
            result = run("cat", self.model, wanted)
            self.assertEqual((result.status, result.out), (1, b""))
            line = result.err.decode()
            self.assertRegex(line, rf"^ballast: {self.model}: there is no [^\n]+ \(no_such_tensor\)\n$")
            self.assertIn(wanted, line)
            self.assertEqual(line.endswith(f"{rest} (no_such_tensor)\n"), True, line)
            self.assertEqual("did you mean" in line, bool(rest))

    def test_a_tensor_without_a_size_leaves_the_output_alone(self):
        out = self.file(b"old", "out.bin")
        result = run("cat", self.model, "future", "-o", out)
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertRegex(result.err, rb"^ballast: [^\n]+ \(unknown_dtype[^\n]*\)\n$")
        with open(out, "rb") as file:
            self.assertEqual(file.read(), b"old")

    def test_the_model_itself_is_never_the_output(self):
        before = os.stat(self.model)
        os.link(self.model, self.path("hard"))
        os.symlink(self.model, self.path("soft"))
        for out in (self.model, self.path("hard"), self.path("soft")):
            result = run("cat", self.model, "first", "-o", out)
            self.assert_refused(result, f"{out}: -o names a file of the model itself (wrong_usage)", status=2)
        after = os.stat(self.model)
        self.assertEqual((before.st_size, before.st_mtime_ns), (after.st_size, after.st_mtime_ns))

    def test_a_failed_write_leaves_no_half_of_a_file(self):
        out = self.path("out.bin")
        done = subprocess.run(["sh", "-c", 'ulimit -f 8; trap "" XFSZ; "$@"', "sh", *COMMAND, "cat", self.model, "big",
                               "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env=UNCOUNTED)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(done.stderr.decode(), f"ballast: {out}: cannot write: File too large (file_too_large)\n")
        self.assertFalse(os.path.exists(out))

    def test_devices_are_outputs_and_stay(self):
        self.assert_fine(run("cat", self.model, "first", "-o", "/dev/null"))
        result = run("cat", self.model, "first", "-o", "/dev/full")
        self.assertEqual(result.status, 1)
        self.assertEqual(result.err, b"ballast: /dev/full: cannot write: No space left on device "
                                     b"(no_space_on_device)\n")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/full").st_mode))

    def test_an_output_that_cannot_be_made(self):
        out = self.path("no/such/folder")
        self.assert_refused(run("cat", self.model, "first", "-o", out),
                            f"{out}: cannot open: No such file or directory (no_such_file_or_directory)")


if __name__ == "__main__":
    unittest.main()
