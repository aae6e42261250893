"""What fio said, boot by boot, and one result of fio's for each engine over all of its boots.

A job stays what fio ran: windows for IOPS and windows for latencies have jobs of their own, as in
the job file. A boot is a window as our own guest's, so results/fio.py adds up both. What has no
meaning over several boots (job_start, elapsed, latency_depth and its kin, disk_util) is left out.
"""

from __future__ import annotations

import dataclasses
import statistics
import types
from collections.abc import Sequence

from analysis.summary import stamp
from linux.plan import ENGINES, Engine, Point, job_name
from results import fio, histogram

PER_BOOT = dict[int, float]
JOB_SUMS = ("job_runtime", "ctx", "majf", "minf")  # ms, counts
SHARES = ("usr_cpu", "sys_cpu")  # per cent of job_runtime
TABLES = ("iodepth_level", "iodepth_submit", "iodepth_complete")  # per cent of the I/Os
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
        self.heads[engine] = {
            "fio version": answer.get("fio version", ""),
            **stamp(),  # the guest has no clock of its own: it would say 1970
            "global options": answer.get("global options", {}),
        }
        for job in answer["jobs"]:
            self.jobs.setdefault((engine, job["jobname"]), {})[boot] = job

    def lacking(self) -> list[str]:
        """What the kernel has refused: an answer came, without a job."""
        known = {engine for engine, _ in self.jobs}
        return [f"{name} is not measured: this kernel refuses it"
                + " (hybrid polling needs Linux 6.13)" * ("hybrid" in name)
                for name in self.heads if name not in known]

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
        """fio's lat_ns over all boots; the loop has it in the windows for IOPS."""
        jobs = self.of(engine, point, "lat") or self.of(engine, point, "iops")
        return merged_sides([*jobs.values()])["read"]["lat_ns"]


def _window(job: dict) -> types.SimpleNamespace:
    """A job of one boot as our own guest would tell it."""
    record: dict[str, object] = {"runtime_ns": 1e6 * job["read"]["runtime"]}
    for name in fio.DIRECTIONS:
        side = job.get(name) or {}
        latency = side.get("lat_ns", {})
        total_ns = latency.get("mean", 0) * latency.get("N", 0)
        record[name] = {
            **{count: side.get(count, 0) for count in ("total_ios", "io_bytes")},
            "lat_ns": {**fio.EMPTY["lat_ns"], **latency, "sum": total_ns}}
    return types.SimpleNamespace(record=record)


def merged_sides(jobs: Sequence[dict]) -> dict[str, dict]:
    """fio's `read`, `write` and `trim` over boots; of the latencies only the whole was measured."""
    windows = [_window(job) for job in jobs]
    sides = {name: fio.direction(windows, name) for name in fio.DIRECTIONS}
    return {name: {**side, "lat_ns": side["clat_ns"], "clat_ns": side["slat_ns"]}
            for name, side in sides.items()}


def merged_job(jobs: Sequence[dict]) -> dict:
    """One job of fio over its boots, at least one."""
    sides = merged_sides(jobs)
    sums = {name: sum(job.get(name, 0) for job in jobs) for name in JOB_SUMS}
    weights = [job.get("job_runtime") or 1 for job in jobs]
    return {
        "jobname": jobs[0]["jobname"], "groupid": 0, "error": 0, "eta": 0, **sums,
        "job options": jobs[0].get("job options", {}),
        **sides,
        **{name: round(statistics.fmean([job.get(name, 0.0) for job in jobs], weights), 6)
           for name in SHARES},
        **{name: {key: round(statistics.fmean(job[name].get(key, 0.0) for job in jobs), 6)
                  for key in jobs[0][name]}
           for name in TABLES if all(name in job for job in jobs)},
        **histogram.tables(histogram.merge(
            side["lat_ns"].get("bins", {}) for side in sides.values())),
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
