#!/usr/bin/env python3
"""Files that another process overwrites while the command reads them: the command ends by itself, with an answer."""
import os
import subprocess
import sys
import unittest

import models
from support import HAS_MMAP, IN_NODE, ModelTest, run

# Overwrites single bytes and whole pieces again and again until its standard input ends, then says how often.
WRITER = r"""
import os, random, select, sys
path, size = sys.argv[1], os.path.getsize(sys.argv[1])
file = os.open(path, os.O_RDWR)
content = os.pread(file, size, 0)
nasty = b'"\\\0\1\2\xff{}u[],:09\x7e\x7f'
chance, changes = random.Random(1), 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(200):
        at = chance.randrange(min(size, 600) if chance.random() < 0.7 else size)
        length = 1 if chance.random() < 0.7 else chance.choice((64, 4096, size))
        piece = bytes([chance.choice(nasty)]) if length == 1 else b'\x7e' * length
        piece = piece[:size - at]
        os.pwrite(file, piece, at)
        os.pwrite(file, content[at:at + len(piece)], at)
        changes += 2
print(changes)
"""


class ChangingFileTest(ModelTest):
    def model(self):
        floats = b"\0\0\x80\x3f" * (1 << 18)
        tensors = [("w", "F32", [len(floats) // 4], floats), ("tensor\n\"2", "U8", [3], b"abc")]
        metadata = {f"key\n{i}": "value\n\"\\" * 8 for i in range(200)}
        return models.safetensors(tensors, metadata)

    def gguf(self):
        entries = [("bools", "array", ("bool", [False, True] * 5000)), ("names", "array", ("string", [b"ab\n"] * 500))]
        return models.gguf(entries, [("w", [4096], models.I8, bytes(4096))])

    def read_while_it_changes(self, path, name, rounds):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            for _ in range(rounds):
                for arguments in (["inspect", path], ["inspect", "--json", "--full", path], ["show", path, name],
                                  ["show", "--stats", path, name], ["cat", path, name], ["check", path]):
                    result = run(*arguments)
                    # Damage is told of, and what changed may be refused; nothing ends the process but itself.
                    self.assertIn(result.status, (0, 1), result.err[-2000:])
                    self.assertNotIn(b"Sanitizer", result.err)
                    self.assertNotIn(b"runtime error", result.err)
        finally:
            changes = int(writer.communicate()[0])
        self.assertGreater(changes, 100 * rounds)
        print(f"{os.path.basename(path)}: {6 * rounds} commands, {changes} changes", flush=True)
        self.assert_fine(run("inspect", path))

    @unittest.skipIf(IN_NODE or not HAS_MMAP, "nothing is mapped")
    def test_every_command_beside_a_writer(self):
        rounds = int(os.environ.get("BALLAST_TEST_ROUNDS", "8"))
        self.read_while_it_changes(self.file(self.model(), "model.safetensors"), "w", rounds)
        self.read_while_it_changes(self.file(self.gguf(), "model.gguf"), "w", rounds)


if __name__ == "__main__":
    unittest.main()
