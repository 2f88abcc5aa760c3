#!/usr/bin/env python3
"""Holds that two builds say the same of every model: `inspect --json --full`, but for the line `runtime`.

usage: same_json.py COMMAND COMMAND FOLDER...

Takes every file below the folders, good or bad: a refusal must be the same sentence. A folder that is not there is left
out. Ends with "N passed, N failed".
"""
import pathlib
import subprocess
import sys


def answer(command, path):
    done = subprocess.run([command, "inspect", "--json", "--full", str(path)], capture_output=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(b'  "runtime": ')]
    return done.returncode, lines, done.stderr


def main():
    one, other, *folders = sys.argv[1:]
    passed = failed = 0
    for folder in map(pathlib.Path, folders):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in {".gguf", ".safetensors", ".json"}):
            same = answer(one, path) == answer(other, path)
            passed, failed = passed + same, failed + (not same)
            if not same:
                print(f"{path}: {one} and {other} differ")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
