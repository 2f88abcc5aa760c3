#!/usr/bin/env python3
"""`ballast check`: every byte of every model, progress for those who watch."""
import os
import re
import signal
import struct
import subprocess
import time
import unittest

import models
from support import BACKENDS, COMMAND, HAS_MMAP, ModelTest, Terminal, environment, needs_signals, on_terminal, run


class CheckTest(ModelTest):
    def test_a_good_model_is_ok(self):
        path = self.file(models.simple())
        for backend in BACKENDS:
            result = run("check", path, "--backend", backend)
            self.assert_fine(result)
            size = os.path.getsize(path)
            self.assertEqual(result.out.decode(),
                             f"{path}: ok: 3 tensors, 4 metadata entries, {size} bytes read\n")

    def test_a_set_says_how_many_files_it_has(self):
        for i in range(2):
            self.file(models.gguf([("split.no", "u16", i), ("split.count", "u16", 2), ("split.tensors.count", "i32", 2)],
                                  [(f"t{i}", [1], models.I8, b"0")]), f"m-0000{i + 1}-of-00002.gguf")
        result = run("check", self.path("m-00001-of-00002.gguf"))
        self.assert_fine(result)
        self.assertRegex(result.out, rb": ok: 2 tensors, 3 metadata entries, \d+ bytes read in 2 files\n$")

    def test_what_opening_leaves_alone_is_looked_at(self):
        content = models.gguf([("words", "array", ("string", ["fine", b"\xff"]))],
                              [("a", [1], models.I8, b"a"), ("b", [1], models.I8, b"b")])
        spoilt = content.replace(b"a" + bytes(31), b"a" + bytes(30) + b"!")
        path = self.file(spoilt)
        self.assertNotIn(b"nonzero_padding", run("inspect", "--json", path).out)
        result = run("check", path)
        self.assert_fine(result)
        lines = result.out.decode().splitlines()
        self.assertRegex(lines[0], ": ok: ")
        self.assertTrue(any(re.match(rf"  warning: .+ \(nonzero_padding at byte {len(content) - 33}\)$", line)
                            for line in lines[1:]), lines)
        self.assertTrue(any(re.match(r"  warning: .+ \(not_utf8 at byte 24\)$", line) for line in lines[1:]), lines)

    def test_warnings_of_opening_are_shown_too(self):
        result = run("check", self.file(models.simple() + b"x"))
        self.assert_fine(result)
        self.assertRegex(result.out, rb"\n  warning: [^\n]+ \(trailing_bytes at byte \d+\)\n")

    def test_all_are_checked_and_one_bad_one_fails(self):
        first, last = self.file(models.simple(), "first"), self.file(models.safetensors(), "last")
        bad, missing = self.file(b"GGUF", "bad"), self.path("missing")
        result = run("check", first, bad, missing, last)
        self.assertEqual(result.status, 1)
        self.assertEqual([line.split(b": ok: ")[0].decode() for line in result.out.splitlines()], [first, last])
        errors = result.err.decode().splitlines()
        self.assertEqual(len(errors), 2)
        self.assertRegex(errors[0], rf"^ballast: {bad}: .+ \(truncated( at byte \d+)?\)$")
        self.assertRegex(errors[1], rf"^ballast: {missing}: .+ \(no_such_file_or_directory\)$")
        self.assertEqual(run("check", first, last).status, 0)

    def test_the_status_counts_also_when_nobody_reads_the_results(self):
        good, bad = self.file(models.simple(), "good"), self.file(b"GGUF", "bad")
        for paths, status in [([good, good], 0), ([good, bad], 1)]:
            read, write = os.pipe()
            os.close(read)
            process = subprocess.Popen([*COMMAND, "check", *paths], stdout=write, stderr=subprocess.DEVNULL)
            os.close(write)
            self.assertEqual(process.wait(60), status)


class ProgressTest(ModelTest):
    """Uses a model that is a hole in a file, so that it takes a while and no space."""

    def big(self, gigabytes=3):
        size = gigabytes << 30
        head = models.gguf([], [("hole", [size], models.I8, b"")])
        path = self.file(head, "big.gguf")
        os.truncate(path, len(head) + size)
        return path

    def slow(self, *arguments, **more):
        """A command on a terminal that reads a model from a pipe in which nothing more comes."""
        read, write = os.pipe()
        self.addCleanup(lambda: write is None or os.close(write))
        terminal = Terminal(*arguments, "-", stdin=read, **more)
        os.close(read)
        os.write(write, models.gguf([], [("hole", [1 << 40], models.I8, b"")]))
        return terminal, write

    @unittest.skipUnless(HAS_MMAP, "a heap of that size is not for a test")
    def test_a_terminal_sees_progress_and_a_clean_line_afterwards(self):
        path = self.big()
        result = on_terminal("check", path, streams=("stderr",))
        self.assertEqual(result.status, 0)
        self.assertEqual(result.out.decode(), f"{path}: ok: 1 tensor, 0 metadata entries, "
                                              f"{os.path.getsize(path):,} bytes read\n")
        frames = result.err.split(b"\r")
        self.assertEqual(frames[0], b"")
        self.assertGreater(len(frames), 2, "too fast for a progress line")
        for frame in frames[1:-1]:
            self.assertRegex(frame.decode(),
                             r"^\S+  \[=*>? *\] +\d+ %  +[\d.]+ [kMG]B  [\d.]+ [kMG]B/s  \d+:\d\d left\x1b\[K$")
            self.assertLess(len(frame), 80 + len(b"\x1b[K"))
        percents = [int(re.search(rb"(\d+) %", frame)[1]) for frame in frames[1:-1]]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual(frames[-1], b"\x1b[K")

    @unittest.skipUnless(HAS_MMAP, "a heap of that size is not for a test")
    def test_a_pipe_and_a_dumb_terminal_see_no_progress(self):
        path = self.big(2)
        self.assert_fine(run("check", path))
        result = on_terminal("check", path, streams=("stderr",), env=environment(TERM="dumb"))
        self.assertEqual((result.status, result.err), (0, b""))

    @needs_signals
    def test_ctrl_c_ends_at_once_and_leaves_a_clean_line(self):
        for command in (["check"], ["inspect", "--json"]):
            terminal, _ = self.slow(*command)
            time.sleep(0.5)
            os.kill(terminal.process.pid, signal.SIGINT)
            result = terminal.finish()
            self.assertEqual(result.status, -signal.SIGINT)  # which a shell shows as 130
            self.assertEqual(result.out, b"\r\x1b[K")

    @needs_signals
    @unittest.skipUnless(HAS_MMAP, "a heap of that size is not for a test")
    def test_ctrl_c_ends_statistics_too(self):
        terminal = Terminal("show", "--stats", self.big(2), "hole")
        deadline = time.monotonic() + 60
        while b"%" not in terminal.shown and terminal.read_some(1) and time.monotonic() < deadline:
            pass
        os.kill(terminal.process.pid, signal.SIGINT)
        result = terminal.finish()
        self.assertEqual(result.status, -signal.SIGINT)
        self.assertRegex(result.out, rb"^\r\S+  \[[^\n]* left\x1b\[K\r\x1b\[K$")

    @needs_signals
    def test_an_ignored_ctrl_c_stays_ignored(self):
        read, write = os.pipe()
        process = subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *COMMAND, "check", "-"], stdin=read,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(read)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        os.write(write, models.simple())
        os.close(write)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertTrue(out.startswith(b"-: ok: "), out)


if __name__ == "__main__":
    unittest.main()
