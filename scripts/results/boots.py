"""What each boot of a point came to: the samples of whoever compares modes, or results."""

from __future__ import annotations

from collections.abc import Iterable

from measure.windows import Window, idle_of
from results import histogram
from results.fio import DIRECTIONS, parts_of

THREADS = ("vcpu", "device")  # of QEMU, whose time is told for each boot
PERCENTS = {"p50_ns": 50.0, "p99_ns": 99.0}


def latencies(window: Window) -> dict[str, int | None]:
    """Percentiles of one window; None where too few samples lie above."""
    sides = (part for name in DIRECTIONS for part in parts_of([window], name))
    bins = histogram.merge(side["lat_ns"]["bins"] for side in sides)
    return {name: histogram.percentile(bins, percent) for name, percent in PERCENTS.items()}


def host_us(window: Window) -> dict[str, float | None]:
    """Host microseconds per I/O of QEMU's threads; None where they were not sampled."""
    known = window.host if window.ios else None
    return {
        f"{name}_us_per_io": round(known.ran[name] / window.ios / 1e3, 4) if known else None
        for name in THREADS}


def known(job: dict, name: str) -> dict[int, float]:
    """A figure by boot, of those that have it."""
    found = {each["boot"]: each.get(name) for each in job["hartq"]["boots"]}
    return {boot: found[boot] for boot in sorted(found) if found[boot] is not None}


def values(job: dict, name: str) -> dict[int, float]:
    """A figure by boot; empty unless all have it: those without it are the slow ones."""
    found = known(job, name)
    return found if len(found) == len(job["hartq"]["boots"]) else {}


def rows(windows: Iterable[Window]) -> list[dict[str, object]]:
    """In order of the boots."""
    return [
        {
            "boot": each.boot,
            "iops": round(each.iops, 1),
            "idle_fraction": round(min(1.0, idle_of(each)), 6),
            **host_us(each),
            **latencies(each),
            **({"raw_wait": each.record["raw_wait"]} if "raw_wait" in each.record else {}),
        }
        for each in sorted(windows, key=lambda window: window.boot)]
