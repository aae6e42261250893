"""What fio said, boot by boot, and one result of fio's for each engine over all of its boots.

A job stays what fio ran: windows for IOPS and windows for latencies have jobs of their own, as in
the job file. Of the boots, counts and times are summed and rates are given as fio gives those of
its samples (a boot is one). What has no meaning over several boots (job_start, elapsed,
latency_depth and its kin, disk_util) is left out.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterable, Sequence

from linux.plan import ENGINES, Engine, Point, job_name
from results import histogram

PER_BOOT = dict[int, float]
SIDES = ("read", "write", "trim")
SIDE_SUMS = ("io_bytes", "io_kbytes", "total_ios", "short_ios", "drop_ios", "runtime")
JOB_SUMS = ("job_runtime", "ctx", "majf", "minf")  # ms, counts
SHARES = ("usr_cpu", "sys_cpu")  # per cent of job_runtime
TABLES = ("iodepth_level", "iodepth_submit", "iodepth_complete")  # per cent of the I/Os
LATENCIES = ("slat_ns", "clat_ns", "lat_ns")
NOTE = (
    "counts and times are sums over boots; iops_min to iops_samples and bw_min to bw_samples are "
    "of boots; percentages are means; time is the host's, of the last boot"
)


@dataclasses.dataclass
class Answers:
    """What fio said of each job of each engine, by boot."""

    jobs: dict[tuple[str, str], dict[int, dict]] = dataclasses.field(default_factory=dict)
    heads: dict[str, dict] = dataclasses.field(default_factory=dict)  # by engine: all but its jobs

    def add(self, engine: str, boot: int, answer: dict) -> None:
        """One answer of one boot, just come; said again it replaces what was there."""
        now = time.time()  # the guest has no clock of its own: it would say 1970
        self.heads[engine] = {
            "fio version": answer.get("fio version", ""),
            "timestamp": int(now),
            "timestamp_ms": int(now * 1000),
            "time": time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(now)),
            "global options": answer.get("global options", {}),
        }
        for job in answer["jobs"]:
            self.jobs.setdefault((engine, job["jobname"]), {})[boot] = job

    def of(self, engine: Engine, point: Point, kind: str) -> dict[int, dict]:
        """The jobs of a point by boot; `kind` is iops or lat."""
        return dict(sorted(self.jobs.get((engine.name, job_name(point, kind)), {}).items()))

    def rates(self, engine: Engine, point: Point) -> PER_BOOT:
        """IOPS of each boot."""
        jobs = self.of(engine, point, "iops")
        return {boot: job["read"]["iops"] for boot, job in jobs.items()}

    def cpu_us(self, engine: Engine, point: Point, share: str) -> list[float]:
        """The hart's time for an I/O in each boot, of which `share` (usr_cpu, sys_cpu) is part."""
        jobs = self.of(engine, point, "iops").values()
        running = [job for job in jobs if job["read"]["iops"] > 0]
        return [job.get(share, 0.0) * 1e4 / job["read"]["iops"] for job in running]

    def latency(self, engine: Engine, point: Point) -> dict:
        """fio's lat_ns over all boots."""
        jobs = self.of(engine, point, "lat").values()
        return merged_latency(job["read"]["lat_ns"] for job in jobs)


def merged_latency(parts: Iterable[dict]) -> dict:
    """Several of fio's latency objects as one."""
    parts = [part for part in parts if part.get("N")]
    bins = histogram.merge(part.get("bins", {}) for part in parts)
    found = histogram.summary(bins, min((part["min"] for part in parts), default=0),
                              max((part["max"] for part in parts), default=0),
                              sum(part["mean"] * part["N"] for part in parts))
    return {**found, **({"bins": {str(k): n for k, n in bins.items()}} if bins else {})}


def merged_side(sides: Sequence[dict]) -> dict:
    """fio's `read`, `write` or `trim` over boots: rates over all of them, spread between them."""
    sums = {name: sum(side.get(name, 0) for side in sides) for name in SIDE_SUMS}
    seconds = sums["runtime"] / 1e3
    iops = [side.get("iops", 0.0) for side in sides]
    kib = [side.get("bw_bytes", 0) / 1024 for side in sides]
    spread = {
        f"{name}_{kind}": round(value, 3)
        for name, rates in (("iops", iops), ("bw", kib))
        for kind, value in (
            ("min", min(rates)), ("max", max(rates)), ("mean", statistics.fmean(rates)),
            ("stddev" if name == "iops" else "dev", statistics.stdev(rates) if rates[1:] else 0.0),
        )
    }
    return {
        **sums,
        "bw_bytes": round(sums["io_bytes"] / seconds) if seconds else 0,
        "bw": round(sums["io_bytes"] / seconds / 1024) if seconds else 0,
        "iops": round(sums["total_ios"] / seconds, 6) if seconds else 0.0,
        **spread,
        "iops_samples": len(sides), "bw_samples": len(sides),
        "bw_agg": 100.0,  # per cent that this job has of its group: it is alone
        **{name: merged_latency(side.get(name, {}) for side in sides) for name in LATENCIES},
    }


def merged_job(jobs: Sequence[dict]) -> dict:
    """One job of fio over its boots, at least one."""
    sides = {name: merged_side([job.get(name, {}) for job in jobs]) for name in SIDES}
    sums = {name: sum(job.get(name, 0) for job in jobs) for name in JOB_SUMS}
    time_ms = sums["job_runtime"] or len(jobs)
    weights = [job.get("job_runtime", 1) / time_ms for job in jobs]
    bins = histogram.merge(side["lat_ns"].get("bins", {}) for side in sides.values())
    tables = {
        name: {key: round(statistics.fmean(job[name].get(key, 0.0) for job in jobs), 6)
               for key in jobs[0][name]}
        for name in TABLES if all(name in job for job in jobs)
    }
    return {
        "jobname": jobs[0]["jobname"], "groupid": 0, "error": 0, "eta": 0, **sums,
        "job options": jobs[0].get("job options", {}),
        **sides,
        **{name: round(sum(w * job.get(name, 0.0) for w, job in zip(weights, jobs)), 6)
           for name in SHARES},
        **tables,
        **histogram.tables(bins),
    }


def fio_results(answers: Answers) -> dict[str, dict]:
    """A fio-shaped result by file name, one for each engine."""
    found: dict[str, dict] = {}
    for engine in ENGINES:
        jobs = [answers.of(engine, point, kind)
                for point in engine.points for kind in ("iops", "lat")]
        if any(jobs):
            boots = sorted({boot for each in jobs for boot in each})
            found[f"linux-{engine.name}.json"] = {
                **answers.heads[engine.name],
                "hartq": {"boots": len(boots), "note": NOTE},
                "jobs": [merged_job(list(each.values())) for each in jobs if each],
            }
    return found
