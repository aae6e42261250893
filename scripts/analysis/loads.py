"""The open loop: which loads a mode keeps, up to its knee, and what they take of the host."""

from __future__ import annotations

from typing import NamedTuple

from analysis import metrics
from analysis.intervals import Estimate, marked, paired_ratio, ratio_of
from analysis.series import MODE_NAMES, offered_text, open_jobs, place, rule_text
from measure.modes import USABLE as MODES

KEPT = 0.95  # of the offered load: a mode that does less does not keep it
HEAD = ("load", "delivery", "idle time, hybrid / interrupts",
        *(f"{quantity}, {MODE_NAMES[mode]} / polling" for quantity in ("host CPU", "p99")
          for mode in MODES[1:]), "not kept by")


class Knee(NamedTuple):
    """The highest load that a mode keeps, with all below it."""

    job: dict | None  # None: it keeps none
    highest: bool  # no higher load was measured


def keeps(job: dict) -> bool:
    """Whether the mode did nearly all that was offered."""
    return job["hartq"]["iops_median"] >= KEPT * job["hartq"]["offered_iops"]


def _by_load(result: dict) -> dict[tuple, dict[int, dict[str, dict]]]:
    """Open-loop jobs by place and delivery, then by load, then by mode; loads in order."""
    found: dict[tuple, dict[int, dict[str, dict]]] = {}
    for job in sorted(open_jobs(result), key=lambda job: job["hartq"]["offered_iops"]):
        mine = job["hartq"]
        loads = found.setdefault((place(job), mine["delivery"]), {})
        loads.setdefault(mine["offered_iops"], {})[mine["completion"]] = job
    return found


def knees(result: dict) -> dict[tuple, dict[str, Knee]]:
    """By place and delivery, by mode, where more than one load was measured."""
    found: dict[tuple, dict[str, Knee]] = {}
    for at, loads in _by_load(result).items():
        for mode in MODES:
            jobs = [each[mode] for each in loads.values() if mode in each]
            kept = next((i for i, job in enumerate(jobs) if not keeps(job)), len(jobs))
            if len(jobs) > 1:
                knee = Knee(jobs[kept - 1] if kept else None, kept == len(jobs))
                found.setdefault(at, {})[mode] = knee
    return found


def as_json(result: dict) -> list[dict]:
    """The knees, as results.json has them."""
    return [
        {"delivery": delivery, "completion": mode, **where._asdict(), "highest": knee.highest,
         "offered_iops": knee.job["hartq"]["offered_iops"] if knee.job else None}
        for (where, delivery), modes in knees(result).items() for mode, knee in modes.items()]


def lines(result: dict) -> list[str]:
    """A sentence for each place and delivery: the knee of each mode."""

    def text(mode: str, knee: Knee) -> str:
        load = offered_text(result, knee.job) if knee.job else "below the least load"
        return f"{MODE_NAMES[mode]} {load}{', the highest measured' if knee.highest else ''}"

    return [f"knee, {where}, {delivery}: " + "; ".join(text(*each) for each in modes.items())
            for (where, delivery), modes in knees(result).items()]


def host_ratios(result: dict) -> dict[str, Estimate]:
    """Host CPU of interrupts over polling at each load of the first place that both keep."""
    found = {}
    for offered, modes in next(iter(_by_load(result).values()), {}).items():
        irq, poll = (metrics.values(job, metrics.HOST) if (job := modes.get(mode)) and keeps(job)
                     else {} for mode in ("irq", "poll"))
        percent = next(iter(modes.values()))["hartq"]["rate_percent"]
        if ratio := paired_ratio(irq, poll):
            found[f"{percent} % of saturation" if percent else f"{offered:,} IOPS"] = ratio
    return found


def rows(result: dict) -> list[list[str]]:
    """A row for each load and delivery, by HEAD; ratios are paired, at that load."""

    def over(modes: dict[str, dict], mode: str, quantity: metrics.Quantity) -> str:
        found = [metrics.values(modes[each], quantity) for each in (mode, "poll") if each in modes]
        return marked(paired_ratio(*found) if len(found) == 2 else None)

    return [
        [offered_text(result, next(iter(modes.values()))), delivery + rule_text(at.doorbell),
         marked(ratio_of(modes["hybrid"], "idle_ratio_to_irq")) if "hybrid" in modes else "-",
         *(over(modes, mode, quantity) for quantity in (metrics.HOST, metrics.P99)
           for mode in MODES[1:]),
         ", ".join(MODE_NAMES[mode] for mode, job in modes.items() if not keeps(job)) or "-"]
        for (at, delivery), loads in _by_load(result).items() for modes in loads.values()]
