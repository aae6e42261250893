"""Runs the guest's bench program and turns its console into measured windows.

The contract with bench/report.c: one JSON object a line; `hartq_banner` first, then one
`hartq_bench` for each point, and `#begin POINT 0`, `#end POINT 0` at the edges of each measured
window, where the host's CPU time is sampled. The 0 is a repetition: a boot visits a point once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from cli.errors import Failed
from measure.plan import BLOCK_UNIT, WRITER_BYTES, Plan, Sweep, doorbell_of_options
from measure.plan import guest_arguments, shape_of_options
from qemu import host_cpu
from qemu.backing import parse_backing
from qemu.guest import STATUS_OK, Guest, Line
from qemu.machine import PRIVATE_LINES, Machine, UsageError
from sim import run
from sim.machine import SimMachine

MEMORY_MIB = 128  # in addition to the buffers
MODELLED_MEMORY_MIB = 256  # pages that are not touched cost nothing
MODELLED_SLOWNESS = 20  # host seconds allowed per virtual second
PRP_LIST_BYTES = 4096  # of each request's slot, in addition to its buffer
COMPLAINT = re.compile(r"^(error|skipped|panic|bench):")
COMPLAINTS_MAX = 10
# Of a window, what is kept of host_cpu.Spent.
SPENT = ("ran", "waited", "time_ns", "stolen_ticks", "core_ticks")
EDGE = re.compile(r"#(begin|end) (\d+) 0$")  # point
Edge = Callable[[int, bool, int], None]  # QEMU's process, whether a window begins, its point
FIRMWARE_LINE = re.compile(r"^OpenSBI (v\S+)")


class GuestFailed(Failed):
    """The guest did not do what it was asked; the text has its last lines."""


@dataclasses.dataclass(frozen=True)
class Target:
    """The machine all points share."""

    backing: str = "null"
    qemu: str | None = None
    app: str | os.PathLike[str] = "bench"
    machine: str = "qemu"  # or sim:PROFILE

    @property
    def modelled(self) -> bool:
        """Whether it is the machine in virtual time: the host does not affect the figures."""
        return self.machine != "qemu"


class Key(NamedTuple):
    """The fields that identify a measured point."""

    rw: str
    bs: int
    harts: int
    rate: int  # of each hart in an open loop, 0 where the loop is closed
    depth: int
    batch: int
    shape: str  # a word of measure.plan.SHAPES
    doorbell: str  # of measure.plan.DOORBELLS
    delivery: str
    mode: str


@dataclasses.dataclass(frozen=True)
class Window:
    """One point measured once."""

    record: dict  # the guest's line as it came
    host: host_cpu.Spent | None
    firmware: str = ""  # OpenSBI's version
    boot: int = 0
    sweep: int = 0  # its place in the plan
    percent: int = 0  # of saturation, if the load was given as a percentage

    def as_json(self) -> dict:
        """The form that windows.jsonl holds."""
        host = self.host and {name: getattr(self.host, name) for name in SPENT}
        return {**vars(self), "host": host}

    @staticmethod
    def from_json(data: dict) -> Window:
        """The inverse of as_json()."""
        host = host_cpu.Spent(**data["host"]) if data["host"] else None
        return Window(**{**data, "host": host})

    @property
    def key(self) -> Key:
        """The point that this is a window of."""
        job = self.record["job options"]
        depth = int(job["iodepth"])
        return Key(
            rw=job["rw"], bs=int(job["bs"]), harts=int(job["numjobs"]),
            rate=int(job.get("rate_iops", 0)), depth=depth,
            batch=int(job["iodepth_batch_submit"]) or depth, shape=shape_of_options(job),
            doorbell=doorbell_of_options(job), delivery=self.record["delivery"],
            mode=job["completion"],
        )

    @property
    def ios(self) -> int:
        """I/Os completed in the window."""
        return run.ios_of(self.record)

    @property
    def iops(self) -> float:
        """I/Os per second."""
        return run.iops_of(self.record)


def boot_machine(target: Target, plan: Plan, sweep: Sweep, boot: int) -> Machine | SimMachine:
    """The machine for one sweep; its interrupt controller and controllers make the delivery."""
    harts = sweep.harts[0]
    delivery = sweep.delivery[0]
    buffers_bytes = harts * max(sweep.iodepth) * (max(sweep.bs) + PRP_LIST_BYTES)
    buffers_bytes += harts * WRITER_BYTES * (sweep.shape == ("beside",))
    if target.modelled:
        return SimMachine(
            target.machine, str(target.app), guest_arguments(plan, sweep, boot), harts,
            controllers=min(harts, PRIVATE_LINES) if delivery == "per-hart" else 1,
            memory_mib=MODELLED_MEMORY_MIB + (buffers_bytes >> 20),
            messages=delivery == "msix", seed=boot + 1,
            timeout_s=60 + sweep.points() * plan.window_s() * MODELLED_SLOWNESS)
    return Machine(
        app=target.app,
        arguments=guest_arguments(plan, sweep, boot),
        harts=harts,
        memory_mib=MEMORY_MIB + (buffers_bytes >> 20),
        backing=target.backing,
        irqchip="imsic" if delivery == "msix" else "plic",
        controllers=min(harts, PRIVATE_LINES) if delivery == "per-hart" else 1,
        timeout_s=60 + 4 * sweep.points() * plan.window_s(),
        qemu=target.qemu,
    )


def check_key(key: Key, sweep: Sweep) -> None:
    """GuestFailed if the guest measured something else than it was asked for."""
    if key.delivery not in sweep.delivery:
        raise GuestFailed(
            f"it says that its interrupts are delivered {key.delivery}, asked for was "
            f"{', '.join(sweep.delivery)} on {key.harts} hart(s): runtime/storage.c and "
            "scripts/measure/windows.py do not agree about the machine")
    rates = [rate.iops for rate in sweep.rate]
    if key.rate not in rates:
        raise GuestFailed(
            f"it says rate_iops={key.rate}, asked for was {', '.join(map(str, rates))} (0 is a "
            "closed loop)")


class _Reader:
    """Takes the console of one boot line by line."""

    def __init__(self, pid: int | None, plan: Plan, sweep: Sweep, boot: int) -> None:
        self._pid = pid
        self._sweep = sweep
        self._place = {"boot": boot, "sweep": plan.sweeps.index(sweep)}
        self._percents = {rate.iops: rate.percent for rate in sweep.rate}
        self._begin: host_cpu.Spent | None = None
        self._spent: host_cpu.Spent | None = None
        self._firmware = ""
        self.complaints: list[str] = []

    def take(self, line: Line) -> Window | None:
        """Act on one line, which may end a window; other lines are ignored."""
        if self._pid is None and line.text.startswith("#"):
            return None
        if line.text.startswith("#begin "):
            self._begin = host_cpu.sample(self._pid, line.time_ns)
        elif line.text.startswith("#end "):
            self._spent = host_cpu.difference(
                self._begin, host_cpu.sample(self._pid, line.time_ns))
        elif line.text.startswith('{"hartq_bench"'):
            return self._window(line.text)
        elif COMPLAINT.match(line.text):
            self.complaints.append(line.text)
        elif match := FIRMWARE_LINE.match(line.text):
            self._firmware = match[1]
        return None

    def _window(self, text: str) -> Window:
        try:
            record = json.loads(text)
            window = Window(record, self._spent, self._firmware, **self._place)
            key, _ = window.key, window.iops
            window = dataclasses.replace(window, percent=self._percents.get(key.rate, 0))
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            raise GuestFailed(f"its line cannot be read: {error}\n  {text[:200]}") from error
        check_key(key, self._sweep)
        self._begin = self._spent = None
        return window


def run_boot(target: Target, plan: Plan, sweep: Sweep, boot: int, windows: list[Window], *,
             on_window: Callable[[Window], None] = lambda window: None,
             on_edge: Edge = lambda pid, begins, point: None) -> None:
    """Boot once; each window goes to the end of `windows` and to on_window() as it ends.

    on_edge() is called at each start and end of a window. A boot during which we were stopped
    (Ctrl-Z) is restarted, because its windows' CPU times are invalid.
    Raises GuestFailed when the guest fails or stops early, UsageError when it could not start.
    """
    before = len(windows)
    while True:
        with Guest(boot_machine(target, plan, sweep, boot)) as guest:
            reader = _Reader(None if target.modelled else guest.pid, plan, sweep, boot)
            for line in guest.lines():
                if guest.paused:
                    break
                if edge := EDGE.match(line.text):
                    on_edge(guest.pid, edge[1] == "begin", int(edge[2]))
                if window := reader.take(line):
                    windows.append(window)
                    on_window(window)
            result = None if guest.paused else guest.finish()
        if not guest.paused:
            break
        del windows[before:]
        print(f"stopped and continued: boot {boot + 1} is measured again", file=sys.stderr)
    if result.status != STATUS_OK:
        words = [result.reason, *filter(None, [result.stderr])]
        told = [*reader.complaints[:COMPLAINTS_MAX], "its last lines:"]
        tail = [f"  {text[:160]}" for text in result.tail]
        raise GuestFailed("\n".join([*words, *told, *tail]))
    found, expected = len(windows) - before, sweep.points()
    if found != expected:
        raise GuestFailed(f"the guest ended after {found} of {expected} windows")


def check_backing(target: Target, plan: Plan) -> None:
    """UsageError for a backing that cannot hold one block of the plan."""
    size = parse_backing(target.backing).size(BLOCK_UNIT)
    block = max(block for sweep in plan.sweeps for block in sweep.bs)
    if size is not None and size < block:
        raise UsageError(
            f"--backing: {target.backing} has {size} bytes, less than a block of {block}; "
            "hint: a smaller --bs")
