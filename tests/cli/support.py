"""Runs the command: with pipes, and on a pseudo terminal."""
import errno
import fcntl
import os
import pty
import select
import shlex
import struct
import subprocess
import tempfile
import termios
import time
import unittest

# A program, or a program and its script: a WebAssembly build is run by Node.
COMMAND = shlex.split(os.environ.get("BALLAST_COMMAND", "ballast"))
HAS_MMAP = os.environ.get("BALLAST_HAS_MMAP", "1") != "0"
VERSION = os.environ.get("BALLAST_VERSION", "0.1.0")
BACKENDS = ["auto", "heap"] + (["map"] if HAS_MMAP else [])

# What a command that runs in Node cannot do, and why. Everything else is the same, and is tested.
IN_NODE = os.environ.get("BALLAST_IN_NODE", "0") != "0"
needs_signals = unittest.skipIf(IN_NODE, "Node hears of signals between calls into WebAssembly, not during one")
needs_closed_streams = unittest.skipIf(IN_NODE, "Node itself opens standard streams that are closed")
needs_raw_arguments = unittest.skipIf(IN_NODE, "Node takes arguments for UTF-8, and replaces what is not")


# For a process that may write no more than so much: where coverage is counted, it leaves its counts nowhere.
UNCOUNTED = {**os.environ, "LLVM_PROFILE_FILE": os.devnull}


class Result:
    def __init__(self, status, out, err=b""):
        self.status, self.out, self.err = status, out, err


def run(*arguments, stdin=subprocess.DEVNULL, **more):
    """Runs the command with pipes at both ends."""
    done = subprocess.run([*COMMAND, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, **more)
    return Result(done.returncode, done.stdout, done.stderr)


def environment(**changes):
    """An environment in which nothing but `changes` speaks about colours."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "COLUMNS")}
    return {**env, "TERM": "xterm-256color", **changes}


class Terminal:
    """The command with standard output and standard error, or only those of `streams`, on a terminal of its own."""

    def __init__(self, *arguments, columns=80, env=None, streams=("stdout", "stderr"), stdin=subprocess.DEVNULL,
                 cwd=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        ends = {name: slave if name in streams else subprocess.PIPE for name in ("stdout", "stderr")}
        self.process = subprocess.Popen([*COMMAND, *arguments], stdin=slave if stdin == "terminal" else stdin, **ends,
                                        env=env or environment(), cwd=cwd, start_new_session=True)
        os.close(slave)
        self.shown = b""

    def read_some(self, seconds):
        """Takes what the terminal shows within `seconds`; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.master, 65536)
        except OSError as error:  # Linux's way to say that the other side closed
            assert error.errno == errno.EIO
            return False
        self.shown += piece
        return bool(piece)

    def finish(self):
        """Waits for the end and gives the status and what was shown, with the line ends that were written."""
        deadline = time.monotonic() + 120
        while self.read_some(1):
            assert time.monotonic() < deadline, "no end in two minutes"
        out, err = self.process.communicate(timeout=30)
        os.close(self.master)
        shown = self.shown.replace(b"\r\n", b"\n")
        return Result(self.process.returncode, shown if out is None else out, shown if err is None else err)


def on_terminal(*arguments, **more):
    return Terminal(*arguments, **more).finish()


class ModelTest(unittest.TestCase):
    """A test with a folder for its files."""
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ballast-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, content, name="model.gguf"):
        path = os.path.join(os.fsencode(self.folder), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(content)
        return os.fsdecode(path)

    def assert_fine(self, result):
        self.assertEqual((result.status, result.err), (0, b""))

    def assert_refused(self, result, line, status=1):
        """Exactly that line on standard error, nothing on standard output."""
        self.assertEqual((result.status, result.out, result.err.decode("utf-8", "surrogateescape")),
                         (status, b"", f"ballast: {line}\n"))
