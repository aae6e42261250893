"""The rows of the scorecard: what each runs, and what it reads from the output.

Each yields one figure or several. tests/scorecard.py prints them.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fault_table
from cli.errors import Failed
from run_tests import count_last_line

ROOT = Path(__file__).resolve().parents[1]
LINES_MIN, BRANCHES_MIN = 95.0, 90.0  # percent of engine/
INJECTIONS_MIN = 10_000
RESETS_MIN = 1000
MUTANTS_MIN = 90.0  # percent killed
COMMAND_TIMEOUT_MS = 30_000  # NVME_COMMAND_TIMEOUT_DEFAULT_NS
RECOVERY_MS_MAX = COMMAND_TIMEOUT_MS / 100
OUTPUT = ROOT / "build" / "scorecard"  # what the commands have said, by tree
PYTHON = sys.executable


@dataclasses.dataclass(frozen=True)
class Figure:
    """A row of the card."""

    name: str
    text: str
    aim: str
    good: bool
    command: str
    values: dict[str, object]


@dataclasses.dataclass
class Card:
    """What a card runs on, and what it has seen so far."""

    short: bool
    seed: int
    tree: Path = ROOT
    tried: dict[int, list[str]] = dataclasses.field(default_factory=dict)  # words, by fault class

    def run(self, *words: object) -> tuple[str, str, int]:
        """A command in the tree: as the user would type it, its output, its status."""
        line = [str(word) for word in words]
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("MAKEFLAGS", "MAKELEVEL")}
        shown = shlex.join("python3" if word == PYTHON else word for word in line)
        # As it comes: whoever waits for the mutants can see how far they are.
        with (OUTPUT / f"{self.tree.name}.txt").open("a+", errors="replace") as log:
            print("$", shown, file=log, flush=True)
            begin = log.tell()
            try:
                answer = subprocess.run(line, cwd=self.tree, stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=subprocess.STDOUT, env=environment, check=False)
            except OSError as error:
                hint = "hint: make scorecard builds it"
                raise Failed(f"{line[0]}: {error.strerror}; {hint}") from error
            log.seek(begin)
            text = log.read()
            print(file=log)
        return shown, text, answer.returncode


def number(pattern: str, text: str, missing: int = 0) -> int:
    """The first group of the pattern as a number."""
    found = re.search(pattern, text, re.M)
    return int(found[1].replace(",", "")) if found else missing


# ---- The rows: each yields one figure or several ------------------------------------------------


def count_simulated(card: Card, text: str) -> int:
    """Note the classes that a simulation has injected; their sum."""
    total = 0
    for klass, count in re.findall(r"^(\d+) +\S.*? +(\d+) +\d+$", text, re.M):
        total += int(count)
        if int(count):
            card.tried.setdefault(int(klass), []).append(f"sim {int(count):,}")
    return total


def simulation(card: Card) -> Iterator[Figure]:
    """Random schedules and faults against a shadow copy of the medium."""
    seeds = 150 if card.short else 4000
    shown, text, status = card.run("build/sim", "--seed", card.seed, "--seeds", seeds)
    passed, failed = count_last_line(text, status)
    injected = count_simulated(card, text)
    hung = number(r"(\d+) hung", text, 1)
    wrong = number(r"(\d+) wrong data", text, 1)
    touched = number(r"(\d+) touches", text, 1)
    least = 1 if card.short else INJECTIONS_MIN
    first_wrong = re.search(r"^seed \d+: .*|^sim: .*", text, re.M)
    yield Figure(
        "faults injected",
        f"{injected:,} in {passed + failed:,} seeds, {passed:,} survived: {hung} hung, "
        f"{wrong} wrong data, {touched} touches of released memory"
        + (f"; {first_wrong[0]}" if first_wrong else ""),
        f"at least {least:,}, all survived",
        injected >= least and not (failed or hung or wrong or touched or status),
        shown,
        {"injected": injected, "seeds": passed + failed, "survived": passed, "hung": hung,
         "wrong_data": wrong, "touched": touched},
    )
    sent = number(r"^(\d+) unmatched entries", text)
    refused = number(r"unmatched entries, (\d+) refused", text)
    yield Figure(
        "unmatched entries", f"{sent:,} written by the device, {refused:,} refused", "all refused",
        0 < sent == refused, shown, {"injected": sent, "rejected": refused},
    )
    compared = re.search(r"(\d+) requests, ([\d.]+) GB compared", text)
    yield Figure(
        "bytes verified",
        f"{compared[2]} GB of {int(compared[1]):,} requests, {wrong} mismatches" if compared
        else "none",
        "0 mismatches", bool(compared) and wrong == 0, shown,
        {"gigabytes": float(compared[2]) if compared else 0.0, "mismatches": wrong},
    )
    calls = number(r"; (\d+) calls that must be refused", text)
    yield Figure(
        "bad calls", f"{calls:,} tried, {calls if status == 0 else 'not all'} refused by name",
        "all refused", calls > 0 and status == 0, shown, {"tried": calls},
    )


def resets(card: Card) -> Iterator[Figure]:
    """Controllers closed and opened with I/O in flight, and reset by the engine."""
    seeds = 30 if card.short else 600
    shown, text, status = card.run(
        "build/sim", "--fault", 11, "--fault", 17, "--seed", card.seed, "--seeds", seeds
    )
    closed = number(r"^11 .* (\d+) +\d+$", text)
    engine = number(r"^(\d+) controllers reset by the engine", text)
    lost = sum(number(pattern, text, 1) for pattern in (r"(\d+) hung", r"(\d+) wrong data"))
    least = 1 if card.short else RESETS_MIN
    yield Figure(
        "resets under load",
        f"{closed:,} by the caller, {engine:,} by the engine, {lost} requests lost",
        f"at least {least:,}, 0 lost", closed + engine >= least and not (lost or status), shown,
        {"by_caller": closed, "by_engine": engine, "lost": lost},
    )


def lost_interrupts(card: Card) -> Iterator[Figure]:
    """Interrupts dropped, and how long the watchdog takes to find their entries."""
    seeds = 30 if card.short else 600
    shown, text, status = card.run(
        "build/sim", "--fault", 6, "--seed", card.seed, "--seeds", seeds
    )
    dropped = number(r"^(\d+) lost interrupts", text)
    recovered = number(r"(\d+) recovered", text)
    p99_ms = number(r"99 % within (\d+) ms", text, COMMAND_TIMEOUT_MS)
    yield Figure(
        "lost interrupts",
        f"{dropped:,} dropped, {recovered:,} recovered, p99 {p99_ms} ms",
        f"all recovered, p99 at most {RECOVERY_MS_MAX:.0f} ms (1 % of the default time-out)",
        0 < dropped == recovered and p99_ms <= RECOVERY_MS_MAX and status == 0, shown,
        {"dropped": dropped, "recovered": recovered, "p99_ms": p99_ms},
    )


def fuzz(card: Card) -> Iterator[Figure]:
    """libFuzzer's targets."""
    shown, text, status = card.run(
        PYTHON, "tests/fuzz/run.py", "--seed", card.seed, "--seconds", 60
    )
    runs = re.findall(r"^(?:ok|FAIL) .* ([\d,]+) runs", text, re.M)
    total = sum(int(each.replace(",", "")) for each in runs)
    crashes = len(re.findall(r"^FAIL", text, re.M))
    faults = {int(klass): int(count)
              for line in re.findall(r"; faults (.*)$", text, re.M)
              for klass, count in (each.split("=") for each in line.split())}
    for klass, count in faults.items():
        card.tried.setdefault(klass, []).append(f"fuzz {count:,}")
    yield Figure(
        "fuzz", f"{total:,} runs of {len(runs)} targets, {sum(faults.values()):,} faults, "
        f"{crashes} open crashes",
        "0 crashes", total > 0 and not crashes and status == 0, shown,
        {"runs": total, "targets": len(runs), "faults": sum(faults.values()), "crashes": crashes},
    )


def spin(card: Card) -> Iterator[Figure]:
    """The models of the protocols."""
    shown, text, status = card.run(PYTHON, "tests/spin/run.py")
    cases = re.findall(r"^(ok|FAIL) +(\S+) +([\d,]+) states", text, re.M)
    models = {name.split("-")[0] for _, name, _ in cases}
    states = sum(int(count.replace(",", "")) for _, _, count in cases)
    seeded = len(re.findall(r"bug found:", text))
    passed, failed = count_last_line(text, status)
    yield Figure(
        "spin", f"{len(models)} models, {states:,} states, {failed} errors, {seeded} seeded bugs "
        "found",
        "0 errors, all bugs found", passed > 0 and not failed and status == 0, shown,
        {"models": len(models), "states": states, "errors": failed, "seeded_bugs": seeded},
    )


def coverage(card: Card) -> Iterator[Figure]:
    """Unit tests, and what of the engine they reach."""
    made, text, status = card.run("make", "-s", "-j2", "run-coverage")
    log = ROOT / "build" / "host" / "coverage" / "log.txt"
    tests = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test",
                                    log.read_text(errors="replace") if log.exists() else "", re.M)))
    measured, text, _ = card.run("gcovr", "--root", ".", "--filter", "engine/", "--print-summary",
                                 "build/host/coverage")
    share = {what: float(percent) for what, percent in
             re.findall(r"^(lines|branches): ([\d.]+)%", text, re.M)}
    lines, branches = share.get("lines", 0.0), share.get("branches", 0.0)
    yield Figure(
        "unit tests", f"{tests:,} passed; engine/: {lines} % of lines, {branches} % of branches",
        f"at least {LINES_MIN:.0f} and {BRANCHES_MIN:.0f} %",
        status == 0 and tests > 0 and lines >= LINES_MIN and branches >= BRANCHES_MIN,
        f"{made} && {measured}",
        {"tests": tests, "lines_percent": lines, "branches_percent": branches},
    )


def power(card: Card) -> Iterator[Figure]:
    """Power cuts, by QEMU's log of writes."""
    shown, text, status = card.run(
        PYTHON, "tests/qemu/power_cut.py", "--seed", card.seed, "--seeds", 20
    )
    cuts = [int(count) for count in re.findall(r"^ok .*: (\d+) cuts", text, re.M)]
    found = sum(map(int, re.findall(r"(\d+) lost writes found", text)))
    passed, failed = count_last_line(text, status)
    if passed:
        card.tried.setdefault(24, []).append(f"QEMU {sum(cuts):,} cuts")
    yield Figure(
        "power cuts", f"{passed + failed} workloads, {sum(cuts):,} crash points replayed, {failed} "
        f"workloads inconsistent; {found} writes taken out of logs, all found",
        "0 inconsistent", passed > 0 and not failed and status == 0, shown,
        {"workloads": passed + failed, "crash_points": sum(cuts), "inconsistent": failed,
         "seeded_losses_found": found},
    )


def machine(card: Card) -> Iterator[Figure]:
    """The cases under QEMU that provoke a fault class, but for what power() has cut."""
    faults = [fault for fault in fault_table.read() if fault.machine
              and not any("QEMU" in who for who in card.tried.get(fault.number, ()))]
    pattern = "|".join(fault.machine for fault in faults)
    shown, text, status = card.run(
        PYTHON, "tests/qemu/run.py", "--seed", card.seed, "-k", pattern
    )
    names = re.findall(r"^ok +\[[ \d/]+\] (.*?) +\d+\.\d s", text, re.M)
    for fault in faults:
        count = sum(bool(re.search(fault.machine, name)) for name in names)
        if count:
            card.tried.setdefault(fault.number, []).append(f"QEMU {count}")
    passed, failed = count_last_line(text, status)
    yield Figure(
        "faults under QEMU",
        f"{len(faults)} classes in {len(names)} machines: {passed} tests passed, {failed} failed",
        "0 failed", passed > 0 and not failed and status == 0, shown,
        {"classes": len(faults), "machines": len(names), "passed": passed, "failed": failed},
    )


def classes(card: Card) -> Iterator[Figure]:
    """What has tried each class. The short card does not run all that tries some."""
    faults = fault_table.read()
    missing = [fault for fault in faults if fault.number not in card.tried]
    for fault in faults:
        who = ", ".join(card.tried.get(fault.number, ["not tried"]))
        print(f"        {fault.number:2} {fault.what:52} {who}")
    yield Figure(
        "fault classes", f"{len(faults) - len(missing)} of {len(faults)} tried"
        + "".join(f"; not tried: {fault.number} {fault.what}" for fault in missing),
        "some" if card.short else f"all {len(faults)}",
        len(missing) < len(faults) and (card.short or not missing), "the rows above",
        {"tried": len(faults) - len(missing), "classes": len(faults),
         "not_tried": [fault.number for fault in missing],
         "by": {str(klass): words for klass, words in sorted(card.tried.items())}},
    )


def mutants(card: Card) -> Iterator[Figure]:
    """Seeded bugs that the tests notice."""
    shown, text, status = card.run(PYTHON, "tests/mutate/run.py", "--seed", card.seed)
    sums = re.search(r"^(\d+) killed, (\d+) survived$", text, re.M)
    killed, survived = (int(sums[1]), int(sums[2])) if sums else (0, 0)
    percent = killed * 100 / max(killed + survived, 1)
    yield Figure(
        "mutants", f"{killed} of {killed + survived} killed, {percent:.1f} %",
        f"at least {MUTANTS_MIN:.0f} %", percent >= MUTANTS_MIN and status == 0, shown,
        {"made": killed + survived, "killed": killed},
    )


OF_SIMULATION = (simulation, resets, lost_interrupts)
