"""How far the machine in virtual time is off, laid over a measured run on QEMU.

The profile `qemu` was fitted to absolute figures of one run on one host, at a few points that ring
each: fitted.json holds that run. Judged are the ratios of the modes and the idle share of
interrupts, at all points that do. Those of a clocked doorbell, and polling's IOPS, are shown, not
judged. Another run, such as results/reference/results.json, is another host or another day.
Exit status: 0, or 1 if the median error of a column is above its limit.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402
from cli.errors import UsageError  # noqa: E402
from measure.plan import doorbell_of_options  # noqa: E402
from sim import run  # noqa: E402
from sim.machine import SimMachine  # noqa: E402
from sim.section import MODES  # noqa: E402

REFERENCE = Path(__file__).with_name("fitted.json")
SHAPED = {"rate_iops", "thinktime", "writer_iodepth", "post"}  # options of a load of another kind
LIMITS = {"irq / poll": 0.15, "hybrid / poll": 0.15, "irq idle": 0.15}  # of the median error
COLUMNS = tuple(LIMITS)
FITTED = "each"  # the rule of the doorbell

Place = tuple[int, int, str]  # depth, batch, rule of the doorbell
Points = dict[Place, dict[str, tuple[float, float]]]  # by mode: IOPS, idle share


def measured(path: Path) -> Points:
    """The steady closed loop of 4 KiB reads on one hart with a line of its own."""
    points: Points = {}
    for job in json.loads(path.read_text(encoding="utf-8"))["jobs"]:
        mine, options = job["hartq"], job["job options"]
        if (mine["delivery"], mine["harts"], options["rw"], options["bs"]) == (
                "per-hart", 1, "randread", "4096") and not SHAPED & options.keys():
            place = int(options["iodepth"]), mine["batch"], doorbell_of_options(options)
            idle = mine["idle_fraction"]
            idle = statistics.fmean(idle) if isinstance(idle, list) else idle
            points.setdefault(place, {})[mine["completion"]] = mine["iops_median"], idle
    return {place: found for place, found in sorted(points.items()) if set(MODES) <= set(found)}


def modelled(profile: str, places: Sequence[Place]) -> Points:
    """The same on the machine in virtual time."""
    points: Points = {}
    for depth, batch, rule in places:
        words = (f"iodepth={depth}", f"iodepth_batch_submit={batch}",
                 f"doorbell={rule}",
                 f"completion={run.joined(MODES)}", "runtime=100ms", "ramp_time=50ms")
        points[depth, batch, rule] = {
            record["job options"]["completion"]: (run.iops_of(record), run.idle_of(record))
            for record in run.records(SimMachine(profile), *words)}
    return points


def figures(point: dict[str, tuple[float, float]]) -> dict[str, float]:
    """What is compared."""
    return {
        "irq / poll": point["irq"][0] / point["poll"][0],
        "hybrid / poll": point["hybrid"][0] / point["poll"][0],
        "irq idle": point["irq"][1],
    }


def error_of(name: str, here: float, there: float) -> float:
    """Of a ratio relative, of a share the difference."""
    return here - there if "idle" in name else math.expm1(abs(math.log(here / there)))


def lay_over(real: Points, model: Points) -> dict[str, float]:
    """Print both, and how far off a column is; the median error of each."""
    errors: dict[str, list[float]] = {name: [] for name in COLUMNS}
    print(f"{'depth':>5} {'batch':>5} {'doorbell':>8}  {'poll IOPS':>19}  "
          + "  ".join(f"{name:>20}" for name in COLUMNS))
    print(f"{'':>20}  {'measured':>9} {'modelled':>9}  "
          + "  ".join(f"{'measured':>9}{'modelled':>11}" for _ in COLUMNS))
    for place, point in real.items():
        there, here = figures(point), figures(model[place])
        for name in COLUMNS:
            if place[2] == FITTED:
                errors[name].append(abs(error_of(name, here[name], there[name])))
        rates = point["poll"][0], model[place]["poll"][0]
        print(f"{place[0]:5} {place[1]:5} {place[2]:>8}  {rates[0]:9,.0f} {rates[1]:9,.0f}  "
              + "  ".join(f"{there[name]:9.2f}{here[name]:11.2f}" for name in COLUMNS))
    medians = {name: statistics.median(found) for name, found in errors.items()}
    for name in COLUMNS:
        print(f"{name}: off by {medians[name]:.1%} in the median, {max(errors[name]):.1%} at most "
              f"(limit of the median {LIMITS[name]:.0%})")
    return medians


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    parser = command.Parser(prog="validate.py", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="sim:qemu", metavar="sim:NAME")
    parser.add_argument("--reference", type=Path, default=REFERENCE, metavar="FILE",
                        help="results.json of a measured run (default: that of the fit)")
    options = parser.parse_args(argv)
    real = measured(options.reference)
    if not any(place[2] == FITTED for place in real):
        raise UsageError(f"--reference: no point rings {FITTED} in all modes (hint: one of "
                         "bench.py --doorbell each)")
    medians = lay_over(real, modelled(options.profile, list(real)))
    return int(any(medians[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
