"""Which of a result's jobs become which picture: heat map, cost, time, block sizes, load, peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable

from analysis import metrics
from analysis.intervals import Estimate, paired_ratio
from analysis.series import open_jobs, share_of_capacity, size_text
from report.chart_lines import DRAWN_MODES, our_point
from report.charts import REFERENCES, Look, Point as Place, Series, look_of, other_look

COST_POINTS = ((1, 1), (32, 32))  # depth, batch: those that `make instructions` counts
PARTS = ("submit", "reap", "interrupt")
USUAL_DEPTH, USUAL_BS = 32, 4096  # of the pictures over time and block size, or the nearest


def closed_jobs(result: dict) -> list[dict]:
    """The jobs of ours that kept their queue full."""
    return [j for j in result["jobs"] if j.get("hartq") and not j["hartq"].get("rate_iops")]


def modes_only(jobs: Iterable[dict]) -> list[dict]:
    """Without the reference lines."""
    return [job for job in jobs if job["hartq"]["completion"] not in REFERENCES]


def place(job: dict) -> tuple[str, int, int, int, int]:
    """What a point is of but mode and delivery: rw, bs, depth, batch, harts."""
    options, mine = job["job options"], job["hartq"]
    return options["rw"], int(options["bs"]), int(options["iodepth"]), mine["batch"], mine["harts"]


def widest(
    jobs: Iterable[dict], same: Callable[[dict], Hashable], axis: Callable[[dict], Hashable]
) -> list[dict]:
    """The jobs of the group that has most places on the axis; the first of equals."""
    groups: dict[Hashable, list[dict]] = {}
    for job in jobs:
        groups.setdefault(same(job), []).append(job)
    return max(groups.values(), key=lambda group: len({axis(j) for j in group}), default=[])


@dataclasses.dataclass(frozen=True)
class HeatCell:
    """The fastest mode at a depth and batch; `factor` over the next, `sure` if that is certain."""

    depth: int
    batch: int
    mode: str
    factor: float
    sure: bool


def heat_cell(jobs: list[dict]) -> HeatCell | None:
    """From the jobs of one depth and batch; None if fewer than two modes were measured.

    Between the two highest medians the paired ratio decides: pairs can disagree with medians.
    """
    top = sorted(jobs, key=lambda job: -job["hartq"]["iops_median"])[:2]
    if len(top) < 2:
        return None
    first, second = (
        {each["round"]: each["iops"] for each in job["hartq"]["rounds"]} for job in top
    )
    ratio = paired_ratio(first, second)
    if ratio and ratio.median < 1.0:
        top.reverse()
        ratio = paired_ratio(second, first)
    if not ratio:
        return None
    _, _, depth, batch, _ = place(top[0])
    mode = top[0]["hartq"]["completion"]
    return HeatCell(depth, batch, mode, ratio.median, ratio.verdict() > 0)


def heat_cells(result: dict) -> tuple[str, list[HeatCell]]:
    """The workload in words and its cells; none unless both depth and batch vary."""

    def same(job: dict) -> Hashable:
        rw, bs, _, _, harts = place(job)
        return rw, bs, harts, job["hartq"]["delivery"]

    jobs = widest(modes_only(closed_jobs(result)), same, lambda job: place(job)[2:4])
    points: dict[tuple[int, int], list[dict]] = {}
    for job in jobs:
        points.setdefault(place(job)[2:4], []).append(job)
    found = [cell for cell in map(heat_cell, points.values()) if cell]
    if len({c.depth for c in found}) < 2 or len({c.batch for c in found}) < 2:
        return "", []
    rw, bs, _, _, harts = place(jobs[0])
    plural = "s" if harts > 1 else ""
    name = f"{size_text(bs)} {rw}, {harts} hart{plural}, {jobs[0]['hartq']['delivery']}"
    return name, sorted(found, key=lambda cell: (cell.depth, cell.batch))


@dataclasses.dataclass(frozen=True)
class CostBar:
    """What one I/O takes in one mode: instructions by part (None: not counted) and events."""

    depth: int
    batch: int
    look: Look
    instructions: dict[str, float] | None
    events: dict[str, float]


def cost_bars(result: dict) -> tuple[str, list[CostBar]]:
    """The bars of the two points that say most, of the main workload on one hart."""
    jobs = [j for j in modes_only(closed_jobs(result)) if place(j)[2:4] in COST_POINTS]
    jobs = widest(jobs, lambda job: (place(job)[:2], place(job)[4]), lambda job: place(job)[2:4])
    bars: dict[tuple[int, Look], CostBar] = {}
    for job in sorted(jobs, key=lambda job: place(job)[2]):
        rw, bs, depth, batch, harts = place(job)
        mine = job["hartq"]
        look = look_of(mine["completion"], mine["delivery"])
        parts = mine.get("instructions")
        parts = {p: parts[p] for p in PARTS if parts.get(p) is not None} if parts else None
        events = {
            "submission doorbells": mine["sq_doorbells_per_io"],
            "completion doorbells": mine["cq_doorbells_per_io"],
            "interrupts": mine["interrupts_per_io"],
        }
        bars.setdefault((depth, look), CostBar(depth, batch, look, parts, events))
    if not bars:
        return "", []
    return f"{size_text(bs)} {rw}, {harts} hart{'s' if harts > 1 else ''}", list(bars.values())


@dataclasses.dataclass(frozen=True)
class Timeline:
    """IOPS of one mode in short intervals, its rounds one after another."""

    look: Look
    interval_ms: float
    rounds: tuple[tuple[float, ...], ...]

    def gaps(self) -> int:
        """Intervals in which nothing completed."""
        return sum(value <= 0 for each in self.rounds for value in each)


def timelines(result: dict) -> tuple[str, list[Timeline]]:
    """Every mode that kept one, at the depth nearest to the usual one, closed loop first."""
    jobs = [j for j in modes_only(closed_jobs(result)) if j["hartq"].get("timeline")]
    jobs = jobs or [j for j in open_jobs(result) if j["hartq"].get("timeline")]
    if not jobs:
        return "", []

    def oddness(job: dict) -> tuple[int, ...]:
        _, bs, depth, batch, harts = place(job)
        return abs(depth - USUAL_DEPTH), batch, harts, abs(bs - USUAL_BS)

    main = min(jobs, key=oddness)
    found: dict[Look, Timeline] = {}
    for job in jobs:
        mine = job["hartq"]
        if place(job) != place(main) or mine.get("rate_iops") != main["hartq"].get("rate_iops"):
            continue
        look = look_of(mine["completion"], mine["delivery"])
        rounds = tuple(tuple(r["iops"]) for r in mine["timeline"]["rounds"] if r["iops"])
        if rounds:
            found.setdefault(look, Timeline(look, mine["timeline"]["interval_ms"], rounds))
    rw, bs, depth, batch, harts = place(main)
    name = f"{size_text(bs)} {rw}, queue depth {depth}, batch {batch}, {harts} hart"
    name += "s" if harts > 1 else ""
    return name, list(found.values())


def block_series(result: dict) -> tuple[str, list[Series]]:
    """IOPS over the block size, a line per mode; none unless sizes vary."""

    def same(job: dict) -> Hashable:
        rw, _, depth, batch, harts = place(job)
        return rw, depth, batch, harts

    jobs = [job for job in closed_jobs(result) if job["hartq"]["completion"] != "null"]
    jobs.sort(key=lambda job: abs(place(job)[2] - USUAL_DEPTH))
    jobs = widest(jobs, same, lambda job: place(job)[1])
    if len({place(job)[1] for job in jobs}) < 2:
        return "", []
    rw, _, depth, batch, _ = place(jobs[0])
    lines = lines_of(jobs, lambda job: place(job)[1])
    return f"{rw}, queue depth {depth}, batch {batch}", [s for s in lines if len(s.points) > 1]


def lines_of(jobs: Iterable[dict], at: Callable[[dict], int]) -> list[Series]:
    """A line per look, its points in order of what `at` says of a job."""
    points: dict[tuple[str, Look], dict[int, Place]] = {}
    for job in jobs:
        mode = job["hartq"]["completion"]
        line = points.setdefault((mode, look_of(mode, job["hartq"]["delivery"])), {})
        line.setdefault(at(job), our_point(at(job), job))
    made = [
        Series(look, tuple(line[key] for key in sorted(line)), mode)
        for (mode, look), line in points.items()
    ]
    return sorted(made, key=lambda series: DRAWN_MODES.index(series.mode))


@dataclasses.dataclass(frozen=True)
class LoadPoint:
    """An offered load, what of it was done, and p50 and p99 in us (None: too few samples)."""

    offered: float
    done: float
    share: float | None  # of the capacity
    latency_us: tuple[Estimate | None, ...]


def load_point(result: dict, job: dict) -> LoadPoint:
    """One job of an open loop."""
    mine = job["hartq"]
    return LoadPoint(
        mine["offered_iops"],
        mine["iops_median"],
        share_of_capacity(result, job),
        (metrics.value(job, metrics.P50), metrics.value(job, metrics.P99)),
    )


def open_series(result: dict) -> tuple[str, dict[Look, list[LoadPoint]]]:
    """Latency over offered load, a line per mode; none unless loads vary."""
    jobs = widest(modes_only(open_jobs(result)), place, lambda job: job["hartq"]["offered_iops"])
    if len({job["hartq"]["offered_iops"] for job in jobs}) < 2:
        return "", {}
    lines: dict[Look, list[LoadPoint]] = {}
    for job in jobs:
        look = look_of(job["hartq"]["completion"], job["hartq"]["delivery"])
        lines.setdefault(look, []).append(load_point(result, job))
    rw, bs, depth, batch, harts = place(jobs[0])
    process = result["global options"].get("rate_process", "linear")
    name = f"{size_text(bs)} {rw}, {process}, at most {depth} in flight, batch {batch}"
    name += f", {harts} harts" if harts > 1 else ""
    return name, {look: sorted(line, key=lambda p: p.offered) for look, line in lines.items()}


@dataclasses.dataclass(frozen=True)
class PeerDot:
    """What one way to do I/O reached at a point: hartq's, its device limit, or Linux's."""

    name: str
    look: Look
    at: Place
    hollow: bool = False  # of fio's, a reap that waits for one command of a batch


PEER_DELIVERY = "msix"  # of ours on Linux's machine


def peer_dot(each: dict, point: dict) -> PeerDot | None:
    """A point of a line of peers.json; None if it is of ours on another machine than Linux's."""
    at = Place(point["iodepth"], point["iops_median"], *point["iops_interval"], None)
    if each.get("engine") != "hartq":
        least = each.get("least") or 0
        name = each["name"].removesuffix(f", min {least}")
        return PeerDot(name, other_look(0, "Linux, fio"), at, least > 0)
    # A result of an older run says the delivery in the name only.
    if (each.get("delivery") or each["name"].split(", ")[-1]) != PEER_DELIVERY:
        return None
    look = look_of(each["mode"], PEER_DELIVERY)
    return PeerDot(f"hartq {look.label}".replace("hartq device", "device"), look, at)


def peer_panels(peers: dict) -> dict[str, list[PeerDot]]:
    """All ways by point, the points in order of depth and batch, ours first."""
    panels: dict[tuple[int, int], list[PeerDot]] = {}
    for each in peers.get("series", []):
        for point in each["points"]:
            dot = peer_dot(each, point)
            if dot:
                panels.setdefault((point["iodepth"], each.get("batch") or 1), []).append(dot)
    return {
        f"QD {depth}" + (f", batch {batch}" if batch > 1 else ""): panels[depth, batch]
        for depth, batch in sorted(panels, key=lambda point: (point[1] > 1, point))
    }
