"""The comparison with Linux as tables: from the rows of peers.json alone."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.intervals import Estimate, marked
from cli.table import lay_out
from linux.results import PARTS

HEAD = ("depth", "batch", "mode", "ratio", "goal", "ours", "IOPS", "p50 / p99 us", "Linux", "IOPS",
        "p50 / p99 us")
CAPTION = (
    "a batch of 1 is a system call for each command on Linux, a store at most in hartq, whose "
    "doorbell is clocked where its name says so; latency "
    "runs from a look at the clock before the commands are prepared to the look after the reap "
    "that finds them, in hartq and the loop; fio prepares first, and looks for each command"
)
TIMES = {  # column: side, name in us_per_io
    "hartq": ("ours", "all"), "raw ring": ("ours", "raw_ring"), "our hart": ("ours", "host_vcpu"),
    "our device": ("ours", "host_device"), "Linux": ("peer", "all"),
    "its program": ("peer", "user"), "Linux's kernel": ("peer", "kernel"),
}
COUNT_HEAD = ("depth", "batch", "mode", "submit", "interrupt", "reap", "sum", "median", "hartq",
              "Linux / hartq")
COUNT_CAPTION = (
    "instructions per I/O of Linux's loop, of program, system calls and kernel, under -icount: the "
    "window with the fewest of 100, and the median; an interrupt during the submitting call counts "
    "there; sleep and waiting are not counted. hartq: the committed counts of make instructions"
)
TIME_HEAD = ("depth", "batch", "mode", *TIMES, "raw ring / Linux", "ours / raw ring")
TIME_CAPTION = (
    "us per I/O where there is a goal, and what the raw ring of the same boots reaches: our path "
    "costs time where ours / raw ring is below 1"
)


def _place(row: dict) -> list[str]:
    return [str(row["iodepth"]), str(row["batch"]), row["mode"]]


def _us(found: dict | None) -> str:
    each = Estimate.from_json(found)
    return f"{each:.1f}" if each else "-"


def _side(side: dict) -> list[str]:
    found = (side.get(f"lat_{name}_ns") for name in ("p50", "p99"))
    latencies = ("-" if ns is None else f"{ns / 1000:,.0f}" for ns in found)
    return [side["name"], f"{side['iops_median']:,.0f}", " / ".join(latencies)]


def judged(row: dict, quiet: bool) -> str:
    """How a comparison's goal is met, where it has one; it is judged where the host was quiet."""
    goal = row["goal"]
    return f"{goal:g}: {Estimate.from_json(row['ratio']).meets(goal, quiet)}" if goal else ""


def cells(row: dict, quiet: bool = True) -> list[str]:
    """A comparison under HEAD."""
    ratio = Estimate.from_json(row["ratio"])
    found = [*_place(row), marked(ratio), judged(row, quiet)]
    return [*found, *_side(row["ours"]), *_side(row["peer"])]


def time_rows(rows: Sequence[dict]) -> list[list[str]]:
    """The comparisons that have a goal under TIME_HEAD."""
    return [
        [*_place(row), *(_us(row[side].get("us_per_io", {}).get(name))
                         for side, name in TIMES.values()),
         *(marked(Estimate.from_json(found))
           for found in (row.get("raw_ratio"), row["ours"].get("share_of_raw")))]
        for row in rows
        if row["goal"]]


def count_rows(rows: Sequence[dict]) -> list[list[str]]:
    """Instructions under COUNT_HEAD."""
    found = []
    for row in rows:
        parts = [row[part] for part in PARTS]
        whole, ours = sum(parts), row["hartq"]
        figures = [f"{each:,.0f}" for each in (*parts, whole, row["median"], ours)]
        found.append([str(row["iodepth"]), str(row["batch"]), row["completion"], *figures,
                      f"{whole / ours:.1f}" if ours else "-"])
    return found


def lines(rows: Sequence[dict], counts: Sequence[dict], quiet: bool = True) -> list[str]:
    """The tables for a terminal."""
    more = [f"{COUNT_CAPTION}:", *lay_out(COUNT_HEAD, count_rows(counts)), ""] if counts else []
    times = lay_out(TIME_HEAD, time_rows(rows))
    found = lay_out(HEAD, [cells(row, quiet) for row in rows])
    return [f"{CAPTION}:", *found, "", f"{TIME_CAPTION}:", *times, "", *more]
