"""Which function takes how many instructions in a counted window: QEMU's log of each one executed.

QEMU translates one instruction at a time and logs its address. A window begins at a read of
instret and ends at the next one, as the guest counts it: with the first, without the last. What is
inlined belongs to its caller. What is not logged (the firmware; functions that only the set-up
calls, for their instructions would make the log a hundred times as long) is the rest.
"""

from __future__ import annotations

import bisect
import dataclasses
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qemu.machine import ROOT, UsageError, find_qemu

ELF = ROOT / "build" / "instructions.elf"
CROSS = os.environ.get("CROSS", "riscv64-unknown-elf-")
WINDOWS = 3  # of each configuration; the shortest is shown
ONE_INSTRUCTION = (8, 1)  # the first version that takes it as a property of the accelerator
# Called at boot and set-up, and often: what parses the device tree, clears memory, prints.
NOT_LOGGED = re.compile(
    r"_start|boot_entry|mem(set|chr|cmp)|str|tree_|find_property|read_token|fdt|__|console_|"
    r"v?fprintf|printf|nvme_request_init|plic_init|options_|scan_")
EXECUTED = re.compile(r"Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
# The instruction logged last was not executed: an interrupt came first, or it is tried again.
UNDONE = re.compile(r"Stopped execution|cpu_io_recompile")
REST = "(firmware, not logged)"


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A function of the program."""

    begin: int
    end: int
    name: str


class Symbols:
    """The functions by address."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._sorted = sorted(symbols, key=lambda symbol: symbol.begin)
        self._begins = [symbol.begin for symbol in self._sorted]

    def name(self, address: int) -> str:
        """The function that an address lies in; the label before it if it is in none."""
        at = bisect.bisect_right(self._begins, address) - 1
        return self._sorted[at].name if at >= 0 else "?"

    def ranges(self) -> Iterator[tuple[int, int]]:
        """What is to be logged: begin and length, neighbours in one."""
        begin = 0
        for this, following in zip(self._sorted, self._sorted[1:]):
            if NOT_LOGGED.match(this.name):
                if begin:
                    yield begin, this.begin - begin
                begin = 0
            else:
                begin = begin or this.begin
            last = following.begin
        if begin:
            yield begin, last - begin


def read_symbols(text: str) -> Symbols:
    """From the output of `nm -S`: labels of code, those of assembly without a size."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]+) (?:([0-9a-f]+) )?[tT] (\S+)", line)
        if match and not match[3].startswith((".L", "$")):
            begin = int(match[1], 16)
            found.append(Symbol(begin, begin + int(match[2] or "0", 16), match[3]))
    return Symbols(found)


def read_edges(text: str) -> set[int]:
    """Where the program reads instret, from the output of `objdump -d`."""
    return {int(at, 16) for at in re.findall(r"^\s*([0-9a-f]+):.*\brdinstret\b", text, re.M)}


def executed(log: Iterable[str]) -> Iterator[int]:
    """The addresses of what was executed, in order."""
    last: int | None = None
    for line in log:
        if match := EXECUTED.match(line):
            if last is not None:
                yield last
            last = int(match[1], 16)
        elif UNDONE.match(line):
            last = None
    if last is not None:
        yield last


def windows_of(addresses: Iterable[int], edges: set[int]) -> Iterator[Counter[int]]:
    """How often each address was executed, in each window."""
    window: Counter[int] | None = None
    for address in addresses:
        if address in edges:
            if window is not None:
                yield window
                window = None
                continue
            window = Counter()
        if window is not None:
            window[address] += 1


def by_function(window: Counter[int], figure: int, symbols: Symbols) -> list[tuple[str, int]]:
    """Instructions by function, most first, and the rest; together they are the figure."""
    functions: Counter[str] = Counter()
    for address, count in window.items():
        functions[symbols.name(address)] += count
    rest = figure - functions.total()
    if rest < 0:
        raise ValueError(f"{functions.total()} instructions logged, {figure} counted")
    listed = sorted(functions.items(), key=lambda item: (-item[1], item[0]))
    return listed + ([(REST, rest)] if rest else [])


@dataclasses.dataclass(frozen=True)
class Detail:
    """One part of a configuration."""

    row: dict[str, Any]
    part: str
    functions: list[tuple[str, int]]

    @property
    def rest(self) -> int:
        """Instructions that no function is known for."""
        return dict(self.functions).get(REST, 0)


def details_of(rows: Sequence[dict[str, Any]], parts: Sequence[str], windows:
               Sequence[Counter[int]], symbols: Symbols, repeats: int = WINDOWS) -> list[Detail]:
    """The windows in the order of the rows; each row has its parts `repeats` times over.

    ValueError when there are more or fewer.
    """
    of_row = [[part for part in parts if part in row] for row in rows]
    expected = repeats * sum(map(len, of_row))
    if len(windows) != expected:
        raise ValueError(f"the log has {len(windows)} windows, {expected} were measured")
    details, at = [], 0
    for row, mine in zip(rows, of_row):
        for index, part in enumerate(mine):
            same = windows[at + index : at + repeats * len(mine) : len(mine)]
            shortest = min(same, key=Counter.total)
            details.append(Detail(row, part, by_function(shortest, row[part], symbols)))
        at += repeats * len(mine)
    return details


def trace_arguments(version: str, symbols: Symbols, log: Path) -> list[str]:
    """What QEMU of this version takes to log each instruction on its own."""
    numbers = tuple(int(number) for number in version.split(".")[:2])
    single = ["-singlestep"]
    if numbers >= ONE_INSTRUCTION:
        single = ["-accel", "tcg,one-insn-per-tb=on"]
    ranges = ",".join(f"{begin:#x}+{length:#x}" for begin, length in symbols.ranges())
    return [*single, "-d", "exec,nochain", "-dfilter", ranges, "-D", str(log)]


def run_tool(*command: str) -> str:
    """What a tool of the compiler prints about the program."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{command[0]}: does not run: {error}") from error


def trace_machine(
    fields: dict[str, Any],
    qemu: str | None,
    measure: Callable[[dict[str, Any], str | None], tuple[str, list[dict[str, Any]]]],
    parts: Sequence[str],
) -> list[Detail]:
    """One machine's configurations in detail. `measure` boots it and gives its rows."""
    symbols = read_symbols(run_tool(f"{CROSS}nm", "-S", str(ELF)))
    edges = read_edges(run_tool(f"{CROSS}objdump", "-d", str(ELF)))
    _, version = find_qemu(qemu or os.environ.get("QEMU") or "qemu-system-riscv64")
    with tempfile.TemporaryDirectory(dir=ELF.parent) as folder:
        log = Path(folder, "log")
        traced = {
            **fields,
            "arguments": [f"windows={WINDOWS}"],
            "qemu_args": trace_arguments(version, symbols, log),
        }
        _, rows = measure(traced, qemu)
        with log.open(encoding="ascii", errors="replace") as lines:
            windows = list(windows_of(executed(lines), edges))
    return details_of(rows, parts, windows, symbols)


def print_detail(detail: Detail, name: str) -> None:
    """One table: instructions per I/O and of the whole window."""
    batch = detail.row["batch"]
    total = sum(count for _, count in detail.functions)
    print(f"\n{name}: {detail.part}, {total} instructions, {total / batch:.1f} per I/O")
    for function, count in detail.functions:
        print(f"  {count / batch:9.2f} {count:7} {100 * count / total:5.1f} %  {function}")
