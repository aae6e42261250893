"""What the engine offers and asks for: each function is used, and its comment says its context."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import rooms

Finding = tuple[str, int, str]

# What the engine offers and asks for: (header, prefix of its functions, who must use each).
PROGRAMS = ("bench/", "runtime/", "examples/")
API = (
    ("engine/nvme.h", "nvme_", PROGRAMS),
    ("engine/nvme_event.h", "nvme_", PROGRAMS),
    ("engine/nvme_bench.h", "nvme_", PROGRAMS),
    (rooms.PORT_HEADER[0], "hal_", ("engine/", *PROGRAMS)),
)
NO_USER = "for other kernels"
# Folders whose files have a header each; the head of a function of external linkage.
OWN_HEADERS = ("bench/", "platform/riscv64/", "platform/virt/")
STATIC = re.compile(r"static [^=;(]*?\b([a-z0-9]+)\(")  # one word
FUNCTION = r"^(?!static|typedef)\w[\w\s*]*?\b(\w+)\([^;{]*\)"


class Text(Protocol):
    """A file as run.py reads it: its text, and its lines with and without comments."""

    path: Path
    name: str
    text: str
    lines: list[str]
    code: list[str]


def check(sources: Sequence[Text]) -> Iterator[Finding]:
    """Every public function says its context and has a user; a rule that is named exists."""
    rules: set[str] = set()
    for source in sources:
        if source.name == API[0][0]:
            rules.update(re.findall(r"^ \* (R\d+) ", source.text, re.M))
    for source in sources:
        if source.name.startswith("engine/") and source.path.suffix in (".c", ".h"):
            for number, line in enumerate(source.lines, 1):
                for rule in set(re.findall(r"\bR\d+\b", line)) - rules:
                    yield source.name, number, f"{API[0][0]} has no rule {rule}"
    for header, prefix, folders in API:
        code = [each for each in sources if each.name.startswith(folders) and each.name != header]
        used = set(re.findall(rf"\b{prefix}\w+", "\n".join("\n".join(e.code) for e in code)))
        for source in sources:
            if source.name == header:
                yield from check_header(source, prefix, used)


def check_header(source: Text, prefix: str, used: set[str]) -> Iterator[Finding]:
    """The functions of one header: a comment with its declarations is a block without blanks."""
    number = 1
    for block in source.text.split("\n\n"):
        comment, _, code = block.rpartition("*/")
        words = " ".join(comment.replace("\n * ", " ").split())
        names = [] if "typedef" in code else re.findall(rf"\b({prefix}\w+)\(", code)
        if names and prefix == "nvme_" and "Context" not in words:
            yield source.name, number, f"{names[0]}: the comment does not say its Context"
        for name in names:
            if name not in used and NO_USER not in words.lower():
                yield source.name, number, f"{name} has no user: remove it, or say '{NO_USER}'"
        number += block.count("\n") + 2


def check_owners(sources: Sequence[Text]) -> Iterator[Finding]:
    """A header declares what the file of its name defines; it names other files of its module."""
    places = [source for source in sources if source.name.startswith(OWN_HEADERS)]
    defined = {
        (source.path.parent, name): source.path.name
        for source in places
        if source.path.suffix == ".c"
        for name in re.findall(rf"{FUNCTION}\n{{", "\n".join(source.code), re.M)
    }
    for source in places:
        for name in re.findall(rf"{FUNCTION};", "\n".join(source.code), re.M):
            file = defined.get((source.path.parent, name), "")
            own = file in ("", f"{source.path.stem}.c")
            if source.path.suffix == ".h" and not own and file not in source.text:
                yield source.name, 1, f"declares {name} of {file}, and does not name that file"


def check_habits(sources: Sequence[Text]) -> Iterator[Finding]:
    """A static function is noun_verb, which grep finds; one style of atomics and of comments."""
    for source in sources:
        for number, line in enumerate(source.lines, 1):
            if source.path.suffix in (".c", ".h") and re.search(r"(^|\s)//(?! SPDX|$)", line):
                yield source.name, number, "a comment is /* */"
        if source.name.startswith(("engine/", "runtime/", *OWN_HEADERS)):
            for number, line in enumerate(source.code, 1):
                if match := STATIC.match(line):
                    yield source.name, number, f"{match[1]}: a static function is noun_verb"
                if "stdatomic.h" in line:
                    yield source.name, number, "atomics are __atomic builtins, their order named"
