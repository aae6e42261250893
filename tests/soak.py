#!/usr/bin/env python3
"""Soak: simulation, fuzzing, threads, machines, power cuts, disturbed I/O in turn, with new seeds.

    tests/soak.py --hours 8           make soak HOURS=8; a part of an hour may be named: 0.1
    tests/soak.py --hours 1 --seed 7  the same seeds again

A line a minute says what was done so far. Failures are told at once, with the command that repeats
them, and the run goes on. The end is a summary, after Ctrl-C too. build/soak/ keeps the summary, as
it is after each turn, and the output of each turn that failed. Exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from cli import command  # noqa: E402
from cli.errors import Failed  # noqa: E402
from run_tests import count_last_line, end_by_signal  # noqa: E402
from scorecard import commit  # noqa: E402

FOLDER = ROOT / "build" / "soak"
TURN_S = (5, 50)  # least and most of one turn
TURNS_LEAST = 6  # in the whole time
MACHINES = 2  # cases of one turn
LINE_S = 60
GRACE_S = 60  # for a turn to end by itself after Ctrl-C
PYTHON = sys.executable
COUNTED = {  # what a turn tells of, besides what passed
    "requests": r"^\d+ seeds, (\d+) requests",
    "faults": r"^(\d+) faults injected",
    "fuzz runs": r" ([\d,]+) runs,",
    "cuts": r": (\d+) cuts,",
    "disturbances": r": (\d+) disturbances,",
}


@dataclasses.dataclass
class Tally:
    """What a kind of turn has come to."""

    turns: int = 0
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclasses.dataclass
class Soak:
    """The whole run."""

    seed: int
    seconds: float
    begin: float = dataclasses.field(default_factory=time.monotonic)
    next_line: float = LINE_S
    kinds: dict[str, Tally] = dataclasses.field(default_factory=dict)
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    failures: list[str] = dataclasses.field(default_factory=list)

    def passed_s(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self.begin

    def line(self, now: str) -> None:
        """The line of the minute."""
        done = ", ".join(f"{name} {tally.passed:,}" for name, tally in self.kinds.items())
        counted = ", ".join(f"{count:,} {what}" for what, count in self.counts.items() if count)
        minutes = int(self.passed_s() / 60)
        print(f"{minutes // 60:3}:{minutes % 60:02}  {done or 'nothing yet'}; "
              f"{counted or 'nothing counted'}; {len(self.failures)} failures; now: {now}",
              flush=True)

    def wait(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Until it ends; a line each minute. Ctrl-C ends it, and is raised again."""
        try:
            while True:
                try:
                    process.wait(max(0.1, self.next_line - self.passed_s()))
                    return
                except subprocess.TimeoutExpired:
                    self.line(name)
                    self.next_line += LINE_S
        except BaseException:
            for signum, patience_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, None)):
                os.killpg(process.pid, signum)
                try:
                    process.wait(patience_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            raise

    def turn(self, name: str, words: Sequence[object]) -> None:
        """One command: run it, count it, keep its output if it fails."""
        line = [str(word) for word in words]
        output = FOLDER / "turn.txt"
        begin = self.passed_s()
        stopped = True
        with output.open("wb") as sink:
            try:
                process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink,
                                           stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                raise Failed(f"{line[0]}: {error.strerror}; hint: make soak builds it") from error
            try:
                self.wait(process, name)
                stopped = False
            finally:
                shown = shlex.join("python3" if word == PYTHON else word for word in line)
                self.count(name, shown, output, None if stopped else process.returncode)
                self.kinds[name].seconds += self.passed_s() - begin
                self.save()

    def count(self, name: str, shown: str, output: Path, status: int | None) -> None:
        """What a turn came to. Without a status it was stopped: it may have no sums."""
        text = output.read_text(errors="replace")
        tally = self.kinds.setdefault(name, Tally())
        tally.turns += 1
        none = "0 passed, 0 failed\n" if status is None else ""
        passed, failed = count_last_line(none + text, status or 0)
        tally.passed += passed
        tally.failed += failed
        for what, pattern in COUNTED.items():
            self.counts[what] += sum(int(each.replace(",", "")) for each in
                                     re.findall(pattern, text, re.M))
        if failed:
            kept = FOLDER / f"failure-{len(self.failures) + 1}.txt"
            kept.write_text(f"{shown}\n\n{text}")
            first = re.search(r"^(FAIL.*|seed \d+: .*|sim: .*)", text, re.M)
            told = f"{shown}: {first[0].strip() if first else f'status {status}'}"
            self.failures.append(f"{told}; {kept.relative_to(ROOT)}")
            print(f"FAIL  {self.failures[-1]}", flush=True)

    def save(self) -> None:
        """The summary so far, for machines."""
        answer = {
            "commit": commit(),
            "seed": self.seed,
            "seconds": round(self.passed_s()),
            "turns": {name: dataclasses.asdict(tally) for name, tally in self.kinds.items()},
            "counts": self.counts,
            "failures": self.failures,
        }
        path = FOLDER / "summary.json"
        path.with_suffix(".new").write_text(json.dumps(answer, indent=1) + "\n")
        path.with_suffix(".new").replace(path)

    def summary(self) -> None:
        """The end, for a reader."""
        print(f"\nsoak: {self.passed_s() / 3600:.2f} hours, seed {self.seed}, commit {commit()}")
        for name, tally in self.kinds.items():
            print(f"  {name:10} {tally.turns:5} turns {tally.seconds:8.0f} s {tally.passed:8,} "
                  f"passed {tally.failed:4} failed")
        print("  " + ", ".join(f"{count:,} {what}" for what, count in self.counts.items()))
        for failure in self.failures:
            print(f"  {failure}")
        passed = sum(tally.passed for tally in self.kinds.values())
        print(f"{passed} passed, {sum(tally.failed for tally in self.kinds.values())} failed",
              flush=True)


def machines() -> list[str]:
    """The names of all cases under QEMU."""
    answer = subprocess.run([PYTHON, "tests/qemu/run.py", "--list"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    names = answer.stdout.splitlines()
    if answer.returncode or not names:
        raise Failed(f"tests/qemu/run.py --list: {answer.stderr.strip() or 'no case'}")
    return names


def turns(seed: int, names: Sequence[str]) -> Iterator[tuple[str, Callable[[int], list[object]]]]:
    """Without end: a kind, and its command for so many seconds."""
    dice = random.Random(seed)
    waiting: list[str] = []
    for step in range(sys.maxsize):
        if len(waiting) < MACHINES:
            waiting += dice.sample(names, len(names))
        chosen, waiting = waiting[:MACHINES], waiting[MACHINES:]
        pattern = "|".join(f"^{re.escape(name)}$" for name in chosen)
        new = seed * 1_000_000 + step * 10_000
        yield "sim", lambda s: ["build/sim", "--seed", new, "--seconds", s]
        fuzz = [PYTHON, "tests/fuzz/run.py", "--seed", new, "--seconds"]
        yield "fuzz", lambda s: [*fuzz, max(1, s // 2)]
        yield "threads", lambda s: ["build/threads", "--seed", new, "--seconds", s]
        yield "machine", lambda s: [PYTHON, "tests/qemu/run.py", "--seed", new, "-k", pattern]
        cut = [PYTHON, "tests/qemu/power_cut.py", "--seed", new, "--seeds", 2]
        yield "power cut", lambda s: cut
        yield "disturbed", lambda s: [PYTHON, "tests/qemu/disturbed.py", "--seed", new,
                                      "--seconds", s]


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=1.0, help="or a part of one (default 1)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000,
                        help="of all turns (default: from the clock)")
    options = parser.parse_args(argv)
    if not 0 < options.hours < 10_000:
        parser.error(f"--hours {options.hours}: more than 0, less than 10000; "
                     "hint: 0.1 is 6 minutes")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("failure-*.txt"):
        old.unlink()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, end_by_signal)
    soak = Soak(options.seed, options.hours * 3600)
    most = min(max(int(soak.seconds / TURNS_LEAST), TURN_S[0]), TURN_S[1])
    print(f"soak: {options.hours:g} hours, seed {options.seed}; summary: {FOLDER}/summary.json",
          flush=True)
    try:
        for name, words in turns(options.seed, machines()):
            left = int(soak.seconds - soak.passed_s())
            if left < 1:
                break
            soak.turn(name, words(min(most, left)))
    finally:
        soak.summary()
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
