"""How each mode is drawn, and what a line of a picture is made of. Needs no matplotlib.

Modes differ in colour (Okabe and Ito's, safe for the colour-blind), marker and line style, so that
they stay apart in print.
"""

from __future__ import annotations

import dataclasses

from analysis.intervals import Estimate
from measure.modes import MODES, NAMES, REFERENCES, WAITING


@dataclasses.dataclass(frozen=True)
class Look:
    """How a mode is drawn."""

    color: str
    marker: str
    line: str | tuple
    label: str
    dodge: float = 1.0  # of x, so that the intervals of one depth stand apart


DASHES, DASH_DOT, DOTS = (0, (5, 2)), (0, (7, 2, 1.5, 2)), (0, (1.2, 1.6))
# By mode, then by delivery: polling and the raw ring look the same with each.
LOOKS = {
    ("poll", ""): Look("#0072B2", "o", "-", "polling", 0.97),
    ("irq", "per-hart"): Look("#D55E00", "s", DASH_DOT, "interrupts, per-hart", 1.03),
    ("irq", "shared"): Look("#CC79A7", "v", DASHES, "interrupts, shared", 1.05),
    ("irq", "msix"): Look("#E69F00", "D", DOTS, "interrupts, msix", 0.95),
    ("hybrid", "per-hart"): Look("#009E73", "^", DASHES, "hybrid, per-hart", 0.99),
    ("hybrid", "shared"): Look("#7A6A00", "X", DASH_DOT, "hybrid, shared", 1.01),
    ("hybrid", "msix"): Look("#56B4E9", "P", DOTS, "hybrid, msix", 0.985),
    ("raw", ""): Look("#333333", "", (0, (4, 3)), "raw ring"),
    ("loopback", ""): Look("#777777", "", (0, (1, 1.3)), "loopback (engine against memory)"),
}
IOPS_LOOK = Look("#0072B2", "o", "-", "IOPS (above 1: interrupts are faster)", 0.97)
HOST_LOOK = Look(
    "#D55E00", "s", DASHES, "host CPU per I/O (below 1: interrupts are cheaper)", 1.03)
RULE_LOOKS = {  # of the rule of the doorbell: line, and what a label ends with
    "clocked": ("-", ", clocked"), "each": (DOTS, ", each"), "shadow": (DASHES, ", shadow"),
}
ON_TOP = ("irq", "hybrid", "poll")  # the last lies on top
MODE_ORDER = (*REFERENCES[::-1], *sorted(set(MODES) - {*REFERENCES, *ON_TOP}), *ON_TOP)
OTHERS = (
    ("#7A4988", "h"), ("#000000", "x"), ("#B8860B", "*"), ("#7F7F7F", "d"), ("#882255", "<"),
    ("#117733", ">"), ("#332288", "p"), ("#AA4466", "+"),
)


def look_of(mode: str, delivery: str) -> Look:
    """The look of a mode; delivery does not matter to those that take no interrupts.

    A mode without a row above looks like a line of another program.
    """
    way = delivery if mode in WAITING else ""
    label = f"{NAMES[mode]}, {way}" if way else NAMES[mode]
    return LOOKS.get((mode, way)) or other_look(list(MODES).index(mode), label)


def other_look(index: int, label: str) -> Look:
    """The look of a line from another program's result."""
    color, marker = OTHERS[index % len(OTHERS)]
    return Look(color, marker, ":", label)


@dataclasses.dataclass(frozen=True)
class Point:
    """A measured point, as far as pictures need it."""

    at: int  # its place on the x axis: queue depth, harts or block size
    iops: float
    low: float
    high: float
    host: Estimate | None = None  # CPU, in us per I/O
    # (share of the samples at or below, latency in us), in order
    latency: tuple[tuple[float, float], ...] = ()
    hollow: bool = False  # nothing is sure of it


@dataclasses.dataclass(frozen=True)
class Line:
    """One mode and delivery at several places. `note` sets it apart from the main lines."""

    look: Look
    points: tuple[Point, ...]
    mode: str = ""
    note: str = ""
