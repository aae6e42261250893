"""What a run leaves behind so that it can go on: its plan, its target, its windows.

results.json holds the plan, windows.jsonl every window as it was measured. A boot that was cut off
is run again as a whole: its windows would have met another host.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import environment
import results
from capacity import Capacity
from machine import UsageError, find_app, find_qemu
from matrix import Plan, Rate, Sweep, host_cores
from measure import Target, Window

WINDOWS_NAME = "windows.jsonl"


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A run that was ended early."""

    plan: Plan
    target: Target
    capacity: Capacity
    windows: list[Window]  # of complete boots


def program_hash(target: Target) -> str:
    """Names the measured build, whatever commit it calls itself."""
    return hashlib.sha256(find_app(target.app).read_bytes()).hexdigest()[:16]


def _host(target: Target) -> dict[str, object]:
    """What must be the same for windows to belong to one run."""
    _, version = find_qemu(target.qemu or os.environ.get("QEMU") or "qemu-system-riscv64")
    return {
        "program": program_hash(target),
        "qemu": version,
        "host_cpu": environment.cpu_model(),
        "host_cores": host_cores(),
    }


def describe(plan: Plan, target: Target) -> dict[str, object]:
    """The `plan` of results.json."""
    return {
        **dataclasses.asdict(plan),
        "host": _host(target),
    }


def save_windows(windows: Iterable[Window], folder: Path) -> None:
    """Write windows.jsonl, whole at any moment."""
    draft = folder / f".{WINDOWS_NAME}.new"
    with draft.open("w", encoding="utf-8") as sink:
        for window in windows:
            sink.write(json.dumps(window.as_json()) + "\n")
    os.replace(draft, folder / WINDOWS_NAME)


def load_windows(folder: Path) -> list[Window]:
    """Read it back; a last line that was cut off is left out."""
    path = folder / WINDOWS_NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"--resume: {path}: {error.strerror}") from error
    windows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            windows.append(Window.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"--resume: {path}, line {number}: {error}") from error
    return windows


def _sweep(data: dict) -> Sweep:
    fields = {name: tuple(value) for name, value in data.items()}
    fields["rate"] = tuple(Rate(**rate) for rate in data["rate"])
    return Sweep(**fields)


def _plan(data: dict) -> Plan:
    names = [field.name for field in dataclasses.fields(Plan)]
    fields = {name: data[name] for name in names}
    fields["sweeps"] = tuple(_sweep(each) for each in data["sweeps"])
    fields["dropped"] = tuple(data["dropped"])
    return Plan(**fields)


def _complete(plan: Plan, windows: list[Window]) -> list[Window]:
    """Those of boots that have all their windows."""
    counts: dict[tuple[int, int], int] = {}
    for window in windows:
        place = (window.boot, window.sweep)
        counts[place] = counts.get(place, 0) + 1
    whole = {
        (boot, number)
        for (boot, number), count in counts.items()
        if count == plan.sweeps[number].points() * len(plan.rounds_of_boot(boot))
    }
    return [window for window in windows if (window.boot, window.sweep) in whole]


def load(folder: Path, target: Target) -> Resumed:
    """A run of `target` that was ended early. UsageError if there is none, or of another target.

    The file does not say where the medium lies: `target` does.
    """
    try:
        result = results.load(folder)
    except ValueError as error:
        raise UsageError(f"--resume: {error}") from error
    if not result.get("partial"):
        beside = folder.with_name(f"{folder.name}.partial")
        hint = f" (hint: --out {beside})" if (beside / results.JSON_NAME).exists() else ""
        raise UsageError(f"--resume: {folder} is complete: there is nothing left to do{hint}")
    try:
        data = result["plan"]
        plan = _plan(data)
        before = {**data["host"], "backing": result["environment"]["backing"]}
        capacity = Capacity.from_json(result["capacity"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"--resume: {folder} does not say how to go on: {error}") from error
    now = {**_host(target), "backing": environment.backing_name(target.backing)}
    for name, value in now.items():
        if before.get(name) != value:
            raise UsageError(
                f"--resume: {name} was {before.get(name)}, is {value}: a result is of one build "
                "on one host and one --backing (hint: name the same, or run it anew with --out)"
            )
    return Resumed(plan, target, capacity, _complete(plan, load_windows(folder)))
