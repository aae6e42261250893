"""What a run leaves behind so that it can go on: its plan, its target, its windows.

results.json holds the plan, windows.jsonl every window as it was measured. A boot that was cut off
is run again as a whole: its windows would have met another host. The commit is not compared: what
it can change about a window is the program and QEMU's command line, and these are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from measure import environment
from measure.plan import Plan, Rate, Sweep, host_cores
from measure.saturation import Saturation, as_json, from_json
from measure.windows import GuestFailed, Target, Window, boot_machine
from qemu.backing import parse_backing
from qemu.machine import UsageError, find_app, find_qemu
from results import result_file

Build = Callable[[list[Window], dict, dict, bool, list[dict]], dict]

WINDOWS_NAME = "windows.jsonl"
# What must be the same for windows to belong to one run, and what to do where it is not.
HINTS = {
    "program": "build that of commit {commit}",
    "command_lines": "use the scripts of commit {commit}",
    "qemu": "name that one with --qemu",
    "backing": "name that one with --backing",
    "host_cpu": "go on where it began",
    "host_cores": "go on with as many",
}


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A run that was ended early."""

    plan: Plan
    saturation: Saturation
    windows: list[Window]  # of complete boots
    environment: dict  # of its beginning
    repeated: list[dict]  # boots that were measured again


def program_hash(target: Target) -> str:
    """Names the measured build, whatever commit it calls itself."""
    return hashlib.sha256(find_app(target.app).read_bytes()).hexdigest()[:16]


def command_lines_hash(plan: Plan, target: Target) -> str:
    """Names QEMU's command lines, but for paths: what the scripts make of a plan."""
    lines = []
    for sweep in plan.sweeps:
        argv = boot_machine(target, plan, sweep, 0).argv()
        pairs = zip(argv, argv[1:])  # without the first: the emulator's path
        lines.append([word for before, word in pairs if before not in ("-kernel", "-blockdev")])
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:16]


def host_of(plan: Plan, target: Target) -> dict[str, object]:
    """The `host` of a plan: what HINTS names, but for the backing."""
    if target.modelled:
        # A result is the same on every host, whatever built the program.
        return {**dict.fromkeys(HINTS, ""), "command_lines": command_lines_hash(plan, target)}
    _, version = find_qemu(target.qemu)
    return {
        "program": program_hash(target),
        "command_lines": command_lines_hash(plan, target),
        "qemu": version,
        "host_cpu": environment.cpu_model(),
        "host_cores": host_cores(),
    }


def check_program(target: Target, host: dict[str, object]) -> None:
    """GuestFailed if the program is not the one that the run began with."""
    if host["program"] and program_hash(target) != host["program"]:
        raise GuestFailed("its program was built anew during the run: a result is of one build")


def save_windows(windows: Iterable[Window], folder: Path) -> None:
    """Write windows.jsonl, whole at any moment."""
    with result_file.whole(folder / WINDOWS_NAME) as sink:
        for window in windows:
            sink.write(json.dumps(window.as_json()) + "\n")


def forget_windows(folder: Path) -> None:
    """Remove those of another run: a plan must never stand beside windows that are not its own."""
    (folder / WINDOWS_NAME).unlink(missing_ok=True)


def beside(folder: Path) -> Path:
    """Where a run's windows go while an older result is in its folder."""
    return folder.with_name(f"{folder.name}.partial")


def _hint(folder: Path) -> str:
    """A hint where another part of a run lies; empty if nowhere."""
    other = beside(folder)
    return f"; hint: --out {other}" if (other / WINDOWS_NAME).exists() else ""


def load_windows(folder: Path) -> list[Window]:
    """Read it back; a last line that was cut off is left out."""
    path = folder / WINDOWS_NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"--resume: {path}: {error.strerror}{_hint(folder)}") from error
    windows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            window = Window.from_json(json.loads(line))
            windows.append(window)
            _ = window.key, window.iops
        except result_file.BROKEN as error:
            raise UsageError(
                f"--resume: {path}, line {number} is no window: {type(error).__name__}: {error}; "
                "hint: measure anew") from error
    return windows


def _sweep(data: dict) -> Sweep:
    fields = {name: tuple(value) for name, value in data.items()}
    fields["rate"] = tuple(Rate(**rate) for rate in data["rate"])
    return Sweep(**fields)


def _plan(data: dict) -> Plan:
    names = [each.name for each in dataclasses.fields(Plan)]
    fields = {name: data[name] for name in names if name in data}  # newer ones have defaults
    fields |= {"sweeps": tuple(map(_sweep, data["sweeps"])), "dropped": tuple(data["dropped"])}
    return Plan(**fields)


def _complete(plan: Plan, windows: list[Window]) -> list[Window]:
    """Those of boots that have all their windows."""
    counts = Counter((window.boot, window.sweep) for window in windows)
    whole = {(boot, number) for (boot, number), count in counts.items()
             if count == plan.sweeps[number].points()}
    return [window for window in windows if (window.boot, window.sweep) in whole]


def _resumed(result: dict, target: Target, folder: Path, build: Build) -> Resumed:
    """Read all of it; UsageError if it is of another target, of results.BROKEN if it is broken."""
    plan = _plan(result["plan"])
    header = result["environment"]
    before = {**result["plan"]["host"], "backing": header["backing"]}
    now = {**host_of(plan, target), "backing": parse_backing(target.backing).name()}
    for name, hint in HINTS.items():
        if before.get(name) != now[name]:
            raise UsageError(
                f"--resume: {name} was {before.get(name, 'not kept')}, is {now[name]}: a result is "
                f"of one build, host, QEMU and backing; hint: "
                f"{hint.format(commit=header.get('commit'))}, or measure anew into another --out")
    windows = _complete(plan, load_windows(folder))
    saturation = from_json(result["saturation"])
    # Reads all that the rest of the run reads at its end.
    build(windows, header, {}, True, as_json(saturation))
    plan.describe()
    return Resumed(plan, saturation, windows, header, result["repeated_boots"])


def load(folder: Path, target: Target, build: Build) -> Resumed:
    """A run of `target` that was ended early. UsageError if there is none, or of another target.

    The file does not say where the backing lies: `target` does. `build` is what makes a result of
    windows: it must take these.
    """
    try:
        result = result_file.load(folder)
    except ValueError as error:
        raise UsageError(f"--resume: {error}") from error
    if not result.get("partial"):
        raise UsageError(
            f"--resume: {folder} is complete: there is nothing left to do{_hint(folder)}")
    try:
        return _resumed(result, target, folder, build)
    except result_file.BROKEN as error:
        raise UsageError(
            f"--resume: {folder} does not say how to go on: {type(error).__name__}: {error}; hint: "
            "measure anew") from error
