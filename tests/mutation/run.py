#!/usr/bin/env python3
"""Breaks the library in many ways, one at a time, and shows that the tests notice each.

usage: run.py                      every fault; tens of minutes on two cores
       run.py --only NAME ...      those faults
       run.py --list               what there is
       run.py --check              whether every fault still fits the sources; and the script's own test

The checkout is copied, built, and changed in the copy. The exit status is 1 where a fault survives:
then a test is missing.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import faults

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["ballast-unit", "ballast-faults", "ballast-cli"]
LEAST = 20
SECONDS = 900  # for one suite: a fault may make it hang


# ---- The table ------------------------------------------------------------------------------------------------------

def complaints(table, root):
    """What is wrong with a table of faults, for the sources as they are."""
    names = [fault.name for fault in table]
    for fault in table:
        if names.count(fault.name) > 1:
            yield f"{fault.name}: the name is not unique"
        count = (root / fault.file).read_text().count(fault.text)
        if count != 1:
            yield f"{fault.name}: its text stands {count} times in {fault.file}"
        if fault.text == fault.instead:
            yield f"{fault.name}: changes nothing"
    if len(table) < LEAST:
        yield f"{len(table)} faults are fewer than {LEAST}"


class Seeded:
    """A fault in the sources of `root`, while it lasts."""

    def __init__(self, fault, root):
        self.fault, self.path = fault, root / fault.file

    def __enter__(self):
        self.before = self.path.read_text()
        self.path.write_text(self.before.replace(self.fault.text, self.fault.instead))

    def __exit__(self, *_):
        self.path.write_text(self.before)


# ---- The suite ------------------------------------------------------------------------------------------------------

def first_failure(output):
    """The name of the test that failed, as Catch2 or ctest writes it."""
    for pattern in (r"^-{70,}\n([^\n]+)\n(?:[^\n]*\n)*?-{70,}\n", r"Test\s+#\d+: (\S[^\n]*?) \.+\*\*\*"):
        found = re.search(pattern, output, re.MULTILINE)
        if found:
            return found.group(1).strip()
    return "at its end"


class Suite:
    """A copy of the checkout with its build."""

    def __init__(self, work, preset):
        self.source = pathlib.Path(work) / "ballast"
        self.preset = preset
        self.build = self.source / "build" / preset

    def prepare(self):
        # What is there already, and is as in the checkout, need not be built again.
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        for name in os.fsdecode(listed).split("\0"):
            if not name or not (ROOT / name).is_file():
                continue
            target = self.source / name
            content = (ROOT / name).read_bytes()
            if target.is_file() and target.read_bytes() == content:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        subprocess.run(["cmake", "--preset", self.preset], cwd=self.source, check=True, stdout=subprocess.DEVNULL)

    def compile(self):
        done = subprocess.run(["cmake", "--build", str(self.build), "--parallel", str(os.cpu_count() or 2), "--target",
                               *TARGETS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return None if done.returncode == 0 else done.stdout[-3000:]

    def failure(self):
        """The first test that fails, or nothing."""
        tests = self.build / "tests"
        for command in ([tests / "ballast-unit", "--abort"], [tests / "faults" / "ballast-faults", "--abort"],
                        ["ctest", "--test-dir", self.build, "--label-regex", "^cli$", "--stop-on-failure"]):
            try:
                done = subprocess.run([str(word) for word in command], cwd=self.source, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return f"{pathlib.Path(command[0]).name}: no end"
            if done.returncode != 0:
                return f"{pathlib.Path(command[0]).name}: {first_failure(done.stdout.decode(errors='replace'))}"
        return None


def run(table, work, preset):
    suite = Suite(work, preset)
    suite.prepare()
    trouble = suite.compile() or suite.failure()
    if trouble:
        sys.exit(f"without any fault the suite is not green: {trouble}")
    survivors = []
    for fault in table:
        with Seeded(fault, suite.source):
            trouble = suite.compile()
            killer = None if trouble else suite.failure()
        if trouble:
            print(f"NOT BUILT  {fault.name}\n{trouble}", flush=True)
        else:
            print(f"{'killed' if killer else 'SURVIVED':9}  {fault.name}: {fault.breaks}\n"
                  f"           {killer or 'no test notices'}", flush=True)
        if not killer:
            survivors.append(fault.name)
    print(f"{len(table) - len(survivors)} of {len(table)} faults were noticed")
    return survivors


# ---- The script itself ----------------------------------------------------------------------------------------------

def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "a.cpp").write_text("once twice twice\n")
        good = faults.Fault("good", "a.cpp", "once", "never", "")
        bad = [faults.Fault("none", "a.cpp", "thrice", "", ""), faults.Fault("two", "a.cpp", "twice", "", ""),
               faults.Fault("same", "a.cpp", "once", "once", ""), good, good]
        found = "\n".join(complaints(bad, root))
        for wanted in ("none: its text stands 0 times", "two: its text stands 2 times", "same: changes nothing",
                       "good: the name is not unique", "are fewer than"):
            assert wanted in found, (wanted, found)
        with Seeded(good, root):
            assert (root / "a.cpp").read_text() == "never twice twice\n"
        assert (root / "a.cpp").read_text() == "once twice twice\n"
    line = "-" * 79
    assert first_failure(f"x\n{line}\na name\n{line}\nfile.cpp:3\n") == "a name"
    assert first_failure(f"x\n{line}\na name\n  a section\n{line}\nfile.cpp:3\n") == "a name"
    assert first_failure("1/9 Test #12: cli.cat_test ...***Failed 0.3 sec\n") == "cli.cat_test"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--work", default=str(ROOT / "build" / "mutation"), help="folder of the copy and its build")
    parser.add_argument("--preset", default="dev", help="asan-ubsan, for example, which takes three times as long")
    arguments = parser.parse_args()
    table = [fault for fault in faults.FAULTS if not arguments.only or fault.name in arguments.only]
    if arguments.list:
        for fault in table:
            print(f"{fault.name:30} {fault.file}: {fault.breaks}")
        return 0
    found = list(complaints(faults.FAULTS, ROOT)) + [name for name in arguments.only
                                                     if name not in [fault.name for fault in table]]
    if found:
        print("\n".join(found))
        return 1
    if arguments.check:
        self_test()
        print(f"{len(table)} faults fit the sources")
        return 0
    return 1 if run(table, arguments.work, arguments.preset) else 0


if __name__ == "__main__":
    sys.exit(main())
