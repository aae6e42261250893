"""What a mode takes for its IOPS: the hart's time, the host's, latency and instructions.

Each metric has a value in every boot, so that two modes are compared pair by pair and a
mode's own value has an interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from analysis.comparisons import Ratios
from analysis.intervals import Estimate, estimate, marked, paired_ratio
from analysis.series import MODE_NAMES, Modes, main_loops
from measure.modes import USABLE as MODES
from results import boots
from results.histogram import END_TEXT, LAST_NS


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A metric: the figures of a boot that make it, their sum, and how it is written."""

    name: str
    figures: tuple[str, ...]
    digits: int = 0
    of_figure: Callable[[float], float] = float


IOPS = Quantity("IOPS", ("iops",))
HOST = Quantity("host CPU us per I/O", ("vcpu_us_per_io", "device_us_per_io"), 1)
VCPU, DEVICE = (Quantity(f"of it {name}", HOST.figures[i : i + 1], 1)
                for i, name in enumerate(("vCPU", "device")))
BUSY = Quantity("hart busy, %", ("idle_fraction",), of_figure=lambda idle: 100 * (1 - idle))
P50 = Quantity("p50 us", ("p50_ns",), of_figure=lambda ns: ns / 1000)
P99 = Quantity("p99 us", ("p99_ns",), of_figure=lambda ns: ns / 1000)
LOCK_US = Quantity("QEMU's lock us per I/O", ("blocked_us_per_io",), 2)
DOORBELLS = Quantity("submission doorbells per I/O", ("sq_doorbells_per_io",), 3)
QUANTITIES = (IOPS, HOST, BUSY, P50, P99)
ALL = (IOPS, HOST, VCPU, DEVICE, BUSY, P50, P99)
LOCK = "QEMU's lock, %"


def values(job: dict, quantity: Quantity) -> dict[int, float]:
    """By boot; empty unless all have it."""
    found = [boots.values(job, name) for name in quantity.figures]
    return {number: quantity.of_figure(sum(each[number] for each in found))
            for number in found[0] if all(found)}


def value(job: dict, quantity: Quantity) -> Estimate | None:
    """A mode's own: median over boots and its interval."""
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
    """A mode's metric over another's at each depth, paired by boot."""
    mine, others = modes.get(mode, {}), modes.get(other, {})
    found = {depth: paired_ratio(values(job, quantity), values(others[depth], quantity))
             for depth, job in mine.items() if depth in others}
    return {depth: ratio for depth, ratio in found.items() if ratio}


def latency_text(job: dict) -> str:
    """p50/p99 in microseconds, medians over boots; `-` for what was not measured."""
    found = (value(job, quantity) for quantity in (P50, P99))
    beyond = job["hartq"].get("latencies_beyond")

    def text(us: Estimate | None) -> str:
        if us is None:
            return "-"
        if beyond and us.median * 1000 >= LAST_NS:
            return END_TEXT
        return f"{us.median:.1f}" if us.median < 10 else f"{us.median:.0f}"

    return "/".join(map(text, found))


def lock_text(job: dict) -> str:
    """The share of the time, in per cent, that the vCPUs were blocked."""
    blocked = job["hartq"]["host_blocked_fraction"]
    return "-" if blocked is None else f"{100 * blocked:.0f}"


def cost_table(result: dict) -> tuple[list[str], list[list[str]]]:
    """Head and rows, by depth: interrupts over polling in IOPS and host CPU, and who waits for
    QEMU's lock; first commands one by one, then the whole depth."""
    head, columns = ["queue depth"], []
    for series, modes in main_loops(result).items():
        for quantity in (IOPS, HOST):
            head.append(f"{series.batch_text()}: {quantity.name.removesuffix(' us per I/O')}")
            columns.append({depth: marked(ratio) for depth, ratio
                            in over(modes, "irq", "poll", quantity).items()})
        head.append(f"{LOCK}: polling, interrupts")
        columns.append({depth: ", ".join(lock_text(modes[mode][depth]) for mode in ("poll", "irq"))
                        for depth in columns[-1]})
    depths = sorted({depth for column in columns for depth in column})
    return head, [[str(d), *(column.get(d, "-") for column in columns)] for d in depths]


def ratio_rows(modes: Modes, mode: str, other: str) -> list[list[str]]:
    """A row per depth: every quantity over the other's, `=` where there is no sure difference."""
    columns = [over(modes, mode, other, quantity) for quantity in QUANTITIES]
    depths = sorted({depth for ratios in columns for depth in ratios})
    return [[str(d), *(marked(ratios.get(d)) for ratios in columns)] for d in depths]


def figure_rows(modes: Modes) -> list[list[str]]:
    """A row per depth and mode: the values themselves."""
    depths = sorted({depth for mode in MODES for depth in modes.get(mode, {})})
    return [
        [str(depth), MODE_NAMES[mode], *(value_text(job, quantity) for quantity in ALL),
         lock_text(job)]
        for depth in depths
        for mode in MODES
        if (job := modes.get(mode, {}).get(depth))]
