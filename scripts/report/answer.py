"""What a result says: four questions, each a sentence and a table, then what else there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from analysis import doorbells, loads, metrics, shapes
from analysis.comparisons import brief, paired, stopping
from analysis.host_noise import noise_lines
from analysis.intervals import marked
from analysis.series import MODE_NAMES, Modes, Series, all_series, main_loops
from cli.table import lay_out
from sim import section as model

NOT_MEASURED = "Not measured: make bench measures it."
LEGEND = (
    "Ratios are paired boot by boot: median and interval; = means no significant difference (the "
    "interval contains 1, or the median is nearer to 1 than 3 %), ? too few boots."
)
MODEL_CHECK = "make validate-sim lays its profile of QEMU over a measured run."
STOPS = "polling stops paying at depth"
PAIRS = (("poll", "irq"), ("hybrid", "poll"), ("hybrid", "irq"))


class Table(NamedTuple):
    """A table; one that is folded away is for those who want to know more."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    folded: bool = False
    wordy: bool = False  # its cells are phrases, not numbers


class Section(NamedTuple):
    """A question with what is known of it."""

    title: str
    lines: Sequence[str] = ()
    tables: Sequence[Table] = ()


def _compared(modes: Modes, mode: str, other: str) -> tuple[list[str], list[Table]]:
    """One mode over another at each depth: who is faster, and every quantity; empty without."""
    name = f"{MODE_NAMES[mode]} / {MODE_NAMES[other]}"
    rows = metrics.ratio_rows(modes, mode, other)
    found = brief(paired(modes, mode, other), "faster", "slower")
    head = ("queue depth", *(quantity.name for quantity in metrics.QUANTITIES))
    return [f"{name}: {found}"] * bool(found), [Table(head, rows, name)] * bool(rows)


def _stopping(modes: Modes) -> Section:
    lines, tables = _compared(modes, "poll", "irq")
    depth = [f"{STOPS}: {stopping(paired(modes, 'poll', 'irq'))}"] * bool(lines)
    return Section("At which queue depth does polling stop paying?", depth + lines, tables)


def _host_cpu(result: dict) -> Section:
    """What an I/O takes of the host, and how long a hart waits for QEMU's lock meanwhile."""
    lines = []
    for series, modes in main_loops(result).items():
        ratios = metrics.over(modes, "irq", "poll", metrics.HOST)
        locks = [blocked for job in modes.get("poll", {}).values()
                 if (blocked := job["hartq"]["host_blocked_fraction"]) is not None]
        if ratios:
            lines.append(f"{series.batch_text()}: host CPU per I/O, interrupts / polling: "
                         + brief(ratios, "more", "less"))
        if locks:
            lines.append(f"{series.batch_text()}: a hart that polls waits for QEMU's lock, which "
                         f"every doorbell takes, {100 * min(locks):.0f} to "
                         f"{100 * max(locks):.0f} % of the time")
    head, rows = metrics.cost_table(result)
    return Section("What does an I/O cost the host?", lines,
                   [Table(head, rows, "interrupts / polling")] * bool(rows))


def _hybrid(modes: Modes) -> Section:
    (over_poll, first), (over_irq, second) = (
        _compared(modes, "hybrid", other) for other in ("poll", "irq"))
    tables = first + second
    if tables:
        head = (tables[0].head[0], "mode", *(each.name for each in metrics.ALL), metrics.LOCK)
        tables.append(Table(head, metrics.figure_rows(modes), "the figures, mode by mode", True))
    return Section("What does hybrid cost?", over_poll + over_irq, tables)


def _raw_ring(modes: Modes) -> Section:
    """How much of what the device can do each mode reaches."""
    shares = {MODE_NAMES[mode]: found for mode in metrics.MODES
              if (found := paired(modes, mode, "raw"))}
    depths = sorted({depth for found in shares.values() for depth in found})
    rows = [[str(d), *(marked(each.get(d)) for each in shares.values())] for d in depths]
    medians = {name: [ratio.median for ratio in found.values()] for name, found in shares.items()}
    reached = [f"{name} {min(found):.2f} to {max(found):.2f}" for name, found in medians.items()]
    waits = Counter(each["raw_wait"] for job in modes.get("raw", {}).values()
                    for each in job["hartq"]["boots"] if "raw_wait" in each)
    ways = ", ".join(f"{wait} in {count}" for wait, count in waits.most_common())
    return Section(
        "How far from the raw ring are we?",
        [f"share of the raw ring over all queue depths: {', '.join(reached)}"] * bool(rows)
        + [f"its fastest way to wait, of {waits.total()} windows: {ways}"] * bool(ways),
        [Table(("queue depth", *(f"{name} / raw" for name in shares)), rows)] * bool(rows))


def _doorbells(result: dict) -> list[Section]:
    """A section for each rule that was measured beside `each`."""
    return [
        Section(f"What does a {rule} doorbell give?", doorbells.lines(found),
                [Table(doorbells.head(rule), doorbells.rows(both), f"ratios are {rule} / each"
                       + f", {both.series.delivery}" * (len(found) > 1)) for both in found])
        for rule, found in doorbells.measured(result).items()]


def questions(result: dict) -> list[Section]:
    """The four that a result alone can answer, and those on the doorbell where it can."""
    modes = next(iter(all_series(result).values()), {})
    return [_stopping(modes), _host_cpu(result), _hybrid(modes), _raw_ring(modes),
            *_doorbells(result)]


def _other_rows(found: dict[Series, Modes]) -> list[list[str]]:
    """A row for each workload but the first: who is faster, and where polling stops paying."""
    rows = []
    for series, modes in list(found.items())[1:]:
        cells = [brief(paired(modes, *pair), "faster", "slower") for pair in PAIRS]
        ratios = paired(modes, "poll", "irq")
        if any(cells):
            rows.append([str(series), *cells, stopping(ratios) if ratios else ""])
    return rows


def _instruction_rows(found: dict[Series, Modes]) -> list[list[str]]:
    """A row for each point whose instructions were counted."""
    counted: dict[tuple[int, int], dict[str, float]] = {}
    for modes in found.values():
        for mode in metrics.MODES:
            for depth, job in modes.get(mode, {}).items():
                if (count := job["hartq"]["instructions_per_io"]) is not None:
                    counted.setdefault((depth, job["hartq"]["batch"]), {}).setdefault(mode, count)
    return [
        [*map(str, point), *(f"{at[mode]:.0f}" if mode in at else "" for mode in metrics.MODES)]
        for point, at in sorted(counted.items())
    ]


def _model_row(name: str, machine: dict) -> tuple[str, list[str]]:
    """A machine in a sentence and as a row."""
    points, low = machine["points"], model.LOADS[0]
    iops = {depth: {mode: model.at(points, mode, depth)["iops"] for mode in model.MODES}
            for depth in model.DEPTHS}
    loaded = {mode: model.at(points, mode, model.LOADED_DEPTH, low) for mode in model.MODES}
    kept = min(each["hybrid"] / max(each["poll"], each["irq"]) for each in iops.values())
    leads = {depth: each["poll"] / each["irq"] - 1 for depth, each in iops.items()}
    paid = [depth for depth, lead in leads.items() if lead >= model.PAYS_LEAST]
    idle = model.at(points, "irq", model.DEPTHS[0])["idle"]
    where = f"by {model.PAYS_LEAST:.0%} or more " + (
        f"at depth {', '.join(map(str, paid))}" if paid else "nowhere")
    sentence = (
        f"{name}: polling leads interrupts {where}; at depth {model.DEPTHS[0]} interrupts give "
        f"{leads[model.DEPTHS[0]]:.0%} away and leave {idle:.0%} of the hart idle")
    return sentence, [
        f"{name} ({', '.join(machine['parts'])})", *(f"{1 + lead:.2f}" for lead in leads.values()),
        f"{kept:.2f}", f"{loaded['irq']['latency_ns'] / loaded['poll']['latency_ns']:.2f}",
        f"{loaded['hybrid']['idle'] / loaded['irq']['idle']:.2f}"]


def modelled(result: dict) -> list[Section]:
    """The modes on machines that are not here; nothing without."""
    found = result.get("modelled")
    if not found:
        return []
    load = f"load {model.LOADS[0]} %"
    head = ("machine", *(f"polling / interrupts, depth {depth}" for depth in model.DEPTHS),
            "hybrid / the better, least", f"latency, interrupts / polling, {load}",
            f"idle time, hybrid / interrupts, {load}")
    sentences, rows = zip(*(_model_row(*each) for each in found["machines"].items()))
    lines = [
        *sentences,
        "These machines run in virtual time, the same on every host. There is no noise, and no "
        f"measurement either. {MODEL_CHECK}",
        f"left out: {'; '.join(found['left_out'])}"]
    return [Section("Modelled, not measured: other machines", lines, [Table(head, rows)])]


def rest(result: dict) -> list[Section]:
    """What there is besides the four questions."""
    found = all_series(result)
    over = [f"{MODE_NAMES[mode]} over {MODE_NAMES[other]}" for mode, other in PAIRS]
    names = [MODE_NAMES[mode] for mode in metrics.MODES]
    tables = {
        "Instructions per I/O, exact": Table(("queue depth", "batch", *names),
                                             _instruction_rows(found)),
        "Open loop": Table(loads.HEAD, loads.rows(result)),
        "Load step": Table(shapes.STEP_HEAD, shapes.step_rows(result)),
        "A reader beside a writer of 128 KiB": Table(
            shapes.BESIDE_HEAD, shapes.beside_rows(result)),
        "A callback that posts over a loop that does": Table(
            shapes.CALLBACK_HEAD, shapes.callback_rows(result), "ratios are callback / loop"),
        "The other workloads, paired": Table(
            ("workload", *over, STOPS), _other_rows(found), wordy=True),
    }
    lines = {"Open loop": loads.lines(result)}
    sections = [Section(title, lines.get(title, ()), [table])
                for title, table in tables.items() if table.rows]
    return sections + modelled(result)


def words(result: dict) -> list[str]:
    """The answer for a terminal: the questions' sentences, and the tables of the rest."""
    main = next(iter(all_series(result)), None)
    lines = [f"{main}:"] if main else []
    for section in questions(result) if main else []:
        lines += [section.title, *(f"  {text}" for text in section.lines or [NOT_MEASURED])]
    for section in rest(result):
        lines += [f"{section.title}:", *(f"  {text}" for text in section.lines)]
        for table in section.tables:
            found = _phrases(table) if table.wordy else lay_out(table.head, table.rows)
            lines += [f"  {text}" for text in found]
    return lines


def _phrases(table: Table) -> list[str]:
    """A table of phrases, a row a line."""
    cells = ([f"{name}: {cell}" for name, cell in zip(table.head[1:], row[1:]) if cell]
             for row in table.rows)
    return [f"{row[0]}: {'; '.join(found)}" for row, found in zip(table.rows, cells)]


def false_differences(result: dict) -> list[str]:
    """How many of all comparisons would seem to differ if none did."""
    ratios = [ratio for modes in all_series(result).values() for pair in PAIRS
              for ratio in paired(modes, *pair).values() if ratio.sure]
    wrong, found = sum(1 - r.confidence for r in ratios), sum(r.verdict() != 0 for r in ratios)
    return [f"of {len(ratios)} comparisons of two modes {found} show a difference; {wrong:.1f} "
            "would by chance alone if there were none"] * bool(ratios)


def sampling(result: dict) -> list[str]:
    """What an interval is made of, and what it does not cover."""
    options, windows = result["global options"], [job["hartq"]["boots"] for job in result["jobs"]]
    if not (count := max(map(len, windows), default=0)):
        return []
    told = [f"preset {options['preset']}"] if "preset" in options else []
    if "doorbell" in options:
        told.append(f"submission doorbell {options['doorbell']}")
    told.append(f"{count} boots, each a sample")
    if "runtime" in options:
        told.append(f"windows {options['runtime']} after a ramp of {options['ramp_time']}")
    if again := result.get("repeated_boots"):
        told.append(f"{len(again)} boots measured again because threads waited for a core")
    return [", ".join(told),
            "an interval holds for this run: another run, another host differ by more"]


def notes(result: dict) -> list[str]:
    """How much to believe: the host, the samples, and chance."""
    return [*noise_lines(result), *sampling(result), *false_differences(result)]
