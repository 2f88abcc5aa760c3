#!/usr/bin/env python3
"""Holds that all builds say the same of every model: `inspect --json --full`, but for the line `runtime`.

usage: same_json.py COMMAND COMMAND... -- FOLDER...

A COMMAND is a command line, such as build/dev/ballast or "node build/wasm32/ballast.js". Takes every model below the
folders, good or bad: a refusal must be the same sentence and the same exit status. A folder that is not there is left
out. Prints each model of which a build says something else than the first, and where; ends with "N passed, N failed".
"""
import concurrent.futures
import itertools
import os
import pathlib
import shlex
import subprocess
import sys

MODELS = {".gguf", ".safetensors", ".json"}


def answer(command, path):
    """What a build says of a model: everything that must be the same, as lines."""
    done = subprocess.run([*shlex.split(command), "inspect", "--json", "--full", str(path)], capture_output=True,
                          timeout=120, check=False)
    lines = done.stdout.decode(errors="backslashreplace").splitlines()
    errors = done.stderr.decode(errors="backslashreplace").splitlines()
    return [f"exit status {done.returncode}", *(line for line in lines if not line.startswith('  "runtime": ')),
            *(f"standard error: {line}" for line in errors)]


def difference(one, other):
    """The first lines in which two answers differ, or None."""
    for pair in itertools.zip_longest(one, other, fillvalue="nothing more"):
        if pair[0] != pair[1]:
            return pair
    return None


def compare(commands, path):
    """What there is to say about a model: nothing, where all builds agree."""
    first, *others = [answer(command, path) for command in commands]
    found = []
    for command, other in zip(commands[1:], others):
        if pair := difference(first, other):
            found += [f"{path}: {commands[0]} and {command} differ", *(f"    {line[:200]}" for line in pair)]
    return found


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    split = sys.argv.index("--")
    commands, folders = sys.argv[1:split], sys.argv[split + 1:]
    if len(commands) < 2 or not folders:
        sys.exit(__doc__)
    paths = [path for folder in folders for path in sorted(pathlib.Path(folder).rglob("*")) if path.suffix in MODELS]
    failed = 0
    # Threads, because all the work is done by the processes that they wait for.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda path: compare(commands, path), paths):
            failed += bool(found)
            if found:
                print("\n".join(found))
    print(f"{len(commands)} builds, {len(paths)} models: {len(paths) - failed} passed, {failed} failed")
    return 0 if paths and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
