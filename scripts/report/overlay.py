"""A result of fio's, from any machine, as one line over ours."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from analysis.series import Series, all_series
from cli.errors import parse_size
from report.chart_data import latency_curve
from report.looks import Line, Point, other_look
from results import result_file

FIO_HINT = "fio --output-format=json+ --output=FILE writes one"


def fio_workload(options: dict) -> tuple[str, int, int, int]:
    """A job's rw, bs, batch and threads; fio's defaults where it does not say."""

    def first(*names: str, default: str) -> str:
        found = next((options[name] for name in names if options.get(name)), default)
        return re.split("[,:]", str(found))[0]

    size = parse_size(first("bs", "blocksize", default="4k"), "bs")
    batch = int(first("iodepth_batch_submit", "iodepth_batch", default="1"))
    depth = int(first("iodepth", default="1"))
    threads = int(first("numjobs", default="1"))
    return first("rw", "readwrite", default="read"), size, batch or depth, threads


def fio_points(result: dict, series: Series) -> list[Point]:
    """The points of one workload in fio's result, at most one for each depth.

    The first job of a depth gives the IOPS; latencies may be of another (gtod_reduce has none).
    fio tells no interval, and its CPU is the thread's, not what the hart did not sleep.
    """
    found: dict[int, Point] = {}
    seen = set()
    for job in result["jobs"]:
        options = {**result.get("global options", {}), **job.get("job options", {})}
        sides = [job[name] for name in ("read", "write") if job.get(name, {}).get("total_ios")]
        depth = int(options.get("iodepth", 1))
        wanted = (series.rw, series.bs, series.batch or depth, series.harts)
        if not sides or fio_workload(options) != wanted:
            continue
        if series.harts > 1 and (job["jobname"], depth) in seen:
            raise ValueError(f"job {job['jobname']}: fio reports its {series.harts} clones one by "
                             "one; hint: run fio with --group_reporting")
        seen.add((job["jobname"], depth))
        iops = sum(side["iops"] for side in sides)
        point = found.setdefault(depth, Point(depth, iops, iops, iops))
        if not point.latency:
            main = max(sides, key=lambda side: side["total_ios"])
            found[depth] = dataclasses.replace(point, latency=latency_curve(main))
    return [found[depth] for depth in sorted(found)]


def overlay(index: int, path: Path, ours: dict) -> Line:
    """A file of fio's as one line over the main workload of `ours`."""
    series = next(iter(all_series(ours)), None)
    if series is None:
        raise ValueError(f"{path}: there is no closed loop to lay it over")
    points = fio_points(result_file.load(path, FIO_HINT), series)
    if not points:
        raise ValueError(f"{path}: no job of {series.workload()} did any I/O")
    return Line(other_look(index, path.stem), tuple(points))
