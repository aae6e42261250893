"""What each boot of a point came to: the samples of whoever compares modes, or results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from measure.windows import Window
from results import histogram
from results.fio import DIRECTIONS, parts_of
from sim.run import idle_of

THREADS = ("vcpu", "device")  # of QEMU, whose time is told for each boot
BACK_SHARE, BACK_INTERVALS = 0.95, 3  # of the rate; so many in a row
PERCENTS = {"p50_ns": 50.0, "p99_ns": 99.0}


def latencies(window: Window) -> dict[str, int | None]:
    """Percentiles of one window; None where too few samples lie above."""
    # Beside a writer the reader's count: who waits for a write does not wait for an answer.
    names = DIRECTIONS[:1] if window.key.shape == "beside" else DIRECTIONS
    sides = (part for name in names for part in parts_of([window], name))
    bins = histogram.merge(side["lat_ns"]["bins"] for side in sides)
    return {name: histogram.percentile(bins, percent) for name, percent in PERCENTS.items()}


def host_us(window: Window) -> dict[str, float | None]:
    """Host microseconds per I/O of QEMU's threads; None where they were not sampled."""
    known = window.host if window.ios else None
    return {
        f"{name}_us_per_io": round(known.ran[name] / window.ios / 1e3, 4) if known else None
        for name in THREADS}


def blocked_us(window: Window) -> float | None:
    """Microseconds per I/O in which its vCPUs neither ran, waited for a core nor slept: QEMU's
    lock. At least 0; None where they were not sampled."""
    if not window.ios or not (host := window.host):
        return None
    other_ns = host.ran["vcpu"] + host.waited["vcpu"] + sum(window.record["idle_ns"])
    return round(max(0.0, host.time_ns * window.key.harts - other_ns) / window.ios / 1e3, 4)


def doorbells_per_io(window: Window) -> float:
    """Submission doorbells."""
    return round(window.record["counters"]["sq_doorbells"] / max(1, window.ios), 4)


def back_ns(bursts: dict) -> int | None:
    """How long after a burst began the rate was back; None if it never was.

    It is back with the first interval that has BACK_SHARE of the rate, as have most of the
    BACK_INTERVALS from there on. The rate is that of the burst's second half.
    """
    ios = bursts["ios"]
    least = BACK_SHARE * statistics.fmean(ios[len(ios) // 2 :])
    for begin, count in enumerate(ios):
        if count >= least > 0 and statistics.median(ios[begin:][:BACK_INTERVALS]) >= least:
            return begin * bursts["interval_ns"]
    return None


def told(window: Window) -> dict[str, object]:
    """What only some points have."""
    found = {name: window.record[name] for name in ("raw_wait",) if name in window.record}
    if window.key.shape == "step":
        found["back_ns"] = back_ns(window.record["bursts"])
    if window.key.shape == "beside":
        reads = window.record["read"]["total_ios"]
        found["reader_iops"] = round(reads * 1e9 / window.record["runtime_ns"], 1)
    return found


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
            "idle_fraction": round(min(1.0, idle_of(each.record)), 6),
            **host_us(each),
            "blocked_us_per_io": blocked_us(each),
            "sq_doorbells_per_io": doorbells_per_io(each),
            **latencies(each),
            **told(each),
        }
        for each in sorted(windows, key=lambda window: window.boot)]
