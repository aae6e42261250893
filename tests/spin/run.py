#!/usr/bin/env python3
"""Check the models of tests/spin/ exhaustively with SPIN, and that each seeded bug is found.

    tests/spin/run.py                 every case
    tests/spin/run.py -k shared       only those whose name contains it
    tests/spin/run.py --list          the names

A case is a model with some definitions. One that must hold is searched to the end: no invalid end
state, no broken assertion. One with a seeded bug must fail, else the model would not notice the bug
in the code either. What is built, and the trail of an error, stay in build/spin/CASE/. The last
line is `N passed, N failed`. Needs the packages spin and gcc.
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
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402

MODELS = ROOT / "tests" / "spin"
BUILD = ROOT / "build" / "spin"
WORKERS = 2
DEPTH_MAX = 10_000  # the deepest gets to 348; pan takes and clears memory for as many
HASH_BITS = {True: 18, False: 22}  # by `fails`: a seeded bug is found early
# The states of a long search, in large pages.
ENVIRONMENT = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
SECONDS_MAX = 600
TRAIL_LINES = 30


@dataclasses.dataclass(frozen=True)
class Case:
    """A model with definitions; `fails` says that it has a seeded bug."""

    model: str
    defines: tuple[str, ...]
    fails: bool

    @property
    def name(self) -> str:
        """As printed, and as its folder is called."""
        return "-".join([self.model, *self.defines]).replace("=", "").lower()


def shared_cases() -> list[Case]:
    """Shared delivery: two harts, and three as far as the search ends in a few seconds."""
    two = ("HARTS=2",)
    three = ("HARTS=3",)
    quiet = ("STRAYS=0", "POLLS=0")  # no cycle may find nothing
    good = (
        (*two, "STRAYS=1"),
        (*two, "POLLS=0"),
        (*two, *quiet),
        (*two, *quiet, "UNMATCHED"),
        (*two, "STRAYS=1", "POLLS=0", "UNMATCHED"),
        (*three, "STRAYS=1", "POLLS=0", "ENTRIES=1"),
        (*three, "STRAYS=0", "ENTRIES=1"),
        (*three, *quiet),
        (*three, *quiet, "ENTRIES=1", "UNMATCHED"),
        (*three, "STRAYS=1", "POLLS=0", "IRQ_HART_WITHOUT_QUEUE"),
        (*three, "STRAYS=0", "ENTRIES=1", "LOST"),
        (*three, *quiet, "DEAF"),
        # In the wrong order these cost an interrupt for nothing, but lose nothing.
        (*two, "STRAYS=1", "POLLS=0", "BUG_ACTIVE_LATE"),
        (*two, "STRAYS=1", "BUG_ANSWER_FIRST"),
    )
    bad = (
        (*two, "BUG_OWNER_OPENS"),
        (*two, "STRAYS=0", "BUG_OWNER_OPENS"),  # it takes no second device on the line
        (*two, "BUG_OPEN_AT_ONCE"),
        (*two, "BUG_IPI_FIRST"),
        (*two, "BUG_CLEAR_LATE"),
        (*two, "BUG_COUNT"),
        (*two, "BUG_CLOSE_SILENT"),
        (*two, "STRAYS=0", "LOST", "BUG_NO_REOPEN"),
        (*two, *quiet, "BUG_ACTIVE_LATE"),
        (*two, *quiet, "BUG_ANSWER_FIRST"),
        (*two, *quiet, "BUG_LEAVE_LATE"),
        (*two, *quiet, "UNMATCHED", "BUG_ACTIVE_ONLY"),
    )
    return [Case("shared", defines, False) for defines in good] + [
        Case("shared", defines, True) for defines in bad
    ]


def mixed_cases() -> list[Case]:
    """A shared controller and another one on the same line."""
    shared = ("TWO_SHARED", "B_ENTRIES=1", "STRAYS=0")
    good = (("STRAYS=0",), ("B_ENTRIES=2",), ("A_ENTRIES=2", "B_ENTRIES=2", "STRAYS=0"), shared)
    bugs = ("BUG_OPEN_FIRST", "BUG_B_FIRST", "BUG_B_ONCE", "BUG_GIVE_UP", "BUG_END_OPENS")
    return [Case("mixed", defines, False) for defines in good] + [
        Case("mixed", (bug,), True) for bug in bugs
    ]


def mode_cases() -> list[Case]:
    """Modes that change, on a line, on a vector, and on a source that holds nothing back."""
    sources = ("LINE", "VECTOR")
    bugs = ("BUG_SLEEP_CLOSED", "BUG_IRQ_ON", "BUG_MODE_ONLY", "BUG_FLAG_ONLY")
    drops = ("VECTOR_DROPS", "HYBRID_ONLY")
    # What is held back comes when the source opens, so the order is free there.
    found = [
        Case("mode", (source, *way), False)
        for source in sources
        for way in ((), ("BUG_LOOK_THEN_OPEN",))
    ]
    found += [Case("mode", (source, bug), True) for source in sources for bug in bugs]
    found += [
        Case("mode", ("LINE", "BUG_EXIT_AS_ENTERED"), True),
        Case("mode", drops, False),
        Case("mode", (*drops, "BUG_LOOK_THEN_OPEN"), True),
        Case("mode", ("VECTOR_DROPS",), True),
    ]
    return found


def doorbell_cases() -> list[Case]:
    """A clocked submission doorbell, with a device that tells its head and one that does not."""
    good = ((), ("ARMS",), ("LIES",), ("ARMS", "LIES"))
    bad = (("ARMS", "BUG_ARM_SILENT"), ("BUG_REAP_SILENT",), ("LIES", "BUG_HEAD_ALONE"))
    return [Case("doorbell", defines, False) for defines in good] + [
        Case("doorbell", defines, True) for defines in bad
    ]


def shadow_cases() -> list[Case]:
    """Shadow doorbells, over more than a wrap of the ring."""
    sizes = ((), ("DEPTH=2",), ("DEPTH=4", "COMMANDS=9"))
    # The watchdog mends a device that does not keep to the protocol.
    mended = (("WATCHDOG",), ("DEAF", "WATCHDOG"), ("BUG_DEVICE_LOOK", "WATCHDOG"))
    good = (*sizes, *mended)
    bugs = (
        "BUG_NO_FENCE",
        "BUG_DEVICE_FENCE",
        "BUG_DEVICE_LOOK",
        "BUG_ONE_LATE",
        "BUG_BEHIND",
        "BUG_NO_WRAP",
        "DEAF",
    )
    found = [Case("shadow", defines, False) for defines in good]
    found += [Case("shadow", (bug,), True) for bug in bugs]
    lap = ("BUG_DEVICE_LOOK", "WATCHDOG", "BUG_BY_VALUE")
    return [*found, Case("shadow", lap, True)]


def head_cases() -> list[Case]:
    """A late completion doorbell, for several surpluses."""
    good = ((), ("SURPLUS=1",), ("SURPLUS=3",), ("SURPLUS=4", "DEPTH=2"), ("SURPLUS=0",))
    bugs = ("BUG_SUBMIT_FIRST", "BUG_FORGETS", "BUG_IN_CALLBACK")
    return [Case("head", defines, False) for defines in good] + [
        Case("head", (bug,), True) for bug in bugs
    ]


def owed_cases() -> list[Case]:
    """Entries that are owed while a source is closed, on a line and on a vector."""
    bugs = ("BUG_OWES_OPEN", "BUG_OWES_AWAY", "BUG_STAYS_LATE", "BUG_JOINS_LATE")
    found = []
    for source in ("LINE", "VECTOR"):
        # The wrong order costs an interrupt for nothing, but loses nothing.
        found += [Case("owed", (source, *way), False) for way in ((), ("BUG_OPEN_FIRST",))]
        found += [Case("owed", (source, bug), True) for bug in bugs]
    return found


def barrier_cases() -> list[Case]:
    """Each barrier of the port, on a hart that reorders: none can be left out."""
    header = (ROOT / "engine" / "nvme_hal.h").read_text()
    barriers = re.findall(r"^static inline void hal_((?:before|after|arm)_\w+)\(", header, re.M)
    parts = ("COMMAND_LATE", "ENTRY_LATE", "DATA_LATE", "NOT_READ", "NOT_FENCED")
    bugs = [f"BUG_NO_{barrier.upper()}" for barrier in barriers] + [f"BUG_{part}" for part in parts]
    return [Case("barrier", (), False)] + [Case("barrier", (bug,), True) for bug in bugs]


def abort_cases() -> list[Case]:
    """Abort: two owners, and a hart that administers."""
    bugs = ("BUG_TWO", "BUG_NO_WAIT", "BUG_ANY_PHASE", "BUG_FREE_EARLY")
    return [Case("abort", (), False)] + [Case("abort", (bug,), True) for bug in bugs]


def reset_cases() -> list[Case]:
    """A reset: of one deadline or two, with a device that may be removed."""
    tool = ("TOOL", "RESETS=2", "REQUESTS=1")
    good = ((), ("RESETS=2",), ("REMOVAL",), ("RESETS=0",), ("REQUESTS=3",), tool)
    bugs = (
        "BUG_END_EARLY",
        "BUG_NO_LAST_REAP",
        "BUG_NO_WAIT",
        "BUG_RESUME_EARLY",
        "BUG_NO_FLAG",
    )
    return [Case("reset", defines, False) for defines in good] + [
        Case("reset", bug, True) for bug in [*((bug,) for bug in bugs), (*tool, "BUG_OLD_LOOK")]
    ]


def cases() -> list[Case]:
    """Everything that is checked. A new model is a line here and a file in tests/spin/."""
    lines = ("LINE_LEVEL", "LINE_EDGE", "LINE_EDGE_CLEARS")
    found = [Case("line", (kind, *way), False) for kind in lines for way in ((), ("MASK",))]
    # A level that stays high is sent again: there the handler that reaps once is right.
    found += [Case("line", ("LINE_LEVEL", "BUG_REAP_ONCE"), False)]
    found += [
        Case("line", (kind, *bug), True)
        for kind in lines[1:]
        for bug in (
            ("BUG_REAP_ONCE",),
            ("BUG_ONE_BY_ONE",),
            ("BUG_GIVE_UP",),
            ("MASK", "BUG_ONE_BY_ONE"),
        )
    ]
    # Posted doorbells: an edge is lost behind the last look, not behind a mask.
    found += [Case("line", (kind, "POSTED", "MASK"), False) for kind in lines]
    found += [Case("line", ("LINE_LEVEL", "POSTED"), False)]
    found += [
        Case("line", (kind, "POSTED", *bug), True)
        for kind in lines[1:]
        for bug in ((), ("MASK", "BUG_NO_READ"))
    ]
    # A storm ends without losing an entry, and closes nothing for good.
    storm = ("STORM", "ENTRIES=2")
    ways: tuple[tuple[str, ...], ...] = ((), ("MASK",))
    found += [Case("line", (kind, *storm, *way), False) for kind in lines for way in ways]
    found += [
        Case("line", (lines[1], *storm, bug), True) for bug in ("BUG_STORM_FLAG", "BUG_STORM_STAYS")
    ]
    found += [Case("wait", (), False)]
    found += [Case("wait", (bug,), True) for bug in ("BUG_OPEN_BEFORE_WFI", "BUG_OPEN_AT_LOOK")]
    found += shared_cases() + mixed_cases() + mode_cases() + doorbell_cases()
    found += shadow_cases() + head_cases() + owed_cases() + barrier_cases()
    found += [Case("event", (), False)]
    found += [
        Case("event", (bug,), True)
        for bug in ("BUG_LOG_UNREAD", "BUG_STALE", "BUG_LIVE_FIRST", "BUG_NOT_ARMED")
    ]
    found += [Case("failure", (), False)]
    found += [
        Case("failure", (bug,), True)
        for bug in ("BUG_END_EARLY", "BUG_NO_LAST_REAP", "BUG_END_OTHERS")
    ]
    return found + abort_cases() + reset_cases()


class ToolError(Exception):
    """SPIN or the compiler did not do its work: no verdict about the model."""


def run(command: Sequence[str], folder: Path) -> str:
    """The command's output. Raises ToolError if it fails or takes too long."""
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{command[0]}: no end after {SECONDS_MAX} s") from error
    except OSError as error:
        raise ToolError(f"{command[0]}: {error.strerror}; hint: scripts/setup.sh test") from error
    # pan ends with 0 whether or not it has found an error.
    if answer.returncode:
        raise ToolError(f"{command[0]} ends with {answer.returncode}:\n{answer.stdout}")
    return answer.stdout


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the search came to."""

    errors: int
    states: int
    seconds: float
    complete: bool
    what: str


def search(case: Case) -> Verdict:
    """Build the verifier of one case and run it to its end."""
    folder = BUILD / case.name
    folder.mkdir(parents=True, exist_ok=True)
    for trail in folder.glob("*.trail"):
        trail.unlink()
    begin = time.monotonic()
    model = os.path.relpath(MODELS / f"{case.model}.pml", folder)
    run(["spin", "-a", *(f"-D{define}" for define in case.defines), model], folder)
    # The compiler takes most of the time: little to optimise where a search is long, else nothing.
    optimise = "-O0" if case.fails else "-Og"
    run(["gcc", optimise, "-w", "-DSAFETY", "-DNOFAIR", "-o", "pan", "pan.c"], folder)
    output = run(["./pan", f"-m{DEPTH_MAX}", f"-w{HASH_BITS[case.fails]}"], folder)
    (folder / "pan.log").write_text(output)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not errors or not states:
        raise ToolError(f"pan says neither errors nor states:\n{output}")
    what = re.search(r"^pan:\d+: (.*?)(?: \(at depth.*)?$", output, re.M)
    return Verdict(
        errors=int(errors[1]),
        states=int(states[1]),
        seconds=time.monotonic() - begin,
        complete="max search depth too small" not in output and "out of memory" not in output,
        what=what[1] if what else "",
    )


def trail_of(case: Case) -> str:
    """The last steps that led to the error."""
    folder = BUILD / case.name
    found = sorted(folder.glob("*.trail"))
    if not found:
        return ""
    model = os.path.relpath(MODELS / f"{case.model}.pml", folder)
    defines = [f"-D{define}" for define in case.defines]
    command = ["spin", "-p", "-g", "-k", found[0].name, *defines, model]
    lines = run(command, folder).splitlines()
    (folder / "trail.txt").write_text("\n".join(lines) + "\n")
    where = (folder / "trail.txt").relative_to(ROOT)
    return "\n".join([f"      ... {where}, its last {TRAIL_LINES} lines:", *lines[-TRAIL_LINES:]])


def judge(case: Case) -> tuple[bool, str]:
    """Whether the case came out as it must, and a line that says so."""
    try:
        verdict = search(case)
        good = verdict.complete and (verdict.errors != 0) == case.fails
        told = "" if good or not verdict.errors else "\n" + trail_of(case)
    except ToolError as error:
        return False, f"FAIL  {case.name}: {error}"
    words = verdict.what or "no error"
    if not verdict.complete:
        words += ", the search did not get to its end"
    elif not good:
        words += ": the seeded bug is not found" if case.fails else ""
    return good, (
        f"{'ok' if good else 'FAIL':4}  {case.name:54} {verdict.states:10,} states "
        f"{verdict.seconds:6.1f} s  {'bug found: ' if good and case.fails else ''}{words}{told}"
    )


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", metavar="PATTERN", default="", help="only cases with this in them")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(argv)
    chosen = [case for case in cases() if options.k in case.name]
    if not chosen:
        parser.error(f"-k {options.k}: no case has this in its name; --list prints them")
    if options.list:
        print("\n".join(case.name for case in chosen))
        return 0
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for good, line in pool.map(judge, chosen):
            print(line, flush=True)
            passed += good
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return 0 if passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
