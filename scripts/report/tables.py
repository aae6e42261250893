"""The points of a result as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.intervals import ratio_of
from analysis.metrics import latency_text
from analysis.series import families, open_jobs, size_text

COLUMNS = (
    "rw", "bs", "harts", "delivery", "QD", "batch", "mode", "IOPS", "interval", "p50/p99 us",
    "busy %", "irq/IO", "of limit", "cpu us/IO",
)  # fmt: skip
OPEN_COLUMNS = (
    "rw", "bs", "harts", "delivery", "QD", "batch", "offered", "mode", "IOPS", "interval",
    "p50/p99 us", "idle", "irq/IO", "idle over irq's",
)  # fmt: skip
NAMING = 4  # the first columns: those that never change stand in the title


def _naming_cells(job: dict) -> list[str]:
    options, mine = job["job options"], job["hartq"]
    size = size_text(int(options["bs"])).replace(" ", "")
    return [options["rw"], size, str(mine["harts"]), mine["delivery"], options["iodepth"],
            str(mine["batch"])]  # fmt: skip


def _rate_cells(job: dict) -> list[str]:
    mine = job["hartq"]
    low, high = mine["iops_interval"]
    return [mine["completion"], f"{mine['iops_median']:,.0f}", f"{low:,.0f}-{high:,.0f}",
            latency_text(job)]  # fmt: skip


def _cells(job: dict) -> list[str]:
    mine = job["hartq"]
    limit, cpu = mine["ratio_to_limit"], mine["host_cpu_us_per_io"]
    return [
        *_naming_cells(job),
        *_rate_cells(job),
        f"{100 * (1 - mine['idle_fraction']):.0f}",
        f"{mine['interrupts_per_io']:.2f}",
        f"{limit['median']:.2f}" if limit else "",
        f"{sum(cpu.values()):.1f}" if cpu else "",
    ]


def _open_cells(job: dict) -> list[str]:
    mine, ratio = job["hartq"], ratio_of(job, "idle_ratio_to_irq")
    return [
        *_naming_cells(job),
        f"{mine['offered_iops']:,}",
        *_rate_cells(job),
        f"{mine['idle_fraction']:.2f}",
        f"{mine['interrupts_per_io']:.2f}",
        str(ratio) if ratio else "",
    ]


def _lay_out(columns: Sequence[str], rows: list[list[str]]) -> list[str]:
    """Mode by depth or load; a blank line wherever anything before the mode changes."""
    constant = [i for i in range(NAMING) if len({row[i] for row in rows}) == 1]
    shown = [i for i in range(len(columns)) if i not in constant]
    mode = columns.index("mode")
    widths = [max(map(len, cells)) for cells in zip(columns, *rows)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cells[i].rjust(widths[i]) for i in shown).rstrip()

    lines = [line(columns)]
    for before, row in zip([None, *rows], rows):
        if before and before[:mode] != row[:mode]:
            lines.append("")
        lines.append(line(row))
    return lines


def table(result: dict) -> list[str]:
    """All points, those of the open loop apart."""
    opened = open_jobs(result)
    closed = [job for job in result["jobs"] if job not in opened]
    lines = _lay_out(COLUMNS, [_cells(job) for job in closed]) if closed else []
    if opened:
        process = result["global options"].get("rate_process", "linear")
        lines += [""] if lines else []
        lines += [f"open loop, {process}; latency from when a request was due"]
        lines += _lay_out(OPEN_COLUMNS, [_open_cells(job) for job in opened])
    return lines or ["nothing was measured"]


def of_main_family(result: dict) -> dict:
    """The result with no other points than those of the workload that answers the question, if
    there is one."""
    modes = next(iter(families(result).values()), {})
    if not modes:
        return result  # an open loop alone
    return {**result, "jobs": [job for depths in zip_depths(modes) for job in depths]}


def zip_depths(modes: dict[str, dict[int, dict]]) -> list[list[dict]]:
    """The jobs of each depth, mode by mode."""
    depths = sorted({depth for jobs in modes.values() for depth in jobs})
    return [[jobs[depth] for jobs in modes.values() if depth in jobs] for depth in depths]
