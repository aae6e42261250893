"""For a profile: the depth, load and device latency at which polling stops paying."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from cli.errors import UsageError
from cli.table import lay_out
from sim import profile, run
from sim.machine import SimMachine
from sim.section import LOADED_DEPTH, MODES, PAYS_LEAST

LATENCIES_US = (2, 5, 10, 20, 40, 80, 160, 320)
DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
LOADS = (10, 30, 50, 70, 90)  # per cent of polling's IOPS at LOADED_DEPTH
TAIL_MOST = 2.5  # medians
WINDOW_US_MIN, LEARNING_US = 30_000, 60_000  # hybrid mode learns in the ramp
REQUESTS = 500  # of a window at depth 1, at least


@dataclasses.dataclass(frozen=True)
class Cell:
    """A place: the leads over interrupts, and how long hybrid sleeps."""

    latency_us: int
    at: int  # depth, or load in per cent
    poll: float  # IOPS over interrupts', or interrupts' latency over polling's, less 1
    hybrid: float
    idle: float  # hybrid's share of the hart's time


def scaled(figures: dict[str, profile.Value], latency_us: int) -> dict[str, profile.Value]:
    """The profile's device with another median.

    The shape of its distribution stays, but for the one request in a hundred that takes longer than
    TAIL_MOST medians: it would decide nothing here but the noise.
    """
    points = figures["read"]
    middle = next(ns for share, ns in points if share >= 0.5) or 1
    return {"read": [[share, round(min(ns / middle, TAIL_MOST) * latency_us * 1000)]
                     for share, ns in points]}


def device_of(name: str) -> dict[str, profile.Value]:
    """The profile's figures. UsageError if its device's latency is no distribution."""
    figures = profile.load(name)
    if "read" not in figures or figures.get("passes"):
        raise UsageError(f"--what-if: {name} has no device with a latency of its own; hint: add "
                         f"one of {', '.join(profile.devices())}")
    return figures


def _records(name: str, latency_us: int, *words: str) -> dict[tuple[int, str], dict]:
    """By depth or rate, and mode."""
    window_us = max(WINDOW_US_MIN, REQUESTS * latency_us)
    machine = SimMachine(name, overrides=scaled(device_of(name), latency_us))
    found = {}
    for record in run.records(machine, f"completion={run.joined(MODES)}",
                              f"runtime={window_us}us", f"ramp_time={LEARNING_US}us", *words):
        options = record["job options"]
        at = int(options.get("rate_iops", 0)) or int(options["iodepth"])
        found[at, options["completion"]] = record
    return found


def closed_cells(name: str) -> list[Cell]:
    """Every depth and latency: IOPS."""
    cells = []
    for latency_us in LATENCIES_US:
        found = _records(name, latency_us, f"iodepth={run.joined(DEPTHS)}")
        for depth in DEPTHS:
            poll, irq, hybrid = (run.iops_of(found[depth, mode]) for mode in MODES)
            cells.append(Cell(latency_us, depth, poll / irq - 1, hybrid / irq - 1,
                              run.idle_of(found[depth, "hybrid"])))
    return cells


def open_cells(name: str) -> list[Cell]:
    """Every load and latency: the mean latency."""
    cells = []
    for latency_us in LATENCIES_US:
        full = run.iops_of(next(iter(_records(
            name, latency_us, f"iodepth={LOADED_DEPTH}").values())))
        rates = {load: round(full * load / 100) for load in LOADS}
        found = _records(name, latency_us, f"iodepth={LOADED_DEPTH}", "rate_process=poisson",
                         f"rate_iops={run.joined(rates.values())}")
        for load, rate in rates.items():
            poll, irq, hybrid = (run.latency_of(found[rate, mode]) for mode in MODES)
            cells.append(Cell(latency_us, load, irq / poll - 1, irq / hybrid - 1,
                              run.idle_of(found[rate, "hybrid"])))
    return cells


def last_that_pays(cells: Sequence[Cell], latency_us: int) -> Cell | None:
    """The largest depth or load up to which polling leads; None: nowhere."""
    paid = None
    for cell in (each for each in cells if each.latency_us == latency_us):
        if cell.poll < PAYS_LEAST:
            break
        paid = cell
    return paid


def lines(closed: Sequence[Cell], opened: Sequence[Cell]) -> Iterator[str]:
    """The answer as a table."""
    def words(cells: Sequence[Cell], latency_us: int, unit: str) -> list[str]:
        first = next(each for each in cells if each.latency_us == latency_us)
        cell = last_that_pays(cells, latency_us)
        return [f"up to {cell.at}{unit}" if cell else "nowhere", f"{first.poll:+.1%}",
                f"{first.hybrid:+.1%}", f"{first.idle:.0%}"]

    yield (f"where polling leads interrupts by {PAYS_LEAST:.0%} or more; the leads, and hybrid's "
           f"idle time, are at depth {DEPTHS[0]} and at {LOADS[0]} % of the load")
    head = ("device", "depth", "polling", "hybrid", "idle", "load", "polling", "hybrid", "idle")
    rows = [[f"{latency} us", *words(closed, latency, ""), *words(opened, latency, " %")]
            for latency in LATENCIES_US]
    yield from lay_out(head, rows)
