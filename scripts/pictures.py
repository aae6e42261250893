"""Draws a result: one function per picture, each taking series and returning a figure.

Modes differ in colour (Okabe and Ito's, safe for the colour-blind), marker and line style, so that
they stay apart in print.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter  # noqa: E402

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.8, 100
NEAR_PIXELS = 15  # two labels closer than this would cover each other
NINES_MAX = 6
DECADES_FINE = 3.2  # up to here 2 and 5 have a tick as well
DODGE = {"poll": 0.975, "irq": 1.025}  # intervals at one depth stand beside one another
LEGEND_ROOM = 2.2  # more room above the highest value, on a logarithmic axis

plt.rcParams.update(
    {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 6,
        "svg.fonttype": "none",
        "svg.hashsalt": "hartq",
    }
)


@dataclasses.dataclass(frozen=True)
class Look:
    """How a mode is drawn."""

    color: str
    marker: str
    line: str | tuple
    label: str


LOOKS = {
    "poll": Look("#0072B2", "o", "-", "polling"),
    "irq": Look("#D55E00", "s", (0, (7, 2, 1.5, 2)), "interrupts"),
    "limit": Look("#333333", "", (0, (4, 3)), "device limit (raw ring, polled)"),
}
OTHERS = (("#009E73", "^"), ("#CC79A7", "D"), ("#B8860B", "v"), ("#56B4E9", "P"))


def other_look(index: int, label: str) -> Look:
    """The look of a line from another program's result."""
    color, marker = OTHERS[index % len(OTHERS)]
    return Look(color, marker, ":", label)


@dataclasses.dataclass(frozen=True)
class Point:
    """A measured point, as far as pictures need it."""

    depth: int
    iops: float
    low: float
    high: float
    busy: float | None  # per cent of the harts' time
    # (share of the samples at or below, latency in us), in order
    latency: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Series:
    """A line: one mode at several depths. `note` sets it apart from the main one."""

    look: Look
    points: tuple[Point, ...]
    mode: str = ""
    note: str = ""


def short_number(value: float, _position: object = None) -> str:
    """12500 as 12.5K."""
    for unit, name in ((1e6, "M"), (1e3, "K")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _new(title: str, footer: str, panels: int = 1) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(
        1, panels, sharey=True, squeeze=False, figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained"
    )
    figure.get_layout_engine().set(rect=(0, 0.045, 1, 0.955))
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.012, ha="left")
    figure.text(0.012, 0.012, footer, fontsize=8.5, color="#555555")
    return figure, list(axes[0])


def latency_text(us: float, _position: object = None) -> str:
    """2000 as 2 ms."""
    return f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} us"


def _log_scale(axes: Axes, text: Callable[[float, object], str], room: float = 1.0) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * room)
    fine = math.log10(high * room / low) <= DECADES_FINE
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(text))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_line(axes: Axes, series: Series) -> None:
    look, main = series.look, not series.note
    depths = [point.depth * DODGE.get(series.mode, 1.0) for point in series.points]
    iops = [point.iops for point in series.points]
    bars = [
        [max(0.0, point.iops - point.low) for point in series.points],
        [max(0.0, point.high - point.iops) for point in series.points],
    ]
    axes.errorbar(
        depths,
        iops,
        yerr=bars if series.mode != "limit" else None,
        color=look.color,
        marker=look.marker or None,
        linestyle=look.line,
        linewidth=1.8 if main else 1.1,
        markerfacecolor=look.color if main else "white",
        elinewidth=1.1,
        capsize=3,
        label=look.label if main else None,
    )


def iops_over_depth(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 1: IOPS against queue depth, intervals as bars, the device limit dashed."""
    figure, (axes,) = _new(title, footer)
    for series in lines:
        _draw_line(axes, series)
    axes.set_xscale("log", base=2)
    depths = sorted({point.depth for series in lines for point in series.points})
    axes.xaxis.set_major_locator(FixedLocator(depths))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("queue depth")
    axes.set_ylabel("IOPS")
    _log_scale(axes, short_number)
    _name_batches(axes, lines)
    _legend(axes)
    return figure


def _legend(axes: Axes, fontsize: float = 10.5) -> None:
    """Polling first, whatever was drawn first."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        order = {look.label: index for index, look in enumerate(LOOKS.values())}
        pairs = sorted(zip(labels, handles), key=lambda pair: order.get(pair[0], len(order)))
        axes.legend([h for _, h in pairs], [n for n, _ in pairs], loc="upper left",
                    fontsize=fontsize)  # fmt: skip


def _name_batches(axes: Axes, lines: Sequence[Series]) -> None:
    """A word at the left end of each group of thin lines."""
    for note in dict.fromkeys(series.note for series in lines if series.note):
        first = [series.points[0] for series in lines if series.note == note]
        left = min(first, key=lambda point: (point.depth, -point.iops))
        top = max(point.iops for point in first if point.depth == left.depth)
        axes.annotate(
            note, (left.depth, top), (-9, -2), textcoords="offset points", ha="right",
            fontsize=9.5, color="#333333",
        )  # fmt: skip


def close(figure: Figure) -> None:
    """Give the figure's memory back."""
    plt.close(figure)


def nines(share: float) -> float:
    """Where a share of the samples stands on an axis of nines: 0.9 at 1, 0.99 at 2."""
    return -math.log10(max(1e-12, 1.0 - share))


def _nines_axis(axes: Axes, right: float) -> None:
    ticks = range(math.floor(right) + 1)
    names = ["", "90", "99", *(f"99.{'9' * count}" for count in range(1, NINES_MAX - 1))]
    axes.xaxis.set_major_locator(FixedLocator([math.log10(2), *ticks]))
    shown = {round(math.log10(2), 3): "50", **{tick: names[tick] for tick in ticks}}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: shown.get(round(x, 3), "")))
    axes.set_xlim(0, right)
    axes.tick_params(axis="x", labelsize=9)


def latency(lines: Sequence[Series], depths: Sequence[int], title: str, footer: str) -> Figure:
    """Picture 2: latency over log-nines of the percentile, a panel per depth, modes overlaid."""
    figure, panels = _new(title, footer, len(depths))
    for axes, depth in zip(panels, depths):
        right = 1.0
        for series in lines:
            for point in series.points:
                if point.depth == depth and point.latency and not series.note:
                    _draw_latency(axes, series.look, point)
                    right = max(right, nines(point.latency[-1][0]))
        _nines_axis(axes, min(right * 1.02, NINES_MAX))
        axes.set_title(f"queue depth {depth}", fontsize=11)
        axes.set_xlabel("percentile")
    panels[0].set_ylabel("latency")
    _log_scale(panels[0], latency_text)
    _legend(panels[0], 9.5)
    return figure


def _draw_latency(axes: Axes, look: Look, point: Point) -> None:
    xs = [nines(share) for share, _ in point.latency]
    ys = [us for _, us in point.latency]
    axes.plot(xs, ys, color=look.color, linestyle=look.line, label=look.label)
    if look.marker:
        # One marker per nine keeps the lines apart in print.
        for nine in range(1, math.floor(xs[-1]) + 1):
            index = next(i for i, x in enumerate(xs) if x >= nine)
            axes.plot(xs[index], ys[index], look.marker, color=look.color)


def _label_depths(axes: Axes, series: Series, taken: list[tuple[float, float]]) -> None:
    """Each point's depth to its lower right, where a rising line leaves room, if nothing is there.

    The deepest queues come first: where labels are crowded, the ends are worth most.
    """
    below = -4 if series.mode == "poll" else -9
    for point in reversed(series.points):
        if point.busy is None:
            continue
        x, y = axes.transData.transform((point.busy, point.iops))
        if any(abs(x - tx) < 2 * NEAR_PIXELS and abs(y - ty) < NEAR_PIXELS for tx, ty in taken):
            continue
        taken.append((x, y))
        axes.annotate(
            str(point.depth), (point.busy, point.iops), (8, below), textcoords="offset points",
            fontsize=9.5, color=series.look.color,
        )  # fmt: skip


def iops_over_busy(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 3: IOPS against the hart's busy share, a point per depth, a line per mode."""
    figure, (axes,) = _new(title, footer)
    drawn = [series for series in lines if series.mode != "limit" and not series.note]
    for series in drawn:
        look, points = series.look, [p for p in series.points if p.busy is not None]
        axes.plot(
            [point.busy for point in points], [point.iops for point in points], color=look.color,
            marker=look.marker, linestyle=look.line, label=look.label, clip_on=False,
        )  # fmt: skip
    limit = max((p.iops for s in lines if s.mode == "limit" and not s.note for p in s.points),
                default=None)  # fmt: skip
    if limit:
        look = LOOKS["limit"]
        axes.axhline(limit, color=look.color, linestyle=look.line, linewidth=1.0, label=look.label)
    axes.set_xlim(0, 107)
    axes.xaxis.set_major_locator(FixedLocator(range(0, 101, 20)))
    axes.set_xlabel("hart busy, % (not in wfi); numbers are queue depths")
    axes.set_ylabel("IOPS")
    _log_scale(axes, short_number, LEGEND_ROOM)
    figure.canvas.draw()
    taken: list[tuple[float, float]] = []
    for series in drawn:
        _label_depths(axes, series, taken)
    _legend(axes)
    return figure
