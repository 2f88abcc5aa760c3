#!/usr/bin/env python3
"""Holds the includes of src/ and platform/ to the direction that the design gives them.

usage: dependency_direction.py CHECKOUT | --self-test

A file may include what stands in a line above its own in LAYERS, and its own header. platform/ depends on nothing of the
project. Conditional compilation on a system or a compiler lives in platform/ and config.hpp.in; elsewhere the line says
why in a comment.
"""
import pathlib
import re
import sys
import tempfile

# From the ground up. Names on one line are siblings and do not know each other.
LAYERS = [
    ["config", "error_table", "fetch"],
    ["text"],
    ["error"],
    ["compression"],
    ["dtype"],
    ["small_float", "decode_grids"],
    ["decode"],
    ["statistics"],
    ["tensor"],
    ["name_index"],
    ["metadata"],
    ["directory"],
    ["layout", "name_copies", "warning_list"],
    ["cursor", "json_scanner"],
    ["gguf", "safetensors"],
    ["format"],
    ["shards", "shard_files"],
    ["model_data"],
    ["codec"],
    ["placer"],
    ["loader"],
    ["whole"],
    ["open"],
    ["model"],
    ["verify"],
    ["values"],
    ["ballast"],
    ["cli", "examples"],
]
# Layers that are a folder of src/ each, with a program or more in it.
PROGRAMS = {"cli", "examples"}
# Files that are a part of another name.
PART_OF = {
    "c_api": "ballast", "c_api_error": "ballast", "c_api_model": "ballast", "c_api_values": "ballast",
    "codec_bzip2": "codec", "codec_gzip": "codec", "codec_lz4": "codec", "codec_xz": "codec", "codec_zstd": "codec",
    "decode_block": "decode", "decode_float": "decode", "decode_iq": "decode", "decode_kernel": "decode",
    "gguf_layout": "gguf",
    "model_data_storage": "model_data",
    "open_compressed": "open", "open_job": "open",
    "whole_gzip": "whole", "whole_job": "whole", "whole_lz4": "whole", "whole_xz": "whole", "whole_zstd": "whole",
}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MAY_USE_PLATFORM = {
    "small_float", "decode", "statistics", "model_data", "placer", "loader", "whole", "open", "verify", "ballast",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(?:el)?if(?:n?def)?\b(.*)")
SYSTEM_MACRO = re.compile(
    r"\b(?:_WIN(?:32|64)|WIN32|__(?:linux|unix|APPLE|ANDROID|FreeBSD|EMSCRIPTEN|wasm\w*|MINGW\w*|CYGWIN)(?:__)?"
    r"|(?:__)?unix(?:__)?|__GNUC__|__clang\w*|_MSC_VER|__GLIBC\w*|__x86_64__|__aarch64__|_LIBCPP_VERSION)\b"
)
REASON = re.compile(r"(?://|/\*)\s*\w+\W+\w+")


def sources(root, folder):
    return sorted(p for p in (root / folder).rglob("*") if p.suffix in {".hpp", ".cpp", ".h", ".in"})


def unit(root, path):
    """The name in LAYERS of a file of src/."""
    relative = path.relative_to(root / "src")
    return relative.parts[0] if relative.parts[0] in PROGRAMS else named(relative.name)


def named(file):
    stem = file.split(".")[0]
    return PART_OF.get(stem, stem)


def check_include(user, included, own_folder):
    """Why a file of src/ must not include something, or None."""
    if included.startswith("platform/"):
        return None if user in MAY_USE_PLATFORM else f"{user} may not use platform/"
    folder = included.split("/")[0]
    is_own = folder in PROGRAMS | {"ballast"} or (own_folder / included).exists()
    if not is_own:
        return None
    programs = [name for name in (folder, own_folder.name) if name in PROGRAMS and folder != "ballast"]
    name = programs[0] if programs else named(included.split("/")[-1])
    if name not in RANK:
        return f"{included} has no place in the order"
    if name != user and RANK[name] >= RANK[user]:
        return f"{user} may not depend on {name}, which stands at its side or above it"
    return None


def check_platform_include(included, root):
    of_the_project = {"ballast", "src", ".."} | PROGRAMS
    if included.split("/")[0] in of_the_project or (root / "src" / "ballast" / included).exists():
        return "platform/ depends on nothing of the project"
    return None


def check_file(root, path):
    in_platform = path.is_relative_to(root / "platform")
    if not in_platform and unit(root, path) not in RANK:
        yield 1, f"{unit(root, path)} has no place in the order"
        return
    public = set(public_headers(root))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if include := INCLUDE.match(line):
            included = include.group(1)
            problem = check_platform_include(included, root) if in_platform else \
                check_include(unit(root, path), included, path.parent)
            outside = path.parent.name in PROGRAMS or path.parent.name == "ballast" and path.name in public
            if not problem and outside and (included.startswith("platform/") or
                                            included.startswith("ballast/") and included.split("/")[1] not in public):
                problem = f"{included} is not installed, so neither installed headers nor programs may include it"
            if problem:
                yield number, problem
        condition = CONDITION.match(line)
        if condition and not in_platform and path.name != "config.hpp.in":
            if SYSTEM_MACRO.search(condition.group(1)) and not REASON.search(line):
                yield number, "conditional compilation on a system outside platform/, without its reason in a comment"


def public_headers(root):
    """The headers that CMakeLists.txt installs."""
    listed = re.findall(r"FILE_SET HEADERS(.*?)\)", (root / "CMakeLists.txt").read_text(encoding="utf-8"), re.DOTALL)
    return [word.split("/")[-1] for words in listed for word in words.split() if word.endswith((".hpp", ".h"))]


def check(root):
    found = []
    for path in sources(root, "src") + sources(root, "platform"):
        if path.is_relative_to(root / "platform" / "setup"):
            continue  # Templates of the installation, not sources.
        for number, problem in check_file(root, path):
            found.append(f"{path.relative_to(root)}:{number}: {problem}")
    return found


GOOD = {
    "CMakeLists.txt": "FILE_SET HEADERS FILES include/ballast/config.hpp src/ballast/error.hpp src/ballast/gguf.hpp)",
    "src/ballast/config.hpp.in": "#if defined(_WIN32)\n#endif\n",
    "src/ballast/error.hpp": "#include <string>\n#include <ballast/config.hpp>\n",
    "src/ballast/cursor.hpp": "#include <ballast/error.hpp>\n",
    "src/ballast/gguf.hpp": "#include <ballast/error.hpp>\n",
    "src/ballast/gguf.cpp": '#include <ballast/gguf.hpp>\n#include "cursor.hpp"\n',
    "src/ballast/open.cpp": '#include "platform/file.hpp"\n#ifdef __linux__  // the reason why\n#endif\n',
    "src/cli/main.cpp": '#include <ballast/gguf.hpp>\n#include "inspect.hpp"\n',
    "src/cli/inspect.hpp": "#include <string>\n",
    "src/examples/upload.cpp": "#include <ballast/gguf.hpp>\n#ifdef __APPLE__  // the reason why\n#endif\n",
    "platform/file.hpp": "#include <cstddef>\n#ifdef __linux__\n#endif\n",
}
BROKEN = [
    ("src/ballast/error.hpp", "#include <ballast/gguf.hpp>\n", "may not depend on"),
    ("src/ballast/safetensors.cpp", "#include <ballast/gguf.hpp>\n", "may not depend on"),
    ("src/ballast/cursor.hpp", '#include "gguf.hpp"\n', "may not depend on"),
    ("src/ballast/gguf.cpp", '#include "platform/file.hpp"\n', "may not use platform/"),
    ("src/ballast/gguf.hpp", "#include <ballast/cursor.hpp>\n", "not installed"),
    ("src/cli/main.cpp", '#include "ballast/cursor.hpp"\n', "not installed"),
    ("src/ballast/open.cpp", "#include <ballast/surprise.hpp>\n", "no place in the order"),
    ("src/ballast/surprise.cpp", "", "no place in the order"),
    ("src/ballast/gguf.cpp", "#include <cli/inspect.hpp>\n", "may not depend on"),
    ("src/ballast/gguf.cpp", "#if defined(__APPLE__)\n#endif\n", "without its reason"),
    ("src/cli/main.cpp", "#ifdef _WIN32  //\n#endif\n", "without its reason"),
    ("src/cli/main.cpp", '#include "platform/file.hpp"\n', "may not use platform/"),
    ("src/cli/main.cpp", '#include "examples/upload.hpp"\n', "may not depend on"),
    ("src/examples/upload.cpp", '#include "cli/inspect.hpp"\n', "may not depend on"),
    ("src/examples/upload.cpp", "#include <ballast/cursor.hpp>\n", "not installed"),
    ("src/examples/upload.cpp", '#include "platform/file.hpp"\n', "may not use platform/"),
    ("platform/file.hpp", "#include <ballast/error.hpp>\n", "nothing of the project"),
    ("platform/posix/file.cpp", '#include "../../src/ballast/error.hpp"\n', "nothing of the project"),
]


def check_tree(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return check(root)


def self_test():
    failures = [f"a good tree is refused: {problem}" for problem in check_tree(GOOD)]
    for name, text, expected in BROKEN:
        found = check_tree({**GOOD, name: text})
        if len(found) != 1 or expected not in found[0]:
            failures.append(f"{name} with {text!r}: expected \"{expected}\", got {found}")
    return failures


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(found) or "fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
