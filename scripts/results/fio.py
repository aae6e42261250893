"""fio's own fields of a job, from the measured windows; a window is one of fio's samples.

As `fio --output-format=json+` has them: the buckets are in `clat_ns`, a direction without I/Os is
all zeros. What fio counts and nobody counts here has no field: context switches, page faults, the
depths at each submission and completion, the time with the ramps (`elapsed`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from measure.windows import Window
from results import histogram

EMPTY = {"total_ios": 0, "io_bytes": 0, "lat_ns": {"min": 0, "max": 0, "sum": 0, "bins": {}}}
DIRECTIONS = ("read", "write", "trim")
NO_LATENCY = histogram.summary({}, 0, 0, 0)


def parts_of(windows: Iterable[Window], name: str) -> list[dict]:
    """What each window has of one direction, as the guest told it."""
    return [window.record.get(name, EMPTY) for window in windows]


def _samples(prefix: str, deviation: str, values: Sequence[float]) -> dict[str, float]:
    """fio's summary of a rate's samples: the extremes are whole numbers that hold them all."""
    return {
        f"{prefix}_min": math.floor(min(values, default=0)),
        f"{prefix}_max": math.ceil(max(values, default=0)),
        f"{prefix}_mean": round(statistics.fmean(values), 6) if values else 0.0,
        f"{prefix}_{deviation}": round(statistics.stdev(values), 6) if len(values) > 1 else 0.0,
        f"{prefix}_samples": len(values),
    }


def _latency(parts: Sequence[dict]) -> tuple[dict[str, object], dict[str, object]]:
    """fio's `clat_ns`, with the buckets, and `lat_ns`.

    They are the same: the engine posts and rings in one call, so nothing lies before completion.
    """
    bins = histogram.merge(part["lat_ns"]["bins"] for part in parts)
    used = [part["lat_ns"] for part in parts if part["total_ios"]]
    latency = histogram.summary(
        bins,
        min((each["min"] for each in used), default=0),
        max((each["max"] for each in used), default=0),
        sum(each["sum"] for each in used),
    )
    # fio's own converter takes no empty `bins`.
    return {**latency, **({"bins": {str(k): n for k, n in bins.items()}} if bins else {})}, latency


def direction(windows: Sequence[Window], name: str) -> dict[str, object]:
    """fio's `read`, `write` or `trim` object, over all windows of a point."""
    parts = parts_of(windows, name)
    ios = sum(part["total_ios"] for part in parts)
    io_bytes = sum(part["io_bytes"] for part in parts)
    spans_s = [window.record["runtime_ns"] / 1e9 for window in windows] if ios else []
    runtime_s = sum(spans_s) or 1.0
    clat, lat = _latency(parts)
    return {
        "io_bytes": io_bytes,
        "io_kbytes": io_bytes >> 10,
        "bw_bytes": round(io_bytes / runtime_s),
        "bw": round(io_bytes / runtime_s / 1024),
        "iops": round(ios / runtime_s, 6),
        "runtime": round(1e3 * sum(spans_s)),
        "total_ios": ios,
        "short_ios": 0,
        "drop_ios": 0,
        "slat_ns": dict(NO_LATENCY),
        "clat_ns": clat,
        "lat_ns": lat,
        **_samples("bw", "dev", [p["io_bytes"] / s / 1024 for p, s in zip(parts, spans_s)]),
        "bw_agg": 100.0 if ios else 0.0,  # of its group, which is it alone
        **_samples("iops", "stddev", [p["total_ios"] / s for p, s in zip(parts, spans_s)]),
    }


def fields(windows: Sequence[Window], busy: float) -> dict[str, object]:
    """fio's fields of a job from `read` on; `busy` is the harts' per cent outside of wfi."""
    key = windows[0].key
    parts = [part for name in DIRECTIONS for part in parts_of(windows, name)]
    runtime_ns = sum(window.record["runtime_ns"] for window in windows)
    return {
        **{name: direction(windows, name) for name in DIRECTIONS},
        "sync": {"total_ios": 0, "lat_ns": dict(NO_LATENCY)},
        "job_runtime": round(key.harts * runtime_ns / 1e6),
        # All of a hart's work is ours; what it does not sleep it works or looks.
        "usr_cpu": round(busy, 6),
        "sys_cpu": 0.0,
        **histogram.tables(histogram.merge(part["lat_ns"]["bins"] for part in parts)),
        # No latency is aimed at (fio's latency_target): the depth is what was asked for.
        "latency_depth": key.depth,
        "latency_target": 0,
        "latency_percentile": 100.0,
        "latency_window": 0,
    }
