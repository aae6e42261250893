"""Medians with order-statistic intervals, and ratios of paired rounds.

Rounds of an emulator on a shared host follow no known distribution; order statistics need none.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

CONFIDENCE_WANTED = 0.95


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


def paired_ratio(above: dict[int, float], below: dict[int, float]) -> Estimate | None:
    """Ratio of two modes, round by round; None if no round has both."""
    ratios = [above[r] / below[r] for r in sorted(above) if r in below and below[r] > 0]
    return estimate(ratios) if ratios else None
