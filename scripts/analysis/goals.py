"""The goals, and what must not happen, judged from a result alone."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence

from analysis import doorbells, host_noise, metrics
from analysis.comparisons import depths_text, factor_text, paired
from analysis.intervals import VERDICTS, Estimate, paired_ratio, ratio_of
from analysis.series import MAIN, MODE_NAMES, Series, all_series, offered_text, open_jobs, place
from analysis.series import rule_text, share_of_saturation
from measure.environment import has_device_core
from measure.modes import WAITING
from measure.plan import CLOCKED, groups
from results.result_file import FAULTS

DEEPEST = 1 << 30
GOALS = (  # mode, other mode, first and last depth, least ratio
    ("poll", "raw", 1, DEEPEST, 0.95),
    ("hybrid", "poll", 1, DEEPEST, 0.97), ("hybrid", "irq", 1, DEEPEST, 0.97),
)
EACH_GOALS = {32: 1.1, 128: 1.5}  # by depth: polling, clocked, of the raw ring that rings each
LIMITS = (  # of polling, clocked: what, depth, most
    (metrics.DOORBELLS, 32, 0.15), (metrics.LOCK_US, 1, 3.0), (metrics.LOCK_US, 32, 0.3),
)
IDLE_GOAL = 0.9  # of what interrupts leave idle
IDLE_SHARE_MAX = 0.105  # of saturation: the load that the goal is for, 10 % and its rounding
MESSAGES_SAFE = (9, 2)  # a QEMU before it can lose a message to an IMSIC under load


@dataclasses.dataclass(frozen=True)
class Goal:
    """One point held against one goal. Advisory: no test fails by it."""

    kind: str  # what the ratio is of
    least: float
    ratio: Estimate
    where: str
    depth: int
    quiet: bool  # the host
    at_most: bool = False  # the figure, which is no ratio then

    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.at_most:
            return self.ratio.below(self.least, self.quiet)
        return self.ratio.meets(self.least, self.quiet)

    def text(self) -> str:
        """What it asks for."""
        return f"goal at most {self.least:g}" if self.at_most else f"goal {self.least:.2f}"

    def has_bound(self) -> bool:
        """A reference that is not faster bounds nothing, so it is no goal."""
        return not (self.kind.endswith(MODE_NAMES["raw"]) and self.ratio.median >= 1)

    def __str__(self) -> str:
        """In words."""
        return (f"{self.verdict()}: {self.kind} {self.ratio}, {self.text()}, at queue "
                f"depth {self.depth}, {self.where}")


def all_goals(result: dict) -> list[Goal]:
    """Every goal at every point that the result has data for; on a quiet host it is judged."""
    return [goal for goal in _held(result) if goal.has_bound()]


def lines(result: dict) -> list[str]:
    """A line for each goal, and one for each series that misses it."""
    told, every = [], _held(result)
    judged = filter(Goal.has_bound, every)
    for (kind, _), found in groups(judged, lambda goal: (goal.kind, goal.least)).items():
        said = [goal.verdict() for goal in found]
        counts = ", ".join(f"{word} at {said.count(word)}" for word in VERDICTS if word in said)
        if len(found) > 1:
            told.append(f"{kind}, {found[0].text()}, {len(found)} points: {counts}")
            told += _misses(found)
        else:
            told.append(str(found[0]))
    unbound = groups(itertools.filterfalse(Goal.has_bound, every), lambda goal: goal.where)
    return told + [f"not judged: polling over raw ring, raw ring is not faster at queue depth "
                   f"{', '.join(str(goal.depth) for goal in found)}, {where}"
                   for where, found in unbound.items()]


def _misses(found: Sequence[Goal]) -> Iterator[str]:
    """The depths at which one goal is not met, a line for each series."""
    for where, mine in groups(found, lambda goal: goal.where).items():
        if ratios := {goal.depth: goal.ratio for goal in mine if goal.verdict() == "not met"}:
            (first, *more) = ratios
            text = factor_text(ratios, [first, *more]) if more else f"{ratios[first]}"
            yield (f"not met: {mine[0].kind} {text} at queue depth "
                   f"{depths_text(ratios, {goal.depth for goal in mine})}, {where}")


def _held(result: dict) -> list[Goal]:
    """Every goal at every point, those without a bound too."""
    quiet = not host_noise.warnings(result)
    return [*(Goal(*each, quiet) for each in (*_closed(result), *_ruled(result), *_open(result))),
            *(Goal(*each, quiet, at_most=True) for each in _limited(result))]


def _is_main(result: dict, series: Series) -> bool:
    """The main workload at batch 1, where a core of the host is left to the device."""
    return series.batch == 1 and _is_judged(result, series)


def _is_judged(result: dict, series: Series) -> bool:
    cores = result["environment"].get("host_cores")
    return (series.rw, series.bs) == MAIN and has_device_core(series.harts, cores)


def _closed(result: dict) -> Iterator[tuple]:
    """One mode against another."""
    found = {series: modes for series, modes in all_series(result).items()
             if _is_judged(result, series)}
    for mode, other, low, high, least in GOALS:
        for series, modes in found.items():
            for depth, ratio in paired(modes, mode, other).items():
                if low <= depth <= high:
                    kind = f"{MODE_NAMES[mode]} over {MODE_NAMES[other]}"
                    yield kind, least, ratio, series.way(), depth


def _ruled(result: dict) -> Iterator[tuple]:
    """The clocked doorbell against the raw ring that rings at each submit."""
    both = next(iter(doorbells.measured(result).get(CLOCKED, ())), None)
    if not both or not _is_main(result, both.series):
        return
    clocked, each = both.ruled.get("poll", {}), both.each.get("raw", {})
    for depth, least in EACH_GOALS.items():
        if depth in clocked and depth in each:
            ratio = paired_ratio(*(metrics.values(jobs[depth], metrics.IOPS)
                                   for jobs in (clocked, each)))
            kind = "polling, clocked, over the raw ring that rings each"
            yield kind, least, ratio, both.series.way(), depth


def _limited(result: dict) -> Iterator[tuple]:
    """What polling takes per I/O in the main series, where its doorbell is clocked."""
    for series, modes in list(all_series(result).items())[:1]:
        if _is_main(result, series) and series.doorbell == CLOCKED:
            for quantity, depth, most in LIMITS:
                job = modes.get("poll", {}).get(depth)
                if job and (figure := metrics.value(job, quantity)):
                    yield f"{quantity.name}, polling", most, figure, series.way(), depth


def _open(result: dict) -> Iterator[tuple]:
    """Hybrid's idle time against that of interrupts, where the load is light."""
    for job in open_jobs(result):
        ratio, mine = ratio_of(job, "idle_ratio_to_irq"), job["hartq"]
        share = share_of_saturation(result, job)
        if ratio and (share is None or share <= IDLE_SHARE_MAX):
            where = (f"{offered_text(result, job)}, harts {mine['harts']}, {mine['delivery']}"
                     + rule_text(place(job).doorbell))
            yield ("hybrid's idle time over that of interrupts", IDLE_GOAL, ratio, where,
                   place(job).depth)


def loses_messages(result: dict) -> bool:
    """The emulator is known to lose messages to an IMSIC."""
    version = re.match(r"(\d+)\.(\d+)", result["environment"]["qemu"])
    return bool(version) and (int(version[1]), int(version[2])) < MESSAGES_SAFE


def faults(result: dict) -> list[str]:
    """What must not happen, loudly; empty when all is well.

    A message that QEMU lost, and the watchdog found, says nothing against us. A closed loop that
    had fewer requests in flight than its depth has the IOPS of another point.
    """
    found, old_qemu = [], loses_messages(result)
    for fault in FAULTS:
        field = {"missed": "missed_interrupts"}.get(fault, fault)
        bad = {job["jobname"]: mine[field] for job in result["jobs"]
               if (mine := job["hartq"])[field]
               and not (fault == "missed" and mine["delivery"] == "msix" and old_qemu)}
        if bad:
            found.append(f"!!! {field.replace('_', ' ')}: {sum(bad.values())} ({_where(bad)})")
    bad = {job["jobname"]: least for job in result["jobs"]
           if (least := job["hartq"].get("in_flight_least")) is not None
           and least < place(job).depth}
    return found + [f"!!! fewer in flight than the queue depth ({_where(bad)})"] * bool(bad)


def _where(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def missed_lines(result: dict) -> list[str]:
    """Missed interrupts and how many points take any, for each interrupt controller."""
    found = []
    names = ("missed_interrupts", "spurious_interrupts", "late", "stalls_over_10ms")
    for chip in ("PLIC", "IMSIC"):
        mine = [job["hartq"] for job in result["jobs"]
                if (job["hartq"]["delivery"] == "msix") == (chip == "IMSIC")]
        missed, spurious, late, stalls = (sum(each[name] or 0 for each in mine) for name in names)
        lost = chip == "IMSIC" and missed and loses_messages(result)
        judged = "counted" if lost else "not met" if missed else "met"
        if taking := sum(each["completion"] in WAITING for each in mine):
            found.append(f"{judged}: missed interrupts {missed} in {taking} points that take any, "
                         f"{chip} (spurious {spurious}, late {late}, stalls over 10 ms {stalls})")
        if lost:
            safe = ".".join(map(str, MESSAGES_SAFE))
            found.append(f"QEMU {result['environment']['qemu']} can lose a message under load, as "
                         f"all before {safe} can; the watchdog found what was missed: no failure "
                         "of ours")
    return found
