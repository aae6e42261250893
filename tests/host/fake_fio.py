"""What fio says on Linux, made up."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

from linux import plan  # noqa: E402


def fio_job(name: str, iops: float, bins: dict[str, int] | None = None) -> dict:
    """A job as fio prints it."""
    count = sum((bins or {}).values())
    latency = {"min": 1000, "max": 9000, "mean": 2000.0, "stddev": 0.0, "N": count}
    ios = round(iops)  # of one second
    read = {"iops": iops, "io_bytes": 4096 * ios, "io_kbytes": 4 * ios, "total_ios": ios,
            "runtime": 1000, "bw": 4 * ios, "bw_bytes": 4096 * ios, "iops_min": 1,
            "lat_ns": {**latency, "bins": bins or {}}}
    return {"jobname": name, "error": 0, "job options": {"iodepth": name[2:].split("-")[0]},
            "read": read, "job_runtime": 1000, "usr_cpu": min(iops / 10, 40.0), "sys_cpu": 50.0,
            "elapsed": 9, "iodepth_level": {"1": 100.0}}


def answer_of(engine: plan.Engine, iops: float) -> dict:
    """fio's answer to one job file, as many times more I/Os as the queue is deep."""
    jobs, bins = [], {"2000": 90, "8000": 10}
    for point in engine.points:
        name = plan.job_name(point, "iops")
        if engine.ioengine == plan.LOOP:
            jobs.append(fio_job(name, iops * point.depth, bins))
            continue
        jobs.append(fio_job(name, iops * point.depth))
        jobs.append(fio_job(plan.job_name(point, "lat"), iops, bins))
    head = dict(option.split("=") for option in engine.options)
    return {"fio version": "fio-3.39", "time": "Thu Jan  1 00:01:16 1970",
            "global options": {"ioengine": engine.ioengine, **head}, "jobs": jobs}
