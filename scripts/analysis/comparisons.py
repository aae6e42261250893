"""One mode against another, depth by depth: who is sure to be ahead, and where that changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from analysis.intervals import STANDSTILL, Estimate, ratio_of, ratio_text
from analysis.series import Modes, all_series

RATIO_MIN = 1 / STANDSTILL  # a mode that stood still for whole boots
NO_DIFFERENCE = "no significant difference"
RUN_MIN = 3  # so many measured depths in a row are written as `1 to 8`
Ratios = dict[int, Estimate]  # by depth


def paired(modes: Modes, mode: str, other: str) -> Ratios:
    """Paired ratio of one mode's IOPS to another's at each depth."""
    ratios = {d: ratio_of(job, f"ratio_to_{other}") for d, job in modes.get(mode, {}).items()}
    return {depth: ratio for depth, ratio in ratios.items() if ratio}


def widest(result: dict) -> tuple[int, Estimate] | None:
    """Depth and ratio of the least certain of the main ratios: polling over interrupts."""
    modes = next(iter(all_series(result).values()), {})
    return max(paired(modes, "poll", "irq").items(), default=None,
               key=lambda each: (not each[1].sure, each[1].width_percent))


class Crossover(NamedTuple):
    """Where the faster mode changes: somewhere from `low` to `high`, about `at`."""

    low: int
    high: int
    at: float
    first: int  # the verdict below


def crossovers(ratios: Ratios) -> list[Crossover]:
    """Between neighbouring significant depths with opposite winners.

    The ends are the depths where each mode still wins significantly; the estimate is where the
    median ratio first passes 1 between them, on logarithmic axes.
    """
    found = []
    sure = [(depth, ratio.verdict()) for depth, ratio in ratios.items() if ratio.verdict()]
    for (low, first), (high, second) in itertools.pairwise(sure):
        if first == second:
            continue
        between = [(math.log(depth), math.log(max(ratio.median, RATIO_MIN)))
                   for depth, ratio in ratios.items() if low <= depth <= high]
        (d0, r0), (d1, r1) = next(pair for pair in itertools.pairwise(between)
                                  if pair[1][1] * first <= 0)
        at = math.exp(d0 + (d1 - d0) * r0 / (r0 - r1))
        found.append(Crossover(low, high, at, first))
    return found


def depths_text(depths: Collection[int], measured: Collection[int]) -> str:
    """`1 to 8, 64`: depths that were measured one after another are drawn together."""
    order = sorted(measured)
    runs: list[list[int]] = []
    for depth in sorted(depths):
        if runs and order.index(depth) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(depth)
        else:
            runs.append([depth])
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) >= RUN_MIN else ", ".join(map(str, run))
        for run in runs)


def by_verdict(ratios: Ratios, verdict: int) -> list[int]:
    """The depths at which the first is ahead (1), behind (-1), or neither for certain (0)."""
    return [depth for depth, ratio in ratios.items() if ratio.verdict() == verdict]


def factor_text(ratios: Ratios, depths: Sequence[int]) -> str:
    """x1.42 to x1.95: the medians at some depths."""
    factors = [ratios[depth].median for depth in depths]
    ends = (min(factors), max(factors)) if len(depths) > 1 else factors
    return " to ".join(f"x{ratio_text(each)}" for each in ends)


def brief(ratios: Ratios, more: str, less: str) -> str:
    """A comparison in one phrase; `more` and `less` are the words for above and below one."""
    if not ratios:
        return ""
    if not any(ratio.sure for ratio in ratios.values()):
        return "too few boots to tell"
    parts = []
    for verdict, word in ((1, more), (-1, less)):
        if depths := by_verdict(ratios, verdict):
            found = factor_text(ratios, depths)
            if len(depths) == 1:
                only = ratios[depths[0]]
                found += f": {ratio_text(only.low)} to {ratio_text(only.high)}"
            parts.append(f"{word} at {depths_text(depths, ratios)} ({found})")
    if same := by_verdict(ratios, 0):
        where = f" at {depths_text(same, ratios)}" if parts else ""
        parts.append(NO_DIFFERENCE + where)
    return ", ".join(parts)


def stopping(ratios: Ratios) -> str:
    """At which depth polling stops paying."""
    if not any(ratio.sure for ratio in ratios.values()):
        return "too few boots to tell"
    if changes := crossovers(ratios):
        return ", ".join(
            ("" if each.first > 0 else "it starts paying at ")
            + f"about {each.at:.0f} (between {each.low} and {each.high})"
            for each in changes)
    if leads := by_verdict(ratios, 1):
        last, beyond = max(leads), [depth for depth in ratios if depth > max(leads)]
        what = f"undecided at {depths_text(beyond, ratios)}" if beyond else "the deepest measured"
        return f"none found; last depth with a sure lead: {last} ({what})"
    if behind := by_verdict(ratios, -1):
        return f"none found; polling leads nowhere, interrupts from {min(behind)} on"
    return f"none found; {NO_DIFFERENCE} at any depth"
