"""Medians with order-statistic intervals, and ratios of paired rounds.

Rounds of an emulator on a shared host follow no known distribution; order statistics need none.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

CONFIDENCE_WANTED = 0.95
STANDSTILL = 1e6  # what a ratio to nothing counts as: JSON has no infinity
VERDICTS = ("met", "not excluded", "not met", "undecided, too few rounds")


def ratio_text(value: float) -> str:
    """A ratio in words."""
    return "without end" if value >= STANDSTILL / 2 else f"{value:.2f}"


def interval_ranks(count: int) -> tuple[int, float]:
    """Which order statistics bound the median: (j, confidence), for the j-th smallest and largest.

    The narrowest interval that holds the median with 95 % confidence; with fewer than six values
    there is none, and the widest one is returned with the confidence it has.
    """
    if count < 1:
        raise ValueError("no values")
    rank, confidence = 1, 1.0 - 2.0 ** (1 - count)
    outside = 2.0 / 2.0**count
    while True:
        outside += 2.0 * math.comb(count, rank) / 2.0**count
        if rank + 1 > count // 2 or 1.0 - outside < CONFIDENCE_WANTED:
            return rank, confidence
        rank, confidence = rank + 1, 1.0 - outside


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A median, the interval around it, and how sure that interval is."""

    median: float
    low: float
    high: float
    confidence: float
    count: int

    @property
    def sure(self) -> bool:
        """There are enough rounds for a statement."""
        return self.confidence >= CONFIDENCE_WANTED

    def verdict(self) -> int:
        """Of a ratio: 1 above one, -1 below one, 0 no significant difference."""
        if not self.sure or self.low <= 1.0 <= self.high:
            return 0
        return 1 if self.low > 1.0 else -1

    def meets(self, goal: float) -> str:
        """Of a ratio: what is said of every goal, one of VERDICTS. The median meets it, the
        interval does not exclude it, or neither; a median meets it however wide the interval."""
        if not self.sure:
            return "undecided, too few rounds"
        if self.median >= goal:
            return "met"
        return "not excluded" if self.high >= goal else "not met"

    def __str__(self) -> str:
        """A ratio in words."""
        median, low, high = map(ratio_text, (self.median, self.low, self.high))
        return f"{median} ({low} to {high})"

    def as_json(self) -> dict[str, object]:
        """The form that results.json holds."""
        return {
            "median": round(self.median, 6),
            "interval": [round(self.low, 6), round(self.high, 6)],
            "confidence": round(self.confidence, 4),
            "rounds": self.count,
        }

    @staticmethod
    def from_json(data: dict) -> Estimate:
        """The inverse of as_json()."""
        low, high = data["interval"]
        return Estimate(data["median"], low, high, data["confidence"], data["rounds"])


def estimate(values: Sequence[float]) -> Estimate:
    """Median and interval of at least one value."""
    ordered = sorted(values)
    rank, confidence = interval_ranks(len(ordered))
    low, high = ordered[rank - 1], ordered[-rank]
    return Estimate(statistics.median(ordered), low, high, confidence, len(ordered))


def ratio(above: float, below: float) -> float:
    """One over the other, at most STANDSTILL; 1 where both are 0."""
    if below > 0:
        return min(above / below, STANDSTILL)
    return STANDSTILL if above > 0 else 1.0


def paired_ratio(above: dict[int, float], below: dict[int, float]) -> Estimate | None:
    """Ratio of two modes, round by round; None if no round has both.

    A round in which the other stood still counts: it is one that was won by any factor.
    """
    ratios = [ratio(above[r], below[r]) for r in sorted(above) if r in below]
    return estimate(ratios) if ratios else None


def mann_whitney_counts(first: int, second: int) -> list[int]:
    """How many of the orders of two samples, all alike, give U = 0, 1, 2 ...: exactly."""
    # counts[m][u] for one more value of the first sample at a time.
    counts = [[1] for _ in range(second + 1)]
    for n in range(1, first + 1):
        grown = [[1]]
        for m in range(1, second + 1):
            row = [0] * (n * m + 1)
            for u, ways in enumerate(counts[m]):
                row[u + m] += ways
            for u, ways in enumerate(grown[m - 1]):
                row[u] += ways
            grown.append(row)
        counts = grown
    return counts[second]


def ratio_of_samples(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The ratio of two samples that were not taken in pairs.

    The median of all ratios of one value to another (Hodges and Lehmann's estimate, on logarithms),
    between the order statistics that Mann and Whitney's exact distribution gives for 95 %; the
    widest interval, with the confidence it has, where the samples are too small for that.
    """
    if not above or not below or min(above) < 0 or min(below) <= 0:
        raise ValueError("no values, some that are negative, or a division by 0")
    ratios = sorted(a / b for a in above for b in below)
    counts = mann_whitney_counts(len(above), len(below))
    orders = math.comb(len(above) + len(below), len(above))
    cut, outside = 0, 2.0 * counts[0] / orders
    confidence = 1.0 - outside
    while 2 * (cut + 1) < len(ratios):
        outside += 2.0 * counts[cut + 1] / orders
        if 1.0 - outside < CONFIDENCE_WANTED:
            break
        cut, confidence = cut + 1, 1.0 - outside
    count = min(len(above), len(below))
    return Estimate(
        statistics.median(ratios), ratios[cut], ratios[-1 - cut], max(0.0, confidence), count
    )


def ratio_of(job: dict, name: str) -> Estimate | None:
    """A ratio of a job's `hartq` object."""
    return Estimate.from_json(found) if (found := job["hartq"].get(name)) else None
