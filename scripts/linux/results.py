"""Windows of ours and fio's answers, pair by pair: ratios, lines for a picture, and the files.

Ways (our modes, fio's engines) that answer the same question are compared best against best: in
each pair the fastest of ours over the fastest of Linux's, so that neither side is chosen by a
median that is known afterwards.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable
from pathlib import Path

from analysis.intervals import Estimate, estimate, paired_ratio
from linux.fio_answers import PER_BOOT, Answers, fio_results
from linux.plan import BS, DELIVERY, DOORBELL, ENGINES, GOALS, POINTS, RW, Point
from measure import instructions
from measure.modes import USABLE as MODES
from measure.windows import Window
from results import boots, result_file
from results.fio import direction

PEERS_NAME = "peers.json"
PARTS = ("submit", "interrupt", "reap")
JOBS_FOLDER = "jobs"  # what was run, as it was run
OURS = dict[tuple[str, Point], dict[int, Window]]


def ours_per_boot(windows: Iterable[Window]) -> OURS:
    """Our windows by mode, point and boot."""
    found: OURS = {}
    for window in windows:
        place = (window.key.mode, Point(window.key.depth, window.key.batch))
        found.setdefault(place, {})[window.boot] = window
    return found


def rates(ours: OURS, mode: str, point: Point) -> PER_BOOT:
    """Our IOPS of each boot."""
    return {boot: window.iops for boot, window in sorted(ours.get((mode, point), {}).items())}


def fastest(ways: dict[str, PER_BOOT]) -> tuple[PER_BOOT, dict[str, int]]:
    """The highest rate of each boot, and how often each way had it, the most frequent first."""
    boots = sorted({boot for way in ways.values() for boot in way})
    names = [max((n for n in ways if b in ways[n]), key=lambda n: ways[n][b]) for b in boots]
    best = {boot: ways[name][boot] for boot, name in zip(boots, names)}
    return best, dict(collections.Counter(names).most_common())


def often(chosen: dict[str, int]) -> str:
    """In how many boots the first of the ways was the fastest; nothing where it always was."""
    counts = list(chosen.values())
    return f" ({counts[0]} of {sum(counts)})" if counts[1:] else ""


def _json(found: Estimate | None) -> dict | None:
    return found.as_json() if found else None


def _numbers(found: PER_BOOT) -> dict:
    """Median, interval, and what each boot had."""
    whole = estimate(list(found.values()))
    return {
        "iops_median": round(whole.median, 1),
        "iops_interval": [round(whole.low, 1), round(whole.high, 1)],
        "boots": [{"boot": boot, "iops": round(iops, 1)} for boot, iops in found.items()],
    }


def _side(name: str, best: PER_BOOT, chosen: dict[str, int], latency: dict,
          us_per_io: dict[str, list[float]]) -> dict:
    """One half of a comparison; times and latencies are of the way that was fastest most often."""
    percentile = latency.get("percentile", {})
    return {
        "name": name + often(chosen),
        "chosen": chosen,
        **_numbers(best),
        "lat_mean_ns": latency.get("mean") or None,
        "lat_p50_ns": percentile.get("50.000000"),
        "lat_p99_ns": percentile.get("99.000000"),
        "us_per_io": {part: _json(estimate(found) if found else None)
                      for part, found in us_per_io.items()},
    }


def _times(rates_found: PER_BOOT) -> list[float]:
    """us per I/O of each boot that did any."""
    return [1e6 / iops for iops in rates_found.values() if iops > 0]


def our_side(point: Point, ours: OURS, best: PER_BOOT, chosen: dict[str, int]) -> dict:
    """Our half."""
    mode = next(iter(chosen))
    windows = list(ours[mode, point].values())
    raw = rates(ours, "raw", point)
    spent = [boots.host_us(window) for window in windows]
    host = {f"host_{name}": [us for each in spent if (us := each[f"{name}_us_per_io"]) is not None]
            for name in boots.THREADS}
    times = {"all": _times(rates(ours, mode, point)), "raw_ring": _times(raw), **host}
    return {
        **_side(f"hartq, {mode}, {DELIVERY}, {DOORBELL}", best, chosen,
                direction(windows, "read")["lat_ns"], times),
        "completion": mode, "delivery": DELIVERY, "share_of_raw": _json(paired_ratio(best, raw)),
    }


def peer_side(point: Point, answers: Answers, best: PER_BOOT, chosen: dict[str, int]) -> dict:
    """Linux's half."""
    engine = next(each for each in ENGINES if each.name == next(iter(chosen)))
    times = {"all": _times(answers.rates(engine, point)),
             "user": answers.cpu_us(engine, point, "usr_cpu"),
             "kernel": answers.cpu_us(engine, point, "sys_cpu")}
    return {
        **_side(engine.title, best, chosen, answers.latency(engine, point), times),
        "completion": engine.mode, "engine": engine.ioengine,
    }


def comparison(point: Point, mode: str, ours: OURS, answers: Answers) -> dict | None:
    """Ours against Linux's engines of the same mode, or best against best; None without a pair."""
    modes = MODES if mode == "best" else (mode,)
    mine, my_chosen = fastest({name: rates(ours, name, point) for name in modes})
    engines = [each for each in ENGINES if mode in ("best", each.mode)]
    theirs, chosen = fastest({each.name: answers.rates(each, point) for each in engines})
    ratio = paired_ratio(mine, theirs)
    if ratio is None:
        return None
    return {
        "iodepth": point.depth, "batch": point.batch, "bs": BS, "rw": RW, "mode": mode,
        "ours": our_side(point, ours, mine, my_chosen),
        "peer": peer_side(point, answers, theirs, chosen),
        "ratio": ratio.as_json(),
        "raw_ratio": _json(paired_ratio(rates(ours, "raw", point), theirs)),
        "goal": GOALS.get(mode, {}).get(point),
    }


def comparisons(windows: list[Window], answers: Answers) -> list[dict]:
    """All points, mode by mode: the same mode first, best against best last."""
    ours = ours_per_boot(windows)
    rows = (comparison(p, mode, ours, answers) for mode in (*MODES, "best") for p in POINTS)
    return [row for row in rows if row]


def series(windows: list[Window], answers: Answers) -> list[dict]:
    """A line of a picture for each mode of ours and each engine of Linux."""
    ours = ours_per_boot(windows)
    lines: dict[tuple, list[dict]] = {}

    def add(key: tuple[str, str, str, str | None, int], point: Point, found: PER_BOOT) -> None:
        if found:
            points = lines.setdefault((*key, point.batch), [])
            points.append({"iodepth": point.depth, **_numbers(found)})

    for mode in (*MODES, "raw"):
        for point in POINTS:
            add((f"hartq, {mode}", mode, "hartq", DELIVERY, 0), point, rates(ours, mode, point))
    for engine in ENGINES:
        for point in engine.points:
            key = (engine.title, engine.mode, engine.ioengine, None, engine.least)
            add(key, point, answers.rates(engine, point))
    names = ("name", "mode", "engine", "delivery", "least", "batch")
    return [{**dict(zip(names, key)), "points": points} for key, points in lines.items()]


def counted(mode: str, answer: dict) -> list[dict]:
    """Instructions for an I/O: those of Linux by part, and hartq's as the baseline has them."""
    figures = json.loads(instructions.BASELINE.read_text(encoding="utf-8"))["figures"]
    rows = []
    for job in answer["jobs"]:
        row = {"completion": mode, "iodepth": job["iodepth"], "batch": job["batch"], "bs": BS}
        name = instructions.name_of({**row, "delivery": DELIVERY, "queues": 1,
                                     "doorbell": DOORBELL})
        ours = figures.get(name, {})
        rows.append({**row, **{part: job[part] / job["batch"] for part in (*PARTS, "median")},
                     "hartq": sum(ours.values()) / job["batch"]})
    return rows


def save(folder: Path, about: dict, windows: list[Window], answers: Answers,
         jobs: dict[str, str]) -> dict:
    """Write peers.json, fio's results and the files that Linux ran; what peers.json holds.

    `about` is what the run says of itself: linux, environment, method and the like.
    """
    (folder / JOBS_FOLDER).mkdir(parents=True, exist_ok=True)
    rows = comparisons(windows, answers)
    result = {**about, "doorbell": DOORBELL, "comparisons": rows,
              "series": series(windows, answers)}
    files = {f"{JOBS_FOLDER}/{name}": text for name, text in jobs.items()}
    for name, each in {**fio_results(answers), PEERS_NAME: result}.items():
        files[name] = json.dumps(each, indent=1) + "\n"
    ours = [name for engine in ENGINES
            for name in (f"linux-{engine.name}.json", f"{JOBS_FOLDER}/{engine.name}.fio")]
    for name in set(ours) - set(files):  # what an earlier run has left
        (folder / name).unlink(missing_ok=True)
    for name, text in files.items():
        with result_file.whole(folder / name) as sink:  # the file is whole at any moment
            sink.write(text)
    return result
