#!/usr/bin/env python3
"""Run test suites, sum up what they count, show the log of what failed.

    tests/run_tests.py check host scripts qemu

Every step's output is kept in build/logs/. The slowest steps are told at the end. The last line is
`N passed, N failed`; the exit status is 1 if anything failed or nothing ran. A step that prints
`skipped: WHY` first counts as neither.
Started by make, which builds and picks the interpreter.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import command  # noqa: E402

LOGS = ROOT / "build" / "logs"
TAIL_LINES = 40
WORKERS = 2
SIM_SEEDS = 4000  # the same ones each time
THREADS_SECONDS = 10
SLOWEST = 10  # steps that are told of at the end
TIME = re.compile(r"^\s*ok +(?:\[[ \d/]+\] )?(.*?) +(\d+\.\d) s\b")  # a case of a live step

SUITES = "check host sim threads fuzz model scripts qemu qemu-full".split()
CHECKS = "format layering gcc clang clang-tidy cppcheck shell python mutants".split()


@dataclasses.dataclass(frozen=True)
class Step:
    """One command and how its output is counted."""

    name: str
    command: list[str]
    count: Callable[[str, int], tuple[int, int]]
    live: bool = False  # show its output as it comes


@dataclasses.dataclass
class Outcome:
    """What one step came to."""

    passed: int
    failed: int
    skipped: str  # why, empty if it ran
    seconds: float
    log: Path


def count_one(_output: str, status: int) -> tuple[int, int]:
    """A command that is one test."""
    return (1, 0) if status == 0 else (0, 1)


def count_cmocka(output: str, status: int) -> tuple[int, int]:
    """The groups of a cmocka program; a crash is one failure more."""
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)))
    failed = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", output, re.M)))
    return passed, failed if failed or status == 0 and passed else failed + 1


def count_unittest(output: str, status: int) -> tuple[int, int]:
    """The summary of Python's unittest."""
    ran = re.search(r"^Ran (\d+) tests? in", output, re.M)
    total = int(ran[1]) if ran else 0
    failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output)))
    skipped = sum(map(int, re.findall(r"skipped=(\d+)", output)))
    if status and not failed or not total:
        failed += 1
    return max(0, total - failed - skipped), failed


def count_last_line(output: str, status: int) -> tuple[int, int]:
    """A runner of ours: its last `N passed, N failed`."""
    sums = re.findall(r"^(\d+) passed, (\d+) failed", output, re.M)
    passed, failed = map(int, sums[-1]) if sums else (0, 0)
    return passed, failed if failed or status == 0 and sums else failed + 1


def make(*arguments: str) -> list[str]:
    """A call of make that builds on every core we use."""
    return ["make", "-s", f"-j{WORKERS}", *arguments]


def host_steps() -> list[Step]:
    """Every unit test with every host compiler; make has built them in the step before."""
    compilers = os.environ.get("HOST_CCS", "gcc clang").split()
    tests = sorted(path.stem for path in (ROOT / "tests" / "unit").glob("test_*.c"))
    return [
        Step(f"{compiler}/{test}", [str(ROOT / "build/host" / compiler / test)], count_cmocka)
        for compiler in compilers
        for test in tests
    ]


def sim_steps() -> list[Step]:
    """The seeds from 1 on, a part for each core."""
    part, sim = SIM_SEEDS // WORKERS, str(ROOT / "build" / "sim")
    return [
        Step(
            f"seeds {first} to {first + part - 1}",
            [sim, "--seed", str(first), "--seeds", str(part)],
            count_last_line,
        )
        for first in range(1, WORKERS * part, part)
    ]


def script_steps() -> list[Step]:
    """One step per file: each has its own interpreter, and the cores share them."""
    tests = ROOT / "tests" / "scripts"
    return [
        Step(
            path.stem,
            [sys.executable, "-m", "unittest", "discover", "-s", str(tests), "-p", path.name],
            count_unittest,
        )
        for path in sorted(tests.glob("test_*.py"), key=lambda path: -path.stat().st_size)
    ]


def qemu_steps(full: bool) -> list[Step]:
    """The runner of the tests under QEMU, which shows its own progress."""
    runner = ROOT / "tests" / "qemu" / "run.py"
    command = [sys.executable, str(runner)] + (["--full"] if full else [])
    return [Step("qemu", command, count_last_line, live=True)] if runner.is_file() else []


def suites(name: str) -> list[list[Step]]:
    """The stages of a suite: steps of one stage run side by side, stages one after the other."""
    if name == "check":
        # Compilers first: the others are quicker to read when it builds at all.
        order = [["gcc", "clang"], [c for c in CHECKS if c not in ("gcc", "clang")]]
        return [[Step(c, make(f"check-{c}"), count_one)] for c in order[0]] + [
            [Step(c, make(f"check-{c}"), count_one) for c in order[1]]
        ]
    if name == "host":
        build = Step("unit tests build", make("host-tests"), count_one)
        steps = host_steps()
        return [[build], steps] if steps else []
    if name == "sim":
        build = Step("simulation build", make("build/sim"), count_one)
        return [[build], sim_steps()]
    if name == "threads":
        build = Step("threads build", make("build/threads"), count_one)
        command = [str(ROOT / "build" / "threads"), "--seconds", str(THREADS_SECONDS)]
        return [[build], [Step("thread sanitizer", command, count_last_line)]]
    if name == "fuzz":
        build = Step("fuzz targets build", make("fuzz-targets"), count_one)
        command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), "--replay"]
        return [[build], [Step("corpus", command, count_last_line)]]
    if name == "model":
        # Alone: it uses both cores itself.
        command = [sys.executable, str(ROOT / "scripts" / "spin.py")]
        return [[Step("models", command, count_last_line)]]
    if name == "scripts":
        return [script_steps()]
    build = Step("programs build", make("all"), count_one)
    steps = qemu_steps(full=name == "qemu-full")
    # Alone: it compares counts, which a loaded host must not disturb.
    count = [sys.executable, str(ROOT / "scripts" / "instructions.py")]
    return [[build], steps, [Step("instructions per I/O", count, count_one)]] if steps else []


def run_step(step: Step) -> Outcome:
    """Run one command, its output into its log."""
    log = LOGS / (re.sub(r"[^\w.-]+", "-", step.name) + ".log")
    begin = time.monotonic()
    try:
        with log.open("wb") as sink, subprocess.Popen(
            step.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                sink.write(line)
                if step.live:
                    print("    " + line.decode("utf-8", "replace"), end="", flush=True)
        status = process.returncode
    except OSError as error:
        log.write_text(f"{step.command[0]}: {error}\n")
        status = 127
    text = log.read_text(errors="replace")
    skipped = re.match(r"skipped: .*", text) if status == 0 else None
    passed, failed = (0, 0) if skipped else step.count(text, status)
    return Outcome(passed, failed, skipped[0] if skipped else "", time.monotonic() - begin, log)


def show(suite: str, step: Step, outcome: Outcome) -> None:
    """One line of verdict, and the end of the log after a failure."""
    verdict = "FAIL" if outcome.failed else "--" if outcome.skipped else "ok"
    words = outcome.skipped
    if outcome.passed + outcome.failed > 1:
        words = f"{outcome.passed} passed" + (
            f", {outcome.failed} failed" if outcome.failed else ""
        )
    print(
        f"{verdict:4}  {suite}: {step.name:28} {outcome.seconds:6.1f} s  {words}".rstrip(),
        flush=True,
    )
    if outcome.failed and not step.live:
        lines = outcome.log.read_text(errors="replace").splitlines()
        if len(lines) > TAIL_LINES:
            print(f"      ... {outcome.log.relative_to(ROOT)}, its last {TAIL_LINES} lines:")
        for line in lines[-TAIL_LINES:]:
            print("      " + line)


def slowest(timed: Sequence[tuple[str, float]]) -> None:
    """The steps that took longest, of a step that showed its own cases those."""
    print(f"the {SLOWEST} slowest:")
    for name, seconds in sorted(timed, key=lambda one: -one[1])[:SLOWEST]:
        print(f"{seconds:8.1f} s  {name}")


def times(suite: str, step: Step, outcome: Outcome) -> list[tuple[str, float]]:
    """What `slowest` is to know of a step."""
    if not step.live:
        return [(f"{suite}: {step.name}", outcome.seconds)]
    found = map(TIME.match, outcome.log.read_text(errors="replace").splitlines())
    return [(f"{suite}: {case[1]}", float(case[2])) for case in found if case]


def run_suite(name: str, timed: list[tuple[str, float]]) -> tuple[int, int]:
    """All stages of a suite; a stage is not begun when a build before it failed."""
    stages = suites(name)
    if not stages:
        print(f"--    {name}: nothing to run", flush=True)
    total_passed = total_failed = 0
    for steps in stages:
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            futures = {pool.submit(run_step, step): step for step in steps}
            for future in concurrent.futures.as_completed(futures):
                outcome = future.result()
                show(name, futures[future], outcome)
                timed += times(name, futures[future], outcome)
                total_passed += outcome.passed
                total_failed += outcome.failed
        if total_failed and steps[0].name.endswith("build"):
            break
    return total_passed, total_failed


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "suites",
        nargs="+",
        choices=SUITES,
        help="what to run, in this order",
    )
    options = parser.parse_args(argv)
    LOGS.mkdir(parents=True, exist_ok=True)
    timed: list[tuple[str, float]] = []
    sums = [run_suite(name, timed) for name in options.suites]
    passed, failed = sum(p for p, _ in sums), sum(f for _, f in sums)
    slowest(timed)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
