"""Latency histograms in the shape of fio's json+ output: {nanoseconds of a bucket: samples}.

A bucket's key is the middle of the latencies it holds (64 buckets per power of two: at most 0.78 %
off). Everything here follows from the buckets, so harts and boots merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

Bins = dict[int, int]

END_NS = 1 << 34  # no bucket holds this or more: the last one takes it, and the guest counts it
END_TEXT = ">17.2 s"
LAST_NS = END_NS - (1 << 26)  # the last bucket's middle

# fio's list, and the tail beyond it.
PERCENTILES = (
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99, 99.999, 99.9999,
)
SAMPLES_ABOVE_MIN = 10  # fewer samples above a percentile say nothing about it

# Upper ends of fio's three tables latency_ns, latency_us and latency_ms, in their own unit.
TABLE_ENDS = (2, 4, 10, 20, 50, 100, 250, 500, 750, 1000)
TABLES = (("latency_ns", 1, TABLE_ENDS), ("latency_us", 1000, TABLE_ENDS),
          ("latency_ms", 1000000, (*TABLE_ENDS, 2000)))


def merge(histograms: Iterable[Mapping[int | str, int]]) -> Bins:
    """The sum of histograms, in order of latency; keys may be fio's strings."""
    total: Bins = {}
    for bins in histograms:
        for key, count in bins.items():
            total[int(key)] = total.get(int(key), 0) + count
    return dict(sorted(total.items()))


def percentile(bins: Bins, percent: float) -> int | None:
    """Latency in ns that `percent` of the samples do not exceed; None if too few lie above it.

    `bins` is in order of latency, as merge() returns it.
    """
    samples = sum(bins.values())
    if samples * (100.0 - percent) / 100.0 < SAMPLES_ABOVE_MIN - 1e-6:
        return None
    rank = max(1, math.ceil(samples * percent / 100.0 - 1e-6))
    for latency_ns, count in bins.items():
        rank -= count
        if rank <= 0:
            return latency_ns
    return None


def summary(bins: Bins, low_ns: int, high_ns: int, sum_ns: int) -> dict[str, object]:
    """fio's `lat_ns` object. Minimum, maximum and sum are the exact ones, counted by the guest."""
    samples = sum(bins.values())
    if not samples:
        return {"min": 0, "max": 0, "mean": 0.0, "stddev": 0.0, "N": 0}
    mean = sum_ns / samples
    square = sum(count * (value - mean) ** 2 for value, count in bins.items()) / samples
    known = {f"{each:.6f}": percentile(bins, each) for each in PERCENTILES}
    return {
        "min": low_ns,
        "max": high_ns,
        "mean": round(mean, 3),
        "stddev": round(math.sqrt(square), 3),
        "N": samples,
        "percentile": {name: ns for name, ns in known.items() if ns is not None},
    }


def tables(bins: Bins) -> dict[str, dict[str, float]]:
    """fio's latency_ns, latency_us and latency_ms: per cent of the samples below each end."""
    samples = max(1, sum(bins.values()))

    def share(begin_ns: float, end_ns: float) -> float:
        inside = sum(n for ns, n in bins.items() if begin_ns <= ns < end_ns)
        return round(100.0 * inside / samples, 6)

    result: dict[str, dict[str, float]] = {}
    below_ns = 0
    for name, unit_ns, ends in TABLES:
        result[name] = {}
        for end in ends:
            result[name][str(end)] = share(below_ns, end * unit_ns)
            below_ns = max(below_ns, end * unit_ns)
    result["latency_ms"][">=2000"] = share(below_ns, math.inf)
    return result
