"""The jobs of a result by what they have in common, and how numbers are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

from measure.modes import NAMES
from measure.plan import CLOCKED, doorbell_of_options, shape_of_options

MODE_NAMES = NAMES


class Place(NamedTuple):
    """What a job is of but mode and delivery."""

    rw: str
    bs: int
    depth: int
    batch: int
    harts: int
    doorbell: str

    def __str__(self) -> str:
        return (f"{size_text(self.bs)} {self.rw}, queue depth {self.depth}, batch {self.batch}, "
                f"{harts_text(self.harts)}{rule_text(self.doorbell)}")


def place(job: dict) -> Place:
    """Where a job stands."""
    options, mine = job["job options"], job["hartq"]
    return Place(
        options["rw"], int(options["bs"]), int(options["iodepth"]), mine["batch"], mine["harts"],
        doorbell_of_options(options))


@dataclasses.dataclass(frozen=True)
class Series:
    """Jobs that differ only in depth and completion mode. A batch of 0 is the whole depth."""

    rw: str
    bs: int
    harts: int
    batch: int
    delivery: str = "per-hart"
    doorbell: str = CLOCKED

    def __str__(self) -> str:
        return f"{self.workload()}, {self.delivery}"

    def workload(self) -> str:
        """All but how interrupts are delivered."""
        return (f"{size_text(self.bs)} {self.rw}, {harts_text(self.harts)}, {self.batch_text()}"
                + rule_text(self.doorbell))

    def way(self) -> str:
        """All but what is read or written."""
        return (f"{self.batch_text()}, {harts_text(self.harts)}, {self.delivery}"
                + rule_text(self.doorbell))

    def batch_text(self) -> str:
        """How many commands are submitted at once."""
        return f"batch {self.batch}" if self.batch else "batch = depth"


def rule_text(doorbell: str) -> str:
    """`, doorbell each`; nothing of the rule that is usual."""
    return "" if doorbell == CLOCKED else f", doorbell {doorbell}"


def harts_text(harts: int) -> str:
    """`1 hart`, `2 harts`."""
    return f"{harts} hart{'s' if harts > 1 else ''}"


MAIN = ("randread", 4096)  # rw, bs of the question
Modes = dict[str, dict[int, dict]]  # completion -> depth -> job


def size_text(size: int) -> str:
    """4096 as `4 KiB`."""
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def all_series(result: dict) -> dict[Series, Modes]:
    """The closed-loop jobs by series; the largest first, and of equals the usual doorbell: the one
    that answers the question.

    A batch that equals its depth belongs to `batch = depth`, but for depth 1.
    """
    found: dict[Series, Modes] = {}
    for job in closed_jobs(result):
        at, mine = place(job), job["hartq"]
        batch = 0 if at.batch == at.depth > 1 else at.batch
        series = Series(at.rw, at.bs, at.harts, batch, mine["delivery"], at.doorbell)
        modes = found.setdefault(series, {})
        modes.setdefault(mine["completion"], {})[at.depth] = job
    order = sorted(found, key=lambda f: (-len({d for m in found[f].values() for d in m}),
                                         f.doorbell != CLOCKED))
    return {
        series: {mode: dict(sorted(depths.items())) for mode, depths in found[series].items()}
        for series in order}


def main_rule(result: dict) -> str:
    """The doorbell of the series that answers the question."""
    return next((series.doorbell for series in all_series(result)), CLOCKED)


def main_loops(result: dict) -> dict[Series, Modes]:
    """The series that answers the question, and the same with the whole depth as a batch."""
    found = all_series(result)
    main = next(iter(found), None)
    wanted = [main, dataclasses.replace(main, batch=0)] if main else []
    return {series: found[series] for series in wanted if series in found}


def closed_jobs(result: dict, but: Collection[str] = ()) -> list[dict]:
    """The jobs of ours that kept their queue full, without those of some modes."""
    return [job for job in result["jobs"] if (mine := job.get("hartq"))
            and not mine.get("rate_iops") and mine["completion"] not in but
            and shape_of(job) == "steady"]


def shape_of(job: dict) -> str:
    """Whether its load is steady, a step, or beside a writer; of another program it is steady."""
    return shape_of_options(job["job options"]) if job.get("hartq") else "steady"


def open_jobs(result: dict) -> list[dict]:
    """The jobs whose requests were due at times of their own."""
    return [job for job in result["jobs"] if job.get("hartq", {}).get("rate_iops")]


def share_of_saturation(result: dict, job: dict) -> float | None:
    """An open-loop job's load, if its saturation was measured."""
    found = {(each["rw"], each["bs"], each["iodepth"], each["batch"]): each["iops"]
             for each in result.get("saturation", [])}
    saturation = found.get(place(job)[:4])
    return job["hartq"]["offered_iops"] / saturation if saturation else None


def offered_text(result: dict, job: dict) -> str:
    """An open-loop job's load in words."""
    share = share_of_saturation(result, job)
    known = f"{100 * share:.0f} %" if share is not None else "an unknown share"
    return f"{job['hartq']['offered_iops']:,} IOPS offered ({known} of saturation)"
