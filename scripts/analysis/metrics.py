"""What a mode takes for its IOPS: the hart's time, the host's, latency and instructions.

Each metric has a value in every repetition, so that two modes are compared pair by pair and a
mode's own value has an interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from analysis.comparisons import Ratios
from analysis.intervals import Estimate, estimate, marked, paired_ratio
from analysis.series import MODE_NAMES, Modes
from measure.modes import USABLE as MODES
from results import repetitions
from results.histogram import END_TEXT, LAST_NS


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A metric: which figure of a repetition it is, and how it is written."""

    name: str
    figure: str
    digits: int = 0
    of_figure: Callable[[float], float] = float


IOPS = Quantity("IOPS", "iops")
BUSY = Quantity("hart busy, %", "idle_fraction", of_figure=lambda idle: 100 * (1 - idle))
VCPU = Quantity("vCPU us per I/O", "vcpu_us_per_io", 1)
DEVICE = Quantity("device us per I/O", "device_us_per_io", 1)
P50 = Quantity("p50 us", "p50_ns", of_figure=lambda ns: ns / 1000)
P99 = Quantity("p99 us", "p99_ns", of_figure=lambda ns: ns / 1000)
QUANTITIES = (IOPS, BUSY, VCPU, DEVICE, P50, P99)


def values(job: dict, quantity: Quantity) -> dict[int, float]:
    """By repetition; empty unless all have it."""
    found = repetitions.values(job, quantity.figure)
    return {number: quantity.of_figure(value) for number, value in found.items()}


def value(job: dict, quantity: Quantity) -> Estimate | None:
    """A mode's own: median over repetitions and its interval."""
    found = values(job, quantity)
    return estimate(list(found.values())) if found else None


def value_text(job: dict | None, quantity: Quantity) -> str:
    """`71 (66-75)`, without the interval where there is none."""
    found = value(job, quantity) if job else None
    if not found:
        return ""

    def number(each: float) -> str:
        digits = quantity.digits if abs(each) < 100 else 0
        return f"{each:,.{digits}f}"

    text, low, high = map(number, (found.median, found.low, found.high))
    return text if low == high else f"{text} ({low}-{high})"


def over(modes: Modes, mode: str, other: str, quantity: Quantity) -> Ratios:
    """A mode's metric over another's at each depth, paired by repetition."""
    mine, others = modes.get(mode, {}), modes.get(other, {})
    found = {depth: paired_ratio(values(job, quantity), values(others[depth], quantity))
             for depth, job in mine.items() if depth in others}
    return {depth: ratio for depth, ratio in found.items() if ratio}


def latency_text(job: dict) -> str:
    """p50/p99 in microseconds, medians over repetitions; `-` for what was not measured."""
    found = (value(job, quantity) for quantity in (P50, P99))
    beyond = job["hartq"].get("latencies_beyond")

    def text(us: Estimate | None) -> str:
        if us is None:
            return "-"
        if beyond and us.median * 1000 >= LAST_NS:
            return END_TEXT
        return f"{us.median:.1f}" if us.median < 10 else f"{us.median:.0f}"

    return "/".join(map(text, found))


def ratio_rows(modes: Modes, mode: str, other: str) -> list[list[str]]:
    """A row per depth: every quantity over the other's, `=` where there is no sure difference."""
    columns = [over(modes, mode, other, quantity) for quantity in QUANTITIES]
    depths = sorted({depth for ratios in columns for depth in ratios})
    return [[str(d), *(marked(ratios.get(d)) for ratios in columns)] for d in depths]


def figure_rows(modes: Modes) -> list[list[str]]:
    """A row per depth and mode: the values themselves."""
    depths = sorted({depth for mode in MODES for depth in modes.get(mode, {})})
    return [
        [str(depth), MODE_NAMES[mode], *(value_text(job, quantity) for quantity in QUANTITIES)]
        for depth in depths
        for mode in MODES
        if (job := modes.get(mode, {}).get(depth))]
