#!/usr/bin/env python3
"""Count the instructions of the I/O path and compare them with the committed baseline.

Prints a table. The baseline belongs to one version of the compiler, and so do the limits; under
another nothing is compared.

Exit status: 0 all is well, 1 a figure rose, is contaminated or above the limit, or the guest
failed, 2 usage.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import instruction_detail  # noqa: E402
from cli import command  # noqa: E402
from cli.errors import Failed  # noqa: E402
from cli.signals import heed_signals  # noqa: E402
from measure.instructions import (  # noqa: E402
    BASELINE, MACHINES, PARTS, Figures, contaminated, counts, figures_of, measure, measure_machine,
    name_of, print_table)

LIMIT_COMPILER = "GCC 12.2.0"  # the figures belong to one compiler, and so do their limits
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
# What more queues may take, of the instructions with few; both by what stands in the name.
MANY_MOST = 1.05
MANY = (("1 queue,", "8 queues,"), ("1 queue,", "64 queues,"),
        ("shared, 2 queues,", "shared, 8 queues,"), ("shared, 2 queues,", "shared, 64 queues,"))
FIRMWARE = "answer"  # this part calls it, and it looks at every hart of the machine


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


def check_many(named: dict[str, dict[str, Any]]) -> list[str]:
    """Complaints about what queues that are idle add to an I/O of the others."""
    complaints = []
    for few, many in MANY:
        pairs = [(row, name.replace(few, many)) for name, row in named.items() if few in name]
        pairs = [(row, larger) for row, larger in pairs if larger in named]
        if not pairs:
            complaints.append(f"{many} not measured")
        for row, larger in pairs:
            before, now = (sum(count for part, count in counts(each).items() if part != FIRMWARE)
                           for each in (row, named[larger]))
            if now > MANY_MOST * before:
                complaints.append(f"{larger}: {now}, with {few} {before}: more than 5 % above")
    return complaints


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
    return complaints + check_many(named)


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
    parser = command.Parser(prog="instruction_counts.py", description=__doc__.splitlines()[0])
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
        print(f"instruction_counts.py: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
