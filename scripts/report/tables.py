"""The points of a result as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import metrics
from analysis.intervals import ratio_of
from analysis.series import all_series, open_jobs, shape_of, size_text
from cli.table import lay_out
from measure.plan import doorbell_of_options

NAMING = ("rw", "bs", "harts", "delivery", "doorbell", "QD", "batch")
MEASURED = ("mode", "IOPS", "interval", "host us/IO", "p50/p99 us")
COLUMNS = (*NAMING, *MEASURED, "busy %", "lock %", "irq/IO", "of raw")
OPEN_COLUMNS = (*NAMING, "offered", *MEASURED, "idle", "lock %", "irq/IO", "idle over irq's")
HIDDEN_MAX = 5  # of the first columns, those that never change are left out


def _cells(job: dict) -> list[str]:
    """A job under COLUMNS or OPEN_COLUMNS."""
    options, mine = job["job options"], job["hartq"]
    opened = bool(mine["rate_iops"])
    low, high = mine["iops_interval"]
    raw, idle = ratio_of(job, "ratio_to_raw"), ratio_of(job, "idle_ratio_to_irq")
    host, shape = metrics.value(job, metrics.HOST), shape_of(job)
    return [
        options["rw"] + f", {shape}" * (shape != "steady"),
        size_text(int(options["bs"])).replace(" ", ""), str(mine["harts"]),
        mine["delivery"], doorbell_of_options(options), options["iodepth"], str(mine["batch"]),
        *([f"{mine['offered_iops']:,}"] if opened else []),
        mine["completion"], f"{mine['iops_median']:,.0f}", f"{low:,.0f}-{high:,.0f}",
        f"{host.median:.1f}" if host else "-", metrics.latency_text(job),
        f"{mine['idle_fraction']:.2f}" if opened else f"{100 * (1 - mine['idle_fraction']):.0f}",
        metrics.lock_text(job), f"{mine['interrupts_per_io']:.2f}",
        f"{idle or ''}" if opened else f"{raw.median:.2f}" if raw else "",
    ]


def _points(columns: Sequence[str], jobs: Sequence[dict]) -> list[str]:
    """Mode by depth or load; a blank line wherever anything before the mode changes."""
    rows = [_cells(job) for job in jobs]
    shown = [i for i in range(len(columns))
             if i >= HIDDEN_MAX or len({row[i] for row in rows}) > 1]
    mode = columns.index("mode")
    cut = [[cells[i] for i in shown] for cells in (columns, *rows)]
    head, *lines = lay_out(cut[0], cut[1:])
    found = [head]
    for before, row, line in zip([None, *rows], rows, lines):
        found += [""] * bool(before and before[:mode] != row[:mode]) + [line]
    return found


def table(result: dict) -> list[str]:
    """All points, those of the open loop apart."""
    opened = open_jobs(result)
    closed = [job for job in result["jobs"] if job not in opened]
    lines = _points(COLUMNS, closed) if closed else []
    if opened:
        process = result["global options"].get("rate_process", "linear")
        lines += [""] * bool(lines)
        lines += [f"open loop, {process}; latency from when a request was due"]
        lines += _points(OPEN_COLUMNS, opened)
    return lines or ["nothing was measured"]


def of_main_series(result: dict) -> dict:
    """The result with the points only of the workload that answers the question, if any."""
    modes = next(iter(all_series(result).values()), {})
    depths = sorted({depth for jobs in modes.values() for depth in jobs})
    jobs = [jobs[depth] for depth in depths for jobs in modes.values() if depth in jobs]
    return {**result, "jobs": jobs or result["jobs"]}
