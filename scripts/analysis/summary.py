"""From measured windows to a result in fio's shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable

from analysis import loads
from analysis.intervals import estimate, paired_ratio
from measure.modes import WAITING
from measure.plan import COMPLETIONS, DELIVERIES, doorbell_of_options
from measure.windows import Key, Window
from qemu.host_cpu import CLASSES
from results import boots, fio
from results.result_file import COMPARED, REFERENCES
from sim.run import idle_of


def group(windows: Iterable[Window]) -> dict[Key, list[Window]]:
    """Windows by point, points in order."""
    groups: dict[Key, list[Window]] = {}
    for window in windows:
        groups.setdefault(window.key, []).append(window)
    return {key: groups[key] for key in sorted(groups, key=lambda key: (
        *key[:-2], DELIVERIES.index(key.delivery), COMPLETIONS.index(key.mode)))}


def counter(windows: Iterable[Window], name: str) -> int:
    """The sum of one counter over windows."""
    return sum(w.record["counters"].get(name, w.record.get(name, 0)) for w in windows)


def _per_io(windows: list[Window], name: str) -> float:
    return round(counter(windows, name) / max(1, sum(w.ios for w in windows)), 6)


def host_time(windows: list[Window]) -> dict[str, dict[str, float] | None]:
    """What QEMU's threads used of the host's CPU time, over the windows that have a sample.

    Microseconds per I/O by thread class, and the share of the time that the vCPUs (their mean) and
    the device thread waited for a core. While a vCPU neither ran, waited nor slept it was blocked:
    in QEMU's lock, which every doorbell takes. While a hart sleeps by its own clock its thread
    still runs to put it to sleep and to wake it; that is counted twice, so 0 can hide a little.
    """
    sampled = [window for window in windows if window.host]
    ios, total_ns = sum(w.ios for w in sampled), sum(w.host.time_ns for w in sampled)
    threads = {"vcpu": windows[0].key.harts, "device": 1}
    other_ns = sum(w.host.ran["vcpu"] + w.host.waited["vcpu"] + sum(w.record["idle_ns"])
                   for w in sampled)
    return {
        "host_cpu_us_per_io": {
            name: round(sum(w.host.ran[name] for w in sampled) / ios / 1e3, 6)
            for name in CLASSES} if ios else None,
        "host_wait_fraction": {
            name: round(sum(w.host.waited[name] for w in sampled) / total_ns / count, 6)
            for name, count in threads.items()} if total_ns else None,
        "host_blocked_fraction": round(
            max(0.0, 1 - other_ns / total_ns / threads["vcpu"]), 6) if total_ns else None,
    }


def steal(windows: Iterable[Window]) -> float | None:
    """Share of all the host's cores' time that its hypervisor took; None where it is not told."""
    sampled = [window.host for window in windows if window.host]
    ticks = sum(host.core_ticks for host in sampled)
    return round(sum(host.stolen_ticks for host in sampled) / ticks, 6) if ticks else None


def _latencies(windows: list[Window]) -> list[dict]:
    """The guest's `lat_ns` of every window and direction that has any."""
    sides = (part for name in fio.DIRECTIONS for part in fio.parts_of(windows, name))
    return [side["lat_ns"] for side in sides if side["lat_ns"].get("N")]


def in_flight(windows: list[Window]) -> dict[str, float | None]:
    """Requests in flight: the mean by Little's law, and the fewest in flight when a wait began.

    In a closed loop both are all harts' queue depth; an open loop reports only the first, raw none.
    """
    total_ns = sum(each["sum"] for each in _latencies(windows))
    runtime_ns = sum(window.record["runtime_ns"] for window in windows)
    least = [w.record["in_flight_least"] for w in windows if "in_flight_least" in w.record]
    return {
        "in_flight_mean": round(total_ns / runtime_ns, 3) if total_ns else None,
        "in_flight_least": min(least, default=None),
    }


def told_sum(found: Iterable[dict], name: str) -> int | None:
    """Sum over the records that have the field; None if none has it: the raw ring."""
    told = [each[name] for each in found if name in each]
    return sum(told) if told else None


def polls(mode: str, windows: list[Window]) -> dict[str, float | None]:
    """Looks at the completion queue per I/O: all, and those that found nothing.

    Interrupts need none. Of hybrid mode those in vain are known, while it is awake, and its waits.
    """
    waits = {"waits_spun_per_io": _per_io(windows, "waits_spun"),
             "waits_slept_per_io": _per_io(windows, "waits_slept"),
             "policy_switches": counter(windows, "policy_switches")}
    if mode == "hybrid":
        return {"polls_per_io": None, "idle_polls_per_io": _per_io(windows, "empty_looks"), **waits}
    return {
        **dict.fromkeys(waits),
        "polls_per_io": _per_io(windows, "reap_calls") if mode not in WAITING else 0.0,
        "idle_polls_per_io": _per_io(windows, "idle_polls"),
    }


def idle_fractions(windows: list[Window]) -> list[float]:
    """Each hart's share of the measured time spent in wfi."""
    total_ns = sum(window.record["runtime_ns"] for window in windows)
    harts = zip(*(window.record["idle_ns"] for window in windows))
    return [round(min(1.0, sum(idle) / total_ns), 6) for idle in harts]


def ratios(key: Key, groups: dict[Key, list[Window]]) -> dict[str, object]:
    """A mode against the others of its delivery, boot by boot."""

    def ratio(mode: str, value: Callable[[Window], float]) -> dict[str, object] | None:
        if key.mode in (mode, *REFERENCES):
            return None
        mine, other = (
            {window.boot: value(window) for window in groups.get(each, [])}
            for each in (key, key._replace(mode=mode)))
        found = paired_ratio(mine, other)
        return found.as_json() if found else None

    return {
        **{f"ratio_to_{mode}": ratio(mode, lambda w: w.iops) for mode in COMPARED},
        "idle_ratio_to_irq":
            ratio("irq", lambda w: idle_of(w.record)) if key.mode == "hybrid" else None,
    }


def reference_iops(key: Key, groups: dict[Key, list[Window]], mode: str) -> float | None:
    """The median of a reference line at the same point; None where it was not measured."""
    iops = [window.iops for window in groups.get(key._replace(mode=mode), [])]
    return round(statistics.median(iops), 1) if iops else None


def timeline(windows: list[Window]) -> dict[str, object] | None:
    """IOPS over the time of each window, as reported by the guest; the last interval is shorter."""
    told = [(w.boot, w.record["runtime_ns"], w.record["timeline"])
            for w in windows if w.record.get("timeline")]
    if not told:
        return None

    def iops(runtime_ns: int, line: dict) -> list[float]:
        every_ns, counts = line["interval_ns"], line["ios"]
        last_ns = runtime_ns - every_ns * (len(counts) - 1)
        spans = [every_ns] * (len(counts) - 1) + [last_ns if 0 < last_ns < every_ns else every_ns]
        return [round(count * 1e9 / span, 1) for count, span in zip(counts, spans)]

    return {
        "interval_ms": told[0][2]["interval_ns"] / 1e6,
        "boots": [{"boot": boot, "iops": iops(ns, line)} for boot, ns, line in told],
    }


# Hybrid mode's arm counts as reap; a shared line's answer and end count as interrupt.
PARTS = {"submit": ("submit",), "reap": ("arm", "reap"),
         "interrupt": ("interrupt", "answer", "end")}


def counted_instructions(key: Key, rows: Iterable[dict]) -> dict[str, float] | None:
    """Instructions of a read by part, from the icount pass; None if it has no such point."""
    if key.rw not in ("read", "randread"):
        return None
    mine = {"completion": key.mode, "delivery": key.delivery, "queues": 1, "iodepth": key.depth,
            "batch": key.batch, "bs": key.bs}
    for row in rows:
        if mine.items() <= row.items() and doorbell_of_options(row) == key.doorbell:
            return {part: round(sum(row.get(name, 0) for name in names) / key.batch, 2)
                    for part, names in PARTS.items()}
    return None


def ours(key: Key, groups: dict[Key, list[Window]],
         counted: Iterable[dict] = ()) -> dict[str, object]:
    """The `hartq` object of a job; `counted` are the rows of the icount pass."""
    windows = groups[key]
    whole = estimate([window.iops for window in windows])
    idle = idle_fractions(windows)
    parts = counted_instructions(key, counted)
    return {
        "completion": key.mode,
        "delivery": key.delivery,
        "batch": key.batch,
        "harts": key.harts,
        "rate_iops": key.rate or None,
        "rate_percent": windows[0].percent or None,
        "offered_iops": key.rate * key.harts or None,
        "boots": boots.rows(windows),
        "iops_median": round(whole.median, 1),
        "iops_interval": [round(whole.low, 1), round(whole.high, 1)],
        "interval_confidence": round(whole.confidence, 4),
        "bandwidth_bytes_per_s": round(whole.median * key.bs),
        "raw_iops": reference_iops(key, groups, "raw"),
        "loopback_iops": reference_iops(key, groups, "loopback"),
        **ratios(key, groups),
        **{f"{name}_per_io": _per_io(windows, name)
           for name in ("interrupts", "sq_doorbells", "cq_doorbells")},
        "completions_per_reap": round(
            counter(windows, "completions") / max(1, counter(windows, "reaps")), 3),
        **polls(key.mode, windows),
        **in_flight(windows),
        "latencies_beyond": told_sum(_latencies(windows), "beyond"),
        "missed_interrupts": counter(windows, "missed"),
        "spurious_interrupts": counter(windows, "spurious"),
        **{name: counter(windows, name) for name in ("late", "stale", "malformed", "errors")},
        "idle_fraction": round(statistics.fmean(idle), 6) if idle else 0.0,
        "idle_fraction_per_hart": idle,
        **host_time(windows),
        "host_steal_fraction": steal(windows),
        "host_steal_fraction_worst": max(
            (share for window in windows if (share := steal([window])) is not None), default=None),
        "stalls_over_10ms": told_sum((w.record for w in windows), "stalls_over_10ms"),
        "instructions_per_io": round(sum(parts.values()), 2) if parts else None,
        "instructions": parts,
        "timeline": timeline(windows),
    }


def job_name(window: Window) -> str:
    """The guest's name for a point, which must be the same in every run.

    The guest knows neither which deliveries are measured beside it, nor that its load was asked for
    as a share of a saturation that differs between runs.
    """
    key, name = window.key, window.record["jobname"]
    if window.percent:
        name = name.replace(f"-r{key.rate}-", f"-r{window.percent}%-")
    return name if key.delivery == DELIVERIES[0] else f"{name}-{key.delivery}"


def job(key: Key, groups: dict[Key, list[Window]], environment: dict,
        counted: Iterable[dict]) -> dict[str, object]:
    """One element of fio's `jobs`; points run one after the other, each is a group of its own."""
    windows = groups[key]
    mine = ours(key, groups, counted)
    return {
        "jobname": job_name(windows[0]),
        "groupid": list(groups).index(key),
        "error": 1 if mine["errors"] else 0,
        "eta": 0,
        "job options": {k: str(v) for k, v in windows[0].record["job options"].items()},
        **fio.fields(windows, 100.0 * (1.0 - mine["idle_fraction"])),
        "hartq": {**mine, "environment": environment},
    }


def stamp(modelled: bool = False) -> dict[str, object]:
    """Now, as fio tells it; a modelled result has no date."""
    now = 0.0 if modelled else time.time()
    return {"timestamp": int(now), "timestamp_ms": int(now * 1000),
            "time": time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(now))}


def build(windows: list[Window], environment: dict, options: dict, partial: bool,
          saturation: list[dict] | None = None, instructions: dict | None = None) -> dict:
    """The whole result.

    `saturation` is what an open loop's per cent are of, `instructions` the icount pass: its
    `compiler` and `rows`.
    """
    counted = instructions["rows"] if instructions else []
    groups = group(windows)
    environment = {**environment, "steal_fraction": steal(windows)}
    result = {
        "fio version": f"hartq-{environment['commit']}",
        **stamp("machine" in environment),
        "global options": {name: str(value) for name, value in options.items()},
        "partial": partial,
        "environment": environment,
        "saturation": saturation or [],
        "instructions": instructions,
        "jobs": [job(key, groups, environment, counted) for key in groups],
    }
    knees = loads.as_json(result)
    return {**result, "knees": knees} if knees else result
