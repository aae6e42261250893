#!/usr/bin/env python3
"""Measure polling against interrupts on QEMU: a matrix of points, interleaved, repeated.

Writes results.json (in fio's shape), results.csv and a table. Ctrl-C keeps what was measured.
Exit status: 0 done, 1 an interrupt was missed or the guest failed, 2 usage, 130 ended by a signal.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import answer
import environment
import results
from machine import ROOT, UsageError, find_app
from matrix import (
    COMPLETIONS,
    DEPTH_MAX,
    HARTS_MAX,
    PRESETS,
    WORKLOADS,
    Plan,
    Sweep,
    parse_blocks,
    parse_numbers,
    parse_time_ms,
    parse_words,
    runnable,
)
from measure import (
    GuestFailed,
    Target,
    Window,
    boot_machine,
    check_backing,
    check_target,
    run_boot,
)
from stop import Stopped, heed_signals

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None  # plain lines instead of a bar

STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_STOPPED = 0, 1, 2, 130
ROUNDS_MAX = 1000
PLAIN_EVERY_S = 10.0
# A picture of an older result must not stand beside a new one.
DRAWN = ("iops", "latency", "cpu")

EPILOG = """\
examples:
  scripts/bench.py                                     the default matrix, under 4 minutes
  scripts/bench.py --preset quick --out results/try
  scripts/bench.py --completion irq,limit --iodepth 32 --batch 1 --runtime 10s --boots 1
  scripts/bench.py --rw randwrite --backing ram:256m --iodepth 1,32 --bs 4k,128k
  scripts/bench.py --completion poll --harts 1,2,4,8 --iodepth 32 --batch 32
A list option replaces that list of the preset. --batch 0 is the whole depth behind one doorbell.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--preset",
        choices=(*PRESETS, "instructions"),
        default="default",
        help="which matrix (default: default); instructions counts them exactly instead",
    )
    add(
        "--completion",
        metavar="M,...",
        help=f"of {', '.join(COMPLETIONS)}; limit is the raw ring without the engine "
        "(not for rw and randrw)",
    )
    add("--iodepth", metavar="N,...", help=f"queue depths, 1 to {DEPTH_MAX}")
    add("--batch", metavar="N,...", help="commands behind one doorbell; 0 is the depth")
    add("--bs", metavar="SIZE,...", help="block sizes, such as 512,4k,1m")
    add("--rw", metavar="W,...", help=f"of {', '.join(WORKLOADS)}")
    add(
        "--harts",
        metavar="N,...",
        help=f"harts that do I/O, 1 to {HARTS_MAX}; with more than 4 "
        "only polled, because interrupt lines are shared",
    )
    add(
        "--delivery",
        choices=("per-hart", "shared", "msix"),
        default="per-hart",
        help="how interrupts reach the harts (default and, in this version, only: per-hart)",
    )
    add(
        "--backing",
        default="null",
        metavar="WHERE",
        help="null[:SIZE], ram:SIZE or a raw image, as run.py (default null)",
    )
    add("--rounds", type=int, metavar="N", help="measured windows per point, all boots together")
    add("--boots", type=int, metavar="N", help="boots that share the rounds")
    add("--runtime", metavar="TIME", help="length of a window, such as 500ms")
    add(
        "--out",
        type=Path,
        default=ROOT / "results" / "latest",
        metavar="DIR",
        help="where the result goes (default results/latest)",
    )
    add("--qemu", metavar="PATH", help="emulator (default $QEMU, else qemu-system-riscv64)")
    add("--dry-run", action="store_true", help="print the plan and stop")
    return parser  # fmt: skip


def chosen_sweeps(options: argparse.Namespace) -> list[Sweep]:
    """The preset's sweeps, or one sweep of the lists that were given."""
    preset = PRESETS[options.preset]
    lists: dict[str, tuple] = {}
    if options.iodepth:
        lists["iodepth"] = parse_numbers(options.iodepth, "--iodepth", 1, DEPTH_MAX)
    if options.batch:
        lists["batch"] = parse_numbers(options.batch, "--batch", 0, DEPTH_MAX)
    if options.bs:
        lists["bs"] = parse_blocks(options.bs, "--bs")
    if options.rw:
        lists["rw"] = parse_words(options.rw, "--rw", WORKLOADS)
    if options.harts:
        lists["harts"] = parse_numbers(options.harts, "--harts", 1, HARTS_MAX)
    sweeps = (dataclasses.replace(preset.sweeps[0], **lists),) if lists else preset.sweeps
    if options.completion:
        modes = parse_words(options.completion, "--completion", COMPLETIONS)
        sweeps = tuple(dataclasses.replace(sweep, completion=modes) for sweep in sweeps)
    return runnable(sweeps)


def make_plan(options: argparse.Namespace) -> Plan:
    """The plan that the command line asks for."""
    preset = PRESETS[options.preset]
    rounds = preset.rounds if options.rounds is None else options.rounds
    boots = min(rounds, preset.boots) if options.boots is None else options.boots
    runtime_ms = parse_time_ms(options.runtime, "--runtime") if options.runtime else None
    if not 1 <= rounds <= ROUNDS_MAX:
        raise UsageError(f"--rounds: {rounds} is out of range (1 to {ROUNDS_MAX})")
    if not 1 <= boots <= rounds:
        raise UsageError(f"--boots: {boots} is out of range (1 to the rounds, {rounds})")
    sweeps = tuple(chosen_sweeps(options))
    return Plan(sweeps, rounds, boots, runtime_ms or preset.runtime_ms, preset.ramp_ms)


class Progress:
    """A bar with the time left; plain lines where there is no terminal."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._plan = plan
        self._stream = stream
        self._done = 0
        self._begin_s = self._told_s = time.monotonic()
        self._bar = self._open_bar() if tqdm and stream.isatty() else None

    def _open_bar(self) -> tqdm:
        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} windows, {elapsed} done, {remaining} left"
        total = self._plan.windows()
        return tqdm(
            total=total, file=self._stream, bar_format=form, dynamic_ncols=True, leave=False
        )

    def step(self, window: Window) -> None:
        """One more window is measured."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_description_str(f"{window.record['jobname']:30}", refresh=False)
            self._bar.update()
        elif time.monotonic() - self._told_s >= PLAIN_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        total = self._plan.windows()
        left_s = (self._told_s - self._begin_s) * (total - self._done) / self._done
        print(
            f"{self._done}/{total} windows, about {left_s:.0f} s left",
            file=self._stream,
            flush=True,
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()


class Run:
    """A run of a plan: what it measured so far, and how it ended."""

    def __init__(self, plan: Plan, target: Target, out: Path) -> None:
        self.plan = plan
        self.target = target
        self.out = out.resolve()
        self._older = (self.out / results.JSON_NAME).exists()
        self._boots = 0
        self.windows: list[Window] = []
        harts = [hart for sweep in plan.sweeps for hart in sweep.harts]
        self.environment = environment.describe(target.qemu, harts, target.backing)

    @property
    def folder(self) -> Path:
        """Where the result goes: beside an older one until a boot has visited every point."""
        beside = self._older and not self._boots
        return self.out.with_name(f"{self.out.name}.partial") if beside else self.out

    def measure(self) -> None:
        """All boots. What was measured is in `windows` however this ends."""
        progress = Progress(self.plan, sys.stderr)

        def keep(window: Window) -> None:
            self.windows.append(window)
            self.environment["opensbi"] = window.firmware
            progress.step(window)

        try:
            for boot, sweep in itertools.product(range(self.plan.boots), self.plan.sweeps):
                run_boot(self.target, self.plan, sweep, boot, keep)
                self._boots += sweep is self.plan.sweeps[-1]
                if self.folder == self.out:
                    self.save(partial=True)
        finally:
            progress.close()

    def save(self, partial: bool) -> dict:
        """Write the result as it stands."""
        load = [round(each, 2) for each in os.getloadavg()]
        plan = self.plan
        options = {
            "ioengine": "hartq",
            "direct": 1,
            "time_based": 1,
            "runtime": f"{plan.runtime_ms}ms",
            "ramp_time": f"{plan.ramp_ms}ms",
            "rounds": plan.rounds,
            "boots": plan.boots,
            "delivery": self.target.delivery,
        }
        header = {**self.environment, "host_load_after": load}
        result = results.build(self.windows, header, options, partial)
        results.save(result, self.folder)
        clear_pictures(self.folder)
        return result


def clear_pictures(out: Path) -> None:
    """Remove what plot.py drew from an older result."""
    for name in [f"{stem}.{kind}" for stem in DRAWN for kind in ("png", "svg")] + ["answer.md"]:
        (out / name).unlink(missing_ok=True)


def shown(folder: Path) -> Path:
    """A path as short as it can be said."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def report(result: dict, out: Path) -> int:
    """Print table, answer, targets and faults; the return value is the exit status."""
    family = next(iter(answer.families(result)), None)
    print()
    if family:
        print(f"{family.rw}, {answer.size_text(family.bs)}, {family.harts} hart(s) unless a column "
              "says otherwise; median and interval of the rounds")  # fmt: skip
    print(*answer.table(result), "", *answer.words(result), "", sep="\n")
    print(*answer.targets(result), answer.missed_line(result), sep="\n")
    faults = answer.faults(result)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(*answer.crowding(result), sep="\n")
    print(f"\n{environment.header(result['environment'])}")
    print(f"written: {shown(out)}/{results.JSON_NAME}, {results.CSV_NAME}")
    return STATUS_FAILED if faults else STATUS_OK


def execute(run: Run) -> int:
    """Measure and report; a run that ends early reports what it has."""
    status, why = STATUS_OK, ""
    try:
        run.measure()
    except Stopped:
        status, why = STATUS_STOPPED, "ended by a signal"
    except GuestFailed as failed:
        status, why = STATUS_FAILED, f"the guest failed: {failed}"
    result = run.save(partial=status != STATUS_OK) if run.windows else None
    if why:
        print(f"\nbench.py: {why}", file=sys.stderr)
    if result is None:
        print("bench.py: nothing was measured, nothing was written", file=sys.stderr)
        return status
    verdict = report(result, run.folder)
    if why:
        kept = f"{len(run.windows)} of {run.plan.windows()} windows"
        print(f"partial: {kept} were kept; plot.py draws them")
    if run.folder != run.out:
        print(f"the older result stays in {shown(run.out)}: the first boot was not complete")
    return status or verdict


def count_instructions(options: argparse.Namespace) -> int:
    """The preset that another script knows how to run; nothing but the emulator can be chosen."""
    usual = vars(build_parser().parse_args([]))
    odd = [f"--{name.replace('_', '-')}" for name, value in vars(options).items()
           if name not in ("preset", "qemu") and value != usual[name]]  # fmt: skip
    if odd:
        raise UsageError(f"--preset instructions: takes no {', '.join(odd)} (--qemu alone)")
    rest = ["--qemu", options.qemu] if options.qemu else []
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "instructions.py"), *rest], check=False
    ).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_args(argv)
    try:
        if options.preset == "instructions":
            return count_instructions(options)
        target = Target(options.backing, options.delivery, options.qemu)
        check_target(target)
        plan = make_plan(options)
        check_backing(target, plan)
        print(plan.describe(), flush=True)
        if options.dry_run:
            return STATUS_OK
        find_app(target.app)
        boot_machine(target, plan, plan.sweeps[0], 0).argv()
        run = Run(plan, target, options.out)
        heed_signals()
        return execute(run)
    except UsageError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return STATUS_USAGE
    except OSError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return STATUS_FAILED


if __name__ == "__main__":
    sys.exit(main())
