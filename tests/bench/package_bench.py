"""The sections of bench.py that measure the npm package, beside the naive ways and @huggingface/gguf.

The package is the one that is installed in the folder --package, from its packed tarball.
"""
import contextlib
import os
import shutil
import subprocess
import sys

MIB = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))
ENGINES = ("chromium", "firefox", "webkit")

MODEL, SAFETENSORS = "tensors768m", "safetensors768m"
SMALLER = {MODEL: "bf16-64m", SAFETENSORS: "safetensors20k"}  # with --small, which is about whether it runs


def median(values):
    return sorted(values)[len(values) // 2]


def nodes():
    """The machine's Node and the one for wasm64, once each: { version: path }."""
    found = {}
    for path in (shutil.which("node"), os.environ.get("BALLAST_NODE64")):
        if path:
            done = subprocess.run([path, "--version"], check=True, stdout=subprocess.PIPE, text=True)
            found.setdefault(done.stdout.strip().lstrip("v"), path)
    return found


class PackageSections:
    def script(self, name, *arguments, node="node"):
        return self.numbers(node, os.path.join(HERE, name), *arguments)

    def library(self):
        return os.path.join(self.package, "node_modules", "ballast-loader")

    def demo(self):
        """The demo page, which the test command builds beside the package."""
        return os.path.join(os.path.dirname(self.package), "demo")

    def model(self, name):
        return self.input(SMALLER[name] if self.small else name)

    @contextlib.contextmanager
    def server(self):
        """The origin of a server in a process of its own."""
        roots = [f"dist={self.library()}/dist", f"models={self.inputs}", f"bench={HERE}"]
        if os.path.isdir(self.demo()):
            roots.append(f"demo={self.demo()}")
        with subprocess.Popen(["node", os.path.join(HERE, "package_server.mjs"), *roots],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout.readline().strip()
            finally:
                process.stdin.close()

    def alternate(self, ways, measure, rounds):
        """What `measure` gives for each way, round for round: { way: [numbers] }. They take turns in coming first."""
        found = {way: [] for way in ways}
        for i in range(rounds):
            for way in ways if i % 2 == 0 else reversed(ways):
                found[way].append(measure(way))
        return found

    def compare(self, found, ours, theirs, size, bounds, what):
        """Rows of the time of `ours` over that of each of `theirs`, and of the peaks of all over the model."""
        time_bound, peak_bound = bounds if not self.small else ({}, None)  # there the fixed costs are most
        for peer in theirs:
            ratio = median([mine[0] / other[0] for mine, other in zip(found[ours], found[peer])])
            mine, other = (median([numbers[0] for numbers in found[way]]) for way in (ours, peer))
            self.row(f"{what}: time of {ours} over {peer}", ratio, "", time_bound.get(peer),
                     note=f"{mine / 1000:.2f} over {other / 1000:.2f} s")
        for way in (ours, *theirs):
            peak = median([numbers[1] for numbers in found[way]])
            note = f"{peak / MIB:.1f} MiB"
            if len(found[way][0]) > 3:  # of browsers
                note += f"; all processes {median([numbers[2] for numbers in found[way]]) / MIB:.1f}"
                note += f"; the memory itself {median([numbers[3] for numbers in found[way]]) / MIB:.1f}"
            self.row(f"{what}: peak of {way} over the model", peak / size, "", peak_bound if way == ours else None, note=note)

    # -- sections ---------------------------------------------------------------------------------

    def run_package_node(self):
        """The package in Node, 768 MiB: time over a bare readSync loop, peak of the resident set over the idle process."""
        for version, node in nodes().items():
            for name, ways in ((MODEL, ("open", "readSync", "readFile")), (SAFETENSORS, ("open", "readSync"))):
                file = self.model(name)
                found = self.alternate(
                    ways, lambda way: self.script("package_node.mjs", self.library(), way, file, file, node=node), self.rounds)
                self.compare(found, "open", ways[1:], os.path.getsize(file), ({"readSync": 1.15}, 1.05),
                             f"Node {version}, {file.rsplit('.', 1)[1]}")
            file = self.model(MODEL)
            with self.server() as origin:
                url = f"{origin}/models/{os.path.basename(file)}"
                found = self.alternate(
                    ("open", "arrayBuffer"),
                    lambda way: self.script("package_node.mjs", self.library(), way, url, file, node=node), (self.rounds + 1) // 2)
            self.compare(found, "open", ("arrayBuffer",), os.path.getsize(file), ({}, 1.1), f"Node {version}, URL")

    def run_package_browser(self):
        """The package in browsers, 768 MiB: peak of the renderer over the idle page."""
        script, file = os.path.join(HERE, "package_browser.mjs"), self.model(MODEL)
        for engine in ENGINES:
            done = subprocess.run(["node", script, engine], stdout=subprocess.PIPE, text=True, check=False)
            version = done.stdout.strip()
            if done.returncode != 0:
                print(f"  ({version})")
                continue
            pairs = [("open", ("arrayBuffer",)), ("open-file", ("file",))]
            if engine != "webkit":  # which has no such handles
                pairs.append(("open-opfs", ()))
            for ours, theirs in pairs:
                with self.server() as origin:
                    found = self.alternate((ours, *theirs), lambda way: self.script("package_browser.mjs", engine, way, origin, file),
                                           (self.rounds + 2) // 3)
                self.compare(found, ours, theirs, os.path.getsize(file), ({}, 1.1), f"{engine} {version}")

    def run_package_demo(self):
        """The demo page, 768 MiB: the longest task of the page's own thread during a load, in milliseconds."""
        file = self.model(MODEL)
        for engine in ENGINES:
            done = subprocess.run(["node", os.path.join(HERE, "package_browser.mjs"), engine],
                                  stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                print(f"  ({done.stdout.strip()})")
                continue
            with self.server() as origin:
                found = [self.script("package_demo.mjs", engine, origin, file) for _ in range((self.rounds + 2) // 3)]
            longest, load = (median([numbers[i] for numbers in found]) for i in range(2))
            self.row(f"{engine} {done.stdout.strip()}", longest, "ms", 50, note=f"in a load of {load / 1000:.2f} s")

    def run_package_directory(self):
        """The directory of a model, beside @huggingface/gguf in the same process; times, more is faster."""
        for version, node in nodes().items():
            with self.server() as origin:
                for name in ("vocabulary", "tensors10k"):
                    file = self.input(name)
                    for where, source in (("file", file), ("URL", f"{origin}/models/{os.path.basename(file)}")):
                        told = self.script("package_directory.mjs", self.library(), source, str(self.rounds), node=node)
                        rows = [told[i:i + 3] for i in range(0, len(told), 3)]
                        whats = ("inspect", "and all tokens as strings", "and every array decoded, as theirs is",
                                 "inspect, the first of the process")
                        for i, (what, (ratio, ours, theirs)) in enumerate(zip(whats, rows)):
                            if name != "vocabulary" and 0 < i < 3:
                                continue  # it has no arrays
                            bound = 50 if i == 0 and name == "vocabulary" and where == "file" else None
                            self.row(f"Node {version}, {name}, {where}: {what}" if i == 0 else f"  {what}", ratio, "", bound,
                                     at_least=True, note=f"{ours:.2f} over {theirs:.2f} ms")
