"""The modelled section of a report: the modes on machines that are not here."""

from __future__ import annotations

from sim import profile, run
from sim.machine import SimMachine

PROFILES = ("optane", "tlc", "dramless")
MODES = ("poll", "irq", "hybrid")
DEPTHS = (1, 4, 16, 64)
LOADED_DEPTH = 32
PAYS_LEAST = 0.03  # a lead of polling that is worth a hart
LOADS = (10, 50, 80)  # per cent of polling's IOPS at LOADED_DEPTH, Poisson
TIMES = ("runtime=200ms", "ramp_time=60ms")  # hybrid mode learns meanwhile
LEFT_OUT = (
    "caches, but for one miss at each new completion entry",
    "contention of harts for memory and buses",
    "frequency, turbo and sleep states that change",
    "what a device does besides: garbage collection, refresh, a cache that fills",
    "looks at an empty ring are joined where nothing can come: polls per I/O are too few",
    "a difference between two sequences of instructions of equal length",
)

Point = dict[str, float | int | str]


def _point(record: dict, load: int = 0) -> Point:
    """What is kept of a point."""
    options = record["job options"]
    return {
        "mode": options["completion"], "depth": int(options["iodepth"]), "load": load,
        "iops": round(run.iops_of(record)), "idle": round(run.idle_of(record), 4),
        "latency_ns": round(run.latency_of(record)),
    }


def measure(name: str) -> tuple[list[Point], list[dict]]:
    """All points of a profile, closed loop and loads, and the program's records of them."""
    def records(*words: str) -> list[dict]:
        return run.records(SimMachine(f"sim:{name}"), f"completion={run.joined(MODES)}", *TIMES,
                           *words)

    closed = records(f"iodepth={run.joined((*DEPTHS, LOADED_DEPTH))}")
    points = [_point(record) for record in closed]
    full = next(point["iops"] for point in points
                if point["mode"] == "poll" and point["depth"] == LOADED_DEPTH)
    rates = [round(full * load / 100) for load in LOADS]
    opened = records(f"iodepth={LOADED_DEPTH}", f"rate_iops={run.joined(rates)}",
                     "rate_process=poisson")
    for record in opened:
        load = LOADS[rates.index(int(record["job options"]["rate_iops"]))]
        points.append(_point(record, load))
    return points, [*closed, *opened]


def measure_all() -> dict:
    """What results.json holds under `modelled`."""
    return {
        "left_out": list(LEFT_OUT),
        "machines": {name: {"parts": profile.parts(f"sim:{name}"), "points": measure(name)[0]}
                     for name in PROFILES},
    }


def at(points: list[Point], mode: str, depth: int, load: int = 0) -> Point:
    """One of them."""
    return next(point for point in points
                if (point["mode"], point["depth"], point["load"]) == (mode, depth, load))
