#!/usr/bin/env python3
"""Runs clang-tidy on sources, less those that have passed before with the same words in them and in every header.

usage: tidy.py --clang-tidy FILE --build DIR --checkout DIR --jobs N SOURCE...
       tidy.py --self-test

A source that passes leaves an empty file in the cache folder of platform/bootstrap.sh, named after a hash of all that
decides: the source and each header that it includes, those of the system too, the flags, .clang-tidy, clang-tidy's
version and this script. Where the checkout and the build folder are does not count, so that a fresh clone on the same
machine, as in CI, checks what has changed.

Most of clang-tidy's time goes into the standard library's headers, again for every source. So sources that have the same
flags and no names in common are checked as one, which includes them all. If that one passes, so do they; if not, or if it
does not compile, each is checked by itself, and that decides. Of the checks in .clang-tidy three look at nothing that is
included: where one of them might have something to say, the source is checked by itself, too.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

KEPT = 30 * 24 * 3600  # seconds: what no run has asked for since then is removed
TOGETHER = 8  # sources, at most: more would leave a processor without work at the end
# By their names in C++.
C_HEADERS = set("cassert ccomplex cctype cerrno cfenv cfloat cinttypes ciso646 climits clocale cmath csetjmp csignal cstdalign "
                "cstdarg cstdbool cstddef cstdint cstdio cstdlib cstring ctgmath ctime cuchar cwchar cwctype".split())
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def cache_folder(environment):
    """By the same rule as in platform/bootstrap.sh."""
    if environment.get("BALLAST_CACHE"):
        return pathlib.Path(environment["BALLAST_CACHE"])
    if environment.get("XDG_CACHE_HOME"):
        return pathlib.Path(environment["XDG_CACHE_HOME"], "ballast")
    return pathlib.Path(environment.get("HOME") or tempfile.gettempdir(), ".cache", "ballast")


def compiled_together(source):
    """The sources that a file of a unity build includes; the source itself where it is none of these."""
    if pathlib.Path(source).parent.name != "Unity":
        return [source]
    return re.findall(r'^#include "(.+\.cpp)"$', pathlib.Path(source).read_text(encoding="utf-8"), re.MULTILINE)


def compile_commands(build):
    """How the build compiles each source, without what it writes, and in which folder."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        words = shlex.split(entry["command"])
        output = words.index("-o")
        words = words[:output] + words[output + 2:]
        compiled = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        for source in compiled_together(compiled):
            command = [source if word == entry["file"] else word for word in words]
            commands.setdefault(source, (command, entry["directory"]))
    return commands


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
    for name, path in sorted((movable(path, checkout, build), path) for path in files):
        parts += [name.encode(), pathlib.Path(path).read_bytes()]
    parts += others
    # The length before each, so that no two lists of parts read the same.
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()


def leave(stamps):
    """Notes that these have passed. A machine whose cache cannot be written checks all the same."""
    folder = cache_folder(os.environ) / "tidy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stamp in stamps:
            stamp.touch()
        for other in folder.iterdir():
            if other.stat().st_mtime < time.time() - KEPT:
                other.unlink(missing_ok=True)
    except OSError as problem:
        print(f"{problem.filename} cannot be written: {problem.strerror}", file=sys.stderr)


def own_names(text):
    """Words that a source may declare outside of functions and classes, and not for other sources."""
    names = set()
    for line in COMMENT.sub("", text).splitlines():
        if re.match(r"[A-Za-z_\[]", line) and not line.startswith("namespace"):
            names.update(re.findall(r"(?<![\w:])([A-Za-z_]\w*)(?= *(?:[({=;\[]|:(?!:)|$))", line))
    return names - {"alignas", "const", "default", "final", "noexcept", "static_assert", "try"}


def is_for_itself(text):
    """Whether the checks that look at the main file alone might say something: modernize-deprecated-headers,
    misc-unused-alias-decls and misc-unused-using-decls."""
    text = COMMENT.sub("", text)
    introduced = re.findall(r"\busing\s+[\w:]+::(\w+)\s*;|\bnamespace\s+(\w+)\s*=", text)
    return any(f"c{name}" in C_HEADERS for name in re.findall(r"#\s*include\s*<(\w+)\.h>", text)) or any(
        len(re.findall(rf"\b{name}\b", text)) < 2 for pair in introduced for name in pair if name)


def batches(sources, flags, texts):
    """Sources that can be included one after the other, as lists; in the order that they are given in."""
    found = []
    alone = {source for source in sources if is_for_itself(texts[source])}
    for source in sources:
        names = own_names(texts[source])
        for batch, taken in found:
            first = batch[0]
            if (len(batch) < TOGETHER and flags[first] == flags[source] and not alone & {first, source} and
                    not names & taken):
                batch.append(source)
                taken |= names
                break
        else:
            found.append(([source], names))
    return [batch for batch, _ in found]


class Tidy:
    def __init__(self, options):
        self.options = options
        self.build, self.checkout = options.build.absolute(), options.checkout.absolute()
        self.commands = compile_commands(self.build)
        version = subprocess.run([options.clang_tidy, "--version"], stdout=subprocess.PIPE, check=True).stdout
        self.others = [version, (self.checkout / ".clang-tidy").read_bytes(), pathlib.Path(__file__).read_bytes()]

    def command(self, source):
        if source not in self.commands:
            raise LookupError(f"{source} is not in compile_commands.json")
        return self.commands[source]

    def stamp(self, source):
        command, directory = self.command(source)
        files = read_files(command, directory)
        if source not in files:
            raise LookupError(f"{command[0]} does not say that {source} is among what it reads: {files}")
        return cache_folder(os.environ) / "tidy" / key(command, files, self.others, self.checkout, self.build)

    def flags(self, source):
        """What follows the compiler in its command, but the source."""
        command, directory = self.command(source)
        first = next(i for i, word in enumerate(command) if word.startswith("-"))
        words = command[first:]
        while source in words:
            words.remove(source)
        return [word for word in words if word != "-c"], directory

    def run(self, file, flags, directory):
        """What clang-tidy says of a file; nothing where it passes."""
        done = subprocess.run([self.options.clang_tidy, "--quiet", f"--config-file={self.checkout / '.clang-tidy'}",
                               file, "--", *flags, "-Wno-unknown-warning-option"], cwd=directory,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout or f"exit status {done.returncode}"

    def check(self, batch):
        """What clang-tidy says of each of them that does not pass."""
        if len(batch) > 1:
            with tempfile.TemporaryDirectory(dir=self.build) as folder:
                one = pathlib.Path(folder, "together.cpp")
                one.write_text("".join(f'#include "{source}"  // NOLINT(bugprone-suspicious-include)\n'
                                       for source in batch), encoding="utf-8")
                flags, directory = self.flags(batch[0])
                # A local name of one may be another one's own.
                if not self.run(one, [*flags, "-Wno-shadow"], directory):
                    return {}
        said = {source: self.run(source, *self.flags(source)) for source in batch}
        return {source: words for source, words in said.items() if words}

    def check_all(self):
        sources = [os.path.abspath(source) for source in self.options.sources]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            stamps = dict(zip(sources, pool.map(self.stamp, sources)))
            due = [source for source in sources if not stamps[source].exists()]
            texts = {source: pathlib.Path(source).read_text(encoding="utf-8") for source in due}
            planned = batches(due, {source: self.flags(source) for source in due}, texts)
            # The longest first.
            planned.sort(key=lambda batch: -sum(len(texts[source]) for source in batch))
            refused = {source: words for said in pool.map(self.check, planned) for source, words in said.items()}
        for words in refused.values():
            print(words)
        leave(stamps[source] for source in sources if source not in refused)
        print(f"{len(sources)} sources: {len(due)} checked in {len(planned)} parts, {len(refused)} refused")
        return 1 if refused else 0


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
            "so it has where headers come between": len({
                key([], sorted(map(str, (root / "x.cpp", written("int y;", "b") / "x.cpp"))), [], root, root / "b")
                for root in (written("int x;"), written("int x;", "c"))}) == 1,
            "another comment is another key": key_of(written("int x; // y")) != first,
            "another flag is another key": key_of(written("int x;"), flag="-O2") != first,
            "another configuration is another key": key_of(written("int x;"), other=b"check") != first,
            "parts do not run into each other": key(["ab", "c"], [], [], "/r", "/b") != key(["a", "bc"], [], [], "/r", "/b"),
            "a source's own names are those outside of functions":
                own_names("namespace {\nconstexpr int kA = f(b);  // kB\nvoid g(int h) {\n  int i;\n}\nstruct J {\n"
                          "  int k;\n};\nvoid C::m() {}\nusing N = int;\n") >= {"kA", "g", "J", "N"}
                and not own_names("void C::m() {\n  int i;\n}\n  int k;\n") & {"m", "i", "k"},
            "an old header is for itself": is_for_itself("#include <string.h>\n"),
            "a new header is not": not is_for_itself("#include <cstring>\n"),
            "an unused name is for itself": is_for_itself("using std::byte;  // byte\n"),
            "an unused alias is for itself": is_for_itself("namespace fs = std::filesystem;\n"),
            "a used one is not": not is_for_itself("using std::byte;\nbyte b;\n"),
            "what has no names in common goes together": batches("abc", dict.fromkeys("abc", []), {
                "a": "int x() {}\n", "b": "int x();\n", "c": "int y = 1;\n"}) == [["a", "c"], ["b"]],
            "what has other flags does not": batches("ab", {"a": [], "b": ["-O1"]}, dict.fromkeys("ab", "")) == [["a"], ["b"]],
            "what is for itself does not": batches("ab", dict.fromkeys("ab", []), {
                "a": "", "b": "using std::byte;\n"}) == [["a"], ["b"]],
            "not too many go together": [len(batch) for batch in batches(
                range(TOGETHER + 1), dict.fromkeys(range(TOGETHER + 1)), dict.fromkeys(range(TOGETHER + 1), ""))]
            == [TOGETHER, 1],
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
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--checkout", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("sources", nargs="+")
    return Tidy(parser.parse_args()).check_all()


if __name__ == "__main__":
    sys.exit(main())
