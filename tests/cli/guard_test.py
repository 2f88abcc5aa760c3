#!/usr/bin/env python3
"""A model that is cut while the command is at it: an error, where the system would end a process that maps files."""
import os
import subprocess
import unittest

import models
from support import COMMAND, HAS_MMAP, ModelTest, Terminal, run

BIG = 8 << 30  # of holes: seconds to read, nothing on the disk


@unittest.skipUnless(HAS_MMAP, "nothing is mapped on this platform")
class GuardTest(ModelTest):
    def setUp(self):
        super().setUp()
        self.model = self.file(models.gguf([("general.architecture", "string", "test")],
                                           [("big", [BIG // 4], models.F32, b"")]))
        self.begin = os.path.getsize(self.model)  # of the data
        os.truncate(self.model, self.begin + BIG)

    def assert_changed(self, status, error, left):
        self.assertEqual(status, 1)
        self.assertTrue(error.rstrip().endswith(
            f"{self.model}: the file changed while it was read: {self.begin + BIG:,} bytes were expected, "
            f"{left:,} came (file_changed at byte {left})".encode()), error)

    def cut_at_work(self, *arguments):
        """Cuts the model when the command shows how far it is."""
        terminal = Terminal(*arguments)
        while not terminal.shown:
            self.assertTrue(terminal.read_some(60))
        os.truncate(self.model, self.begin + 100)
        result = terminal.finish()
        self.assert_changed(result.status, result.err, self.begin + 100)

    def test_check(self):
        self.cut_at_work("check", self.model)

    def test_show(self):
        if run("show", "--help").status != 0:
            self.skipTest("this build decodes no values")
        self.cut_at_work("show", self.model, "big", "--stats")

    def test_cat_into_a_pipe(self):
        with subprocess.Popen([*COMMAND, "cat", self.model, "big"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.read(1), b"\0")  # now it waits for the pipe to be emptied
            os.truncate(self.model, self.begin)
            out, error = process.communicate(timeout=60)
            self.assertLess(len(out), BIG)
            self.assert_changed(process.returncode, error, self.begin)


if __name__ == "__main__":
    unittest.main()
