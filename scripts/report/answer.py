"""The answer in words and tables, the targets and the faults, from a result alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from analysis import comparisons, goals, metrics
from analysis.comparisons import (
    NO_DIFFERENCE,
    Ratios,
    brief,
    contest,
    depths_text,
    paired,
    poll_over_irq,
)
from analysis.host_noise import crowding
from analysis.intervals import CONFIDENCE_WANTED, interval_ranks, ratio_of
from analysis.series import (
    MAIN,
    MODE_NAMES,
    Family,
    Modes,
    families,
    offered_text,
    open_jobs,
    size_text,
)
from measure.environment import header
from report.tables import of_main_family, table

NOT_MEASURED = "Not measured: make bench measures it."
LINUX = "How do we stand against Linux, mode by mode?"
LEGEND = (
    "Ratios are paired round by round: median and interval; = means no significant difference, "
    "? too few rounds."
)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; one that is folded away is for those who want to know more."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    folded: bool = False
    wordy: bool = False  # its cells are phrases, not numbers


@dataclasses.dataclass(frozen=True)
class Section:
    """A question with what is known of it."""

    title: str
    lines: Sequence[str]
    tables: Sequence[Table] = ()


def _rows(*columns: Ratios) -> list[list[str]]:
    """A row per depth of ratios with their intervals."""
    depths = sorted({depth for ratios in columns for depth in ratios})
    return [[str(d), *(metrics.ratio_text(ratios.get(d)) for ratios in columns)] for d in depths]


def compare(modes: Modes) -> list[str]:
    """Polling against interrupts, and where that changes."""
    ratios = poll_over_irq(modes)
    if not ratios:
        return ["polling and interrupts were not both measured"]
    lines = contest(ratios, "poll", "irq")
    if any(ratio.sure for ratio in ratios.values()) and len(ratios) > 1:
        lines.append(f"depth at which polling stops paying: {comparisons.stopping(ratios)}")
    return lines


def interrupts_taken(modes: Modes) -> list[str]:
    """How hybrid sheds interrupts as the load rises: at the shallowest and the deepest queue."""
    taken = {d: j["hartq"]["interrupts_per_io"] for d, j in modes.get("hybrid", {}).items()}
    other = {d: j["hartq"]["interrupts_per_io"] for d, j in modes.get("irq", {}).items()}
    each = [
        f"{taken[depth]:.2f}" + (f" ({other[depth]:.2f})" if depth in other else "")
        + f" at queue depth {depth}"
        for depth in dict.fromkeys([*taken][:1] + [*taken][-1:])
    ]
    beside = " (interrupt mode)" if other else ""
    return [f"hybrid's interrupts per I/O{beside}: {', '.join(each)}"] if each else []


def price(modes: Modes) -> list[str]:
    """What polling costs at the shallowest and the deepest queue both were measured at."""
    both = sorted(set(modes.get("poll", {})) & set(modes.get("irq", {})))
    lines = []
    for depth in dict.fromkeys(both[:1] + both[-1:]):
        jobs = {mode: modes[mode][depth] for mode in ("irq", "poll")}
        busy, p50, p99 = (
            [metrics.value_text(job, quantity) for job in jobs.values()]
            for quantity in (metrics.BUSY, metrics.P50, metrics.P99)
        )
        text = f"at queue depth {depth} interrupts keep the hart busy {busy[0]} % of the time, "
        text += f"polling {busy[1]} %"
        if p50[0] and p50[1]:
            text += f"; p50 latency {p50[0]} us against {p50[1]} us polled"
        if p99[0] and p99[1]:
            text += f", p99 {p99[0]} us against {p99[1]} us"
        lines.append(text)
    return lines


def distance(modes: Modes) -> list[str]:
    """How near each mode comes to the device limit, and where it is nearest and farthest."""
    lines, above = [], []
    for mode in metrics.MODES:
        ratios = paired(modes, mode, "limit")
        if not ratios:
            continue
        least, most = (pick(ratios, key=lambda d: ratios[d].median) for pick in (min, max))
        texts = [f"{ratios[d]} at queue depth {d}" for d in dict.fromkeys((least, most))]
        verb = "reach" if mode == "irq" else "reaches"
        lines.append(f"{MODE_NAMES[mode]} {verb} {' to '.join(texts)} of the device limit")
        if beyond := comparisons.by_verdict(ratios, 1):
            above.append(f"{MODE_NAMES[mode]} at {depths_text(beyond, ratios)}")
    return lines + (_above(modes, above) if above else [])


def _above(modes: Modes, above: Sequence[str]) -> list[str]:
    """Why a limit can be passed: it is polled, and looks more often than the engine does."""
    looks = [
        {d: j["hartq"].get("idle_polls_per_io") for d, j in modes.get(mode, {}).items()}
        for mode in ("limit", "poll")
    ]
    both = [d for d in looks[0] if looks[0][d] is not None and looks[1].get(d) is not None]
    text = (
        f"above the limit for certain: {', '.join(above)}. The limit is what the raw ring reaches "
        "while it polls without a pause, not a ceiling for what looks less often"
    )
    if both:
        text += (
            f": at queue depth {both[0]} it looks {looks[0][both[0]]:,.0f} times in vain per I/O, "
            f"polling {looks[1][both[0]]:,.0f} times"
        )
    return [text]


def stops(found: dict[Family, Modes]) -> list[Table]:
    """Where polling stops paying, in each family of 4 KiB random reads."""
    rows = []
    for family, modes in found.items():
        ratios = poll_over_irq(modes)
        if (family.rw, family.bs) == MAIN and ratios:
            rows.append([family.way(), depths_text(ratios, ratios),
                         comparisons.stopping(ratios),
                         brief(ratios, "faster", "slower")])  # fmt: skip
    head = (f"{size_text(MAIN[1])} {MAIN[0]}", "queue depths", "polling stops paying at",
            "polling over interrupts")  # fmt: skip
    return [Table(head, rows, wordy=True)] if len(rows) > 1 else []


def others(found: dict[Family, Modes]) -> list[list[str]]:
    """A row for each family but the first: who is faster."""
    rows = []
    for family, modes in list(found.items())[1:]:
        cells = [
            brief(paired(modes, mode, other), "faster", "slower")
            for mode, other in (("poll", "irq"), ("hybrid", "poll"), ("hybrid", "irq"))
        ]
        if any(cells):
            rows.append([str(family), *cells])
    return rows


OTHERS_HEAD = ("workload", "polling over interrupts", "hybrid over polling",
               "hybrid over interrupts")  # fmt: skip


def _filled(table: Table) -> Table:
    """Without the columns that have nothing: what a result of before did not keep by round."""
    kept = [i for i in range(len(table.head)) if any(row[i] for row in table.rows)]
    rows = [[row[i] for i in kept] for row in table.rows]
    return dataclasses.replace(table, head=[table.head[i] for i in kept], rows=rows)


def _stopping(modes: Modes, found: dict[Family, Modes]) -> Section:
    """Where polling stops paying."""
    rows = _rows(poll_over_irq(modes))
    tables = [Table(("queue depth", "polling / interrupts"), rows)] if rows else []
    return Section("At which queue depth does polling stop paying?",
                   compare(modes) + price(modes), tables + stops(found))  # fmt: skip


def _hybrid(modes: Modes, found: dict[Family, Modes]) -> Section:
    """What hybrid costs against both of the modes that it is made of."""
    names = ("queue depth", *(quantity.name for quantity in metrics.QUANTITIES))
    lines: list[str] = []
    tables = []
    for other in ("poll", "irq"):
        if ratios := paired(modes, "hybrid", other):
            lines += contest(ratios, "hybrid", other)
            rows = metrics.ratio_rows(modes, "hybrid", other)
            tables.append(_filled(Table(names, rows, f"hybrid / {MODE_NAMES[other]}")))
    if tables:
        lines += metrics.busy_range(modes) + metrics.words(modes, "hybrid")
        lines += interrupts_taken(modes)
        lines += metrics.instructions(found.values(), "hybrid")
        tables.append(Table((names[0], "mode", *names[1:]), metrics.figure_rows(modes),
                            "the figures themselves, mode by mode", folded=True))  # fmt: skip
    return Section("What does hybrid cost?", lines, tables)


def _limit(modes: Modes) -> Section:
    """How much of what the device can do each mode reaches."""
    rows = _rows(*(paired(modes, mode, "limit") for mode in metrics.MODES))
    head = ("queue depth", *(f"{MODE_NAMES[mode]} / limit" for mode in metrics.MODES))
    return Section("How far from the device's limit are we?", distance(modes),
                   [Table(head, rows)] if rows else [])  # fmt: skip


def questions(result: dict) -> list[Section]:
    """Those that a result alone can answer, each with intervals."""
    found = families(result)
    modes = next(iter(found.values()), {})
    return [_stopping(modes, found), _hybrid(modes, found), _limit(modes)]


def open_words(result: dict) -> list[str]:
    """What hybrid leaves of the time that interrupts leave, by load."""
    lines = []
    for job in open_jobs(result):
        ratio = ratio_of(job, "idle_ratio_to_irq")
        if not ratio:
            continue
        if not ratio.sure:
            found = "too few rounds to compare idle times (six at least)"
        elif ratio.verdict() == 0:
            found = f"idle time of hybrid and of interrupts: {NO_DIFFERENCE}, {ratio}"
        else:
            found = f"hybrid idles {ratio} of what interrupts do, paired"
        where = f"{offered_text(result, job)}, {job['hartq']['delivery']}"
        lines.append(f"at {where}: {found}")
    return lines


def rest(result: dict) -> list[Section]:
    """The open loop and the other workloads, as far as there are any."""
    found = []
    if opened := open_words(result):
        found.append(Section("Open loop", opened))
    if rows := others(families(result)):
        table_of = Table(OTHERS_HEAD, rows, wordy=True)
        found.append(Section("The other workloads, paired", [], [table_of]))
    return found


def words(result: dict) -> list[str]:
    """The answer, one statement a line: the main family in full, the others in short."""
    found = families(result)
    lines = [f"{next(iter(found))}:"] if found else []
    for section in questions(result) if found else []:
        lines += [f"  {text}" for text in section.lines]
    for family, *cells in others(found):
        parts = [f"{name} {cell}" for name, cell in zip(OTHERS_HEAD[1:], cells) if cell]
        lines.append(f"{family}: {'; '.join(parts)}")
    opened = open_words(result)
    return lines + (["open loop:", *(f"  {text}" for text in opened)] if opened else [])


def chance(result: dict) -> list[str]:
    """How many of all comparisons would seem to differ if none did."""
    ratios = [
        ratio
        for modes in families(result).values()
        for mode, other in (("poll", "irq"), ("hybrid", "poll"), ("hybrid", "irq"))
        for ratio in paired(modes, mode, other).values()
        if ratio.sure
    ]
    if not ratios:
        return []
    wrong, found = sum(1 - r.confidence for r in ratios), sum(r.verdict() != 0 for r in ratios)
    return [
        f"of {len(ratios)} comparisons of two modes {found} show a difference; {wrong:.1f} would "
        "by chance alone if there were none"
    ]


def sampling(result: dict) -> list[str]:
    """What an interval is made of, and what it does not cover."""
    options = result["global options"]
    rounds = max((len(job["hartq"]["rounds"]) for job in result["jobs"]), default=0)
    boots = {each.get("boot", 0) for job in result["jobs"] for each in job["hartq"]["rounds"]}
    if not rounds:
        return []
    preset = f"preset {options['preset']}, " if "preset" in options else ""
    text = f"{preset}{rounds} round{'s' if rounds > 1 else ''}"
    if "runtime" in options:
        text += f" of {options['runtime']} behind {options.get('ramp_time', 'no')} of ramp"
    text += f" in {len(boots)} boot{'s' if len(boots) > 1 else ''}"
    lines = [text]
    confidence = 100 * interval_ranks(len(boots))[1]
    if len(boots) < rounds and confidence < 100 * CONFIDENCE_WANTED:
        lines.append(
            f"an interval takes rounds as its samples ({100 * interval_ranks(rounds)[1]:.0f} "
            "%), but the rounds of a boot share where the host has put QEMU's threads; taken boot "
            f"by boot the widest interval would have {confidence:.0f} %"
        )
    return [*lines, "an interval holds for this run: another run, another host differ by more"]


def notes(result: dict) -> list[str]:
    """How much to believe: the host, the samples, and chance."""
    return [*crowding(result), *sampling(result), *chance(result)]


def _markdown_table(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    title = ["", f"{table.caption}:"] if table.caption else []
    return [*title, "", line(table.head), line(["---"] * len(table.head)), *map(line, table.rows)]


def _markdown_section(section: Section) -> list[str]:
    lines = [f"## {section.title}", "", *(f"- {line}" for line in section.lines)]
    for each in section.tables:
        lines += _markdown_table(each) if not each.folded else []
    return [*lines, "" if section.lines or section.tables else f"{NOT_MEASURED}\n"]


def markdown(result: dict, peers: dict | None = None) -> str:
    """The answer as a page of its own; `peers` is peers.json, if there is one."""
    lines = ["# Poll, interrupt or both?", ""]
    if result.get("partial"):
        lines += ["> A partial result: the run was ended early.", ""]
    if family := next(iter(families(result)), None):
        lines += [f"{family}. {LEGEND}", ""]
    for section in questions(result):
        lines += _markdown_section(section)
    if peers and peers.get("words"):
        lines += [f"## {LINUX}", "", *(f"- {line}" for line in peers["words"]), ""]
    for section in rest(result):
        lines += _markdown_section(section)
    judged = [*goals.lines(result), *goals.missed_lines(result)]
    lines += ["## Targets and faults", "", *(f"- {line}" for line in judged), ""]
    lines += ["## How much to believe", "", *(f"- {line}" for line in notes(result)), ""]
    shown = of_main_family(result)
    left = len(result["jobs"]) - len(shown["jobs"])
    lines += ["## Points", ""]
    lines += [f"{left} more are in report.html and results.csv.", ""] if left else []
    lines += ["```", *table(shown), "", header(result["environment"]), "```", ""]
    return "\n".join(lines)
