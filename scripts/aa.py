#!/usr/bin/env python3
"""Test the method: compare a build with itself, and with itself slowed down.

Three results are measured in turn, boot by boot. A and B are the same build. S is stopped for a
share of the time, at points that a seed chooses (SIGSTOP to QEMU: the guest's clock goes on, so its
IOPS fall). Compared in pairs, A and B must agree, and S must be slower.
With --other B is another build, which must not be slower: use it for a change that costs speed.

Exit status: 0 the method holds, 1 it does not or a guest failed, 2 usage, 130 ended by a signal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from analysis import summary, two_results
from cli import command, errors
from cli.signals import heed_signals
from measure import environment
from measure.modes import USABLE as MODES
from measure.plan import Plan, Sweep, runnable
from measure.windows import Target, Window, run_boot
from qemu.machine import ROOT, find_app
from results import result_file

STATUS_OK, STATUS_FAILED = 0, 1
DEPTHS = (1, 4, 16, 32, 64, 128)
RAW = ("raw",)  # shows the host's speed; never slowed
SWEEPS = (
    Sweep(DEPTHS, completion=MODES),
    Sweep((32, 128), (0,), MODES),
    Sweep(DEPTHS, completion=RAW),
)
# With 11 pairs the interval excludes an extreme on each side and has 98.8 % confidence.
BOOTS, RUNTIME_MS, RAMP_MS = 11, 200, 30
DIFFER_MOST = 0.05  # of the points of A and B
FOUND_LEAST = 0.5  # of the slowed points: host noise may hide the others
SLOW_PERCENT = 20
PERIOD_S = 0.01
SEED_MAX = 10**9
SIDES = ("A", "B", "S")


class Brake:
    """Stops QEMU for a share of the time inside a window."""

    def __init__(self, percent: int) -> None:
        self._stop_s = PERIOD_S * percent / 100
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def press(self, pid: int) -> None:
        """Begin to stop and continue QEMU."""
        self._over.clear()
        self._thread = threading.Thread(target=self._work, args=(pid,), daemon=True)
        self._thread.start()

    def _work(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            while not self._over.wait(PERIOD_S - self._stop_s):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self._stop_s)
                os.kill(pid, signal.SIGCONT)

    def release(self) -> None:
        """Let QEMU run."""
        if self._thread:
            self._over.set()
            self._thread.join()
            self._thread = None


def order_of_boot(boot: int) -> tuple[str, ...]:
    """The order of the sides: each is first, and last, as often as the others."""
    turned = SIDES[boot % 3 :] + SIDES[: boot % 3]
    return turned[::-1] if boot // 3 % 2 else turned


def choose(plan: Plan, seed: int) -> list[set[int]]:
    """Choose half of the depths of each sweep of modes, by their place in the guest.

    The modes of a depth follow one another, in another order in each boot.
    """
    source = random.Random(seed)
    places = [sweep.points() // len(sweep.completion) for sweep in plan.sweeps]
    return [
        set() if sweep.completion == RAW else set(source.sample(range(count), count // 2))
        for sweep, count in zip(plan.sweeps, places)]


class Test:
    """The three results while they are measured."""

    def __init__(self, plan: Plan, targets: dict[str, Target], slowed: list[set[int]],
                 percent: int) -> None:
        self.plan = plan
        self.targets = targets  # by side
        self.slowed = slowed
        self.brake = Brake(percent)
        self.windows: dict[str, list[Window]] = {side: [] for side in SIDES}

    def is_slowed(self, sweep: int, point: int) -> bool:
        """Whether S is stopped there; `sweep` is a place in the plan, `point` one in the guest."""
        return point // len(self.plan.sweeps[sweep].completion) in self.slowed[sweep]

    def names(self) -> set[str]:
        """The slowed points."""
        return {window.record["jobname"] for window in self.windows["S"]
                if self.is_slowed(window.sweep, window.record["point"])}

    def run_boot(self, side: str, boot: int) -> None:
        """One boot of each sweep."""
        for number, sweep in enumerate(self.plan.sweeps):

            def edge(pid: int, begins: bool, point: int, number: int = number) -> None:
                self.brake.release()
                if begins and side == "S" and self.is_slowed(number, point):
                    self.brake.press(pid)

            try:
                run_boot(self.targets[side], self.plan, sweep, boot, self.windows[side],
                         on_edge=edge)
            finally:
                self.brake.release()

    def measure(self) -> None:
        """All boots of all sides."""
        begin_s = time.monotonic()
        for boot in range(self.plan.boots):
            for side in order_of_boot(boot):
                self.run_boot(side, boot)
            left_s = (time.monotonic() - begin_s) / (boot + 1) * (self.plan.boots - boot - 1)
            print(f"boot {boot + 1}/{self.plan.boots} of A, B and S, about {left_s:.0f} s left",
                  file=sys.stderr, flush=True)

    def results(self, header: dict) -> dict[str, dict]:
        """The results as bench.py writes them, marked as measured in pairs."""
        pair = f"{time.time_ns():x}"
        return {side: {**summary.build(windows, header, {"side": side}, False), "pair": pair}
                for side, windows in self.windows.items()}


def judge(built: dict[str, dict], slowed: set[str],
          other: bool = False) -> tuple[list[str], bool]:
    """The verdict in words, and true if the method holds; another build may be faster."""
    same, slow = (two_results.differences(built["A"], built[side]) for side in "BS")
    differ = [each.name for each in same
              if (each.iops.verdict() < 0 if other else each.iops.verdict())]
    found = [each.name for each in slow if each.name in slowed and each.iops.verdict() < 0]
    false = [each.name for each in slow if each.name not in slowed and each.iops.verdict()]
    others = len(slow) - len(slowed)
    alike = len(differ) <= DIFFER_MOST * len(same)
    seen = (len(found) >= FOUND_LEAST * len(slowed)
            and len(false) <= max(1, DIFFER_MOST * others))
    said, what = ("another", "are slower") if other else ("the same", "differ")

    def line(holds: bool, text: str, names: list[str]) -> str:
        return f"{'ok  ' if holds else 'FAIL'} {text}" + (f" ({', '.join(names)})" if names else "")

    return [
        line(alike, f"A against B, {said} build: {len(differ)} of {len(same)} points {what}, at "
             f"most {100 * DIFFER_MOST:g} % may", differ),
        line(seen, f"A against S: {len(found)} of {len(slowed)} slowed points found, at least "
             f"{100 * FOUND_LEAST:g} % must be; {len(false)} of {others} others differ", false),
    ], alike and seen


def execute(test: Test, options: argparse.Namespace) -> int:
    """Measure, save, judge."""
    header = environment.describe(test.targets["A"].qemu, [1], test.targets["A"].backing)
    test.measure()
    header["opensbi"] = test.windows["A"][0].firmware
    built, names = test.results(header), test.names()
    for side, result in built.items():
        result_file.save(result, options.out / side)
    for title, side in (("B / A", "B"), (f"S / A, slowed by {options.slow} % where marked *", "S")):
        print(f"\n{title}: median and interval of {test.plan.boots} pairs of boots")
        for each in two_results.differences(built["A"], built[side]):
            print("*" if side == "S" and each.name in names else " ", each)
    words, holds = judge(built, names, bool(options.other))
    print("", *words, f"seed {options.seed}; written: A, B and S in {options.out.name}", sep="\n")
    return STATUS_OK if holds else STATUS_FAILED


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    parser = command.Parser(prog="aa.py", description=__doc__)
    add = parser.add_argument
    add("--seed", type=errors.number("--seed", 0, SEED_MAX), default=1, metavar="N",
        help="seed that chooses the slowed points (default 1)")
    add("--boots", type=errors.number("--boots", 6, 100), default=BOOTS, metavar="N",
        help=f"boots of each side (default {BOOTS})")
    add("--slow", type=errors.number("--slow", 1, 90), default=SLOW_PERCENT, metavar="PCT",
        help=f"share of the time that S is stopped (default {SLOW_PERCENT})")
    add("--other", metavar="ELF", help="another build of the bench program, for B")
    add("--out", type=Path, default=ROOT / "results" / "aa", metavar="DIR",
        help="where the results go (default results/aa)")
    add("--qemu", metavar="PATH", help="emulator (default $QEMU, else qemu-system-riscv64)")
    options = parser.parse_args(argv)
    target = Target("null", options.qemu)
    other = options.other or target.app
    find_app(target.app)
    find_app(other)
    sweeps, _ = runnable(SWEEPS)
    plan = Plan(sweeps, options.boots, RUNTIME_MS, RAMP_MS)
    print(f"three times {plan.describe()}", flush=True)
    heed_signals()
    targets = {**dict.fromkeys(SIDES, target), "B": Target("null", options.qemu, app=other)}
    with result_file.reserved(options.out):
        return execute(Test(plan, targets, choose(plan, options.seed), options.slow), options)


if __name__ == "__main__":
    sys.exit(main())
