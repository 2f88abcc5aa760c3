#!/usr/bin/env python3
"""Runs what the README shows.

usage: run.py --checkout DIR --work DIR --command FILE --samples DIR
              --tree DIR --cmake FILE --generator NAME --compiler FILE
       run.py --checkout DIR --work DIR --command FILE --samples DIR --place NAME --path DIRS
       run.py --self-test

A comment before a fenced block makes it a test:

    <!-- test: NAME -->     sh: run with bash in a scratch copy of the checkout, the built command first on PATH
                            cpp, c: compiled against the installed library and run there; a snippet without a main
                            is put into one, its #include lines before it
    <!-- test: NAME in PLACE -->   the same, but only with --place PLACE, and then only those; --path brings
                            the programs that they need
                            (tests/package/readme_test.mjs runs those of the place `package`, in JavaScript)
    <!-- output: NAME -->   what that test prints, exactly, where a line "..." stands for any number of lines

The scratch copy is made in the folder WORK: where that is in the checkout, a compiler cache knows its sources again. It
also holds the sample models, as model.gguf, model.gguf.gz and model.safetensors. A README without a test fails.
"""
import argparse
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(
    r"^<!-- (?P<kind>test|output): *(?P<name>[\w.-]+)(?: in (?P<place>\w+))? *-->[ \t]*\n\s*?"
    r"^(?P<fence>`{3,})(?P<language>\w*)[ \t]*\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^\s*<!--\s*(?:test|output)\b.*$", re.MULTILINE)
LANGUAGES = {"sh", "cpp", "c"}


class Broken(Exception):
    """What is wrong with the README, in a sentence."""


def parse(text, place=None):
    """The tests of a place, as {name: (language, body)}, and what they must print, as {name: text}."""
    tests, outputs, elsewhere = {}, {}, set()
    blocks = list(BLOCK.finditer(text))
    marks = MARK.findall(text)
    if len(marks) != len(blocks):
        raise Broken(f"{len(marks)} marks, but {len(blocks)} well-formed ones with a fenced block after them: {marks}")
    for block in blocks:
        name, language = block["name"], block["language"]
        known = tests if block["kind"] == "test" else outputs
        if name in known:
            raise Broken(f"two blocks are marked {block['kind']}: {name}")
        if block["kind"] == "test" and block["place"] != place:
            elsewhere.add(name)
            continue
        if block["kind"] == "test" and language not in LANGUAGES:
            raise Broken(f"{name} is in {language or 'no language'}, which cannot be run")
        known[name] = (language, block["body"]) if block["kind"] == "test" else block["body"]
    if not tests:
        raise Broken("no block is marked as a test")
    if strangers := outputs.keys() - tests.keys() - elsewhere:
        raise Broken(f"output without a test: {', '.join(sorted(strangers))}")
    return tests, outputs


def as_program(body):
    """A C or C++ snippet as a whole program."""
    if re.search(r"\bmain\s*\(", body):
        return body
    lines = body.splitlines()
    includes = [line for line in lines if line.lstrip().startswith("#include")]
    rest = [line for line in lines if not line.lstrip().startswith("#include")]
    return "\n".join([*includes, "int main(void) {", *rest, "return 0;", "}", ""])


def matches(expected, printed):
    parts = [re.escape(part) for part in re.split(r"^\.\.\.$\n?", expected, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*?".join(parts), printed) is not None


def copy_checkout(checkout, scratch):
    """What is in the repository or would be, without what builds have made."""
    listed = subprocess.run(["git", "-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if listed.returncode != 0:  # An unpacked archive.
        shutil.copytree(checkout, scratch, ignore=shutil.ignore_patterns("build", "node_modules"))
        return
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = checkout / name, scratch / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def build_snippets(tests, folder, options):
    """Builds each C and C++ snippet as a user would: find_package, link, compile."""
    snippets = {name: (language, body) for name, (language, body) in tests.items() if language != "sh"}
    if not snippets:
        return
    folder.mkdir()
    languages = "C CXX" if any(language == "c" for language, _ in snippets.values()) else "CXX"
    lines = ["cmake_minimum_required(VERSION 3.25)", f"project(snippets LANGUAGES {languages})",
             "find_package(ballast CONFIG REQUIRED)"]
    for name, (language, body) in snippets.items():
        (folder / f"{name}.{language}").write_text(as_program(body), encoding="utf-8")
        lines += [f"add_executable({name} {name}.{language})",
                  f"target_link_libraries({name} PRIVATE ballast::ballast)",
                  f"target_compile_options({name} PRIVATE -Wall -Wextra -Wno-unused -Werror)"]
    (folder / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    for step in (["-S", folder, "-B", folder, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={options.tree}",
                  f"-DCMAKE_CXX_COMPILER={options.compiler}"], ["--build", folder]):
        done = subprocess.run([options.cmake, *step], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise Broken("the snippets do not compile:\n" + done.stdout.decode(errors="replace"))


def run_all(options):
    tests, outputs = parse((options.checkout / "README.md").read_text(encoding="utf-8"), options.place)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ballast-readme-", dir=options.work) as temporary:
        scratch, snippets = pathlib.Path(temporary, "ballast"), pathlib.Path(temporary, "snippets")
        copy_checkout(options.checkout, scratch)
        for format_name in ("gguf", "safetensors"):
            shutil.copy(options.samples / f"tiny.{format_name}", scratch / f"model.{format_name}")
        (scratch / "model.gguf.gz").write_bytes(gzip.compress((scratch / "model.gguf").read_bytes()))
        build_snippets(tests, snippets, options)
        first = [str(options.command.parent), *filter(None, [options.path])]
        environment = {**os.environ, "PATH": os.pathsep.join([*first, os.environ["PATH"]])}
        for name, (language, body) in tests.items():
            command = ["bash", "-euo", "pipefail", "-c", body] if language == "sh" else [snippets / name]
            done = subprocess.run(command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
            fine = done.returncode == 0 and (name not in outputs or matches(outputs[name], done.stdout))
            print(f"{'passed' if fine else 'FAILED'}: {name}")
            if not fine:
                failed += 1
                print(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
                if name in outputs:
                    print(f"the README says\n{outputs[name]}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed


def refused(text):
    try:
        parse(text)
    except Broken:
        return True
    return False


def self_test():
    one = "words\n<!-- test: a -->\n```sh\ntrue\n```\nmore\n"
    facts = {
        "a marked block is found": parse(one) == ({"a": ("sh", "true\n")}, {}),
        "an unmarked block is left alone": parse(one + "```sh\nfalse\n```\n")[0].keys() == {"a"},
        "a block of another place is left alone": parse(one.replace(" -->", " in x -->") + one.replace(": a", ": b"))[0]
        == {"b": ("sh", "true\n")},
        "a block is found in its place": parse(one.replace(" -->", " in x -->"), "x")[0] == {"a": ("sh", "true\n")},
        "an output is found": parse(one + "<!-- output: a -->\n\n```\nx\n```\n")[1] == {"a": "x\n"},
        "a README without tests is refused": refused("```sh\ntrue\n```\n"),
        "a mark without a block is refused": refused(one + "<!-- test: b -->\nwords\n"),
        "a misspelt mark is refused": refused(one + "<!--test:b-->\n```sh\ntrue\n```\n"),
        "a name given twice is refused": refused(one + one),
        "an unknown language is refused": refused("<!-- test: a -->\n```cobol\n```\n"),
        "an output without its test is refused": refused(one + "<!-- output: b -->\n```\n```\n"),
        "a snippet gets a main": "int main(void) {\nf();" in as_program("#include <x>\nf();\n"),
        "a program keeps its own": as_program("int main() {}\n") == "int main() {}\n",
        "outputs are compared": matches("a\nb\n", "a\nb\n") and not matches("a\n", "a\nb\n"),
        "dots stand for lines": matches("a\n...\nd\n", "a\nb\nc\nd\n") and not matches("a\n...\nd\n", "a\nb\n"),
    }
    failures = [fact for fact, holds in facts.items() if not holds]
    print("\n".join(f"does not hold: {fact}" for fact in failures) or "fine")
    return len(failures)


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("checkout", "work", "command", "samples"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("tree", "cmake", "compiler"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    for name in ("generator", "place", "path"):
        parser.add_argument(f"--{name}")
    try:
        return 1 if run_all(parser.parse_args()) else 0
    except Broken as problem:
        print(f"README.md: {problem}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
