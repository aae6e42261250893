"""What all pictures share: figures, axes, legends, lines, and numbers at points."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator  # noqa: E402
from matplotlib.ticker import NullFormatter, NullLocator  # noqa: E402

from report.looks import LOOKS, REFERENCES, Line, Look  # noqa: E402

WIDTH_IN, HEIGHT_IN, DPI = 7.0, 4.4, 120  # 840 pixels, read at half of that as well
DECADES_FINE = 3.2  # up to here 2 and 5 have a tick as well
TITLE_CHARS = 68  # as many as the width holds
short_number = EngFormatter(sep="")  # 12500 as 12.5k

plt.rcParams.update({
    "font.size": 11, "axes.titlesize": 11, "axes.grid": True, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "grid.color": "#dddddd",
    "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 9.5,
    "lines.linewidth": 1.8, "lines.markersize": 6, "svg.fonttype": "none",
    "svg.hashsalt": "hartq",
})


def new_figure(
    title: str, footer: str, panels: int = 1, rows: int = 1, height_in: float = HEIGHT_IN,
    sharex: bool | str | None = None, sharey: bool | str = True,
    widths: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Panels beside or below one another, a bold title over them, small print under them."""
    figure, axes = plt.subplots(
        rows, panels, sharex=rows > 1 if sharex is None else sharex, sharey=sharey, squeeze=False,
        width_ratios=widths,
        figsize=(WIDTH_IN, height_in), layout="constrained",
    )
    low = 0.045 * HEIGHT_IN / height_in
    figure.get_layout_engine().set(rect=(0, low, 1, 1 - low))
    text = "\n".join(textwrap.wrap(title, TITLE_CHARS))
    figure.suptitle(text, fontsize=12, fontweight="bold", x=0.012, ha="left")
    figure.text(0.012, 0.25 * low, footer, fontsize=7.5, color="#555555")
    return figure, list(axes.flat)


def save(figure: Figure, files: dict[str, dict]) -> None:
    """Write a figure to each file, with the metadata for it, and give its memory back."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it is laid out: once is enough for all files
    for name, metadata in files.items():
        figure.savefig(name, dpi=DPI, metadata=metadata)
    plt.close(figure)


def latency_text(us: float, _position: object = None) -> str:
    """2000 as 2 ms."""
    return f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} us"


def log_scale(axes: Axes, text: Callable[[float, object], str], room: float = 1.0,
              subs: Sequence[float] = ()) -> None:
    """A logarithmic y axis, ticks in words; `room` is what the top is multiplied by."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * room)
    fine = math.log10(high * room / low) <= DECADES_FINE
    subs = subs or ((1.0, 2.0, 5.0) if fine else (1.0,))
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(text))
    axes.yaxis.set_minor_formatter(NullFormatter())


def ticks_at(axes: Axes, values: Sequence[float], text: Callable[[float, object], str]) -> None:
    """A tick on the x axis at each of the values and nowhere else."""
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(text))


def places_of(lines: Sequence[Line]) -> list[int]:
    """Where on the x axis there are points."""
    return sorted({point.at for line in lines for point in line.points})


def doubling_axis(
    axes: Axes, lines: Sequence[Line], name: str,
    text: Callable[[float, object], str] = lambda value, _: f"{value:g}",
) -> None:
    """An x axis of doublings, a tick at each measured value."""
    axes.set_xscale("log", base=2)
    ticks_at(axes, places_of(lines), text)
    axes.set_xlabel(name)


def draw_curve(axes: Axes, look: Look, xs: Sequence[float], ys: Sequence[float],
               intervals: Sequence[tuple[float, float]] | None) -> None:
    """Medians, a line through them, and their intervals."""
    bars = None if intervals is None else [
        [max(0.0, y - low) for y, (low, _) in zip(ys, intervals)],
        [max(0.0, high - y) for y, (_, high) in zip(ys, intervals)]]
    axes.errorbar(xs, ys, yerr=bars, color=look.color, marker=look.marker or None,
                  linestyle=look.line, elinewidth=1.1, capsize=3, label=look.label)


def draw_lines(axes: Axes, lines: Sequence[Line], beside: Sequence[Line] = ()) -> None:
    """Lines with their intervals. Those of one place stand apart: the dodges are made for an axis
    of seven doublings, whose ends `beside` may have."""
    places = places_of([*lines, *beside])
    apart = max(0.1, math.log2(places[-1] / places[0]) / 7)
    for line in lines:
        look, points = line.look, line.points
        xs = [point.at * look.dodge**apart for point in points]
        intervals = [(point.low, point.high) for point in points]
        draw_curve(axes, look, xs, [point.iops for point in points],
                   intervals if line.mode not in REFERENCES else None)
        if hollow := [(x, point.iops) for x, point in zip(xs, points) if point.hollow]:
            axes.plot(*zip(*hollow), look.marker, color=look.color, markerfacecolor="white",
                      zorder=3)


def top_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend between the title and the axes: each line in the panels once."""
    found: dict[str, object] = {}
    for axes in panels:
        found |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels())}
    order = [*(look.label for look in LOOKS.values()), *found]
    names = sorted(found, key=order.index)
    height = figure.get_figheight()
    lines = figure._suptitle.get_text().count("\n") + 1
    title, room = 0.3 * lines / height, (0.12 + 0.22 * math.ceil(len(names) / 3)) / height
    figure._suptitle.set_in_layout(False)  # its room is counted here
    engine = figure.get_layout_engine()
    left, low, width, tall = engine.get()["rect"]
    engine.set(rect=(left, low, width, tall - room - title))
    figure.legend([found[name] for name in names], names, loc="upper left", ncol=3,
                  bbox_to_anchor=(0, 1 - title), borderaxespad=0.3, columnspacing=1.3)
