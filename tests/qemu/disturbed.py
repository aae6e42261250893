#!/usr/bin/env python3
"""I/O on every queue, disturbed from outside at random moments, over QMP: nothing may be lost.

    tests/qemu/disturbed.py --seed 7 --seconds 60

The guest (selftest/disturbed.c) checks all data, with resets and retries on. The seed chooses the
machine, the disturbances, their moments and how long each lasts:

  stop      QEMU's `stop` and `cont`
  freeze    SIGSTOP and SIGCONT for all of QEMU, whose clock goes on
  throttle  the medium lets nothing through (block_set_io_throttle)
  errors    reads, writes or flushes fail (blkdebug put below the namespace by blockdev-reopen)
  reset     the machine is reset (system_reset): the next boot must find what was acknowledged

Up to three of them come at the same time.
Nothing is judged by the clock. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import qmp
from nvme_guest import TIMEOUT_S, Case, Failure, check
from qemu.guest import Guest
from qemu.machine import Machine
from selftest_cases import Tally, count_lines, keep_log

from cli import command

NAMESPACE, TOP, MEDIUM, BAD = "ns0", "top", "disk0", "bad"
READY = "note ready"
LEAST_S, MOST_S = 0.1, 12.0
PAUSE_S = 0.3  # at most, from one disturbance to the next
ERRORS_S = 0.5  # at most: a request is tried 255 times, at least 10 ms apart
SHORT_S = 0.5  # at most, in the short form
FLUSHES_MAX = 4  # that fail in a row
EIO = 5


class Disturber:
    """What disturbs a running guest. The guest's console is read by another thread."""

    def __init__(self, guest: Guest, path: str, seed: int, most_s: float, short: bool) -> None:
        self._pid = guest.pid
        self._monitor = qmp.Qmp(path)
        self._dice = random.Random(seed)
        self._most_s = most_s
        self._short = short  # each disturbance goes on until the guest has felt it
        self.ready = threading.Event()  # the guest's queues are at work
        self.timed_out = threading.Event()  # it has told of a time-out

    def _wait(self, most_s: float) -> None:
        """Short times are as frequent as long ones."""
        time.sleep(LEAST_S * (most_s / LEAST_S) ** self._dice.random())

    @contextlib.contextmanager
    def stop(self) -> Iterator[None]:
        """The clock of the guest stands still, too."""
        self._monitor.ask("stop")
        yield
        self._monitor.ask("cont")

    @contextlib.contextmanager
    def freeze(self) -> Iterator[None]:
        """As on a host that has no time for QEMU: afterwards all deadlines are over."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    def _set_rate(self, rate: int) -> None:
        """Bytes a second; 0: all that the host can do."""
        rates = {"bps": rate, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
        self._monitor.ask("block_set_io_throttle", id=NAMESPACE, **rates)

    @contextlib.contextmanager
    def throttle(self) -> Iterator[None]:
        """A byte a second. What was held back goes on at the end."""
        self.timed_out.clear()
        self._set_rate(1)
        yield
        check(not self._short or self.timed_out.wait(TIMEOUT_S), "nothing times out")
        self._set_rate(0)

    def _failed(self) -> int:
        """Reads and writes that have failed; QEMU 7.2 does not count flushes."""
        answer = self._monitor.ask("query-blockstats")
        return sum(each["stats"][f"failed_{kind}_operations"]
                   for each in answer for kind in ("rd", "wr"))

    def _put_below(self, node: str) -> None:
        """QEMU flushes first, which may be one of the flushes that fail."""
        for left in reversed(range(FLUSHES_MAX + 1)):
            try:
                self._monitor.ask("blockdev-reopen",
                                  options=[{"driver": "raw", "node-name": TOP, "file": node}])
                return
            except Failure:
                if not left:
                    raise

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """All reads or all writes fail for a while, or the next flushes."""
        kind = self._dice.choice(("read", "write", "flush"))
        count = self._dice.randint(1, FLUSHES_MAX) if kind == "flush" else 1
        rule = {"event": "none", "iotype": kind, "errno": EIO, "once": kind == "flush"}
        self._monitor.ask("blockdev-add", driver="blkdebug", image=MEDIUM,
                          **{"node-name": BAD, "inject-error": [rule] * count})
        before = self._failed()
        self._put_below(BAD)
        yield
        for _ in range(qmp.LOOKS_MAX if self._short and kind != "flush" else 0):
            if self._failed() != before:
                break
            time.sleep(qmp.LOOK_S)
        self._put_below(MEDIUM)
        self._monitor.ask("blockdev-del", **{"node-name": BAD})

    @contextlib.contextmanager
    def reset(self) -> Iterator[None]:
        """In the midst of I/O; and wait until it is there again."""
        self.ready.clear()
        self._monitor.ask("system_reset")
        yield
        check(self.ready.wait(TIMEOUT_S), "the machine does not come back")

    def _end(self) -> None:
        """Warn the guest until QEMU is gone: a reset of the controller forgets a warning."""
        for turn in range(qmp.LOOKS_MAX):
            self._monitor.ask("qom-set", path="/machine/peripheral/nvme0",
                              property="smart_critical_warning", value=turn % 2 * 4)
            time.sleep(qmp.LOOK_S)
        raise Failure("the guest does not end")

    def _disturb(self, together: str) -> None:
        """One kind, or several at once: they end in the reverse order."""
        kinds = [kind for kind in KINDS if kind in together.split(TOGETHER)]
        with contextlib.ExitStack() as under_way:
            for kind in kinds:
                under_way.enter_context(getattr(self, kind)())
            if kinds != ["reset"]:
                self._wait(min(ERRORS_S, self._most_s) if "errors" in kinds else self._most_s)

    def run(self, kinds: Iterator[str]) -> list[str]:
        """All of these, and the end; what was done."""
        done = []
        try:
            check(self.ready.wait(TIMEOUT_S), "the guest does not begin")
            for kind in kinds:
                self._wait(PAUSE_S)
                self._disturb(kind)
                done.append(kind)
            self._end()
        except qmp.Ended:
            pass
        except BaseException:
            os.kill(self._pid, signal.SIGKILL)  # nobody else would end it
            raise
        finally:
            self._monitor.close()
        return done


# In the order in which those of one moment begin: a reset is over when the others are, and QEMU
# answers nothing while it is frozen.
KINDS = ("reset", "throttle", "errors", "stop", "freeze")
TOGETHER = "+"
# How often QEMU itself may crash, and what is said of it.
CRASHES = 2
CRASHED = "QEMU was ended by signal"
# What a guest says that has felt one.
SAID = {
    "throttle": "controller reset, I/O goes on",
    "errors": r"^note disturbed: .* [1-9]\d* retries",
    "reset": r"^note after a reset: [1-9]\d* blocks",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A machine, and the completion mode of its queues."""

    completion: str
    harts: int
    irqchip: str
    controllers: int = 1

    def __str__(self) -> str:
        controllers = f" of {self.controllers} controllers" * (self.controllers > 1)
        return f"{self.completion} on {self.harts}{controllers}, {self.irqchip}"


def after_reset(done: Sequence[str]) -> Sequence[str]:
    """What was done to the guest that ended: after the last reset."""
    resets = [i for i, each in enumerate(done) if "reset" in each.split(TOGETHER)]
    return done[resets[-1] + 1 :] if resets else done


def disturb_once(name: str, setting: Setting, kinds: Callable[[], Iterator[str]], seed: int,
                 most_s: float, short: bool) -> tuple[Tally, list[str]]:
    """One guest: what its lines came to, and what was done to it."""
    path = qmp.new_path()
    machine = Machine(
        "selftest",
        ["test=disturbed", f"completion={setting.completion}", f"seed={seed}"],
        harts=setting.harts,
        controllers=setting.controllers,
        irqchip=setting.irqchip,
        backing="ram:16m",
        namespace={"id": NAMESPACE, "drive": TOP},
        qemu_args=["-blockdev", f"driver=raw,node-name={TOP},file={MEDIUM}",
                   "-action", "reboot=reset", *qmp.arguments(path)],
        timeout_s=TIMEOUT_S,
    )
    console: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool, Guest(machine) as guest:
        disturber = Disturber(guest, path, seed, most_s, short)
        running = pool.submit(disturber.run, kinds())
        for line in guest.lines():
            guest.begin_time()
            console.append(line.text)
            if line.text == READY:
                disturber.ready.set()
            elif "command timed out" in line.text:
                disturber.timed_out.set()
        result = guest.finish()
        disturber.ready.set()
        disturber.timed_out.set()
        done = running.result()
    tally = count_lines(console, result, skips=False)
    felt = {kind for each in done for kind in each.split(TOGETHER)}
    if not any("errors" in each for each in after_reset(done)):
        felt.discard("errors")  # its guest has been reset, and its counters with it
    for kind, text in SAID.items():
        if short and kind in felt and not any(re.search(text, line) for line in console):
            tally.failures.append(f"no '{text}' on the console")
    if tally.failures:
        tally.failures.append(f"log: {keep_log(name, machine, console, result).name}")
    return tally, done


def disturb(name: str, setting: Setting, kinds: Callable[[], Iterator[str]], seed: int,
            most_s: float, short: bool) -> tuple[Tally, list[str]]:
    """As disturb_once(). QEMU 7.2 may crash by a reset amid I/O: noted, tried again."""
    notes = []
    for left in reversed(range(CRASHES + 1)):
        tally, done = disturb_once(name, setting, kinds, seed, most_s, short)
        crash = next((text for text in tally.failures if text.startswith(CRASHED)), None)
        if not left or crash is None or any(t.startswith("FAIL") for t in tally.failures):
            break
        notes.append(f"{name}: {crash}, tried again")
    tally.notes += notes
    return tally, done


def judge(name: str, setting: Setting, kinds: Sequence[str], seed: int) -> Tally:
    """The case of a name."""
    tally, done = disturb(name, setting, lambda: iter(kinds), seed, SHORT_S, True)
    if len(done) != len(kinds) and not tally.failures:
        tally.failures.append(f"it ended after {len(done)} disturbances of {len(kinds)}")
    return tally


def cases(seed: int) -> list[Case]:
    """Seconds each."""
    chosen = (
        (Setting("irq", 2, "plic"), ("stop", "freeze", "stop+freeze")),
        (Setting("poll", 1, "plic"), ("throttle", "freeze")),
        (Setting("irq", 2, "imsic"), ("throttle", "errors", "errors+stop")),
        (Setting("hybrid", 2, "aplic", 2), ("errors",) * 6),
        (Setting("irq", 2, "plic"), ("reset",) * 3),
        (Setting("hybrid", 2, "imsic"), ("reset", "reset+errors+stop", "errors")),
    )
    listed = []
    for setting, kinds in chosen:
        name = f"disturbed, {setting}: {' '.join(dict.fromkeys(kinds))}"
        listed.append(Case(name, functools.partial(judge, name, setting, kinds, seed)))
    return listed


def choose(seed: int) -> Setting:
    """A machine of a seed."""
    dice = random.Random(seed)
    harts = dice.choice((1, 2, 4))
    return Setting(dice.choice(("poll", "irq", "hybrid")), harts,
                   dice.choice(("plic", "aplic", "imsic")), dice.choice((1, min(harts, 2))))


def kinds_for(seed: int, seconds: float) -> Iterator[str]:
    """Any, for so long."""
    dice = random.Random(seed)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        yield TOGETHER.join(dice.sample(KINDS, dice.choice((1, 1, 2, 3))))


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all (default 1)")
    parser.add_argument("--seconds", type=int, default=60, metavar="S",
                        help="how long (default 60)")
    options = parser.parse_args(argv)
    setting = choose(options.seed)
    name = f"disturbed, seed {options.seed}, {setting}"
    try:
        tally, done = disturb(name, setting,
                              lambda: kinds_for(options.seed, options.seconds), options.seed,
                              min(MOST_S, options.seconds), False)
    except Failure as error:
        tally, done = Tally(0, [str(error)]), []
    felt = [kind for each in done for kind in each.split(TOGETHER)]
    told = ", ".join(f"{felt.count(kind)} {kind}" for kind in KINDS)
    print(f"{'FAIL' if tally.failures else 'ok':5} {name}: {len(done)} disturbances, {told}")
    for failure in tally.failures:
        print(f"      {failure}")
    print(f"{int(not tally.failures)} passed, {int(bool(tally.failures))} failed")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
