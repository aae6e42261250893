"""What an open loop's per cent are of: closed-loop IOPS of the fastest mode on one hart, measured
first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from measure.modes import USABLE
from measure.plan import Plan, Sweep
from measure.windows import Target, Window, run_boot

BOOTS, RUNTIME_MS, RAMP_MS = 3, 400, 100  # the best boot counts: a badly placed thread only slows


class Workload(NamedTuple):
    """What has a saturation."""

    rw: str
    bs: int
    iodepth: int
    batch: int


Saturation = dict[Workload, float]  # in IOPS


def as_json(saturation: Saturation) -> list[dict]:
    """The form that results.json holds."""
    return [{**of._asdict(), "iops": round(iops, 1)} for of, iops in saturation.items()]


def from_json(data: list[dict]) -> Saturation:
    """The inverse of as_json()."""
    return {Workload(*(each[name] for name in Workload._fields)): each["iops"] for each in data}


def lines(saturation: Saturation) -> Iterator[str]:
    """What was found, for the console."""
    for of, iops in saturation.items():
        yield (f"saturation: {iops:,.0f} IOPS ({of.rw}, {of.bs} bytes, queue depth {of.iodepth}, "
               f"batch {of.batch}, the fastest mode on one hart, the best of {BOOTS} boots)")


def plans(sweeps: Iterable[Sweep]) -> list[Plan]:
    """What finds the saturations of loads in per cent: closed, every mode, on one hart."""
    found: dict[Sweep, Sweep] = {}
    for sweep in sweeps:
        if any(rate.percent for rate in sweep.rate):
            delivery = "msix" if sweep.delivery == ("msix",) else "per-hart"
            closed = Sweep(sweep.iodepth, sweep.batch, USABLE, sweep.bs, sweep.rw,
                           doorbell=sweep.doorbell)
            # One machine is enough: the backing of each is the same.
            found.setdefault(closed, dataclasses.replace(closed, delivery=(delivery,)))
    return [Plan((sweep,), BOOTS, RUNTIME_MS, RAMP_MS) for sweep in found.values()]


def measure_saturation(target: Target, of: Plan) -> Saturation:
    """A few windows for each workload that has a load in per cent; nothing if there is none."""
    windows: list[Window] = []
    for plan in plans(of.sweeps):
        for boot in range(plan.boots):
            run_boot(target, plan, plan.sweeps[0], boot, windows)
    saturation: Saturation = {}
    for window in windows:
        point = Workload(window.key.rw, window.key.bs, window.key.depth, window.key.batch)
        saturation[point] = max(window.iops, saturation.get(point, 0.0))
    return saturation
