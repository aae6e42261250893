"""What the bench measures: points, the sweeps that one boot can run, presets and the plan.

A sweep is a product of lists, because the guest runs products; a preset is a few of them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator

from measure.modes import MEASURED, MODES, SPINNING
from qemu.machine import PRIVATE_LINES, UsageError

COMPLETIONS = tuple(MODES)
DELIVERIES = ("per-hart", "shared", "msix")
PROCESSES = ("linear", "poisson")
WORKLOADS = ("randread", "randwrite", "randrw", "read", "write", "rw")
MIXED = ("randrw", "rw", "readwrite")  # not for raw: its ring is filled once
DEPTH_MAX = 1023
OPEN_DEPTH = 32  # of an open loop, unless the depth is given: the most that is in flight
BLOCK_UNIT = 512  # bytes of a logical block: a transfer is whole ones
BLOCK_MAX = 1 << 20
RAW_BLOCK_MAX = 512 << 10  # one command's most (MDTS 7 of QEMU): the raw ring does not split
RAW_LACKS = (
    f"the raw ring has no open loop, no mix of reads and writes, and no block above "
    f"{RAW_BLOCK_MAX >> 10}k")
LOOPBACK_LACKS = "completions in memory come at once, there is no open loop"
BOOT_S = 0.45  # QEMU's start, the guest's set-up, the files after it; for the estimate only
WINDOW_EXTRA_S = 0.025  # between two windows: reap, print, next


@dataclasses.dataclass(frozen=True, order=True)
class Rate:
    """An open loop's load: of each hart in I/Os per second, or per cent of saturation.

    Without either the loop is closed: each completion makes room for the next request.
    """

    iops: int = 0
    percent: int = 0

    def __str__(self) -> str:
        return f"{self.percent}%" if self.percent else str(self.iops)

    def __bool__(self) -> bool:
        return bool(self.iops or self.percent)


CLOSED = Rate()


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A product of lists. A batch of 0 stands for the whole depth."""

    iodepth: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = (1,)
    completion: tuple[str, ...] = MEASURED
    bs: tuple[int, ...] = (4096,)
    rw: tuple[str, ...] = ("randread",)
    harts: tuple[int, ...] = (1,)
    delivery: tuple[str, ...] = DELIVERIES[:1]
    rate: tuple[Rate, ...] = (CLOSED,)

    def points(self) -> int:
        """How many points the product has."""
        return math.prod(len(getattr(self, each.name)) for each in dataclasses.fields(self))

    def boots(self) -> int:
        """How many it takes to visit all points once: a share of saturation is a rate of each."""
        if not any(rate.percent for rate in self.rate):
            return 1
        return len(self.rw) * len(self.bs) * len(self.iodepth) * len(self.batch)


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sweeps, and how long and how often they run."""

    sweeps: tuple[Sweep, ...]
    repetitions: int
    boots: int
    runtime_ms: int
    ramp_ms: int


DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
LOADS = (Rate(percent=10), Rate(percent=50), Rate(percent=80))  # of saturation
PRESETS = {
    "quick": Preset(
        (Sweep((1, 8, 32, 128)), Sweep((32,), (0,))), repetitions=6, boots=2, runtime_ms=200,
        ramp_ms=30),
    "default": Preset(
        (
            Sweep(DEPTHS),
            Sweep((32, 128), (8, 0)),
            Sweep((1, 32, 128), completion=("loopback",)),
            Sweep((32,), bs=(512, 16384, 131072)),
            Sweep((OPEN_DEPTH,), rate=LOADS),
        ),
        repetitions=6, boots=6, runtime_ms=300, ramp_ms=50,
    ),
    "full": Preset(
        (
            Sweep((*DEPTHS, 256, 512), delivery=("per-hart", "msix")),
            Sweep((4, 8, 16, 32, 64, 128, 512), (2, 8, 32, 0)),
            Sweep((1, 32, 128), harts=(2, 4, 8), delivery=DELIVERIES),
            Sweep((32, 128), (0,), harts=(2, 4, 8), delivery=DELIVERIES),
            Sweep((1, 32), bs=(512, 16384, 65536, 262144, 1048576)),
            Sweep((1, 32), rw=("randwrite", "randrw", "read", "write")),
            Sweep((OPEN_DEPTH,), rate=LOADS),
            Sweep((1, 32, 128), completion=("loopback",)),
        ),
        repetitions=12, boots=6, runtime_ms=500, ramp_ms=50,
    ),
}


def _batches(depth: int, batches: Iterable[int]) -> tuple[int, ...]:
    """The batches that exist at a depth, each once: none is larger than the depth."""
    kept: dict[int, int] = {}
    for batch in batches:
        if batch <= depth:
            kept.setdefault(batch or depth, batch)
    return tuple(kept.values())


def _split_depths(sweep: Sweep) -> Iterator[Sweep]:
    """Depths that have the same batches stay together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for depth in sweep.iodepth:
        groups.setdefault(_batches(depth, sweep.batch), []).append(depth)
    for batch, depths in groups.items():
        if batch:
            yield dataclasses.replace(sweep, iodepth=tuple(depths), batch=batch)


def _without(mode: str, harts: int, delivery: str, cores: int) -> str:
    """Why a mode has no points on that many harts with that delivery; empty if it has."""
    if delivery == "shared" and harts == 1:
        return "a line that one hart has alone is per-hart delivery"
    if delivery == "per-hart" and harts > PRIVATE_LINES:
        return f"virt has {PRIVATE_LINES} lines, per-hart takes one for each hart"
    if mode in SPINNING and harts > cores:
        return f"they spin, and the host has {cores} core{'s' if cores > 1 else ''}"
    return ""


Dropped = dict[str, list[tuple[str, int, str]]]  # mode, harts, delivery by the reason


def _dropped_lines(dropped: Dropped) -> tuple[str, ...]:
    """What is left out, a line for each reason."""
    found = []
    for why, lost in dropped.items():
        modes, harts, deliveries = (list(dict.fromkeys(each)) for each in zip(*lost))
        names = ", ".join(sorted(deliveries, key=DELIVERIES.index))
        where = f"on {', '.join(map(str, harts))} hart{'s' if harts != [1] else ''}"
        text = "raw" if why == RAW_LACKS else f"{', '.join(modes)} {where}, {names}"
        found.append(f"{text}: {why}")
    return tuple(found)


def _split_machines(sweep: Sweep, cores: int, dropped: Dropped) -> Iterator[Sweep]:
    """One hart count and delivery each, and only the modes that exist for them."""
    for harts, delivery in itertools.product(sweep.harts, sweep.delivery):
        kept = []
        for mode in sweep.completion:
            if why := _without(mode, harts, delivery, cores):
                dropped.setdefault(why, []).append((mode, harts, delivery))
            else:
                kept.append(mode)
        if kept:
            yield dataclasses.replace(
                sweep, harts=(harts,), delivery=(delivery,), completion=tuple(kept))


def _split_modes(sweep: Sweep, dropped: Dropped) -> Iterator[Sweep]:
    """One rate each, and the raw ring only where it exists."""
    small = tuple(size for size in sweep.bs if size <= RAW_BLOCK_MAX)
    large = tuple(size for size in sweep.bs if size > RAW_BLOCK_MAX)
    pure = tuple(rw for rw in sweep.rw if rw not in MIXED)
    mixed = tuple(rw for rw in sweep.rw if rw in MIXED)
    engine = tuple(mode for mode in sweep.completion if mode != "raw")
    place = (sweep.harts[0], sweep.delivery[0])
    for rate in sweep.rate:
        modes = tuple(mode for mode in engine if mode != "loopback") if rate else sweep.completion
        if rate and "loopback" in engine:
            dropped.setdefault(LOOPBACK_LACKS, []).append(("loopback", *place))
        mixable = tuple(mode for mode in modes if mode != "raw")
        for rw, bs, kept in ((pure, small, modes), (pure, large, mixable),
                             (mixed, sweep.bs, mixable)):
            if rw and bs and "raw" in sweep.completion and "raw" not in kept:
                dropped.setdefault(RAW_LACKS, []).append(("raw", *place))
            if rw and bs and kept:
                yield dataclasses.replace(sweep, rw=rw, bs=bs, completion=kept, rate=(rate,))


def host_cores() -> int:
    """The cores that QEMU may use."""
    return len(os.sched_getaffinity(0))


def runnable(
    sweeps: Iterable[Sweep], cores: int | None = None
) -> tuple[tuple[Sweep, ...], tuple[str, ...]]:
    """Sweeps of one machine each, and what was left out: one hart count, delivery and rate, no
    batch above its depth. UsageError if nothing is left.

    Deliveries of one sweep stand side by side, so that the boots alternate between them.
    """
    cores = host_cores() if cores is None else cores
    result: dict[Sweep, None] = {}
    dropped: Dropped = {}
    for sweep in sweeps:
        for depths in _split_depths(sweep):
            for machine in _split_machines(depths, cores, dropped):
                result.update(dict.fromkeys(_split_modes(machine, dropped)))
    if not result:
        why = "; ".join(_dropped_lines(dropped)) or "a batch is at most its depth"
        raise UsageError(f"plan: no point is left ({why}; hint: other --harts, other lists)")
    return tuple(result), _dropped_lines(dropped)


def with_rates(
    sweeps: Iterable[Sweep], saturation: Callable[[str, int, int, int], float]
) -> tuple[Sweep, ...]:
    """Sweeps whose per cent have become I/Os per second of each hart.

    saturation(rw, bs, iodepth, batch) is that of the whole device; the harts share it.
    """
    result: list[Sweep] = []
    for sweep in sweeps:
        (rate,) = sweep.rate
        if not rate.percent:
            result.append(sweep)
            continue
        for rw, bs, depth, batch in itertools.product(
                sweep.rw, sweep.bs, sweep.iodepth, sweep.batch):
            share = saturation(rw, bs, depth, batch or depth) * rate.percent / 100
            fixed = Rate(max(1, round(share / sweep.harts[0])), rate.percent)
            result.append(dataclasses.replace(
                sweep, rw=(rw,), bs=(bs,), iodepth=(depth,), batch=(batch,), rate=(fixed,)))
    return tuple(result)


def duration(time_s: float) -> str:
    """`3 min 05 s`."""
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes} min {seconds:02} s"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that is to be run."""

    sweeps: tuple[Sweep, ...]
    repetitions: int
    boots: int
    runtime_ms: int
    ramp_ms: int
    process: str = PROCESSES[0]  # how the arrivals of an open loop are spread
    dropped: tuple[str, ...] = ()  # what was asked for and does not exist
    preset: str = ""  # whose sweeps these are, whole

    def points(self) -> int:
        """Points of all sweeps."""
        return sum(sweep.points() for sweep in self.sweeps)

    def windows(self) -> int:
        """Measured windows: one per point and repetition."""
        return self.points() * self.repetitions

    def repetitions_of_boot(self, boot: int) -> range:
        """The numbers of the repetitions that a boot runs."""
        begin, end = (self.repetitions * each // self.boots for each in (boot, boot + 1))
        return range(begin, end)

    def sweeps_of_boot(self, boot: int) -> tuple[Sweep, ...]:
        """In turn forwards and backwards, so that no delivery profits from its place."""
        return self.sweeps[:: -1 if boot % 2 else 1]

    def window_s(self) -> float:
        """Estimated seconds from one window to the next."""
        return (self.runtime_ms + self.ramp_ms) / 1e3 + WINDOW_EXTRA_S

    def seconds(self) -> float:
        """Estimated seconds of all boots."""
        boots = self.boots * sum(sweep.boots() for sweep in self.sweeps)
        return self.windows() * self.window_s() + boots * BOOT_S

    def values(self, name: str) -> list:
        """All values of one list of the sweeps, each once, in order."""
        return list(dict.fromkeys(v for sweep in self.sweeps for v in getattr(sweep, name)))

    def describe(self, around_s: float = 0.0) -> str:
        """A few lines that say what will be done, and what will not; `around_s` is for what comes
        before and after the boots."""
        plural = "s" if self.boots > 1 else ""
        depths = ", ".join(map(str, sorted(self.values("iodepth"))))
        lines = [
            f"plan: {self.points()} points x {self.repetitions} repetitions of {self.runtime_ms} "
            f"ms in {self.boots} boot{plural}, about {duration(self.seconds() + around_s)}",
            f"      {', '.join(self.values('completion'))}; queue depths {depths}; "
            f"delivery {', '.join(sorted(self.values('delivery'), key=DELIVERIES.index))}",
        ]
        rates = [str(rate) for rate in self.values("rate") if rate]
        if rates:
            lines.append(f"      open loop, {self.process}: {', '.join(rates)} (of each hart in "
                         "I/Os per second, % of saturation)")
        return "\n".join([*lines, *(f"      left out: {text}" for text in self.dropped)])


def guest_arguments(plan: Plan, sweep: Sweep, boot: int) -> list[str]:
    """The guest's command line for one sweep of one boot.

    The modes take turns at being first, so that none profits from its place in the repetition.
    """

    def comma(values: Iterable[object]) -> str:
        return ",".join(map(str, values))

    turn = boot % len(sweep.completion)
    (rate,) = sweep.rate
    load = [f"rate_iops={rate.iops}", f"rate_process={plan.process}"] if rate else []
    return [
        f"rw={comma(sweep.rw)}",
        f"bs={comma(sweep.bs)}",
        f"iodepth={comma(sweep.iodepth)}",
        f"iodepth_batch_submit={comma(sweep.batch)}",
        f"numjobs={comma(sweep.harts)}",
        f"completion={comma(sweep.completion[turn:] + sweep.completion[:turn])}",
        f"runtime={plan.runtime_ms}ms",
        f"ramp_time={plan.ramp_ms}ms",
        f"rounds={len(plan.repetitions_of_boot(boot))}",
        f"randseed={boot + 1}",
        *load,
    ]
