"""A backing that QEMU throttles for seconds, over QMP, under the bench and the nvme tool.

Nothing is judged by the clock: the throttle lets a request a second through, and is lifted when
QEMU has counted some. All others of the first batch have waited that long.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time

import qmp
from qemu.guest import Guest, Result
from qemu.machine import Machine
from nvme_guest import TIMEOUT_S, Case, check, nvme

BATCH = 8
LET_THROUGH = 5  # four seconds between the first and the last
NAMESPACE = "ns0"


def throttle(monitor: qmp.Qmp, iops: int) -> None:
    """Let so many requests through in a second; 0 is all of them."""
    rates = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": iops, "iops_rd": 0, "iops_wr": 0}
    monitor.ask("block_set_io_throttle", id=NAMESPACE, **rates)


def reads(monitor: qmp.Qmp) -> int:
    """Read commands that have ended."""
    answer = monitor.ask("query-blockstats")
    assert isinstance(answer, list)
    return sum(each["stats"]["rd_operations"] for each in answer)


def lift(monitor: qmp.Qmp) -> None:
    """End the throttle once some requests have come through it."""
    looks = 0
    while reads(monitor) < LET_THROUGH:
        looks += 1
        check(looks < qmp.LOOKS_MAX, "the guest does not read")
        time.sleep(qmp.LOOK_S)
    throttle(monitor, 0)


def run_throttled(
    app: str, words: str, lifts: bool, harts: int = 1, irqchip: str = "plic"
) -> tuple[Result, list[str]]:
    """One boot with one controller. The throttle is there before the guest's first command."""
    path = qmp.new_path()
    machine = Machine(
        app,
        words.split(),
        harts=harts,
        controllers=1,
        irqchip=irqchip,
        timeout_s=TIMEOUT_S,
        namespace={"id": NAMESPACE},
        qemu_args=["-S", *qmp.arguments(path)],
    )
    console = []
    with Guest(machine) as guest:
        monitor = qmp.Qmp(path)
        throttle(monitor, 1)
        monitor.ask("cont")
        if lifts:
            with contextlib.suppress(qmp.Ended):
                lift(monitor)
        for line in guest.lines():
            guest.begin_time()
            console.append(line.text)
        monitor.close()
        return guest.finish(), console


WORDS = {
    "bench": f"rw=randread iodepth={BATCH} runtime=50ms ramp_time=0",
    "nvme": f"crc bs=512 count={4 * BATCH} iodepth={BATCH}",
}


def patience(app: str, mode: str) -> None:
    """The deadline that is not named is long enough."""
    words = f"{WORDS[app]} completion={mode}"
    result, console = run_throttled(app, words, lifts=True)
    check(result.status == 0, f"{words}: {result.reason}", console)
    check(not any("timed out" in line for line in console), "timed out", console)


def deadline(app: str, mode: str) -> None:
    """One that is too short ends the controller, in words."""
    words = f"{WORDS[app]} completion={mode} timeout=1s"
    result, console = run_throttled(app, words, lifts=False)
    check(result.status == 1 and result.guest_exit == 1, f"{words}: {result.reason}", console)
    source = "closed: no interrupt queue" if mode in ("poll", "raw") else "(open|closed: polled)$"
    timed_out = f"command timed out: .*; interrupt source {source}"
    for text in (timed_out, "failed controller disabled", "^error: "):
        check(any(re.search(text, line) for line in console), f"no '{text}'", console)


def reset(mode: str, harts: int, irqchip: str) -> None:
    """With resets the same controller comes back, and what it had is tried again."""
    words = f"{WORDS['bench']} completion={mode} numjobs={harts} timeout=1s resets=255"
    result, console = run_throttled("bench", words, lifts=True, harts=harts, irqchip=irqchip)
    check(result.status == 0, f"{words}: {result.reason}", console)
    for text in ("command is late, Abort is tried", "command timed out", "controller reset, "):
        check(any(text in line for line in console), f"no '{text}'", console)


def option() -> None:
    """Its limits and its default are told."""
    nvme("crc timeout=999ms", "error: timeout=999ms is too small .1s to 3600s", status=1)
    nvme("help", "^timeout= .*default 30s")


def cases() -> list[Case]:
    """All of them."""
    long = (("bench", "hybrid"), ("nvme", "irq"))
    short = (("bench", "poll"), ("nvme", "poll"), ("nvme", "irq"), ("nvme", "hybrid"))
    return [
        Case("timeout=, its limits", option),
        *(
            Case(f"throttled for 4 s, {app} {mode}", functools.partial(patience, app, mode))
            for app, mode in long
        ),
        *(
            Case(f"throttled, timeout=1s, {app} {mode}", functools.partial(deadline, app, mode))
            for app, mode in short
        ),
        *(
            Case(
                f"throttled, timeout=1s, resets, {mode} on {harts}, {irqchip}",
                functools.partial(reset, mode, harts, irqchip),
            )
            for mode, harts, irqchip in (
                ("poll", 1, "plic"),
                ("hybrid", 1, "plic"),
                ("irq", 2, "plic"),
                ("irq", 2, "imsic"),
            )
        ),
    ]
