"""A stand-in for QEMU with the bench program: prints plausible windows, from a seed.

Called as QEMU is: the guest's arguments are taken from `-append`. FAKE_GUEST in the environment
changes its ways: `missed` reports a missed interrupt in the last window, `die` fails half way,
`garbage` prints a broken line, `slow` sleeps as long as the real one would measure, `bias=F`
multiplies the IOPS of interrupts, `says=D` reports another delivery than the machine has, `closed`
knows no open loop, `pause=FILE` stops the bench for a moment in the second window, once: then the
file is there.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SUB_BUCKETS = 64
NAMES = ("rw", "bs", "iodepth", "iodepth_batch_submit", "numjobs", "doorbell", "completion")
SLOWER = {"each": 0.6, "shadow": 0.8}  # without a batch, where every command has a doorbell
CALLBACK_FASTER = 1.25


def bucket(latency_ns: int) -> int:
    """The middle of the fio bucket that holds a latency."""
    shift = max(0, latency_ns.bit_length() - 7)
    return ((latency_ns >> shift) << shift) + (1 << shift >> 1)


def side(chance: random.Random, ios: int, bs: int, latency_ns: float) -> dict:
    """A direction of a window; the histogram is scaled up from a few hundred samples.

    Without a latency, as the raw ring is, only the number of I/Os is there.
    """
    if not ios or not latency_ns:
        latency = {"min": 0, "max": 0, "sum": 0, "N": 0, "beyond": 0, "bins": {}}
        return {"total_ios": ios, "io_bytes": ios * bs, "lat_ns": latency}
    drawn = [round(latency_ns * chance.lognormvariate(0, 0.4)) for _ in range(400)]
    bins: dict[int, int] = {}
    for index, value in enumerate(drawn):
        share = ios // len(drawn) + (index < ios % len(drawn))
        if share:
            bins[bucket(value)] = bins.get(bucket(value), 0) + share
    total_ns = sum(key * count for key, count in bins.items())
    latency = {
        "min": min(drawn), "max": max(drawn), "sum": total_ns,
        "N": ios, "beyond": 0, "bins": {str(key): bins[key] for key in sorted(bins)},
    }
    return {"total_ios": ios, "io_bytes": ios * bs, "lat_ns": latency}


def window(
    chance: random.Random, job: dict, runtime_ns: int, bias: float, delivery: str
) -> dict:
    """What one point does in one window: a device with a limit, doorbells that cost."""
    depth, harts = int(job["iodepth"]), int(job["numjobs"])
    batch = int(job["iodepth_batch_submit"]) or depth
    limit = 420e3 / (1 + 9.0 / depth) * (0.25 + 0.75 * (1 - 1 / batch))
    woken = bias * (0.35 + 0.65 * depth / (depth + 8))
    factor = {"raw": 1.0, "poll": 0.94, "hybrid": 0.93, "irq": woken}
    iops = limit * factor[job["completion"]] * chance.lognormvariate(0, 0.05)
    each = job["doorbell"] == "each"
    iops *= SLOWER.get(job["doorbell"], 1) if batch < depth else 1
    iops *= CALLBACK_FASTER if "post" in job else 1
    ios = int(iops * runtime_ns / 1e9)
    mode = job["completion"]
    irq = mode in ("irq", "hybrid")
    load = 0.0
    if "rate_iops" in job:
        offered = int(job["rate_iops"]) * harts
        load, iops = min(1.0, offered / iops), min(iops, offered)
        ios = int(iops * runtime_ns / 1e9)
    per_reap = min(depth, {"irq": 4, "hybrid": depth}.get(mode, 1.5))
    free = (1 - load if "rate_iops" in job else 0.8 / depth**0.5) * chance.uniform(0.98, 1.02)
    idle = {"irq": min(1.0, free), "hybrid": min(1.0, 0.95 * free)}.get(mode, 0.0) * runtime_ns
    writes = {"r": 0, "w": ios}.get(job["rw"].replace("rand", "")[0], 0)
    writes = round(ios * 0.3) if job["rw"].endswith("rw") else writes
    bs = int(job["bs"])
    counts = mode == "raw" or "post" in job
    latency_ns = 0.0 if counts else depth / iops * 1e9
    reaps, idle_polls = int(ios / per_reap), 0 if irq else ios * 2
    writes = round(ios * 0.3) if "writer_iodepth" in job else writes
    # Hybrid needs three intervals to be back at its rate, interrupts one, polling none.
    slow = {"hybrid": 3, "irq": 1}.get(mode, 0)
    bursts = {"count": 5, "interval_ns": 1000000, "ios": [30] * slow + [60] * (50 - slow)}
    return {
        **({"bursts": bursts} if "thinktime" in job else {}),
        "delivery": delivery, "harts": harts, "runtime_ns": runtime_ns,
        "read": side(chance, ios - writes, bs, latency_ns),
        "write": side(chance, writes, bs, latency_ns),
        "counters": {
            "posts": ios, "completions": ios, "reaps": reaps, "reap_calls": reaps + idle_polls,
            "sq_doorbells": ios // (batch if each else max(batch, depth // 2)),
            "cq_doorbells": reaps, "interrupts": reaps * irq,
            **({"empty_looks": 3 * ios, "waits_spun": ios, "waits_slept": 0, "policy_switches": 2}
               if mode == "hybrid" else {}),
            "spurious": 3 * irq, "late": 0, "missed": 0, "stale": 0, "malformed": 0,
        },
        "idle_polls": idle_polls, "idle_ns": [int(idle)] * harts,
        **({"raw_wait": "sleep"} if mode == "raw" else {"stalls_over_10ms": 0}), "errors": 0,
        **({} if counts or "rate_iops" in job else {"in_flight_least": depth}),
    }


def pause_parent(done: Path) -> None:
    """As Ctrl-Z and fg do, the first time."""
    if not done.exists():
        done.touch()
        os.kill(os.getppid(), signal.SIGSTOP)
        os.kill(os.getppid(), signal.SIGCONT)


def lines(words: list[str], ways: str = "", delivery: str = "per-hart") -> Iterator[str]:
    """The console of one boot."""
    given = dict(word.split("=", 1) for word in words)
    is_open = "rate_iops" in given and ways != "closed"
    names = (*NAMES[:-2], "rate_iops", *NAMES[-2:]) if is_open else NAMES
    given.setdefault("doorbell", "clocked")
    points = [point for point in itertools.product(*(given[name].split(",") for name in names))
              if not ("shadow" in point and {"raw", "loopback"} & {*point})]
    repetitions, seed = int(given["repetitions"]), int(given.get("randseed", "1"))
    runtime_ns = int(given["runtime"].removesuffix("ms")) * 1000000
    bias = float(ways.removeprefix("bias=")) if ways.startswith("bias=") else 1.0
    load = {"rate_process": given["rate_process"]} if is_open and "rate_process" in given else {}
    shape = {name: given[name] for name in ("thinktime", "writer_iodepth", "post") if name in given}
    yield "OpenSBI v1.1"
    yield json.dumps({"hartq_banner": 1, "points": len(points), "repetitions": repetitions})
    for count, (number, point) in enumerate(
        itertools.product(range(repetitions), range(len(points))), 1
    ):
        job = dict(zip(names, points[point])) | load | shape
        rule = job["doorbell"]
        drawn = tuple(word for word in points[point] if word != "clocked")
        chance = random.Random(f"{seed} {number} {drawn}")
        name = f"{job['rw']}-{job['bs']}-qd{job['iodepth']}-b{job['iodepth_batch_submit']}"
        name += f"-r{job['rate_iops']}" if "rate_iops" in job else ""
        record = {"hartq_bench": 1, "point": point, "repetition": number}
        record |= {"jobname": f"{name}-{job['completion']}" + f"-{rule}" * (rule != "clocked"),
                   "job options": job}
        record |= window(chance, job, runtime_ns, bias, delivery)
        last = count == repetitions * len(points)
        record["counters"]["missed"] = int(ways == "missed" and last)
        yield f"#begin {point} {number}"
        if ways == "slow":
            time.sleep(runtime_ns / 1e9)
        if ways.startswith("pause=") and count == 2:
            pause_parent(Path(ways.removeprefix("pause=")))
        yield f"#end {point} {number}"
        text = json.dumps(record)
        yield text[: len(text) // 2] if ways == "garbage" and last else text
        if ways == "die" and count == repetitions * len(points) // 2:
            yield "panic: the controller is gone"
            yield "exit 1"
            return
    yield "exit 0"


def delivery_of(argv: list[str]) -> str:
    """What the kernel makes of the machine."""
    if any("aia=aplic-imsic" in word for word in argv):
        return "msix"
    controllers = sum(word.startswith("nvme,") for word in argv)
    harts = int(argv[argv.index("-smp") + 1].split(",")[0])
    return "per-hart" if controllers >= harts else "shared"


def main() -> int:
    """Act as qemu-system-riscv64."""
    words = sys.argv[sys.argv.index("-append") + 1].split()
    ways = os.environ.get("FAKE_GUEST", "")
    says = ways.removeprefix("says=") if ways.startswith("says=") else delivery_of(sys.argv)
    for line in lines(words, ways, says):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
