#!/usr/bin/env python3
"""Runs the libFuzzer targets of a build folder, one or more at a time, and says what they reached and found.

    run.py BUILD --hours 2 --jobs 2              every target, for two hours each
    run.py BUILD --minutes 10 zstd loader        these two
    run.py BUILD --executions 1e6 --together 1e8  a million inputs of each target, and 10^8 in all
    run.py BUILD --totals                        how many there have been

Each target has a corpus of its own that grows from run to run, by default in BUILD/fuzz-corpus; it begins with the
committed one (tests/fuzz/corpus/NAME) and with what the build made (BUILD/tests/fuzz/seeds/NAME), neither of which is
written to. At the end it is reduced to what reaches as much. With a build that counts coverage, and llvm-profdata and
llvm-cov, the lines and branches of src/ are counted that the corpora reach.

With --executions targets take turns until each has had so many inputs, and all --together so many; where somebody ends
the program, the next run goes on from there. Executions are counted in BUILD/fuzz-executions.json. One input of EVERY
has everything checked of it (thorough.hpp), and stacks are not watched after their return, which takes a third of the
time: both are left to the shorter runs, and to the tests.

Exit status 1: something was found. What it was, where the input lies, and how to see it again is printed.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
# The longest inputs of a long run, in bytes: a few blocks, or a file with something of everything. Without a limit the
# largest seeds, of 64 KiB, take most of the time. The shorter runs have none.
LONGEST = {"decode-float": 140, "decode": 700, "changing": 1500, "capi": 250, "loader": 1500}
LONGEST_OF_OTHERS = 4096
FINDINGS = ("crash-", "leak-", "oom-", "timeout-")
STATUS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)


@dataclasses.dataclass
class Result:
    name: str
    executions: int = 0
    speed: int = 0
    cov: int = 0
    features: int = 0
    corpus: int = 0
    rss: int = 0
    processor_seconds: float = 0
    status: int = 0
    output: str = ""
    findings: list = dataclasses.field(default_factory=list)

    @property
    def failed(self):
        return self.status != 0 or bool(self.findings)


def number(name, output):
    found = re.findall(rf"^stat::{name}:\s+(\d+)", output, re.MULTILINE)
    return int(found[-1]) if found else 0


def environment(every=1):
    variables = dict(os.environ)
    # By default freed memory is kept from use up to 256 MB, which the limit of memory would count.
    options = ["quarantine_size_mb=32", variables.get("ASAN_OPTIONS", "")]
    if every > 1:
        variables["BALLAST_FUZZ_EVERY"] = str(every)
        # Each exception has the stacks of the functions that it leaves collected.
        options[:0] = ["detect_stack_use_after_return=0", "malloc_context_size=2"]
    variables["ASAN_OPTIONS"] = ":".join(filter(None, options))
    variables.setdefault("LLVM_PROFILE_FILE", os.devnull)  # a build that counts would leave files where it is run
    return variables


def programs(build, names):
    """The libFuzzer programs by the names of their targets."""
    found = {path.name.removeprefix("fuzz-"): path for path in sorted((build / "tests/fuzz").glob("fuzz-*"))
             if path.is_file() and os.access(path, os.X_OK) and "seeds" not in path.name and "finding" not in path.name}
    if missing := [name for name in names if name not in found and not (build / f"tests/fuzz/fuzz-{name}").is_file()]:
        sys.exit(f"{build} has no libFuzzer program for: {', '.join(missing)} (BALLAST_BUILD_FUZZ, Clang)")
    if not names and not found:
        sys.exit(f"{build} has no libFuzzer programs (BALLAST_BUILD_FUZZ, Clang)")
    return {name: build / f"tests/fuzz/fuzz-{name}" for name in names} or found


def seeds(build, name):
    return [folder for folder in (HERE / "corpus" / name, build / "tests/fuzz/seeds" / name) if folder.is_dir()]


def longest(name):
    """Of one target, else of its family: decode-k is one of decode."""
    return LONGEST.get(name) or LONGEST.get(name.split("-")[0], LONGEST_OF_OTHERS)


def found_in(folder):
    return sorted(path for path in folder.iterdir() if path.name.startswith(FINDINGS))


def run_and_measure(command, variables):
    """The exit status of a command, what it printed, and its seconds of processor time."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=variables)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return process.returncode, output.read(), usage.ru_utime + usage.ru_stime


def fuzz(program, name, corpus, artifacts, begun_with, seconds, every=1):
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    before = set(found_in(artifacts))
    dictionary = HERE / f"{name}.dict"
    # The first folder is the only one that it writes to.
    command = [program, corpus, *begun_with, f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=20",
               f"-artifact_prefix={artifacts}/", "-print_final_stats=1", "-reload=0",
               *([f"-dict={dictionary}"] if dictionary.is_file() else []),
               *([f"-max_len={longest(name)}"] if every > 1 else [])]
    status, output, seconds = run_and_measure(command, environment(every))
    result = Result(name, status=status, output=output, processor_seconds=seconds)
    result.executions = number("number_of_executed_units", output)
    result.speed = number("average_exec_per_sec", output)
    result.rss = number("peak_rss_mb", output)
    if lines := STATUS.findall(output):
        _, result.cov, result.features, result.corpus = (int(text) for text in lines[-1])
    result.findings = [path for path in found_in(artifacts) if path not in before]
    return result


def reduce_corpus(program, corpus, begun_with):
    """Keeps what reaches everything that is reached; the corpus stays as it is where that fails."""
    with tempfile.TemporaryDirectory(dir=corpus.parent) as folder:
        reduced = pathlib.Path(folder) / "reduced"
        reduced.mkdir()
        done = subprocess.run([program, "-merge=1", "-rss_limit_mb=2048", "-timeout=20", reduced, corpus, *begun_with],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), check=False)
        if done.returncode == 0 and any(reduced.iterdir()):
            shutil.rmtree(corpus)
            shutil.move(reduced, corpus)
    return len(list(corpus.iterdir()))


def report(result):
    print(f"{result.name:14} {result.executions:>12} executions {result.speed:>8}/s {result.cov:>7} cov "
          f"{result.features:>7} ft {result.corpus:>6} files {result.rss:>6} MB "
          f"{len(result.findings)} found", flush=True)


def explain(result, program):
    print(f"\n{result.name}: exit status {result.status}")
    print("\n".join(result.output.splitlines()[-60:]))
    for path in result.findings:
        print(f"found: {path}\nagain: {program} {path}")


def tool(name):
    return next((path for path in map(shutil.which, (f"{name}-19", name)) if path), None)


def counts_coverage(program):
    return b"__llvm_prf" in program.read_bytes()


def coverage(build, targets, corpora):
    """Lines and branches of src/ that the corpora reach; nothing where the build does not count."""
    profdata, cov = tool("llvm-profdata"), tool("llvm-cov")
    counting = {name: program for name, program in targets.items() if counts_coverage(program)}
    if not (profdata and cov and counting):
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, program in counting.items():
            variables = environment() | {"LLVM_PROFILE_FILE": f"{folder}/{name}.profraw"}
            subprocess.run([program, "-runs=0", corpora / name, *seeds(build, name)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env=variables, check=False)
        merged = f"{folder}/all.profdata"
        counts = sorted(pathlib.Path(folder).glob("*.profraw"))
        subprocess.run([profdata, "merge", "-sparse", "-o", merged, *counts], check=True)
        first, *others = counting.values()
        done = subprocess.run([cov, "export", "-summary-only", f"-instr-profile={merged}", first,
                               *(f"-object={program}" for program in others),
                               f"-sources={HERE.parent.parent / 'src'}"], stdout=subprocess.PIPE, check=True)
    totals = json.loads(done.stdout)["data"][0]["totals"]
    return {kind: (totals[kind]["covered"], totals[kind]["count"]) for kind in ("lines", "branches")}


class Ledger:
    """How many executions each target has had in a build folder, in how much processor time, and what was found."""

    def __init__(self, build):
        self.path = build / "fuzz-executions.json"
        self.entries = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}

    def executions(self, name):
        return self.entries.get(name, {}).get("executions", 0)

    def total(self):
        return sum(map(self.executions, self.entries))

    def add(self, result):
        entry = self.entries.setdefault(result.name, {"executions": 0, "seconds": 0, "found": 0, "cov": 0})
        entry["executions"] += result.executions
        entry["seconds"] = round(entry["seconds"] + result.processor_seconds, 1)
        entry["found"] += len(result.findings) or int(result.failed)
        entry["cov"] = max(entry["cov"], result.cov)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.entries, indent=1), encoding="utf-8")
        partial.replace(self.path)

    def show(self):
        total = {"executions": self.total(), "seconds": sum(entry["seconds"] for entry in self.entries.values()),
                 "found": sum(entry["found"] for entry in self.entries.values()), "cov": 0}
        for name, entry in [*sorted(self.entries.items()), ("all", total)]:
            speed = entry["executions"] / max(entry["seconds"], 1)
            print(f"{name:14} {entry['executions']:>12} executions {speed:>8.0f}/s {entry['seconds']:>9.0f} s "
                  f"{entry['found']} found", flush=True)


def run_in_turns(arguments, corpora):
    """Each target for one turn after the other, until all have had enough."""
    build = arguments.build.resolve()
    targets = programs(build, arguments.targets)
    ledger, lock = Ledger(build), threading.Lock()
    failures = []

    def is_due(name):
        return ledger.executions(name) < arguments.executions or ledger.total() < arguments.together

    def turn(name):
        if not is_due(name) or failures:
            return
        result = fuzz(targets[name], name, corpora / name, build / "tests/fuzz/found" / name, seeds(build, name),
                      arguments.turn, arguments.every)
        with lock:
            ledger.add(result)
            report(result)
            if result.failed:
                failures.append(result)

    def fastest_first(name):
        entry = ledger.entries.get(name)
        return -entry["executions"] / max(entry["seconds"], 1) if entry else 0

    while not failures and (due := list(filter(is_due, targets))):
        if not any(ledger.executions(name) < arguments.executions for name in targets):
            # What is left to do together is for the faster half of them.
            due = sorted(due, key=fastest_first)[:(len(due) + 1) // 2]
        else:
            due = [name for name in due if ledger.executions(name) < arguments.executions]
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(turn, due))
    ledger.show()
    for result in failures:
        explain(result, targets[result.name])
    return 1 if failures else 0


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD")
    parser.add_argument("targets", nargs="*", metavar="NAME")
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--corpus", type=pathlib.Path, help="where the corpora grow")
    parser.add_argument("--executions", type=float, default=0, help="how many inputs each target has")
    parser.add_argument("--together", type=float, default=0, help="and all of them")
    parser.add_argument("--turn", type=int, default=120, help="seconds for which a target runs before the next")
    parser.add_argument("--every", type=int, default=256, help="of how many inputs one is checked in every way")
    parser.add_argument("--totals", action="store_true", help="show the executions that were counted, and end")
    parser.add_argument("--short", action="store_true", help="throw the corpora away, and count no lines: a test")
    arguments = parser.parse_intermixed_args()
    arguments.time = int(arguments.hours * 3600 + arguments.minutes * 60 + arguments.seconds)
    if not (arguments.time > 0 or arguments.executions > 0 or arguments.totals):
        parser.error("for how long? --hours, --minutes, --seconds or --executions")
    return arguments


def run(arguments, corpora):
    build = arguments.build.resolve()
    targets = programs(build, arguments.targets)

    def one(name):
        begun_with = seeds(build, name)
        artifacts = build / "tests/fuzz/found" / name
        result = fuzz(targets[name], name, corpora / name, artifacts, begun_with, arguments.time)
        if not arguments.short and not result.failed:
            result.corpus = reduce_corpus(targets[name], corpora / name, begun_with)
        report(result)
        return result

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(one, targets))
    if len(results) > 1:
        report(Result("all", executions=sum(r.executions for r in results), speed=sum(r.speed for r in results),
                      cov=max(r.cov for r in results), features=sum(r.features for r in results),
                      corpus=sum(r.corpus for r in results), rss=max(r.rss for r in results),
                      findings=[path for r in results for path in r.findings]))
    if not arguments.short and (reached := coverage(build, targets, corpora)):
        for kind, (covered, count) in reached.items():
            print(f"{kind} of src/: {covered} of {count} ({100 * covered / max(count, 1):.1f} %)")
    for result in filter(lambda r: r.failed, results):
        explain(result, targets[result.name])
    return 1 if any(result.failed for result in results) else 0


def main():
    arguments = parsed_arguments()
    if arguments.totals:
        Ledger(arguments.build.resolve()).show()
        return 0
    if arguments.executions > 0:
        return run_in_turns(arguments, (arguments.corpus or arguments.build / "fuzz-corpus").resolve())
    if not arguments.short:
        return run(arguments, (arguments.corpus or arguments.build / "fuzz-corpus").resolve())
    with tempfile.TemporaryDirectory() as folder:
        return run(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
