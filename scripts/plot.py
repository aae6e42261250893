#!/usr/bin/env python3
"""Draw a result of bench.py as PNG and SVG and say its answer in words. Needs no QEMU.

Results of fio (--output-format=json or json+) from any machine can be laid over.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis import goals, host_noise
from cli import command
from report import answer, chart_names, page
from results import result_file

SYSTEM_PYTHON = "/usr/bin/python3"

try:
    from report import chart_data, chart_lines, charts, depth_charts, more_charts
    from report.charts import Figure, Series
except ImportError as missing:
    # Whichever python3 comes first in the path: the distribution's is the one that has the modules.
    if __name__ == "__main__" and sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
        clean = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
        os.execve(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv], clean)
    sys.exit(f"plot.py: {missing} (scripts/setup.sh plot installs what is missing)")
except OSError as error:
    sys.exit(f"plot.py: {error} (hint: MPLCONFIGDIR=DIR names a folder for matplotlib)")

OVERLAYS_MAX = 8
PEERS = "peers"  # folder of make bench-peers, and its file
EPILOG = """\
examples:
  scripts/plot.py results/latest
  scripts/plot.py results/reference linux.json real-ssd.json
  fio --name=qd32 --rw=randread --bs=4k --direct=1 --iodepth=32 --ioengine=io_uring \\
      --filename=/dev/nvme0n1 --output-format=json+ --output=linux.json
writes into DIR, as far as the result has data for it: iops, latency, cpu, heatmap, cost, scaling,
timeline, blocksize, openloop and, of DIR/peers, peers as .png and .svg; answer.md; report.html
"""


def footer(result: dict, of: str) -> str:
    """The small print under each picture; `of` says what its points are."""
    rounds = max((len(job["hartq"]["rounds"]) for job in result["jobs"]), default=0)
    parts = [of.format(f"{rounds} rounds"), backing_text(result),
             f"QEMU {result['environment']['qemu']}",
             "emulated: compare ratios only"]  # fmt: skip
    if host_noise.troubles(result):
        parts.insert(0, "UNQUIET HOST")
    if result.get("partial"):
        parts.insert(0, "PARTIAL RESULT")
    return "; ".join(parts)


# What a point of a picture is, for its small print.
WITH_INTERVALS = "median and interval of {}"
CURVES, DOTS = "all of {} together, no intervals", "medians of {}, no intervals"
CELLS, BARS = "paired medians of {}", "instructions exact, events of {}"
EVERY = "each of {}"


def of_depth(result: dict, others: Sequence[Series]) -> Iterator[tuple[str, Figure]]:
    """The pictures of the workload that was measured at most depths."""
    family, lines = chart_lines.our_series(result)
    lines += others
    if family is None:
        return
    place, small = family.workload(), footer(result, WITH_INTERVALS)
    yield "iops", depth_charts.iops_over_depth(lines, f"IOPS: {place}", small)
    depths = chart_lines.panel_depths(lines)
    if depths:
        curves = footer(result, CURVES)
        yield "latency", depth_charts.latency(lines, depths, f"Latency: {place}", curves)
    if any(point.busy is not None for line in lines for point in line.points):
        dots = footer(result, DOTS)
        yield "cpu", depth_charts.iops_over_busy(lines, f"IOPS for CPU time: {place}", dots)
    workload, lines = chart_lines.scaling_series(result)
    if lines:
        cores = result["environment"]["host_cores"]
        title = f"IOPS over harts: {workload}"
        yield "scaling", depth_charts.scaling(lines, cores, title, small)


def of_the_rest(result: dict) -> Iterator[tuple[str, Figure]]:
    """Best mode, cost, time, block sizes, open loop."""
    # A result of before rounds kept their latencies has those of all rounds together.
    each = any("p50_ns" in row for job in result["jobs"] for row in job["hartq"]["rounds"])
    loads = WITH_INTERVALS if each else CURVES
    for name, title, of, choose, paint in (
        ("heatmap", "Fastest mode", CELLS, chart_data.heat_cells, more_charts.heatmap),
        ("cost", "Cost of an I/O", BARS, chart_data.cost_bars, more_charts.cost),
        ("timeline", "IOPS over time", EVERY, chart_data.timelines, more_charts.timeline),
        ("blocksize", "Block size", WITH_INTERVALS, chart_data.block_series,
         more_charts.blocksize),
        ("openloop", "Open loop", loads, chart_data.open_series, more_charts.openloop),
    ):  # fmt: skip
        workload, found = choose(result)
        if found:
            yield name, paint(found, f"{title}: {workload}", footer(result, of))


def of_peers(folder: Path) -> Iterator[tuple[str, Figure]]:
    """Linux beside ours, if make bench-peers has measured them."""
    peers = load_peers(folder)
    panels = chart_data.peer_panels(peers)
    if panels:
        kernel = ".".join(peers["linux"]["kernel"].split(".")[:2])
        where = backing_text(peers) if "environment" in peers else "unknown medium"
        title = f"hartq and Linux {kernel}: 4 KiB randread, 1 hart, {where}, emulated"
        yield "peers", more_charts.peers(panels, title, peers_footer(peers))


def peers_footer(peers: dict) -> str:
    """The small print under the comparison with Linux."""
    about = peers.get("environment", {})
    parts = ["PARTIAL RESULT"] * bool(peers.get("partial"))
    if "pairs" in about:
        parts.append(f"median and interval of {about['pairs']} boot pairs; QEMU {about['qemu']}")
    if any(each.get("least") for each in peers["series"]):
        parts.append("hollow: a reap waits for one")
    return "; ".join([*parts, "emulated: compare ratios only"])


def load_peers(folder: Path) -> dict:
    """What make bench-peers has left in DIR/peers; empty without."""
    path = folder / PEERS / f"{PEERS}.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"plot.py: {path} is left out: {error}", file=sys.stderr)
        return {}


def draw(result: dict, others: Sequence[Series], folder: Path) -> list[Path]:
    """Write the pictures that the result has data for, and remove those of an older one."""
    chart_names.clear(folder)
    written = []
    for group in (of_depth(result, others), of_the_rest(result), of_peers(folder)):
        for name, figure in group:
            for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                path = folder / f"{name}.{kind}"
                figure.savefig(path, dpi=charts.DPI, metadata=metadata)
                written.append(path)
            charts.close(figure)
    return written


def backing_text(result: dict) -> str:
    """`null` as a reader understands it."""
    kind, _, rest = result["environment"]["backing"].partition(":")
    name = {"null": "null medium", "ram": "memory", "file": "image file"}.get(kind, kind)
    return name + (f" {rest}" if rest else "")


def told(result: dict) -> list[str]:
    """The answer for a terminal: without the table of points, which bench.py has shown."""
    judged = [*goals.lines(result), *goals.missed_lines(result)]
    return [*answer.words(result), "", *judged, "", *answer.notes(result)]


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    parser = argparse.ArgumentParser(
        prog="plot.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dir", type=Path, metavar="DIR", help="a folder with a results.json")
    parser.add_argument(
        "fio", type=Path, nargs="*", metavar="fio.json", help="results of fio to lay over"
    )
    options = parser.parse_args(argv)
    if len(options.fio) > OVERLAYS_MAX:
        parser.error(f"{len(options.fio)} results to lay over, at most {OVERLAYS_MAX}")
    try:
        result = result_file.load(options.dir)
        if "environment" not in result:
            raise ValueError(f"{options.dir}: not a result of bench.py (name fio's after it)")
        others = [chart_lines.overlay(i, path, result) for i, path in enumerate(options.fio)]
        folder = options.dir if options.dir.is_dir() else options.dir.parent
        written = draw(result, others, folder)
        peers = load_peers(folder)
        text = answer.markdown(result, peers)
        (folder / chart_names.ANSWER).write_text(text, encoding="utf-8")
        html = page.page(result, peers, folder)
        (folder / chart_names.REPORT).write_text(html, encoding="utf-8")
    except ValueError as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 1
    except result_file.BROKEN as error:
        print(f"plot.py: a field is missing or of another kind: {error}", file=sys.stderr)
        return 1
    names = [*(path.name for path in written), chart_names.ANSWER, chart_names.REPORT]
    print(*told(result), "", "drawn: " + ", ".join(names), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
