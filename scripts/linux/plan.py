"""What is measured against Linux: the points, the ways to do I/O there, and ours.

The loop (linux/loop) reads as our bench does. Its windows count IOPS and latencies at once.
fio gets its best known configuration: registered files and fixed buffers, one thread, no map of
blocks, its own statistics reduced (gtod_reduce) while IOPS are counted; latencies come from windows
of their own. A reap takes all that is there; where commands are batched it waits for
as many as a batch or, in a variant of the loop, for one: which is faster depends on the host. The
block layer's accounting, merging and scheduler are off (boot.py). Pairs, engines and points take
turns at being first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from linux.boot import BOOT_S, CALL_S
from measure.modes import USABLE
from measure.plan import CLOCKED, Plan, Sweep, duration

BS, RW = 4096, "randread"
OURS = (*USABLE, "raw")
LOOP = "loop"  # its commands go through io_uring_cmd
DELIVERY = "msix"  # ours, on the machine that Linux runs on too
DOORBELL = CLOCKED  # ours


class Point(NamedTuple):
    """A queue depth and how many commands go with one doorbell."""

    depth: int
    batch: int

    def __str__(self) -> str:
        return f"QD {self.depth} batch {self.batch}"


POINTS = (
    Point(1, 1), Point(4, 1), Point(32, 1), Point(128, 1), Point(32, 16), Point(128, 32),
)
GOALS = {  # by our mode, or the best of each side
    "poll": {Point(1, 1): 1.5}, "irq": {Point(1, 1): 2.0},
    "best": {Point(32, 1): 9.0, Point(128, 1): 12.0, Point(32, 16): 3.0, Point(128, 32): 4.0},
}


@dataclasses.dataclass(frozen=True)
class Engine:
    """One way to do I/O on Linux: an engine of fio's, or `loop`, which is linux/loop."""

    ioengine: str
    mode: str  # poll, irq or hybrid
    options: tuple[str, ...] = ()
    points: tuple[Point, ...] = POINTS
    least: int = 0  # completions that a reap waits for; 0: as many as a batch

    @property
    def name(self) -> str:
        """The name of its job file and of its result's."""
        return f"{self.ioengine}-{self.mode}" + (f"-min{self.least}" if self.least else "")

    @property
    def title(self) -> str:
        """For people."""
        found = {"poll": "polled", "irq": "interrupts"}.get(self.mode, self.mode)
        return f"Linux {self.ioengine}, {found}" + (f", min {self.least}" if self.least else "")


BLOCK = ("filename=/dev/nvme0n1", "direct=1")
FIXED = ("registerfiles=1", "fixedbufs=1")
NG = ("filename=/dev/ng0n1", "cmd_type=nvme")
WHOLE_BATCHES = (
    Engine(LOOP, "poll", (*NG, "hipri=1")),
    Engine(LOOP, "irq", NG),
    Engine(LOOP, "hybrid", (*NG, "hipri=hybrid")),  # where the kernel is 6.13 or later
    # The character device knows no page cache: fio's direct=1 is refused there.
    Engine("io_uring_cmd", "poll", (*NG, "hipri=1", *FIXED)),
    Engine("io_uring", "poll", (*BLOCK, "hipri=1", *FIXED)),
    Engine("io_uring", "irq", (*BLOCK, *FIXED)),
    Engine("libaio", "irq", BLOCK),
    Engine("psync", "irq", BLOCK, (Point(1, 1),)),
)
BATCHED = tuple(point for point in POINTS if point.batch > 1)
ENGINES = (
    *WHOLE_BATCHES,
    *(dataclasses.replace(engine, points=BATCHED, least=1) for engine in WHOLE_BATCHES[:2]),
)
COUNT_POINTS = (Point(1, 1), Point(32, 32))  # the groups that `make instructions` counts too
COUNT_S, COUNT_WINDOWS = 35.0, 100
LINUX_POINTS = sum(len(engine.points) for engine in ENGINES)  # of one boot


@dataclasses.dataclass(frozen=True)
class PeerPlan:
    """How often and how long everything runs."""

    boots: int
    ours_ms: int
    ours_ramp_ms: int
    linux_ms: int
    linux_ramp_ms: int
    latency_ms: int
    counts: bool = True  # the loop's instructions, in a boot of its own

    def ours(self) -> Plan:
        """Our bench's plan: a window of each point in each boot, on Linux's machine."""
        single = tuple(point.depth for point in POINTS if point.batch == 1)
        shapes = [(single, (1,))] + [((p.depth,), (p.batch,)) for p in POINTS if p.batch > 1]
        sweeps = tuple(
            Sweep(depths, batch, OURS, bs=(BS,), rw=(RW,), delivery=(DELIVERY,),
                  doorbell=(DOORBELL,))
            for depths, batch in shapes)
        return Plan(sweeps, self.boots, self.ours_ms, self.ours_ramp_ms)

    def linux_s(self) -> float:
        """Estimated seconds of one boot of Linux."""
        both_ms, fios = self.linux_ms + self.linux_ramp_ms, self.latency_ms + self.linux_ramp_ms
        # Debian 13's kernel refuses hybrid polling at once.
        ms = sum(len(e.points) * (both_ms + fios * (e.ioengine != LOOP))
                 for e in ENGINES if e.mode != "hybrid")
        return BOOT_S + len(ENGINES) * CALL_S + ms / 1e3

    def seconds(self) -> float:
        """Estimated seconds of the whole run, the packages not counted."""
        return self.ours().seconds() + self.boots * self.linux_s() + COUNT_S * self.counts

    def describe(self) -> str:
        """What will be done, in a few lines."""
        ours = self.ours()
        return "\n".join((
            f"plan: {self.boots} boot pairs, ours and Linux in turn, about "
            f"{duration(self.seconds())}; 4 KiB {RW}, one hart",
            f"      ours: {ours.points()} points of {self.ours_ms} ms ({', '.join(OURS)}; "
            f"{DELIVERY}, doorbell {DOORBELL})",
            f"      Linux: {LINUX_POINTS} points of {self.linux_ms} ms, fio's with "
            f"{self.latency_ms} ms more for latency ({', '.join(e.name for e in ENGINES)})",
            f"      points: {', '.join(map(str, POINTS))}",
            *["      Linux's instructions, in a boot of their own"] * self.counts))

    def method(self) -> list[str]:
        """What was chosen for this run; docs/benchmarking.md has the rest."""
        options = "; ".join(f"{e.name}: {' '.join(e.options)}" for e in WHOLE_BATCHES)
        return [
            f"{self.boots} boot pairs, one window of each point in each",
            f"windows: ours {self.ours_ms} ms after {self.ours_ramp_ms} ms, IOPS and latency in "
            f"one; Linux's {self.linux_ms} ms after {self.linux_ramp_ms} ms, the loop's for both, "
            f"fio's for IOPS (gtod_reduce=1) with {self.latency_ms} ms more for latency",
            f"the loop (ours, in C) and fio's engines: {options}",
            "batched, a reap waits for a whole batch, or for one (min 1)",
        ]


DEFAULT = PeerPlan(6, ours_ms=1000, ours_ramp_ms=150, linux_ms=1000, linux_ramp_ms=150,
                   latency_ms=400)
QUICK = PeerPlan(3, ours_ms=300, ours_ramp_ms=100, linux_ms=300, linux_ramp_ms=100,
                 latency_ms=150, counts=False)


def rotated(items: Sequence, boot: int) -> tuple:
    """The same in each boot, from one place further on."""
    first = boot % len(items)
    return (*items[first:], *items[:first])


def job_name(point: Point, kind: str) -> str:
    """A job of fio's; `kind` is iops or lat."""
    return f"qd{point.depth}-b{point.batch}-{kind}"


def job_file(engine: Engine, plan: PeerPlan, boot: int = 0) -> str:
    """The job file of one engine: each point twice with fio, for IOPS and for latency."""
    lines = [
        "[global]", f"rw={RW}", f"bs={BS}", "thread=1", "norandommap=1", "randrepeat=0",
        "time_based=1", f"ramp_time={plan.linux_ramp_ms}ms", f"ioengine={engine.ioengine}",
        *engine.options,
    ]
    # In the guest an I/O is often complete inside the submitting call: lat counts it all.
    kinds = {
        "iops": [f"runtime={plan.linux_ms}ms", "gtod_reduce=1"],
        "lat": [f"runtime={plan.latency_ms}ms", "disable_slat=1", "disable_clat=1",
                "clat_percentiles=0", "lat_percentiles=1"],
    }
    if engine.ioengine == LOOP:
        kinds = {"iops": kinds["iops"][:1]}
    for point in rotated(engine.points, boot):
        depth = [f"iodepth={point.depth}", f"iodepth_batch_submit={point.batch}",
                 f"iodepth_batch_complete_min={engine.least or point.batch}",
                 f"iodepth_batch_complete_max={point.depth}"]
        for kind, options in kinds.items():
            lines += [f"[{job_name(point, kind)}]", "stonewall", *depth, *options]
    return "\n".join(lines) + "\n"


def job_files(plan: PeerPlan, boot: int = 0) -> dict[str, str]:
    """All of one boot by name, in the order in which they run."""
    return {engine.name: job_file(engine, plan, boot) for engine in rotated(ENGINES, boot)}


def count_files(plan: PeerPlan) -> dict[str, str]:
    """The loop's job files that count instructions."""
    loops = [dataclasses.replace(engine, options=(*engine.options, f"count={COUNT_WINDOWS}"),
                                 points=COUNT_POINTS)
             for engine in WHOLE_BATCHES[:2]]  # hybrid polling sleeps, which cannot be counted
    return {engine.name: job_file(engine, plan) for engine in loops}
