"""The pictures of a result: names, titles and what to read from them. Needs no matplotlib.

A new picture is an entry here, a function of its name in chart_data.py, which selects the data, and
one in charts.py, which draws it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from analysis import host_noise


class Picture(NamedTuple):
    """What stands around a picture."""

    title: str
    points: str  # what a point of it is, for the small print
    caption: str  # what to read from it


WITH_INTERVALS = "median and interval of {}"
PICTURES = {
    "interrupts": Picture(
        "Interrupts over polling", WITH_INTERVALS + "; hollow: no sure difference",
        "At 1 both are alike. Interrupts are faster where IOPS are above it, and cheaper for the"
        " host where host CPU is below it. On the left commands are submitted one by one; on the"
        " right the whole depth at once."),
    "doorbells": Picture(
        "Submission doorbell", WITH_INTERVALS,
        "A clocked doorbell waits while the one before is not fetched, so that commands share it;"
        " a shadow one is in memory, where the device looks while it is busy."
        " Above: each rule over a doorbell at each submit; above 1 the rule is faster, or takes"
        " more of the host. Below: how long a hart waits for QEMU's lock, and how many doorbells"
        " an I/O takes. Dashed: shadow; dotted: each."),
    "iops": Picture(
        "IOPS and host CPU", WITH_INTERVALS,
        "How fast each mode is, and how far below the raw ring (dashed); below it what an I/O takes"
        " of the host's CPU, in QEMU's vCPU and device threads. Where the intervals"
        " of two modes overlap, look at the paired ratios above. On the right, where measured, "
        "the whole depth is submitted with one doorbell."),
    "latency": Picture(
        "Latency percentiles", "all of {} together, no intervals",
        "Each step to the right is ten times rarer. The level at 50 is the usual request, the "
        "right end the worst ones. A curve that leaves the others has a longer tail."),
    "cost": Picture(
        "Cost of an I/O", "instructions exact, events of {}",
        "Instructions are exact: counted under -icount, the same on every host. Doorbells and "
        "interrupts are measured; batches share them."),
    "scaling": Picture(
        "IOPS over harts", WITH_INTERVALS,
        "One thread of QEMU serves all controllers: more harts add no device. A fall with more "
        "harts than cores is the host's."),
    "timeline": Picture(
        "IOPS over time", "each of {}",
        "A lost interrupt, or a host that was elsewhere, is a gap. A level line is a measurement"
        " to trust."),
    "blocksize": Picture(
        "Block size", WITH_INTERVALS,
        "Requests and bytes per second by the size of a request. Where IOPS stay level a request"
        " costs its path; where bandwidth does, its bytes. The null backing copies no data: what"
        " grows with the size there is the list of pages."),
    "openloop": Picture(
        "Open loop", WITH_INTERVALS,
        "Requests are due at times of their own, latency counts from then. Where a curve rises "
        "steeply the mode cannot do more; the diamond before is its knee. Ringed points did less"
        " than was offered. To the right, the host's CPU time at the same load."),
    "peers": Picture(
        "hartq and Linux", WITH_INTERVALS + "; hollow: a reap waits for one",
        "The same emulated machine and backing, boots in turn: Linux's nvme driver with fio's "
        "engines and a bare loop, and hartq."),
}
KINDS = {"png": {"Software": None}, "svg": {"Date": None}}  # metadata that would differ each time
ANSWER, REPORT = "answer.md", "report.html"


def clear(folder: Path) -> None:
    """Remove the pictures and pages of an older result."""
    for name in [f"{stem}.{kind}" for stem in PICTURES for kind in KINDS] + [ANSWER, REPORT]:
        (folder / name).unlink(missing_ok=True)


def small_print(name: str, result: dict) -> str:
    """The line under a picture; `result` is results.json or, for the comparison, peers.json."""
    about = result["environment"]
    counts = [len(job["hartq"]["boots"]) for job in result.get("jobs", [])]
    samples = f"{max(counts)} boots" if counts else f"{about.get('pairs', 0)} boot pairs"
    warnings = ["NOISY HOST"] * bool(counts and host_noise.warnings(result))
    warnings += ["PARTIAL RESULT"] * bool(result.get("partial"))
    return "; ".join([*warnings, PICTURES[name].points.format(samples), backing_text(about),
                      f"QEMU {about['qemu']}", "emulated: compare ratios only"])


def backing_text(about: dict) -> str:
    """The backing of an environment, as a reader understands it."""
    kind, _, rest = about["backing"].partition(":")
    name = {"null": "null backing", "ram": "memory", "file": "image file"}.get(kind, kind)
    return name + (f" {rest}" if rest else "")
