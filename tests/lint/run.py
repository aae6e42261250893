#!/usr/bin/env python3
"""Check what the style asks and no compiler checks: layering, limits, banned words, documentation.

Prints one `file:line: what` per finding and ends with status 1 if there is any. The rules are the
tables at the top; a rule that makes the code worse is changed here, with the reason.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.append(str(ROOT / "tests" / "lint"))  # for who imports this as a module

import api  # noqa: E402
import rooms  # noqa: E402
import sentences  # noqa: E402
from cli import command  # noqa: E402

LINE_MAX = 100
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
# nvme.h is the engine's manual too: two thirds of it are words.
FILE_LINES_EXCEPTIONS = {"engine/nvme.h": 710}
PARAMETERS_MAX = 6
WORKERS = 2

FOLDERS = "engine pci platform runtime bench examples scripts tests results docs .ci".split()
SUFFIXES = (".c", ".h", ".S", ".ld", ".py", ".sh", ".md", ".pml", ".def")
# Test programs of the host may allocate; what they test may not.
HOST_ONLY = (
    "tests/unit/",
    "tests/model/",
    "tests/board/",
    *(f"tests/{folder}/" for folder in ("sim", "threads", "fuzz", "linux")),
    "scripts/linux/",
)

RINGERS = {"queue.c", "shadow.c"}
# Inside the engine some things have one home: (what, pattern, files, reason).
HOMES = (
    (
        "CC",
        r"\bNVME_REG_CC\b",
        {"controller.c", "setup.c", "disable.c", "nvme_spec.h"},
        "bring-up, shutdown and disabling write it",
    ),
    ("a doorbell write", r"\bhal_mmio_write32\(.*doorbell", RINGERS, "rings have one owner"),
    (
        "a doorbell barrier",
        r"\bhal_before_doorbell\(",
        {*RINGERS, "setup.c", "nvme_hal.h"},
        "the queue pairs it; setup.c has the rings seen before EN = 1",
    ),
    (
        "a PRP2 that is not 0",
        r"\bprp2\s*=(?!\s*0;)",
        {"prp.c", "segments.c", "nvme_spec.h"},
        "these two build them",
    ),
)

BANNED = (
    (r"\b(malloc|calloc|realloc|alloca)\b", "memory is given at open"),
    (r"\b(__packed__|packed)\b", "a packed load is a torn load"),
    (r"^\s+(unsigned|signed|int|bool|u?int(8|16|32|64)_t)\s+\w*\s*:\s*\w+\s*;", "no bit-fields"),
)
# Words that docs/glossary.md has others for, in what a reader of the engine meets.
RETIRED = {
    "IPI": r"kick(s|ed|ing)?",
    "active": r"attention|attend(s|ed|ing)?",
    "unmatched": r"junk",
    "interrupts, overdue": r"\w+_claims|unclaimed",
    "other_device": r"nvme_irq_foreign|storage_\w*foreign",
    "IRQ hart": r"home",
    "irq_protect": r"brackets",
    "progressed": r"got_on",
    "checks, empty_streak": r"NVME_NOTE_\w+",
    "reap": r"nvme_queue_service|(worker_)?drain(s|ed|ing)?|serviced",
    "handle": r"nvme_irq_service|nvme_vector_service|nvme_source_served\w*",
    "watchdog": r"nvme_queue_watch",
    "nvme_queue_submit": r"nvme_submit",
    "runtime/": r"kernel/\w*",
    "policy, probe, interval": r"habits?|trials?|epochs?|LINKED_\w+",
    "enter_raw, enter_loopback": r"nvme_queue_(lend|divert)",
    "raw, loopback, repetitions": r"completion=(limit|null)|JOB_(LIMIT|NULL)|device limit|rounds=",
}
PLAIN = tuple("engine/ pci/ runtime/ platform/ bench/ examples/ docs/ README CONTRIB".split())
# Symbols the engine may need from outside.
NEEDED = re.compile(r"nvme_\w+|hal_\w+|memcpy|memset")

# Written in pieces, so that this file passes its own test.
OPEN_ENDS = re.compile("TO" + r"DO|FIX" + r"ME|X" + "XX")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home|root|Users|mnt)/\w")
REGISTRY_HOSTS = re.compile(
    r"registry\.npmjs|pypi\.(?:org|python)|deb\.debian\.org|"
    r"(?:archive|ports|security)\.ubuntu\.com|proxy\.golang|crates\.io"
)

KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof"}


class Source:
    """A text file, its lines, and the same without comments and strings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.splitlines()
        self.code = strip(self.text).splitlines() if path.suffix in (".c", ".h") else self.lines


Finding = tuple[str, int, str]


def strip(text: str) -> str:
    """C without comments and without what stands between quotes; line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] in "\"'":
            return found[0] * 2
        return "\n" * found.count("\n")

    # An #include keeps its name: it is needed below.
    kept = re.sub(r'^(\s*#\s*include\s+)"([^"]*)"', r"\1<<\2>>", text, flags=re.M)
    return re.sub(r"<<([^>]*)>>", r'"\1"', pattern.sub(blank, kept))


def find_sources() -> list[Source]:
    """Every text file of ours that has rules."""
    files = [path for path in ROOT.iterdir() if path.suffix == ".md" or path.name == "Makefile"]
    for folder in FOLDERS:
        files += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and (path.suffix in SUFFIXES or folder == ".ci")
        ]
    return [Source(path) for path in sorted(files)]


def check_text(source: Source) -> Iterator[Finding]:
    """Line length, blanks at line ends, open ends, names of machines; file length."""
    for number, line in enumerate(source.lines, 1):
        if len(line) > LINE_MAX and source.path.suffix != ".md":
            yield source.name, number, f"{len(line)} columns, at most {LINE_MAX}"
        if line != line.rstrip():
            yield source.name, number, "blanks at the end of the line"
        if OPEN_ENDS.search(line):
            yield source.name, number, "an open end: finish it or file an issue"
        if MACHINE_PATHS.search(line):
            yield source.name, number, "a path of one machine"
        if REGISTRY_HOSTS.search(line) and source.name != "tests/lint/run.py":
            yield source.name, number, "the host of a package registry"
    limit = FILE_LINES_EXCEPTIONS.get(source.name, FILE_LINES_MAX)
    if source.path.suffix in (".c", ".h", ".py") and len(source.lines) > limit:
        yield source.name, 1, f"{len(source.lines)} lines, at most {limit}"
    if source.text and not source.text.endswith("\n"):
        yield source.name, len(source.lines), "no line end at the end of the file"


def check_words(source: Source) -> Iterator[Finding]:
    """Banned constructs, and what has one home in the engine."""
    for number, line in enumerate(source.code, 1):
        for pattern, reason in BANNED:
            if not source.name.startswith(HOST_ONLY) and re.search(pattern, line):
                yield source.name, number, f"'{line.strip()}': {reason}"
        for what, pattern, files, reason in HOMES:
            if (
                source.name.startswith("engine/")
                and source.path.name not in files
                and re.search(pattern, line)
            ):
                yield source.name, number, f"{what} belongs in {', '.join(sorted(files))}: {reason}"


def check_retired(source: Source) -> Iterator[Finding]:
    """Words that have gone, in code, comments and documents."""
    for number, line in enumerate(source.lines, 1):
        for word, pattern in RETIRED.items():
            for match in re.finditer(rf"\b({pattern})(?![\w/])", line, re.I):
                yield source.name, number, f"'{match[1]}': the word is {word}"


def functions(source: Source) -> Iterator[tuple[str, int, int, int, list[str]]]:
    """Each function's name, parameter count, first and last line, body. Trusts clang-format."""
    start = 0
    for number, line in enumerate(source.code, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and line.strip() == "}" and start:
            head = start - 1
            while head > 1 and source.code[head - 1].startswith((" ", "\t")):
                head -= 1
            signature = " ".join(part.strip() for part in source.code[head - 1 : start - 1])
            match = re.match(r"[\w\s*]*?(\w+)\((.*)\)[^()]*$", signature)
            if match and match[1] not in KEYWORDS:
                count = len(split_parameters(match[2]))
                yield match[1], count, start, number, source.code[start : number - 1]
            start = 0


def split_parameters(text: str) -> list[str]:
    """The parameters between a function's parentheses."""
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip() not in ("", "void")]


def check_functions(source: Source) -> Iterator[Finding]:
    """Length, parameters and goto of each function."""
    for name, parameters, first, last, body in functions(source):
        if last - first > FUNCTION_LINES_MAX:
            yield source.name, first, f"{name}: {last - first} lines, at most {FUNCTION_LINES_MAX}"
        if "_" not in name and source.name.startswith(("engine/", "runtime/")):
            yield source.name, first, f"{name}: a name of one word is not found by grep"
        if parameters > PARAMETERS_MAX:
            yield source.name, first, f"{name}: {parameters} parameters, at most {PARAMETERS_MAX}"
        text = "\n".join(body)
        for target in re.findall(r"\bgoto\s+(\w+)", text):
            label, jump = text.find(f"\n{target}:"), text.find(f"goto {target}")
            if label < jump:
                yield source.name, first, f"{name}: goto {target} does not go forward to a clean-up"
        if len(set(re.findall(r"\bgoto\s+(\w+)", text))) > 1:
            yield source.name, first, f"{name}: more than one clean-up label"


def check_documentation(source: Source) -> Iterator[Finding]:
    """Every function that a header offers has words above it; neighbours may share them."""
    documented = False
    for number, line in enumerate(source.lines, 1):
        code = source.code[number - 1] if number <= len(source.code) else ""
        if not line.strip():
            documented = False
        elif line.rstrip().endswith("*/") or line.lstrip().startswith("//"):
            documented = True
        elif re.match(r"[A-Za-z_][\w\s*]*\b(\w+)\(", code) and not code.startswith(
            ("typedef", "struct {", "return", "_Static_assert", "static_assert", 'extern "C"')
        ):
            name = re.match(r"[A-Za-z_][\w\s*]*?\b(\w+)\(", code)
            if not documented and name:
                yield source.name, number, f"{name[1]} has no comment that says what it does"


def check_links(source: Source) -> Iterator[Finding]:
    """Relative links of a document lead somewhere."""
    for number, line in enumerate(source.lines, 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            path = target.split("#")[0]
            if (
                path
                and not re.match(r"[a-z]+:", target)
                and not (source.path.parent / path).exists()
            ):
                yield source.name, number, f"the link to {target} leads nowhere"


def check_header(source: Source, compiler: str, language: str) -> list[Finding]:
    """The header compiles alone."""
    model = source.name.startswith((*HOST_ONLY, "platform/sim/"))
    folders = ["tests/model", "tests/sim", "examples"] if model else []
    folders += "engine pci runtime platform/riscv64 platform/virt".split()
    folders.append(str(source.path.parent))
    command = ["gcc"] if model else [compiler, "--specs=picolibc.specs"]
    command += [
        "-std=c17" if language == "c" else "-std=c++20",
        "-fsyntax-only",
        "-w",
        *(f"-I{folder}" for folder in folders),
        "-x",
        language,
        "-",
    ]
    # As another file would include it: a main file may not have #pragma once and the like.
    answer = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        input=f'#include "{source.path}"\n',
    )
    errors = [line for line in answer.stderr.splitlines() if "error:" in line]
    if answer.returncode == 0:
        return []
    words = errors[0].replace(f"{ROOT}/", "") if errors else answer.stderr
    return [(source.name, 1, f"does not compile alone as {language}: {words}")]


def is_public(source: Source) -> bool:
    """Whether a kernel that takes the engine includes this header."""
    return source.name.startswith(("engine/", "pci/")) and not source.name.endswith("_internal.h")


def check_headers(sources: Sequence[Source], compiler: str) -> Iterator[Finding]:
    """Every header alone in C, but a port; the engine's public ones in C++ too."""
    jobs = [
        (source, compiler, language)
        for source in sources
        for language in ("c", "c++")
        if source.path.suffix == ".h"
        and source.path.name != rooms.PORT_HEADER[1]
        and (language == "c" or is_public(source))
    ]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for findings in pool.map(lambda job: check_header(*job), jobs):
            yield from findings


def check_symbols(nm: str, library: Path) -> Iterator[Finding]:
    """The engine's external names, its variables and what it needs from outside."""
    name = library.relative_to(ROOT).as_posix()
    answer = subprocess.run([nm, str(library)], capture_output=True, text=True, check=False)
    if answer.returncode:
        yield name, 1, answer.stderr.strip()
        return
    # What the port's inline functions call.
    port = "".join(path.read_text() for path in (ROOT / "platform/riscv64").glob("*.h"))
    for line in answer.stdout.splitlines():
        match = re.match(r"[0-9a-f ]*\s([A-Za-z])\s(\S+)$", line)
        if not match or match[2].startswith(("$", ".")):
            continue
        kind, symbol = match[1], match[2]
        if (
            kind == "U"
            and not NEEDED.fullmatch(symbol)
            and not re.search(rf"\b{re.escape(symbol)}\b", port)
        ):
            yield name, 1, f"the engine needs {symbol} from outside"
        elif kind in "BbDdCGgSs":
            yield name, 1, f"the engine has a variable: {symbol}"
        elif kind.isupper() and kind not in "U" and not symbol.startswith("nvme_"):
            yield name, 1, f"the external symbol {symbol} does not begin with nvme_"


def check_source(source: Source) -> Iterator[Finding]:
    """All rules that need one file only."""
    yield from check_text(source)
    if source.name.startswith(PLAIN) and source.name != "docs/glossary.md":
        yield from check_retired(source)
    if source.path.suffix in (".c", ".h"):
        yield from rooms.check_includes(source.name, source.code)
        yield from check_words(source)
        yield from check_functions(source)
    if source.path.suffix == ".py" and source.name.count("/") > 1 and source.name[:8] == "scripts/":
        yield from rooms.check_imports(source.name, source.lines)
    # A port's functions are documented where they are asked for, in nvme_hal.h.
    offered = source.path.suffix == ".h" and not source.name.startswith("tests/")
    if offered and source.path.name != rooms.PORT_HEADER[1]:
        yield from check_documentation(source)
    if source.path.suffix == ".md":
        yield from check_links(source)
    if source.path.suffix == ".md" or re.match(r"engine/\w+\.h", source.name):
        yield from sentences.check(source.name, source.text)


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cc", default="riscv64-unknown-elf-gcc", help="compiler for the headers")
    parser.add_argument("--nm", default="riscv64-unknown-elf-nm", help="nm for build/libnvme.a")
    options = parser.parse_args(argv)
    sources = find_sources()
    findings = [finding for source in sources for finding in check_source(source)]
    findings += [*api.check(sources), *api.check_owners(sources), *api.check_habits(sources)]
    findings += check_headers(sources, options.cc)
    library = ROOT / "build" / "libnvme.a"
    if library.is_file():
        findings += check_symbols(options.nm, library)
        findings += rooms.check_calls(options.nm)
    findings += rooms.check_document(ROOT / "engine" / "DESIGN.md")
    for name, line, what in findings:
        print(f"{name}:{line}: {what}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
