"""Many figures of two builds: which are lower in the second by more than chance makes them?

A permutation test. If the builds are alike, any deal of the boots to the two could as well have
been measured; so all deals are made, and a figure has fallen if hardly any of them makes *any*
figure fall as far. The chance of one false alarm is thus that of all figures together, however many
there are, whatever their distribution, and however they hang together within a boot.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
import random
from collections.abc import Sequence

DEALS_MOST = 4000  # all of 7 and 7 boots; of more, as many as this, by chance with a fixed seed
FALSE_ALARMS = 0.05  # of all figures of two builds that are alike


def _deals(first: int, second: int, paired: bool) -> list[Sequence[int]]:
    """Which value is whose, 1 the first's and -1 the second's; the real one is the first deal.

    Of pairs there is one value each, their difference, and a deal turns some of them round.
    """
    real = [1] * first if paired else [1] * first + [-1] * second
    count = 2**first if paired else math.comb(first + second, second)
    if count > DEALS_MOST:
        chance = random.Random(1)
        turn = (lambda: chance.choices((1, -1), k=first)) if paired else (
            lambda: chance.sample(real, len(real)))  # fmt: skip
        return [real, *(turn() for _ in range(DEALS_MOST - 1))]
    if paired:
        return list(itertools.product((1, -1), repeat=first))
    chosen = itertools.combinations(range(first + second), first)
    return [[1 if i in mine else -1 for i in range(first + second)] for mine in map(set, chosen)]


def _unit(values: Sequence[float], centre: float) -> list[float]:
    """Centred and of length 1: the deals of all figures have one scale (that of Student's t)."""
    found = [value - centre for value in values]
    length = math.sqrt(sum(value * value for value in found))
    return [value / length for value in found] if length > 1e-12 else [0.0] * len(found)


def fallen(
    before: Sequence[Sequence[float]], now: Sequence[Sequence[float]], paired: bool
) -> list[float]:
    """For each figure the share of deals in which any figure falls as far: small is no chance.

    A figure is its logarithm in every boot; all figures have the same boots, in the same order.
    """
    if not before:
        return []
    if paired:
        rows = [_unit([a - b for a, b in zip(*pair)], 0.0) for pair in zip(before, now)]
    else:
        both = [[*a, *b] for a, b in zip(before, now)]
        rows = [_unit(values, sum(values) / len(values)) for values in both]
    falls = [
        [sum(map(operator.mul, row, deal)) for row in rows]
        for deal in _deals(len(before[0]), len(now[0]), paired)
    ]
    farthest = sorted(max(each) for each in falls)
    count = len(farthest)
    return [(count - bisect.bisect_left(farthest, mine - 1e-9)) / count for mine in falls[0]]
