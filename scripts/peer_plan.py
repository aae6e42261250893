"""What is measured against Linux: the points, fio's engines over them, and ours.

fio gets its best known configuration: registered files and fixed buffers, one thread, no map of
blocks, its own statistics reduced (gtod_reduce) while IOPS are counted; latencies come from windows
of their own behind them. A reap takes all that is there. The block layer's accounting, merging and
scheduler are off (peer_linux.py).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from matrix import Plan, Sweep
from peer_linux import BOOT_S, CALL_S

BS, RW = 4096, "randread"


class Point(NamedTuple):
    """A queue depth and how many commands go behind one doorbell."""

    depth: int
    batch: int

    def __str__(self) -> str:
        return f"QD {self.depth} batch {self.batch}"


POINTS = (
    Point(1, 1), Point(4, 1), Point(32, 1), Point(128, 1), Point(32, 16), Point(128, 32),
)  # fmt: skip
SAME_MODE_GOALS = {Point(1, 1): 2.0}
BEST_GOALS = {Point(32, 1): 8.0, Point(32, 16): 3.0, Point(128, 32): 4.0}


@dataclasses.dataclass(frozen=True)
class Engine:
    """One way to do I/O with fio on Linux."""

    ioengine: str
    mode: str  # poll or irq
    options: tuple[str, ...] = ()
    points: tuple[Point, ...] = POINTS

    @property
    def name(self) -> str:
        """The name of its job file and of its result's."""
        return f"{self.ioengine}-{self.mode}"

    @property
    def title(self) -> str:
        """For people."""
        return f"Linux {self.ioengine}, {'polled' if self.mode == 'poll' else 'interrupts'}"


BLOCK = ("filename=/dev/nvme0n1", "direct=1")
FIXED = ("registerfiles=1", "fixedbufs=1")
ENGINES = (
    # The character device knows no page cache: fio's direct=1 is refused there.
    Engine("io_uring_cmd", "poll", ("filename=/dev/ng0n1", "cmd_type=nvme", "hipri=1", *FIXED)),
    Engine("io_uring", "poll", (*BLOCK, "hipri=1", *FIXED)),
    Engine("io_uring", "irq", (*BLOCK, *FIXED)),
    Engine("libaio", "irq", BLOCK),
    Engine("psync", "irq", BLOCK, (Point(1, 1),)),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class PeerPlan:
    """How often and how long everything runs."""

    boots: int
    ours_ms: int
    ours_ramp_ms: int
    linux_ms: int
    linux_ramp_ms: int
    latency_ms: int

    def ours(self) -> Plan:
        """Our bench's plan: a round in each boot, with and without the AIA."""
        modes = ("poll", "irq", "hybrid", "limit")
        single = tuple(point.depth for point in POINTS if point.batch == 1)
        shapes = [(single, (1,))] + [((p.depth,), (p.batch,)) for p in POINTS if p.batch > 1]
        sweeps = tuple(
            Sweep(depths, batch, modes, bs=(BS,), rw=(RW,), delivery=(delivery,))
            for delivery in ("msix", "per-hart")
            for depths, batch in shapes
        )
        return Plan(sweeps, self.boots, self.boots, self.ours_ms, self.ours_ramp_ms)

    def linux_points(self) -> int:
        """fio's points of one boot."""
        return sum(len(engine.points) for engine in ENGINES)

    def linux_s(self) -> float:
        """Estimated seconds of one boot of Linux."""
        window_ms = self.linux_ms + self.latency_ms + 2 * self.linux_ramp_ms
        return BOOT_S + len(ENGINES) * CALL_S + self.linux_points() * window_ms / 1e3

    def seconds(self) -> float:
        """Estimated seconds of the whole run, the packages not counted."""
        return self.ours().seconds() + self.boots * self.linux_s()

    def describe(self) -> str:
        """What will be done, in a few lines."""
        minutes, seconds = divmod(round(self.seconds()), 60)
        ours = self.ours()
        return "\n".join(
            (
                f"plan: {self.boots} boot pairs, ours and Linux in turn, about {minutes} min "
                f"{seconds:02} s; 4 KiB {RW}, one hart",
                f"      ours: {ours.points()} points of {self.ours_ms} ms (poll, irq, hybrid, "
                "limit; msix and per-hart)",
                f"      Linux: {self.linux_points()} points of {self.linux_ms} ms for IOPS and "
                f"{self.latency_ms} ms for latency ({', '.join(e.name for e in ENGINES)})",
                f"      points: {', '.join(map(str, POINTS))}",
            )
        )


DEFAULT = PeerPlan(6, ours_ms=400, ours_ramp_ms=50, linux_ms=1000, linux_ramp_ms=150,
                   latency_ms=400)  # fmt: skip
QUICK = PeerPlan(3, ours_ms=150, ours_ramp_ms=30, linux_ms=300, linux_ramp_ms=100,
                 latency_ms=150)  # fmt: skip


def job_file(engine: Engine, plan: PeerPlan) -> str:
    """fio's job file of one engine: each point twice, for IOPS and for latency."""
    lines = [
        "[global]", f"rw={RW}", f"bs={BS}", "thread=1", "norandommap=1", "randrepeat=0",
        "time_based=1", f"ramp_time={plan.linux_ramp_ms}ms", f"ioengine={engine.ioengine}",
        *engine.options,
    ]  # fmt: skip
    for point in engine.points:
        depth = [f"iodepth={point.depth}", f"iodepth_batch_submit={point.batch}",
                 f"iodepth_batch_complete_min={point.batch}",
                 f"iodepth_batch_complete_max={point.depth}"]  # fmt: skip
        name = f"qd{point.depth}-b{point.batch}"
        # In the guest an I/O is often complete inside the submitting call: lat counts it all.
        latency = ["disable_slat=1", "disable_clat=1", "clat_percentiles=0", "lat_percentiles=1"]
        lines += [f"[{name}-iops]", "stonewall", *depth, f"runtime={plan.linux_ms}ms",
                  "gtod_reduce=1"]  # fmt: skip
        lines += [f"[{name}-lat]", "stonewall", *depth, f"runtime={plan.latency_ms}ms", *latency]
    return "\n".join(lines) + "\n"


def job_files(plan: PeerPlan) -> dict[str, str]:
    """All of one boot, by name."""
    return {engine.name: job_file(engine, plan) for engine in ENGINES}
