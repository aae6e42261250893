"""The answer in words, the table and the targets, from a result alone."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

import targets
from environment import header
from families import (
    MODE_NAMES,
    Modes,
    families,
    latency_text,
    offered_text,
    open_jobs,
    size_text,
)
from results import ratio_of
from stats import Estimate

WAIT_MAX = 0.10  # of the time, for a core: above it the host decides, not the machine
RATIO_MIN = 1e-6  # a mode that stood still for whole rounds
NO_DIFFERENCE = "no significant difference"


def paired(modes: Modes, mode: str, other: str) -> dict[int, Estimate]:
    """Paired ratio of one mode to another at each depth."""
    ratios = {d: ratio_of(job, f"ratio_to_{other}") for d, job in modes.get(mode, {}).items()}
    return {depth: ratio for depth, ratio in ratios.items() if ratio}


def poll_over_irq(modes: Modes) -> dict[int, Estimate]:
    """Paired ratio of polling to interrupts at each depth."""
    return paired(modes, "poll", "irq")


@dataclasses.dataclass(frozen=True)
class Crossover:
    """Where the faster mode changes: somewhere from `low` to `high`, about `at`."""

    low: int
    high: int
    at: float
    first: str  # the faster mode below
    second: str


def crossovers(ratios: dict[int, Estimate]) -> list[Crossover]:
    """Between neighbouring significant depths with opposite winners.

    The ends are the depths where each mode still wins significantly; the estimate is where the
    median ratio passes 1 between them, on logarithmic axes.
    """
    found = []
    sure = [(depth, ratio.verdict()) for depth, ratio in ratios.items() if ratio.verdict()]
    for (low, first), (high, second) in zip(sure, sure[1:]):
        if first == second:
            continue
        names = ("poll", "irq") if first > 0 else ("irq", "poll")
        between = [(d, max(ratios[d].median, RATIO_MIN)) for d in ratios if low <= d <= high]
        found.append(Crossover(low, high, _passes_one(between, first), *names))
    return found


def _passes_one(points: Sequence[tuple[int, float]], first: int) -> float:
    """The depth at which the ratio first passes 1, interpolated."""
    for (d0, r0), (d1, r1) in zip(points, points[1:]):
        if (r1 - 1.0) * first <= 0:
            share = math.log(r0) / (math.log(r0) - math.log(r1)) if r0 != r1 else 0.5
            return math.exp(math.log(d0) + share * (math.log(d1) - math.log(d0)))
    return float(points[-1][0])


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _are(mode: str) -> str:
    return f"{MODE_NAMES[mode]} {'are' if mode == 'irq' else 'is'}"


def contest(ratios: dict[int, Estimate], mode: str, other: str) -> list[str]:
    """Who of two modes is faster at which depth."""
    if not any(ratio.sure for ratio in ratios.values()):
        names = f"{MODE_NAMES[mode]} from {MODE_NAMES[other]}"
        return [f"too few rounds to tell {names} (six at least)"]
    lines = []
    for verdict, fast, slow in ((1, mode, other), (-1, other, mode)):
        depths = [depth for depth, ratio in ratios.items() if ratio.verdict() == verdict]
        factors = [max(ratios[depth].median, RATIO_MIN) ** verdict for depth in depths]
        if depths:
            by = f"x{min(factors):.2f}" + (f" to x{max(factors):.2f}" if len(depths) > 1 else "")
            lines.append(
                f"{_are(fast)} faster than {MODE_NAMES[slow]} at queue depth {_list(depths)} "
                f"({by}, paired)"
            )
    same = [depth for depth, ratio in ratios.items() if ratio.verdict() == 0]
    if same:
        lines.append(
            f"{MODE_NAMES[mode]} against {MODE_NAMES[other]}: {NO_DIFFERENCE} at queue depth "
            f"{_list(same)}"
        )
    return lines


def compare(modes: Modes) -> list[str]:
    """Polling against interrupts, and where that changes; hybrid against both."""
    ratios = poll_over_irq(modes)
    lines = []
    if not ratios:
        lines.append("polling and interrupts were not both measured")
    else:
        lines += contest(ratios, "poll", "irq")
    for cross in crossovers(ratios):
        lines.append(
            f"crossover from {MODE_NAMES[cross.first]} to {MODE_NAMES[cross.second]} at a queue "
            f"depth of about {cross.at:.0f} (between {cross.low} and {cross.high})"
        )
    sure = any(ratio.sure for ratio in ratios.values())
    if sure and not crossovers(ratios) and len(ratios) > 1:
        lines.append(f"no crossover between queue depth {min(ratios)} and {max(ratios)}")
    for other in ("poll", "irq"):
        if against := paired(modes, "hybrid", other):
            lines += contest(against, "hybrid", other)
    return lines + interrupts_taken(modes)


def interrupts_taken(modes: Modes) -> list[str]:
    """How hybrid sheds interrupts as the load rises."""
    taken = {d: j["hartq"]["interrupts_per_io"] for d, j in modes.get("hybrid", {}).items()}
    other = {d: j["hartq"]["interrupts_per_io"] for d, j in modes.get("irq", {}).items()}
    if not taken:
        return []
    each = [
        f"{count:.2f}" + (f" ({other[depth]:.2f})" if depth in other else "") + f" at {depth}"
        for depth, count in taken.items()
    ]
    beside = " (interrupt mode)" if other else ""
    return [f"hybrid's interrupts per I/O{beside} by queue depth: {', '.join(each)}"]


def price(modes: Modes) -> list[str]:
    """What each mode costs at the shallowest and the deepest queue both were measured at."""
    both = sorted(set(modes.get("poll", {})) & set(modes.get("irq", {})))
    lines = []
    for depth in dict.fromkeys(both[:1] + both[-1:]):
        poll, irq = modes["poll"][depth], modes["irq"][depth]
        idle = 100.0 * irq["hartq"]["idle_fraction"]
        lines.append(
            f"at queue depth {depth} interrupts leave {idle:.0f} % of the hart free, polling "
            f"{100.0 * poll['hartq']['idle_fraction']:.0f} %; "
            f"{irq['hartq']['interrupts_per_io']:.2f} interrupts per I/O; p50/p99 latency "
            f"{latency_text(irq)} us against {latency_text(poll)} us polled"
        )
    return lines


def distance(modes: Modes) -> list[str]:
    """How near each mode comes to the device limit, and where it is nearest and farthest."""
    lines = []
    for mode in ("poll", "irq", "hybrid"):
        ratios = paired(modes, mode, "limit")
        if not ratios:
            continue
        least, most = (pick(ratios, key=lambda d: ratios[d].median) for pick in (min, max))
        texts = [
            f"{ratios[depth].median:.2f} ({ratios[depth].low:.2f} to {ratios[depth].high:.2f}) at "
            f"queue depth {depth}"
            for depth in dict.fromkeys((least, most))
        ]
        verb = "reach" if mode == "irq" else "reaches"
        lines.append(f"{MODE_NAMES[mode]} {verb} {' to '.join(texts)} of the device limit")
    return lines


def host_waits(result: dict) -> dict[str, float]:
    """The share of the time QEMU's threads waited for a core; empty if it is not known."""
    waits = [job["hartq"].get("host_wait_fraction") for job in result["jobs"]]
    return {
        name: statistics.median(wait[name] for wait in waits if wait)
        for name in ("vcpu", "device")
        if any(waits)
    }


def crowding(result: dict) -> list[str]:
    """Whether the host had a core for each of QEMU's threads."""
    shares = host_waits(result)
    if not shares:
        return []
    text = f"vCPU {100 * shares['vcpu']:.0f} %, device {100 * shares['device']:.0f} %"
    if max(shares.values()) < WAIT_MAX:
        return [f"QEMU's threads waited little for a core of the host ({text} of the time)"]
    return [
        f"THE HOST WAS BUSY: QEMU's threads waited for a core ({text} of the time). A polling hart "
        "then takes time from the device it waits for: interrupts gain, and can pass the device "
        "limit, which is polled. Repeat it on a quiet host."
    ]


def words(result: dict) -> list[str]:
    """The answer, one statement a line: the main family in full, the others in short."""
    lines = []
    for index, (family, modes) in enumerate(families(result).items()):
        if index and not (poll_over_irq(modes) or modes.get("hybrid")):
            continue
        lines.append(f"{family}:")
        lines += [f"  {text}" for text in compare(modes) + (price(modes) if index == 0 else [])]
    return lines + open_words(result)


def open_words(result: dict) -> list[str]:
    """What hybrid leaves of the time that interrupts leave, by load."""
    lines = []
    for job in open_jobs(result):
        ratio, mine = ratio_of(job, "idle_ratio_to_irq"), job["hartq"]
        if not ratio:
            continue
        if not ratio.sure:
            found = "too few rounds to compare idle times (six at least)"
        elif ratio.verdict() == 0:
            found = f"idle time of hybrid and of interrupts: {NO_DIFFERENCE}"
        else:
            found = (
                f"hybrid idles {ratio.median:.2f} of what interrupts do ({ratio.low:.2f} to "
                f"{ratio.high:.2f}, paired)"
            )
        lines.append(f"  at {offered_text(result, job)}, {mine['delivery']}: {found}")
    return ["open loop:", *lines] if lines else []


COLUMNS = (
    ("rw", 9), ("bs", 7), ("harts", 5), ("delivery", 8), ("QD", 4), ("batch", 5), ("mode", 6),
    ("IOPS", 9), ("interval", 17), ("p50/p99 us", 12), ("busy %", 6), ("irq/IO", 6),
    ("of limit", 8), ("cpu us/IO", 9),
)  # fmt: skip
OPEN_COLUMNS = (
    ("rw", 9), ("bs", 7), ("harts", 5), ("delivery", 8), ("QD", 4), ("batch", 5), ("offered", 9),
    ("mode", 6), ("IOPS", 9), ("interval", 17), ("p50/p99 us", 12), ("idle", 5), ("irq/IO", 6),
    ("idle over irq's", 18),
)  # fmt: skip
NAMING = 4  # the first columns: those that never change stand in the title


def _naming_cells(job: dict) -> list[str]:
    options, mine = job["job options"], job["hartq"]
    size = size_text(int(options["bs"])).replace(" ", "")
    return [options["rw"], size, str(mine["harts"]), mine["delivery"], options["iodepth"],
            str(mine["batch"])]  # fmt: skip


def _rate_cells(job: dict) -> list[str]:
    mine = job["hartq"]
    low, high = mine["iops_interval"]
    return [mine["completion"], f"{mine['iops_median']:,.0f}", f"{low:,.0f}-{high:,.0f}",
            latency_text(job)]  # fmt: skip


def _cells(job: dict) -> list[str]:
    mine = job["hartq"]
    limit, cpu = mine["ratio_to_limit"], mine["host_cpu_us_per_io"]
    return [
        *_naming_cells(job),
        *_rate_cells(job),
        f"{100 * (1 - mine['idle_fraction']):.0f}",
        f"{mine['interrupts_per_io']:.2f}",
        f"{limit['median']:.2f}" if limit else "",
        f"{sum(cpu.values()):.1f}" if cpu else "",
    ]


def _open_cells(job: dict) -> list[str]:
    mine, ratio = job["hartq"], ratio_of(job, "idle_ratio_to_irq")
    return [
        *_naming_cells(job),
        f"{mine['offered_iops']:,}",
        *_rate_cells(job),
        f"{mine['idle_fraction']:.2f}",
        f"{mine['interrupts_per_io']:.2f}",
        f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if ratio else "",
    ]


def _lay_out(columns: Sequence[tuple[str, int]], rows: list[list[str]]) -> list[str]:
    """Mode by depth or load; a blank line wherever anything before the mode changes."""
    constant = [i for i in range(NAMING) if len({row[i] for row in rows}) == 1]
    shown = [i for i in range(len(columns)) if i not in constant]
    mode = [name for name, _ in columns].index("mode")

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cells[i].rjust(columns[i][1]) for i in shown).rstrip()

    lines = [line([name for name, _ in columns])]
    for before, row in zip([None, *rows], rows):
        if before and before[:mode] != row[:mode]:
            lines.append("")
        lines.append(line(row))
    return lines


def table(result: dict) -> list[str]:
    """All points, those of the open loop apart."""
    opened = open_jobs(result)
    closed = [job for job in result["jobs"] if job not in opened]
    lines = _lay_out(COLUMNS, [_cells(job) for job in closed]) if closed else []
    if opened:
        process = result["global options"].get("rate_process", "linear")
        lines += [""] if lines else []
        lines += [f"open loop, {process}; latency from when a request was due"]
        lines += _lay_out(OPEN_COLUMNS, [_open_cells(job) for job in opened])
    return lines or ["nothing was measured"]


def markdown(result: dict) -> str:
    """The answer as a page of its own."""
    partial = ["> A partial result: the run was ended early.", ""] if result.get("partial") else []
    return "\n".join(
        (
            "# Poll, interrupt or both?",
            "",
            *partial,
            *(line if not line.startswith("  ") else f"- {line.strip()}" for line in words(result)),
            "",
            *crowding(result),
            "",
            *(f"- {line}" for line in [*targets.lines(result), *targets.missed_lines(result)]),
            "",
            "```",
            *table(result),
            "",
            header(result["environment"]),
            "```",
            "",
        )
    )
