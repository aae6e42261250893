"""What an open loop's per cent are of: closed-loop IOPS, polled, on one hart, measured first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from measure.plan import Plan, Sweep
from measure.windows import Target, Window, run_boot

BOOTS, RUNTIME_MS, RAMP_MS = 3, 400, 100  # the best boot counts: where threads stood badly, less

Workload = tuple[str, int, int, int]  # rw, bs, iodepth, batch


def sweeps_to_measure(sweeps: Iterable[Sweep]) -> list[Sweep]:
    """Closed, polled and on one hart, for the sweeps that have a load in per cent."""
    found = {}
    for sweep in sweeps:
        if any(rate.percent for rate in sweep.rate):
            closed = Sweep(
                iodepth=sweep.iodepth,
                batch=sweep.batch,
                completion=("poll",),
                bs=sweep.bs,
                rw=sweep.rw,
                delivery=("msix",) if sweep.delivery == ("msix",) else ("per-hart",),
            )
            # One machine is enough: the backing of each is the same.
            found.setdefault(dataclasses.replace(closed, delivery=()), closed)
    return list(found.values())


@dataclasses.dataclass
class Saturation:
    """Called with a workload it says its IOPS."""

    iops: dict[Workload, float] = dataclasses.field(default_factory=dict)

    def __call__(self, rw: str, bs: int, depth: int, batch: int) -> float:
        return self.iops[rw, bs, depth, batch]

    def as_json(self) -> list[dict]:
        """The form that results.json holds."""
        names = ("rw", "bs", "iodepth", "batch")
        return [dict(zip(names, key)) | {"iops": round(iops, 1)} for key, iops in self.iops.items()]

    @staticmethod
    def from_json(data: list[dict]) -> Saturation:
        """The inverse of as_json()."""
        names = ("rw", "bs", "iodepth", "batch")
        return Saturation({tuple(each[name] for name in names): each["iops"] for each in data})

    def lines(self) -> Iterator[str]:
        """What was found, for the console."""
        for (rw, bs, depth, batch), iops in self.iops.items():
            yield (
                f"saturation: {iops:,.0f} IOPS ({rw}, {bs} bytes, queue depth {depth}, batch "
                f"{batch}, polled on one hart, the best of {BOOTS} boots)")


def plans(sweeps: Iterable[Sweep]) -> list[Plan]:
    """What is run to find the saturations."""
    closed = sweeps_to_measure(sweeps)
    return [Plan((sweep,), BOOTS, BOOTS, RUNTIME_MS, RAMP_MS) for sweep in closed]


def measure_saturation(target: Target, sweeps: Iterable[Sweep]) -> Saturation:
    """A few windows for each workload that has a load in per cent; nothing if there is none."""
    saturation = Saturation()

    def keep(window: Window) -> None:
        key = window.key
        where = (key.rw, key.bs, key.depth, key.batch)
        saturation.iops[where] = max(window.iops, saturation.iops.get(where, 0.0))

    for plan in plans(sweeps):
        for boot in range(plan.boots):
            run_boot(target, plan, plan.sweeps[0], boot, keep)
    return saturation
