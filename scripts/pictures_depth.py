"""The pictures of one workload: IOPS, latency and CPU over queue depth, and IOPS over harts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from pictures import (
    REFERENCES,
    Look,
    Point,
    Series,
    doubling_axis,
    draw_line,
    latency_text,
    legend,
    log_scale,
    look_of,
    new_figure,
    short_number,
    spread,
)

NEAR_PIXELS = 15  # two labels closer than this would cover each other
NINES_MAX = 6
LEGEND_ROOM = 2.2  # more room above the highest value, on a logarithmic axis
NULL_NEAR = 8.0  # a null line further above the others than this is said, not drawn


def iops_over_depth(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 1: IOPS against queue depth, intervals as bars, the device limit dashed."""
    figure, (axes,) = new_figure(title, footer)
    lines, far = _without_far_null(lines)
    for series in lines:
        draw_line(axes, series, spread(lines))
    doubling_axis(axes, lines, "queue depth")
    axes.set_ylabel("IOPS")
    log_scale(axes, short_number)
    _name_batches(axes, lines)
    if far:
        axes.annotate(far, (0.99, 0.015), xycoords="axes fraction", ha="right", fontsize=9.5,
                      color="#666666")  # fmt: skip
    legend(axes)
    return figure


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
    legend(axes)
    return figure


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
    legend(panels[0], 9.5, outside=False)
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
    figure, (axes,) = new_figure(title, footer)
    drawn = [series for series in lines if series.mode not in REFERENCES and not series.note]
    drawn = [series for series in drawn if any(p.busy is not None for p in series.points)]
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
    log_scale(axes, short_number)
    figure.canvas.draw()
    taken: list[tuple[float, float]] = []
    for series in drawn:
        _label_depths(axes, series, taken)
    legend(axes)
    return figure
