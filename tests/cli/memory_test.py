#!/usr/bin/env python3
"""The command in less and less memory, and with an output that takes less and less: a line, and exit status 1."""
import os
import resource
import signal
import subprocess
import unittest

import models
from support import COMMAND, IN_NODE, UNCOUNTED, ModelTest

TENSOR = ("token_embd.weight", [3 << 20], models.I8, bytes(range(256)) * (3 << 12))


def limited(limit, size, *arguments):
    """Runs the command with a limit of the system's, and without the signal that goes with one of them."""
    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit, (size, size))
    return subprocess.run([*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, preexec_fn=prepare, env=UNCOUNTED)


def least_memory():
    """MiB of addresses in which the command starts and says its version; None where no limit tells."""
    def starts(size):
        return limited(resource.RLIMIT_AS, size << 20, "--version").returncode == 0
    return next((size for size in range(4, 201) if starts(size)), None) if starts(200) else None


@unittest.skipIf(IN_NODE, "Node itself takes memory without limits")
class MemoryTest(ModelTest):
    def test_a_command_without_memory_says_so(self):
        least = least_memory()
        if least is None:
            self.skipTest("this build cannot run in little memory")
        path = self.file(models.gguf([(f"key{i}", "string", "x" * 1000) for i in range(2000)], [TENSOR]))
        refused = 0
        for arguments in (["inspect", path], ["inspect", "--json", "--full", path], ["check", path],
                          ["inspect", "--backend", "heap", path], ["cat", path, "token_embd.weight"],
                          ["cat", "--backend", "heap", path, "token_embd.weight"],
                          ["show", "--backend", "heap", path, "token_embd.weight"]):
            statuses = []
            for size in range(least, least + 24):
                with self.subTest(arguments=arguments, size=size):
                    done = limited(resource.RLIMIT_AS, size << 20, *arguments)
                    statuses.append(done.returncode)
                    if done.returncode == 0:
                        self.assertEqual(done.stderr, b"")
                        continue
                    self.assertEqual(done.returncode, 1)
                    self.assertRegex(done.stderr, rb"^ballast: [^\n]+ \((out_of_memory|not_enough_memory|too_large)\)\n$")
            self.assertEqual(statuses[-1], 0, arguments)
            refused += sum(status != 0 for status in statuses)
        self.assertGreater(refused, 0, "no limit was low enough")

    def test_a_file_that_may_not_grow_is_reported_and_removed(self):
        path, out = self.file(models.gguf([], [TENSOR])), self.path("out")
        for size in (0, 1, 4096, (1 << 20) + 1, (3 << 20) - 1):
            with self.subTest(size=size):
                done = limited(resource.RLIMIT_FSIZE, size, "cat", path, TENSOR[0], "-o", out)
                self.assertEqual((done.returncode, done.stdout, done.stderr.decode()),
                                 (1, b"", f"ballast: {out}: cannot write: File too large (file_too_large)\n"))
                self.assertFalse(os.path.exists(out))
        done = limited(resource.RLIMIT_FSIZE, 3 << 20, "cat", path, TENSOR[0], "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with open(out, "rb") as file:
            self.assertEqual(file.read(), TENSOR[3])


class OutputTest(ModelTest):
    def test_a_full_device_is_reported_by_cat(self):
        path = self.file(models.gguf([], [TENSOR]))
        done = subprocess.run([*COMMAND, "cat", path, TENSOR[0], "-o", "/dev/full"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (
            1, b"", b"ballast: /dev/full: cannot write: No space left on device (no_space_on_device)\n"))
        self.assertTrue(os.path.exists("/dev/full"))

    def test_a_full_standard_error_changes_no_exit_status(self):
        for arguments, status in ((["inspect", self.path("missing")], 1), (["bogus"], 2)):
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=full, timeout=60)
                self.assertEqual((done.returncode, done.stdout), (status, b""))


if __name__ == "__main__":
    unittest.main()
