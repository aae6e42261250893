"""The runs that were once the reference, a compact file each: what moves a figure from run to run.

results/reference/runs/DATE-COMMIT.json holds the main ratios of one run, of its boots. `make
results` adds that of the reference; a range is of the medians of all runs with one doorbell rule.
"""

from __future__ import annotations

import json
from pathlib import Path

from analysis import metrics
from analysis.comparisons import Ratios, paired
from analysis.intervals import Estimate
from analysis.series import MAIN, MODE_NAMES, Modes, Series, all_series, main_rule, rule_text
from cli.errors import UsageError
from linux.results import PEERS_NAME
from measure.plan import EACH
from results import result_file

FOLDER = "runs"
PAIRS = (("poll", "irq"), ("hybrid", "poll"), ("hybrid", "irq"), ("poll", "raw"))
HOST = "host CPU, interrupts / polling"
LINUX = {mode: f"hartq / Linux, {word}" for mode, word in
         (("poll", "polled"), ("irq", "interrupts"), ("best", "fastest"))}
ABOUT = ("date", "commit", "qemu", "host_cpu", "host_cores", "backing")
Runs = dict[str, dict]  # by the name of the file


def _ratios(modes: Modes) -> dict[str, Ratios]:
    return {**{f"{MODE_NAMES[mode]} / {MODE_NAMES[other]}": paired(modes, mode, other)
               for mode, other in PAIRS},
            HOST: metrics.over(modes, "irq", "poll", metrics.HOST)}


def _rounded(found: dict[str, Ratios]) -> dict:
    return {name: {str(at): [round(value, 3) for value in (r.median, r.low, r.high)]
                   for at, r in ratios.items()} for name, ratios in found.items()}


def compact(result: dict, peers: dict) -> dict:
    """The environment in brief, and {ratio: {point: [median, low, high]}} by doorbell rule."""
    rule = main_rule(result)
    if peers.get("doorbell", EACH) != rule:
        raise UsageError(f"{PEERS_NAME} was measured with doorbell={peers.get('doorbell', EACH)}, "
                         f"{result_file.JSON_NAME} with {rule}; hint: run peers.py anew")
    everything = all_series(result)
    of_rule = {each: _ratios(modes) for each in (rule, EACH)
               if (modes := everything.get(Series(*MAIN, harts=1, batch=1, doorbell=each)))}
    for row in peers.get("comparisons", []):
        at, ratio = f"{row['iodepth']}, {row['batch']}", Estimate.from_json(row["ratio"])
        of_rule[rule].setdefault(LINUX[row["mode"]], {})[at] = ratio
    return {
        **{name: result["environment"][name] for name in ABOUT},
        "doorbell": rule,
        "boots": max(len(job["hartq"]["boots"]) for job in result["jobs"]),
        "ratios": _rounded(of_rule.pop(rule)),
        **{each: _rounded(found) for each, found in of_rule.items()}}


def ratios_of(run: dict, rule: str) -> dict:
    """A run's ratios with a doorbell rule; older files name none: they rang at each submit."""
    found: dict = run["ratios"] if run.get("doorbell", EACH) == rule else run.get(rule, {})
    return found


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


def range_text(runs: Runs, ratio: str, at: str, rule: str) -> str:
    """`1.44; 1.18 to 1.95 in 5`: the last run's median, the least and greatest of all runs."""
    found = [ratios_of(run, rule).get(ratio, {}).get(at) for run in runs.values()]
    if not found[-1]:
        return "-"
    medians = [each[0] for each in found if each]
    told = f"{min(medians):.2f} to {max(medians):.2f} in {len(medians)}"
    return f"{medians[-1]:.2f}; {told if len(medians) > 1 else 'one run'}"


def rows(runs: Runs, ratios: list[str]) -> list[list[str]]:
    """By the rules and points of the last run: each ratio and its range."""
    rules = dict.fromkeys((last(runs).get("doorbell", EACH), EACH))
    points = dict.fromkeys((at, rule) for rule in rules for ratio in ratios
                           for at in ratios_of(last(runs), rule).get(ratio, {}))
    return [[at + rule_text(rule), *(range_text(runs, ratio, at, rule) for ratio in ratios)]
            for at, rule in points]
