"""Which of a result's jobs become which lines: pictures of one workload, and other programs'."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import histogram
import results
from families import Family, families, size_text
from pictures import Point, Series, look_of, other_look

PANEL_DEPTHS = (1, 32, 128)


def cumulative(bins: histogram.Bins) -> tuple[tuple[float, float], ...]:
    """(share at or below, us) of each bucket, up to where too few samples lie above."""
    samples, below, curve = sum(bins.values()), 0, []
    for latency_ns, count in bins.items():
        below += count
        if samples - below < histogram.SAMPLES_ABOVE_MIN:
            break
        curve.append((below / samples, latency_ns / 1000))
    return tuple(curve)


def latency_curve(side: dict) -> tuple[tuple[float, float], ...]:
    """From the buckets where there are any, else from the percentiles that fio printed."""
    for name in ("lat_ns", "clat_ns"):
        if bins := side.get(name, {}).get("bins"):
            return cumulative(histogram.merge([bins]))
    for name in ("lat_ns", "clat_ns"):
        if found := side.get(name, {}).get("percentile"):
            pairs = sorted((float(percent) / 100, ns / 1000) for percent, ns in found.items())
            return tuple(pair for pair in pairs if pair[0] < 1.0)
    return ()


def our_point(at: int, job: dict) -> Point:
    """A job of ours; `at` is its place on the x axis."""
    mine = job["hartq"]
    low, high = mine["iops_interval"]
    busy = 100.0 * (1.0 - mine["idle_fraction"])
    return Point(at, mine["iops_median"], low, high, busy, latency_curve(results.main_side(job)))


DRAWN_MODES = ("null", "limit", "irq", "hybrid", "poll")  # the last lies on top


def our_series(result: dict) -> tuple[Family | None, list[Series]]:
    """The main family's lines with each delivery; thin ones for the depth behind one doorbell.

    What takes no interrupts is drawn for the first delivery that has it.
    """
    found = families(result)
    main = next(iter(found), None)
    lines: list[Series] = []
    for family, modes in found.items():
        assert main
        same = dataclasses.replace(family, delivery=main.delivery)
        note = "" if same == main else "batch = depth"
        if family != dataclasses.replace(main, batch=0) and same != main:
            continue
        for mode in DRAWN_MODES:
            look = look_of(mode, family.delivery)
            points = tuple(our_point(depth, job) for depth, job in modes.get(mode, {}).items())
            if points and not any(l.look == look and l.note == note for l in lines):
                lines.append(Series(look, points, mode, note))
    return main, sorted(lines, key=lambda line: DRAWN_MODES.index(line.mode))


def scaling_series(result: dict) -> tuple[str, list[Series]]:
    """IOPS over harts, for the workload that has most hart counts; its name and its lines."""
    groups: dict[tuple, dict[tuple[str, str], dict[int, dict]]] = {}
    for job in result["jobs"]:
        options, mine = job["job options"], job["hartq"]
        if not mine.get("rate_iops") and mine["completion"] != "null":
            where = (options["rw"], int(options["bs"]), int(options["iodepth"]), mine["batch"])
            lines = groups.setdefault(where, {})
            of_mode = lines.setdefault((mine["completion"], mine["delivery"]), {})
            of_mode[mine["harts"]] = job

    def counts(where: tuple) -> int:
        return len({harts for jobs in groups[where].values() for harts in jobs})

    best = max(groups, key=lambda where: (counts(where), where), default=None)
    if best is None or counts(best) < 2:
        return "", []
    lines = []
    for mode in DRAWN_MODES:
        for (name, delivery), jobs in groups[best].items():
            if name == mode:
                lines = add_scaling(lines, mode, delivery, jobs)
    rw, bs, depth, batch = best
    return f"{size_text(bs)} {rw}, queue depth {depth}, batch {batch}", lines


def add_scaling(
    lines: list[Series], mode: str, delivery: str, jobs: dict[int, dict]
) -> list[Series]:
    """One more line; one of a mode that is drawn once goes on where another delivery's ended."""
    look = look_of(mode, delivery)
    points = {harts: our_point(harts, job) for harts, job in jobs.items()}
    for line in [line for line in lines if line.look == look]:
        points |= {point.at: point for point in line.points}
        lines = [each for each in lines if each is not line]
    ordered = tuple(points[harts] for harts in sorted(points))
    return [*lines, Series(look, ordered, mode)]


def fio_points(result: dict) -> Iterator[Point]:
    """The jobs of another program's result that did any I/O."""
    for job in result["jobs"]:
        options = {**result.get("global options", {}), **job.get("job options", {})}
        sides = [job[name] for name in ("read", "write") if job.get(name, {}).get("total_ios")]
        if not sides:
            continue
        iops = sum(side["iops"] for side in sides)
        spread = sum(side.get("iops_stddev", 0.0) for side in sides)
        busy = job.get("usr_cpu", 0.0) + job.get("sys_cpu", 0.0)
        main = max(sides, key=lambda side: side["total_ios"])
        depth = int(options.get("iodepth", 1))
        curve = latency_curve(main)
        yield Point(depth, iops, iops - spread, iops + spread, min(100.0, busy), curve)


def overlay(index: int, path: Path) -> Series:
    """A file of fio's as one line."""
    points = sorted(fio_points(results.load(path)), key=lambda point: point.at)
    if not points:
        raise ValueError(f"{path}: no job did any I/O")
    return Series(other_look(index, path.stem), tuple(points))


def panel_depths(lines: Sequence[Series]) -> list[int]:
    """Up to three depths that have latencies: the usual ones, else shallowest to deepest."""
    there = sorted({p.at for s in lines if not s.note for p in s.points if p.latency})
    usual = [depth for depth in PANEL_DEPTHS if depth in there]
    if len(usual) >= min(len(there), len(PANEL_DEPTHS)):
        return usual
    return sorted({there[0], there[len(there) // 2], there[-1]}) if there else []
