"""docs/results.md: the figures behind the README's claims, and the README's sentence of advice.

Both come from results/reference alone.

    cd scripts && python3 -m report.results_page

The words are in results.md.j2. It only adds and divides: each figure can be found in the file that
is named above its table.
"""

from __future__ import annotations

import functools
import json
import re
import sys
import textwrap
from pathlib import Path

from analysis import doorbells, metrics, shapes
from analysis.comparisons import paired
from analysis.intervals import Estimate, marked, ratio_of
from analysis.series import MAIN, Series, all_series, main_rule, open_jobs, rule_text
from cli import command
from linux.results import PEERS_NAME
from linux.tables import judged
from measure.instructions import PARTS
from measure.modes import WAITING
from measure.plan import doorbell_of_options, groups
from report import advice, runs
from qemu.machine import ROOT
from report.page import PAGES
from results import result_file

REFERENCE, PAGE = ROOT / "results" / "reference", ROOT / "docs" / "results.md"
README, ADVICE = ROOT / "README.md", re.compile(r"\*\*On this host: .*?\*\*", re.S)
PEERS = f"peers/{PEERS_NAME}"

MODES = {"poll": "polling", "irq": "interrupts", "hybrid": "hybrid, awake",
         "hybrid asleep": "hybrid, asleep"}
DELIVERIES = {"per-hart": "dedicated INTx", "shared": "shared INTx", "msix": "MSI-X"}
DEPTHS = (1, 4, 32, 128, 512)  # a column each, where there are many rows
COUNTS = ("missed_interrupts", "errors", "stale", "malformed", "late", "spurious_interrupts")

Rows = list[list[str]]


def linux_rows(peers: dict) -> Rows:
    """By depth and batch: polled, interrupts, the fastest of each, and how a goal is met."""
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for each in peers["comparisons"]:
        goal = judged(each, peers["host_quiet"])
        cells = rows.setdefault((each["batch"], each["iodepth"]), {})
        ratio = marked(Estimate.from_json(each["ratio"]))
        cells[each["mode"]] = ratio + f"; goal {goal}" * bool(goal)
    return [[f"{depth}, {batch}", *(cells.get(mode, "-") for mode in ("poll", "irq", "best"))]
            for (batch, depth), cells in sorted(rows.items())]


def instruction_rows(result: dict) -> Rows:
    """Of a 4 KiB read: to submit, to complete, and both; a delivery only where it is taken."""
    rows: dict[tuple[str, int, str, str], list[str]] = {}
    for row in result["instructions"]["rows"]:
        rule = doorbell_of_options(row)
        depth, delivery = row["iodepth"], row["delivery"] if "interrupt" in row else ""
        if row["bs"] == MAIN[1]:
            submit, *others = (row[phase] / depth for phase in PARTS if phase in row)
            name = ", ".join(filter(None, (MODES[row["completion"]], DELIVERIES.get(delivery))))
            name += rule_text(rule)
            counts = [f"{each:.0f}" for each in (submit, sum(others), submit + sum(others))]
            rows.setdefault((row["completion"], depth, delivery, rule),
                            [name, f"{depth}, {row['batch']}", *counts])
    return list(rows.values())


def mode_rows(result: dict) -> Rows:
    """By depth: the modes over one another, and how busy the hart is."""
    modes = all_series(result)[Series(*MAIN, harts=1, batch=1, doorbell=main_rule(result))]
    ratios = [paired(modes, *pair) for pair in runs.PAIRS]
    busy = [{depth: f"{100 * (1 - job['hartq']['idle_fraction']):.0f} %"
             for depth, job in modes.get(mode, {}).items()} for mode in ("irq", "hybrid")]
    depths = sorted({depth for jobs in modes.values() for depth in jobs})
    return [[str(depth), *(marked(each.get(depth)) for each in ratios),
             *(each.get(depth, "-") for each in busy)] for depth in depths]


def way_rows(result: dict) -> Rows:
    """By batch, harts and delivery: polling over interrupts at DEPTHS."""
    found = {series: paired(modes, "poll", "irq") for series, modes in all_series(result).items()
             if (series.rw, series.bs, series.doorbell) == (*MAIN, main_rule(result))
             and series.batch < 2}
    names = list(DELIVERIES)
    order = sorted(found, key=lambda s: (not s.batch, s.harts, names.index(s.delivery)))
    return [[f"{each.harts}, {each.batch or 'the depth'}, {DELIVERIES[each.delivery]}",
             *(marked(found[each].get(depth)) for depth in DEPTHS)]
            for each in order if found[each].keys() & {*DEPTHS}]


def load_rows(result: dict) -> Rows:
    """By load: how much longer a hart sleeps in hybrid mode than with interrupts."""
    return [[f"{mine['rate_percent']:g} % of saturation" if mine["rate_percent"] else "",
             f"{mine['offered_iops']:,}", marked(ratio_of(job, "idle_ratio_to_irq"))]
            for job in open_jobs(result)
            if (mine := job["hartq"])["completion"] == "hybrid"]


def fault_rows(result: dict) -> Rows:
    """By delivery: how many points, and the sums of COUNTS over them."""
    found = groups((job["hartq"] for job in result["jobs"]), lambda mine: mine["delivery"])
    return [[DELIVERIES[delivery], str(len(mine)),
             str(sum(each["completion"] in WAITING for each in mine)),
             *(f"{sum(each.get(name) or 0 for each in mine):,}" for name in COUNTS)]
            for delivery, mine in found.items()]


@functools.lru_cache
def read(folder: Path) -> tuple[dict, dict]:
    """The result in a folder, and its comparison with Linux."""
    return result_file.load(folder), json.loads((folder / PEERS).read_text(encoding="utf-8"))


def page(folder: Path) -> str:
    """The whole page, from the files in the folder of a result."""
    result, peers = read(folder)
    told = runs.load(folder, runs.compact(result, peers))
    modes = [name for name in runs.last(told)["ratios"] if name not in runs.LINUX.values()]
    return PAGES.get_template("results.md.j2").render(
        runs=told,
        moved=(modes, runs.rows(told, modes)),
        linux_moved=runs.rows(told, list(runs.LINUX.values())),
        advice=advice.sentence(result), peers=peers, linux=linux_rows(peers),
        instructions=instruction_rows(result),
        costs=metrics.cost_table(result), doorbells=[
            (both.series, doorbells.head(rule), doorbells.rows(both))
            for rule, found in doorbells.measured(result).items() for both in found],
        callbacks=(shapes.CALLBACK_HEAD, shapes.callback_rows(result)),
        modes=mode_rows(result), ways=way_rows(result),
        loads=load_rows(result),
        faults=fault_rows(result), on=result["environment"], options=result["global options"])


def advised(text: str, result: dict) -> str:
    """The README with the sentence that the result gives, without its figures."""
    told = textwrap.fill(f"**{advice.sentence(result, figures=False)}**", 100)
    return ADVICE.sub(lambda _: told, text)


@command.entry
def main() -> int:
    """Keep the run, write the page and the sentence."""
    result, peers = read(REFERENCE)
    runs.keep(REFERENCE, runs.compact(result, peers))
    README.write_text(advised(README.read_text(encoding="utf-8"), result), encoding="utf-8")
    PAGE.write_text(page(REFERENCE), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} written from {REFERENCE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
