#!/usr/bin/env python3
"""Runs clang-tidy on a source, unless it has passed before with the same words in it and in every header.

usage: tidy.py --clang-tidy FILE --build DIR --checkout DIR SOURCE
       tidy.py --self-test

A source that passes leaves an empty file in the cache folder of platform/bootstrap.sh, named after a hash of all that
decides: the source and each header that it includes, those of the system too, the flags, .clang-tidy, clang-tidy's
version and this script. Where the checkout and the build folder are does not count, so that a fresh clone on the same
machine, as in CI, checks what has changed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

KEPT = 30 * 24 * 3600  # seconds: what no run has asked for since then is removed


def cache_folder(environment):
    """By the same rule as in platform/bootstrap.sh."""
    if environment.get("BALLAST_CACHE"):
        return pathlib.Path(environment["BALLAST_CACHE"])
    if environment.get("XDG_CACHE_HOME"):
        return pathlib.Path(environment["XDG_CACHE_HOME"], "ballast")
    return pathlib.Path(environment.get("HOME") or tempfile.gettempdir(), ".cache", "ballast")


def compile_command(build, source):
    """How the build compiles a source, without what it writes, and in which folder."""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        if pathlib.Path(entry["directory"], entry["file"]) == source:
            words = shlex.split(entry["command"])
            output = words.index("-o")
            return words[:output] + words[output + 2:], entry["directory"]
    raise LookupError(f"{source} is not in compile_commands.json")


def read_files(command, directory):
    """The source and its headers, as the compiler of the build finds them."""
    rule = subprocess.run([*command, "-M", "-MT", "it"], cwd=directory, stdout=subprocess.PIPE, check=True, text=True)
    paths = shlex.split(rule.stdout.replace("\\\n", " "))[1:]
    return sorted({os.path.normpath(os.path.join(directory, path)) for path in paths})


def movable(text, checkout, build):
    """A path or a flag, wherever the folders are. The build folder first: it may be inside the checkout."""
    return text.replace(str(build), "<build>").replace(str(checkout), "<checkout>")


def key(command, files, others, checkout, build):
    parts = [movable(word, checkout, build).encode() for word in command]
    for path in files:
        parts += [movable(path, checkout, build).encode(), pathlib.Path(path).read_bytes()]
    parts += others
    # The length before each, so that no two lists of parts read the same.
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()


def leave(stamp):
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    for other in stamp.parent.iterdir():
        if other.stat().st_mtime < time.time() - KEPT:
            other.unlink(missing_ok=True)


def check(options):
    source = pathlib.Path(os.path.abspath(options.source))
    command, directory = compile_command(options.build, source)
    files = read_files(command, directory)
    if str(source) not in files:
        raise LookupError(f"{command[0]} does not say that {source} is among what it reads: {files}")
    version = subprocess.run([options.clang_tidy, "--version"], stdout=subprocess.PIPE, check=True).stdout
    others = [version, (options.checkout / ".clang-tidy").read_bytes(), pathlib.Path(__file__).read_bytes()]
    name = key(command, files, others, options.checkout, options.build)
    stamp = cache_folder(os.environ) / "tidy" / name
    if not stamp.exists():
        done = subprocess.run([options.clang_tidy, "--quiet", "-p", options.build,
                               "--extra-arg=-Wno-unknown-warning-option", source], check=False)
        if done.returncode != 0:
            return 1
    try:
        leave(stamp)
    except OSError as problem:  # A machine whose cache cannot be written checks all the same.
        print(f"{stamp} cannot be written: {problem.strerror}", file=sys.stderr)
    return 0


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        def written(text, place="a"):
            path = pathlib.Path(folder, place, "x.cpp")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return path.parent

        def key_of(root, flag="-O1", other=b"checks"):
            return key(["c++", flag, f"-I{root}/b/include"], [f"{root}/x.cpp"], [other], root, root / "b")

        first = key_of(written("int x;"))
        facts = {
            "the same words have the same key": key_of(written("int x;")) == first,
            "another folder has the same key": key_of(written("int x;", "c")) == first,
            "another comment is another key": key_of(written("int x; // y")) != first,
            "another flag is another key": key_of(written("int x;"), flag="-O2") != first,
            "another configuration is another key": key_of(written("int x;"), other=b"check") != first,
            "parts do not run into each other": key(["ab", "c"], [], [], "/r", "/b") != key(["a", "bc"], [], [], "/r", "/b"),
            "the cache is bootstrap.sh's": cache_folder({"BALLAST_CACHE": "/c", "HOME": "/h"}) == pathlib.Path("/c")
            and cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == pathlib.Path("/x/ballast")
            and cache_folder({"HOME": "/h"}) == pathlib.Path("/h/.cache/ballast"),
        }
    failures = [fact for fact, holds in facts.items() if not holds]
    print("\n".join(f"does not hold: {fact}" for fact in failures) or "fine")
    return len(failures)


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--clang-tidy", required=True)
    for name in ("--build", "--checkout", "source"):
        parser.add_argument(name, type=pathlib.Path, **({"required": True} if name.startswith("-") else {}))
    return check(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
