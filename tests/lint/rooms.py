"""Which room may know which: the one table, checked for includes, imports and calls.

A room is a folder. C is checked twice: by its includes, and by the symbols of the objects, which
tell who calls whom. engine/DESIGN.md holds the same table as text().
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Finding = tuple[str, int, str]

# Each room of C and the rooms that it includes and calls besides itself.
ROOMS = {
    "engine": (),
    "pci": (),
    "platform/riscv64": (),
    "platform/virt": ("pci", "platform/riscv64"),
    "platform/sim": ("engine", "pci", "platform/riscv64", "platform/virt", "tests/model"),
    "runtime": ("engine", "pci", "platform/virt", "platform/riscv64"),
    "bench": ("runtime", "engine", "pci", "platform/virt", "platform/riscv64"),
    "examples": ("runtime", "engine", "pci", "platform/virt", "platform/riscv64"),
}
# The engine's only <system> headers, and its one way to a port, whose functions are inline.
ENGINE_SYSTEM = {"stdint.h", "stddef.h", "stdbool.h"}
PORT_HEADER = ("engine/nvme_hal.h", "nvme_port.h")
# Calls that a header of the caller asks for: nvme_hal.h of a port, board.h of a board.
ASKED = {("engine", "platform/riscv64"), ("platform/riscv64", "platform/virt")}
# The engine's files: each calls those of later lines only, or of its own line.
ENGINE = """
controller
pair bench passthrough
interrupt
recovery
sleep
shared reset
setup abort
source quirk
event
disable
admin
memory
io split segments
queue active
shadow
hybrid identify request retry prp status
"""
# The packages of scripts/: each imports those before it only. The commands may import all.
PACKAGES = "cli qemu sim measure results analysis linux report".split()


def room_of(name: str) -> str:
    """The room of a path below the root; empty for tests and others, which may know all."""
    return next((room for room in ROOMS if name.startswith(f"{room}/")), "")


def text() -> str:
    """The table as engine/DESIGN.md prints it."""
    rooms = [f"    {room:18}{' '.join(ROOMS[room]) or '-'}" for room in ROOMS]
    lines = [f"    {line}" for line in ENGINE.strip().splitlines()]
    return "\n".join([*rooms, "", *lines, "", f"    {' '.join(PACKAGES)}", ""])


def check_includes(name: str, code: list[str]) -> Iterator[Finding]:
    """What a C file includes; its lines come without comments."""
    room = room_of(name)
    for number, line in enumerate(code, 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match or not room or (name, match[2]) == PORT_HEADER:
            continue
        if match[2] == PORT_HEADER[1] and room == "engine":
            yield name, number, f"only {PORT_HEADER[0]} includes {PORT_HEADER[1]}"
        elif match[1] == "<":
            if room == "engine" and match[2] not in ENGINE_SYSTEM:
                yield name, number, f"<{match[2]}> is outside what engine/ may include"
        elif not any((ROOT / each / match[2]).is_file() for each in (room, *ROOMS[room])):
            yield name, number, f'"{match[2]}" is outside what {room}/ may include'


def check_imports(name: str, lines: list[str]) -> Iterator[Finding]:
    """What a module of a package of scripts/ imports."""
    package = name.split("/")[1]
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    for number, line in enumerate(lines, 1):
        match = re.match(r"\s*(?:from|import)\s+(\w+)", line)
        if match and match[1] in PACKAGES and match[1] not in allowed:
            yield name, number, f"{match[1]} is outside what {package}/ may import"


def calls(nm: str, build: Path) -> Iterator[tuple[str, str, str]]:
    """Caller's source, callee's source and symbol, from the objects of a build."""
    objects = [
        path
        for room in ROOMS
        for path in sorted((build / room).glob("*.o"))
        if (ROOT / room / path.name).with_suffix(".c").exists()
    ]
    if not objects:
        return  # it is not built
    answer = subprocess.run(
        [nm, "-A", *map(str, objects)], capture_output=True, text=True, check=True
    )
    defined: dict[str, str] = {}
    needed: list[tuple[str, str]] = []
    for line in answer.stdout.splitlines():
        place, kind, symbol = re.match(r"(.*?\.o):[0-9a-f ]*\s(\w)\s(\S+)$", line).groups()
        source = str(Path(place).relative_to(build).with_suffix(".c"))
        if kind == "U":
            needed.append((source, symbol))
        elif kind in "TDBR":
            # A program's own name, such as main, has no one place.
            defined[symbol] = source if symbol not in defined else ""
    for source, symbol in needed:
        if defined.get(symbol):
            yield source, defined[symbol], symbol


def check_calls(nm: str) -> Iterator[Finding]:
    """Calls from room to room, and from file to file of the engine."""
    lines = [line.split() for line in ENGINE.strip().splitlines()]
    height = {f"engine/{file}.c": i for i, files in enumerate(lines) for file in files}
    files = {f"engine/{path.name}" for path in (ROOT / "engine").glob("*.c")}
    for name in sorted(files ^ set(height)):
        yield name, 1, "is not in both the engine and its table in tests/lint/rooms.py"
    simulated = calls(nm, ROOT / "build" / "host" / "simulated")
    # The other rooms' calls of this board are those of the target's boards.
    sims = (call for call in simulated if room_of(call[0]) == "platform/sim")
    for caller, callee, symbol in (*calls(nm, ROOT / "build"), *sims):
        here, there = room_of(caller), room_of(callee)
        if here != there and there not in ROOMS[here] and (here, there) not in ASKED:
            yield caller, 1, f"{here} may not call {there}: {symbol}"
        if height.get(caller, 0) > height.get(callee, len(height)):
            yield caller, 1, f"calls upwards: {symbol} of {callee}"


def check_document(path: Path) -> Iterator[Finding]:
    """engine/DESIGN.md prints the table."""
    if text() not in path.read_text(encoding="utf-8"):
        yield "engine/DESIGN.md", 1, f"does not hold the table of rooms, which is:\n{text()}"
