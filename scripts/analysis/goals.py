"""What is aimed at and what must not happen, judged from a result alone."""

from __future__ import annotations

import dataclasses
import re

from analysis.comparisons import depths_text, factor_text
from analysis.intervals import VERDICTS, Estimate, ratio_of
from analysis.series import MAIN, MODE_NAMES, families, offered_text, open_jobs, share_of_capacity
from results.result_file import FAULTS
from measure.environment import has_device_core

LIMIT_GOALS = ((1, 1, 0.95), (32, 1 << 30, 0.90))  # least depth, greatest, polling over the limit
HYBRID_GOAL = 0.95  # of polling and of interrupts
IDLE_GOAL = 0.8  # of what interrupts leave idle
IDLE_SHARE_MAX = 0.105  # of the capacity: the load that the goal is for, 10 % and its rounding
WAITING = ("irq", "hybrid")  # the modes that take interrupts and can miss one
MESSAGES_SAFE = (9, 2)  # a QEMU before it can lose a message to an IMSIC under load


@dataclasses.dataclass(frozen=True)
class Aim:
    """One point held against one target. Advisory: no test fails by it."""

    kind: str  # what the target is of
    goal: float
    ratio: Estimate
    what: str  # {} is where the ratio goes
    where: str
    depth: int

    def verdict(self) -> str:
        """One of VERDICTS."""
        return self.ratio.meets(self.goal)

    def line(self) -> str:
        """In words."""
        found = self.what.format(self.ratio)
        return (
            f"{self.verdict()}: {found}, target {self.goal:.2f}, at queue depth {self.depth}, "
            f"{self.where}"
        )


def aims(result: dict) -> list[Aim]:
    """All targets that the result has data for."""
    return [*_closed(result), *_open(result)]


def lines(result: dict) -> list[str]:
    """A line for each target, and one for each way to do I/O that misses it."""
    kinds: dict[tuple[str, float], list[Aim]] = {}
    for aim in aims(result):
        kinds.setdefault((aim.kind, aim.goal), []).append(aim)
    told = []
    for (kind, goal), found in kinds.items():
        said = [aim.verdict() for aim in found]
        counts = ", ".join(f"{word} at {said.count(word)}" for word in VERDICTS if word in said)
        if len(found) > 1:
            told.append(f"{kind}, target {goal:.2f}, {len(found)} points: {counts}")
            told += _misses(found)
        else:
            told.append(found[0].line())
    return told


def _misses(found: list[Aim]) -> list[str]:
    """The depths at which one target is not met, a line for each family."""
    wheres: dict[str, dict[int, Estimate]] = {}
    for aim in found:
        if aim.verdict() == "not met":
            wheres.setdefault(aim.where, {})[aim.depth] = aim.ratio
    lines = []
    for where, ratios in wheres.items():
        measured = {aim.depth for aim in found if aim.where == where}
        one = next(iter(ratios.values()))
        text = factor_text(ratios, list(ratios)) if len(ratios) > 1 else str(one)
        lines.append(f"not met: {found[0].kind} {text} at queue depth "
                     f"{depths_text(ratios, measured)}, {where}")  # fmt: skip
    return lines


def _goals(mode: str, depth: int) -> list[tuple[str, float]]:
    """What a mode is measured against at a depth: (mode, least ratio)."""
    if mode == "hybrid":
        return [("poll", HYBRID_GOAL), ("irq", HYBRID_GOAL)]
    return [("limit", goal) for low, high, goal in LIMIT_GOALS if low <= depth <= high]


def _closed(result: dict) -> list[Aim]:
    """Polling against the device limit, hybrid against both of the modes it is made of."""
    found = []
    for mode in ("poll", "hybrid"):
        for family, modes in families(result).items():
            cores = result["environment"].get("host_cores")
            if (family.rw, family.bs) != MAIN or not has_device_core(family.harts, cores):
                continue
            for depth, job in modes.get(mode, {}).items():
                for other, goal in _goals(mode, depth):
                    if ratio := ratio_of(job, f"ratio_to_{other}"):
                        it = f"{'the ' if other == 'limit' else ''}{MODE_NAMES[other]}"
                        name = MODE_NAMES[mode]
                        found.append(Aim(f"{name} against {it}", goal, ratio,
                                         f"{name} reaches {{}} of {it}", family.way(),
                                         depth))  # fmt: skip
    return found


def _open(result: dict) -> list[Aim]:
    """Hybrid's idle time against that of interrupts, where the load is light."""
    found = []
    for job in open_jobs(result):
        ratio, mine = ratio_of(job, "idle_ratio_to_irq"), job["hartq"]
        share = share_of_capacity(result, job)
        if not ratio or (share is not None and share > IDLE_SHARE_MAX):
            continue
        found.append(Aim("hybrid's idle time against that of interrupts", IDLE_GOAL, ratio,
                         "hybrid idles {} of what interrupts do",
                         f"{offered_text(result, job)}, harts {mine['harts']}, {mine['delivery']}",
                         int(job["job options"]["iodepth"])))  # fmt: skip
    return found


def loses_messages(result: dict) -> bool:
    """The emulator is known to lose messages to an IMSIC."""
    version = re.match(r"(\d+)\.(\d+)", result["environment"]["qemu"])
    return bool(version) and (int(version[1]), int(version[2])) < MESSAGES_SAFE


def is_excused(result: dict, fault: str, job: dict) -> bool:
    """A message that QEMU lost, and the watch found, says nothing against us."""
    return fault == "missed" and job["hartq"]["delivery"] == "msix" and loses_messages(result)


def faults(result: dict) -> list[str]:
    """What must not happen, loudly; empty when all is well."""
    names = {"missed": "missed_interrupts"}
    found = []
    for fault in FAULTS:
        field = names.get(fault, fault)
        bad = {
            job["jobname"]: job["hartq"][field]
            for job in result["jobs"]
            if job["hartq"][field] and not is_excused(result, fault, job)
        }
        if bad:
            where = ", ".join(f"{name}: {count}" for name, count in bad.items())
            found.append(f"!!! {field.replace('_', ' ')}: {sum(bad.values())} ({where})")
    return found + not_full(result)


def not_full(result: dict) -> list[str]:
    """Closed loops that had fewer requests in flight than their depth: IOPS of another point."""
    bad = {
        job["jobname"]: least
        for job in result["jobs"]
        if (least := job["hartq"].get("in_flight_least")) is not None
        and least < int(job["job options"]["iodepth"])
    }
    where = ", ".join(f"{name}: {least}" for name, least in bad.items())
    return [f"!!! fewer in flight than the queue depth ({where})"] if bad else []


def missed_lines(result: dict) -> list[str]:
    """Missed interrupts and how many points take any, for each interrupt controller."""
    found = []
    for chip in ("PLIC", "IMSIC"):
        jobs = [job["hartq"] for job in result["jobs"]]
        mine = [each for each in jobs if (each["delivery"] == "msix") == (chip == "IMSIC")]
        taking = sum(each["completion"] in WAITING for each in mine)
        if not taking:
            continue
        sums = {
            name: sum(each[name] or 0 for each in mine)
            for name in ("missed_interrupts", "spurious_interrupts", "late", "stalls_over_10ms")
        }
        missed = sums["missed_interrupts"]
        lost = chip == "IMSIC" and missed and loses_messages(result)
        judged = "counted" if lost else "not met" if missed else "met"
        found.append(
            f"{judged}: missed interrupts {missed} in {taking} points that take any, {chip} "
            f"(spurious {sums['spurious_interrupts']}, late {sums['late']}, stalls over 10 ms "
            f"{sums['stalls_over_10ms']})"
        )
        if lost:
            found.append(
                f"QEMU {result['environment']['qemu']} can lose a message under load, as all "
                f"before {'.'.join(map(str, MESSAGES_SAFE))} can; the watch found what was missed: "
                "no failure of ours"
            )
    return found
