"""bench.py's command line, and the plan made from it."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from cli.command import Parser
from cli.errors import UsageError, listed, number, parse_number, parse_word
from measure.option_values import PERCENT_MAX, parse_block, parse_rate, parse_time_ms
from measure.plan import (CLOCKED, COMPLETIONS, DELIVERIES, DEPTH_MAX, DOORBELLS, OPEN_DEPTH,
                          PRESETS, PROCESSES, RAW_LACKS, SHAPES, WORKLOADS, Plan, Sweep, runnable)
from qemu.backing import BACKING_HELP
from qemu.machine import HARTS_MAX, PRIVATE_LINES, ROOT
from sim import profile

DESCRIPTION = "Measure polling, interrupts and hybrid mode on QEMU, interleaved, boot by boot."
BOOTS_MAX = 1000
BUDGET = "10m"
MODELLED_RUNTIME_MS, MODELLED_RAMP_MS = 50, 50  # no noise to wait out; hybrid mode learns
EPILOG = """\
examples:
  scripts/bench.py                                     the default matrix, about 4 minutes
  scripts/bench.py --preset quick --out results/try
  scripts/bench.py --completion irq,raw --iodepth 32 --batch 1 --runtime 10s --boots 1
  scripts/bench.py --rw randwrite --backing ram:256m --iodepth 1,32 --bs 4k,128k
  scripts/bench.py --harts 1,2,4,8 --iodepth 32 --batch 32 --delivery per-hart,shared,msix
  scripts/bench.py --rate-iops 10%,50%,80% --rate-process poisson
  scripts/bench.py --doorbell each,clocked,shadow --iodepth 1,32,128   rules in the same boots
  scripts/bench.py --until-ci 10 --budget 20m          boots until the intervals are narrow
backings with a latency: a file in memory and one on disk, served by QEMU's worker threads
  scripts/bench.py --backing tmpfs:256m --iodepth 1,4,32,128 --out results/tmpfs
  scripts/bench.py --backing disk:256m --iodepth 1,4,32,128 --out results/disk
Options of fio keep fio's names and units: runtime=1h, bs=4k.
A list option replaces that list of the preset. --batch 0 rings once for the whole depth.
In an open loop (--rate-iops) requests are due at times that do not depend on completions. Latency
counts from the due time, and --iodepth bounds the requests in flight.
"""


def preset_text(name: str) -> str:
    """`quick (24 points, 1 min)`: what it measures on this host."""
    sweeps, _ = runnable(PRESETS[name].sweeps)
    plan = dataclasses.replace(PRESETS[name], sweeps=sweeps)
    return f"{name} ({plan.points()} points, {math.ceil(plan.seconds() / 60)} min)"


def time_of(what: str, least_ms: int = 1) -> Callable[[str], int]:
    """The reader of a time, for add_argument(type=)."""
    return lambda text: parse_time_ms(text, what, least_ms)


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(prog="bench.py", description=DESCRIPTION, epilog=EPILOG)
    add = parser.add_argument
    add("--preset", choices=(*PRESETS, "instructions"), default="default",
        help=f"which points to measure (default: default): {', '.join(map(preset_text, PRESETS))}; "
        "instructions: only count instructions")
    add("--completion", type=listed(parse_word, "--completion", COMPLETIONS), metavar="M,...",
        help=f"modes, of {', '.join(COMPLETIONS)}; raw is the bare ring without the engine; "
        f"{RAW_LACKS}")
    add("--iodepth", type=listed(parse_number, "--iodepth", 1, DEPTH_MAX), metavar="N,...",
        help=f"queue depths, 1 to {DEPTH_MAX}")
    add("--batch", "--iodepth_batch_submit", type=listed(parse_number, "--batch", 0, DEPTH_MAX),
        metavar="N,...", help="commands of a submit; 0: the depth")
    add("--bs", type=listed(parse_block, "--bs"), metavar="SIZE,...",
        help="block sizes, such as 512,4k,1m")
    add("--rw", type=listed(parse_word, "--rw", WORKLOADS), metavar="W,...",
        help=f"of {', '.join(WORKLOADS)}")
    add("--harts", "--numjobs", type=listed(parse_number, "--harts", 1, HARTS_MAX), metavar="N,...",
        help=f"harts that do I/O, 1 to {HARTS_MAX}; each needs a core of the host, except with "
        "interrupts")
    add("--delivery", type=listed(parse_word, "--delivery", DELIVERIES), metavar="D,...",
        help=f"how interrupts reach the harts: per-hart, a controller and a line each, up to "
        f"{PRIVATE_LINES} harts; shared, one line for 2 harts or more; msix, messages "
        f"(default {DELIVERIES[0]}; full measures each)")
    add("--rate-iops", "--rate_iops", type=listed(parse_rate, "--rate-iops"), metavar="N|P%,...",
        help="open loop: I/Os per second of each hart, or per cent of saturation for all harts "
        f"together; saturation is measured first; up to {PERCENT_MAX}%%, above 100%% to see "
        f"latency grow; queue depth {OPEN_DEPTH} unless --iodepth is given")
    add("--rate-process", "--rate_process", choices=PROCESSES,
        help=f"how arrivals are spread in time (default {PROCESSES[0]}; with --rate-iops)")
    add("--doorbell", type=listed(parse_word, "--doorbell", DOORBELLS), metavar="D,...",
        help="submission doorbell: each, at each submit; clocked, once the one before is fetched; "
        "polled, the completion doorbell is then late too; shadow, at each submit, in memory "
        f"(default {CLOCKED}; at some depths the preset default also measures each, full "
        "all three)")
    add("--shape", type=listed(parse_word, "--shape", tuple(SHAPES)), metavar="S,...",
        help="course of the load: steady; step, bursts after pauses; beside, 128 KiB writes beside "
        "the reads, on the last hart if there are several; callback, a request's callback posts "
        "the next one, at batch 1 and without latencies (default steady)")
    add("--backing", default="null", metavar="WHERE", help=BACKING_HELP)
    add("--boots", type=number("--boots", 1, BOOTS_MAX), metavar="N",
        help=f"boots, 1 to {BOOTS_MAX}; each measures every point once; a verdict takes 6")
    add("--until-ci", type=number("--until-ci", 1, 100), metavar="P",
        help="add boots until the interval of polling over interrupts is no wider than P per cent "
        "of its median at any depth of the main workload, or --budget is over")
    add("--budget", type=time_of("--budget"), metavar="TIME",
        help=f"no boot is added that would end later (default {BUDGET}; with --until-ci)")
    add("--runtime", type=time_of("--runtime"), metavar="TIME",
        help="length of a window, such as 500ms, 2s, 1h; 2 is 2s")
    add("--ramp-time", "--ramp_time", type=time_of("--ramp-time", 0), metavar="TIME",
        help="unmeasured time before each window")
    add("--out", type=Path, default=ROOT / "results" / "latest", metavar="DIR",
        help="where the result goes (default results/latest)")
    add("--resume", action="store_true", help="continue the run in --out that was ended early")
    add("--compare", nargs=2, type=Path, metavar=("A", "B"),
        help="print the ratios of two results, B over A, with intervals; exit status 1 if B takes "
        "more instructions")
    add("--what-if", metavar="sim:PROFILE",
        help="instead, on a machine in virtual time: at which depth, load and device latency "
        "polling stops paying; a table, and a picture in results/what-if")
    add("--no-instructions", action="store_true", help="do not count instructions at the end")
    add("--qemu", metavar="PATH", help="emulator (default $QEMU, else qemu-system-riscv64)")
    add("--machine", default="qemu", metavar="M",
        help="qemu, or sim:PROFILE, a machine in virtual time on this host: "
        f"{', '.join(profile.names())}, or parts of platform/sim/profiles.toml joined by +")
    add("--dry-run", action="store_true", help="print the plan and stop")
    return parser


def chosen_sweeps(options: argparse.Namespace) -> tuple[Sweep, ...]:
    """The preset's sweeps, or one sweep of the lists that were given."""
    sweeps = PRESETS[options.preset].sweeps
    names = ("iodepth", "batch", "bs", "rw", "harts", "rate", "shape")
    given = {**vars(options), "rate": options.rate_iops}
    lists = {name: given[name] for name in names if given[name] is not None}
    if "rate" in lists:
        lists.setdefault("iodepth", (OPEN_DEPTH,))
    if lists:  # of the first delivery alone, unless more are asked for
        sweeps = (dataclasses.replace(sweeps[0], delivery=DELIVERIES[:1], doorbell=(CLOCKED,),
                                      **lists),)
    over = {name: given[name] for name in ("completion", "delivery", "doorbell")
            if given[name] is not None}
    return tuple(dataclasses.replace(sweep, **over) for sweep in sweeps)


def choose_modelled(options: argparse.Namespace) -> None:
    """What a machine in virtual time has by default: its own delivery, and short windows."""
    if options.delivery is None and profile.load(options.machine).get("messages"):
        options.delivery = ("msix",)
    if options.runtime is None:
        options.runtime, options.ramp_time = MODELLED_RUNTIME_MS, MODELLED_RAMP_MS


def make_plan(options: argparse.Namespace) -> Plan:
    """The plan that the command line describes; loads in per cent stay in per cent."""
    preset = PRESETS[options.preset]
    modelled = options.machine != "qemu"
    if modelled:
        choose_modelled(options)
    given = {
        "boots": options.boots, "runtime_ms": options.runtime, "ramp_ms": options.ramp_time,
        "process": options.rate_process, "until_ci": options.until_ci,
        "budget_ms": options.budget,
    }
    given = {name: value for name, value in given.items() if value is not None}
    chosen = chosen_sweeps(options)
    sweeps, dropped = runnable(chosen, HARTS_MAX if modelled else None)
    if options.rate_process and not any(rate for sweep in sweeps for rate in sweep.rate):
        raise UsageError(
            f"--rate-process: {options.rate_process} needs a load; hint: name one with --rate-iops")
    if options.until_ci:
        given.setdefault("budget_ms", parse_time_ms(BUDGET, "--budget"))
        if not any({"poll", "irq"} <= {*each.completion} and not any(each.rate) for each in sweeps):
            raise UsageError("--until-ci: takes polling and interrupts in a closed loop "
                             "(hint: --completion poll,irq)")
    elif options.budget:
        raise UsageError("--budget: is for --until-ci (name the width with it)")
    name = options.preset if chosen == preset.sweeps else ""
    return dataclasses.replace(preset, sweeps=sweeps, dropped=dropped, preset=name, **given)
