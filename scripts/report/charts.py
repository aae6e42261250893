"""What all pictures share: the looks of the modes, figures, axes, legends.

Modes differ in colour (Okabe and Ito's, safe for the colour-blind), marker and line style, so that
they stay apart in print.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence

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

WIDTH_IN, HEIGHT_IN, DPI = 7.0, 4.4, 120  # 840 pixels, read at half of that as well
DECADES_FINE = 3.2  # up to here 2 and 5 have a tick as well
TITLE_CHARS = 68  # as many as the width holds

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
    ("null", ""): Look("#777777", "", (0, (1, 1.3)), "null (engine against memory)"),
}  # fmt: skip
REFERENCES = ("limit", "null")  # lines to compare with, not modes to use
OTHERS = (
    ("#7A4988", "h"), ("#000000", "x"), ("#B8860B", "*"), ("#7F7F7F", "d"), ("#882255", "<"),
    ("#117733", ">"), ("#332288", "p"), ("#AA4466", "+"), ("#44AA99", "1"), ("#661100", "H"),
    ("#999933", "2"), ("#6699CC", "8"),
)  # fmt: skip


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


def new_figure(
    title: str, footer: str, panels: int = 1, rows: int = 1, height_in: float = HEIGHT_IN,
    sharey: bool = True, widths: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Panels beside or below one another, a bold title over them, small print under them."""
    figure, axes = plt.subplots(
        rows, panels, sharex=rows > 1, sharey=sharey, squeeze=False, width_ratios=widths,
        figsize=(WIDTH_IN, height_in), layout="constrained",
    )  # fmt: skip
    low = 0.045 * HEIGHT_IN / height_in
    figure.get_layout_engine().set(rect=(0, low, 1, 1 - low))
    text = "\n".join(textwrap.wrap(title, TITLE_CHARS))
    figure.suptitle(text, fontsize=12, fontweight="bold", x=0.012, ha="left")
    figure.text(0.012, 0.25 * low, footer, fontsize=7.5, color="#555555")
    return figure, list(axes.flat)


def latency_text(us: float, _position: object = None) -> str:
    """2000 as 2 ms."""
    return f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} us"


def log_scale(axes: Axes, text: Callable[[float, object], str], room: float = 1.0) -> None:
    """A logarithmic y axis, ticks in words; `room` is what the top is multiplied by."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * room)
    fine = math.log10(high * room / low) <= DECADES_FINE
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(text))
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_line(axes: Axes, series: Series, apart: float) -> None:
    """One line with its intervals; `apart` is how far those of one depth stand from another."""
    look, main = series.look, not series.note
    depths = [point.at * look.dodge**apart for point in series.points]
    iops = [point.iops for point in series.points]
    bars = [
        [max(0.0, point.iops - point.low) for point in series.points],
        [max(0.0, point.high - point.iops) for point in series.points],
    ]
    axes.errorbar(
        depths,
        iops,
        yerr=bars if series.mode not in REFERENCES else None,
        color=look.color,
        marker=look.marker or None,
        linestyle=look.line,
        linewidth=1.8 if main else 1.1,
        markerfacecolor=look.color if main else "white",
        elinewidth=1.1,
        capsize=3,
        label=look.label if main else None,
    )


def doubling_axis(axes: Axes, lines: Sequence[Series], name: str) -> None:
    """An x axis of doublings, a tick at each measured value."""
    axes.set_xscale("log", base=2)
    values = sorted({point.at for series in lines for point in series.points})
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(name)


def spread(lines: Sequence[Series]) -> float:
    """How far apart intervals stand: the dodges are made for an axis of seven doublings."""
    values = [point.at for series in lines for point in series.points]
    return max(0.1, math.log2(max(values) / min(values)) / 7)


def inner_legend(axes: Axes, fontsize: float = 9.5) -> None:
    """In the upper left corner, where no line is."""
    handles, labels = handles_of([axes])
    if handles:
        axes.legend(handles, labels, fontsize=fontsize, loc="upper left")


def top_legend(figure: Figure, handles: Sequence, labels: Sequence[str], columns: int) -> None:
    """One legend for all panels, between the title and the axes."""
    height = figure.get_figheight()
    rows = math.ceil(len(labels) / columns)
    lines = figure._suptitle.get_text().count("\n") + 1 if figure._suptitle else 0
    title, room = 0.3 * lines / height, (0.12 + 0.22 * rows) / height
    figure._suptitle.set_in_layout(False)  # its room is counted here
    engine = figure.get_layout_engine()
    left, low, width, tall = engine.get()["rect"]
    engine.set(rect=(left, low, width, tall - room - title))
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0, 1 - title), ncol=columns,
                  fontsize=9.5, borderaxespad=0.3, columnspacing=1.3)  # fmt: skip


def handles_of(panels: Sequence[Axes]) -> tuple[list, list[str]]:
    """Each line of several panels once, in the order of LOOKS."""
    found: dict[str, object] = {}
    for axes in panels:
        found |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels())}
    order = {look.label: index for index, look in enumerate(LOOKS.values())}
    names = sorted(found, key=lambda name: order.get(name, len(order)))
    return [found[name] for name in names], names


@dataclasses.dataclass(frozen=True)
class Label:
    """A number beside a point."""

    x: float
    y: float
    text: str
    color: str


LABEL_SIZE = 9.0
# Where a label may stand, in points from its marker: beside it first, then further off with a line.
AWAY = (9.0, 15.0, 22.0, 30.0, 40.0, 50.0)
LINE_STEP = 4.0  # pixels
TURNS = (0, 180, -45, 135, 45, -135, -90, 90)


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Each label beside its point where it covers no marker and no other label; else none.

    Where it covers no line either, if there is such a place. The axes must have been drawn: their
    place on the page decides.
    """
    unit = axes.figure.dpi / 72
    half_high = 0.55 * LABEL_SIZE * unit
    places = [tuple(axes.transData.transform((label.x, label.y))) for label in labels]
    taken = [(x, y, 4.5 * unit, 4.5 * unit) for x, y in places]
    lines = list(_line_boxes(axes))
    for label, (x, y) in zip(labels, places):
        half_wide = 0.32 * LABEL_SIZE * unit * len(label.text)
        for avoided, away, turn in itertools.product((lines, ()), AWAY, TURNS):
            dx = (away + half_wide / unit) * math.cos(math.radians(turn))
            dy = away * math.sin(math.radians(turn))
            box = (x + dx * unit, y + dy * unit, half_wide, half_high)
            if _is_free(box, taken) and _is_free(box, avoided) and _is_inside(axes, box):
                taken.append(box)
                _write(axes, label, (dx, dy), away > AWAY[0])
                break


def _line_boxes(axes: Axes) -> Iterator[tuple[float, float, float, float]]:
    """All lines as boxes of a pixel, close to one another."""
    for line in axes.get_lines():
        ends = [tuple(each) for each in line.get_transform().transform(line.get_xydata())]
        for (x0, y0), (x1, y1) in zip(ends, ends[1:]):
            steps = 1 + int(max(abs(x1 - x0), abs(y1 - y0)) / LINE_STEP)
            for step in range(steps):
                share = step / steps
                yield x0 + share * (x1 - x0), y0 + share * (y1 - y0), 1.0, 1.0


def _is_free(box: Sequence[float], taken: Sequence[Sequence[float]]) -> bool:
    """Boxes are middles and half sizes."""
    x, y, wide, high = box
    return all(abs(x - ox) > wide + ow or abs(y - oy) > high + oh for ox, oy, ow, oh in taken)


def _is_inside(axes: Axes, box: Sequence[float]) -> bool:
    x, y, wide, high = box
    frame = axes.bbox
    return (frame.x0 < x - wide and x + wide < frame.x1
            and frame.y0 < y - high and y + high < frame.y1)  # fmt: skip


def _write(axes: Axes, label: Label, offset: tuple[float, float], led: bool) -> None:
    line = {"arrowstyle": "-", "color": label.color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        label.text, (label.x, label.y), offset, textcoords="offset points", ha="center",
        va="center", fontsize=LABEL_SIZE, color=label.color, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
        arrowprops=line if led else None,
    )  # fmt: skip


def close(figure: Figure) -> None:
    """Give the figure's memory back."""
    plt.close(figure)
