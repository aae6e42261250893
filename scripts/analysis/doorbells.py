"""The clocked doorbell over one that rings at each submit: what it gives, and what it spares."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from analysis import metrics
from analysis.comparisons import Ratios, brief
from analysis.intervals import marked, paired_ratio
from analysis.series import MODE_NAMES, Modes, Series, all_series
from measure.modes import MODES
from measure.plan import DOORBELLS

HEAD = ("queue depth", "mode", "IOPS", "host CPU",
        *(f"{what}: {rule}" for what in (metrics.LOCK_US.name, metrics.DOORBELLS.name)
          for rule in DOORBELLS))


class Both(NamedTuple):
    """One series under either rule."""

    series: Series
    clocked: Modes
    each: Modes

    def over(self, mode: str, quantity: metrics.Quantity) -> Ratios:
        """Clocked over each, by depth, paired by boot."""
        mine, others = (modes.get(mode, {}) for modes in (self.clocked, self.each))
        found = {depth: paired_ratio(metrics.values(job, quantity),
                                     metrics.values(others[depth], quantity))
                 for depth, job in mine.items() if depth in others}
        return {depth: ratio for depth, ratio in found.items() if ratio}


def measured(result: dict) -> Both | None:
    """The first series that has both rules; None where only one was measured."""
    found = all_series(result)
    for series, modes in found.items():
        other = dataclasses.replace(series, doorbell=DOORBELLS[1])
        if series.doorbell == DOORBELLS[0] and other in found:
            return Both(series, modes, found[other])
    return None


def lines(both: Both) -> list[str]:
    """A sentence for each mode."""
    told = {MODE_NAMES[mode]: brief(both.over(mode, metrics.IOPS), "faster", "slower")
            for mode in MODES}
    return [f"clocked / each, {name}: {text}" for name, text in told.items() if text]


def rows(both: Both) -> list[list[str]]:
    """By depth and mode under HEAD: ratios of clocked over each, then the figures of both."""
    depths = sorted({depth for modes in (both.clocked, both.each) for jobs in modes.values()
                     for depth in jobs})
    ratios = {mode: [both.over(mode, quantity) for quantity in (metrics.IOPS, metrics.HOST)]
              for mode in MODES}
    return [
        [str(depth), MODE_NAMES[mode], *(marked(each.get(depth)) for each in ratios[mode]),
         *(metrics.value_text(modes[mode][depth], quantity) or "-"
           for quantity in (metrics.LOCK_US, metrics.DOORBELLS)
           for modes in (both.clocked, both.each))]
        for depth in depths for mode in MODES
        if depth in both.clocked.get(mode, {}) and depth in both.each.get(mode, {})]
