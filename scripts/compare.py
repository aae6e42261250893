"""Two results of bench.py, point by point: what differs, and is the second slower?

A run of the same build against itself must show next to nothing (scripts/aa.py tests it).
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import instructions
import quiet
import results
from machine import UsageError
from stats import Estimate, paired_ratio, ratio_of_samples

# Results that differ here do not answer the same question.
SAME = ("backing",)
# They may differ, and then that is what is seen.
TOLD = ("qemu", "compiler", "host_cpu", "host_cores")
NAME_COLUMNS = 40


@dataclasses.dataclass(frozen=True)
class Difference:
    """A point in both results; `ratio` is the second's IOPS over the first's, `p99` that of the
    99th percentile of latency (None: not known, or too few samples)."""

    name: str
    ratio: Estimate
    p99: Estimate | None = None

    def verdict(self, threshold: float) -> int:
        """1 faster, -1 slower, 0 neither. All of the interval must lie beyond the threshold.

        Of fifty points some medians are always off by chance; whole intervals hardly ever are.
        The p99 is not asked: it spreads so far from boot to boot that no threshold keeps chance
        out of it (results/README.md).
        """
        if not self.ratio.sure:
            return 0
        return int(self.ratio.low > 1.0 + threshold) - int(self.ratio.high < 1.0 - threshold)


def by_boot(rounds: list[dict], name: str = "iops") -> dict[int, float]:
    """The median of each boot that knows it."""
    boots: dict[int, list[float]] = {}
    for each in rounds:
        if each.get(name) is not None:
            boots.setdefault(each.get("boot", 0), []).append(each[name])
    return {boot: statistics.median(values) for boot, values in boots.items()}


def ratio(
    first: list[dict], second: list[dict], paired: bool, name: str = "iops"
) -> Estimate | None:
    """The second over the first; None if one of them has no such figure, or only zeros.

    Boots are the samples: rounds of one boot share where the host has put QEMU's threads, and as
    samples they would make every other run of one build look slower than itself.
    """
    before, now = by_boot(first, name), by_boot(second, name)
    if not now or min(before.values(), default=0) <= 0:
        return None
    if paired and (found := paired_ratio(now, before)):
        return found
    return ratio_of_samples(list(now.values()), list(before.values()))


def rounds_of(job: dict) -> list[dict]:
    """Rounds of a point; the IOPS of an open loop as a share of what was offered.

    A load in per cent of the capacity is another number in each run, whatever the build does.
    """
    mine = job["hartq"]
    offered = mine.get("offered_iops")
    return [{**each, "iops": each["iops"] / (offered or 1)} for each in mine["rounds"]]


def points(result: dict) -> dict[str, list[dict]]:
    """Rounds of each point, by its name."""
    return {job["jobname"]: rounds_of(job) for job in result["jobs"]}


def capacities(first: dict, second: dict) -> Iterator[str]:
    """What the loads in per cent are of, where both know it."""
    for mine in first.get("capacity", []):
        where = {name: value for name, value in mine.items() if name != "iops"}
        for other in second.get("capacity", []):
            if {**other, "iops": mine["iops"]} == mine:
                text = ", ".join(f"{name} {value}" for name, value in where.items())
                yield (f"note: the capacity was {mine['iops']:,.0f} IOPS in A, "
                       f"{other['iops']:,.0f} in B ({text})")  # fmt: skip


def differences(first: dict, second: dict) -> list[Difference]:
    """All points that both have, if the first did I/O there: the second that did none is slower.

    Pairs, if they were measured boot by boot side by side.
    """
    paired = first.get("pair") is not None and first.get("pair") == second.get("pair")
    mine, other = points(first), points(second)
    found = []
    for name, rounds in mine.items():
        iops = ratio(rounds, other.get(name, []), paired)
        if iops:
            p99 = ratio(rounds, other[name], paired, "p99_ns")
            found.append(Difference(name, iops, p99))
    return found


def counted(first: dict, second: dict) -> Iterator[str]:
    """Instructions that rose: exact figures, of one compiler."""
    sides = [result.get("instructions") for result in (first, second)]
    if not all(sides) or sides[0]["compiler"] != sides[1]["compiler"]:
        return
    before, now = (instructions.figures_of(side["rows"]) for side in sides)
    for name, parts in before.items():
        for part, count in parts.items():
            if now.get(name, {}).get(part, 0) > count:
                yield f"{name}: {part} rose from {count} to {now[name][part]} instructions"


def check(first: dict, second: dict) -> list[str]:
    """What a reader must know first. UsageError if the two cannot be compared."""
    notes = []
    for name in SAME + TOLD:
        values = [str(result.get("environment", {}).get(name)) for result in (first, second)]
        if values[0] != values[1]:
            text = f"{name}: {values[0]} in A, {values[1]} in B"
            if name in SAME:
                raise UsageError(f"--compare: {text}: these are different measurements")
            notes.append(f"note: {text}")
    for which, result in (("A", first), ("B", second)):
        if result.get("partial"):
            notes.append(f"note: {which} is a partial result")
        if (wait := max(quiet.host_waits(result).values(), default=0.0)) >= quiet.WAIT_MAX:
            notes.append(
                f"note: {which} was measured on a busy host: QEMU's threads waited for a core "
                f"{100 * wait:.0f} % of the time; what differs may be the host"
            )
    notes += capacities(first, second)
    names = set(points(first)) ^ set(points(second))
    if names:
        shown = ", ".join(sorted(names)[:5]) + (" ..." if len(names) > 5 else "")
        notes.append(f"note: {len(names)} points are in one of them alone: {shown}")
    return notes


def _cell(ratio: Estimate | None, word: str) -> str:
    text = f"{ratio.median:6.3f} ({ratio.low:.3f}-{ratio.high:.3f})" if ratio else "     -"
    return f"{text:22} {word:6}"


def line(each: Difference, threshold: float) -> str:
    """A point: IOPS with the verdict, p99 with what seems to be."""
    verdict = {1: "faster", -1: "SLOWER", 0: ""}[each.verdict(threshold)]
    seems = {1: "higher", -1: "lower", 0: ""}[each.p99.verdict() if each.p99 else 0]
    cells = f"{_cell(each.ratio, verdict)}  {_cell(each.p99, seems)}"
    return f"{each.name:{NAME_COLUMNS}} {cells}".rstrip()


def lines(found: list[Difference], threshold: float) -> list[str]:
    """A line for each point, and what they come to."""
    title = f"{'':{NAME_COLUMNS}} {'IOPS':29}  p99 latency (shown, not judged)"
    rows = [title, *(line(each, threshold) for each in found)]
    verdicts = [each.verdict(threshold) for each in found]
    chance = sum(1.0 - each.ratio.confidence for each in found)
    unsure = sum(not each.ratio.sure for each in found)
    rows.append(
        f"{len(found)} points: {verdicts.count(-1)} slower, {verdicts.count(1)} faster by more "
        f"than {100 * threshold:g} % (of a threshold of 0 %, chance alone would give {chance:.1f})"
    )
    if unsure:
        rows.append(f"{unsure} points have too few boots to tell (four; six where they are pairs)")
    return rows


def load(path: Path) -> dict:
    """A result of ours. UsageError if it is not one."""
    try:
        result = results.load(path)
    except ValueError as error:
        raise UsageError(f"--compare: {error}") from error
    if any("hartq" not in job for job in result["jobs"]):
        raise UsageError(f"--compare: {path}: not a result of bench.py")
    try:  # all that is read below
        points(result)
        instructions.figures_of((result.get("instructions") or {"rows": []})["rows"])
        result["environment"]["backing"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"--compare: {path}: a field is missing or of another kind: {error}"
        ) from error
    return result


def run(first: Path, second: Path, threshold_percent: float) -> int:
    """The command: 0 no regression, 1 one at least. UsageError if nothing can be told."""
    if not 0 <= threshold_percent < 100:
        raise UsageError(f"--threshold: {threshold_percent:g} is out of range (0 to 100)")
    sides = load(first), load(second)
    notes = check(*sides)
    found = differences(*sides)
    if not found:
        counts = " and ".join(str(len(points(side))) for side in sides)
        raise UsageError(
            f"--compare: no point is in both with any I/O in A (A and B have {counts} points)"
        )
    rises = list(counted(*sides))
    print(f"B / A: median and interval of the ratio\nA: {first}\nB: {second}")
    print(*notes, *lines(found, threshold_percent / 100), *rises, sep="\n")
    slower = any(each.verdict(threshold_percent / 100) < 0 for each in found)
    sys.stdout.flush()
    if not rises and not any(each.ratio.sure for each in found):
        raise UsageError("--compare: too few boots to tell anything (hint: --boots 6, not quick)")
    return 1 if slower or rises else 0
