"""docs/results.md: the figures behind the README's claims, from results/reference alone.

    cd scripts && python3 -m report.results_page

It only adds and divides: each figure can be found in the file that is named above its table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.intervals import CONFIDENCE_WANTED, STANDSTILL

ROOT = Path(__file__).resolve().parents[2]
REFERENCE, PAGE = ROOT / "results" / "reference", ROOT / "docs" / "results.md"
RESULTS, PEERS = "results.json", "peers/peers.json"

MODES = {"poll": "polling", "irq": "interrupts", "hybrid": "hybrid, awake",
         "hybrid asleep": "hybrid, asleep"}
DELIVERIES = {"per-hart": "dedicated INTx", "shared": "shared INTx", "msix": "MSI-X"}
DEPTHS = (1, 4, 32, 128, 512)  # a column each, where there are many rows
PHASES = ("submit", "arm", "interrupt", "answer", "end", "reap")  # of a row of instructions
FAULTS = ("missed_interrupts", "errors", "stale", "malformed")
NORMAL = ("late", "spurious_interrupts")

HEAD = """\
# Results

`make results` writes this page from [results/reference](../results/README.md). Do not edit it.
A ratio is a median with its 95 % interval in parentheses; `?` marks an interval of less confidence.
[benchmarking.md](benchmarking.md) explains the method and its limits.
All of it was measured in an emulator: compare ratios, never absolute numbers.
"""


def source(name: str, what: str) -> str:
    """Where the figures of the table below stand."""
    return f"Source: [{name}](../results/reference/{name}), {what}.\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown: names to the left, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [*("| " + " | ".join(cells) + " |" for cells in lines), ""]


def ratio(found: dict | None) -> str:
    """A median and its interval; `inf` where the other side stood still."""
    if not found:
        return "-"
    median, low, high = ("inf" if each >= STANDSTILL / 2 else f"{each:.2f}"
                         for each in (found["median"], *found["interval"]))
    doubt = "" if found["confidence"] >= CONFIDENCE_WANTED else " ?"
    return f"{median} ({low}-{high}){doubt}"


def goal(comparison: dict) -> str:
    """Whether a comparison's goal was met; nothing where it has none."""
    if not comparison.get("goal"):
        return ""
    ratio_found = comparison["ratio"]
    verdict = "met" if ratio_found["median"] >= comparison["goal"] else "not met"
    if verdict == "not met" and ratio_found["interval"][1] >= comparison["goal"]:
        verdict = "not excluded"
    return f"; goal {comparison['goal']:g}: {verdict}"


def beside_linux(peers: dict) -> Iterator[str]:
    """Fast, first: the same machine, the same backing, Linux's driver or ours."""
    linux = peers["linux"]
    yield "### hartq over Linux on the same machine\n"
    yield (
        f"4 KiB random reads, one hart, MSI-X, {peers['environment']['pairs']} pairs of boots. "
        f"Linux is {linux['kernel']} with fio {linux['fio'].removeprefix('fio-')}. "
        "*Fastest* is the fastest mode of the one over that of the other.\n"
    )
    yield source(PEERS, "`ratio` and `goal` of `comparisons`")
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for each in peers["comparisons"]:
        cells = rows.setdefault((each["iodepth"], each["batch"]), {})
        cells[each["mode"]] = ratio(each["ratio"]) + goal(each)
    yield from table(
        ("queue depth, batch", "polled", "interrupts", "fastest"),
        [
            [f"{depth}, {batch}", *(cells.get(mode, "-") for mode in ("poll", "irq", "best"))]
            for (depth, batch), cells in sorted(rows.items(), key=lambda row: row[0][::-1])
        ],
    )


def instructions(result: dict) -> Iterator[str]:
    """Fast, second: what the engine executes, which no host changes."""
    yield "### Instructions of a 4 KiB read\n"
    yield "Counted exactly, with all checks and a callback; a deeper queue shares its costs.\n"
    yield source(RESULTS, "`rows` of `instructions`, divided by `iodepth`")
    rows, shown = [], set()
    for row in result["instructions"]["rows"]:
        counts = [row[phase] for phase in PHASES if phase in row]
        key = (row["completion"], row["iodepth"], row["delivery"] if "interrupt" in row else "")
        if row["bs"] != 4096 or key in shown:
            continue
        shown.add(key)
        each = [count / row["iodepth"] for count in (counts[0], sum(counts[1:]), sum(counts))]
        name = ", ".join(filter(None, (MODES[row["completion"]], DELIVERIES.get(key[-1]))))
        depth = f"{row['iodepth']}, {row['batch']}"
        rows.append([name, depth, *(f"{count:.0f}" for count in each)])
    yield from table(("mode", "queue depth, batch", "submit", "complete", "sum"), rows)


def closed(result: dict, batched: bool) -> dict[tuple[int, str], dict[int, dict[str, dict]]]:
    """4 KiB random reads in closed loop: by harts and delivery, then depth, then mode."""
    found: dict[tuple[int, str], dict[int, dict[str, dict]]] = {}
    for job in result["jobs"]:
        options, mine = job["job options"], job["hartq"]
        depth, batch = int(options["iodepth"]), mine["batch"]
        if (options["rw"], int(options["bs"]), mine["offered_iops"]) != ("randread", 4096, None):
            continue
        if batch == (depth if batched else 1) and not (batched and depth == 1):
            depths = found.setdefault((mine["harts"], mine["delivery"]), {})
            depths.setdefault(depth, {})[mine["completion"]] = mine
    return found


def modes(result: dict) -> Iterator[str]:
    """Measured, first: the modes against one another, depth by depth."""
    depths = closed(result, batched=False)[1, "per-hart"]
    yield "### IOPS of one mode over another, and how busy the hart is\n"
    yield (
        "4 KiB random reads, one hart, batch 1, dedicated INTx. *Raw* is the ring without the "
        "engine. A hart that polls is busy all the time.\n"
    )
    yield source(RESULTS, "`ratio_to_*` and `idle_fraction` of `randread-4k-qdN-b1-*`")
    rows = []
    for depth, found in sorted(depths.items()):
        poll, irq, hybrid = (found.get(mode, {}) for mode in ("poll", "irq", "hybrid"))
        busy = [f"{100 * (1 - each['idle_fraction']):.0f} %" if each else "-"
                for each in (irq, hybrid)]
        ratios = (poll.get("ratio_to_irq"), hybrid.get("ratio_to_poll"),
                  hybrid.get("ratio_to_irq"), poll.get("ratio_to_raw"))
        rows.append([str(depth), *map(ratio, ratios), *busy])
    head = ("queue depth", "polling / interrupts", "hybrid / polling", "hybrid / interrupts",
            "polling / raw", "busy: interrupts", "busy: hybrid")
    yield from table(head, rows)


def ways(result: dict) -> Iterator[str]:
    """Measured, second: how the answer changes with harts, delivery and batch."""
    yield "### Polling over interrupts, by harts, batch and delivery\n"
    yield source(RESULTS, "`ratio_to_irq` of `randread-4k-*-poll*`")
    rows = []
    for batched in (False, True):
        for (harts, delivery), depths in closed(result, batched).items():
            cells = [ratio(depths.get(depth, {}).get("poll", {}).get("ratio_to_irq"))
                     for depth in DEPTHS]
            batch = "the depth" if batched else "1"
            if any(cell != "-" for cell in cells):
                rows.append([f"{harts}, {batch}, {DELIVERIES.get(delivery, delivery)}", *cells])
    yield from table(("harts, batch, interrupts", *(f"depth {depth}" for depth in DEPTHS)), rows)


def offered(result: dict) -> Iterator[str]:
    """Measured, third: how long a hart sleeps under a load that is given."""
    jobs = [job for job in result["jobs"] if job["hartq"]["offered_iops"] is not None]
    hybrid = [job for job in jobs if job["hartq"]["completion"] == "hybrid"]
    if not hybrid:
        return
    yield "### Idle time of hybrid mode over that of interrupts, at a given load\n"
    yield "Saturation is what polling reaches on one hart in closed loop.\n"
    yield source(RESULTS, "`idle_ratio_to_irq` of `randread-4k-qd32-b1-rN%-hybrid`")
    rows = []
    for job in hybrid:
        mine = job["hartq"]
        load = f"{mine['rate_percent']:g} % of saturation" if mine["rate_percent"] else ""
        rows.append([load, f"{mine['offered_iops']:,}", ratio(mine["idle_ratio_to_irq"])])
    yield from table(("load", "IOPS offered", "hybrid / interrupts"), rows)


def faults(result: dict) -> Iterator[str]:
    """Checked: what must be 0, and beside it what is normal."""
    yield (
        "Missed interrupts, errors, stale and malformed completions must be 0. QEMU before 9.2 can "
        "lose a message: only with MSI-X a missed interrupt is then no fault of the engine. "
        "Late and spurious interrupts are normal.\n"
    )
    yield source(RESULTS, "sums of the fields of the same names")
    found: dict[str, list[dict]] = {}
    for job in result["jobs"]:
        found.setdefault(job["hartq"]["delivery"], []).append(job["hartq"])
    names = (*FAULTS, *NORMAL)
    rows = []
    for delivery, mine in found.items():
        taking = sum(each["completion"] in ("irq", "hybrid") for each in mine)
        sums = [f"{sum(each.get(name) or 0 for each in mine):,}" for name in names]
        rows.append([DELIVERIES.get(delivery, delivery), str(len(mine)), str(taking), *sums])
    words = (name.replace("_", " ") for name in names)
    yield from table(("interrupts", "points", "of them with interrupts", *words), rows)


def environment(result: dict) -> Iterator[str]:
    """What it was measured on."""
    about, options = result["environment"], result["global options"]
    yield source(RESULTS, "`environment` and `global options`")
    names = {"commit": "commit", "date": "date", "qemu": "QEMU", "opensbi": "OpenSBI",
             "compiler": "compiler", "backing": "backing", "host_cpu": "host CPU",
             "host_cores": "host cores"}
    rows = [[word, str(about[name])] for name, word in names.items()]
    rows.append(["windows", f"{options['runtime']} each, in {options['boots']} boots"])
    yield from table(("what", "which"), rows)


def page(folder: Path) -> str:
    """The whole page, from the files in the folder of a result."""
    result, peers = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in (RESULTS, PEERS)
    )
    lines = [HEAD, "## Fast\n", *beside_linux(peers), *instructions(result)]
    lines += ["## Measured\n", *modes(result), *ways(result), *offered(result)]
    lines += ["## Checked\n", *faults(result), "## The run\n", *environment(result)]
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    """Write the page."""
    try:
        PAGE.write_text(page(REFERENCE), encoding="utf-8")
    except (OSError, ValueError, KeyError) as error:
        print(f"results: {error!r}; hint: results/reference must hold a whole result",
              file=sys.stderr)
        return 1
    print(f"{PAGE.relative_to(ROOT)} written from {REFERENCE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
