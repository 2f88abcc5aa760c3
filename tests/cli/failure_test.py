#!/usr/bin/env python3
"""Exit statuses, the one line on standard error, and what wrong usage is."""
import os
import re
import subprocess
import time
import unittest

import models
from support import COMMAND, HAS_MMAP, VERSION, ModelTest, needs_closed_streams, on_terminal, run

HELP = "see ballast --help (wrong_usage)"
INSPECT_HELP = "see ballast inspect --help (wrong_usage)"


class UsageTest(ModelTest):
    def test_wrong_usage_is_one_line_and_exit_status_2(self):
        for arguments, line in [
            ([], f"a command is needed: inspect, show, cat or check; {HELP}"),
            (["insect", "model"], f'there is no command "insect"; {HELP}'),
            (["--bogus"], f'there is no option "--bogus"; {HELP}'),
            (["inspect"], f"MODEL is required; {INSPECT_HELP}"),
            (["inspect", "a", "b"], f"the following argument was not expected: b; {INSPECT_HELP}"),
            (["inspect", "a", "--bogus"], f"the following argument was not expected: --bogus; {INSPECT_HELP}"),
            (["inspect", "a", "--filter"], f"--filter: 1 required PATTERN missing; {INSPECT_HELP}"),
            (["inspect", "a", "--backend", "x"],
             f'--backend: it must be auto, map or heap, not "x"; {INSPECT_HELP}'),
            (["cat", "a"], "TENSOR is required; see ballast cat --help (wrong_usage)"),
            (["show", "a"], "TENSOR is required; see ballast show --help (wrong_usage)"),
            (["show", "a", "b", "--rows"],
             "--rows: 1 required A:B missing; see ballast show --help (wrong_usage)"),
            (["check"], "MODEL is required; see ballast check --help (wrong_usage)"),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_refused(run(*arguments), line, status=2)

    def test_flags_take_no_value(self):
        for flag in ("--json=3", "--json=false", "--full=1"):
            result = run("inspect", "a", flag)
            self.assertEqual((result.status, result.out), (2, b""))
            self.assertRegex(result.err, rb"^ballast: [^\n]+; see ballast inspect --help \(wrong_usage\)\n$")

    def test_a_model_is_not_typed_in(self):
        result = on_terminal("inspect", "-", stdin="terminal", streams=())
        self.assert_refused(result, "standard input is a terminal: pipe a model into it, or name a file (wrong_usage)",
                            status=2)

    def test_the_last_of_repeated_options_counts(self):
        path = self.file(models.simple())
        result = run("inspect", path, "--json", "--backend", "map", "--backend", "heap", "--filter", "x",
                     "--filter", "token_embd")
        self.assert_fine(result)
        self.assertIn(b'"storage": "heap"', result.out)
        self.assertIn(b'"name": "token_embd.weight"', result.out)

    def test_help_goes_to_standard_output(self):
        for arguments in (["--help"], ["-h"], ["inspect", "--help"], ["cat", "-h"], ["show", "--help"],
                          ["check", "--help"]):
            result = run(*arguments)
            self.assert_fine(result)
            self.assertIn(b"Usage: ballast", result.out)
            self.assertIn(b"Examples:\n", result.out)
            self.assertLessEqual(max(map(len, result.out.splitlines())), 80, arguments)

    def test_version(self):
        for flag in ("--version", "-V"):
            result = run(flag)
            self.assert_fine(result)
            self.assertEqual(result.out, f"ballast {VERSION}\n".encode())

    def test_names_of_commands_are_names_of_files_too(self):
        self.file(models.simple(), "check")
        self.assert_fine(run("inspect", "check", cwd=self.folder))
        self.assert_fine(run("check", "check", cwd=self.folder))
        self.file(models.simple(), "[check,cat]")
        result = run("check", "[check,cat]", "++", cwd=self.folder)
        self.assertIn(b"[check,cat]: ok", result.out)


class FailureTest(ModelTest):
    def test_a_file_that_is_not_there(self):
        path = self.path("missing.gguf")
        for arguments in (["inspect", path], ["inspect", "--json", path], ["cat", path, "t"], ["check", path]):
            with self.subTest(arguments=arguments):
                self.assert_refused(run(*arguments),
                                    f"{path}: cannot open: No such file or directory (no_such_file_or_directory)")

    def test_a_directory(self):
        result = run("inspect", self.folder)
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertRegex(result.err, rb"^ballast: [^\n]+: [^\n]+ \([a-z_]+\)\n$")

    def test_bad_content_names_the_code_and_the_byte(self):
        for content, form in [
            (b"", r": .+ \(empty_file( at byte 0)?\)"),
            (b"<!DOCTYPE html><html></html>", r": .+ \(html_page( at byte 0)?\)"),
            (models.simple()[:100], r": .+ \(truncated at byte \d+\)"),
            (models.simple()[:-40], r": .+ \(outside_file at byte \d+\)"),
            (b"GGUF\x09\x00\x00\x00" + bytes(16), r": .+ \(unsupported_version at byte 4\)"),
        ]:
            path = self.file(content)
            for arguments in (["inspect", path], ["inspect", "--json", "--full", path], ["cat", path, "t"],
                              ["check", path], ["inspect", "--backend", "heap", path]):
                with self.subTest(content=content[:20], arguments=arguments[:-1]):
                    result = run(*arguments)
                    self.assertEqual((result.status, result.out), (1, b""))
                    self.assertRegex(result.err.decode(), f"^ballast: {re.escape(path)}{form}\n$")

    def test_memory_that_runs_out_is_an_error_like_any_other(self):
        limited = ["sh", "-c", 'ulimit -v 60000; exec "$@"', "sh", *COMMAND]
        if subprocess.run([*limited, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode != 0:
            self.skipTest("this build cannot run in little memory")
        content = models.gguf([], [(str(i), [0], models.I8, b"") for i in range(400_000)])
        path = self.file(content, "line\nbreak")
        for command in (["inspect"], ["inspect", "--json"], ["check"]):
            done = subprocess.run([*limited, *command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=60)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertRegex(done.stderr, rb"^ballast: [^\n]+/line\\nbreak: [^\n]+ \(out_of_memory\)\n$")

    def test_standard_input_is_called_a_dash(self):
        for command in (["inspect"], ["inspect", "--json"], ["check"]):
            with open(self.file(b"no model at all"), "rb") as file:
                result = run(*command, "-", stdin=file)
            self.assertEqual((result.status, result.out), (1, b""))
            self.assertRegex(result.err, rb"^ballast: -: [^\n]+ \(unknown_format[^\n]*\)\n$")

    @unittest.skipUnless(HAS_MMAP, "this build maps nothing")
    def test_a_pipe_cannot_be_mapped(self):
        with subprocess.Popen(["cat", self.file(models.simple())], stdout=subprocess.PIPE) as pipe:
            result = run("inspect", "--backend", "map", "-", stdin=pipe.stdout)
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertRegex(result.err, rb"^ballast: -: [^\n]+ \(not_mappable\)\n$")

    @unittest.skipIf(HAS_MMAP, "this build maps files")
    def test_a_build_without_mmap_says_so(self):
        result = run("inspect", "--backend", "map", self.file(models.simple()))
        self.assertEqual((result.status, result.out), (1, b""))
        self.assertRegex(result.err, rb"^ballast: [^\n]+ \([a-z_]+\)\n$")


class WriteTest(ModelTest):
    """Standard output that does not take what it is given."""

    def commands(self):
        path = self.file(models.simple())
        return [["inspect", path], ["inspect", "--json", path], ["cat", path, "token_embd.weight"],
                ["show", path, "token_embd.weight"], ["show", "--json", path, "token_embd.weight"], ["check", path],
                ["--help"], ["inspect", "--help"], ["--version"]]

    def test_a_full_disk_is_reported(self):
        for arguments in self.commands():
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (
                    1, b"ballast: standard output: cannot write: No space left on device "
                       b"(no_space_on_device)\n"))

    @needs_closed_streams
    def test_a_closed_standard_output_is_reported(self):
        for arguments in self.commands():
            with self.subTest(arguments=arguments):
                done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *COMMAND, *arguments], stderr=subprocess.PIPE,
                                      timeout=60)
                self.assertEqual((done.returncode, done.stderr), (
                    1, b"ballast: standard output: cannot write: Bad file descriptor (bad_file_descriptor)\n"))

    def test_closed_standard_streams_are_taken(self):
        """So that neither a model nor an output gets their numbers, and with them what is meant for a stream."""
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "inspect", fifo])
        names = {i: "" for i in range(3)}
        deadline = time.monotonic() + 30
        while set(names.values()) != {"/dev/null"} and time.monotonic() < deadline:
            time.sleep(0.02)  # it waits for somebody to write into the pipe
            for i in names:
                path = f"/proc/{process.pid}/fd/{i}"
                names[i] = os.readlink(path) if os.path.islink(path) else ""
        process.kill()
        process.wait(60)
        self.assertEqual(names, {0: "/dev/null", 1: "/dev/null", 2: "/dev/null"})

    def test_an_output_is_written_whatever_streams_are_closed(self):
        path, out = self.file(models.simple()), self.path("out")
        done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "cat", path,
                               "blk.1.attn_q.weight", "-o", out], timeout=60)
        self.assertEqual(done.returncode, 0)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), b"\x00\x3c\x00\x40")

    def test_a_reader_that_has_enough_is_no_failure(self):
        entries = [(f"key{i}", "string", "x" * 1000) for i in range(1000)]
        tensor = ("t", [4 << 20], models.I8, bytes(4 << 20))
        path = self.file(models.gguf(entries, [tensor]))
        for arguments in (["inspect", path], ["inspect", "--json", path], ["cat", path, "t"],
                          ["show", "--json", path, "t"]):
            with self.subTest(arguments=arguments):
                process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                process.stdout.read(16)
                process.stdout.close()
                err = process.stderr.read()
                process.stderr.close()
                self.assertEqual((process.wait(60), err), (0, b""))

    def test_a_pipe_that_does_not_block_gets_everything(self):
        tensor = ("t", [4 << 20], models.I8, os.urandom(4 << 20))
        path = self.file(models.gguf([], [tensor]))
        read, write = os.pipe()
        os.set_blocking(write, False)
        process = subprocess.Popen([*COMMAND, "cat", path, "t"], stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        with open(read, "rb") as file:
            self.assertEqual(file.read(), tensor[3])
        self.assertEqual((process.wait(60), process.stderr.read()), (0, b""))
        process.stderr.close()


if __name__ == "__main__":
    unittest.main()
