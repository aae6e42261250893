"""Which function takes how many instructions in a counted window: QEMU's log of each one executed.

QEMU translates one instruction at a time and logs its address. A window begins at a read of
instret and ends at the next one, as the guest counts it: with the first, without the last. What is
inlined belongs to its caller. What is not logged (the firmware; functions that only the set-up
calls, for their instructions would make the log a hundred times as long) is the rest.
"""

from __future__ import annotations

import bisect
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

from qemu.machine import ROOT, find_qemu  # noqa: E402

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

Symbols = Sequence[tuple[int, str]]  # labels of code by address, in order
Measure = Callable[[dict[str, Any], str | None], tuple[str, list[dict[str, Any]]]]


class Detail(NamedTuple):
    """One part of a configuration."""

    row: dict[str, Any]
    part: str
    functions: list[tuple[str, int]]  # with their instructions; REST is what none is known for


def read_symbols(text: str) -> Symbols:
    """The labels of code in the output of `nm`."""
    found = re.findall(r"^([0-9a-f]+) [tT] (?!\.L|\$)(\S+)$", text, re.M)
    return sorted((int(begin, 16), name) for begin, name in found)


def function_at(address: int, symbols: Symbols) -> str:
    """The function that an address lies in: the label before it."""
    at = bisect.bisect_right(symbols, address, key=lambda symbol: symbol[0])
    return symbols[at - 1][1] if at else "?"


def logged_ranges(symbols: Symbols) -> Iterator[tuple[int, int]]:
    """What is to be logged: begin and end, neighbours in one."""
    neighbours = zip(symbols, symbols[1:])
    for is_left_out, run in itertools.groupby(
            neighbours, lambda pair: bool(NOT_LOGGED.match(pair[0][1]))):
        (begin, _), *_, (end, _) = itertools.chain.from_iterable(run)
        if not is_left_out:
            yield begin, end


def read_edges(text: str) -> set[int]:
    """Where the program reads instret, from the output of `objdump -d`."""
    return {int(at, 16) for at in re.findall(r"^\s*([0-9a-f]+):.*\brdinstret\b", text, re.M)}


def executed(log: Iterable[str]) -> Iterator[int]:
    """The addresses of what was executed, in order."""
    last: list[int] = []
    for line in log:
        if match := EXECUTED.match(line):
            yield from last
            last = [int(match[1], 16)]
        elif UNDONE.match(line):
            last = []
    yield from last


def windows_of(addresses: Iterable[int], edges: set[int]) -> Iterator[Counter[int]]:
    """How often each address was executed, in each window."""
    addresses = iter(addresses)
    for address in addresses:
        if address in edges:
            window = [address]
            for inside in addresses:
                if inside in edges:
                    yield Counter(window)
                    break
                window.append(inside)


def by_function(window: Counter[int], figure: int, symbols: Symbols) -> list[tuple[str, int]]:
    """Instructions by function, most first, and the rest; together they are the figure."""
    functions: Counter[str] = Counter()
    for address, count in window.items():
        functions[function_at(address, symbols)] += count
    rest = figure - functions.total()
    if rest < 0:
        raise ValueError(f"{functions.total()} instructions logged, {figure} counted")
    listed = sorted(functions.items(), key=lambda item: (-item[1], item[0]))
    return listed + ([(REST, rest)] if rest else [])


def details_of(rows: Sequence[dict[str, Any]], parts: Sequence[str], windows:
               Sequence[Counter[int]], symbols: Symbols) -> list[Detail]:
    """The windows in the order of the rows; each row has its parts WINDOWS times over.

    ValueError when there are more or fewer.
    """
    expected = WINDOWS * sum(part in row for row in rows for part in parts)
    if len(windows) != expected:
        raise ValueError(f"the log has {len(windows)} windows, {expected} were measured")
    details, left = [], iter(windows)
    for row in rows:
        mine = [part for part in parts if part in row]
        repeated = list(itertools.islice(left, WINDOWS * len(mine)))
        for index, part in enumerate(mine):
            shortest = min(repeated[index :: len(mine)], key=Counter.total)
            details.append(Detail(row, part, by_function(shortest, row[part], symbols)))
    return details


def trace_arguments(version: str, symbols: Symbols, log: Path) -> list[str]:
    """What QEMU of this version takes to log each instruction on its own."""
    numbers = tuple(int(number) for number in version.split(".")[:2])
    one = ["-accel", "tcg,one-insn-per-tb=on"] if numbers >= ONE_INSTRUCTION else ["-singlestep"]
    ranges = ",".join(f"{begin:#x}+{end - begin:#x}" for begin, end in logged_ranges(symbols))
    return [*one, "-d", "exec,nochain", "-dfilter", ranges, "-D", str(log)]


def trace_machine(fields: dict[str, Any], qemu: str | None, measure: Measure,
                  parts: Sequence[str]) -> list[Detail]:
    """One machine's configurations in detail. `measure` boots it and gives its rows."""
    symbols = read_symbols(subprocess.check_output([f"{CROSS}nm", ELF], text=True))
    edges = read_edges(subprocess.check_output([f"{CROSS}objdump", "-d", ELF], text=True))
    _, version = find_qemu(qemu)
    with tempfile.TemporaryDirectory(dir=ELF.parent) as folder:
        log = Path(folder, "log")
        traced = {"arguments": [f"windows={WINDOWS}"],
                  "qemu_args": trace_arguments(version, symbols, log)}
        _, rows = measure(fields | traced, qemu)
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
