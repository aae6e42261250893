"""The rules of the submission doorbell over one that rings at each submit: what each gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from analysis import metrics
from analysis.comparisons import Ratios, brief
from analysis.intervals import marked
from analysis.series import MODE_NAMES, Modes, Series, all_series
from measure.modes import MODES
from measure.plan import DOORBELLS, EACH

FIGURES = (metrics.LOCK_US, metrics.DOORBELLS)


class Both(NamedTuple):
    """One series under its rule, and the same under `each`."""

    series: Series
    ruled: Modes
    each: Modes

    def over(self, mode: str, quantity: metrics.Quantity) -> Ratios:
        """The rule over each, by depth, paired by boot."""
        jobs = {"ruled": self.ruled.get(mode, {}), "each": self.each.get(mode, {})}
        return metrics.over(jobs, *jobs, quantity)


def measured(result: dict) -> dict[str, list[Both]]:
    """By rule: the first workload that has it and `each`, once for each delivery that has both."""
    every = all_series(result)
    found: dict[str, list[Both]] = {}
    for series, modes in every.items():
        other = dataclasses.replace(series, doorbell=EACH)
        if series != other and other in every:
            found.setdefault(series.doorbell, []).append(Both(series, modes, every[other]))
    return {rule: [both for both in found[rule]
                   if both.series.workload() == found[rule][0].series.workload()]
            for rule in DOORBELLS if rule in found}


def lines(found: Sequence[Both]) -> list[str]:
    """A sentence for each mode, with the delivery where there are several."""
    told = []
    for both in found:
        where = f", {both.series.delivery}" * (len(found) > 1)
        for mode in MODES:
            if text := brief(both.over(mode, metrics.IOPS), "faster", "slower"):
                told.append(f"{both.series.doorbell} / each, {MODE_NAMES[mode]}{where}: {text}")
    return told


def head(rule: str) -> tuple[str, ...]:
    """Over rows()."""
    return ("queue depth", "mode", "IOPS", "host CPU",
            *(f"{what.name}: {each}" for what in FIGURES for each in (rule, EACH)))


def rows(both: Both) -> list[list[str]]:
    """By depth and mode under head(): ratios of the rule over each, then the figures of both."""
    depths = sorted({depth for modes in (both.ruled, both.each) for jobs in modes.values()
                     for depth in jobs})
    ratios = {mode: [both.over(mode, quantity) for quantity in (metrics.IOPS, metrics.HOST)]
              for mode in MODES}
    return [
        [str(depth), MODE_NAMES[mode], *(marked(each.get(depth)) for each in ratios[mode]),
         *(metrics.value_text(modes[mode][depth], quantity) or "-"
           for quantity in FIGURES for modes in (both.ruled, both.each))]
        for depth in depths for mode in MODES
        if depth in both.ruled.get(mode, {}) and depth in both.each.get(mode, {})]
