#!/usr/bin/env python3
"""Run test suites, sum up what they count, show the log of what failed.

    tests/run_tests.py check host scripts qemu

What is built is built first; then the steps of all suites share the cores, in the order of the
suites. Every step's output is kept in build/logs/. The slowest steps are told at the end. The last
line is `N passed, N failed`; the exit status is 1 if anything failed or nothing ran. A step that
prints `skipped: WHY` first counts as neither. Started by make, which builds and picks the
interpreter.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402
from cli.signals import SIGNALS, Stopped  # noqa: E402

LOGS = ROOT / "build" / "logs"
TAIL_LINES = 40
WORKERS = 2
SIM_SEEDS = 4000  # the same ones each time
THREADS_SECONDS = 10
SLOWEST = 10  # steps that are told of at the end
# The cases under QEMU that a short run repeats with paging: lines and messages, some harts.
PAGED = (
    "^(boot (harts=2|trap=(heap|run|frame))|two lines of four|deep queues|"
    "matrix harts=2 controllers=1 .*imsic|tool crc completion=irq harts=4)"
)
TIME = re.compile(r"^\s*ok +(?:\[[ \d/]+\] )?(.*?) +(\d+\.\d) s\b")  # a case of a live step

SUITES = "check host sim threads fuzz model scorecard scripts qemu qemu-full".split()
CHECKS = "clang-tidy cppcheck format layering shell python mutants".split()


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
    """Every unit test with every host compiler."""
    compilers = os.environ.get("HOST_CCS", "gcc clang").split()
    tests = sorted(path.stem for path in (ROOT / "tests" / "unit").glob("*/test_*.c"))
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
    tests = ROOT / "tests" / "host"
    return [
        Step(
            path.stem,
            [sys.executable, "-m", "unittest", "discover", "-s", str(tests), "-p", path.name],
            count_unittest,
        )
        for path in sorted(tests.glob("test_*.py"), key=lambda path: -path.stat().st_size)
    ]


def qemu_steps(full: bool) -> list[Step]:
    """The runner of the tests under QEMU, which shows its own progress; then with paging."""
    command = [sys.executable, str(ROOT / "tests" / "qemu" / "run.py")]
    paged = [*command, "--form", "paged", *(() if full else ("-k", PAGED))]
    return [
        Step("qemu", command + (["--full"] if full else []), count_last_line, live=True),
        Step("qemu, paged", paged, count_last_line, live=True),
    ]


def builds(suite: str) -> list[Step]:
    """What a suite needs first: one at a time, as each is a make that uses every core."""
    targets = {
        "check": [("gcc", "check-gcc"), ("clang", "check-clang")],
        "host": [("unit tests build", "host-tests")],
        "sim": [("simulation build", "build/sim")],
        "threads": [("threads build", "build/threads")],
        "fuzz": [("fuzz targets build", "fuzz-targets")],
        "scorecard": [("simulation build", "build/sim")],
        "scripts": [
            ("simulated machine build", "sim-programs"),
            ("simulated machine build, checked", "sim-checked"),
        ],
        "qemu": [("programs build", "all")],
        "qemu-full": [("programs build", "all")],
    }
    return [Step(name, make(target), count_one) for name, target in targets.get(suite, ())]


def steps(suite: str) -> list[Step]:
    """What a suite consists of. A step may run beside any other, of any suite."""
    tests = ROOT / "tests"
    if suite == "check":
        return [Step(check, make(f"check-{check}"), count_one) for check in CHECKS]
    if suite == "host":
        return host_steps()
    if suite == "sim":
        return sim_steps()
    if suite == "threads":
        command = [str(ROOT / "build" / "threads"), "--seconds", str(THREADS_SECONDS)]
        return [Step("thread sanitizer", command, count_last_line)]
    if suite == "fuzz":
        command = [sys.executable, str(tests / "fuzz" / "run.py"), "--replay"]
        return [Step("corpus", command, count_last_line)]
    if suite == "scorecard":
        command = [sys.executable, str(tests / "scorecard.py"), "--short"]
        return [Step("short card", command, count_last_line)]
    if suite == "model":
        return [Step("models", [sys.executable, str(tests / "spin" / "run.py")], count_last_line)]
    if suite == "scripts":
        return script_steps()
    count = make("run-instructions")
    return [*qemu_steps(suite == "qemu-full"), Step("instructions per I/O", count, count_one)]


class Children:
    """The processes of the steps that run, each in a session of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start one, its output into a pipe."""
        with self._lock:
            if self._ended:
                raise OSError("the run was ended")
            process = subprocess.Popen(
                words,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of one; its status."""
        status = process.wait()
        with self._lock:
            self._running.discard(process)
        return status

    def end(self) -> None:
        """End them all, with what they have started, and start no more."""
        with self._lock:
            self._ended = True
            for process in self._running:
                os.killpg(process.pid, signal.SIGTERM)


def run_step(step: Step, children: Children) -> Outcome:
    """Run one command, its output into its log."""
    log = LOGS / (re.sub(r"[^\w.-]+", "-", step.name) + ".log")
    begin = time.monotonic()
    try:
        process = children.start(step.command)
        with log.open("wb") as sink, process.stdout as source:
            for line in source:
                sink.write(line)
                if step.live:
                    print("    " + line.decode("utf-8", "replace"), end="", flush=True)
        status = children.finish(process)
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
    lines = [f"{verdict:4}  {suite}: {step.name:28} {outcome.seconds:6.1f} s  {words}".rstrip()]
    if outcome.failed and not step.live:
        log = outcome.log.read_text(errors="replace").splitlines()
        if len(log) > TAIL_LINES:
            lines.append(f"... {outcome.log.relative_to(ROOT)}, its last {TAIL_LINES} lines:")
        lines += log[-TAIL_LINES:]
    print("\n      ".join(lines) + "\n", end="", flush=True)  # at once: other steps print too


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


class Run:
    """What has run so far."""

    def __init__(self) -> None:
        self.children = Children()
        self.passed = self.failed = 0
        self.timed: list[tuple[str, float]] = []

    def run(self, queue: Sequence[tuple[str, Step]], workers: int) -> None:
        """Run steps of suites, so many at a time."""
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            futures = {pool.submit(run_step, step, self.children): (name, step)
                       for name, step in queue}
            try:
                for future in concurrent.futures.as_completed(futures):
                    self.keep(*futures[future], future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.children.end()
                raise

    def keep(self, suite: str, step: Step, outcome: Outcome) -> None:
        """Show what a step came to, and count it."""
        show(suite, step, outcome)
        self.timed += times(suite, step, outcome)
        self.passed += outcome.passed
        self.failed += outcome.failed

    def build(self, suite: str) -> bool:
        """Run a suite's builds; False if one failed."""
        before = self.failed
        self.run([(suite, step) for step in builds(suite)], 1)
        return self.failed == before


def end_by_signal(signum: int, _frame: object) -> None:
    """The children are in sessions of their own: no terminal ends them."""
    raise Stopped(signum)


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
    for signum in SIGNALS:
        signal.signal(signum, end_by_signal)
    run = Run()
    built = [name for name in options.suites if run.build(name)]
    run.run([(name, step) for name in built for step in steps(name)], WORKERS)
    slowest(run.timed)
    print(f"{run.passed} passed, {run.failed} failed")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
