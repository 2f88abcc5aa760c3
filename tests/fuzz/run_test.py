#!/usr/bin/env python3
"""Holds that run.py lets a sound target pass, and tells of one with a fault, of its input, and how to see it again.

usage: run_test.py BUILD SOUND_TARGET
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

RUN = pathlib.Path(__file__).resolve().parent / "run.py"


def run(*arguments):
    return subprocess.run([sys.executable, "-B", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)


def expect(holds, what, output):
    if not holds:
        sys.exit(f"{what}:\n{output}")


def main():
    build, sound = pathlib.Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        done = run(build, "--seconds", "1", "--corpus", folder, sound)
        expect(done.returncode == 0, "a sound target does not pass", done.stdout)
        expect(re.search(rf"^{sound} +[1-9]\d* executions", done.stdout, re.MULTILINE), "nothing was run", done.stdout)
        expect(any((pathlib.Path(folder) / sound).iterdir()), "the corpus did not grow", done.stdout)

    done = run(build, "--seconds", "1", "--short", "finding")
    expect(done.returncode == 1, "a fault passes", done.stdout)
    again = re.search(r"^found: (.+)\nagain: (.+) \1$", done.stdout, re.MULTILINE)
    expect(again, "it is not said what was found", done.stdout)
    pathlib.Path(again[1]).resolve().relative_to(build.resolve())
    seen = subprocess.run([again[2], again[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    pathlib.Path(again[1]).unlink()
    expect(seen.returncode != 0, "what was found cannot be seen again", done.stdout)

    with tempfile.TemporaryDirectory() as folder:
        counted = pathlib.Path(folder) / "build"
        (counted / "tests").mkdir(parents=True)
        (counted / "tests/fuzz").symlink_to(build.resolve() / "tests/fuzz")
        counts = [0]
        for _ in range(2):
            done = run(counted, "--executions", str(counts[-1] + 1), "--turn", "1", sound)
            expect(done.returncode == 0, "a sound target does not pass", done.stdout)
            counts.append(json.loads((counted / "fuzz-executions.json").read_text(encoding="utf-8"))[sound]["executions"])
        expect(counts[0] < counts[1] < counts[2], f"executions do not add up: {counts}", done.stdout)
        done = run(counted, "--totals")
        expect(re.search(rf"^{sound} +{counts[-1]} executions", done.stdout, re.MULTILINE), "totals are wrong", done.stdout)

    done = run(build, "--seconds", "1", "--short", "no-such-target")
    expect(done.returncode == 1 and "no-such-target" in done.stdout, "a target that is not there passes", done.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
