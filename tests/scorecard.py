#!/usr/bin/env python3
"""The reliability scorecard: a figure for each promise, from runs of this tree.

    tests/scorecard.py                    the full card (make scorecard)
    tests/scorecard.py --short            the simulation alone, in about a minute
    tests/scorecard.py -k 'spin|fuzz'     only rows whose name matches

Each row has its figure, its aim, and the command with its seed. A row that misses its aim makes
the exit status 1. The last row puts a bug of tests/mutate/mutants.toml into a copy of the tree,
runs the simulation's rows there, and must see them fail. All goes to --out too, with the commit.
The full card takes half an hour on two cores; the mutants are most of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "mutate"), str(ROOT / "tests")]

import card_rows as rows  # noqa: E402
from card_rows import Card, Figure  # noqa: E402
from cli import command  # noqa: E402
from cli.errors import Failed  # noqa: E402

OUT = ROOT / "build" / "reliability.json"
KNOWN_BAD = "barrier-sq-doorbell"


def make_bad(name: str) -> Path:
    """A copy of the tree with this mutant, its simulation built."""
    spec = importlib.util.spec_from_file_location("mutate", ROOT / "tests" / "mutate" / "run.py")
    mutate = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = mutate
    spec.loader.exec_module(mutate)
    found = [mutant for mutant in mutate.load() if mutant.name == name]
    if not found:
        raise Failed(f"--known-bad {name}: no mutant; hint: tests/mutate/run.py --list")
    tree = ROOT / "build" / "scorecard" / "bad"
    tree.mkdir(parents=True, exist_ok=True)
    mutate.copy_sources(tree)
    mutate.apply(found[0], tree)
    output = mutate.make(tree, ["-j2", "build/sim"])
    if output:
        raise Failed(f"--known-bad {name}: does not build:\n{output}")
    return tree


def known_bad(card: Card, name: str) -> Iterator[Figure]:
    """The card of a tree with a bug must fail."""
    bad = Card(card.short, card.seed, make_bad(name))
    failed = [figure for row in rows.OF_SIMULATION for figure in row(bad)
              if not figure.good]
    told = f": {failed[0].name}: {failed[0].text}" if failed else ""
    yield Figure(
        "known-bad build", f"{name}: {len(failed)} figures fail{told}", "its card fails",
        bool(failed), f"tests/scorecard.py --known-bad {name} -k known-bad",
        {"mutant": name, "failed": [figure.name for figure in failed]},
    )


Row = Callable[[Card], Iterator[Figure]]
# The name that -k matches, whether the short card has it, and the row.
ROWS: list[tuple[str, bool, Row]] = [
    ("unit tests, coverage", False, rows.coverage),
    ("simulation", True, rows.simulation),
    ("resets", True, rows.resets),
    ("lost interrupts", True, rows.lost_interrupts),
    ("fuzz", False, rows.fuzz),
    ("spin", False, rows.spin),
    ("power cuts", False, rows.power),
    ("machine", False, rows.machine),
    ("fault classes", True, rows.classes),
    ("mutants", False, rows.mutants),
]


def show(figure: Figure) -> None:
    """A row of the card."""
    print(f"{'ok' if figure.good else 'FAIL':4}  {figure.name:18} {figure.text}")
    print(f"{'':24} aim: {figure.aim}; {figure.command}", flush=True)


def commit() -> str:
    """The commit that the figures are of, and whether files differ from it."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True,
                              check=False).stdout.strip()

    return git("rev-parse", "HEAD") + (" and changes" if git("status", "--porcelain") else "")


def write(out: Path, card: Card, figures: Sequence[Figure], complete: bool) -> None:
    """The same for machines."""
    out.parent.mkdir(parents=True, exist_ok=True)
    answer = {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "form": "short" if card.short else "full",
        "seed": card.seed,
        "complete": complete,
        "good": complete and all(figure.good for figure in figures),
        "figures": [dataclasses.asdict(figure) for figure in figures],
    }
    out.write_text(json.dumps(answer, indent=1) + "\n")


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true",
                        help="the simulation alone, in about a minute")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default 1)")
    parser.add_argument("-k", metavar="PATTERN", default="", help="only rows whose name matches")
    parser.add_argument("--known-bad", metavar="MUTANT", default=KNOWN_BAD,
                        help="the bug of the last row (%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="for machines (%(default)s)")
    options = parser.parse_args(argv)
    offered = [*ROWS, ("known-bad build", True, lambda card: known_bad(card, options.known_bad))]
    chosen = [(name, row) for name, short, row in offered
              if (short or not options.short) and re.search(options.k, name)]
    if not chosen:
        names = ", ".join(name for name, _, _ in offered)
        parser.error(f"-k {options.k}: no row; there are {names}")
    rows.OUTPUT.mkdir(parents=True, exist_ok=True)
    for old in rows.OUTPUT.glob("*.txt"):
        old.unlink()
    card = Card(options.short, options.seed)
    print(f"outputs, as they come: {rows.OUTPUT / ROOT.name}.txt", flush=True)
    figures: list[Figure] = []
    complete = False
    try:
        for _, row in chosen:
            for figure in row(card):
                show(figure)
                figures.append(figure)
        complete = True
    finally:
        write(options.out, card, figures, complete)
    failed = sum(not figure.good for figure in figures)
    print(options.out.resolve())
    print(f"{len(figures) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
