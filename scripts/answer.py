"""The answer in words, the table and the targets, from a result alone."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from environment import header
from results import FAULTS, main_side, ratio_of
from stats import Estimate

WAIT_MAX = 0.10  # of the time, for a core: above it the host decides, not the machine
RATIO_MIN = 1e-6  # a mode that stood still for whole rounds
NOISY = 2.0  # highest over lowest end of an interval
NO_DIFFERENCE = "no significant difference"
# Polling against the device limit: (least depth, greatest depth, target).
TARGETS = ((1, 1, 0.95), (32, 1 << 30, 0.90))
MODE_NAMES = {"poll": "polling", "irq": "interrupts", "limit": "device limit"}


@dataclasses.dataclass(frozen=True)
class Family:
    """Jobs that differ only in depth and completion mode. A batch of 0 is the whole depth."""

    rw: str
    bs: int
    harts: int
    batch: int

    def __str__(self) -> str:
        batch = f"batch {self.batch}" if self.batch else "batch = depth"
        plural = "s" if self.harts > 1 else ""
        return f"{size_text(self.bs)} {self.rw}, {self.harts} hart{plural}, {batch}"


Modes = dict[str, dict[int, dict]]  # completion -> depth -> job


def size_text(size: int) -> str:
    """4096 as `4 KiB`."""
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def families(result: dict) -> dict[Family, Modes]:
    """The jobs by family; the largest first, which is the one that answers the question.

    A batch that equals its depth belongs to `batch = depth`; at depth 1 also to batch 1.
    """
    found: dict[Family, Modes] = {}
    for job in result["jobs"]:
        options, mine = job["job options"], job.get("hartq")
        if not mine:
            continue
        depth, batch = int(options["iodepth"]), mine["batch"]
        for kind in {1 if batch == 1 else 0 if batch == depth else batch}:
            family = Family(options["rw"], int(options["bs"]), mine["harts"], kind)
            modes = found.setdefault(family, {})
            modes.setdefault(mine["completion"], {})[depth] = job
    order = sorted(found, key=lambda f: -len({d for m in found[f].values() for d in m}))
    return {
        family: {mode: dict(sorted(depths.items())) for mode, depths in found[family].items()}
        for family in order
    }


def poll_over_irq(modes: Modes) -> dict[int, Estimate]:
    """Paired ratio of polling to interrupts at each depth."""
    ratios = {depth: ratio_of(job, "ratio_to_irq") for depth, job in modes.get("poll", {}).items()}
    return {depth: ratio for depth, ratio in ratios.items() if ratio}


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


def compare(modes: Modes) -> list[str]:
    """Who is faster at which depth, and where that changes."""
    ratios = poll_over_irq(modes)
    if not ratios:
        return ["polling and interrupts were not both measured"]
    if not any(ratio.sure for ratio in ratios.values()):
        return ["too few rounds to tell polling from interrupts (six at least)"]
    lines = []
    for verdict, text in ((1, "polling is faster"), (-1, "interrupts are faster")):
        depths = [depth for depth, ratio in ratios.items() if ratio.verdict() == verdict]
        factors = [max(ratios[depth].median, RATIO_MIN) ** verdict for depth in depths]
        if depths:
            by = f"x{min(factors):.2f}" + (f" to x{max(factors):.2f}" if len(depths) > 1 else "")
            lines.append(f"{text} at queue depth {_list(depths)} ({by}, paired)")
    same = [depth for depth, ratio in ratios.items() if ratio.verdict() == 0]
    if same:
        lines.append(f"{NO_DIFFERENCE} at queue depth {_list(same)}")
    for cross in crossovers(ratios):
        lines.append(
            f"crossover from {MODE_NAMES[cross.first]} to {MODE_NAMES[cross.second]} at a queue "
            f"depth of about {cross.at:.0f} (between {cross.low} and {cross.high})"
        )
    if not crossovers(ratios) and len(ratios) > 1:
        lines.append(f"no crossover between queue depth {min(ratios)} and {max(ratios)}")
    return lines


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


def latency_text(job: dict) -> str:
    """p50/p99 in microseconds, `-` for what was not measured."""
    found = main_side(job)["lat_ns"].get("percentile", {})
    values = [found.get(f"{percent:.6f}") for percent in (50.0, 99.0)]
    return "/".join(
        "-" if ns is None else f"{ns / 1000:.1f}" if ns < 10000 else f"{ns / 1000:.0f}"
        for ns in values
    )


def targets(result: dict) -> list[str]:
    """Polling against the device limit: advisory, met when the interval's upper end reaches it.

    A few rounds, or an interval that spans more than a factor of two, decide nothing.
    """
    lines = []
    for family, modes in families(result).items():
        for depth, job in modes.get("poll", {}).items():
            ratio = ratio_of(job, "ratio_to_limit")
            goals = [goal for low, high, goal in TARGETS if low <= depth <= high]
            if not ratio or not goals or (family.rw, family.bs) != ("randread", 4096):
                continue
            if not ratio.sure:
                verdict = "too few rounds to say"
            elif ratio.high > NOISY * ratio.low:
                verdict = "cannot tell (too wide)"
            else:
                verdict = "target met" if ratio.high >= goals[0] else "target not met"
            lines.append(
                f"{verdict}: polling reaches {ratio.median:.2f} of the device limit "
                f"({ratio.low:.2f} to {ratio.high:.2f}; target {goals[0]:.2f}) at queue depth "
                f"{depth}, batch {job['hartq']['batch']}, harts {family.harts}"
            )
    return lines


def faults(result: dict) -> list[str]:
    """What must not happen, loudly; empty when all is well."""
    names = {"missed": "missed_interrupts"}
    lines = []
    for fault in FAULTS:
        field = names.get(fault, fault)
        bad = {j["jobname"]: j["hartq"][field] for j in result["jobs"] if j["hartq"][field]}
        if bad:
            where = ", ".join(f"{name}: {count}" for name, count in bad.items())
            lines.append(f"!!! {field.replace('_', ' ')}: {sum(bad.values())} ({where})")
    return lines


def missed_line(result: dict) -> str:
    """The sum of missed interrupts and what was looked at."""
    mine = [job["hartq"] for job in result["jobs"]]
    sums = {
        name: sum(each[name] for each in mine)
        for name in ("missed_interrupts", "spurious_interrupts", "late", "stalls_over_10ms")
    }
    return (
        f"missed interrupts: {sums['missed_interrupts']} in {len(mine)} points "
        f"(spurious {sums['spurious_interrupts']}, late {sums['late']}, "
        f"stalls over 10 ms {sums['stalls_over_10ms']})"
    )


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
        if index and not poll_over_irq(modes):
            continue
        lines.append(f"{family}:")
        lines += [f"  {text}" for text in compare(modes) + (price(modes) if index == 0 else [])]
    return lines


COLUMNS = (
    ("rw", 9), ("bs", 7), ("harts", 5), ("QD", 4), ("batch", 5), ("mode", 5), ("IOPS", 9),
    ("interval", 17), ("p50/p99 us", 12), ("busy %", 6), ("irq/IO", 6), ("of limit", 8),
    ("cpu us/IO", 9),
)  # fmt: skip


def _cells(job: dict) -> list[str]:
    options, mine = job["job options"], job["hartq"]
    limit = mine["ratio_to_limit"]
    cpu = mine["host_cpu_us_per_io"]
    low, high = mine["iops_interval"]
    return [
        options["rw"],
        size_text(int(options["bs"])).replace(" ", ""),
        str(mine["harts"]),
        options["iodepth"],
        str(mine["batch"]),
        mine["completion"],
        f"{mine['iops_median']:,.0f}",
        f"{low:,.0f}-{high:,.0f}",
        latency_text(job),
        f"{100 * (1 - mine['idle_fraction']):.0f}",
        f"{mine['interrupts_per_io']:.2f}",
        f"{limit['median']:.2f}" if limit else "",
        f"{sum(cpu.values()):.1f}" if cpu else "",
    ]


def table(result: dict) -> list[str]:
    """Mode by depth; columns that never change are left out and stand in the title."""
    rows = [_cells(job) for job in result["jobs"]]
    if not rows:
        return ["nothing was measured"]
    constant = [i for i in range(3) if len({row[i] for row in rows}) == 1]
    shown = [i for i in range(len(COLUMNS)) if i not in constant]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cells[i].rjust(COLUMNS[i][1]) for i in shown).rstrip()

    lines = [line([name for name, _ in COLUMNS])]
    for before, row in zip([None, *rows], rows):
        if before and before[:5] != row[:5]:
            lines.append("")
        lines.append(line(row))
    return lines


def markdown(result: dict) -> str:
    """The answer as a page of its own."""
    partial = ["> A partial result: the run was ended early.", ""] if result.get("partial") else []
    return "\n".join(
        (
            "# Poll or interrupt?",
            "",
            *partial,
            *(line if not line.startswith("  ") else f"- {line.strip()}" for line in words(result)),
            "",
            missed_line(result) + ".",
            "",
            *crowding(result),
            "",
            *(f"- {line}" for line in targets(result)),
            "",
            "```",
            *table(result),
            "",
            header(result["environment"]),
            "```",
            "",
        )
    )
