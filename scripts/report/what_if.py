"""The picture of bench.py --what-if: where polling pays, and what hybrid does there."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from report.axes import new_figure
from sim.what_if import DEPTHS, LATENCIES_US, LOADED_DEPTH, LOADS, PAYS_LEAST, Cell

LEAD_MOST = 0.3  # full colour from here on


def _panel(axes: Axes, cells: Sequence[Cell], places: Sequence[int], xlabel: str) -> AxesImage:
    """A square for each place: its colour is polling's lead, its number hybrid's idle time."""
    values = [[0.0] * len(places) for _ in LATENCIES_US]
    for cell in cells:
        y, x = LATENCIES_US.index(cell.latency_us), places.index(cell.at)
        values[y][x] = cell.poll
        axes.text(x, y, f"{100 * cell.idle:.0f}", ha="center", va="center", fontsize=8,
                  color="white" if cell.poll > 0.6 * LEAD_MOST else "#222222")
    norm = TwoSlopeNorm(PAYS_LEAST, -LEAD_MOST, LEAD_MOST)
    image = axes.imshow(values, cmap="RdBu", norm=norm, aspect="auto", origin="lower")
    for name, lead, style in (("poll", PAYS_LEAST, "-"), ("hybrid", PAYS_LEAST, "--")):
        grid = [[next(getattr(c, name) for c in cells if (c.latency_us, c.at) == (us, place))
                 for place in places] for us in LATENCIES_US]
        if min(map(min, grid)) < lead < max(map(max, grid)):
            axes.contour(grid, levels=[lead], colors="#222222", linestyles=style, linewidths=1.6)
    axes.grid(False)
    axes.set(xticks=range(len(places)), xticklabels=places, xlabel=xlabel,
             yticks=range(len(LATENCIES_US)), yticklabels=LATENCIES_US)
    return image


def draw(name: str, closed: Sequence[Cell], opened: Sequence[Cell]) -> Figure:
    """Depth on the left, load on the right, the device's latency upwards."""
    figure, (left, right) = new_figure(
        f"Where polling pays on {name}",
        f"modelled; solid: polling leads by {PAYS_LEAST:.0%}, dashed: hybrid does; numbers: "
        "hybrid's idle time in %", 2, height_in=4.6, widths=(8, 5))
    image = _panel(left, closed, DEPTHS, "IOPS by queue depth")
    _panel(right, opened, LOADS, f"latency by load, % of depth {LOADED_DEPTH}")
    figure.colorbar(image, ax=[left, right], location="top", shrink=0.7, aspect=40,
                    label="polling's lead over interrupts", ticks=[-0.3, -0.1, 0.03, 0.1, 0.2, 0.3],
                    format=lambda value, _: f"{value:+.0%}")
    left.set_ylabel("device's median latency, us")
    return figure
