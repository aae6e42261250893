#!/usr/bin/env python3
"""Count the instructions of the I/O path and compare them with the committed baseline.

Boots build/instructions.elf under -icount shift=0, prints a table and the guest's JSON lines. The
machine has one hart: under icount all harts share the counter. The baseline belongs to one version
of the compiler; under another only the limit is checked.

Exit status: 0 all is well, 1 a figure rose, is contaminated or above the limit, or the guest
failed, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run import Machine, UsageError, run_guest

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "tests" / "qemu" / "instructions" / "baseline.json"
# Submit and reap of one 4 KiB read at queue depth 32, batch 32, in instructions.
LIMIT_KEY, LIMIT = "poll, 1 queue, depth 32, batch 32, 4096 bytes", 120
LIMIT_COMPILER = "GCC 12.2.0"  # the figures belong to one compiler, and so does their limit
PARTS = ("submit", "reap", "interrupt")

Figures = dict[str, dict[str, int]]


def name_of(row: dict[str, Any]) -> str:
    """The configuration in words: the key of the baseline."""
    queues = f"{row['queues']} queue{'' if row['queues'] == 1 else 's'}"
    return (
        f"{row['completion']}, {queues}, depth {row['iodepth']}, batch {row['batch']}, "
        f"{row['bs']} bytes"
    )


def measure(qemu: str | None) -> tuple[str, list[dict[str, Any]]]:
    """The compiler's version and one row per configuration. RuntimeError: the guest failed."""
    machine = Machine("instructions", [], harts=1, icount=True, timeout_s=120, qemu=qemu)
    compiler = ""
    rows = []
    others = []

    def take(text: str) -> None:
        nonlocal compiler
        if text.startswith('{"hartq_instructions_banner"'):
            compiler = json.loads(text)["compiler"]
        elif text.startswith('{"hartq_instructions"'):
            rows.append(json.loads(text))
        elif compiler:
            others.append(text)

    result = run_guest(machine, lambda line: take(line.text))
    if result.status or not rows:
        raise RuntimeError("\n".join([*others, result.stderr, result.reason]).strip())
    return compiler, rows


def contaminated(row: dict[str, Any]) -> bool:
    """Whether something else ran in the windows: the smallest is not the usual one."""
    return any(part in row and row[part] != row[f"{part}_median"] for part in PARTS)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Instructions per I/O; of an interrupt, of the whole path from pending to back too."""
    print("instructions per I/O (interrupt: trap, drain and return; reap is part of it)")
    print(
        f"{'mode':5} {'queues':>6} {'depth':>5} {'batch':>5} {'bytes':>7} {'submit':>8} "
        f"{'reap':>8} {'interrupt':>9} {'sum':>8}  one interrupt"
    )
    for row in rows:
        batch = row["batch"]
        each = {part: row[part] / batch for part in PARTS if part in row}
        reap = f"{each['reap']:8.1f}" if "reap" in each else f"{'':8}"
        path = f"{each['interrupt']:9.1f}" if "interrupt" in each else f"{'':9}"
        note = f"  {row['interrupt']}" if "interrupt" in row else ""
        note += "  contaminated" if contaminated(row) else ""
        print(
            f"{row['completion']:5} {row['queues']:6} {row['iodepth']:5} {batch:5} {row['bs']:7} "
            f"{each['submit']:8.1f} {reap} {path} {sum(each.values()):8.1f}{note}"
        )


def check_limit(rows: list[dict[str, Any]]) -> list[str]:
    """Complaints about the requirement on the short path."""
    for row in rows:
        if name_of(row) == LIMIT_KEY:
            each = (row["submit"] + row["reap"]) / row["batch"]
            if each <= LIMIT:
                return []
            return [f"{LIMIT_KEY}: submit + reap take {each:.1f} per I/O, at most {LIMIT}"]
    return [f"{LIMIT_KEY}: not measured"]


def figures_of(rows: list[dict[str, Any]]) -> Figures:
    """What the baseline keeps: the counts of each window."""
    return {name_of(row): {part: row[part] for part in PARTS if part in row} for row in rows}


def check_baseline(figures: Figures, compiler: str, path: Path) -> list[str]:
    """Complaints about figures that rose. Says so when there is nothing to compare with."""
    try:
        baseline = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{path.name} is missing: write it with scripts/instructions.py --update"]
    if baseline["compiler"] != compiler:
        print(
            f"baseline skipped: it was counted with {baseline['compiler']}, this is {compiler} "
            "(the figures belong to one compiler)"
        )
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


def build_parser() -> argparse.ArgumentParser:
    """The command line of scripts/instructions.py."""
    parser = argparse.ArgumentParser(prog="instructions.py", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--update", action="store_true", help="write the baseline instead of comparing with it"
    )
    parser.add_argument("--json", action="store_true", help="print the guest's JSON lines too")
    parser.add_argument(
        "--baseline", type=Path, default=BASELINE, metavar="FILE", help="another baseline file"
    )
    parser.add_argument("--qemu", metavar="PATH", help="emulator, as for run.py")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_args(argv)
    try:
        compiler, rows = measure(options.qemu)
    except UsageError as error:
        print(f"instructions.py: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"instructions.py: {error}", file=sys.stderr)
        return 1
    print_table(rows)
    if options.json:
        for row in rows:
            print(json.dumps(row))
    complaints = [
        f"{name_of(row)}: contaminated: the smallest window is not the median one"
        for row in rows
        if contaminated(row)
    ]
    if compiler == LIMIT_COMPILER:
        complaints += check_limit(rows)
    figures = figures_of(rows)
    if options.update and not any("contaminated" in complaint for complaint in complaints):
        text = json.dumps({"compiler": compiler, "figures": figures}, indent=2)
        options.baseline.write_text(text + "\n", encoding="utf-8")
        print(f"baseline written: {len(figures)} configurations, {compiler}")
    elif not options.update:
        complaints += check_baseline(figures, compiler, options.baseline)
    for complaint in complaints:
        print(f"instructions.py: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
