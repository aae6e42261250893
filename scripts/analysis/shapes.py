"""Loads of another shape: the load step, a reader beside a writer, a callback that posts."""

from __future__ import annotations

from analysis import metrics
from analysis.intervals import marked, paired_ratio
from analysis.series import MODE_NAMES, closed_jobs, place, rule_text, shape_of

BACK = metrics.Quantity("ms back to 0.95 of the rate", ("back_ns",), 1, lambda ns: ns / 1e6)
READER = metrics.Quantity("reads per second", ("reader_iops",))
STEP_HEAD = ("queue depth", "delivery", "mode", BACK.name, metrics.BUSY.name)
BESIDE_HEAD = ("harts", "delivery", "mode", READER.name, "p50 us of a read", "p99 us of a read",
               "MB/s written", metrics.HOST.name)
CALLBACK_HEAD = ("workload", "delivery", "mode", "IOPS", "host CPU",
                 *(f"{metrics.DOORBELLS.name}: {who}" for who in ("callback", "loop")))


def _cells(job: dict, quantities: tuple[metrics.Quantity, ...]) -> list[str]:
    return [metrics.value_text(job, each) or "-" for each in quantities]


def _way(job: dict) -> str:
    return job["hartq"]["delivery"] + rule_text(place(job).doorbell)


def step_rows(result: dict) -> list[list[str]]:
    """A row for each load step, by STEP_HEAD."""
    return [[str(place(job).depth), _way(job),
             MODE_NAMES[job["hartq"]["completion"]], *_cells(job, (BACK, metrics.BUSY))]
            for job in result["jobs"] if shape_of(job) == "step"]


def beside_rows(result: dict) -> list[list[str]]:
    """A row for each reader beside a writer, by BESIDE_HEAD."""
    return [[str(place(job).harts), _way(job),
             MODE_NAMES[job["hartq"]["completion"]],
             *_cells(job, (READER, metrics.P50, metrics.P99)),
             f"{job['write']['bw'] * 1024 / 1e6:,.0f}", *_cells(job, (metrics.HOST,))]
            for job in result["jobs"] if shape_of(job) == "beside"]


def callback_rows(result: dict) -> list[list[str]]:
    """A row for each point that was measured both ways, by CALLBACK_HEAD: ratios over the loop,
    paired by boot, then the figures of both."""

    def key(job: dict) -> tuple:
        return place(job), job["hartq"]["delivery"], job["hartq"]["completion"]

    loops = {key(job): job for job in closed_jobs(result)}
    pairs = [(job, loops[key(job)]) for job in result["jobs"]
             if shape_of(job) == "callback" and key(job) in loops]
    return [[str(place(job)), job["hartq"]["delivery"], MODE_NAMES[job["hartq"]["completion"]],
             *(marked(paired_ratio(metrics.values(job, quantity), metrics.values(loop, quantity)))
               for quantity in (metrics.IOPS, metrics.HOST)),
             *_cells(job, (metrics.DOORBELLS,)), *_cells(loop, (metrics.DOORBELLS,))]
            for job, loop in pairs]
