#!/usr/bin/env python3
"""Power cuts: what the guest was promised is on the medium, wherever the power fails.

    tests/qemu/power_cut.py                  20 workloads, seeds 1 to 20
    tests/qemu/power_cut.py --seed 7 --seeds 1

Each workload is one boot of build/selftest.elf over QEMU's blklogwrites: writes, FUA writes and
flushes on every queue at once. power_log.py cuts the power behind each entry of the log. Then a
write that the last flush covers is taken out of the log, and then all flushes: both must be found.
The seed chooses harts, interrupt controller, completion mode, block size, MDTS, doorbells, depth,
and if the medium has a volatile cache. QEMU ignores FUA. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import random
import sys
from collections.abc import Sequence

from nvme_guest import TIMEOUT_S, Case, Failure, check, folder
from qemu.guest import run_guest
from qemu.machine import Machine

import power_log
from cli import command

WORKLOADS = 20
SHORT = (5, 6)  # four harts, with and without a cache
DROPS = 8  # writes that are taken out of a log, one at a time


@dataclasses.dataclass(frozen=True)
class Workload:
    """One boot, as its seed says."""

    seed: int
    cache: bool  # the medium has a volatile cache
    harts: int
    irqchip: str
    completion: str
    lba_bytes: int
    mdts: str

    @property
    def name(self) -> str:
        """For messages."""
        cache = "cache" if self.cache else "no cache"
        return (
            f"seed={self.seed} {cache}, {self.harts} harts, {self.irqchip}, {self.completion}, "
            f"blocks of {self.lba_bytes}, mdts={self.mdts}"
        )


def choose(seed: int) -> Workload:
    """Two of three have a volatile cache."""
    dice = random.Random(seed)
    return Workload(
        seed,
        seed % 3 != 0,
        dice.choice((1, 2, 4)),
        dice.choice(("plic", "aplic", "imsic")),
        dice.choice(("poll", "irq", "hybrid")),
        dice.choice((512, 4096)),
        dice.choice(("1", "2", "7")),
    )


def record(workload: Workload) -> tuple[list[power_log.Record], list[power_log.Entry]]:
    """Boot: what the guest says, and what reached the medium."""
    log = folder() / f"power-{workload.seed}.log"
    log.touch()
    node = f"driver=blklogwrites,node-name=log,file=disk0,log.driver=file,log.filename={log}"
    cache = {} if workload.cache else {"write-cache": "off"}
    machine = Machine(
        "selftest",
        ["test=power", f"completion={workload.completion}", f"seed={workload.seed}"],
        harts=workload.harts,
        controllers=1,
        irqchip=workload.irqchip,
        lba_bytes=workload.lba_bytes,
        backing="ram:16m",
        nvme={"mdts": workload.mdts},
        namespace={"drive": "log", **cache},
        qemu_args=["-blockdev", node],
        timeout_s=TIMEOUT_S,
    )
    console: list[str] = []
    result = run_guest(machine, lambda line: console.append(line.text), by_line=True)
    check(result.status == 0, f"{result.reason}\n{result.stderr}", console)
    entries = power_log.read_log(log.read_bytes())
    log.unlink()
    return power_log.parse_console(console), entries


def is_found(
    workload: Workload, records: list[power_log.Record], entries: list[power_log.Entry]
) -> bool:
    """Whether the check fails, as it must for a log that was changed."""
    try:
        power_log.check(records, entries, workload.lba_bytes, workload.seed)
    except power_log.Lost:
        return True
    return False


def run(workload: Workload) -> str:
    """Boot, check, and check that losses are found; what it came to, in words."""
    records, entries = record(workload)
    try:
        verdict = power_log.check(records, entries, workload.lba_bytes, workload.seed)
    except power_log.Lost as error:
        raise Failure(f"{workload.name}: {error}") from error
    check(verdict.boundaries > 1 and verdict.promises > 0, f"{workload.name}: nothing was promised")
    drops = power_log.needed(records, entries, workload.lba_bytes)
    check(bool(drops), f"{workload.name}: no write is needed")
    random.Random(workload.seed).shuffle(drops)
    for place in drops[:DROPS]:
        less = entries[:place] + entries[place + 1 :]
        check(is_found(workload, records, less), f"{workload.name}: lost entry {place} not found")
    writes = [entry for entry in entries if not entry.flush]
    check(is_found(workload, records, writes), f"{workload.name}: lost flushes are not found")
    early = f"{verdict.fua_early} of {verdict.fua} FUA writes acknowledged before a flush"
    return (
        f"{verdict.cuts} cuts, {verdict.boundaries} flushes, {verdict.promises} promised blocks, "
        f"{min(DROPS, len(drops))} lost writes found; {early}"
    )


def judge(workload: Workload) -> None:
    """As a case, which returns nothing."""
    run(workload)


def cases() -> list[Case]:
    """The short form: with a volatile cache, and without."""
    return [
        Case(f"power cut, {choose(seed).name}", functools.partial(judge, choose(seed)))
        for seed in SHORT
    ]


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first (default 1)")
    parser.add_argument(
        "--seeds", type=int, default=WORKLOADS, metavar="N", help=f"workloads (default {WORKLOADS})"
    )
    options = parser.parse_args(argv)
    failed = 0
    for seed in range(options.seed, options.seed + options.seeds):
        workload = choose(seed)
        try:
            print(f"ok    {workload.name}: {run(workload)}", flush=True)
        except Failure as error:
            failed += 1
            print(f"FAIL  {error}", flush=True)
    print(f"{options.seeds - failed} passed, {failed} failed")
    return 1 if failed or options.seeds < 1 else 0


if __name__ == "__main__":
    sys.exit(main())
