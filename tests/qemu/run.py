#!/usr/bin/env python3
"""All tests that run on the machine: guests that test themselves, the bench and the
nvme tool end to end.

    tests/qemu/run.py [--full] [--form paged] [-k PATTERN] [--list]

Wants build/*.elf, or build/FORM/*.elf. At most two guests run at a time. One line per case as it
ends, the logs of failures in build/logs/. The last line is `N passed, N failed`; exit status 1 if
anything failed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import re
import sys
import time
from collections.abc import Callable, Sequence

import backing_cases
import bench_cases
import board_cases
import disturbed
import doorbell_cases
from cli import command
import event_cases
import fat_cases
import instruction_cases
import iommu_cases
import large_cases
import machines
import nvme_tool
import power_cut
import removal_cases
import selftest_cases
import throttle_cases
import uboot_cases
from nvme_guest import Skipped
from selftest_cases import LOGS, Tally

# Cases whose programs have no other form: instructions are counted as they are, and translation
# has its own place for the heap.
ONE_FORM = re.compile(
    "instructions|board dma-noncoherent|board dma-ranges: other addresses|IOMMU|u-boot bridges|"
    "DMA above 4 GiB"
)
WORKERS = 2  # guests at once: each has a thread per hart and one for its devices


@dataclasses.dataclass(frozen=True)
class Job:
    """A case of any kind, named once."""

    name: str
    run: Callable[[], Tally | None]


def jobs(full: bool, seed: int) -> list[Job]:
    """Everything there is."""
    listed = [Job(case.name, case.run) for case in selftest_cases.cases(full, seed)]
    listed += [Job(case.name, case.run) for case in large_cases.cases(full, seed)]
    listed += [Job(f"bench {case.name}", case.run) for case in bench_cases.cases()]
    listed += [Job(f"bench {case.name}", case.run) for case in doorbell_cases.cases()]
    listed += [Job(case.name, case.run) for case in backing_cases.cases()]
    listed += [Job(case.name, case.run) for case in throttle_cases.cases()]
    listed += [Job(case.name, case.run) for case in event_cases.cases()]
    listed += [Job(case.name, case.run) for case in disturbed.cases(seed)]
    listed += [Job(case.name, case.run) for case in power_cut.cases()]
    listed += [Job(case.name, case.run) for case in removal_cases.cases()]
    listed += [Job(case.name, case.run) for case in fat_cases.cases()]
    listed += [Job(case.name, case.run) for case in board_cases.cases()]
    listed += [Job(case.name, case.run) for case in iommu_cases.cases()]
    listed += [Job(case.name, case.run) for case in uboot_cases.cases()]
    listed += [Job(case.name, case.run) for case in instruction_cases.cases()]
    listed += [Job(f"machine {case.name}", case.run) for case in machines.cases(full)]
    return listed + [Job(f"tool {case.name}", case.run) for case in nvme_tool.cases(full)]


def run_job(job: Job) -> tuple[Tally, float]:
    """Run one; a case that returns nothing and raises nothing has passed."""
    begin = time.monotonic()
    try:
        tally = job.run() or Tally(1)
    except Skipped as skipped:
        tally = Tally(skipped=str(skipped))
    except Exception as error:  # whatever it is, the other cases still run
        text = f"{type(error).__name__}: {error}"
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / ("qemu-" + re.sub(r"[^\w.-]+", "-", job.name) + ".log")
        path.write_text(text + "\n")
        tally = Tally(0, [*text.splitlines()[:12], f"log: {path.name}"])
    return tally, time.monotonic() - begin


def failed_count(tally: Tally) -> int:
    """Failures, without the line that names the log and the details under a failure."""
    tests = sum(text.startswith(("FAIL", "skip")) for text in tally.failures)
    return tests or bool(tally.failures)


def show(place: str, job: Job, tally: Tally, seconds: float, notes: bool) -> None:
    """One line, and what went wrong below it."""
    verdict = "FAIL" if tally.failures else "--" if tally.skipped else "ok"
    tests = "" if tally.passed == 1 else f"{tally.passed} tests"
    tests = f"skipped: {tally.skipped}" if tally.skipped else tests
    print(f"{verdict:4} {place} {job.name:72} {seconds:5.1f} s  {tests}".rstrip(), flush=True)
    lines = tally.failures + (tally.notes if notes or tally.failures else [])
    for line in lines:
        print(f"       {line}", flush=True)


def run_all(chosen: Sequence[Job], notes: bool) -> tuple[int, int]:
    """Run them, two at a time, and count what passed and failed."""
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        running = {pool.submit(run_job, job): job for job in chosen}
        try:
            for done, future in enumerate(concurrent.futures.as_completed(running), 1):
                tally, seconds = future.result()
                place = f"[{done:{len(str(len(chosen)))}}/{len(chosen)}]"
                show(place, running[future], tally, seconds, notes)
                passed += tally.passed
                failed += failed_count(tally)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return passed, failed


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--full", action="store_true", help="every combination, and a soak of a minute")
    add("--form", default="", metavar="FORM", choices=("", "paged"),
        help="of the programs, a folder of build/: paged")
    add("-k", default="", metavar="PATTERN", help="only cases whose name matches")
    add("--list", action="store_true", help="print the names and stop")
    add("--notes", action="store_true", help="show what guests measured, too")
    add("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")
    options = parser.parse_args(argv)
    os.environ["HARTQ_FORM"] = options.form
    chosen = [job for job in jobs(options.full, options.seed) if re.search(options.k, job.name)
              and not (options.form and ONE_FORM.match(job.name))]
    if options.list:
        print(*(job.name for job in chosen), sep="\n")
        return 0
    begin = time.monotonic()
    passed, failed = run_all(chosen, options.notes)
    print(f"{len(chosen)} cases in {time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
