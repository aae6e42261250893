"""The bench under both rules of the submission doorbell, in one boot."""

from __future__ import annotations

from bench_cases import bench, describe, total
from nvme_guest import Case, check


def run_doorbells() -> None:
    """Both rules in one boot, in every mode and in the raw ring: clocked rings more rarely."""
    records, _ = bench(
        "iodepth=1,32 doorbell=each,clocked completion=poll,irq,hybrid,raw runtime=60ms "
        "ramp_time=5ms repetitions=2",
        harts=1,
    )
    check(len(records) == 32, f"{len(records)} records")
    rings: dict[tuple[str, ...], list[float]] = {}
    for record in records:
        options, counters = record["job options"], record["counters"]
        shown, rule = describe(record), options["doorbell"]
        check(record["errors"] == 0 and total(record) > 0, "errors", shown)
        check(record["jobname"].endswith("-each") == (rule == "each"), "name", shown)
        share = counters["sq_doorbells"] / counters["posts"]
        rings.setdefault((options["iodepth"], options["completion"], rule), []).append(share)
        if rule == "each" or options["iodepth"] == "1":
            check(abs(share - 1) < 0.01, f"{share:.3f} doorbells for a command", shown)
    for mode in ("poll", "irq", "hybrid", "raw"):
        clocked = min(rings["32", mode, "clocked"])
        check(clocked < 0.7, f"{mode}, clocked: {clocked:.3f} doorbells for a command at depth 32")


def cases() -> list[Case]:
    """All of them."""
    return [Case("doorbells, each and clocked", run_doorbells)]
