#!/usr/bin/env python3
"""Compare with Linux's nvme driver, fio and a bare loop on the same machine, in paired boots.

Writes results.json (ours), linux-*.json (fio's shape) and peers.json, prints ratios and goals.
Ctrl-C keeps what was measured. Exit status: 0 done, 1 a guest failed or a package is missing,
2 usage, 130 ended by a signal.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from analysis import goals, host_noise, summary
from cli import command
from cli.errors import number
from cli.signals import Stopped, heed_signals
from linux import boot as linux_boot, image as linux_image, results, tables
from linux.image import say
from linux.plan import (
    BS, DEFAULT, ENGINES, LOOP, QUICK, RW, PeerPlan, count_files, job_files,
)
from measure import environment
from measure.windows import GuestFailed, Target, Window, boot_machine, check_backing, run_boot
from qemu.backing import BACKING_HELP
from qemu.machine import ROOT, Machine, find_app
from results import result_file

STATUS_OK, STATUS_FAILED, STATUS_STOPPED = 0, 1, 130
BOOTS_MAX = 100
TRIES = 2  # of a boot of Linux
INITRD = "initrd"


def build_parser() -> command.Parser:
    """The command line."""
    parser = command.Parser(prog="peers.py", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="3 pairs of short windows: a look, no verdict")
    add("--boots", type=number("--boots", 1, BOOTS_MAX), metavar="N",
        help=f"boot pairs, 1 to {BOOTS_MAX} (default {DEFAULT.boots}: 95 %% needs 6)")
    add("--backing", default="null", metavar="WHERE",
        help=f"{BACKING_HELP}; the same for both")
    add("--out", type=Path, default=ROOT / "results" / "latest" / "peers", metavar="DIR",
        help="where the result goes (default results/latest/peers)")
    add("--image", type=Path, default=linux_image.CACHE, metavar="DIR",
        help="where Linux's packages are kept (default build/peers)")
    add("--qemu", metavar="PATH", help="emulator (default $QEMU, else qemu-system-riscv64)")
    add("--dry-run", action="store_true", help="print the plan and stop")
    return parser


def make_plan(options: argparse.Namespace) -> PeerPlan:
    """The plan that the command line describes."""
    plan = QUICK if options.quick else DEFAULT
    return dataclasses.replace(plan, boots=options.boots or plan.boots)


class Run:
    """A run of a plan: its results so far."""

    def __init__(self, plan: PeerPlan, target: Target, image: Path, linux: dict, out: Path) -> None:
        self.plan = plan
        self.target = target
        self.image = image
        self.linux = linux
        self.out = out.resolve()
        self.windows: list[Window] = []
        self.answers = results.Answers()
        self.pairs = 0
        self.retries: list[dict] = []  # boots of Linux that were run again
        self.argv: dict[str, list[str]] = {}  # QEMU's command lines, ours and Linux's
        self.instructions: list[dict] = []  # of Linux's loop
        self.faults: list[str] = []  # missed interrupts and errors in our windows
        self.quiet = True  # the host
        self.missed: list[str] = []  # missed interrupts, including those that QEMU lost
        self.environment = environment.describe(target.qemu, [1], target.backing)

    def machine(self, folder: Path) -> Machine:
        """Linux's machine: ours with MSI-X, more memory and a device tree of its own."""
        ours = boot_machine(self.target, self.plan.ours(), self.plan.ours().sweeps[0], 0)
        machine = linux_boot.machine_for(ours, self.image / "vmlinux", folder / INITRD,
                                         60 + 3 * self.plan.linux_s())
        self.write_initrd(folder, 0)
        tree = folder / "tree.dtb"
        linux_boot.write_tree(machine, tree)
        machine = dataclasses.replace(
            machine, qemu_args=(*machine.qemu_args, "-dtb", str(tree)))
        both = {"ours": ours, "linux": machine}
        self.argv = {name: linux_boot.without_folders(each.argv()) for name, each in both.items()}
        return machine

    def write_initrd(self, folder: Path, boot: int) -> None:
        """What this boot of Linux runs, in its order."""
        linux_boot.write_initrd(self.image / "base.cpio", self.linux["modules"],
                                job_files(self.plan, boot), folder / INITRD)

    def boot_ours(self, boot: int) -> None:
        """All our sweeps once."""
        plan = self.plan.ours()
        for sweep in plan.sweeps_of_boot(boot):
            run_boot(self.target, plan, sweep, boot, self.windows)
        self.environment["opensbi"] = self.windows[-1].firmware

    def boot_linux(self, machine: Machine, folder: Path, boot: int) -> None:
        """One boot of Linux, tried again once if it fails or hangs."""
        self.write_initrd(folder, boot)
        for attempt in range(1, TRIES + 1):
            try:
                linux_boot.run_linux(machine, [engine.name for engine in ENGINES],
                                     lambda name, answer: self.answers.add(name, boot, answer))
                return
            except GuestFailed as failed:
                if attempt == TRIES:
                    raise
                reason = str(failed).splitlines()[0]
                self.retries.append({"boot": boot, "why": reason})
                say(f"boot {boot + 1} of Linux is tried again: {reason}")

    def count(self, machine: Machine, folder: Path) -> None:
        """The instructions of Linux's loop; a boot that fails costs that table only."""
        jobs = count_files(self.plan)
        linux_boot.write_initrd(self.image / "base.cpio", self.linux["modules"], jobs,
                                folder / INITRD)
        machine = dataclasses.replace(
            machine, icount=True, arguments=(*machine.arguments, *linux_boot.COUNTING))
        try:
            linux_boot.run_linux(machine, jobs, lambda name, answer: self.instructions.extend(
                results.counted(name.removeprefix(f"{LOOP}-"), answer)))
        except GuestFailed as failed:
            say(f"Linux's instructions are not counted: {str(failed).splitlines()[0]}")

    def measure(self) -> None:
        """All pairs, ours and Linux taking turns at being first."""
        begin_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="hartq-peers-") as name:
            folder = Path(name)
            machine = self.machine(folder)
            if self.plan.counts:
                self.count(machine, folder)
            for boot in range(self.plan.boots):
                steps = [lambda: self.boot_ours(boot),
                         lambda: self.boot_linux(machine, folder, boot)]
                for step in steps[:: -1 if boot % 2 else 1]:
                    step()
                self.pairs += 1
                left_s = (time.monotonic() - begin_s) / self.pairs * (self.plan.boots - self.pairs)
                say(f"{self.pairs}/{self.plan.boots} boot pairs, about {left_s:.0f} s left")
                self.save(partial=self.pairs < self.plan.boots)

    def save(self, partial: bool) -> dict:
        """Write everything as it stands."""
        header = {**self.environment, "host_load_after": environment.load_averages(),
                  "host_affinity": sorted(os.sched_getaffinity(0)),
                  "pairs": self.pairs}
        options = {
            "ioengine": "hartq", "direct": 1, "time_based": 1, "rw": RW, "bs": BS,
            "runtime": f"{self.plan.ours_ms}ms", "ramp_time": f"{self.plan.ours_ramp_ms}ms",
            "boots": self.plan.boots,
        }
        if self.windows:
            ours = summary.build(self.windows, header, options, partial)
            result_file.save(ours, self.out)
            self.faults, self.missed = goals.faults(ours), goals.missed_lines(ours)
            self.quiet = not host_noise.warnings(ours)
        about = {
            "linux": self.linux, "environment": header, "partial": partial,
            "host_quiet": self.quiet, "qemu_argv": self.argv,
            "method": [*self.plan.method(), *self.answers.lacking()],
            "retries": self.retries, "instructions": self.instructions,
        }
        jobs = job_files(self.plan)
        files = {f"{name}.fio": text for name, text in jobs.items()}
        files["init"] = linux_boot.first_program(self.linux["modules"], jobs)
        return results.save(self.out, about, self.windows, self.answers, files)


def report(run: Run, result: dict) -> None:
    """Table, goals and environment."""
    linux = result["linux"]
    print(f"\nhartq and Linux in turn, {run.pairs} boot pairs: {linux['distribution']}, kernel "
          f"{linux['kernel']}, fio {linux['fio']}; one hart, AIA, medians and intervals of the "
          "paired ratios")
    print(*tables.lines(result["comparisons"], result["instructions"], result["host_quiet"]),
          sep="\n")
    if run.retries:
        print(f"boots of Linux that were run a second time: {len(run.retries)}")
    print(*run.answers.lacking(), *run.missed, *run.faults, sep="\n")
    print(environment.header(result["environment"]))
    print(f"written: {run.out}/{results.PEERS_NAME}, results.json, linux-*.json")


def execute(run: Run) -> int:
    """Measure and report; a run that ends early reports its pairs so far."""
    status = STATUS_OK
    try:
        run.measure()
    except (Stopped, GuestFailed) as error:
        status, why = (STATUS_STOPPED, "ended by a signal") if isinstance(error, Stopped) else (
            STATUS_FAILED, f"the guest failed: {error}")
        print(f"\npeers.py: {why}", file=sys.stderr)
    if not run.windows and not run.answers.jobs:
        print("peers.py: nothing was measured, nothing was written", file=sys.stderr)
        return status
    if status == STATUS_STOPPED and not run.pairs and (run.out / results.PEERS_NAME).exists():
        print(f"peers.py: no pair is complete; the result in {run.out} stays", file=sys.stderr)
        return status
    report(run, run.save(partial=status != STATUS_OK))
    if status:
        print(f"partial: {run.pairs} of {run.plan.boots} boot pairs were completed")
    return status or (STATUS_FAILED if run.faults else STATUS_OK)


def begin(options: argparse.Namespace) -> int:
    """Check everything, show the plan, provide the image, run."""
    target = Target(options.backing, options.qemu)
    plan = make_plan(options)
    check_backing(target, plan.ours())
    print(plan.describe(), flush=True)
    if options.dry_run:
        return STATUS_OK
    find_app(target.app)
    find_app(linux_boot.LOOP)
    boot_machine(target, plan.ours(), plan.ours().sweeps[0], 0).argv()
    linux = linux_image.provide(options.image)
    heed_signals()
    return execute(Run(plan, target, options.image, linux, options.out))


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    options = build_parser().parse_args(argv)
    with result_file.reserved(options.out):
        return begin(options)


if __name__ == "__main__":
    sys.exit(main())
