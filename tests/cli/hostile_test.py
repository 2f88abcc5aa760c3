#!/usr/bin/env python3
"""Nothing that a stranger wrote into a file reaches a terminal as it is, from any command, in any mode."""
import json
import os
import re
import time
import unittest

import models
from support import (BACKENDS, HAS_MMAP, IN_NODE, ModelTest, Result, Terminal, needs_raw_arguments, on_terminal,
                     run)

# Each of these does something to a terminal, or disguises what is there.
WEAPONS = ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b[2J", "\r", "\n", "\b\b", "\x00", "\x7f", "\x85", "\x9b31m",
           "\u202egnp.exe", "\u2066x\u2069", "\u200f", "\u061c", "\u2028", "\u2029", "\ufeff"]
NOT_UTF8 = [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x9b31m"]
# The colours of the tables and the erasing of a progress line are the only sequences that are ours.
OURS = re.compile(r"\x1b\[(?:0|1|2|33)m|\r\x1b\[K")
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
                       "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
                       "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")

# Everything that must not be shown as it is, in one string, with what terminals take for commands.
EVERYTHING = "".join(map(chr, [*range(1, 0x20), *range(0x7f, 0xa0), 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5,
                               *range(0x180b, 0x1810), *range(0x200b, 0x2010), *range(0x2028, 0x202f),
                               *range(0x2060, 0x2070), 0x3164, *range(0xfe00, 0xfe10), 0xfeff, 0xffa0,
                               *range(0xfff0, 0xfffc), *range(0x1bca0, 0x1bca4), *range(0x1d173, 0x1d17b), 0xe0001,
                               0xe0020, 0xe007f, 0xe0100, 0xe01ef, 0xe0fff]))
COMMANDS = ["\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "\x1b]52;c;YQ==\x07", "\x1bPq\x1b\\", "\x9d0;t\x9c", "\x9b2J",
            "\x1b[6n", "\x1b[?1049h", "\x1bc", "\x0e", "\u009b31m"]
SWEEP = f"a{EVERYTHING}{''.join(COMMANDS)}b"


def hostile_strings(weapons=WEAPONS):
    return [f"a{weapon}b".encode() for weapon in weapons] + [b"a" + raw + b"b" for raw in NOT_UTF8]


# For tests that run the command for each of them; neither an argument nor a path can have a NUL. Node takes its time to
# start, and the code that escapes is the same: there they come together, in two names of at most 64 bytes.
ARGUMENTS = [weapon for weapon in WEAPONS if weapon != "\x00"]
if IN_NODE:
    ARGUMENTS = ["".join(ARGUMENTS[:8]), "".join(ARGUMENTS[8:])]


class HostileTest(ModelTest):
    def assert_harmless(self, result, ours=False):
        for stream in (result.out, result.err):
            text = stream.decode()  # and it is UTF-8
            text = OURS.sub("", text) if ours else text
            found = FORBIDDEN.search(text)
            self.assertIsNone(found, found and text[max(0, found.start() - 60):found.start() + 20])

    def assert_lines(self, result, count):
        self.assertEqual(len(result.err.splitlines()), count, result.err)

    def modes(self, path):
        for backend in BACKENDS if HAS_MMAP else ["auto"]:  # where nothing is mapped, all are one
            for mode in ([], ["--full"], ["--json"], ["--json", "--full"]):
                yield ["inspect", "--backend", backend, *mode, path]
            yield ["check", "--backend", backend, path]

    def everywhere(self, path, status=0):
        for arguments in self.modes(path):
            result = run(*arguments)
            self.assertEqual(result.status, status, result.err)
            self.assert_harmless(result)
            for columns in (20, 80, 160):
                shown = on_terminal(*arguments, columns=columns)
                self.assertEqual(shown.status, status)
                self.assert_harmless(shown, ours=True)

    def test_names_and_metadata_of_gguf(self):
        strings = hostile_strings()
        entries = [("general.architecture", "string", strings[0]), ("general.name", "string", strings[4])]
        entries += [(string, "u8", 1) for string in strings]
        entries += [(f"text{i}", "string", string * 40) for i, string in enumerate(strings)]
        entries += [("array", "array", ("string", strings)), ("more", "array", ("string", strings[::-1])),
                    ("nested", "array", ("array", [("string", strings[i:i + 1]) for i in range(8)]))]
        tensors = [(string, [1], models.I8, b"x") for string in strings] + [("future", [1], 200, b"x")]
        self.everywhere(self.file(models.gguf(entries, tensors)))

    def show_everywhere(self, path, name):
        # Node takes its time to start, and the same code puts the name in.
        for mode in ([], ["--json"]) if IN_NODE else ([], ["--stats"], ["--json"], ["--rows", "0"]):
            arguments = ["show", *mode, path, name]
            result = run(*arguments)
            self.assertEqual(result.status, 0, result.err)
            self.assert_harmless(result)
        self.assert_harmless(on_terminal("show", path, name, columns=40), ours=True)

    def test_tensors_that_are_shown(self):
        names = [f"a{weapon}b" for weapon in ARGUMENTS]
        path = self.file(models.gguf([], [(name, [1], models.I8, b"x") for name in names]))
        future = self.file(models.safetensors([(name, f"D{name}", [1], b"x") for name in names]), "future.safetensors")
        for name in names:
            self.show_everywhere(path, name)
            result = run("show", future, name)
            self.assertEqual((result.status, result.out), (1, b""))
            self.assertIn(b"(unknown_dtype)", result.err)
            self.assert_lines(result, 1)
            self.assert_harmless(result)

    @needs_raw_arguments
    def test_tensors_that_are_shown_and_are_not_utf8(self):
        path = self.file(models.gguf([], [(b"a" + raw + b"b", [1], models.I8, b"x") for raw in NOT_UTF8]))
        for raw in NOT_UTF8:
            self.show_everywhere(path, os.fsdecode(b"a" + raw + b"b"))

    def test_names_dtypes_and_metadata_of_safetensors(self):
        tensors = [(f"a{weapon}b", f"D{weapon}", [1], b"x") for weapon in WEAPONS]
        metadata = {f"key{weapon}": f"value{weapon}" for weapon in WEAPONS}
        self.everywhere(self.file(models.safetensors(tensors, metadata)))

    def sweep(self):
        """A model in which every text is all of it, in a file whose name is as much of it as a name can be."""
        content = models.safetensors([(SWEEP, "U8", [2], b"xy"), ("future", SWEEP, [1], b"z")], {SWEEP: SWEEP, "x": SWEEP})
        return self.file(content, f"{EVERYTHING[:200]}.safetensors".encode()[-240:].decode("utf-8", "ignore"))

    def test_every_character_at_once_in_every_command(self):
        path = self.sweep()
        commands = [["inspect", path], ["inspect", "--full", path], ["inspect", "--json", "--full", path], ["check", path],
                    ["show", path, SWEEP], ["show", "--json", path, SWEEP], ["show", "--stats", path, SWEEP],
                    ["show", path, SWEEP + "!"], ["cat", path, SWEEP + "!"], ["cat", path, "future"],
                    ["inspect", path + SWEEP], ["cat", path, SWEEP, "-o", path], [SWEEP], ["--" + SWEEP],
                    ["inspect", path, "--filter=" + SWEEP], ["show", path, SWEEP, "--rows=" + SWEEP]]
        for arguments in commands:
            with self.subTest(arguments[:2]):
                self.assert_harmless(run(*arguments))
                self.assert_harmless(on_terminal(*arguments, columns=100), ours=True)

    def test_json_has_every_character_and_gives_it_back(self):
        path = self.sweep()
        shown = json.loads(run("inspect", "--json", "--full", path).out)
        self.assertEqual([tensor["name"] for tensor in shown["tensors"]], [SWEEP, "future"])
        self.assertEqual(shown["tensors"][1]["dtype"], SWEEP)
        self.assertEqual({key: entry["value"] for key, entry in shown["metadata"].items()}, {SWEEP: SWEEP, "x": SWEEP})
        self.assertEqual(json.loads(run("show", "--json", path, SWEEP).out)["name"], SWEEP)

    def test_names_that_objects_have_are_keys_of_json_like_any_other(self):
        names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "", "0", "-1", "1e3", "length"]
        path = self.file(models.safetensors([(name, "U8", [1], b"x") for name in names], {name: name for name in names}))
        shown = json.loads(run("inspect", "--json", "--full", path).out)
        self.assertEqual([tensor["name"] for tensor in shown["tensors"]], names)
        self.assertEqual({key: entry["value"] for key, entry in shown["metadata"].items()}, {name: name for name in names})

    @needs_raw_arguments  # and a FIFO that is written to meanwhile
    def test_a_progress_line(self):
        path = self.path(EVERYTHING.encode()[:240].decode("utf-8", "ignore"))
        os.mkfifo(path)
        terminal = Terminal("check", path, streams=("stderr",))
        content = models.gguf([], [("w", [1 << 20], models.I8, bytes(1 << 20))])
        with open(path, "wb", buffering=0) as fifo:
            for i in range(8):
                fifo.write(content[i * len(content) // 8:(i + 1) * len(content) // 8])
                time.sleep(0.1)
        result = terminal.finish()
        self.assertEqual(result.status, 0, result.err)
        self.assertIn(b"\x1b[K", result.err)
        self.assert_harmless(Result(0, result.out, re.sub(rb"\r", b"", re.sub(rb"\x1b\[K", b"", result.err))))

    def test_files_of_a_set(self):
        evil = "a\x1b[31m\u202e\n.safetensors"
        self.file(models.safetensors([("t", "U8", [1], b"x")]), evil)
        index = '{"weight_map": {"t": "a\\u001b[31m\\u202e\\n.safetensors"}}'
        self.everywhere(self.file(index.encode(), "model.safetensors.index.json"))
        os.remove(os.path.join(self.folder, evil))
        self.everywhere(self.path("model.safetensors.index.json"), status=1)

    def test_paths(self):
        for raw in hostile_strings(ARGUMENTS):
            good = self.file(models.simple(), raw)
            self.everywhere(good) if raw.startswith(b"a\x1b[31") else self.assert_harmless(run("inspect", good))
            bad = self.file(b"GGUF", raw + b"bad")
            for path in (bad, good + "missing"):
                for arguments in (["inspect", path], ["cat", path, "t"], ["show", path, "t"], ["check", path]):
                    result = run(*arguments)
                    self.assertEqual((result.status, result.out), (1, b""))
                    self.assert_lines(result, 1)
                    self.assert_harmless(result)

    def test_errors_about_hostile_content(self):
        for raw in hostile_strings([*ARGUMENTS, "\x00"]):
            path = self.file(models.gguf([(raw, "u8", 1), (raw, "u8", 2)]))  # a duplicate key
            for arguments in (["inspect", path], ["inspect", "--json", path], ["cat", path, "t"], ["check", path]):
                result = run(*arguments)
                self.assertEqual((result.status, result.out), (1, b""))
                self.assert_lines(result, 1)
                self.assertIn(b"(duplicate_key at byte ", result.err)
                self.assert_harmless(result)

    def assert_suggested(self, raw):
        path = self.file(models.gguf([], [(raw, [1], models.I8, b"x")]))
        for command in ("cat", "show"):
            result = run(command, path, os.fsdecode(raw + b"x"))
            self.assertEqual((result.status, result.out), (1, b""))
            self.assertIn(b"did you mean", result.err)
            self.assert_lines(result, 1)
            self.assert_harmless(result)

    def test_suggestions_and_unknown_names(self):
        for weapon in ARGUMENTS:
            self.assert_suggested(f"a{weapon}b".encode())

    @needs_raw_arguments
    def test_suggestions_and_unknown_names_that_are_not_utf8(self):
        for raw in NOT_UTF8:
            self.assert_suggested(b"a" + raw + b"b")

    def test_arguments(self):
        for raw in hostile_strings(ARGUMENTS):
            text = os.fsdecode(raw)
            for arguments in ([text], ["--" + text], ["inspect", "m", text], ["inspect", "--" + text],
                              ["inspect", "m", "--backend", text], ["cat", "m", "t", text],
                              ["show", "m", "t", text], ["show", "m", "t", "--rows=" + text]):
                result = run(*arguments)
                self.assertEqual((result.status, result.out), (2, b""))
                self.assert_lines(result, 1)
                self.assert_harmless(result)


if __name__ == "__main__":
    unittest.main()
