"""Counts the instructions of the I/O path.

Boots build/instructions.elf under -icount shift=0, once per delivery. One hart runs: under icount
all harts share the counter. tests/qemu/instruction_counts.py compares with the committed baseline.
"""

from __future__ import annotations

import json
from typing import Any

from cli.errors import Failed
from cli.table import lay_out
from measure.plan import EACH, doorbell_of_options
from qemu.guest import run_guest
from qemu.machine import ROOT, Machine

BASELINE = ROOT / "tests" / "qemu" / "instructions" / "baseline.json"
PARTS = ("submit", "arm", "reap", "interrupt", "answer", "end")
# One machine per delivery; lines of two harts, of eight, and of 16 of 64. Where there are four
# controllers, 64 queues have 1024 entries and use them all; fewer queues are on one controller.
MACHINES: tuple[dict[str, Any], ...] = (
    {"harts": 1, "irqchip": "plic", "controllers": 4},
    {"harts": 1, "irqchip": "imsic", "controllers": 4},
    {"harts": 2, "irqchip": "plic", "controllers": 1},
    {"harts": 8, "irqchip": "plic", "controllers": 1},
    {"harts": 64, "irqchip": "plic", "controllers": 4},
)

Figures = dict[str, dict[str, int]]


def name_of(row: dict[str, Any]) -> str:
    """The configuration in words: the key of the baseline."""
    queues = f"{row['queues']} queue{'' if row['queues'] == 1 else 's'}"
    rule = doorbell_of_options(row)
    return (f"{row['completion']}, {row['delivery']}, {queues}, depth {row['iodepth']}, "
            f"batch {row['batch']}, {row['bs']} bytes" + f", {rule}" * (rule != EACH))


def counts(row: dict[str, Any]) -> dict[str, int]:
    """The instructions of each part that a configuration has."""
    return {part: row[part] for part in PARTS if part in row}


def measure_machine(fields: dict[str, Any], qemu: str | None) -> tuple[str, list[dict[str, Any]]]:
    """The compiler's version and one row per configuration. Failed: the guest did."""
    machine = Machine("instructions", icount=True, timeout_s=120, qemu=qemu, **fields)
    lines: list[str] = []
    result = run_guest(machine, lambda line: lines.append(line.text))
    told = [json.loads(text) for text in lines if text.startswith('{"hartq_instructions')]
    if result.status or len(told) < 2:
        others = [text for text in result.tail if not text.startswith("{")]
        raise Failed("\n".join([*others, result.stderr, result.reason]).strip())
    banner, *rows = told
    return banner["compiler"], rows


def measure(qemu: str | None) -> tuple[str, list[dict[str, Any]]]:
    """The same over all machines."""
    told = [measure_machine(fields, qemu) for fields in MACHINES]
    return told[-1][0], [row for _, rows in told for row in rows]


def contaminated(row: dict[str, Any]) -> bool:
    """Whether something else ran in the windows: the smallest is not the usual one."""
    return any(count != row[f"{part}_median"] for part, count in counts(row).items())


def print_table(rows: list[dict[str, Any]]) -> None:
    """Instructions per I/O; of an interrupt, of the whole path from pending to back too."""
    print(
        "instructions per I/O (arm: hybrid mode's question that begins a wait, once per batch;\n"
        "interrupt: trap, claim, reap and return; on a shared line also the answer of another\n"
        "owner to its one read, without its trap, and the IRQ hart's IPI at the end)")
    names = ("completion", "delivery", "queues", "iodepth", "batch", "bs", "doorbell")
    cells = []
    for row in rows:
        each = {part: count / row["batch"] for part, count in counts(row).items()}
        cells.append([
            *(str(row[name]) for name in names[:-1]), doorbell_of_options(row),
            *(f"{each[part]:.1f}" if part in each else "" for part in PARTS),
            f"{sum(each.values()):.1f}", str(row.get("interrupt", "")),
            "contaminated" if contaminated(row) else ""])
    print(*lay_out([*names, *PARTS, "sum", "one interrupt", ""], cells), sep="\n")


def figures_of(rows: list[dict[str, Any]]) -> Figures:
    """What the baseline keeps: the counts of each window."""
    return {name_of(row): counts(row) for row in rows}
