"""What the comparison with Linux comes to, in words: from the rows of peers.json alone."""

from __future__ import annotations

from analysis.intervals import Estimate

MODE_WORDS = {
    "poll": "polled against polled", "irq": "interrupts against interrupts",
    "best": "the fastest of each boot against the fastest",
}  # fmt: skip
USER_SHARE_MIN = 0.1  # of Linux's time: less than this in fio's own code is not worth a word


def _of(found: dict | None) -> Estimate | None:
    return Estimate.from_json(found) if found else None


def _range(found: Estimate, form: str = ".2f") -> str:
    return f"{found.median:{form}} ({found.low:{form}} to {found.high:{form}})"


def _place(row: dict) -> str:
    return f"QD {row['iodepth']}" + (f" batch {row['batch']}" if row["batch"] > 1 else "")


def summary(rows: list[dict]) -> list[str]:
    """All ratios, a line for each way to compare."""
    found = []
    for mode, name in MODE_WORDS.items():
        ratios = [f"{_range(Estimate.from_json(row['ratio']))} at {_place(row)}"
                  for row in rows if row["mode"] == mode]  # fmt: skip
        found += [f"hartq / Linux, {name}: {', '.join(ratios)}"] if ratios else []
    return found


def why(row: dict) -> str:
    """What keeps a ratio below its goal, as far as the raw ring of the same boots can tell."""
    share, limit = _of(row["ours"]["share_of_limit"]), _of(row.get("limit_ratio"))
    if not share or not limit:
        return ""
    text = (
        f"; the raw ring, polled, gets {_range(limit)} times Linux's IOPS from this device, and we "
        f"reach {_range(share)} of it: "
    )
    if not share.sure:
        return text + "these pairs are too few to say what holds us"
    if share.high < 1.0:
        ours = limit.sure and limit.low >= row["goal"]
        return text + ("our path holds us" if ours else "our path costs, the device may too")
    return text + "our path is no slower, the time goes into the device's round trip"


def user_share(row: dict) -> float | None:
    """fio's own code in Linux's time for an I/O; None where it was not told."""
    times = row["peer"].get("us_per_io") or {}
    user, whole = _of(times.get("user")), _of(times.get("all"))
    return user.median / whole.median if user and whole else None


def verdict(row: dict) -> str:
    """A goal in words, why where the median misses it, and what fio itself takes of the time."""
    ratio = Estimate.from_json(row["ratio"])
    mine, peer, share = row["ours"], row["peer"], user_share(row)
    fio = (f"; fio's own code takes {100 * share:.0f} % of Linux's time"
           if share and share >= USER_SHARE_MIN else "")  # fmt: skip
    return (
        f"goal {ratio.meets(row['goal'])}: {_place(row)}, {row['mode']}: {mine['name']} is "
        f"{_range(ratio)} times {peer['name']}, goal {row['goal']:g}{fio}"
        + (why(row) if ratio.median < row["goal"] else "")
    )


def budget(row: dict) -> str:
    """Where the time of an I/O goes, ours and Linux's."""
    mine, peer = row["ours"], row["peer"]

    def part(side: dict, name: str) -> str:
        found = _of(side["us_per_io"].get(name))
        return _range(found, ".1f") if found else "not measured"

    def half(side: dict) -> str:
        ns = side["lat_p50_ns"]
        return f"{ns / 1000:.0f}" if ns else "-"

    return (
        f"time of an I/O at {_place(row)}, {row['mode']}, in us: hartq {part(mine, 'all')} (p50 "
        f"{half(mine)}), the raw ring alone {part(mine, 'raw_ring')}; our two threads on the host "
        f"ran: hart {part(mine, 'host_vcpu')}, device {part(mine, 'host_device')}. Linux "
        f"{part(peer, 'all')} (p50 {half(peer)}), of it fio's code {part(peer, 'user')}, the "
        f"kernel with its waiting {part(peer, 'kernel')}"
    )


def words(rows: list[dict]) -> list[str]:
    """The ratios mode by mode, the goals, and the time at depth 1, where there is no other work."""
    return [
        *summary(rows),
        *(verdict(row) for row in rows if row["goal"]),
        *(budget(row) for row in rows if row["iodepth"] == 1 and row["mode"] != "best"),
    ]


def _us(side: dict) -> str:
    found = [side.get(f"lat_{name}_ns") for name in ("p50", "p99")]
    return " / ".join("-" if ns is None else f"{ns / 1000:,.0f}" for ns in found)


HEAD = ("depth", "batch", "mode", "ours", "IOPS", "p50 / p99 us", "Linux", "IOPS", "p50 / p99 us",
        "fio's own", "ratio")  # fmt: skip


def cells(row: dict) -> list[str]:
    """A comparison under HEAD."""
    mine, peer, share = row["ours"], row["peer"], user_share(row)
    return [
        str(row["iodepth"]), str(row["batch"]), row["mode"], mine["name"],
        f"{mine['iops_median']:,.0f}", _us(mine), peer["name"], f"{peer['iops_median']:,.0f}",
        _us(peer), "-" if share is None else f"{100 * share:.0f} %",
        _range(Estimate.from_json(row["ratio"])),
    ]  # fmt: skip


def table(rows: list[dict]) -> list[str]:
    """All comparisons as lines."""
    lines = [list(HEAD), *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines]
