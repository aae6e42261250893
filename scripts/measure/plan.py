"""What the bench measures: points, the sweeps that one boot can run, presets and the plan.

A sweep is a product of lists, because the guest runs products; a preset is a few of them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from measure.modes import MEASURED, MODES, REFERENCES, SPINNING, USABLE
from qemu.machine import PRIVATE_LINES, UsageError

COMPLETIONS = tuple(MODES)
DELIVERIES = ("per-hart", "shared", "msix")
PROCESSES = ("linear", "poisson")
WORKLOADS = ("randread", "randwrite", "randrw", "read", "write", "rw")
MIXED = ("randrw", "rw")  # not for raw: its ring is filled once
DEPTH_MAX = 1023
# When a submission rings. Clocked is the default; older runs knew no rule but each.
CLOCKED, EACH, SHADOW = DOORBELLS = ("clocked", "each", "shadow")
OPEN_DEPTH = 32  # of an open loop, unless the depth is given: the most that is in flight
BOOTS_PER_REPEAT = 8
BLOCK_UNIT = 512  # bytes of a logical block: a transfer is whole ones
BLOCK_MAX = 1 << 20
RAW_BLOCK_MAX = 512 << 10  # one command's most (MDTS 7 of QEMU): the raw ring does not split
RAW_LACKS = (
    f"the raw ring has no open loop, no mix of reads and writes, and no block above "
    f"{RAW_BLOCK_MAX >> 10}k")
# The course of a load, and the guest's words for it.
SHAPES = {
    "steady": (),
    "step": ("thinktime=20ms", "thinktime_iotime=50ms"),  # pauses and bursts
    "beside": ("writer_iodepth=8",),  # large writes beside the reads
    "callback": ("post=callback",),  # the callback of a request posts the next one
}
WRITER_BYTES = 8 << 17  # buffers of these
SHAPE_LACKS = "a load of another shape than steady is of a mode's closed loop"
CALLBACK_LACKS = "a callback posts the next request at batch 1, all of them reads or all writes"
SHADOW_LACKS = "the references write registers, no shadow doorbells"
LOOPBACK_LACKS = "completions in memory come at once, there is no open loop"
BOOT_S = 0.45  # QEMU's start, the guest's set-up, the files after it; for the estimate only
WINDOW_EXTRA_S = 0.025  # between two windows: reap, print, next
RAW_WAITS = 3  # ways to wait that raw tries once in a boot, for a ramp each


def shape_of_options(options: dict) -> str:
    """The word of SHAPES that the options of a job of the guest tell of."""
    named = {"thinktime": "step", "writer_iodepth": "beside", "post": "callback"}
    return next((word for name, word in named.items() if name in options), "steady")


def doorbell_of_options(options: dict) -> str:
    """The rule of the doorbell in a job's options; older results have none: they rang each."""
    return options.get("doorbell", EACH)


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
    shape: tuple[str, ...] = ("steady",)
    doorbell: tuple[str, ...] = (CLOCKED,)

    def points(self) -> int:
        """How many points the product has, without the references' shadow doorbells."""
        product = math.prod(len(getattr(self, each.name)) for each in dataclasses.fields(self))
        pairs = len(self.doorbell) * len(self.completion)
        none = (SHADOW in self.doorbell) * len({*self.completion} & {*REFERENCES})
        return product // pairs * (pairs - none)

    def boots(self) -> int:
        """How many it takes to visit all points once: a share of saturation is a rate of each."""
        if not any(rate.percent for rate in self.rate):
            return 1
        return len(self.rw) * len(self.bs) * len(self.iodepth) * len(self.batch)


def groups(values: Iterable, key: Callable) -> dict:
    """Tuples of the values that have the same key, by that key; all in order."""
    found: dict = {}
    for value in values:
        found.setdefault(key(value), []).append(value)
    return {name: tuple(alike) for name, alike in found.items()}


def _batches(depth: int, batches: Iterable[int]) -> tuple[int, ...]:
    """The batches that exist at a depth, each once: none is larger than the depth."""
    kept: dict[int, int] = {}
    for batch in batches:
        if batch <= depth:
            kept.setdefault(batch or depth, batch)
    return tuple(kept.values())


def _lacks(mode: str, machine: Sweep, rw: str, bs: int, cores: int) -> str:
    """Why a mode lacks all points on a machine with one load; empty if it does not."""
    (harts,), (delivery,), open_loop = machine.harts, machine.delivery, any(machine.rate)
    if delivery == "shared" and harts == 1:
        return "a line that one hart has alone is per-hart delivery"
    if delivery == "per-hart" and harts > PRIVATE_LINES:
        return f"virt has {PRIVATE_LINES} lines, per-hart takes one for each hart"
    if mode in SPINNING and harts > cores:
        return f"they spin, and the host has {cores} core{'s' if cores > 1 else ''}"
    if machine.shape != ("steady",) and (open_loop or mode in REFERENCES):
        return SHAPE_LACKS
    if machine.shape == ("callback",) and (rw in MIXED or set(machine.batch) != {1}):
        return CALLBACK_LACKS
    if mode == "hybrid" and delivery == "shared":
        return "on a shared line hybrid mode is interrupt mode"
    if mode == "loopback" and open_loop:
        return LOOPBACK_LACKS
    if mode == "raw" and (open_loop or rw in MIXED or bs > RAW_BLOCK_MAX):
        return RAW_LACKS
    return ""


def _dropped_lines(dropped: Iterable[tuple[str, str, int, str]]) -> tuple[str, ...]:
    """What is left out (reason, mode, harts, delivery), a line for each reason."""
    found = []
    for why, lost in groups(dropped, lambda each: each[0]).items():
        _, modes, harts, deliveries = (list(dict.fromkeys(each)) for each in zip(*lost))
        names = ", ".join(sorted(deliveries, key=DELIVERIES.index))
        where = f"on {', '.join(map(str, harts))} hart{'s' if harts != [1] else ''}"
        text = "raw" if why == RAW_LACKS else f"{', '.join(modes)} {where}, {names}"
        found.append(f"{text}: {why}")
    return tuple(found)


def _split_machines(sweep: Sweep) -> Iterator[Sweep]:
    """One hart count and delivery each; depths that have the same batches stay together, and so do
    the loads of an open loop."""
    depths = groups(sweep.iodepth, lambda depth: _batches(depth, sweep.batch))
    rates = groups(sweep.rate, lambda rate: (bool(rate), bool(rate.percent)))
    for (batch, iodepth), harts, delivery, rate, shape in itertools.product(
            depths.items(), sweep.harts, sweep.delivery, rates.values(), sweep.shape):
        if batch:
            yield dataclasses.replace(sweep, iodepth=iodepth, batch=batch, harts=(harts,),
                                      delivery=(delivery,), rate=rate, shape=(shape,))


def _split_modes(machine: Sweep, cores: int, dropped: list) -> Iterator[Sweep]:
    """Workloads and blocks that have the same modes stay together; what is lost is added to
    `dropped`."""

    def modes(rw: str, bs: int) -> tuple[str, ...]:
        lacks = {mode: _lacks(mode, machine, rw, bs, cores) for mode in machine.completion}
        kept = tuple(mode for mode, why in lacks.items() if not why)
        if SHADOW in machine.doorbell:  # the references have the points of the other rules
            lacks |= {mode: SHADOW_LACKS for mode in kept if mode in REFERENCES}
        if machine.doorbell == (SHADOW,):
            kept = tuple(mode for mode in kept if mode not in REFERENCES)
        dropped.extend((why, mode, *machine.harts, *machine.delivery)
                       for mode, why in lacks.items() if why)
        return kept

    def blocks_by_modes(rw: str) -> tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]:
        return tuple(groups(machine.bs, lambda bs: modes(rw, bs)).items())

    for parts, rw in groups(machine.rw, blocks_by_modes).items():
        for completion, bs in parts:
            if completion:
                yield dataclasses.replace(machine, rw=rw, bs=bs, completion=completion)


def host_cores() -> int:
    """The cores that QEMU may use."""
    return len(os.sched_getaffinity(0))


def runnable(sweeps: Iterable[Sweep],
             cores: int | None = None) -> tuple[tuple[Sweep, ...], tuple[str, ...]]:
    """Sweeps of one machine each, and what was left out: one hart count and delivery, no batch
    above its depth. UsageError if nothing is left.

    Deliveries of one sweep stand side by side, so that the boots alternate between them.
    """
    cores = host_cores() if cores is None else cores
    result: dict[Sweep, None] = {}
    dropped: list[tuple[str, str, int, str]] = []
    for sweep in sweeps:
        for machine in _split_machines(sweep):
            result.update(dict.fromkeys(_split_modes(machine, cores, dropped)))
    if not result:
        why = "; ".join(_dropped_lines(dropped)) or "a batch is at most its depth"
        raise UsageError(f"plan: no point is left: {why}; hint: other --harts, other lists")
    return tuple(result), _dropped_lines(dropped)


def with_rates(
    sweeps: Iterable[Sweep], saturation: Mapping[tuple[str, int, int, int], float]
) -> tuple[Sweep, ...]:
    """Sweeps whose per cent have become I/Os per second of each hart.

    The saturation of a rw, bs, iodepth and batch is that of the whole device; the harts share it.
    """
    result: list[Sweep] = []
    for sweep in sweeps:
        if not any(rate.percent for rate in sweep.rate):
            result.append(sweep)
            continue
        for rw, bs, depth, batch in itertools.product(
                sweep.rw, sweep.bs, sweep.iodepth, sweep.batch):
            each = saturation[rw, bs, depth, batch or depth] / sweep.harts[0] / 100
            fixed = {max(1, round(each * rate.percent)): rate.percent for rate in sweep.rate}
            result.append(dataclasses.replace(
                sweep, rw=(rw,), bs=(bs,), iodepth=(depth,), batch=(batch,),
                rate=tuple(Rate(*pair) for pair in fixed.items())))
    return tuple(result)


def duration(time_s: float) -> str:
    """`3 min 05 s`."""
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes} min {seconds:02} s"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that is to be run."""

    sweeps: tuple[Sweep, ...]
    boots: int  # each visits every point once: the samples
    runtime_ms: int
    ramp_ms: int
    process: str = PROCESSES[0]  # how the arrivals of an open loop are spread
    dropped: tuple[str, ...] = ()  # what was asked for and does not exist
    preset: str = ""  # whose sweeps these are, whole
    until_ci: int = 0  # per cent; boots are added until no main ratio's interval is wider; 0: none
    budget_ms: int = 0  # of all boots, where boots are added

    def points(self) -> int:
        """Points of all sweeps."""
        return sum(sweep.points() for sweep in self.sweeps)

    def windows(self) -> int:
        """Measured windows: one per point and boot."""
        return self.points() * self.boots

    def sweeps_of_boot(self, boot: int) -> tuple[Sweep, ...]:
        """In turn forwards and backwards, so that no delivery profits from its place."""
        return self.sweeps[:: -1 if boot % 2 else 1]

    def repeats_most(self) -> int:
        """So many boots of a sweep are measured again if the host was busy; one for each of 8."""
        return -(-self.boots * len(self.sweeps) // BOOTS_PER_REPEAT)

    def window_s(self) -> float:
        """Estimated seconds from one window to the next."""
        return (self.runtime_ms + self.ramp_ms) / 1e3 + WINDOW_EXTRA_S

    def seconds(self) -> float:
        """Estimated seconds of all boots."""
        boots = self.boots * sum(sweep.boots() for sweep in self.sweeps)
        rings = self.boots * sum(dataclasses.replace(sweep, completion=("raw",)).points()
                                 for sweep in self.sweeps if "raw" in sweep.completion)
        return (self.windows() * self.window_s() + boots * BOOT_S
                + rings * RAW_WAITS * (self.ramp_ms / 1e3 + WINDOW_EXTRA_S))

    def values(self, name: str) -> list:
        """All values of one list of the sweeps, each once, in order."""
        return list(dict.fromkeys(v for sweep in self.sweeps for v in getattr(sweep, name)))

    def describe(self, around_s: float = 0.0) -> str:
        """A few lines that say what will be done, and what will not; `around_s` is for what comes
        before and after the boots."""
        points, boots = (f"{count} {noun}{'s' * (count != 1)}" for count, noun in
                         ((self.points(), "point"), (self.boots, "boot")))
        depths = ", ".join(map(str, sorted(self.values("iodepth"))))
        lines = [
            f"plan: {points} of {self.runtime_ms} ms x {boots}, about "
            f"{duration(self.seconds() + around_s)}",
            f"      {', '.join(self.values('completion'))}; queue depths {depths}; "
            f"delivery {', '.join(sorted(self.values('delivery'), key=DELIVERIES.index))}; "
            f"doorbell {', '.join(sorted(self.values('doorbell'), key=DOORBELLS.index))}",
        ]
        rates = [str(rate) for rate in self.values("rate") if rate]
        if rates:
            past = any(rate.percent > 100 for rate in self.values("rate"))
            lines.append(f"      open loop, {self.process}: {', '.join(rates)} (of each hart in "
                         "I/Os per second, % of saturation"
                         f"{'; above 100% latency grows' * past})")
        if self.until_ci:
            lines.append(f"      boots are added until the intervals of polling / interrupts are "
                         f"within {self.until_ci} %, or {duration(self.budget_ms / 1e3)} are over")
        lines.append(f"      boots whose threads wait for a core are measured again, at most "
                     f"{self.repeats_most()}")
        return "\n".join([*lines, *(f"      left out: {text}" for text in self.dropped)])


DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
RULED_DEPTHS = (1, 8, 32, 128)  # where the rules of the doorbell are measured, side by side
# Of saturation, which the fastest mode reaches: up to the knee of each mode.
LOADS = tuple(Rate(percent=percent) for percent in (10, 25, 40, 55, 70, 80, 90, 100))
PRESETS = {
    "quick": Plan(
        (Sweep((1, 8, 32, 128)), Sweep((32,), (0,))), boots=6, runtime_ms=200, ramp_ms=30),
    "default": Plan(
        (
            Sweep(RULED_DEPTHS, doorbell=(CLOCKED, EACH)),
            Sweep(tuple(depth for depth in DEPTHS if depth not in RULED_DEPTHS)),
            Sweep((4, 16, 32, 128), (0,)),
            Sweep((1, 32, 128), completion=("loopback",)),
            Sweep((32,), bs=(512, 16384, 131072)),
            Sweep((OPEN_DEPTH,), rate=LOADS),
        ),
        boots=6, runtime_ms=240, ramp_ms=50,
    ),
    "full": Plan(
        (
            Sweep(RULED_DEPTHS, delivery=("per-hart", "msix"), doorbell=DOORBELLS),
            Sweep((2, 4, 16, 64, 256, 512), delivery=("per-hart", "msix")),
            Sweep((4, 16, 32, 64, 128, 512), (2, 8, 32, 0)),
            Sweep((1, 32, 128), harts=(2, 4, 8), delivery=DELIVERIES),
            Sweep((32, 128), (0,), harts=(2, 4, 8), delivery=DELIVERIES),
            Sweep((1, 32), bs=(512, 16384, 65536, 262144, 1048576)),
            Sweep((1, 32), rw=("randwrite", "randrw", "read", "write")),
            Sweep((OPEN_DEPTH,), rate=LOADS),
            Sweep((1, 32), completion=USABLE, shape=("step",)),
            Sweep((1,), completion=USABLE, harts=(1, 2), shape=("beside",)),
            Sweep((1, 32), completion=USABLE, shape=("callback",)),
            Sweep((1, 32, 128), completion=("loopback",)),
        ),
        boots=12, runtime_ms=500, ramp_ms=50,
    ),
}


def williams(count: int) -> list[list[int]]:
    """Orders of 0 to count - 1: each is at each place, and follows each other one, equally often.

    So neither its place nor the mode before it favours a mode. An odd count takes each order
    backwards too.
    """
    zigzag = [(index + 1) // 2 if index % 2 else -index // 2 for index in range(count)]
    square = [[(row + each) % count for each in zigzag] for row in range(count)]
    return square + [row[::-1] for row in square] * (count % 2)


def guest_arguments(plan: Plan, sweep: Sweep, boot: int) -> list[str]:
    """The guest's command line for one sweep of one boot, whose modes have an order of its own."""
    orders = williams(len(sweep.completion))
    lists = {
        "rw": sweep.rw, "bs": sweep.bs, "iodepth": sweep.iodepth,
        "iodepth_batch_submit": sweep.batch, "numjobs": sweep.harts,
        "doorbell": sweep.doorbell[:: -1 if boot % 2 else 1],
        "completion": [sweep.completion[each] for each in orders[boot % len(orders)]],
    }
    rates = ",".join(str(rate.iops) for rate in sweep.rate)
    load = [f"rate_iops={rates}", f"rate_process={plan.process}"] if any(sweep.rate) else []
    return [
        *(f"{name}={','.join(map(str, values))}" for name, values in lists.items()),
        f"runtime={plan.runtime_ms}ms", f"ramp_time={plan.ramp_ms}ms",
        "repetitions=1", f"randseed={boot + 1}", *load, *SHAPES[sweep.shape[0]],
    ]
