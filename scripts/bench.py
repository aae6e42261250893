#!/usr/bin/env python3
"""Measure polling, interrupts and hybrid mode on QEMU, interleaved, boot by boot.

Writes results.json (in fio's shape), results.csv, fio/, a table. Ctrl-C keeps what was measured.
Exit status: 0 done, 1 an interrupt was missed or the guest failed, 2 usage, 130 ended by a signal.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from analysis import comparisons, goals, host_noise, summary, two_results
from analysis.series import all_series, harts_text, size_text
from cli import command
from cli.errors import Failed
from cli.signals import Stopped, heed_signals
from measure import environment, instructions, saturation
from measure.options import BOOTS_MAX, build_parser, make_plan
from measure.plan import DELIVERIES, DOORBELLS, Plan, Sweep, duration, with_rates
from measure.progress import Progress
from measure.windows import GuestFailed, Target, Window, boot_machine, check_backing, run_boot
from qemu.machine import ROOT, UsageError, find_app
from report import advice, answer, pictures, tables
from sim import section, what_if
from sim.machine import check_options
from results import fio_files, result_file, resume

STATUS_OK, STATUS_FAILED, STATUS_STOPPED = 0, 1, 130
QEMU_ONLY = ("--backing", "--qemu")  # options that a machine in virtual time has no use for
MODELLING_PRESETS = ("default", "full")
COUNT_S = 8.0  # the four boots that count instructions, for the estimate only
MODEL_S = 5.0  # the modelled section, likewise


def models(plan: Plan, target: Target) -> bool:
    """Whether a run has the modelled section."""
    return plan.preset in MODELLING_PRESETS and not target.modelled


class Run:
    """A run of a plan: its windows so far, and its end."""

    def __init__(self, plan: Plan, target: Target, out: Path, found: saturation.Saturation,
                 old: resume.Resumed | None = None) -> None:
        self.plan = plan
        self.target = target
        self.saturation = found
        self.out = self.folder = out.resolve()
        # An older result stays until a boot has visited every point.
        if not old and (self.out / result_file.JSON_NAME).exists():
            self.folder = resume.beside(self.out)
        self._mine = self.out if old else None  # a folder whose windows are of this run
        self.windows: list[Window] = list(old.windows) if old else []
        self.repeated: list[dict] = list(old.repeated) if old else []
        self.instructions: dict | None = None
        self.modelled: dict | None = None
        self.host = resume.host_of(plan, target)
        harts = plan.values("harts")
        now = (environment.describe_model(target.machine, harts) if target.modelled
               else environment.describe(target.qemu, harts, target.backing))
        self.environment = {**old.environment, "resumed": now["date"]} if old else now

    def move_in(self) -> None:
        """After the first complete boot: replace the older result and remove the other folder."""
        beside, self.folder = self.folder, self.out
        self.save(partial=True)
        for name in (result_file.JSON_NAME, result_file.CSV_NAME, resume.WINDOWS_NAME):
            (beside / name).unlink(missing_ok=True)
        if not any(beside.iterdir()):
            beside.rmdir()

    def measure(self) -> None:
        """Run the boots that are left; `windows` keeps the results, also after an exception."""
        done = {(window.boot, window.sweep) for window in self.windows}
        progress = Progress(self.plan, sys.stderr, self.windows)
        try:
            for boot in range(self.plan.boots):
                for sweep in self.plan.sweeps_of_boot(boot):
                    if (boot, self.plan.sweeps.index(sweep)) in done:
                        continue
                    resume.check_program(self.target, self.host)
                    run_boot(self.target, self.plan, sweep, boot, self.windows,
                             on_window=progress.step)
                    self.repeat_if_busy(sweep, boot)
                    self.save(partial=True)
                if self.folder != self.out:
                    self.move_in()
        finally:
            progress.close()

    def measure_all(self) -> None:
        """The planned boots, then those that --until-ci adds; it is said why they end."""
        begin_s = time.monotonic()
        self.measure()
        while self.plan.until_ci and not (why := self.enough(time.monotonic() - begin_s)):
            self.plan = dataclasses.replace(self.plan, boots=self.plan.boots + 1)
            self.measure()
        if self.plan.until_ci:
            print(f"--until-ci {self.plan.until_ci}: {why}", flush=True)

    def enough(self, spent_s: float) -> str:
        """Why no boot is to be added; empty if one is."""
        found = comparisons.widest(self.save(partial=True))
        if not found:
            return "polling and interrupts share no point"
        depth, ratio = found
        text = (f"after {self.plan.boots} boots the widest interval of polling / interrupts is "
                f"{ratio}, {ratio.width_percent:.0f} %, at queue depth {depth}")
        if ratio.sure and ratio.width_percent <= self.plan.until_ci:
            return text
        next_s = self.plan.seconds() / self.plan.boots
        if spent_s + next_s > self.plan.budget_ms / 1e3 or self.plan.boots >= BOOTS_MAX:
            return f"the budget is over; {text}"
        return ""

    def repeat_if_busy(self, sweep: Sweep, boot: int) -> None:
        """Measure the last boot again, once, if its threads waited for a core: the calmer counts.

        Repeats are few, so a host that is always busy costs little; each is in the result.
        """
        cores = self.environment.get("host_cores")
        first = self.windows[-sweep.points():]
        waited = host_noise.waited(first, cores)
        if waited < host_noise.WAIT_MAX or len(self.repeated) >= self.plan.repeats_most():
            return
        print(f"boot {boot + 1}: QEMU's threads waited {100 * waited:.0f} % of the time for a "
              "core: it is measured again", file=sys.stderr, flush=True)
        again: list[Window] = []
        run_boot(self.target, self.plan, sweep, boot, again)
        then = host_noise.waited(again, cores)
        self.repeated.append({"boot": boot, "sweep": self.plan.sweeps.index(sweep),
                              "wait_fractions": [round(waited, 4), round(then, 4)]})
        if then < waited:
            self.windows[-len(first):] = again

    def count(self) -> None:
        """Count instructions exactly, in a separate pass; a failure loses only this count."""
        print("counting instructions", file=sys.stderr, flush=True)
        try:
            compiler, rows = instructions.measure(self.target.qemu)
        except Failed as error:
            print(f"bench.py: instructions were not counted: {error}", file=sys.stderr)
            return
        self.instructions = {"compiler": compiler, "rows": rows}

    def model(self) -> None:
        """The modes on machines in virtual time, seconds; a failure loses only this section."""
        print("modelling other machines", file=sys.stderr, flush=True)
        try:
            self.modelled = section.measure_all()
        except Failed as error:
            print(f"bench.py: nothing was modelled: {error}", file=sys.stderr)

    def save(self, partial: bool) -> dict:
        """Write the result so far."""
        plan = self.plan
        options = {
            "ioengine": "hartq", "direct": 1, "time_based": 1,
            "runtime": f"{plan.runtime_ms}ms", "ramp_time": f"{plan.ramp_ms}ms",
            "boots": plan.boots,
            "delivery": ",".join(sorted(plan.values("delivery"), key=DELIVERIES.index)),
            "doorbell": ",".join(sorted(plan.values("doorbell"), key=DOORBELLS.index)),
        }
        if plan.preset:
            options["preset"] = plan.preset
        if any(plan.values("rate")):
            options["rate_process"] = plan.process
        header = {**self.environment, "opensbi": self.windows[-1].firmware}
        if not self.target.modelled:
            header["host_load_after"] = environment.load_averages()
        result = summary.build(self.windows, header, options, partial,
                               saturation.as_json(self.saturation), self.instructions)
        if self.modelled:
            result["modelled"] = self.modelled
        result["repeated_boots"] = self.repeated
        result["plan"] = {**dataclasses.asdict(plan), "host": self.host}
        if self.folder != self._mine:
            resume.forget_windows(self.folder)
            self._mine = self.folder
        result_file.save(result, self.folder)
        resume.save_windows(self.windows, self.folder)
        pictures.clear(self.folder)
        fio_files.clear(self.folder)
        return result


def shown(folder: Path) -> Path:
    """A path, relative to the current folder if it is inside."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def report(result: dict, out: Path) -> int:
    """Print table, answer, goals and faults; the return value is the exit status."""
    main_series = next(iter(all_series(result)), None)
    print("", *filter(None, [advice.sentence(result)]), "", sep="\n")
    if main_series:
        print(f"{main_series.rw}, {size_text(main_series.bs)}, {harts_text(main_series.harts)} "
              "unless a column says otherwise; median and interval of the boots")
    print(*tables.table(result), "", *answer.words(result), "", sep="\n")
    print(*goals.lines(result), *goals.missed_lines(result), sep="\n")
    faults = goals.faults(result)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(*host_noise.noise_lines(result), sep="\n")
    print(f"\n{environment.header(result['environment'])}")
    print(f"written: {shown(out)}/{result_file.JSON_NAME}, {result_file.CSV_NAME}, "
          f"{fio_files.FOLDER}/")
    return STATUS_FAILED if faults else STATUS_OK


def execute(run: Run, count: bool) -> int:
    """Measure and report; a run that ends early reports its windows so far."""
    status, why = STATUS_OK, ""
    try:
        run.measure_all()
        if count:
            run.count()
        if models(run.plan, run.target):
            run.model()
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
    fio_files.save(result, run.folder)
    verdict = report(result, run.folder)
    if why:
        kept = f"{len(run.windows)} of {run.plan.windows()} windows"
        print(f"partial: {kept} were kept; plot.py draws them")
        if not run.target.modelled:  # such a run takes seconds: it begins anew
            print(f"to go on: scripts/bench.py --resume --out {shown(run.folder)}")
    if run.folder != run.out:
        print(f"the older result stays in {shown(run.out)}: the first boot was not complete")
    return status or verdict


def count_instructions(options: argparse.Namespace) -> int:
    """The preset that is another program; nothing but the emulator can be chosen."""
    if other := build_parser().given(options, ("preset", "qemu")):
        raise UsageError(f"--preset instructions: takes no {', '.join(other)}; hint: --qemu alone")
    heed_signals()
    _, rows = instructions.measure(options.qemu)
    instructions.print_table(rows)
    return STATUS_FAILED if any(map(instructions.contaminated, rows)) else STATUS_OK


def go_on(options: argparse.Namespace) -> int:
    """The rest of a run that was ended early; its own options hold."""
    known = ("resume", "out", "backing", "qemu", "no_instructions")
    if other := build_parser().given(options, known):
        raise UsageError(
            f"--resume: takes no {', '.join(other)}; hint: the plan is that of the first run")
    target = Target(options.backing, options.qemu)
    old = resume.load(options.out, target, summary.build)
    left, count = old.plan.windows() - len(old.windows), not options.no_instructions
    left_s = (old.plan.seconds() * left / old.plan.windows() + COUNT_S * count
              + MODEL_S * models(old.plan, target))
    print(old.plan.describe())
    print(f"      {len(old.windows)} of {old.plan.windows()} windows are there, {left} to go, "
          f"about {duration(left_s)}", flush=True)
    heed_signals()
    run = Run(old.plan, target, options.out, old.saturation, old)
    return execute(run, count)


def begin(options: argparse.Namespace) -> int:
    """Check everything, show the plan, find saturation if it is asked for, run it."""
    target = Target(options.backing, options.qemu, machine=options.machine)
    if target.modelled:
        qemus = [each for each in build_parser().given(options, ()) if each in QEMU_ONLY]
        check_options(options.machine, qemus)
    plan = make_plan(options)
    check_backing(target, plan)
    count = not options.no_instructions and not target.modelled
    around_s = (sum(each.seconds() for each in saturation.plans(plan.sweeps)) + COUNT_S * count
                + MODEL_S * models(plan, target))
    if options.dry_run:
        print(plan.describe(around_s))
        return STATUS_OK
    if not target.modelled:
        find_app(target.app)
    boot_machine(target, plan, plan.sweeps[0], 0).argv()
    print(plan.describe(around_s), flush=True)
    heed_signals()
    try:
        found = saturation.measure_saturation(target, plan)
    except (Stopped, GuestFailed) as error:
        print(f"bench.py: saturation was not found: {error}", file=sys.stderr)
        return STATUS_STOPPED if isinstance(error, Stopped) else STATUS_FAILED
    print(*saturation.lines(found), sep="\n", end="\n" if found else "", flush=True)
    plan = dataclasses.replace(plan, sweeps=with_rates(plan.sweeps, found))
    return execute(Run(plan, target, options.out, found), count)


def answer_what_if(name: str) -> int:
    """Where polling pays on a modelled machine: a table and a picture."""
    closed, opened = what_if.closed_cells(name), what_if.open_cells(name)
    print(*what_if.lines(closed, opened), sep="\n")
    folder = ROOT / "results" / "what-if"
    folder.mkdir(parents=True, exist_ok=True)
    stem = name.removeprefix("sim:").replace("+", "-")
    # Here alone: nothing else of this command draws, and matplotlib takes a second to load.
    from report import axes
    from report import what_if as picture
    files = {f"{stem}.{kind}": metadata for kind, metadata in pictures.KINDS.items()}
    axes.save(picture.draw(name, closed, opened),
              {str(folder / file): metadata for file, metadata in files.items()})
    print(f"\nwritten: {', '.join(str(shown(folder) / file) for file in files)}")
    return STATUS_OK


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_args(argv)
    if options.preset == "instructions":
        return count_instructions(options)
    if options.compare:
        if other := build_parser().given(options, ("compare",)):
            raise UsageError(f"--compare: takes no {', '.join(other)}")
        return two_results.run(*options.compare)
    if options.what_if:
        if other := build_parser().given(options, ("what_if",)):
            raise UsageError(f"--what-if: takes no {', '.join(other)}")
        return answer_what_if(options.what_if)
    if options.resume:
        return go_on(options)
    # An older result stays until a boot is complete; the new one begins in a folder next to it.
    older = (options.out / result_file.JSON_NAME).exists()
    with result_file.reserved(options.out, *[options.out.resolve().parent] * older):
        return begin(options)


if __name__ == "__main__":
    sys.exit(main())
