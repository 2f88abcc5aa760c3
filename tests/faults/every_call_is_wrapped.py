#!/usr/bin/env python3
"""Holds that every call of the platform layer which can fail is one that the fault injection reaches.

usage: every_call_is_wrapped.py NM WRAPPED;... OBJECT;...

A call of the C library that stands in neither list is either wrapped (system_calls.cpp), or gets its reason here.
"""
import re
import subprocess
import sys

# Calls that are left alone, and why.
LEFT_ALONE = {
    "memset": "touches memory only",
    "memcpy": "touches memory only",
    "memmove": "touches memory only",
    "memcmp": "touches memory only",
    "memchr": "touches memory only",
    "strlen": "touches memory only",
    "sigfillset": "cannot fail for a set that is there",
    "sigemptyset": "the same",
    "sigaddset": "cannot fail for a signal that exists",
    "sigdelset": "the same",
    "sigismember": "the same",
    "sigaction": "fails for a signal that does not exist or cannot be caught, and for no other reason",
    "raise": "the same",
    "pthread_sigmask": "fails for a way to change the mask that does not exist, and for no other reason",
    "pthread_setcancelstate": "fails for a state that does not exist, and for no other reason",
    "getpid": "cannot fail",
    "sched_yield": "the same",
    "dl_iterate_phdr": "calls back, and cannot fail",
    "dladdr": "is called in libraries alone, whose code it knows",
    "dlopen": "the same, which are loaded already",
    "pthread_mutex_lock": "fails for recursive and robust mutexes, which nobody has here",
    "pthread_mutex_unlock": "the same",
    "pthread_cond_clockwait": "times out, which is one of its two answers; else as the mutex",
    "pthread_cond_timedwait": "the same",
    "__errno_location": "is errno",
    "__libc_single_threaded": "is a variable of the C library",
}
# What compilers put there by themselves; and names of C++, whose library makes calls of its own: of those only the one
# that starts a thread fails in ways that the platform layer has to do with (a file of control groups that cannot be
# read is one without a limit, and memory that is not there is the other part of these tests).
BY_COMPILERS = re.compile(r"_GLOBAL_OFFSET_TABLE_|_Unwind_\w+|__cxa_\w+|__gxx_personality_v0|__dso_handle|__stack_chk_fail"
                          r"|__st(?:art|op)_\w+|__san(?:itizer_)?cov_\w+|__llvm_prof\w+"
                          r"|__[atu][a-z]*san_\w+|___asan_\w+|_Z\w+|__clang_call_terminate|__assert_fail|DW\.ref\.\w+")
START_OF_A_THREAD = "_ZNSt6thread15_M_start_thread"


def undefined(nm, objects):
    """What the objects want from elsewhere."""
    done = subprocess.run([nm, "-u", *objects], stdout=subprocess.PIPE, check=True, text=True)
    return sorted({line.split()[-1] for line in done.stdout.splitlines() if re.match(r"\s+[Uw] ", line)})


def complaints(names, wrapped):
    for name in names:
        is_thread = name.startswith(START_OF_A_THREAD)
        if name in wrapped or (not is_thread and (name in LEFT_ALONE or BY_COMPILERS.fullmatch(name))):
            continue
        yield f"{name} is called in platform/posix, and no test makes it fail"
    for name in wrapped:
        if name not in names:
            yield f"{name} is wrapped, and nobody calls it"


def main():
    nm, wrapped, objects = sys.argv[1], sys.argv[2].split(";"), sys.argv[3].split(";")
    found = list(complaints(undefined(nm, objects), wrapped))
    print("\n".join(found) or "fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
