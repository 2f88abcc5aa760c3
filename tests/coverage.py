#!/usr/bin/env python3
"""Says which lines and branches of src/ and platform/ the tests have run, and fails where they are too few.

usage: coverage.py BUILD COUNTS     a build with BALLAST_COVERAGE, and the folder where its programs left what they counted
       coverage.py --self-test

Every source is measured, or stands in LEFT_OUT with its reason.
"""
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOALS = {"lines": 95.0, "branches": 85.0}  # percent
PROGRAMS = ["tests/ballast-unit", "tests/ballast-c", "tests/faults/ballast-faults", "tests/threads/ballast-threads",
            "ballast", "src/examples/ballast-upload"]

# What is not measured here, and where it is tested.
LEFT_OUT = {
    "platform/heap/": "the other platform, which the presets heap and wasm32 build and test",
    "platform/setup/": "recipes, and a probe for CMake",
}


def tool(name):
    found = shutil.which(f"{name}-19") or shutil.which(name)
    return found or sys.exit(f"{name} is not there")


def measured(build, counts):
    """llvm-cov's summary of each file, by its path from the root of the checkout."""
    merged = counts / "all.profdata"
    raw = sorted(counts.glob("*.profraw"))
    if not raw:
        sys.exit(f"nothing was counted in {counts}")
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *raw], check=True)
    programs = [build / name for name in PROGRAMS if (build / name).is_file()]
    objects = [option for program in programs[1:] for option in ("-object", program)]
    done = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}", programs[0],
                           *objects], stdout=subprocess.PIPE, check=True)
    files = {}
    for file in json.loads(done.stdout)["data"][0]["files"]:
        path = pathlib.Path(file["filename"])
        if path.is_relative_to(ROOT):
            files[path.relative_to(ROOT).as_posix()] = file["summary"]
    return {name: summary for name, summary in files.items() if name.startswith(("src/", "platform/"))}


def forgotten(sources, files):
    """Sources that are neither measured nor left out for a reason."""
    return sorted(name for name in sources if name not in files and not name.startswith(tuple(LEFT_OUT)))


def percent(covered, count):
    return 100.0 * covered / count if count else 100.0


def total(files, kind):
    return tuple(sum(summary[kind][what] for summary in files.values()) for what in ("covered", "count"))


def below(files):
    """The files that are below a goal, those with the most missing lines first."""
    def missing(summary):
        return summary["lines"]["count"] - summary["lines"]["covered"]

    names = [name for name, summary in files.items()
             if any(percent(summary[kind]["covered"], summary[kind]["count"]) < goal for kind, goal in GOALS.items())]
    return sorted(names, key=lambda name: -missing(files[name]))


def report(files, sources):
    for name in below(files):
        parts = [f"{percent(files[name][kind]['covered'], files[name][kind]['count']):5.1f} % of "
                 f"{files[name][kind]['count']:4} {kind}" for kind in GOALS]
        print(f"{name:40} {', '.join(parts)}")
    for folder, reason in LEFT_OUT.items():
        print(f"left out: {folder}: {reason}")
    lost = forgotten(sources, files)
    for name in lost:
        print(f"{name} is not measured, and no reason is given")
    results = {kind: percent(*total(files, kind)) for kind in GOALS}
    good = not lost and all(results[kind] >= goal for kind, goal in GOALS.items())
    print("; ".join(f"{results[kind]:.2f} % of {total(files, kind)[1]} {kind} (at least {goal:.0f} %)"
                    for kind, goal in GOALS.items()) + (": enough" if good else ": TOO FEW"))
    return good


def sources_of(root):
    return [path.relative_to(root).as_posix() for folder in ("src", "platform")
            for path in (root / folder).rglob("*.cpp")]


def self_test():
    def summary(lines, branches):
        return {"lines": {"covered": lines, "count": 100}, "branches": {"covered": branches, "count": 100}}

    assert report({"src/a.cpp": summary(95, 85)}, ["src/a.cpp", "platform/heap/b.cpp"])
    assert not report({"src/a.cpp": summary(94, 85)}, ["src/a.cpp"])
    assert not report({"src/a.cpp": summary(95, 84)}, ["src/a.cpp"])
    assert not report({"src/a.cpp": summary(100, 100)}, ["src/a.cpp", "src/b.cpp"])
    assert below({"good": summary(95, 85), "bad": summary(94, 100), "worse": summary(1, 1)}) == ["worse", "bad"]


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, counts = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    return 0 if report(measured(build, counts), sources_of(ROOT)) else 1


if __name__ == "__main__":
    sys.exit(main())
