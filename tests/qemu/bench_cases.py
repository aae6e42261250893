"""The bench program end to end, judged by the records that it prints.

Figures are held against what must be so on a busy host, too: no time is tested closely.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from qemu.guest import run_guest  # noqa: E402
from qemu.machine import Machine  # noqa: E402
from nvme_guest import TIMEOUT_S, Case, Failure, check  # noqa: E402

RATE = 500
REPETITIONS = 3
BOOTS = 5


def bench(words: str, status: int = 0, **fields: object) -> tuple[list[dict], list[str]]:
    """Run `bench WORDS`: its records and its console, once the status is right."""
    machine = Machine(
        "bench",
        words.split(),
        timeout_s=TIMEOUT_S,
        **fields,  # type: ignore[arg-type]
    )
    console: list[str] = []
    result = run_guest(machine, lambda line: console.append(line.text), by_line=True)
    check(result.status == status, f"bench {words}: status {result.status}", console)
    records = [json.loads(line) for line in console if line.startswith('{"hartq_bench"')]
    return records, console


def total(record: dict) -> int:
    """Requests that ended in the window."""
    return record["read"]["total_ios"] + record["write"]["total_ios"]


def describe(record: dict) -> list[str]:
    """What is shown of a record that is not as it should be."""
    bare = {key: value for key, value in record.items() if key not in ("read", "write")}
    return [json.dumps(bare)]


def judge_record(record: dict) -> None:
    """What holds however busy the host is."""
    shown = describe(record)
    options = record["job options"]
    check(options["rate_iops"] == str(RATE), "the record does not name the rate", shown)
    check(record["errors"] == 0 and record["counters"]["missed"] == 0, "errors", shown)
    check(sum(record["timeline"]["ios"]) == total(record), "the timeline is not the sum", shown)
    # What has started in the window may still be in flight at its end.
    starts = total(record) + int(options["iodepth"]) * record["harts"]
    check(record["late_starts"] <= starts, "more late starts than starts", shown)
    check(options["completion"] != "poll" or not any(record["idle_ns"]), "poll slept", shown)


def why_not(record: dict, harts: int) -> str:
    """What a busy host may make a repetition miss: the rate, kept starts, sleep between them."""
    wanted = RATE * harts * record["runtime_ns"] / 1e9
    if not 0.8 * wanted < total(record) < 1.2 * wanted:
        return f"{total(record)} requests instead of about {wanted:.0f}"
    if record["job options"]["completion"] == "poll":
        return ""  # it looks all the time: its latencies judge the host
    # Starts that are kept by the watchdog's tick of 10 ms alone would spread over all of these.
    bins = [item for name in ("read", "write") for item in record[name]["lat_ns"]["bins"].items()]
    soon = sum(count for ns, count in bins if int(ns) < 1_000_000)
    if soon < 0.4 * total(record):
        return f"{soon} of {total(record)} requests ended in a millisecond"
    idle = min(record["idle_ns"]) / record["runtime_ns"]
    if idle < 0.5:
        return f"idle {idle:.2f}"
    return ""


def run_rate(words: str, points: int, harts: int = 1, **fields: object) -> None:
    """One rate, far below what the device can do. One repetition of each mode has to be good.

    A host that stops the guest spoils repetitions, so some boots are tried. An engine or a bench
    that cannot keep a rate has no good repetition in any of them.
    """
    wrong = {str(point): "" for point in range(points)}
    for _ in range(BOOTS):
        found = rate_faults(words, points, harts, **fields)
        wrong = {name: found[name] for name in wrong if found[name]}
        if not wrong:
            return
    raise Failure("; ".join(wrong.values()))


def rate_faults(words: str, points: int, harts: int, **fields: object) -> dict[str, str]:
    """One boot: by point what was wrong with every repetition, empty if one was good."""
    faults = {}
    records, console = bench(
        f"iodepth=8 rate_iops={RATE} runtime=200ms ramp_time=20ms repetitions={REPETITIONS} "
        f"numjobs={harts} {words}",
        harts=harts,
        **fields,
    )
    check(len(records) == points * REPETITIONS, f"{len(records)} records", console)
    for point in range(points):
        repetitions = [record for record in records if record["point"] == point]
        for record in repetitions:
            judge_record(record)
        wrong = [why_not(record, harts) for record in repetitions]
        faults[str(point)] = "; ".join([repetitions[0]["jobname"], *wrong]) if all(wrong) else ""
    return faults


def run_overload(words: str) -> None:
    """More is meant to start than can: what waits is late, and its wait is in the latencies."""
    records, _ = bench(
        f"rate_iops=10000000 runtime=200ms ramp_time=0 completion=poll,irq,hybrid {words}",
        harts=1,
    )
    check(len(records) == 3, f"{len(records)} records")
    for record in records:
        latencies = record["read"]["lat_ns"]
        check(record["errors"] == 0 and total(record) > 0, "errors", describe(record))
        check(record["late_starts"] > 0.7 * total(record), "late starts", describe(record))
        # All were meant to start at the begin: a latency is the time at which its request ended.
        line = record["timeline"]
        ended_ns = sum(i * line["interval_ns"] * count for i, count in enumerate(line["ios"]))
        mean_ns, least_ns = latencies["sum"] / latencies["N"], ended_ns / total(record)
        check(mean_ns > 0.9 * least_ns > 0, f"mean {mean_ns:.0f} ns", describe(record))


def run_bursts(harts: int) -> None:
    """The load step: whole bursts are counted by time, and nobody works in a pause."""
    records, _ = bench(
        f"iodepth=1,32 numjobs={harts} {MODES} runtime=150ms ramp_time=5ms thinktime=20ms "
        "thinktime_iotime=20ms",
        harts=harts,
    )
    check(len(records) == 6, f"{len(records)} records")
    for record in records:
        shown, bursts = describe(record), record["bursts"]
        check(record["job options"]["thinktime"] == "20000us", "options", shown)
        check(record["errors"] == 0 and total(record) > 0, "errors", shown)
        check(0 < bursts["count"] <= 4 * harts, "bursts", shown)
        # Those that lie across an edge of the window are not among them.
        check(0 < sum(bursts["ios"]) <= total(record), "more in bursts than in all", shown)
        check(bursts["interval_ns"] * len(bursts["ios"]) == 20_000_000, "intervals", shown)
        polls = record["job options"]["completion"] == "poll"
        check(not any(record["idle_ns"]) if polls else all(record["idle_ns"]), "idle", shown)
    # A window has at least three pauses of its own, if the host lets all harts run.
    longest_ns = max(min(record["idle_ns"]) for record in records)
    check(longest_ns > 30_000_000, f"no pause is idle: {longest_ns} ns at most")


def run_beside(harts: int, **fields: object) -> None:
    """A reader at depth 1 beside large writes: both get on, each with latencies of its own."""
    words = f"iodepth=1 numjobs={harts} {MODES} runtime=100ms ramp_time=5ms size=64m"
    records, _ = bench(f"{words} writer_iodepth=8", harts=harts, **fields)
    check(len(records) == 3, f"{len(records)} records")
    for record in records:
        shown = describe(record)
        check(record["errors"] == 0, "errors", shown)
        for name, size, depth in (("read", 4096, max(1, harts - 1)), ("write", 131072, 8)):
            side, ios = record[name], record[name]["total_ios"]
            check(side["io_bytes"] == size * ios > 0, f"bytes of a {name}", shown)
            check(side["lat_ns"]["N"] == ios, f"latencies of a {name}", shown)
            # Little's law; what is in flight at the window's edges is off by one of each.
            busy = side["lat_ns"]["sum"] / record["runtime_ns"]
            check(busy < depth + 1, f"{busy:.1f} of a {name} in flight", shown)


def run_closed() -> None:
    """Beside rate 0 the record knows no rate."""
    records, _ = bench("iodepth=2 rate_iops=0 runtime=50ms ramp_time=0", harts=1)
    if "late_starts" in records[0] or "rate_iops" in records[0]["job options"]:
        raise Failure("the closed loop has a rate")


def little(record: dict) -> float:
    """Requests in flight of all harts, the mean by Little's law."""
    sides = [record[name]["lat_ns"]["sum"] for name in ("read", "write")]
    return sum(sides) / record["runtime_ns"]


def run_full(words: str, points: int, harts: int = 1, **fields: object) -> None:
    """In flight is the depth: counted at every wait, and by Little's law in one of three.

    What was in flight at the edges of a window spoils the law there by its share of the window.
    """
    records, console = bench(
        f"runtime=100ms ramp_time=5ms repetitions=3 numjobs={harts} {words}", harts=harts, **fields
    )
    check(len(records) == 3 * points, f"{len(records)} records", console)
    for point in range(points):
        repetitions = [record for record in records if record["point"] == point]
        depth = int(repetitions[0]["job options"]["iodepth"])
        for record in repetitions:
            check(record["in_flight_least"] == depth, "not full", describe(record))
            check(record["errors"] == 0, "errors", describe(record))
        means = [little(record) / harts for record in repetitions]
        good = any(0.85 * depth < mean < 1.15 * depth for mean in means)
        check(good, f"{repetitions[0]['jobname']}: in flight {means}, depth {depth}")


def run_too_many_parts() -> None:
    """A depth whose parts the controller has no room for is no other depth: it is refused."""
    small = {"mdts": "1"}  # 8 KiB
    run_full("bs=32k iodepth=511", 1, nvme=small)
    _, console = bench("bs=64k iodepth=512", status=1, harts=1, nvme=small)
    check(any("4096 commands at once" in line for line in console), "not refused", console)


def run_refused() -> None:
    """The raw ring has no rate."""
    _, console = bench("completion=raw rate_iops=100", status=1, harts=1)
    check(any("rate_iops=100" in line and "hint" in line for line in console), "no hint", console)


def judge_raw(record: dict) -> None:
    """The fastest way to wait is measured, and does what its name says."""
    shown, ways, wait = describe(record), record["raw_waits"], record["raw_wait"]
    wanted = ["paced", "spin"] if record["delivery"] == "shared" else ["paced", "sleep", "spin"]
    check(sorted(ways) == wanted, "not all ways", shown)
    check(ways[wait] == max(ways.values()), "not the fastest way", shown)
    counters = record["counters"]
    check((counters["interrupts"] > 0) == (wait == "sleep"), "interrupts", shown)
    check(any(record["idle_ns"]) == (wait == "sleep"), "idle", shown)
    check(record["errors"] == 0 and total(record) > 0, "errors", shown)


def run_raw(harts: int = 1, **fields: object) -> None:
    """Raw looks at the clock too rarely: it tells no timeline and no stalls, the rest do."""
    records, _ = bench(
        f"iodepth=1,32 iodepth_batch_submit=1,0 completion=raw,poll numjobs={harts} "
        "runtime=50ms ramp_time=5ms repetitions=2",
        harts=harts,
        **fields,
    )
    check(len(records) == 12, f"{len(records)} records")
    for record in records:
        shown, raw = describe(record), record["job options"]["completion"] == "raw"
        if raw:
            judge_raw(record)
        check(("timeline" not in record) == raw, "timeline", shown)
        check(("stalls_over_10ms" not in record) == raw, "stalls", shown)
        looks = record["counters"]["reaps"] + record["idle_polls"]
        calls = record["counters"]["reap_calls"]
        # In the trap a last look finds nothing.
        asleep = record.get("raw_wait") == "sleep"
        check(0 < looks < calls if asleep else 0 < looks == calls, "looks", shown)
        if not raw:
            check(sum(record["timeline"]["ios"]) == total(record), "not the sum", shown)


def run_loopback() -> None:
    """The engine alone: every completion, doorbell and latency is there; poll works after it."""
    records, _ = bench(
        "rw=randrw bs=4k,1m iodepth=8 iodepth_batch_submit=4 numjobs=2 completion=loopback,poll "
        "runtime=50ms ramp_time=5ms repetitions=2",
        harts=2,
    )
    check(len(records) == 8, f"{len(records)} records")
    for record in records:
        counters = record["counters"]
        check(record["errors"] == 0 and total(record) > 0, "errors", describe(record))
        check(counters["stale"] + counters["malformed"] == 0, "stale", describe(record))
        check(0 < counters["sq_doorbells"] <= counters["posts"], "doorbells", describe(record))
        check(record["read"]["lat_ns"]["N"] > 0, "no latencies", describe(record))
        check(
            record["job options"]["completion"] != "loopback" or record["idle_polls"] == 0,
            "the engine waited for completions in memory",
            describe(record),
        )
    _, console = bench("completion=loopback rate_iops=100", status=1, harts=1)
    check(any("rate_iops=100" in line and "hint" in line for line in console), "no hint", console)


MODES = "completion=poll,irq,hybrid"
VERIFY = "verify=crc32c iodepth=8 ramp_time=0"


def run_verify(how: str = "", **fields: object) -> None:
    """Every mode, pure writes and mixes, one command and split ones, a part for each hart."""
    words = f"{VERIFY} rw=randwrite,randrw bs=4k,64k size=2m numjobs=1,2 runtime=50ms {MODES} {how}"
    nvme = {"mdts": "1", "ioeventfd": "on" if how else "off"}  # 8 KiB
    records, _ = bench(words, harts=2, backing="ram:64m", nvme=nvme, **fields)
    check(len(records) == 24, f"{len(records)} records")
    for record in records:
        found = record["verify"]
        check(record["errors"] == 0 and found["failed"] == 0, "failed", describe(record))
        check(found["blocks"] > 0, "nothing was checked", describe(record))


def run_verify_forgetful() -> None:
    """The null backing keeps nothing: said, with a hint."""
    records, console = bench(
        f"{VERIFY} rw=randwrite runtime=50ms", status=1, harts=1, backing="null:64m"
    )
    found = records[0]["verify"]
    check(found["failed"] == found["blocks"] > 0, "it was believed", describe(records[0]))
    check(any("--backing ram" in line for line in console), "no hint", console)


def run_verify_damage() -> None:
    """An image that was changed between two boots: a bit, and a block in another's place."""
    span = 1 << 20
    words = f"{VERIFY} size=1m bs=4k number_ios=1024 runtime=60s"
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        image.write_bytes(bytes(span))
        bench(f"{words} rw=write", harts=1, backing=str(image))
        records, _ = bench(f"{words} rw=read", harts=1, backing=str(image))
        check(records[0]["verify"]["failed"] == 0, "a whole image", describe(records[0]))
        data = bytearray(image.read_bytes())
        data[77 * 512 + 300] ^= 4
        data[200 * 512 : 201 * 512] = data[100 * 512 : 101 * 512]
        image.write_bytes(data)
        records, console = bench(f"{words} rw=read", status=1, harts=1, backing=str(image))
    check(records[0]["verify"]["failed"] >= 2, "blocks", describe(records[0]))
    for text in ("lba 77: checksum", "lba 200: holds the block of lba 100"):
        check(any(f"error: verify: {text}" in line for line in console), text, console)


def run_verify_refused() -> None:
    """What is too large, too small, or has no data."""
    for words, text in (
        ("completion=raw", "completion=raw"),
        ("completion=loopback", "completion=loopback"),
        ("rate_iops=100", "rate_iops=0"),
        ("size=0", "size=128m"),
        ("size=16k", "iodepth=8"),
    ):
        records, console = bench(f"{VERIFY} runtime=50ms {words}", status=1, harts=1)
        check(not records, f"{words}: it ran", console)
        check(any(text in line and "verify" in line for line in console), text, console)


def cases() -> list[Case]:
    """All of them."""
    modes = "completion=poll,irq,hybrid"
    asleep = "completion=irq,hybrid"
    return [
        Case("open loop, linear", lambda: run_rate(modes, 3)),
        Case("open loop, poisson", lambda: run_rate(f"{modes} rate_process=poisson", 3)),
        Case(
            "open loop, a mix in batches on two harts, imsic",
            lambda: run_rate(
                f"{asleep} rw=randrw iodepth_batch_submit=8", 2, harts=2, irqchip="imsic"
            ),
        ),
        Case("open loop, split requests", lambda: run_rate(f"{asleep} bs=1m", 2)),
        Case(
            "open loop, overload",
            lambda: run_overload("iodepth=2 iodepth_batch_submit=2"),
        ),
        Case(
            "open loop, overload, split requests",
            lambda: run_overload("iodepth=8 iodepth_batch_submit=4 bs=1m"),
        ),
        Case("load step", lambda: run_bursts(1)),
        Case("load step, two harts", lambda: run_bursts(2)),
        Case("reader beside a writer, one hart", lambda: run_beside(1)),
        Case("reader beside a writer, two harts, imsic", lambda: run_beside(2, irqchip="imsic")),
        Case("reader beside a writer, split", lambda: run_beside(1, nvme={"mdts": "2"})),
        Case("closed loop", run_closed),
        Case(
            "closed loop, in flight is the depth",
            lambda: run_full(f"{modes},loopback bs=4k iodepth=1,32 iodepth_batch_submit=1,0", 12),
        ),
        Case(
            "closed loop, in flight is the depth, split requests",
            lambda: run_full(
                f"{modes},loopback bs=1m iodepth=1,8 iodepth_batch_submit=1,4 "
                "iodepth_batch_complete_min=2",
                12,
            ),
        ),
        Case(
            "closed loop, in flight is the depth, split requests on two harts, imsic",
            lambda: run_full(
                f"{modes} bs=1m iodepth=32 rw=randrw doorbell=each", 3, harts=2, irqchip="imsic"
            ),
        ),
        Case("closed loop, more parts than the controller takes", run_too_many_parts),
        Case("open loop, raw refused", run_refused),
        Case("raw", run_raw),
        Case("raw, two harts, imsic", lambda: run_raw(2, irqchip="imsic")),
        Case("raw, a shared line has no sleep", lambda: run_raw(2, controllers=1)),
        Case("loopback", run_loopback),
        Case("verify, every mode", run_verify),
        Case("verify, shadow doorbells", lambda: run_verify("doorbell=shadow")),
        Case("verify, shadow, imsic", lambda: run_verify("doorbell=shadow", irqchip="imsic")),
        Case("verify, the null backing", run_verify_forgetful),
        Case("verify, an image that was damaged", run_verify_damage),
        Case("verify, refused", run_verify_refused),
    ]
