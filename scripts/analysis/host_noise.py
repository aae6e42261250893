"""Host noise: whether the host left QEMU alone for long enough to believe a result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from measure.environment import has_device_core
from measure.windows import Window
from results.histogram import END_TEXT

WAIT_MAX = 0.10  # of the time, for a core: above it the host decides, not the machine
SHORTEST_NS = 100_000_000  # of a window that tells: its edges are off by 1 ms
STEAL_MAX = 0.05  # of the host's time, taken by its hypervisor
DRIFT_MAX = 1.25  # a boot this far off the others, up or down, was measured on another host
MOST = 0.9  # of the points: a median would hide the last minutes of a run


def most(values: Iterable[float]) -> float:
    """What nine values of ten do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(MOST * len(ordered)) - 1]


def host_waits(result: dict) -> dict[str, float]:
    """The share of the time QEMU's threads waited for a core; empty if it is not known.

    Of the points that leave a core to the device: there, more harts wait for each other.
    """
    cores = result["environment"].get("host_cores")
    mine = [job["hartq"] for job in result["jobs"]]
    waits = [each.get("host_wait_fraction") for each in mine
             if has_device_core(each["harts"], cores)]
    known = [wait for wait in waits if wait]
    return {name: most(w[name] for w in known) for name in ("vcpu", "device") if known}


def waited(windows: Iterable[Window], cores: int | None) -> float:
    """The same of one boot's windows, the worse of vCPU and device; 0 if it is not known."""
    shares = [max(w.host.waited["vcpu"] / w.key.harts, w.host.waited["device"]) / w.host.time_ns
              for w in windows
              if w.host and w.host.time_ns >= SHORTEST_NS and has_device_core(w.key.harts, cores)]
    return most(shares) if shares else 0.0


def host_steal(result: dict) -> float | None:
    """The share of the host's time that went to other guests of its hypervisor; None: unknown."""
    shares = [job["hartq"].get("host_steal_fraction") for job in result["jobs"]]
    known = [share for share in shares if share is not None]
    whole = result["environment"].get("steal_fraction")
    told = [most(known) if known else None, whole]
    return max((each for each in told if each is not None), default=None)


def drift(result: dict) -> dict[int, float]:
    """Each boot's IOPS over the median of the same points: their geometric mean over all points.

    1 in every boot is a host that stayed the same; fewer than two boots say nothing.
    """
    factors: dict[int, list[float]] = {}
    for mine in (job["hartq"] for job in result["jobs"] if not job["hartq"].get("rate_iops")):
        for each in mine["boots"]:
            if each["iops"] > 0 and mine["iops_median"] > 0:
                factors.setdefault(each["boot"], []).append(each["iops"] / mine["iops_median"])
    return {boot: statistics.geometric_mean(found)
            for boot, found in sorted(factors.items()) if len(factors) > 1}


def warnings(result: dict) -> list[str]:
    """Why the result is not to be believed; empty on an idle host."""
    found, waits, steal, boots = [], host_waits(result), host_steal(result), drift(result)
    if max(waits.values(), default=0.0) >= WAIT_MAX:
        found.append(
            f"THE HOST WAS BUSY: QEMU's threads waited for a core ({_wait_text(waits)}). A polling "
            "hart then takes time from the device it waits for: interrupts gain. Repeat "
            "it on an idle host.")
    if steal is not None and steal > STEAL_MAX:
        found.append(f"THE HOST WAS BUSY: its hypervisor took {100 * steal:.0f} % of its time.")
    off = [f"{factor:.2f} of their median in boot {boot}" for boot, factor in boots.items()
           if max(factor, 1 / factor) > DRIFT_MAX]
    if off:
        found.append(
            f"THE HOST DRIFTED: the same points reached {', '.join(off)}. Ratios are paired within "
            "a boot; absolute figures and their intervals are of a host that changed.")
    return found


def _wait_text(waits: dict[str, float]) -> str:
    return (
        f"at nine points of ten at most vCPU {100 * waits['vcpu']:.0f} %, device "
        f"{100 * waits['device']:.0f} % of the time")


def beyond(result: dict) -> list[str]:
    """Latencies that the histogram has no bucket for."""
    counts = {job["jobname"]: job["hartq"].get("latencies_beyond") for job in result["jobs"]}
    where = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
    return [f"latencies {END_TEXT}, the histogram's end, are only counted; percentiles there are "
            f"lower bounds ({where})"] if where else []


def noise_lines(result: dict) -> list[str]:
    """Whether the host had a core for each of QEMU's threads, and stayed the same."""
    found, waits, boots = warnings(result), host_waits(result), drift(result)
    fewest = min((job["hartq"]["harts"] for job in result["jobs"]), default=0)
    if not has_device_core(fewest, result["environment"].get("host_cores")):
        found.append("no point leaves a core of the host to the device: harts and device compete")
    elif waits and max(waits.values()) < WAIT_MAX:
        found.append(f"QEMU's threads waited little for a core of the host ({_wait_text(waits)})")
    steal = host_steal(result)
    if steal is not None and steal <= STEAL_MAX:
        found.append(f"the host's hypervisor took {100 * steal:.1f} % of its time")
    if boots:
        each = ", ".join(f"{factor:.2f}" for factor in boots.values())
        found.append(f"boot by boot the same points reached {each} of their median")
    return found + beyond(result)
