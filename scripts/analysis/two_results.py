"""Two results of bench.py, point by point: what differs, and is the second slower?

A run of the same build against itself must show next to nothing (scripts/aa.py tests it).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis import host_noise, permutation
from analysis.intervals import Estimate, paired_ratio, ratio_of_samples
from measure import instructions
from qemu.machine import UsageError
from results import result_file

# Results that differ here do not answer the same question.
SAME = ("backing",)
# They may differ, and then that is what is seen.
TOLD = ("qemu", "compiler", "host_cpu", "host_cores")
NAME_COLUMNS = 40
# The second host's speed over the first's, at most. On a host of x times the speed (0.46 to 0.76,
# between four runs of the reference) interrupts had about x^1.3 times the IOPS: with this, the part
# that is not divided out stays below 5 %.
HOST_MOST = 1.15
# How far below its median the interval of a mode's mean may reach: beyond it a fall could hide.
BLIND_MOST = 0.25

Boots = dict[int, float]  # a figure in each boot


@dataclasses.dataclass(frozen=True)
class Difference:
    """A point in both results, or the mean of a mode's points."""

    name: str
    before: Boots  # IOPS over those of the boot's device limits; of pairs and open loops IOPS alone
    now: Boots
    paired: bool
    mode: str = ""  # that it is judged with; none is if it is not judged
    p99: Estimate | None = None  # the second's over the first's; None: not known

    @functools.cached_property
    def ratio(self) -> Estimate:
        """The second over the first, and the interval around it."""
        return ratio(self.before, self.now, self.paired)

    def seems(self, threshold: float) -> int:
        """1 faster, -1 slower, 0 neither: where all of the interval lies beyond the threshold.

        That says nothing of many points: some of them seem so by chance (verdicts() says which
        are). The p99 is not asked: it spreads too far from boot to boot (results/README.md).
        """
        if not self.ratio.sure:
            return 0
        return int(self.ratio.low > 1.0 + threshold) - int(self.ratio.high < 1.0 - threshold)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What two results come to."""

    found: list[Difference]  # the points of both
    rows: list[Difference]  # those that are judged, and the modes' means
    host: Estimate | None  # the second's over the first's
    told: dict[str, int]  # 1 faster, -1 slower, 0 neither, by name; empty if nothing can be
    why: str  # nothing can be told, or a fall could hide; empty if it is sound


def by_boot(rounds: list[dict], name: str = "iops") -> Boots:
    """The median of each boot that knows it.

    Boots are the samples: rounds of one boot share where the host has put QEMU's threads, and as
    samples they would make every other run of one build look slower than itself.
    """
    boots: dict[int, list[float]] = {}
    for each in rounds:
        if each.get(name) is not None:
            boots.setdefault(each.get("boot", 0), []).append(each[name])
    return {boot: statistics.median(values) for boot, values in sorted(boots.items())}


def ratio(before: Boots, now: Boots, paired: bool) -> Estimate | None:
    """The second over the first; None if one of them has no such figure, or the first a 0."""
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


def points(result: dict) -> dict[str, dict]:
    """The job of each point, by its name."""
    return {job["jobname"]: job for job in result["jobs"]}


def capacities(first: dict, second: dict) -> Iterator[str]:
    """What the loads in per cent are of, where both know it."""
    for mine in first.get("capacity", []):
        where = {name: value for name, value in mine.items() if name != "iops"}
        for other in second.get("capacity", []):
            if {**other, "iops": mine["iops"]} == mine:
                text = ", ".join(f"{name} {value}" for name, value in where.items())
                yield (f"note: the capacity was {mine['iops']:,.0f} IOPS in A, "
                       f"{other['iops']:,.0f} in B ({text})")  # fmt: skip


def speeds(first: dict, second: dict) -> tuple[Boots, Boots]:
    """How fast the host was in each boot: the geometric mean of the device limits that both have.

    Empty if one of them has no boot with all of these. One limit of the same depth would be nearer,
    but a single window has much noise of its own; all of them together have little. What slows the
    raw ring itself is taken for the host.
    """
    sides = points(first), points(second)
    limits = [n for n in sides[0] if n in sides[1] and is_limit(sides[0][n])]
    found = []
    for side in sides:
        each = [by_boot(rounds_of(side[name])) for name in limits]
        boots = set.intersection(*map(set, each)) if each else set()
        found.append({
            boot: statistics.geometric_mean(limit[boot] for limit in each)
            for boot in sorted(boots) if all(limit[boot] > 0 for limit in each)
        })  # fmt: skip
    return (found[0], found[1]) if all(found) else ({}, {})


def _over(iops: Boots, host: Boots) -> Boots:
    """As shares of the host's speed, in the boots where that is known; as they are if in none."""
    return {boot: iops[boot] / host[boot] for boot in iops if boot in host} if host else iops


def is_limit(job: dict) -> bool:
    """The raw ring: none of the engine's code."""
    return job["hartq"]["completion"] == "limit"


def are_paired(first: dict, second: dict) -> bool:
    """They were measured boot by boot side by side: the host was the same."""
    return first.get("pair") is not None and first.get("pair") == second.get("pair")


def differences(first: dict, second: dict) -> list[Difference]:
    """All points that both have, if the first did I/O there in all its boots."""
    paired = are_paired(first, second)
    hosts = ({}, {}) if paired else speeds(first, second)
    mine, other = points(first), points(second)
    found = []
    for name, job in mine.items():
        if name not in other:
            continue
        rounds = [rounds_of(each) for each in (job, other[name])]
        closed = not job["hartq"].get("offered_iops")
        before, now = (
            _over(by_boot(each), host if closed else {}) for each, host in zip(rounds, hosts)
        )
        if paired:  # what only one of them has is no pair
            before = {boot: iops for boot, iops in before.items() if boot in now}
            now = {boot: iops for boot, iops in now.items() if boot in before}
        if ratio(before, now, paired):
            mode = f"{job['hartq']['completion']}, {job['hartq']['delivery']}"
            p99 = ratio(*(by_boot(each, "p99_ns") for each in rounds), paired)
            judged = closed and not is_limit(job)
            found.append(Difference(name, before, now, paired, mode if judged else "", p99))
    return found


def judged(found: Sequence[Difference]) -> list[Difference]:
    """What the verdict is of: the points with all boots and I/O in each, and each mode's mean."""
    rows = [each for each in found if each.mode and min(each.now.values()) > 0]
    if not rows:
        return []
    kinds = Counter((tuple(each.before), tuple(each.now)) for each in rows)
    boots = kinds.most_common(1)[0][0]
    rows = [each for each in rows if (tuple(each.before), tuple(each.now)) == boots]
    means = []
    for mode in dict.fromkeys(each.mode for each in rows):
        mine = [each for each in rows if each.mode == mode]
        if len(mine) > 1:
            sides = [
                {boot: statistics.geometric_mean(each[boot] for each in side) for boot in side[0]}
                for side in ([each.before for each in mine], [each.now for each in mine])
            ]
            name = f"mean of {len(mine)} points: {mode}"
            means.append(Difference(name, *sides, mine[0].paired, mode))
    return rows + means


def verdicts(rows: Sequence[Difference], threshold: float) -> dict[str, int]:
    """1 faster, -1 slower by more than the threshold, 0 neither, and not by chance.

    At most one in twenty comparisons of a build with itself has a slower one in it, on whatever
    host, however many points there are.
    """
    before = [[math.log(value) for value in each.before.values()] for each in rows]
    now = [[math.log(value) for value in each.now.values()] for each in rows]
    paired = any(each.paired for each in rows)

    def raised(side: list[list[float]], factor: float) -> list[list[float]]:
        return [[value + math.log(factor) for value in values] for values in side]

    slower = permutation.fallen(raised(before, 1.0 - threshold), now, paired)
    faster = permutation.fallen(now, raised(before, 1.0 + threshold), paired)
    return {
        each.name: int(up <= permutation.FALSE_ALARMS) - int(down <= permutation.FALSE_ALARMS)
        for each, down, up in zip(rows, slower, faster)
    }


def stalled(first: dict, second: dict) -> Iterator[str]:
    """Points where the second did no I/O for a whole boot, the first some in all of its own."""
    mine, other = points(first), points(second)
    for name in mine:
        before, now = (by_boot(rounds_of(side[name])) if name in side else {}
                       for side in (mine, other))  # fmt: skip
        if min(before.values(), default=0) > 0 and min(now.values(), default=1) <= 0:
            yield f"{name}: no I/O for a whole boot of B"


def counted(first: dict, second: dict) -> Iterator[str]:
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
        notes += [f"note: {which}: {trouble}" for trouble in host_noise.troubles(result)]
    notes += capacities(first, second)
    names = set(points(first)) ^ set(points(second))
    if names:
        shown = ", ".join(sorted(names)[:5]) + (" ..." if len(names) > 5 else "")
        notes.append(f"note: {len(names)} points are in one of them alone: {shown}")
    return notes


def _cell(ratio: Estimate | None, word: str) -> str:
    text = f"{ratio.median:6.3f} ({ratio.low:.3f}-{ratio.high:.3f})" if ratio else "     -"
    return f"{text:22} {word:7}"


def line(each: Difference, threshold: float, verdict: int = 0) -> str:
    """A point: IOPS with the verdict or else what seems to be, p99 with what seems to be."""
    word = {1: "faster", -1: "SLOWER", 0: ""}[verdict]
    word = word or {1: "faster?", -1: "slower?", 0: ""}[each.seems(threshold)]
    seems = {1: "higher", -1: "lower", 0: ""}[each.p99.verdict() if each.p99 else 0]
    cells = f"{_cell(each.ratio, word)}  {_cell(each.p99, seems)}"
    return f"{each.name:{NAME_COLUMNS}} {cells}".rstrip()


def lines(seen: Judgement, threshold: float) -> list[str]:
    """A line for each point and each mode's mean, and what they come to."""
    shown = []
    if seen.host:
        low, high = seen.host.low, seen.host.high
        shown.append(f"host: B's device limits are {seen.host.median:.3f} ({low:.3f}-{high:.3f}) "
                     "of A's; IOPS are over them, boot by boot")  # fmt: skip
    shown.append(f"{'':{NAME_COLUMNS}} {'IOPS':30}  p99 latency (shown, not judged)")
    means = [each for each in seen.rows if each not in seen.found]
    shown += [line(e, threshold, seen.told.get(e.name, 0)) for e in seen.found + means]
    if not seen.told:
        return [*shown, "nothing is judged"]
    counts = Counter(seen.told.values())
    shown.append(
        f"{len(seen.told)} points and means judged: {counts[-1]} slower, {counts[1]} faster by "
        f"more than {100 * threshold:g} %; what is marked ? seems so, and may be chance"
    )
    if left := len(seen.found) - len(seen.rows) + len(means):
        shown.append(f"{left} points are not judged: device limits, open loops, and those that "
                     "lack a boot or its I/O")  # fmt: skip
    return shown


def host_of(first: dict, second: dict) -> Estimate | None:
    """The second's host over the first's; None of pairs, or without a device limit in both."""
    return None if are_paired(first, second) else ratio(*speeds(first, second), False)


def obstacle(rows: list[Difference], host: Estimate | None) -> str:
    """Why nothing can be told from these points; empty if something can."""
    if not rows:
        return "no point that could be judged is in both"
    if not all(each.ratio.sure for each in rows):
        return "too few boots to tell anything: four, six of pairs (hint: --boots 6, not quick)"
    if rows[0].paired:
        return ""
    if not host:
        return "no device limit in both: a slower host looks like a slower build (--completion)"
    if not 1 / HOST_MOST <= host.median <= HOST_MOST:
        return (f"the host itself was {host.median:.2f} times as fast, and more than a factor of "
                f"{HOST_MOST} cannot be divided out (measure both anew, in turn)")  # fmt: skip
    return ""


def blindness(rows: list[Difference]) -> str:
    """What spread so far that a fall could hide there; empty if nothing did. A point may."""
    for mode in {each.mode: each for each in rows}.values():  # the last of a mode is its mean
        low, high = mode.ratio.low, mode.ratio.high
        if low < (1.0 - BLIND_MOST) * mode.ratio.median:
            return (f"{mode.name}: {low:.3f}-{high:.3f} is all that is known: a regression could "
                    "hide there (hint: a quiet host, or more --boots)")  # fmt: skip
    return ""


def judge(first: dict, second: dict, threshold: float) -> Judgement:
    """All that is told of two results."""
    found = differences(first, second)
    rows, host = judged(found), host_of(first, second)
    why = obstacle(rows, host)
    told = {} if why else verdicts(rows, threshold)
    return Judgement(found, rows, host, told, why or blindness(rows))


def load(path: Path) -> dict:
    """A result of ours. UsageError if it is not one."""
    try:
        result = result_file.load(path)
    except ValueError as error:
        raise UsageError(f"--compare: {error}") from error
    try:  # all that is read below
        if any("hartq" not in job for job in result["jobs"]):
            raise UsageError(f"--compare: {path}: not a result of bench.py")
        points(result)
        speeds(result, result)
        differences(result, result)
        instructions.figures_of((result.get("instructions") or {"rows": []})["rows"])
        result["environment"]["backing"]
    except result_file.BROKEN as error:
        raise UsageError(
            f"--compare: {path}: a field is missing or of another kind: {error}"
        ) from error
    return result


def run(first: Path, second: Path, threshold_percent: float) -> int:
    """The command: 0 no regression, 1 one at least. UsageError if nothing can be told."""
    if not 0 <= threshold_percent < 100:
        raise UsageError(f"--threshold: {threshold_percent:g} is out of range (0 to 100)")
    try:
        return _run(first, second, threshold_percent / 100)
    except result_file.BROKEN as error:  # what load() has not read
        raise UsageError(f"--compare: a field is missing or of another kind: {error}") from error


def _run(first: Path, second: Path, threshold: float) -> int:
    sides = load(first), load(second)
    notes = check(*sides)
    seen = judge(*sides, threshold)
    if not seen.found:
        counts = " and ".join(str(len(points(side))) for side in sides)
        raise UsageError(
            f"--compare: no point is in both with any I/O in A (A and B have {counts} points)"
        )
    wrong = [*stalled(*sides), *counted(*sides)]
    print(f"B / A: median and interval of the ratio\nA: {first}\nB: {second}")
    print(*notes, *lines(seen, threshold), *wrong, sep="\n")
    sys.stdout.flush()
    if wrong or -1 in seen.told.values():
        return 1
    if seen.why:
        raise UsageError(f"--compare: {seen.why}")
    return 0
