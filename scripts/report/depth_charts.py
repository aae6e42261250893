"""The pictures of one workload: IOPS, latency and CPU over queue depth, and IOPS over harts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from report.charts import (
    REFERENCES,
    Label,
    Look,
    Point,
    Series,
    doubling_axis,
    draw_line,
    handles_of,
    inner_legend,
    latency_text,
    log_scale,
    look_of,
    new_figure,
    place_labels,
    short_number,
    spread,
    top_legend,
)

NINES_MAX = 6
LINES_MANY, DEPTHS_TOLD = 3, (8, 32, 128)  # of more lines only these depths and the ends
LEGEND_ROOM = 2.2  # more room above the highest value, on a logarithmic axis
NULL_NEAR = 8.0  # a null line further above the others than this is said, not drawn


def iops_over_depth(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 1: IOPS against queue depth, intervals as bars, the device limit dashed.

    What stands apart by a note has a panel of its own, as wide as its depths need.
    """
    lines, far = _without_far_null(lines)
    notes = list(dict.fromkeys(series.note for series in lines))
    groups = [[series for series in lines if series.note == note] for note in notes]
    widths = [1 + math.log2(max(_depths(group)) / min(_depths(group))) for group in groups]
    figure, panels = new_figure(title, footer, len(groups), widths=widths)
    for axes, note, group in zip(panels, notes, groups):
        for series in group:
            draw_line(axes, dataclasses.replace(series, note=""), spread(lines))
        doubling_axis(axes, group, "queue depth")
        axes.set_title(note, fontsize=11)
    panels[0].set_ylabel("IOPS")
    log_scale(panels[0], short_number)
    if far:
        panels[0].annotate(far, (0.99, 0.015), xycoords="axes fraction", ha="right", fontsize=9.5,
                           color="#666666")  # fmt: skip
    top_legend(figure, *handles_of(panels), 3)
    return figure


def _depths(lines: Sequence[Series]) -> list[int]:
    return [point.at for series in lines for point in series.points]


def _without_far_null(lines: Sequence[Series]) -> tuple[list[Series], str]:
    """The lines without a null line that would press the others together, and its range."""
    null = [p.iops for s in lines if s.mode == "null" for p in s.points]
    others = [p.iops for s in lines if s.mode != "null" for p in s.points]
    if not null or not others or max(null) <= NULL_NEAR * max(others):
        return list(lines), ""
    low, high = short_number(float(f"{min(null):.3g}")), short_number(float(f"{max(null):.3g}"))
    text = f"far above: null (engine against memory), {low} to {high} IOPS"
    return [series for series in lines if series.mode != "null"], text


def scaling(lines: Sequence[Series], cores: int, title: str, footer: str) -> Figure:
    """Picture 6: IOPS over harts, a line per mode and delivery, and where the host's cores end."""
    figure, (axes,) = new_figure(title, footer)
    for series in lines:
        draw_line(axes, series, spread(lines))
    doubling_axis(axes, lines, "harts, each a thread of the host")
    axes.set_ylabel("IOPS of all harts together")
    log_scale(axes, short_number)
    most = max(point.at for series in lines for point in series.points)
    if most > cores:
        axes.axvline(cores, color="#999999", linestyle=":", linewidth=1.2)
        axes.annotate(
            f"the host's {cores} cores", (cores, 0.02), (5, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=9.5, color="#666666",
        )  # fmt: skip
    top_legend(figure, *handles_of([axes]), 3)
    return figure


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
    figure, panels = new_figure(title, footer, len(depths))
    for axes, depth in zip(panels, depths):
        right = 1.0
        for series in lines:
            for point in series.points:
                if series.mode == "null" or series.note:
                    continue
                if point.at == depth and point.latency:
                    _draw_latency(axes, series.look, point)
                    right = max(right, nines(point.latency[-1][0]))
        _nines_axis(axes, min(right * 1.02, NINES_MAX))
        axes.set_title(f"queue depth {depth}", fontsize=11)
        axes.set_xlabel("percentile")
    panels[0].set_ylabel("latency")
    log_scale(panels[0], latency_text, LEGEND_ROOM)
    inner_legend(panels[0])
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


def _labels(drawn: Sequence[Series]) -> list[Label]:
    """Each point's depth; the ends of the lines first, where there may be no room for all."""
    found: list[tuple[int, Label]] = []
    for series in drawn:
        points = [point for point in series.points if point.busy is not None]
        for index, point in enumerate(points):
            rank = min(index, len(points) - 1 - index)
            if rank and len(drawn) > LINES_MANY and point.at not in DEPTHS_TOLD:
                continue
            found.append((rank, Label(point.busy, point.iops, str(point.at), series.look.color)))
    return [label for _, label in sorted(found, key=lambda pair: pair[0])]


def iops_over_busy(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 3: IOPS against the hart's busy share, a point per depth, a line per mode."""
    figure, (axes,) = new_figure(title, footer)
    drawn = [series for series in lines if series.mode not in REFERENCES and not series.note]
    drawn = [series for series in drawn if any(p.busy is not None for p in series.points)]
    for series in drawn:
        look, points = series.look, [p for p in series.points if p.busy is not None]
        axes.plot(
            [point.busy for point in points], [point.iops for point in points], color=look.color,
            marker=look.marker, linestyle=look.line, label=look.label, clip_on=False,
        )  # fmt: skip
    limits = [p for s in lines if s.mode == "limit" and not s.note for p in s.points]
    if limits:
        most, look = max(limits, key=lambda point: point.iops), look_of("limit", "")
        axes.axhline(most.iops, color=look.color, linestyle=look.line, linewidth=1.0,
                     label=f"highest device limit, at depth {most.at}")  # fmt: skip
    axes.set_xlim(0, 112)
    axes.xaxis.set_major_locator(FixedLocator(range(0, 101, 20)))
    axes.set_xlabel("hart busy, % (not in wfi); numbers are queue depths")
    axes.set_ylabel("IOPS")
    log_scale(axes, short_number)
    top_legend(figure, *handles_of([axes]), 3)
    figure.canvas.draw()
    place_labels(axes, _labels(drawn))
    return figure
