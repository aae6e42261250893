"""The runs that were once the reference, a compact file each: what moves a figure from run to run.

results/reference/runs/DATE-COMMIT.json holds the main ratios of one run, of its boots. `make
results` adds that of the reference; a range is of the medians of all runs.
"""

from __future__ import annotations

import json
from pathlib import Path

from analysis import metrics
from analysis.comparisons import Ratios, paired
from analysis.intervals import Estimate
from analysis.series import MAIN, MODE_NAMES, Series, all_series, main_rule
from results import result_file

FOLDER = "runs"
PAIRS = (("poll", "irq"), ("hybrid", "poll"), ("hybrid", "irq"), ("poll", "raw"))
HOST = "host CPU, interrupts / polling"
LINUX = {mode: f"hartq / Linux, {word}" for mode, word in
         (("poll", "polled"), ("irq", "interrupts"), ("best", "fastest"))}
ABOUT = ("date", "commit", "qemu", "host_cpu", "host_cores", "backing")
Runs = dict[str, dict]  # by the name of the file


def compact(result: dict, peers: dict) -> dict:
    """The environment in brief, and {ratio: {point: [median, low, high]}}."""
    rule = main_rule(result)
    modes = all_series(result)[Series(*MAIN, harts=1, batch=1, doorbell=rule)]
    found: dict[str, Ratios] = {
        **{f"{MODE_NAMES[mode]} / {MODE_NAMES[other]}": paired(modes, mode, other)
           for mode, other in PAIRS},
        HOST: metrics.over(modes, "irq", "poll", metrics.HOST)}
    for row in peers.get("comparisons", []):
        at, ratio = f"{row['iodepth']}, {row['batch']}", Estimate.from_json(row["ratio"])
        found.setdefault(LINUX[row["mode"]], {})[at] = ratio
    return {
        **{name: result["environment"][name] for name in ABOUT},
        "doorbell": rule,
        "boots": max(len(job["hartq"]["boots"]) for job in result["jobs"]),
        "ratios": {name: {str(at): [round(value, 3) for value in (r.median, r.low, r.high)]
                          for at, r in ratios.items()} for name, ratios in found.items()}}


def name_of(run: dict) -> str:
    """Of its file; in the order of time."""
    day, clock, _ = run["date"].split()
    return f"{day}-{clock[:5].replace(':', '')}-{run['commit']}.json"


def load(folder: Path, now: dict) -> Runs:
    """The runs in the folder of a result, and `now`, which is the last."""
    files = sorted((folder / FOLDER).glob("*.json"))
    older = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in files}
    return {**older, name_of(now): now}


def last(runs: Runs) -> dict:
    """The run that the page is of."""
    return list(runs.values())[-1]


def keep(folder: Path, now: dict) -> None:
    """Write the file of a run beside those of the others."""
    (folder / FOLDER).mkdir(exist_ok=True)
    with result_file.whole(folder / FOLDER / name_of(now)) as sink:
        sink.write(json.dumps(now) + "\n")


def range_text(runs: Runs, ratio: str, at: str) -> str:
    """`1.44; 1.18 to 1.95 in 5`: the last run's median, the least and greatest of all runs."""
    found = [run["ratios"].get(ratio, {}).get(at) for run in runs.values()]
    if not found[-1]:
        return "-"
    medians = [each[0] for each in found if each]
    told = f"{min(medians):.2f} to {max(medians):.2f} in {len(medians)}"
    return f"{medians[-1]:.2f}; {told if len(medians) > 1 else 'one run'}"


def rows(runs: Runs, ratios: list[str]) -> list[list[str]]:
    """By the points of the last run: each ratio and its range."""
    points = dict.fromkeys(at for ratio in ratios for at in last(runs)["ratios"].get(ratio, {}))
    return [[at, *(range_text(runs, ratio, at) for ratio in ratios)] for at in points]
