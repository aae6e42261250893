#!/usr/bin/env python3
"""Draw a result of bench.py as PNG and SVG and say its answer in words. Needs no QEMU.

Results of fio (--output-format=json or json+) from any machine can be laid over.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import answer
import histogram
import results
from families import Family, families, size_text

try:
    import pictures
    from pictures import Point, Series, look_of, other_look
except ImportError as missing:
    sys.exit(f"plot.py: {missing} (scripts/setup.sh plot installs what is missing)")

PANEL_DEPTHS = (1, 32, 128)
OVERLAYS_MAX = 4
EPILOG = """\
examples:
  scripts/plot.py results/latest
  scripts/plot.py results/reference linux.json real-ssd.json
  fio --name=qd32 --rw=randread --bs=4k --direct=1 --iodepth=32 --ioengine=io_uring \\
      --filename=/dev/nvme0n1 --output-format=json+ --output=linux.json
writes iops, latency, cpu and, with more than one hart count, scaling as .png and .svg, and
answer.md, into DIR
"""


def cumulative(bins: histogram.Bins) -> tuple[tuple[float, float], ...]:
    """(share at or below, us) of each bucket, up to where too few samples lie above."""
    samples, below, curve = sum(bins.values()), 0, []
    for latency_ns, count in bins.items():
        below += count
        if samples - below < histogram.SAMPLES_ABOVE_MIN:
            break
        curve.append((below / samples, latency_ns / 1000))
    return tuple(curve)


def latency_curve(side: dict) -> tuple[tuple[float, float], ...]:
    """From the buckets where there are any, else from the percentiles that fio printed."""
    for name in ("lat_ns", "clat_ns"):
        if bins := side.get(name, {}).get("bins"):
            return cumulative(histogram.merge([bins]))
    for name in ("lat_ns", "clat_ns"):
        if found := side.get(name, {}).get("percentile"):
            pairs = sorted((float(percent) / 100, ns / 1000) for percent, ns in found.items())
            return tuple(pair for pair in pairs if pair[0] < 1.0)
    return ()


def our_point(at: int, job: dict) -> Point:
    """A job of ours; `at` is its place on the x axis."""
    mine = job["hartq"]
    low, high = mine["iops_interval"]
    busy = 100.0 * (1.0 - mine["idle_fraction"])
    return Point(at, mine["iops_median"], low, high, busy, latency_curve(results.main_side(job)))


DRAWN_MODES = ("limit", "irq", "hybrid", "poll")  # the last lies on top


def our_series(result: dict) -> tuple[Family | None, list[Series]]:
    """The main family's lines with each delivery; thin ones for the depth behind one doorbell.

    What takes no interrupts is drawn for the first delivery that has it.
    """
    found = families(result)
    main = next(iter(found), None)
    lines: list[Series] = []
    for family, modes in found.items():
        assert main
        same = dataclasses.replace(family, delivery=main.delivery)
        note = "" if same == main else "batch = depth"
        if family != dataclasses.replace(main, batch=0) and same != main:
            continue
        for mode in DRAWN_MODES:
            look = look_of(mode, family.delivery)
            points = tuple(our_point(depth, job) for depth, job in modes.get(mode, {}).items())
            if points and not any(l.look == look and l.note == note for l in lines):
                lines.append(Series(look, points, mode, note))
    return main, sorted(lines, key=lambda line: DRAWN_MODES.index(line.mode))


def scaling_series(result: dict) -> tuple[str, list[Series]]:
    """IOPS over harts, for the workload that has most hart counts; its name and its lines."""
    groups: dict[tuple, dict[tuple[str, str], dict[int, dict]]] = {}
    for job in result["jobs"]:
        options, mine = job["job options"], job["hartq"]
        if not mine.get("rate_iops"):
            where = (options["rw"], int(options["bs"]), int(options["iodepth"]), mine["batch"])
            lines = groups.setdefault(where, {})
            of_mode = lines.setdefault((mine["completion"], mine["delivery"]), {})
            of_mode[mine["harts"]] = job

    def counts(where: tuple) -> int:
        return len({harts for jobs in groups[where].values() for harts in jobs})

    best = max(groups, key=lambda where: (counts(where), where), default=None)
    if best is None or counts(best) < 2:
        return "", []
    lines = []
    for mode in DRAWN_MODES:
        for (name, delivery), jobs in groups[best].items():
            if name == mode:
                lines = add_scaling(lines, mode, delivery, jobs)
    rw, bs, depth, batch = best
    return f"{size_text(bs)} {rw}, queue depth {depth}, batch {batch}", lines


def add_scaling(
    lines: list[Series], mode: str, delivery: str, jobs: dict[int, dict]
) -> list[Series]:
    """One more line; one of a mode that is drawn once goes on where another delivery's ended."""
    look = look_of(mode, delivery)
    points = {harts: our_point(harts, job) for harts, job in jobs.items()}
    for line in [line for line in lines if line.look == look]:
        points |= {point.at: point for point in line.points}
        lines = [each for each in lines if each is not line]
    ordered = tuple(points[harts] for harts in sorted(points))
    return [*lines, Series(look, ordered, mode)]


def fio_points(result: dict) -> Iterator[Point]:
    """The jobs of another program's result that did any I/O."""
    for job in result["jobs"]:
        options = {**result.get("global options", {}), **job.get("job options", {})}
        sides = [job[name] for name in ("read", "write") if job.get(name, {}).get("total_ios")]
        if not sides:
            continue
        iops = sum(side["iops"] for side in sides)
        spread = sum(side.get("iops_stddev", 0.0) for side in sides)
        busy = job.get("usr_cpu", 0.0) + job.get("sys_cpu", 0.0)
        main = max(sides, key=lambda side: side["total_ios"])
        depth = int(options.get("iodepth", 1))
        curve = latency_curve(main)
        yield Point(depth, iops, iops - spread, iops + spread, min(100.0, busy), curve)


def overlay(index: int, path: Path) -> Series:
    """A file of fio's as one line."""
    points = sorted(fio_points(results.load(path)), key=lambda point: point.at)
    if not points:
        raise ValueError(f"{path}: no job did any I/O")
    return Series(other_look(index, path.stem), tuple(points))


def panel_depths(lines: Sequence[Series]) -> list[int]:
    """Up to three depths that have latencies: the usual ones, else shallowest to deepest."""
    there = sorted({p.at for s in lines if not s.note for p in s.points if p.latency})
    usual = [depth for depth in PANEL_DEPTHS if depth in there]
    if len(usual) >= min(len(there), len(PANEL_DEPTHS)):
        return usual
    return sorted({there[0], there[len(there) // 2], there[-1]}) if there else []


def footer(result: dict, lines: Sequence[Series]) -> str:
    """The small print under each picture."""
    rounds = max((len(job["hartq"]["rounds"]) for job in result["jobs"]), default=0)
    qemu = result["environment"]["qemu"]
    parts = [f"median and interval of {rounds} rounds", f"QEMU {qemu}",
             "emulated: compare ratios, not absolute numbers"]  # fmt: skip
    if max(answer.host_waits(result).values(), default=0.0) >= answer.WAIT_MAX:
        parts.insert(0, "BUSY HOST")
    if result.get("partial"):
        parts.insert(0, "PARTIAL RESULT")
    return "; ".join(parts)


def draw(result: dict, others: Sequence[Series], folder: Path) -> list[Path]:
    """Write the pictures that the result has data for."""
    family, lines = our_series(result)
    lines += others
    if family is None:
        return []
    place = f"{family.workload()}, {backing_text(result)}, emulated"
    small = footer(result, lines)
    figures = {"iops": pictures.iops_over_depth(lines, f"IOPS: {place}", small)}
    depths = panel_depths(lines)
    if depths:
        figures["latency"] = pictures.latency(lines, depths, f"Latency: {place}", small)
    if any(point.busy is not None for line in lines for point in line.points):
        figures["cpu"] = pictures.iops_over_busy(lines, f"IOPS for CPU time: {place}", small)
    workload, lines = scaling_series(result)
    if lines:
        title = f"IOPS over harts: {workload}, {backing_text(result)}, emulated"
        cores = result["environment"]["host_cores"]
        figures["scaling"] = pictures.scaling(lines, cores, title, small)
    written = []
    for name, figure in figures.items():
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = folder / f"{name}.{kind}"
            figure.savefig(path, dpi=pictures.DPI, metadata=metadata)
            written.append(path)
        pictures.close(figure)
    return written


def backing_text(result: dict) -> str:
    """`null` as a reader understands it."""
    kind, _, rest = result["environment"]["backing"].partition(":")
    name = {"null": "null medium", "ram": "memory", "file": "image file"}.get(kind, kind)
    return name + (f" {rest}" if rest else "")


def plain(text: str) -> str:
    """Words of the answer for a terminal: without the table, which bench.py has shown."""
    return re.sub(r"\n```.*?```\n", "\n", text, flags=re.S).strip()


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
        result = results.load(options.dir)
        if "environment" not in result:
            raise ValueError(f"{options.dir}: not a result of bench.py (name fio's after it)")
        others = [overlay(index, path) for index, path in enumerate(options.fio)]
        text = answer.markdown(result)
        folder = options.dir if options.dir.is_dir() else options.dir.parent
        written = draw(result, others, folder)
        (folder / "answer.md").write_text(text, encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError) as error:
        print(f"plot.py: a field is missing or of another kind: {error}", file=sys.stderr)
        return 1
    names = [*(path.name for path in written), "answer.md"]
    print(plain(text), "", "drawn: " + ", ".join(names), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
