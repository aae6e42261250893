"""Medians with order-statistic intervals, and ratios of paired boots.

Boots on a shared host follow no known distribution; order statistics need none.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import statistics
from collections.abc import Sequence

CONFIDENCE_WANTED = 0.95
RESAMPLES = 1000  # of a bootstrap
STANDSTILL = 1e6  # what a ratio to nothing counts as: JSON has no infinity
LEAST_EFFECT = 0.03  # a median nearer to 1 is no difference: other builds, other places differ more
UNQUIET = "undecided, the host was not quiet"
VERDICTS = ("met for certain", "met by the median", "not met", UNQUIET, "undecided, too few boots")


def ratio_text(value: float, form: str = ".2f") -> str:
    """A ratio in words."""
    return "inf" if value >= STANDSTILL / 2 else format(value, form)


def interval_ranks(count: int) -> tuple[int, float]:
    """Which order statistics bound the median: (j, confidence), for the j-th smallest and largest.

    The narrowest interval that holds the median with 95 % confidence; with fewer than six values
    there is none, and the widest one is returned with the confidence it has.
    """
    if count < 1:
        raise ValueError("no values")
    shares = (2.0 * math.comb(count, j) / 2.0**count for j in range((count + 1) // 2))
    confidences = [1.0 - outside for outside in itertools.accumulate(shares)]
    rank = max(1, sum(each >= CONFIDENCE_WANTED for each in confidences))
    return rank, confidences[rank - 1]


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
        """There are enough boots for a statement."""
        return self.confidence >= CONFIDENCE_WANTED

    @property
    def width_percent(self) -> float:
        """Of the interval, in per cent of the median."""
        return 100 * (self.high - self.low) / self.median if self.median else 100 * STANDSTILL

    def verdict(self) -> int:
        """Of a ratio: 1 above one, -1 below one, 0 no significant difference."""
        near = abs(self.median - 1.0) < LEAST_EFFECT
        if not self.sure or near or self.low <= 1.0 <= self.high:
            return 0
        return 1 if self.low > 1.0 else -1

    def meets(self, goal: float, quiet: bool = True) -> str:
        """Of a ratio: what is said of every goal, one of VERDICTS. The whole interval meets it, the
        median does, or neither. Where the host was not `quiet`, nothing is said."""
        if not quiet:
            return UNQUIET
        if not self.sure:
            return "undecided, too few boots"
        if self.low >= goal:
            return "met for certain"
        return "met by the median" if self.median >= goal else "not met"

    def below(self, limit: float, quiet: bool = True) -> str:
        """The same of a figure that is to be at most `limit`."""
        return dataclasses.replace(
            self, median=-self.median, low=-self.high, high=-self.low).meets(-limit, quiet)

    def __format__(self, form: str) -> str:
        """`1.20 (1.10-1.30)`, each number in the form, which is .2f where there is none."""
        found = (self.median, self.low, self.high)
        median, low, high = (ratio_text(each, form or ".2f") for each in found)
        return f"{median} ({low}-{high})"

    def as_json(self) -> dict[str, object]:
        """The form that results.json holds."""
        return {
            "median": round(self.median, 6),
            "interval": [round(self.low, 6), round(self.high, 6)],
            "confidence": round(self.confidence, 4),
            "boots": self.count,
        }

    @staticmethod
    def from_json(data: dict | None) -> Estimate | None:
        """The inverse of as_json(); nothing stays nothing."""
        if not data:
            return None
        low, high = data["interval"]
        return Estimate(data["median"], low, high, data["confidence"], data["boots"])


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
    """Ratio of two modes, boot by boot; None if no boot has both.

    A boot in which the other stood still counts: it is one that was won by any factor.
    """
    ratios = [ratio(above[r], below[r]) for r in sorted(above) if r in below]
    return estimate(ratios) if ratios else None


def unpaired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The ratio of the medians of two samples that are no pairs, with its bootstrap interval."""
    source = random.Random(1)

    def median(values: Sequence[float]) -> float:
        return statistics.median(source.choices(values, k=len(values)))

    drawn = sorted(median(above) / median(below) for _ in range(RESAMPLES))
    outside = round(RESAMPLES * (1 - CONFIDENCE_WANTED) / 2)
    middle = statistics.median(above) / statistics.median(below)
    return Estimate(middle, drawn[outside], drawn[-1 - outside], CONFIDENCE_WANTED,
                    min(len(above), len(below)))


def ratio_of(job: dict, name: str) -> Estimate | None:
    """A ratio of a job's `hartq` object."""
    return Estimate.from_json(job["hartq"].get(name))


def marked(found: Estimate | None) -> str:
    """A ratio in a table: with = where there is no sure difference, ? where nothing is sure."""
    if not found:
        return "-"
    return f"{found}" + ("" if found.verdict() else " =" if found.sure else " ?")
