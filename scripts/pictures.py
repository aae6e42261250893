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
from matplotlib.ticker import (  # noqa: E402
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
)

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.8, 100
NEAR_PIXELS = 15  # two labels closer than this would cover each other
NINES_MAX = 6
DECADES_FINE = 3.2  # up to here 2 and 5 have a tick as well
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
    dodge: float = 1.0  # intervals at one depth stand beside one another


DASHES, DASH_DOT, DOTS = (0, (5, 2)), (0, (7, 2, 1.5, 2)), (0, (1.2, 1.6))
# By mode, then by delivery: polling and the limit look the same with each.
LOOKS = {
    ("poll", ""): Look("#0072B2", "o", "-", "polling", 0.97),
    ("irq", "per-hart"): Look("#D55E00", "s", DASH_DOT, "interrupts, per-hart", 1.03),
    ("irq", "shared"): Look("#CC79A7", "v", DASHES, "interrupts, shared", 1.05),
    ("irq", "msix"): Look("#E69F00", "D", DOTS, "interrupts, msix", 0.95),
    ("hybrid", "per-hart"): Look("#009E73", "^", DASHES, "hybrid, per-hart", 0.99),
    ("hybrid", "shared"): Look("#7A6A00", "X", DASH_DOT, "hybrid, shared", 1.01),
    ("hybrid", "msix"): Look("#56B4E9", "P", DOTS, "hybrid, msix", 0.985),
    ("limit", ""): Look("#333333", "", (0, (4, 3)), "device limit (raw ring, polled)"),
}  # fmt: skip
OTHERS = (("#7A4988", "h"), ("#000000", "x"), ("#B8860B", "*"), ("#7F7F7F", "d"))


def look_of(mode: str, delivery: str) -> Look:
    """The look of a mode; delivery does not matter to those that take no interrupts."""
    return LOOKS[mode, delivery if mode in ("irq", "hybrid") else ""]


def other_look(index: int, label: str) -> Look:
    """The look of a line from another program's result."""
    color, marker = OTHERS[index % len(OTHERS)]
    return Look(color, marker, ":", label)


@dataclasses.dataclass(frozen=True)
class Point:
    """A measured point, as far as pictures need it."""

    at: int  # queue depth, or harts in the picture of their scaling
    iops: float
    low: float
    high: float
    busy: float | None  # per cent of the harts' time
    # (share of the samples at or below, latency in us), in order
    latency: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Series:
    """A line: one mode and delivery at several depths. `note` sets it apart from the main one."""

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


def _draw_line(axes: Axes, series: Series, spread: float) -> None:
    look, main = series.look, not series.note
    depths = [point.at * look.dodge**spread for point in series.points]
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
        _draw_line(axes, series, _spread(lines))
    _doubling_axis(axes, lines, "queue depth")
    axes.set_ylabel("IOPS")
    _log_scale(axes, short_number)
    _name_batches(axes, lines)
    _legend(axes)
    return figure


def _doubling_axis(axes: Axes, lines: Sequence[Series], name: str) -> None:
    axes.set_xscale("log", base=2)
    values = sorted({point.at for series in lines for point in series.points})
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(name)


def _spread(lines: Sequence[Series]) -> float:
    """How far apart intervals stand: the dodges are made for an axis of seven doublings."""
    values = [point.at for series in lines for point in series.points]
    return max(0.1, math.log2(max(values) / min(values)) / 7)


def scaling(lines: Sequence[Series], cores: int, title: str, footer: str) -> Figure:
    """Picture 6: IOPS over harts, a line per mode and delivery, and where the host's cores end."""
    figure, (axes,) = _new(title, footer)
    for series in lines:
        _draw_line(axes, series, _spread(lines))
    _doubling_axis(axes, lines, "harts, each a thread of the host")
    axes.set_ylabel("IOPS of all harts together")
    _log_scale(axes, short_number)
    most = max(point.at for series in lines for point in series.points)
    if most > cores:
        axes.axvline(cores, color="#999999", linestyle=":", linewidth=1.2)
        axes.annotate(
            f"the host's {cores} cores", (cores, 0.02), (5, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=9.5, color="#666666",
        )  # fmt: skip
    _legend(axes)
    return figure


def _legend(axes: Axes, fontsize: float = 10, outside: bool = True) -> None:
    """Polling first, whatever was drawn first; above the axes, where no line is."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        order = {look.label: index for index, look in enumerate(LOOKS.values())}
        pairs = sorted(zip(labels, handles), key=lambda pair: order.get(pair[0], len(order)))
        columns = 4 if len(pairs) <= 4 else 3  # as many as the width has room for
        above = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "ncol": columns,
                 "columnspacing": 1.3, "handletextpad": 0.5}  # fmt: skip
        axes.legend([h for _, h in pairs], [n for n, _ in pairs], fontsize=fontsize,
                    **(above if outside else {"loc": "upper left"}))  # fmt: skip


def _name_batches(axes: Axes, lines: Sequence[Series]) -> None:
    """A word at the left end of each group of thin lines."""
    for note in dict.fromkeys(series.note for series in lines if series.note):
        first = [series.points[0] for series in lines if series.note == note]
        left = min(first, key=lambda point: (point.at, -point.iops))
        top = max(point.iops for point in first if point.at == left.at)
        axes.annotate(
            note, (left.at, top), (-9, -2), textcoords="offset points", ha="right",
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
                if point.at == depth and point.latency and not series.note:
                    _draw_latency(axes, series.look, point)
                    right = max(right, nines(point.latency[-1][0]))
        _nines_axis(axes, min(right * 1.02, NINES_MAX))
        axes.set_title(f"queue depth {depth}", fontsize=11)
        axes.set_xlabel("percentile")
    panels[0].set_ylabel("latency")
    _log_scale(panels[0], latency_text, LEGEND_ROOM)
    _legend(panels[0], 9.5, outside=False)
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
            str(point.at), (point.busy, point.iops), (8, below), textcoords="offset points",
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
        look = look_of("limit", "")
        axes.axhline(limit, color=look.color, linestyle=look.line, linewidth=1.0, label=look.label)
    axes.set_xlim(0, 107)
    axes.xaxis.set_major_locator(FixedLocator(range(0, 101, 20)))
    axes.set_xlabel("hart busy, % (not in wfi); numbers are queue depths")
    axes.set_ylabel("IOPS")
    _log_scale(axes, short_number)
    figure.canvas.draw()
    taken: list[tuple[float, float]] = []
    for series in drawn:
        _label_depths(axes, series, taken)
    _legend(axes)
    return figure
