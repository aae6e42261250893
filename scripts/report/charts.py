"""The pictures: a function for each, named as in pictures.py, from what chart_data.py selected."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from analysis.intervals import Estimate
from analysis.loads import KEPT
from analysis.series import size_text
from report.axes import HEIGHT_IN, doubling_axis, draw_curve, draw_lines, latency_text, log_scale
from report.axes import new_figure, places_of, short_number, ticks_at, top_legend
from report.chart_data import CostBar, LoadPoint, PeerDot, Timeline
from report.looks import Line, Look, Point

NINES_MAX = 6
RATIO_TICKS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
LEGEND_ROOM = 2.2  # more room above the highest value, on a logarithmic axis
PART_LOOKS = {
    "submit": ("#0072B2", ""), "reap": ("#56B4E9", "//"), "interrupt": ("#D55E00", "xx"),
    "submission doorbells": ("#009E73", ""), "completion doorbells": ("#F0E442", "//"),
    "interrupts": ("#D55E00", "xx"),
}
BAR_IN, ROW_IN = 0.34, 1.25  # height that a bar, and a panel of time, need
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
SMALL, RED, DARK, GREY = 9.5, "#CC0000", "#333333", "#666666"


def interrupts(panels: dict[str, Sequence[Line]], title: str, footer: str) -> Figure:
    """Ratios over queue depth, a panel per batch, with a line where both are alike."""
    figure, places = new_figure(title, footer, len(panels), sharex=True)
    every = [line for lines in panels.values() for line in lines]
    for axes, (name, lines) in zip(places, panels.items()):
        draw_lines(axes, lines, every)
        doubling_axis(axes, every, "queue depth")
        axes.axhline(1.0, color=DARK, linewidth=1.2, zorder=1.5)
        axes.tick_params(axis="x", labelsize=10)
        axes.set_title(name)
    at = places_of(every)
    places[0].set_xlim(at[0] / 1.3, at[-1] * 1.3)
    places[0].set_ylabel("interrupts / polling")
    log_scale(places[0], lambda ratio, _: f"{ratio:g}", subs=RATIO_TICKS)
    top_legend(figure, places)
    return figure


def doorbells(panels: dict[str, Sequence[Line]], title: str, footer: str) -> Figure:
    """Ratios over queue depth, with a line where two rules are alike; below the figures."""
    figure, places = new_figure(title, footer, 2, 2, 1.6 * HEIGHT_IN, sharey=False)
    every = [line for lines in panels.values() for line in lines]
    for index, (axes, (name, lines)) in enumerate(zip(places, panels.items())):
        draw_lines(axes, lines, every)
        doubling_axis(axes, every, "queue depth" if index > 1 else "")
        axes.set_title(name)
        if index < 2:
            axes.axhline(1.0, color=DARK, linewidth=1.2, zorder=1.5)
        if index != 2:  # a mode may wait 0 us for the lock
            log_scale(axes, lambda value, _: f"{value:g}")
    top_legend(figure, places[2:])
    return figure


def _host_line(line: Line) -> Line:
    """The same line over what an I/O takes of the host's CPU."""
    return dataclasses.replace(line, points=tuple(
        dataclasses.replace(point, iops=point.host.median, low=point.host.low, high=point.host.high)
        for point in line.points if point.host))


def iops(lines: Sequence[Line], title: str, footer: str) -> Figure:
    """IOPS over queue depth, and host CPU below. Lines with a note have panels of their own, as
    wide as needed."""
    notes = list(dict.fromkeys(line.note for line in lines))
    groups = [[line for line in lines if line.note == note] for note in notes]
    widths = [1 + math.log2(max(places_of(group)) / min(places_of(group))) for group in groups]
    figure, panels = new_figure(title, footer, len(groups), 2, 1.6 * HEIGHT_IN, "col", "row",
                                widths)
    for upper, lower, note, group in zip(panels, panels[len(groups):], notes, groups):
        draw_lines(upper, group, lines)
        draw_lines(lower, [host for line in group if (host := _host_line(line)).points], lines)
        doubling_axis(lower, group, "queue depth")
        upper.set_title(note)
    for axes, name in ((panels[0], "IOPS"), (panels[len(groups)], "host CPU, us per I/O")):
        axes.set_ylabel(name)
        log_scale(axes, short_number)
    top_legend(figure, panels[: len(groups)][::-1])
    return figure


def scaling(data: tuple[Sequence[Line], int], title: str, footer: str) -> Figure:
    """IOPS over harts, a line per mode and delivery, and where the host's cores end."""
    lines, cores = data
    figure, (axes,) = new_figure(title, footer)
    draw_lines(axes, lines)
    doubling_axis(axes, lines, "harts, each a thread of the host")
    axes.set_ylabel("IOPS of all harts together")
    log_scale(axes, short_number)
    if places_of(lines)[-1] > cores:
        axes.axvline(cores, color="#999999", linestyle=":", linewidth=1.2)
        axes.annotate(f"the host's {cores} cores", (cores, 0.02), (5, 0), color=GREY,
                      xycoords=("data", "axes fraction"), textcoords="offset points",
                      fontsize=SMALL)
    top_legend(figure, [axes])
    return figure


def nines(share: float) -> float:
    """Where a share of the samples stands on an axis of nines: 0.9 at 1, 0.99 at 2."""
    return -math.log10(max(1e-12, 1.0 - share))


def latency(panels: dict[int, list[tuple[Look, Point]]], title: str, footer: str) -> Figure:
    """Latency over log-nines of the percentile, a panel per depth, modes overlaid."""
    figure, places = new_figure(title, footer, len(panels))
    for axes, (depth, curves) in zip(places, panels.items()):
        for look, point in curves:
            _draw_latency(axes, look, point)
        right = max(1.0, *(nines(point.latency[-1][0]) for _, point in curves))
        right = min(right * 1.02, NINES_MAX)
        names = {math.log10(2): "50", 0: "", 1: "90", 2: "99"}
        names |= {nine: "\n" * (nine % 2) + f"99.{'9' * (nine - 2)}"  # in two rows: they are wide
                  for nine in range(3, NINES_MAX + 1)}
        ticks_at(axes, [at for at in names if at <= right], lambda at, _: names.get(at, ""))
        axes.set_xlim(0, right)
        axes.tick_params(axis="x", labelsize=9)
        axes.set_title(f"queue depth {depth}")
        axes.set_xlabel("percentile")
    places[0].set_ylabel("latency")
    log_scale(places[0], latency_text, LEGEND_ROOM)
    places[0].legend(loc="upper left")
    return figure


def _draw_latency(axes: Axes, look: Look, point: Point) -> None:
    xs = [nines(share) for share, _ in point.latency]
    ys = [us for _, us in point.latency]
    axes.plot(xs, ys, color=look.color, linestyle=look.line, label=look.label)
    # One marker per nine keeps the lines apart in print.
    for nine in range(1, math.floor(xs[-1]) + 1) if look.marker else ():
        index = next(i for i, x in enumerate(xs) if x >= nine)
        axes.plot(xs[index], ys[index], look.marker, color=look.color)


def cost(bars: Sequence[CostBar], title: str, footer: str) -> Figure:
    """Instructions per I/O by part, and doorbells and interrupts per I/O."""
    counted = any(bar.instructions for bar in bars)
    height = 2.1 + BAR_IN * (len(bars) + 1)
    figure, panels = new_figure(title, footer, 2 if counted else 1, height_in=height)
    places = [0.0]  # a step more between depths, for the heading
    for before, bar in itertools.pairwise(bars):
        places.append(places[-1] + (1.0 if before.depth == bar.depth else 2.0))
    if counted:
        _stack(panels[0], places, [bar.instructions for bar in bars], "instructions", "{:.0f}")
    _stack(panels[-1], places, [bar.events for bar in bars], "events", "{:.2f}")
    panels[0].set_yticks(places, [bar.look.label for bar in bars])
    panels[0].tick_params(axis="y", length=0, labelsize=10)
    panels[0].set_ylim(places[-1] + 0.6, -1.1)
    heads = {bar.depth: (at, bar.batch) for at, bar in [*zip(places, bars)][::-1]}
    for panel, (depth, (at, batch)) in itertools.product(panels, heads.items()):
        panel.text(0.0, at - 0.55, f"queue depth {depth}, batch {batch}", fontsize=SMALL,
                   fontweight="bold", color=DARK, transform=panel.get_yaxis_transform())
    return figure


def _stack(axes: Axes, places: Sequence[float], bars: Sequence[dict[str, float] | None],
           name: str, form: str) -> None:
    """Stacked bars, their sum at the end."""
    axes.grid(axis="y", visible=False)
    named: set[str] = set()
    for at, parts in zip(places, bars):
        left = 0.0
        for part, value in (parts or {}).items():
            color, hatch = PART_LOOKS[part]
            axes.barh(at, value, 0.72, left, color=color, hatch=hatch, edgecolor="white",
                      linewidth=0.6, label=None if part in named else part)
            named.add(part)
            left += value
        axes.annotate(form.format(left) if parts else "not counted", (left, at), (4, 0),
                      textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_xlim(0, max(sum((parts or {}).values()) for parts in bars) * 1.18 or 1.0)
    axes.set_xlabel(f"{name} per I/O")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncol=1)


def timeline(lines: Sequence[Timeline], title: str, footer: str) -> Figure:
    """IOPS over time, a panel per mode; where nothing completed is marked."""
    height = 1.5 + ROW_IN * len(lines)
    figure, panels = new_figure(title, footer, rows=len(lines), height_in=height)
    for axes, line in zip(panels, lines):
        _draw_time(axes, line)
    highest = max(value for line in lines for each in line.boots for value in each)
    panels[0].set_ylim(0, 1.25 * highest or 1.0)
    panels[-1].set_xlabel("measured time, s; grey lines: from one boot to the next")
    figure.supylabel("IOPS", fontsize=11)
    return figure


def _draw_time(axes: Axes, line: Timeline) -> None:
    step, at = line.interval_ms / 1e3, 0.0
    for values in line.boots:
        edges = [at + step * index for index in range(len(values) + 1)]
        axes.stairs(values, edges, color=line.look.color, linewidth=1.1, baseline=None)
        for left, value in zip(edges, values):
            if value <= 0:
                axes.axvspan(left, left + step, color=RED, alpha=0.35, linewidth=0)
        at = edges[-1]
        axes.axvline(at, color="#BBBBBB", linewidth=0.8)
    axes.set_xlim(0, at)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(short_number))
    gaps = line.gaps()
    found = f"{gaps} interval{'s' if gaps > 1 else ''} without a completion" if gaps else "no gap"
    axes.text(0.005, 0.97, f"{line.look.label}: {found} (of {line.interval_ms:g} ms)", va="top",
              transform=axes.transAxes, fontsize=10, color=RED if gaps else DARK, bbox=ON_WHITE)


def blocksize(lines: Sequence[Line], title: str, footer: str) -> Figure:
    """IOPS and bandwidth over the block size."""
    figure, (left, right) = new_figure(title, footer, 2, sharey=False)
    draw_lines(left, lines)
    for line in lines:
        mib = [point.at * point.iops / (1 << 20) for point in line.points]
        right.plot([point.at for point in line.points], mib, color=line.look.color,
                   marker=line.look.marker or None, linestyle=line.look.line)
    for axes, name in ((left, "IOPS"), (right, "bandwidth, MiB/s")):
        doubling_axis(axes, lines, "block size",
                      lambda size, _: size_text(int(size)).replace("iB", "").replace(" ", ""))
        axes.set_ylabel(name)
        log_scale(axes, short_number)
    top_legend(figure, [left])
    return figure


def openloop(lines: dict[Look, list[LoadPoint]], title: str, footer: str) -> Figure:
    """Median and 99th percentile of the latency, and the host's CPU time, over the offered load."""
    figure, panels = new_figure(title, footer, 3, sharey=False)
    panels[1].sharey(panels[0])
    every = [point for line in lines.values() for point in line]
    shares = {point.offered: point.share for point in every}
    known = any(share is not None for share in shares.values())

    named: list[float] = []
    for offered in sorted(shares, reverse=True):
        if not named or named[-1] - offered > named[0] / (9 if known else 4):  # else texts touch
            named.append(offered)

    def load_text(offered: float, _position: object) -> str:
        share = shares.get(offered)
        if offered not in named:
            return ""
        return short_number(float(f"{offered:.3g}")) if share is None else f"{100 * share:.0f}"

    for index, axes in enumerate(panels):
        for look, points in lines.items():
            _draw_load(axes, look, [(p, y) for p in points if (y := p.figures[index])])
        axes.set_title(("latency, median", "latency, 99th percentile", "host CPU per I/O")[index])
        ticks_at(axes, sorted(shares), load_text)
        axes.set_xlim(left=0)
        log_scale(axes, latency_text)
    panels[1].tick_params(labelleft=False)
    panels[1].set_xlabel("offered load, % of saturation" if known else "offered IOPS")
    panels[2].text(0.98, 0.98, f"diamond: the knee\nred ring: not\n{100 * KEPT:.0f} % done",
                   transform=panels[2].transAxes, ha="right", va="top", fontsize=SMALL, color=DARK)
    panels[0].set_ylabel("latency from when it was due")
    top_legend(figure, panels)
    return figure


def _draw_load(axes: Axes, look: Look, known: Sequence[tuple[LoadPoint, Estimate]]) -> None:
    draw_curve(axes, look, [p.offered for p, _ in known], [us.median for _, us in known],
               [(us.low, us.high) for _, us in known])
    for marker, size, color, chosen in (
        ("o", 13, RED, [each for each in known if not each[0].kept]),
        ("D", 12, look.color, [each for each in known if each[0].knee]),
    ):
        axes.plot([p.offered for p, _ in chosen], [us.median for _, us in chosen], marker=marker,
                  markersize=size, markerfacecolor="none", markeredgecolor=color, linestyle="none")


def peers(panels: dict[str, Sequence[PeerDot]], title: str, footer: str) -> Figure:
    """IOPS of each way to do I/O, hartq's and Linux's of the same run: a panel per point."""
    names = list(dict.fromkeys(dot.name for dots in panels.values() for dot in dots))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, places = new_figure(title, footer, columns, rows,
                                1.1 + rows * (0.7 + 0.19 * len(names)))
    ours = sum(not name.startswith("Linux") for name in names)
    for axes, (name, dots) in itertools.zip_longest(places, panels.items(), fillvalue=("", ())):
        for dot in dots:
            _draw_dot(axes, dot, names.index(dot.name) + (0.33 if dot.hollow else 0.0))
        axes.set_title(name)
        axes.set_visible(bool(dots))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0, labelsize=9)
        axes.axhline(ours - 0.5, color="#999999", linewidth=0.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(short_number))
    places[0].set_yticks(range(len(names)), names)
    places[0].set_ylim(len(names) - 0.4, -0.6)
    places[len(places) - columns + columns // 2].set_xlabel("IOPS")
    return figure


def _draw_dot(axes: Axes, dot: PeerDot, row: float) -> None:
    at, look = dot.at, dot.look
    axes.plot([at.low, at.high], [row, row], color=look.color, linewidth=1.6)
    axes.plot(at.iops, row, color=look.color, marker=look.marker or "|",
              markersize=5 if dot.hollow else 7, markeredgewidth=1 if look.marker else 2,
              markerfacecolor="white" if dot.hollow else look.color)
