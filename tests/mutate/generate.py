"""Make mutants from the source: negate a condition, swap an operator, move a constant by one, drop
a statement.

It works on the text of functions, leaves comments and strings alone, and relies on the format of
this tree instead of parsing C. `draw` is deterministic: one seed gives one set of mutants.
The caller leaves out what does not compile and what compiles to the same object.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterator
from pathlib import Path


SOURCES = (
    "engine/*.c",
    "engine/*_internal.h",
    "runtime/namespace_view.c",
    "runtime/options*.c",
    "platform/riscv64/fdt*.c",
    "platform/virt/aplic.c",
    "platform/virt/iommu.c",
    "platform/virt/machine*.c",
    "pci/nvme_pci.c",
    "platform/virt/pci*.c",
    "platform/virt/plic.c",
    "platform/virt/wired.c",
)
BLANKED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
BODY = re.compile(r"^(\{\n.*?)^\}", re.DOTALL | re.MULTILINE)
CONDITION = re.compile(r"\b(?:if|while) \(")
OPERATOR = re.compile(r" (<=|>=|<|>|==|!=|&&|\|\|) ")
COMPARISON = re.compile(r"[^&|]* [=!]= [^&|]*")  # negated, it is the same as swapped
CONSTANT = re.compile(r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d+)")
# A statement on lines of its own, after another or a label; no return with a value.
STATEMENT = re.compile(
    r"(?<=[;{}:])\s*\n\s*((?!case\b|default\b|return [^;]|goto\b)[a-z_*(+-][^;{}]*;)"
)
DECLARATION = re.compile(
    r"(?:const|static|struct|enum|volatile|unsigned|u?int\w*|size_t|bool|char|long)\b"
)
PAIRS = (("<", "<="), (">", ">="), ("==", "!="), ("&&", "||"))
SWAPPED = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


@dataclasses.dataclass(frozen=True)
class Edit:
    """text[start:end] becomes `put`."""

    kind: str
    start: int
    end: int
    put: str


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A bug: `find`, which stands once in `file`, becomes `put`."""

    name: str
    file: str
    find: str
    put: str
    generated: bool = False


def blank(text: str) -> str:
    """The text with spaces for its comments and strings."""
    return BLANKED.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def closing(code: str, at: int) -> int:
    """The index of the parenthesis that closes the one before `at`."""
    depth = 1
    while depth != 0:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at - 1


def edits(text: str) -> Iterator[Edit]:
    """Every edit of a source, function by function."""
    code = blank(text)
    for body in BODY.finditer(code):
        span = body.span(1)
        for found in CONDITION.finditer(code, *span):
            end = closing(code, found.end())
            if not COMPARISON.fullmatch(code, found.end(), end):
                yield Edit("negate", found.end(), end, f"!({text[found.end() : end]})")
        for found in OPERATOR.finditer(code, *span):
            yield Edit("swap", *found.span(1), SWAPPED[found[1]])
        for found in CONSTANT.finditer(code, *span):
            value = int(found[0], 0)
            yield Edit("plus", *found.span(), str(value + 1))
            if value != 0:
                yield Edit("minus", *found.span(), str(value - 1))
        for found in STATEMENT.finditer(code, *span):
            if not DECLARATION.match(found[1]):
                yield Edit("drop", *found.span(1), "")


def widen(text: str, edit: Edit) -> tuple[str, str]:
    """The lines of an edit before and after it, and lines above until the text is unique."""
    start = text.rfind("\n", 0, edit.start) + 1
    end = text.index("\n", edit.end) + 1
    while text.count(text[start:end]) != 1:
        start = text.rfind("\n", 0, start - 1) + 1
    return text[start:end], text[start : edit.start] + edit.put + text[edit.end : end]


def candidates(root: Path) -> list[Mutant]:
    """All mutants that the sources give."""
    made = []
    for path in sorted({path for pattern in SOURCES for path in root.glob(pattern)}):
        text = path.read_text()
        names: dict[str, int] = {}
        for edit in edits(text):
            line = text.count("\n", 0, edit.start) + 1
            name = f"{path.name}:{line}-{edit.kind}"
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name += f"-{names[name]}"
            made.append(Mutant(name, str(path.relative_to(root)), *widen(text, edit), True))
    return made


def draw(root: Path, count: int, seed: int, pattern: str = "") -> list[Mutant]:
    """`count` mutants whose names match, or all of them."""
    made = [mutant for mutant in candidates(root) if re.search(pattern, mutant.name)]
    return random.Random(seed).sample(made, min(count, len(made)))
