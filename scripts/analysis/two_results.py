"""Two results of bench.py, point by point: IOPS and p99 latency of B over A, with intervals.

There is no verdict: two runs never have the same host. What decides is exact (instructions) or was
measured boot by boot side by side (scripts/aa.py marks such results with one `pair`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from analysis import host_noise
from analysis.intervals import Estimate, paired_ratio, unpaired_ratio
from measure import instructions
from qemu.machine import UsageError
from results import boots, result_file

SAME = ("backing",)  # results that differ here answer different questions
TOLD = ("qemu", "compiler", "host_cpu", "host_cores")  # these may differ, and it is said
BOOTS_MIN = 6  # samples that an interval takes
NAME_COLUMNS = 40

Boots = dict[int, float]  # a figure in each boot


class Difference(NamedTuple):
    """A point in both results: B over A."""

    name: str
    iops: Estimate
    p99: Estimate | None  # None: not known

    def __str__(self) -> str:
        p99 = f"{self.p99:.3f}" if self.p99 else "-"
        return f"{self.name:{NAME_COLUMNS}} {f'{self.iops:.3f}':22} {p99}"


def by_boot(job: dict, name: str = "iops") -> Boots:
    """A figure of each boot that knows it.

    The IOPS of an open loop are a share of those offered: a load in per cent of saturation is
    another number in each run, whatever the build does.
    """
    offered = job["hartq"].get("offered_iops") if name == "iops" else None
    return {boot: value / (offered or 1) for boot, value in boots.known(job, name).items()}


def ratio(before: Boots, now: Boots, paired: bool) -> Estimate | None:
    """B over A; None if one of them has no such figure, or A a 0."""
    if not now or min(before.values(), default=0) <= 0:
        return None
    if paired:
        return paired_ratio(now, before)
    return unpaired_ratio(list(now.values()), list(before.values()))


def name_of(job: dict) -> str:
    """The name of a point; a result that does not name its doorbell rang each."""
    name, mode = job["jobname"], f"-{job['hartq']['completion']}"
    return name if "doorbell" in job["job options"] else name.replace(mode, f"{mode}-each")


def points(result: dict) -> dict[str, dict]:
    """The job of each point, by its name."""
    return {name_of(job): job for job in result["jobs"]}


def differences(first: dict, second: dict) -> list[Difference]:
    """All points that both have, if the first did I/O there in all its boots."""
    paired = first.get("pair") is not None and first.get("pair") == second.get("pair")
    other = points(second)
    found = []
    for name, job in points(first).items():
        iops, p99 = (ratio(by_boot(job, figure), by_boot(other[name], figure), paired)
                     if name in other else None for figure in ("iops", "p99_ns"))
        if iops:
            found.append(Difference(name, iops, p99))
    return found


def risen(first: dict, second: dict) -> Iterator[str]:
    """Instructions that rose: exact figures, of one compiler."""
    sides = [result.get("instructions") for result in (first, second)]
    if not all(sides) or sides[0]["compiler"] != sides[1]["compiler"]:
        return
    before, now = (instructions.figures_of(side["rows"]) for side in sides)
    for name, parts in before.items():
        if set(parts) != set(now.get(name, {})):
            continue  # counted in another way, or in one of them alone
        for part, count in parts.items():
            if now[name][part] > count:
                yield f"{name}: {part} rose from {count} to {now[name][part]} instructions"


def notes(first: dict, second: dict) -> list[str]:
    """What a reader must know first. UsageError if the two cannot be compared."""
    found = []
    for name in SAME + TOLD:
        values = [str(result.get("environment", {}).get(name)) for result in (first, second)]
        if values[0] != values[1]:
            text = f"{name}: {values[0]} in A, {values[1]} in B"
            if name in SAME:
                raise UsageError(f"--compare: {text}: these are different measurements")
            found.append(f"note: {text}")
    for which, result in (("A", first), ("B", second)):
        found += [f"note: {which} is a partial result"] * bool(result.get("partial"))
        count = max((len(by_boot(job)) for job in result["jobs"]), default=0)
        if count < BOOTS_MIN:
            found.append(f"note: {which} has {count} boots: its intervals are too narrow "
                         f"(hint: --boots {BOOTS_MIN})")
        found += [f"note: {which}: {warning}" for warning in host_noise.warnings(result)]
    if names := set(points(first)) ^ set(points(second)):
        shown = ", ".join(sorted(names)[:5]) + (" ..." if len(names) > 5 else "")
        found.append(f"note: {len(names)} points are in one of them alone: {shown}")
    return found


def lines(first: dict, found: list[Difference]) -> list[str]:
    """A line for each point, after how fast B's host was: a ratio has to be read against it."""
    rings = [each.iops.median for each in found
              if points(first)[each.name]["hartq"]["completion"] == "raw" and each.iops.median]
    host = [f"host: B's raw rings are {statistics.geometric_mean(rings):.3f} of A's"
            ] if rings else []
    return [*host, f"{'':{NAME_COLUMNS}} {'IOPS':22} p99 latency", *map(str, found)]


def load(path: Path) -> dict:
    """A result of ours. UsageError if it is not one."""
    try:
        result = result_file.load(path)
    except ValueError as error:
        raise UsageError(f"--compare: {error}") from error
    if any("hartq" not in job for job in result["jobs"]):
        raise UsageError(f"--compare: {path}: not a result of bench.py")
    try:  # all that is read below
        instructions.figures_of((result.get("instructions") or {"rows": []})["rows"])
        notes(result, result)
        for job in points(result).values():
            _ = job["hartq"]["completion"], by_boot(job), by_boot(job, "p99_ns")
    except result_file.BROKEN as error:
        raise UsageError(
            f"--compare: {path}: a field is missing or of another kind: {error}") from error
    return result


def run(first: Path, second: Path) -> int:
    """The command: 0, or 1 if B takes more instructions. UsageError if they cannot be compared."""
    sides = load(first), load(second)
    noted, found, wrong = notes(*sides), differences(*sides), list(risen(*sides))
    if not found:
        counts = " and ".join(str(len(points(side))) for side in sides)
        raise UsageError(
            f"--compare: no point is in both with any I/O in A (A and B have {counts} points)")
    print(f"B / A: median and 95 % interval of the boots\nA: {first}\nB: {second}")
    print(*noted, *lines(sides[0], found), *wrong, sep="\n")
    return 1 if wrong else 0
