"""Which data become which picture: a function for each, named as in pictures.py.

Each returns what its picture is of, in words, and the data; no data, no picture.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence

from analysis import doorbells as rules, loads, metrics
from analysis.intervals import Estimate
from analysis.series import Place, all_series, closed_jobs, harts_text, main_loops, open_jobs, place
from analysis.series import rule_text, share_of_saturation, size_text
from analysis.summary import PARTS
from measure.plan import EACH, groups
from report import advice
from report.looks import HOST_LOOK, IOPS_LOOK, MODE_ORDER, REFERENCES, RULE_LOOKS, Line, Look
from report.looks import Point, look_of, other_look
from report.pictures import backing_text
from results import histogram
from results.result_file import main_side

PANEL_DEPTHS = (1, 32, 128)
COST_POINTS = ((1, 1), (32, 32))  # depth, batch: those that `make instructions` counts
EVENTS = {"submission doorbells": "sq_doorbells_per_io",
          "completion doorbells": "cq_doorbells_per_io", "interrupts": "interrupts_per_io"}
USUAL_DEPTH, USUAL_BS = 32, 4096  # of the pictures over time and block size, or the nearest


@dataclasses.dataclass(frozen=True)
class Source:
    """Everything that pictures are drawn from."""

    result: dict
    overlays: Sequence[Line] = ()  # other programs' results
    peers: dict = dataclasses.field(default_factory=dict)  # peers.json


def widest(
    jobs: Iterable[dict], same: Callable[[dict], Hashable], axis: Callable[[dict], Hashable]
) -> Sequence[dict]:
    """The jobs of the group that has most places on the axis; the first of equals."""
    return max(groups(jobs, same).values(), key=lambda group: len({axis(j) for j in group}),
               default=())


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
    told = {kind: found for name in ("clat_ns", "lat_ns") for kind in ("bins", "percentile")
            if (found := side.get(name, {}).get(kind))}
    if "bins" in told:
        return cumulative(histogram.merge([told["bins"]]))
    pairs = sorted((float(p) / 100, ns / 1000) for p, ns in told.get("percentile", {}).items())
    return tuple(pair for pair in pairs if pair[0] < 1.0)


def job_look(job: dict) -> Look:
    """How a job of ours is drawn."""
    return look_of(job["hartq"]["completion"], job["hartq"]["delivery"])


def our_point(at: int, job: dict) -> Point:
    """A job of ours; `at` is its place on the x axis."""
    mine = job["hartq"]
    curve = latency_curve(main_side(job))
    host = metrics.value(job, metrics.HOST)
    return Point(at, mine["iops_median"], *mine["iops_interval"], host, curve)


def lines_of(jobs: Iterable[dict], at: Callable[[Place], int]) -> list[Line]:
    """A line per look, its points in order of what `at` says of a job; the first of equals."""
    points: dict[tuple[str, Look], dict[int, Point]] = {}
    for job in jobs:
        mode, where = job["hartq"]["completion"], at(place(job))
        line = points.setdefault((mode, job_look(job)), {})
        if where not in line:
            line[where] = our_point(where, job)
    made = [
        Line(look, tuple(line[key] for key in sorted(line)), mode)
        for (mode, look), line in points.items()
    ]
    return sorted(made, key=lambda line: MODE_ORDER.index(line.mode))


def interrupts(source: Source) -> tuple[str, dict[str, list[Line]]]:
    """Interrupts over polling in IOPS and in host CPU, by batch."""
    panels: dict[str, list[Line]] = {}
    found = advice.compared(source.result)
    names = {each.batch_text(): each.workload() for each in main_loops(source.result)}
    for what, look in ((advice.IRQ, IOPS_LOOK), (advice.HOST, HOST_LOOK)):
        for name, ratios in found[what].items():
            points = (Point(depth, each.median, each.low, each.high, hollow=not each.verdict())
                      for depth, each in ratios.items())
            panels.setdefault(names[name], []).append(Line(look, tuple(points)))
    return advice.message(source.result), panels


def _estimates(found: dict[int, Estimate]) -> tuple[Point, ...]:
    return tuple(Point(depth, each.median, each.low, each.high) for depth, each in found.items())


def doorbells(source: Source) -> tuple[str, dict[str, list[Line]]]:
    """By what is shown: ratios of the other rules over `each`, then figures of all; of a rule's
    first delivery, and nothing where one rule was measured."""
    ruled = {rule: found[0] for rule, found in rules.measured(source.result).items()}
    panels: dict[str, list[Line]] = {}

    def add(name: str, rule: str, look: Look, found: dict[int, Estimate]) -> None:
        line, label = RULE_LOOKS[rule]
        look = dataclasses.replace(look, line=line, label=look.label + label)
        lines = panels.setdefault(name, [])
        if found and all(each.look != look for each in lines):
            lines.append(Line(look, _estimates(found)))

    for mode, (rule, both) in itertools.product(MODE_ORDER, ruled.items()):
        look = look_of(mode, both.series.delivery)
        for quantity in (metrics.IOPS, metrics.HOST):
            name = f"{quantity.name.removesuffix(' us per I/O')}, {' and '.join(ruled)} / each"
            add(name, rule, look, both.over(mode, quantity))
        for quantity in rules.FIGURES:
            for which, modes in (rule, both.ruled), (EACH, both.each):
                add(quantity.name, which, look, {
                    depth: value for depth, job in modes.get(mode, {}).items()
                    if depth in both.each.get(mode, {})
                    and (value := metrics.value(job, quantity))})
    return next((both.series.workload() for both in ruled.values()), ""), panels


def iops(source: Source) -> tuple[str, list[Line]]:
    """The main workload's lines with each delivery, those of the whole depth as a batch, others'.

    Loopback, which has no device, would stretch the axis. What takes no interrupts is drawn for
    the first delivery that has it.
    """
    found = all_series(source.result)
    main = next(iter(found), None)
    if main is None:
        return "", []
    lines: list[Line] = []
    for series, modes in found.items():
        same = dataclasses.replace(series, delivery=main.delivery) == main
        if not same and series != dataclasses.replace(main, batch=0):
            continue
        note = "" if same else "batch = depth"
        jobs = [job for depths in modes.values() for job in depths.values()]
        for line in lines_of(jobs, lambda place: place.depth):
            if line.mode != "loopback" and not any(
                    (each.look, each.note) == (line.look, note) for each in lines):
                lines.append(dataclasses.replace(line, note=note))
    lines.sort(key=lambda line: MODE_ORDER.index(line.mode))
    return main.workload(), [*lines, *source.overlays]


def latency(source: Source) -> tuple[str, dict[int, list[tuple[Look, Point]]]]:
    """The curves at up to three depths: the usual ones, else from shallowest to deepest."""
    workload, lines = iops(source)
    panels: dict[int, list[tuple[Look, Point]]] = {}
    for line in lines:
        for point in line.points:
            if point.latency and not line.note:
                panels.setdefault(point.at, []).append((line.look, point))
    there = sorted(panels)
    shown = [depth for depth in PANEL_DEPTHS if depth in panels]
    if len(shown) < min(len(there), len(PANEL_DEPTHS)):
        shown = sorted({there[0], there[len(there) // 2], there[-1]})
    return workload, {depth: panels[depth] for depth in shown}


def scaling(source: Source) -> tuple[str, tuple[list[Line], int] | None]:
    """IOPS over harts of the workload that has most hart counts, and the host's cores."""
    jobs = closed_jobs(source.result, ("loopback",))
    jobs.sort(key=lambda job: place(job)[:4], reverse=True)
    jobs = widest(jobs, lambda job: place(job)._replace(harts=0), lambda job: place(job).harts)
    if len({place(job).harts for job in jobs}) < 2:
        return "", None
    lines = lines_of(jobs, lambda place: place.harts)
    at = place(jobs[0])
    where = f"{size_text(at.bs)} {at.rw}, queue depth {at.depth}, batch {at.batch}"
    return where + rule_text(at.doorbell), (lines, source.result["environment"]["host_cores"])


@dataclasses.dataclass(frozen=True)
class CostBar:
    """What one I/O takes in one mode: instructions by part (None: not counted) and events."""

    depth: int
    batch: int
    look: Look
    instructions: dict[str, float] | None
    events: dict[str, float]


def cost(source: Source) -> tuple[str, list[CostBar]]:
    """The bars of the two points that say most, of the main workload on one hart."""
    jobs = [job for job in closed_jobs(source.result, REFERENCES)
            if place(job)[2:4] in COST_POINTS]
    jobs = widest(jobs, lambda job: place(job)._replace(depth=0, batch=0),
                  lambda job: place(job)[2:4])
    bars: dict[tuple[int, Look], CostBar] = {}
    for job in sorted(jobs, key=lambda job: place(job).depth):
        at, mine = place(job), job["hartq"]
        look = job_look(job)
        counted = mine.get("instructions") or {}
        parts = {part: counted[part] for part in PARTS if counted.get(part) is not None}
        events = {name: mine[field] for name, field in EVENTS.items()}
        bars.setdefault((at.depth, look), CostBar(at.depth, at.batch, look, parts or None, events))
    if not bars:
        return "", []
    at = place(jobs[0])
    name = f"{size_text(at.bs)} {at.rw}, {harts_text(at.harts)}{rule_text(at.doorbell)}"
    return name, list(bars.values())


@dataclasses.dataclass(frozen=True)
class Timeline:
    """IOPS of one mode in short intervals, its boots one after another."""

    look: Look
    interval_ms: float
    boots: tuple[tuple[float, ...], ...]

    def gaps(self) -> int:
        """Intervals in which nothing completed."""
        return sum(value <= 0 for each in self.boots for value in each)


def timeline(source: Source) -> tuple[str, list[Timeline]]:
    """Every mode that kept one, at the depth nearest to the usual one, closed loop first."""
    loops = closed_jobs(source.result, REFERENCES), open_jobs(source.result)
    kept = ([job for job in loop if job["hartq"].get("timeline")] for loop in loops)
    if not (jobs := next(filter(None, kept), [])):
        return "", []

    def distance(job: dict) -> tuple[int, ...]:
        at = place(job)
        return abs(at.depth - USUAL_DEPTH), at.batch, at.harts, abs(at.bs - USUAL_BS)

    main = min(jobs, key=distance)
    found: dict[Look, Timeline] = {}
    for job in jobs:
        mine = job["hartq"]
        if place(job) != place(main) or mine.get("rate_iops") != main["hartq"].get("rate_iops"):
            continue
        line = tuple(tuple(r["iops"]) for r in mine["timeline"]["boots"] if r["iops"])
        if line:
            look = job_look(job)
            found.setdefault(look, Timeline(look, mine["timeline"]["interval_ms"], line))
    return str(place(main)), list(found.values())


def blocksize(source: Source) -> tuple[str, list[Line]]:
    """IOPS over the block size, a line per mode; none unless sizes vary."""
    jobs = closed_jobs(source.result, ("loopback",))
    jobs.sort(key=lambda job: abs(place(job).depth - USUAL_DEPTH))
    jobs = widest(jobs, lambda job: place(job)._replace(bs=0), lambda job: place(job).bs)
    lines = [line for line in lines_of(jobs, lambda place: place.bs) if len(line.points) > 1]
    if not lines:
        return "", []
    at = place(jobs[0])
    return f"{at.rw}, queue depth {at.depth}, batch {at.batch}{rule_text(at.doorbell)}", lines


@dataclasses.dataclass(frozen=True)
class LoadPoint:
    """An offered load: p50, p99 and the host's CPU time per I/O, in us (None: not known)."""

    offered: float
    share: float | None  # of the saturation
    kept: bool
    knee: bool  # the highest load that the mode keeps
    figures: tuple[Estimate | None, ...]


def openloop(source: Source) -> tuple[str, dict[Look, list[LoadPoint]]]:
    """Latency over offered load, a line per mode; none unless loads vary."""
    jobs = widest(open_jobs(source.result), place, lambda job: job["hartq"]["offered_iops"])
    if len({job["hartq"]["offered_iops"] for job in jobs}) < 2:
        return "", {}
    lines: dict[Look, list[LoadPoint]] = {}
    knees = [knee.job for modes in loads.knees(source.result).values() for knee in modes.values()
             if not knee.highest]
    for job in sorted(jobs, key=lambda job: job["hartq"]["offered_iops"]):
        figures = tuple(metrics.value(job, each)
                        for each in (metrics.P50, metrics.P99, metrics.HOST))
        point = LoadPoint(
            job["hartq"]["offered_iops"], share_of_saturation(source.result, job),
            loads.keeps(job), any(job is each for each in knees), figures)
        lines.setdefault(job_look(job), []).append(point)
    at, process = place(jobs[0]), source.result["global options"].get("rate_process", "linear")
    name = f"{size_text(at.bs)} {at.rw}, {process}, at most {at.depth} in flight, batch {at.batch}"
    harts = f", {harts_text(at.harts)}" if at.harts > 1 else ""
    return name + harts + rule_text(at.doorbell), lines


@dataclasses.dataclass(frozen=True)
class PeerDot:
    """What one way to do I/O reached at a point: hartq's, its raw ring, or Linux's."""

    name: str
    look: Look
    at: Point
    hollow: bool = False  # of fio's, a reap that waits for one command of a batch


def peer_dot(each: dict, point: dict) -> PeerDot:
    """A point of a line of peers.json."""
    at = Point(point["iodepth"], point["iops_median"], *point["iops_interval"])
    if each["engine"] != "hartq":
        least = each.get("least") or 0
        return PeerDot(each["name"].removesuffix(f", min {least}"),
                       other_look(0, "Linux"), at, least > 0)
    look = look_of(each["mode"], each["delivery"])
    return PeerDot(f"hartq {look.label}".replace("hartq raw", "raw"), look, at)


def peers(source: Source) -> tuple[str, dict[str, list[PeerDot]]]:
    """All ways by point, the points in order of depth and batch, ours first."""
    panels: dict[tuple[int, int], list[PeerDot]] = {}
    for each in source.peers.get("series", []):
        for point in each["points"]:
            at = (point["iodepth"], each["batch"])
            panels.setdefault(at, []).append(peer_dot(each, point))
    if not panels:
        return "", {}
    version = ".".join(source.peers["linux"]["kernel"].split(".")[:2])
    where = f"kernel {version}, 4 KiB randread, 1 hart, {backing_text(source.peers['environment'])}"
    return where, {
        f"QD {depth}" + (f", batch {batch}" if batch > 1 else ""): panels[depth, batch]
        for depth, batch in sorted(panels, key=lambda point: (point[1] > 1, point))
    }
