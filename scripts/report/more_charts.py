"""The other pictures: best mode, cost of an I/O, time, block sizes, open loop, and Linux."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.series import MODE_NAMES, size_text
from report.chart_data import CostBar, HeatCell, LoadPoint, PeerDot, Timeline
from report.charts import (
    Look,
    Series,
    doubling_axis,
    draw_line,
    handles_of,
    latency_text,
    log_scale,
    new_figure,
    short_number,
    spread,
    top_legend,
)

NO_DIFFERENCE_GREY = "#CFCFCF"
PART_LOOKS = {
    "submit": ("#0072B2", ""), "reap": ("#56B4E9", "//"), "interrupt": ("#D55E00", "xx"),
    "submission doorbells": ("#009E73", ""), "completion doorbells": ("#F0E442", "//"),
    "interrupts": ("#D55E00", "xx"),
}  # fmt: skip
HEAT_COLORS = {"poll": "#0072B2", "irq": "#D55E00", "hybrid": "#009E73"}
UNMEASURED = {"facecolor": "white", "edgecolor": "#BBBBBB", "hatch": "////", "linewidth": 0.6}
BAR_IN, ROW_IN = 0.34, 1.25  # height that a bar, and a panel of time, need
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
SATURATED = 0.95  # of the offered load: what does less is full


def heat_rows(cells: Sequence[HeatCell]) -> list[tuple[str, dict[int, HeatCell]]]:
    """The cells by depth of each row: batches that some depth has beside its own, and depth."""
    batches = sorted({cell.batch for cell in cells if cell.batch != cell.depth} | {1})
    rows = [(str(b), {c.depth: c for c in cells if c.batch == b}) for b in batches]
    return [*rows, ("= depth", {c.depth: c for c in cells if c.batch == c.depth})]


def heatmap(cells: Sequence[HeatCell], title: str, footer: str) -> Figure:
    """Picture 4: the best mode over depth and batch, grey where the next is not clearly slower."""
    depths, rows = sorted({cell.depth for cell in cells}), heat_rows(cells)
    figure, (axes,) = new_figure(title, footer, height_in=1.7 + 0.6 * len(rows))
    lacking = set()
    for (y, (batch, row)), (x, depth) in itertools.product(enumerate(rows), enumerate(depths)):
        if cell := row.get(depth):
            _draw_cell(axes, x, y, cell, len(depths))
        elif batch.isdecimal() and int(batch) > depth:
            lacking.add("batch above the depth")
        else:
            lacking.add("not measured")
            axes.bar(x, 0.94, 0.94, y - 0.47, **UNMEASURED)
    _name_ticks(axes, depths, [batch for batch, _ in rows])
    shown = [mode for mode in HEAT_COLORS if any(c.mode == mode and c.sure for c in cells)]
    handles = [Patch(color=HEAT_COLORS[mode], label=MODE_NAMES[mode]) for mode in shown]
    if not all(cell.sure for cell in cells):
        handles.append(Patch(color=NO_DIFFERENCE_GREY, label="no significant difference"))
    patches = {"not measured": UNMEASURED,
               "batch above the depth": {"facecolor": "white", "edgecolor": "#DDDDDD"}}  # fmt: skip
    handles += [Patch(**look, label=name) for name, look in patches.items() if name in lacking]
    top_legend(figure, handles, [handle.get_label() for handle in handles], 3)
    return figure


def _draw_cell(axes: Axes, x: int, y: int, cell: HeatCell, columns: int) -> None:
    axes.bar(x, 0.94, 0.94, y - 0.47, color=HEAT_COLORS[cell.mode] if cell.sure
             else NO_DIFFERENCE_GREY)  # fmt: skip
    axes.text(x, y, f"{cell.mode}\nx{cell.factor:.2f}", ha="center", va="center",
              fontsize=9.5 if columns < 9 else 8, color="white" if cell.sure else "#333333",
              fontweight="bold" if cell.sure else "normal")  # fmt: skip


def _name_ticks(axes: Axes, depths: Sequence[int], batches: Sequence[str]) -> None:
    axes.grid(False)
    axes.set_xticks(range(len(depths)), map(str, depths))
    axes.set_yticks(range(len(batches)), batches)
    axes.set_xlim(-0.55, len(depths) - 0.45)
    axes.set_ylim(-0.55, len(batches) - 0.45)
    axes.set_xlabel("queue depth")
    axes.set_ylabel("batch")
    axes.tick_params(length=0)


def cost(bars: Sequence[CostBar], title: str, footer: str) -> Figure:
    """Picture 5: instructions per I/O by part, and doorbells and interrupts per I/O."""
    counted = any(bar.instructions for bar in bars)
    height = 2.1 + BAR_IN * (len(bars) + 1)
    figure, panels = new_figure(title, footer, 2 if counted else 1, height_in=height)
    shift = _shifts(bars)
    if counted:
        rows = list(zip(shift, (bar.instructions for bar in bars)))
        _stack(panels[0], rows, "instructions per I/O", "{:.0f}")
    _stack(panels[-1], list(zip(shift, (bar.events for bar in bars))), "events per I/O", "{:.2f}")
    panels[0].set_yticks(shift, [bar.look.label for bar in bars])
    panels[0].tick_params(axis="y", length=0, labelsize=10)
    panels[0].set_ylim(max(shift) + 0.6, -1.1)
    for panel in panels:
        for depth in dict.fromkeys(bar.depth for bar in bars):
            index, bar = next((i, bar) for i, bar in enumerate(bars) if bar.depth == depth)
            panel.text(0.0, shift[index] - 0.55, f"queue depth {depth}, batch {bar.batch}",
                       fontsize=9.5, fontweight="bold", color="#333333",
                       transform=panel.get_yaxis_transform())  # fmt: skip
    return figure


def _shifts(bars: Sequence[CostBar]) -> list[float]:
    """Where bars stand: a step more between depths, for the heading."""
    at, places = 0.0, []
    for before, bar in zip([None, *bars], bars):
        at += 0.0 if before is None else 1.0 if before.depth == bar.depth else 2.0
        places.append(at)
    return places


def _stack(
    axes: Axes, rows: Sequence[tuple[float, dict[str, float] | None]], name: str, form: str
) -> None:
    """Stacked bars, their sum at the end."""
    axes.grid(axis="y", visible=False)
    drawn: dict[str, None] = {}
    for at, parts in rows:
        left = 0.0
        for part, value in (parts or {}).items():
            color, hatch = PART_LOOKS[part]
            axes.barh(at, value, 0.72, left, color=color, hatch=hatch, edgecolor="white",
                      linewidth=0.6, label=None if part in drawn else part)  # fmt: skip
            drawn[part] = None
            left += value
        text = form.format(left) if parts else "not counted"
        axes.annotate(text, (left, at), (4, 0), textcoords="offset points", va="center",
                      fontsize=9.5)  # fmt: skip
    axes.set_xlim(0, max(sum((p or {}).values()) for _, p in rows) * 1.18 or 1.0)
    axes.set_xlabel(name)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncol=1, fontsize=9.5)


def timeline(lines: Sequence[Timeline], title: str, footer: str) -> Figure:
    """Picture 7: IOPS over time, a panel per mode; where nothing completed is marked."""
    height = 1.5 + ROW_IN * len(lines)
    figure, panels = new_figure(title, footer, rows=len(lines), height_in=height)
    for axes, line in zip(panels, lines):
        _draw_time(axes, line)
    panels[0].set_ylim(0, 1.25 * max(v for line in lines for r in line.rounds for v in r) or 1.0)
    panels[-1].set_xlabel("measured time, s; grey lines: from one round to the next")
    figure.supylabel("IOPS", fontsize=11)
    return figure


def _draw_time(axes: Axes, line: Timeline) -> None:
    step, at = line.interval_ms / 1e3, 0.0
    for values in line.rounds:
        edges = [at + step * index for index in range(len(values) + 1)]
        axes.stairs(values, edges, color=line.look.color, linewidth=1.1, baseline=None)
        for left, value in zip(edges, values):
            if value <= 0:
                axes.axvspan(left, left + step, color="#CC0000", alpha=0.35, linewidth=0)
        at = edges[-1]
        axes.axvline(at, color="#BBBBBB", linewidth=0.8)
    axes.set_xlim(0, at)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(short_number))
    gaps = line.gaps()
    found = f"{gaps} interval{'s' if gaps > 1 else ''} without a completion" if gaps else "no gap"
    text = f"{line.look.label}: {found} (of {line.interval_ms:g} ms)"
    axes.text(0.005, 0.97, text, transform=axes.transAxes, va="top", fontsize=10,
              color="#CC0000" if gaps else "#333333",
              bbox=ON_WHITE)  # fmt: skip


def blocksize(lines: Sequence[Series], title: str, footer: str) -> Figure:
    """Picture 8: IOPS and bandwidth over the block size."""
    figure, (left, right) = new_figure(title, footer, 2, sharey=False)
    for series in lines:
        draw_line(left, series, spread(lines))
        look, sizes = series.look, [point.at for point in series.points]
        mib = [point.at * point.iops / (1 << 20) for point in series.points]
        right.plot(sizes, mib, color=look.color, marker=look.marker or None, linestyle=look.line)
    for axes in (left, right):
        doubling_axis(axes, lines, "block size")
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: size_text(int(value)).replace("iB", "").replace(" ", ""))
        )
    left.set_ylabel("IOPS")
    right.set_ylabel("bandwidth, MiB/s")
    log_scale(left, short_number)
    log_scale(right, short_number)
    top_legend(figure, *handles_of([left]), 3)
    return figure


def openloop(lines: dict[Look, list[LoadPoint]], title: str, footer: str) -> Figure:
    """Picture 9: median and 99th percentile of the latency over the offered load."""
    figure, panels = new_figure(title, footer, 2)
    for index, (axes, name) in enumerate(zip(panels, ("median", "99th percentile"))):
        for look, points in lines.items():
            _draw_load(axes, look, points, index)
        axes.set_title(name, fontsize=11)
        _load_axis(axes, [point for line in lines.values() for point in line])
    _say_saturated(panels[0], [point for line in lines.values() for point in line])
    panels[0].set_ylabel("latency from when it was due")
    log_scale(panels[0], latency_text)
    top_legend(figure, *handles_of(panels), 3)
    return figure


def _draw_load(axes: Axes, look: Look, points: Sequence[LoadPoint], index: int) -> None:
    known = [(p, us) for p in points if (us := p.latency_us[index])]
    axes.errorbar([p.offered for p, _ in known], [us.median for _, us in known],
                  yerr=[[us.median - us.low for _, us in known],
                        [us.high - us.median for _, us in known]], color=look.color,
                  marker=look.marker, linestyle=look.line, elinewidth=1.1, capsize=3,
                  label=look.label)  # fmt: skip
    full = [(p, us.median) for p, us in known if p.done < SATURATED * p.offered]
    axes.plot([p.offered for p, _ in full], [us for _, us in full], marker="o", markersize=13,
              markerfacecolor="none", markeredgecolor="#CC0000", linestyle="none")  # fmt: skip


def _say_saturated(axes: Axes, points: Sequence[LoadPoint]) -> None:
    """What the rings mean, once: a number at each would cover its neighbours."""
    shares = [point.done / point.offered for point in points]
    if min(shares) < SATURATED:
        text = (
            f"red ring: less than {100 * SATURATED:.0f} % of the load\n"
            f"got done, at worst {100 * min(shares):.0f} %"
        )
        axes.text(0.02, 0.98, text, transform=axes.transAxes, va="top", fontsize=9.5,
                  color="#CC0000")  # fmt: skip


def _load_axis(axes: Axes, points: Sequence[LoadPoint]) -> None:
    shares = {point.offered: point.share for point in points}

    def text(offered: float, _position: object) -> str:
        share = shares.get(offered)
        below = f"\n{100 * share:.0f} %" if share is not None else ""
        return short_number(float(f"{offered:.3g}")) + below

    axes.xaxis.set_major_locator(FixedLocator(sorted(shares)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(text))
    axes.set_xlim(left=0)
    known = any(share is not None for share in shares.values())
    axes.set_xlabel("offered IOPS" + (", share of the capacity" if known else ""))


def peers(panels: dict[str, Sequence[PeerDot]], title: str, footer: str) -> Figure:
    """IOPS of each way to do I/O, Linux's beside ours from the same run: a panel per point."""
    names = list(dict.fromkeys(dot.name for dots in panels.values() for dot in dots))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    height = 1.1 + rows * (0.7 + 0.19 * len(names))
    figure, places = new_figure(title, footer, columns, rows, height)
    for axes, (name, dots) in zip(places, panels.items()):
        for dot in dots:
            _draw_dot(axes, dot, names.index(dot.name) + (0.33 if dot.hollow else 0.0))
        axes.set_title(name, fontsize=11)
        axes.grid(axis="y", visible=False)
    for axes in places[len(panels):]:
        axes.set_visible(False)
    first = places[0]
    first.set_xscale("log")
    first.set_yticks(range(len(names)), names)
    first.set_ylim(len(names) - 0.4, -0.6)
    ours = sum(not name.startswith("Linux") for name in names)
    for axes in places:
        axes.tick_params(axis="y", length=0, labelsize=9)
        axes.axhline(ours - 0.5, color="#999999", linewidth=0.8)
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(short_number))
    places[len(places) - columns + columns // 2].set_xlabel("IOPS")
    return figure


def _draw_dot(axes: Axes, dot: PeerDot, row: float) -> None:
    at = dot.at
    axes.plot([at.low, at.high], [row, row], color=dot.look.color, linewidth=1.6)
    axes.plot(at.iops, row, color=dot.look.color, marker=dot.look.marker or "|",
              markersize=5 if dot.hollow else 7, markeredgewidth=1 if dot.look.marker else 2,
              markerfacecolor="white" if dot.hollow else dot.look.color)  # fmt: skip
