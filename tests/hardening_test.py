#!/usr/bin/env python3
"""Whether a program for Linux is hardened as platform/setup/hardening.cmake means it to be, by what is in its file.

usage: hardening_test.py READELF PROGRAM
       hardening_test.py --self-test
"""
import re
import subprocess
import sys


def complaints(text):
    """What is amiss, of readelf's headers, segments, dynamic section and symbols."""
    if not re.search(r"^\s*Type:\s+DYN", text, re.MULTILINE):
        yield "the program cannot be loaded anywhere (no PIE)"
    if "GNU_RELRO" not in text:
        yield "no part is read-only after it was linked (RELRO)"
    if not re.search(r"\(FLAGS_1\).*\bNOW\b", text) and "(BIND_NOW)" not in text:
        yield "functions are looked up when they are first called (no BIND_NOW)"
    stack = re.search(r"GNU_STACK(?:\s+0x[0-9a-f]+)+\s+([RWE ]+?)\s+0x", text)
    if not stack or "E" in stack.group(1):
        yield "the stack is executable"
    if re.search(r"^\s*LOAD.*\bRWE\b", text, re.MULTILINE):
        yield "there is memory that is writable and executable"
    for tag, words in {"(RPATH)": "it looks for libraries in a folder of its own",
                       "(RUNPATH)": "it looks for libraries in a folder of its own",
                       "(TEXTREL)": "code is changed when it is loaded"}.items():
        if tag in text:
            yield f"{words} {tag}"
    if not re.search(r"\b__stack_chk_fail\b", text):
        yield "no function looks after its stack"
    if not re.search(r"\b__\w+_chk\b", text):
        yield "no call of the C library is checked (_FORTIFY_SOURCE)"


def self_test():
    good = ("  Type:                              DYN (Position-Independent Executable file)\n"
            "  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10\n"
            "  GNU_RELRO      0x0 0x1 0x1 0x1 0x1 R   0x1\n 0x000000006ffffffb (FLAGS_1)  Flags: NOW PIE\n"
            "  1: 0 0 FUNC GLOBAL DEFAULT UND __stack_chk_fail@GLIBC_2.4\n  2: 0 0 FUNC GLOBAL DEFAULT UND __read_chk\n")
    assert not list(complaints(good)), list(complaints(good))
    for broken in (good.replace("DYN", "EXEC"), good.replace("GNU_RELRO", "NOTE"), good.replace("NOW ", ""),
                   good.replace("RW  0x10", "RWE 0x10"), good + " 0x1 (RUNPATH) Library runpath: [/x]\n",
                   good + " 0x1 (TEXTREL) 0x0\n", good.replace("__stack_chk_fail", "f"), good.replace("__read_chk", "g"),
                   good + "  LOAD           0x0 0x0 0x0 0x1 0x1 RWE 0x1000\n"):
        assert len(list(complaints(broken))) == 1, list(complaints(broken))


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    readelf, program = sys.argv[1:3]
    done = subprocess.run([readelf, "-hldW", "--dyn-syms", program], stdout=subprocess.PIPE, check=True, text=True)
    found = list(complaints(done.stdout))
    print("\n".join(found) or "hardened")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
