#!/usr/bin/env python3
"""Count the instructions of the I/O path and compare them with the committed baseline.

Boots build/instructions.elf under -icount shift=0, once per delivery, and prints a table. One hart
runs: under icount all harts share the counter. The baseline belongs to one version of the compiler,
and so do the limits; under another nothing is compared.

Exit status: 0 all is well, 1 a figure rose, is contaminated or above the limit, or the guest
failed, 2 usage.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from cli import command
from cli.errors import Failed
from cli.signals import heed_signals
from cli.table import lay_out
from measure import instruction_detail
from qemu.guest import run_guest
from qemu.machine import ROOT, Machine

BASELINE = ROOT / "tests" / "qemu" / "instructions" / "baseline.json"
LIMIT_COMPILER = "GCC 12.2.0"  # the figures belong to one compiler, and so do their limits
PARTS = ("submit", "arm", "reap", "interrupt", "answer", "end")
SMALL, LARGE = "depth 1, batch 1, 4096 bytes", "depth 32, batch 32, 4096 bytes"
# The most that some parts of a configuration may take, in instructions per I/O of a batch.
LIMITS = (
    (f"poll, per-hart, 1 queue, {LARGE}", ("submit", "reap"), 120),
    (f"irq, per-hart, 1 queue, {SMALL}", ("interrupt",), 260),
    (f"irq, msix, 1 queue, {SMALL}", ("interrupt",), 220),
    (f"irq, per-hart, 1 queue, {LARGE}", ("submit", "interrupt"), 100),
    (f"irq, msix, 1 queue, {LARGE}", ("submit", "interrupt"), 100),
)
DETAIL_DEFAULT = "[12] queues?, .* 4096 bytes"
MANY_QUEUES_MOST = 1.05  # of one queue's instructions, with 8 configured
# One machine per delivery; a line of two harts and of eight.
MACHINES: tuple[dict[str, Any], ...] = (
    {"harts": 1, "irqchip": "plic"},
    {"harts": 1, "irqchip": "imsic"},
    {"harts": 2, "irqchip": "plic", "controllers": 1},
    {"harts": 8, "irqchip": "plic", "controllers": 1},
)

Figures = dict[str, dict[str, int]]


def name_of(row: dict[str, Any]) -> str:
    """The configuration in words: the key of the baseline."""
    queues = f"{row['queues']} queue{'' if row['queues'] == 1 else 's'}"
    return (f"{row['completion']}, {row['delivery']}, {queues}, depth {row['iodepth']}, "
            f"batch {row['batch']}, {row['bs']} bytes")


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


def print_details(qemu: str | None, chosen: str) -> None:
    """Each counted window by function. Failed when the log and the counts disagree."""
    for fields in MACHINES:
        try:
            details = instruction_detail.trace_machine(fields, qemu, measure_machine, PARTS)
        except ValueError as error:
            raise Failed(f"the detail is not what was counted: {error}") from error
        for detail in details:
            if re.search(chosen, name_of(detail.row)):
                instruction_detail.print_detail(detail, name_of(detail.row))


def contaminated(row: dict[str, Any]) -> bool:
    """Whether something else ran in the windows: the smallest is not the usual one."""
    return any(count != row[f"{part}_median"] for part, count in counts(row).items())


def print_table(rows: list[dict[str, Any]]) -> None:
    """Instructions per I/O; of an interrupt, of the whole path from pending to back too."""
    print(
        "instructions per I/O (arm: hybrid mode's question that begins a wait, once per batch;\n"
        "interrupt: trap, claim, reap and return; on a shared line also the answer of another\n"
        "owner to its one read, without its trap, and the IRQ hart's IPI at the end)")
    names = ("completion", "delivery", "queues", "iodepth", "batch", "bs")
    cells = []
    for row in rows:
        each = {part: count / row["batch"] for part, count in counts(row).items()}
        cells.append([
            *(str(row[name]) for name in names),
            *(f"{each[part]:.1f}" if part in each else "" for part in PARTS),
            f"{sum(each.values()):.1f}", str(row.get("interrupt", "")),
            "contaminated" if contaminated(row) else ""])
    print(*lay_out([*names, *PARTS, "sum", "one interrupt", ""], cells), sep="\n")


def check_limits(rows: list[dict[str, Any]]) -> list[str]:
    """Complaints about the requirements, and about what idle queues add."""
    named = {name_of(row): row for row in rows}
    complaints = []
    for name, parts, most in LIMITS:
        if name not in named:
            complaints.append(f"{name}: not measured")
            continue
        each = sum(named[name][part] for part in parts) / named[name]["batch"]
        if each > most:
            complaints.append(f"{name}: {' + '.join(parts)}: {each:.1f} per I/O, at most {most}")
    for name, row in named.items():
        many = named.get(name.replace("1 queue,", "8 queues,"), row)
        few, now = sum(counts(row).values()), sum(counts(many).values())
        if now > MANY_QUEUES_MOST * few:
            complaints.append(f"{name}: {few}, with 8 queues {now}: more than 5 % above")
    return complaints


def figures_of(rows: list[dict[str, Any]]) -> Figures:
    """What the baseline keeps: the counts of each window."""
    return {name_of(row): counts(row) for row in rows}


def check_baseline(figures: Figures, compiler: str) -> list[str]:
    """Complaints about figures that rose. Says so when there is nothing to compare with."""
    try:
        baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{BASELINE.name} is missing: write it with make instructions UPDATE=1"]
    if baseline["compiler"] != compiler:
        print(
            f"baseline skipped: it was counted with {baseline['compiler']}, this is {compiler} "
            "(the figures belong to one compiler)")
        return []
    complaints = []
    fallen = 0
    for name, parts in baseline["figures"].items():
        for part, before in parts.items():
            now = figures.get(name, {}).get(part)
            if now is None:
                complaints.append(f"{name}: {part}: in the baseline, not measured")
            elif now > before:
                complaints.append(f"{name}: {part} rose from {before} to {now}")
            else:
                fallen += now < before
    complaints += [f"{n}: not in the baseline" for n in figures if n not in baseline["figures"]]
    if fallen:
        print(f"{fallen} figures are below the baseline: keep them with --update")
    return complaints


def build_parser() -> command.Parser:
    """The command line."""
    parser = command.Parser(prog="instructions.py", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--update", action="store_true", help="write the baseline instead of comparing with it")
    add("--detail", nargs="?", const=DETAIL_DEFAULT, metavar="PATTERN",
        help="instead, each window by function, of the configurations whose name matches "
        f"(default {DETAIL_DEFAULT!r})")
    add("--qemu", metavar="PATH", help="emulator, as for run.py")
    return parser


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_args(argv)
    heed_signals()
    if options.detail is not None:
        print_details(options.qemu, options.detail)
        return 0
    compiler, rows = measure(options.qemu)
    print_table(rows)
    complaints = [f"{name_of(row)}: contaminated: the smallest window is not the median one"
                  for row in rows if contaminated(row)]
    if compiler == LIMIT_COMPILER:
        complaints += check_limits(rows)
    figures = figures_of(rows)
    if options.update and not any("contaminated" in complaint for complaint in complaints):
        text = json.dumps({"compiler": compiler, "figures": figures}, indent=2)
        BASELINE.write_text(text + "\n", encoding="utf-8")
        print(f"baseline written: {len(figures)} configurations, {compiler}")
    elif not options.update:
        complaints += check_baseline(figures, compiler)
    for complaint in complaints:
        print(f"instructions.py: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
