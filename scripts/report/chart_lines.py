"""Which of a result's jobs become which lines: pictures of one workload, and other programs'."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from analysis.series import Family, families, size_text
from cli.errors import UsageError, parse_size
from report.charts import Point, Series, look_of, other_look
from results import histogram, result_file

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
    curve = latency_curve(result_file.main_side(job))
    return Point(at, mine["iops_median"], low, high, busy, curve)


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


def fio_workload(options: dict) -> tuple[str, int, int, int]:
    """What a job of fio's is of: rw, bs, batch, threads; fio's defaults where it does not say."""

    def first(*names: str, default: str) -> str:
        found = next((options[name] for name in names if options.get(name)), default)
        return re.split("[,:]", str(found))[0]

    try:
        size = parse_size(first("bs", "blocksize", default="4k"), "bs")
    except UsageError as error:
        raise ValueError(str(error)) from error
    batch = int(first("iodepth_batch_submit", "iodepth_batch", default="1"))
    depth = int(first("iodepth", default="1"))
    threads = int(first("numjobs", default="1"))
    return first("rw", "readwrite", default="read"), size, batch or depth, threads


def fio_points(result: dict, family: Family) -> list[Point]:
    """The points of a family in another program's result, at most one for each depth.

    The first job of a depth gives the IOPS; latencies may be of another (gtod_reduce has none).
    fio tells no interval, and its CPU is the thread's, not what the hart did not sleep.
    """
    found: dict[int, Point] = {}
    seen = set()
    for job in result["jobs"]:
        options = {**result.get("global options", {}), **job.get("job options", {})}
        sides = [job[name] for name in ("read", "write") if job.get(name, {}).get("total_ios")]
        rw, bs, batch, threads = fio_workload(options)
        depth = int(options.get("iodepth", 1))
        wanted = (family.rw, family.bs, family.batch or depth, family.harts)
        if not sides or (rw, bs, batch, threads) != wanted:
            continue
        if threads > 1 and (job["jobname"], depth) in seen:
            raise ValueError(f"job {job['jobname']}: its {threads} clones are told one by one "
                             "(hint: run fio with --group_reporting)")  # fmt: skip
        seen.add((job["jobname"], depth))
        iops = sum(side["iops"] for side in sides)
        point = found.setdefault(depth, Point(depth, iops, iops, iops, None))
        if not point.latency:
            main = max(sides, key=lambda side: side["total_ios"])
            found[depth] = dataclasses.replace(point, latency=latency_curve(main))
    return [found[depth] for depth in sorted(found)]


def overlay(index: int, path: Path, ours: dict) -> Series:
    """A file of fio's as one line over the main workload of `ours`."""
    family = next(iter(families(ours)), None)
    if family is None:
        raise ValueError(f"{path}: there is no closed loop to lay it over")
    points = fio_points(result_file.load(path), family)
    if not points:
        raise ValueError(f"{path}: no job of {family.workload()} did any I/O")
    return Series(other_look(index, path.stem), tuple(points))


def panel_depths(lines: Sequence[Series]) -> list[int]:
    """Up to three depths that have latencies: the usual ones, else shallowest to deepest."""
    there = sorted({p.at for s in lines if not s.note for p in s.points if p.latency})
    usual = [depth for depth in PANEL_DEPTHS if depth in there]
    if len(usual) >= min(len(there), len(PANEL_DEPTHS)):
        return usual
    return sorted({there[0], there[len(there) // 2], there[-1]}) if there else []
