"""The bench under the rules of the submission doorbell, and what posts in done()."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_cases import ROOT, bench, describe, total
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


def run_callback() -> None:
    """The callback posts: on the doorbell of the reap, in every mode, split requests too."""
    records, _ = bench(
        "post=callback iodepth=1,32 bs=4k,1m rw=randwrite doorbell=each,clocked "
        "completion=poll,irq,hybrid numjobs=2 runtime=60ms ramp_time=5ms",
        harts=2,
    )
    check(len(records) == 24, f"{len(records)} records")
    for record in records:
        shown, options = describe(record), record["job options"]
        counters, ios = record["counters"], total(record)
        check(options["post"] == "callback", "options", shown)
        check(record["errors"] == 0 and record["write"]["total_ios"] == ios > 0, "errors", shown)
        check(sum(record["timeline"]["ios"]) == ios, "the timeline is not the sum", shown)
        check(record["write"]["lat_ns"]["N"] == 0, "latencies", shown)
        reaps = counters["reaps"] + 2
        check(counters["sq_doorbells"] <= reaps, "more doorbells than reaps", shown)


def run_report() -> None:
    """bench.py: every rule over `each`, and the callback over the loop, have their section."""
    with tempfile.TemporaryDirectory() as folder:
        words = (
            "--iodepth 1,32 --completion poll,irq --delivery msix --doorbell each,clocked,shadow "
            "--shape steady,callback --boots 1 --runtime 60ms --ramp-time 5ms --no-instructions"
        ).split()
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "bench.py", *words, "--out", folder],
            capture_output=True, text=True, check=False,
        )
        told = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        check(done.returncode == 0, f"bench.py: status {done.returncode}", told)
        result = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
    for section in (
        "What does a clocked doorbell give?",
        "What does a shadow doorbell give?",
        "A callback that posts over a loop that does:",
    ):
        check(section in told, f"no section: {section}", told)
    rung = {
        job["jobname"]: job["hartq"]["sq_doorbells_per_io"]
        for job in result["jobs"]
        if job["job options"]["doorbell"] == "shadow"
    }
    check(len(rung) == 8, f"{len(rung)} points with shadow doorbells", told)
    least = rung["randread-4k-qd32-b1-irq-shadow-msix"]
    check(least < 0.9, f"{least} registers are written for an I/O", told)


def cases() -> list[Case]:
    """All of them."""
    return [
        Case("doorbells, each and clocked", run_doorbells),
        Case("doorbells, the callback posts", run_callback),
        Case("doorbells, the report of each rule", run_report),
    ]
