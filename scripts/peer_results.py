"""Windows of ours and fio's answers, boot by boot: fio-shaped results, ratios and words."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

import histogram
from measure import Window
from peer_plan import BEST_GOALS, BS, ENGINES, POINTS, RW, SAME_MODE_GOALS, Engine, Point
from stats import Estimate, estimate, paired_ratio

PEERS_NAME = "peers.json"
PER_BOOT = dict[int, float]
DELIVERY = "msix"  # the machine that Linux runs on too


@dataclasses.dataclass
class Answers:
    """What fio said: job objects by engine, point and boot."""

    iops: dict[tuple[str, Point], dict[int, dict]] = dataclasses.field(default_factory=dict)
    latency: dict[tuple[str, Point], dict[int, dict]] = dataclasses.field(default_factory=dict)
    head: dict = dataclasses.field(default_factory=dict)  # an answer without its jobs

    def add(self, engine: str, boot: int, answer: dict) -> None:
        """One answer of one boot; said again it replaces what was there."""
        self.head = {name: each for name, each in answer.items() if name != "jobs"}
        for job in answer["jobs"]:
            depth, batch, kind = job["jobname"].split("-")
            point = Point(int(depth.removeprefix("qd")), int(batch.removeprefix("b")))
            store = self.iops if kind == "iops" else self.latency
            store.setdefault((engine, point), {})[boot] = job

    def per_boot(self, engine: str, point: Point) -> PER_BOOT:
        """IOPS of each boot."""
        jobs = self.iops.get((engine, point), {})
        return {boot: job["read"]["iops"] for boot, job in sorted(jobs.items())}

    def latency_of(self, engine: str, point: Point) -> dict:
        """fio's lat_ns over all boots."""
        parts = [j["read"]["lat_ns"] for j in self.latency.get((engine, point), {}).values()]
        parts = [part for part in parts if part.get("N")]
        bins = histogram.merge(part.get("bins", {}) for part in parts)
        found = histogram.summary(
            bins,
            min((part["min"] for part in parts), default=0),
            max((part["max"] for part in parts), default=0),
            sum(part["mean"] * part["N"] for part in parts),
        )
        return {**found, **({"bins": {str(k): n for k, n in bins.items()}} if bins else {})}


def merged_job(answers: Answers, engine: Engine, point: Point) -> dict | None:
    """One point over all boots, as one job of fio."""
    jobs = list(answers.iops.get((engine.name, point), {}).values())
    if not jobs:
        return None
    job = copy.deepcopy(jobs[0])
    rates = [each["read"]["iops"] for each in jobs]
    read = job["read"]
    for name in ("io_bytes", "io_kbytes", "total_ios", "runtime"):
        read[name] = sum(each["read"][name] for each in jobs)
    read["iops"] = read["iops_mean"] = statistics.fmean(rates)
    read["iops_stddev"] = statistics.stdev(rates) if len(rates) > 1 else 0.0
    read["iops_samples"] = len(rates)
    read["bw_bytes"] = round(read["iops"] * BS)
    read["bw"] = round(read["iops"] * BS / 1024)
    read["lat_ns"] = answers.latency_of(engine.name, point)
    read["clat_ns"] = {name: each for name, each in read["lat_ns"].items() if name != "bins"}
    job["jobname"] = f"{engine.name}-qd{point.depth}-b{point.batch}"
    job["job options"] = {
        **job.get("job options", {}), "rw": RW, "bs": str(BS), "iodepth": str(point.depth),
        "iodepth_batch_submit": str(point.batch), "numjobs": "1", "ioengine": engine.ioengine,
    }  # fmt: skip
    return job


def fio_results(answers: Answers) -> dict[str, dict]:
    """A fio-shaped result by file name: one for each engine, mode and batch."""
    found: dict[str, dict] = {}
    for engine in ENGINES:
        for point in engine.points:
            job = merged_job(answers, engine, point)
            if job:
                suffix = f"-b{point.batch}" if point.batch > 1 else ""
                name = f"linux-{engine.name}{suffix}.json"
                found.setdefault(name, {**answers.head, "jobs": []})["jobs"].append(job)
    return found


def ours_per_boot(windows: Iterable[Window], delivery: str) -> dict[tuple[str, Point], PER_BOOT]:
    """Our IOPS by mode, point and boot; a boot runs one round."""
    found: dict[tuple[str, Point], PER_BOOT] = {}
    for window in windows:
        key = window.key
        if key.delivery == delivery:
            place = (key.mode, Point(key.depth, key.batch))
            found.setdefault(place, {})[window.round] = window.iops
    return found


def _numbers(rates: PER_BOOT) -> dict:
    whole = estimate(list(rates.values()))
    return {
        "iops_median": round(whole.median, 1),
        "iops_interval": [round(whole.low, 1), round(whole.high, 1)],
    }


def _fastest(candidates: dict[str, PER_BOOT]) -> str | None:
    """The name with the highest median."""
    usable = {name: statistics.median(r.values()) for name, r in candidates.items() if r}
    return max(usable, key=usable.__getitem__) if usable else None


def comparison(
    point: Point, mode: str, ours: dict[tuple[str, Point], PER_BOOT], answers: Answers
) -> dict | None:
    """Ours against Linux's best engine of the same mode, or best against best; None without."""
    modes = ("poll", "irq", "hybrid") if mode == "best" else (mode,)
    mine = {name: ours.get((name, point), {}) for name in modes}
    theirs = {
        engine.name: answers.per_boot(engine.name, point)
        for engine in ENGINES
        if mode in ("best", engine.mode)
    }
    my, other = _fastest(mine), _fastest(theirs)
    ratio = paired_ratio(mine[my], theirs[other]) if my and other else None
    if ratio is None:
        return None
    engine = next(each for each in ENGINES if each.name == other)
    latency = answers.latency_of(engine.name, point)
    percentile = latency.get("percentile", {})
    limit = paired_ratio(mine[my], ours.get(("limit", point), {}))
    goals = BEST_GOALS if mode == "best" else SAME_MODE_GOALS
    return {
        "iodepth": point.depth, "batch": point.batch, "bs": BS, "rw": RW, "mode": mode,
        "ours": {"name": f"hartq, {my}", "completion": my, "delivery": DELIVERY,
                 **_numbers(mine[my]), "share_of_limit": limit.as_json() if limit else None},
        "peer": {"name": engine.title, "engine": engine.ioengine, **_numbers(theirs[other]),
                 "lat_mean_ns": latency["mean"] or None,
                 "lat_p50_ns": percentile.get("50.000000"),
                 "lat_p99_ns": percentile.get("99.000000")},
        "ratio": ratio.as_json(),
        "goal": goals.get(point),
    }  # fmt: skip


def comparisons(windows: list[Window], answers: Answers) -> list[dict]:
    """All points, mode by mode."""
    ours = ours_per_boot(windows, DELIVERY)
    rows = (comparison(p, mode, ours, answers) for mode in ("poll", "irq", "best") for p in POINTS)
    return [row for row in rows if row]


def series(windows: list[Window], answers: Answers) -> list[dict]:
    """A line of a picture for each mode of ours and each engine of Linux."""
    lines: dict[tuple, list[dict]] = {}

    def add(name: str, mode: str, engine: str, point: Point, rates: PER_BOOT) -> None:
        if rates:
            points = lines.setdefault((name, mode, engine, point.batch), [])
            points.append({"iodepth": point.depth, **_numbers(rates)})

    for delivery in (DELIVERY, "per-hart"):
        found = ours_per_boot(windows, delivery)
        for mode in ("poll", "irq", "hybrid", "limit"):
            for point in POINTS:
                name = f"hartq, {mode}, {delivery}"
                add(name, mode, "hartq", point, found.get((mode, point), {}))
    for engine in ENGINES:
        for point in engine.points:
            rates = answers.per_boot(engine.name, point)
            add(engine.title, engine.mode, engine.ioengine, point, rates)
    names = ("name", "mode", "engine", "batch")
    return [{**dict(zip(names, key)), "points": points} for key, points in lines.items()]


def verdict(row: dict) -> str:
    """A goal in words: met by the median, or not to be excluded by the interval, or missed."""
    ratio = Estimate.from_json(row["ratio"])
    where = f"QD {row['iodepth']} batch {row['batch']}, {row['mode']}"
    mine, peer = row["ours"], row["peer"]
    sure = "" if ratio.sure else f"; {ratio.count} pairs are too few for a statement"
    found = (
        "goal met" if ratio.median >= row["goal"]
        else "goal within the interval" if ratio.high >= row["goal"]
        else "goal NOT MET"
    )  # fmt: skip
    text = (
        f"{found}: {where}: {mine['name']} is "
        f"{ratio.median:.2f}x ({ratio.low:.2f} to {ratio.high:.2f}) {peer['name']}, "
        f"goal {row['goal']:g}x{sure}"
    )
    share = mine["share_of_limit"]
    if ratio.high < row["goal"] and share:
        text += (
            f"; we reach {100 * share['median']:.0f} % of the emulated device's limit, which would "
            f"be {ratio.median / share['median']:.1f}x: "
            + ("the device is what holds us" if share["median"] > 0.8 else "the rest is our path")
        )
    return text


def words(rows: list[dict]) -> list[str]:
    """Each comparison that has a goal, in words."""
    return [verdict(row) for row in rows if row["goal"]]


def table(rows: list[dict]) -> list[str]:
    """All comparisons as lines."""
    form = "{:>5} {:>5} {:5} {:>22} {:>9} {:>32} {:>9} {:>22}"
    head = ("QD", "batch", "mode", "ours", "IOPS", "Linux's best", "IOPS", "ratio")
    lines = [form.format(*head)]
    for row in rows:
        ratio = Estimate.from_json(row["ratio"])
        lines.append(form.format(
            row["iodepth"], row["batch"], row["mode"], row["ours"]["name"],
            f"{row['ours']['iops_median']:,.0f}", row["peer"]["name"],
            f"{row['peer']['iops_median']:,.0f}",
            f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
        ))  # fmt: skip
    return lines


def write_json(path: Path, value: dict) -> None:
    """The file is whole at any moment."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def save(folder: Path, linux: dict, environment: dict, windows: list[Window],
         answers: Answers, partial: bool) -> dict:  # fmt: skip
    """Write peers.json and fio's files; what peers.json holds."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = comparisons(windows, answers)
    result = {
        "linux": {name: linux[name] for name in ("kernel", "fio", "distribution")},
        "environment": environment,
        "partial": partial,
        "comparisons": rows,
        "series": series(windows, answers),
        "words": words(rows),
    }
    files = fio_results(answers)
    for old in folder.glob("linux-*.json"):
        if old.name not in files:
            old.unlink()
    for name, each in files.items():
        write_json(folder / name, each)
    write_json(folder / PEERS_NAME, result)
    return result
