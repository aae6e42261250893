"""A result in fio's shape as a file: results.json, and results.csv for spreadsheets."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cli.errors import UsageError
from measure.modes import REFERENCES
from measure.plan import doorbell_of_options
from qemu.host_cpu import CLASSES
from results import boots

JSON_NAME, CSV_NAME = "results.json", "results.csv"
BROKEN = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError)  # by foreign files
COMPARED = (*REFERENCES, "poll", "irq")
FAULTS = ("missed", "errors", "stale", "malformed")  # sums that say something is wrong if not 0

CSV_FIELDS = (
    "completion", "delivery", "harts", "batch", "rate_iops", "rate_percent", "offered_iops",
    "iops_median", "bandwidth_bytes_per_s", "raw_iops", "loopback_iops",
    "instructions_per_io", "interrupts_per_io", "sq_doorbells_per_io", "cq_doorbells_per_io",
    "completions_per_reap", "polls_per_io", "idle_polls_per_io", "in_flight_mean",
    "in_flight_least", "latencies_beyond", "idle_fraction", "missed_interrupts",
    "spurious_interrupts", "late", "host_blocked_fraction", "host_steal_fraction",
    "host_steal_fraction_worst", "stalls_over_10ms",
)
CSV_RATIOS = (*(f"ratio_to_{mode}" for mode in COMPARED), "idle_ratio_to_irq")


def csv_row(job: dict) -> dict[str, object]:
    """A job as one row of results.csv."""
    mine, options = job["hartq"], job["job options"]
    latency = main_side(job)["lat_ns"]
    row: dict[str, object] = {"jobname": job["jobname"]}
    row |= {name: options[name] for name in ("rw", "bs", "iodepth")}
    row["doorbell"] = doorbell_of_options(options)
    row |= {name: "" if mine[name] is None else mine[name] for name in CSV_FIELDS}
    row["iops_low"], row["iops_high"] = mine["iops_interval"]
    row["boots"] = len(mine["boots"])
    row["lat_mean_ns"] = latency["mean"]
    for name in boots.PERCENTS:
        found = boots.values(job, name)
        row[f"lat_{name}"] = statistics.median(found.values()) if found else ""
    for name in CSV_RATIOS:
        found = mine[name]
        row[name] = found["median"] if found else ""
        row[f"{name}_low"], row[f"{name}_high"] = found["interval"] if found else ("", "")
    cpu = mine["host_cpu_us_per_io"] or dict.fromkeys(CLASSES, "")
    row |= {f"host_{name}_us_per_io": cpu[name] for name in CLASSES}
    wait = mine["host_wait_fraction"] or {"vcpu": "", "device": ""}
    row |= {f"host_{name}_wait_fraction": share for name, share in wait.items()}
    return row


def main_side(job: dict) -> dict:
    """`read` or `write`: the direction with more I/Os."""
    return max(job["read"], job["write"], key=lambda side: side["total_ios"])


@contextlib.contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """Write a file that is whole at any moment: what cannot be written leaves the old one."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("w", newline="", encoding="utf-8") as sink:
            yield sink
        os.replace(draft, path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a write knows none
        raise


@contextlib.contextmanager
def reserved(*folders: Path) -> Iterator[None]:
    """Make folders before anything is measured, and remove those that stay empty.

    UsageError if one cannot be made, or takes no file: access rights do not tell (root, /proc).
    """
    new: list[Path] = []
    try:
        for folder in map(Path.resolve, folders):
            try:
                new += [each for each in (folder, *folder.parents) if not each.exists()]
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise UsageError(f"--out: {folder} takes no file: {error.strerror}; "
                                 "hint: name another folder") from error
        yield
    finally:
        for each in new:
            with contextlib.suppress(OSError):
                each.rmdir()


def save(result: dict, folder: Path) -> None:
    """Write results.json and results.csv; each is whole at any moment."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [csv_row(each) for each in result["jobs"]]
    with whole(folder / JSON_NAME) as sink:
        sink.write(json.dumps(result, indent=1) + "\n")
    with whole(folder / CSV_NAME) as sink:
        if rows:
            writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def load(folder: Path, hint: str = "make bench writes one") -> dict:
    """Read results.json back; ValueError in words, with the hint, if it is not one."""
    path = folder / JSON_NAME if folder.is_dir() else folder
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; hint: {hint}") from error
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{path}: not JSON: {error}; hint: {hint}") from error
    if not isinstance(result, dict) or not isinstance(result.get("jobs"), list):
        raise ValueError(f"{path}: has no `jobs`; hint: {hint}")
    return result
