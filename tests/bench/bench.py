#!/usr/bin/env python3
"""Measures Ballast and holds it against its bounds, with peers beside it in the same run.

usage: bench.py --build FOLDER [--wasm FOLDER] [--package FOLDER] [--inputs FOLDER] [--only SECTION ...] [--rounds N]
                [--small] [--cpu]

FOLDER is a release build with -DBALLAST_BUILD_BENCH=ON, and the folder of a WebAssembly build for the sections that begin
with wasm, and the folder in which the npm package is installed (build/package of the test command) for those that begin with
package. Inputs are made by its make-samples, once, in --inputs (default: BALLAST_CACHE, else the user's cache folder).
Sections: instructions, memory, json, wasm-memory, bytes, wasm, time; and of decompression (codec_bench.py)
codec-instructions, codec-memory, wasm-codec-memory, codecs, codec-threads, wasm-codecs; and of the npm package
(package_bench.py) package-node, package-browser, package-directory, in the machine's Node and in $BALLAST_NODE64, and
package-demo, of the demo page beside it (build/demo); and of the
values of every dtype (values_bench.py) values, package-values. --small takes smaller models of the package's, to see whether everything runs; --cpu takes processor time for time, which a busy machine changes
less (of one thread only: decoder, push, wasm-codecs).

Machines differ and are noisy, so nothing here is a bare time: costs are instructions counted by callgrind, or ratios of two
programs that alternate in one run (medians; more than 1 means that Ballast is faster). The section `time` is for reading
only and holds no bound. Ends with "N passed, N failed"; exit status 1 if a bound is broken.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from codec_bench import CodecSections
from package_bench import PackageSections
from values_bench import ValuesSections

MILLION = 1_000_000
MIB = 1 << 20
GIB = 1 << 30
SECTIONS = ("instructions", "memory", "json", "wasm-memory", "bytes", "wasm", "time",
            "codec-instructions", "codec-memory", "wasm-codec-memory", "codecs", "codec-threads", "wasm-codecs",
            "package-node", "package-browser", "package-directory", "package-demo", "values", "package-values")


class Bench(CodecSections, PackageSections, ValuesSections):
    def __init__(self, build, wasm, package, inputs, rounds, small):
        self.build, self.wasm, self.package = build, wasm, package
        self.inputs, self.rounds, self.small = inputs, rounds, small
        self.passed = self.failed = 0

    def program(self, name):
        for folder, _, names in os.walk(self.build):
            if name in names and os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
        sys.exit(f"bench.py: {name} is not in {self.build}: build it with -DBALLAST_BUILD_BENCH=ON")

    def input(self, name):
        """The path of a generated input; made, or made anew after its recipe changed."""
        os.makedirs(self.inputs, exist_ok=True)
        done = subprocess.run([self.program("make-samples"), self.inputs, "--bench", name],
                              check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip().splitlines()[-1]

    def numbers(self, *command):
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return [float(word) for word in done.stdout.split()]

    def instructions(self, function, *command):
        """What `function` and everything it calls execute (callgrind, inclusive)."""
        with tempfile.NamedTemporaryFile() as out:
            done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
                                   f"--toggle-collect={function}", *command],
                                  check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        count = int(re.search(r"Collected : (\d+)", done.stderr).group(1))
        if count == 0:
            sys.exit(f"bench.py: callgrind saw no call of {function}")
        return count

    def row(self, what, value, unit, bound=None, at_least=False, note=""):
        verdict = ""
        if bound is not None:
            good = value >= bound if at_least else value <= bound
            self.passed, self.failed = self.passed + good, self.failed + (not good)
            verdict = f"{'at least' if at_least else 'at most'} {bound:g}  {'ok' if good else 'FAILED'}"
        print(f"  {what:<58} {value:>10.3f} {unit:<10} {verdict}{'  ' + note if note else ''}", flush=True)

    # -- sections ---------------------------------------------------------------------------------

    def run_instructions(self):
        """Opening: Model::open with every check on, no byte of a tensor touched."""
        opener = self.program("bench-open")
        count = {}
        for name, bound, note in (
                ("vocabulary", 12, "ggml 310"),
                ("tensors10k", 5, "ggml 1698"),
                ("tensors300", None, "ggml 2.4"),
                ("sparse40g", None, "the same directory over 40 GiB"),
                ("safetensors20k", 35, "the Rust crate 169"),
                ("safetensors300", None, "the Rust crate 2.4"),
                ("million", None, "1,000,000 tensors")):
            count[name] = self.instructions("measured_open", opener, "open", self.input(name))
            self.row(f"open {name}", count[name] / MILLION, "M instr.", bound, note=note)
        self.row("40 GiB over 2 GiB, the same tensors", count["sparse40g"] / count["tensors300"], "", 1.05)
        self.row("per tensor, a million over ten thousand",
                 count["million"] / count["tensors10k"] / 100, "", 1.1)

    def run_memory(self):
        """Growth of the resident set while a model is opened: at most header + what is copied + 128 bytes a tensor + 2 MiB."""
        opener = self.program("bench-open")
        for name in ("vocabulary", "tensors10k", "tensors300", "safetensors20k", "million"):
            path = self.input(name)
            header, copied = header_bytes(self.program("ballast"), path)
            growth, tensors = self.numbers(opener, "memory", path)
            self.row(f"open {name}", growth / MIB, "MiB", (header + copied + 128 * tensors + 2 * MIB) / MIB)

    def run_json(self):
        """The safetensors header: our scanner beside Boost.JSON's SAX parser with the same checks."""
        path = self.input("safetensors20k")
        ours = self.instructions("measured_ballast", self.program("bench-json"), "ballast", path)
        boost = self.instructions("measured_boost", self.program("bench-json"), "boost", path)
        self.row("Boost.JSON basic_parser over ours", boost / ours, "", 1.5, at_least=True,
                 note=f"{boost / MILLION:.1f} over {ours / MILLION:.1f} M instr.")

    def run_bytes(self):
        """Bytes, warm, 2 GiB: ratios to the plain way in the same run."""
        path, program = self.input("tensors300"), self.program("bench-bytes")
        for mode, bound, what in (
                ("touch", 0.97, "every byte through the map, over mmap(2)"),
                ("touch-boost", None, "every byte through the map, over Boost's mapped_file"),
                ("read", 0.95, "every byte into a vector, over pread(2) to huge pages"),
                ("read-vector", None, "every byte into a vector, over ifstream to a vector")):
            try:
                ratio, ours, plain = self.numbers(program, mode, path, str(self.rounds))
            except subprocess.CalledProcessError:
                print(f"  ({mode}: not built here)")  # a peer that is not installed
                continue
            self.row(what, ratio, "", bound, at_least=True, note=f"{ours:.1f} over {plain:.1f} GB/s")
        touched, left, size = self.numbers(program, "release", path)
        self.row("still resident after release, of what was touched", left / touched, "", 0.01,
                 note=f"{touched / MIB:.0f} of {size / MIB:.0f} MiB were")

    def module(self, *arguments):
        """What module_bench.mjs prints of the module in the WebAssembly build."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "module_bench.mjs")
        return self.numbers("node", script, os.path.join(self.wasm, "web", "module"), *arguments)

    def run_wasm_memory(self):
        """The module in Node: peak of the resident set over the idle module, for a model of 768 MiB."""
        growth, size = self.module("memory", self.input("tensors768m"))
        self.row("load tensors768m", growth / MIB, "MiB", (1.05 * size + 24 * MIB) / MIB)

    def run_wasm(self):
        """The module in Node: ratios to the plain way, and to the native library, in the same run."""
        ratio, ours, plain = self.module("load", self.input("tensors768m"), str(self.rounds))
        self.row("prepare, readSync, commit over a bare readSync", ratio, "", 0.9, at_least=True,
                 note=f"{ours:.1f} over {plain:.1f} GB/s")
        opener = self.program("bench-open")
        for name, bound in (("vocabulary", 4), ("tensors10k", None), ("safetensors20k", None)):
            path = self.input(name)
            native, module = [], []
            for _ in range(3):
                native += self.numbers(opener, "memory-time", path, "61")
                module += self.module("open", path, "61")
            native, module = sorted(native)[1], sorted(module)[1]
            self.row(f"open {name} from memory, over the native time", module / native, "", bound,
                     note=f"{module:.2f} over {native:.2f} ms")

    def run_time(self):
        """Milliseconds of an open, warm (for reading; no bound)."""
        opener = self.program("bench-open")
        peer = hugging_face_gguf(self.inputs)
        for name in ("vocabulary", "tensors10k", "tensors300", "safetensors20k", "safetensors300"):
            path = self.input(name)
            ours = self.numbers(opener, "time", path, "21")[0]
            note = ""
            if peer and path.endswith(".gguf"):
                theirs = self.numbers("node", peer, path)[0]
                note = f"@huggingface/gguf in Node {theirs:.1f} ms: {theirs / ours:.0f} times"
            self.row(f"open {name}", ours, "ms", note=note)


def header_bytes(command, path):
    """Bytes in front of the tensor data, and how many of them are copied: all of safetensors, keys and names of GGUF."""
    done = subprocess.run([command, "inspect", "--json", path], check=True, stdout=subprocess.PIPE)
    model = json.loads(done.stdout)
    header = model["data_offset"]
    if header is None:
        header = os.path.getsize(path)
    if model["format"] == "safetensors":
        return header, header
    names = [*model["metadata"], *(tensor["name"] for tensor in model["tensors"])]
    return header, sum(len(name.encode()) for name in names)


def hugging_face_gguf(folder):
    """A script that times @huggingface/gguf, where npm can install it; else None."""
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    home = os.path.join(folder, "npm")
    os.makedirs(home, exist_ok=True)
    if not os.path.isdir(os.path.join(home, "node_modules", "@huggingface", "gguf")):
        done = subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home, "@huggingface/gguf"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            print("  (@huggingface/gguf cannot be installed here)")
            return None
    script = os.path.join(home, "time.mjs")
    with open(script, "w", encoding="utf-8") as out:
        out.write("""import { gguf } from "@huggingface/gguf";
const times = [];
for (let i = 0; i < 5; ++i) {
  const start = performance.now();
  await gguf(process.argv[2], { allowLocalFile: true });
  times.push(performance.now() - start);
}
console.log(times.sort((a, b) => a - b)[2]);
""")
    return script


def main():
    cache = os.environ.get("BALLAST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ballast")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--wasm")
    parser.add_argument("--package")
    parser.add_argument("--inputs", default=os.path.join(cache, "bench-inputs"))
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    if options.cpu:
        os.environ["BALLAST_BENCH_CLOCK"] = "cpu"
    bench = Bench(os.path.abspath(options.build), options.wasm and os.path.abspath(options.wasm),
                  options.package and os.path.abspath(options.package), os.path.abspath(options.inputs),
                  options.rounds, options.small)
    for section in options.only:
        if section.startswith("wasm") and not options.wasm:
            print(f"{section}: skipped: there is no WebAssembly build; name its folder with --wasm")
            continue
        if section.startswith("package") and not options.package:
            print(f"{section}: skipped: name the folder in which the npm package is installed with --package")
            continue
        run = getattr(bench, "run_" + section.replace("-", "_"))
        print(f"{section}: {run.__doc__}")
        run()
    print(f"{bench.passed} passed, {bench.failed} failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
