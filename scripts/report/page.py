"""report.html: a result as one page that needs nothing beside it.

The answer first, then each picture with what to read from it, the tables and what it was measured
on. Pictures are inside the page; it loads nothing, runs no script and shows nothing unescaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from analysis import goals, host_noise
from analysis.series import families
from linux import words
from measure.environment import header
from report import answer, chart_names, tables
from report.answer import Section

TITLE = "hartq: poll, interrupt or both?"
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: #0072b2; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1.02rem; margin: 1.3rem 0 .2rem; } p, ul { margin: .4rem 0; }
figure { margin: 1.2rem 0; } figure img { max-width: 100%; background: #fff; border-radius: 4px; }
figcaption { margin-top: .3rem; } .small { font-size: .87rem; opacity: .8; }
.warn { border-left: 4px solid #d55e00; padding: .4rem .8rem; background: var(--soft); }
h4 { font-size: .9rem; margin: .9rem 0 .1rem; } .scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .87rem; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.wordy th, .wordy td { text-align: left; white-space: normal; min-width: 9rem; }
.wordy td { vertical-align: top; }
summary { cursor: pointer; margin: .5rem 0; }
pre { font-size: .78rem; line-height: 1.35; overflow-x: auto; padding: .7rem;
      background: var(--soft); border-radius: 4px; }
"""
# What a picture shows, and what to read from it.
CAPTIONS = {
    "iops": ("IOPS against queue depth",
             "How fast each mode is, and how far below the device limit (dashed). Bars are the "
             "intervals of the rounds: where they overlap, look at the paired ratios above. On the "
             "right, where measured, the whole depth behind one doorbell."),
    "cpu": ("IOPS for CPU time",
            "The whole question in one picture: upwards is faster, to the left is cheaper. A "
            "point is a queue depth. Polling pays with the whole hart; what stands left of it at "
            "the same height does the same with less."),
    "latency": ("Latency percentiles",
                "Each step to the right is ten times rarer. The level at 50 is the usual request, "
                "the right end the worst ones; a curve that leaves the others has a longer tail."),
    "heatmap": ("The fastest mode",
                "By queue depth and batch, the top row the whole depth, with its lead over the "
                "next. Grey: the next mode is not clearly slower, take the one that costs less."),
    "cost": ("What an I/O costs",
             "Instructions are exact: counted under -icount, the same on every host. Doorbells and "
             "interrupts are of the measured rounds; batches share them."),
    "scaling": ("Over harts",
                "All controllers are served by one thread of QEMU: more harts add no device. What "
                "falls with more harts than cores is the host's doing."),
    "timeline": ("IOPS over time",
                 "A lost interrupt, or a host that was elsewhere, is a gap. A level line is a "
                 "measurement to trust."),
    "blocksize": ("Block size",
                  "Requests and bytes per second by the size of a request. Where IOPS stay level a "
             "request costs its path; where bandwidth does, its bytes."),
    "openloop": ("Open loop",
                 "Requests are due at times of their own, latency counts from then. Where a curve "
                 "rises steeply the mode cannot do more; ringed points did less than was offered."),
    "peers": ("Linux beside it",
              "The same emulated machine and medium, boots in turn: Linux's nvme driver with fio's "
              "engines, and hartq."),
}  # fmt: skip
NO_PEERS = "Not measured: make bench-peers boots Linux on the same emulated machine."


NULL_COPIES = (
    "The null medium copies no data: what grows with the size here is the list of pages."
)


def on_null(result: dict) -> bool:
    """The medium does no I/O."""
    return result["environment"]["backing"].startswith("null")


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line.strip())}</li>" for line in lines) + "</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], wordy: bool = False) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    kind = ' class="wordy"' if wordy else ""
    return f'<div class="scroll"><table{kind}>{row(head, "th")}{body}</table></div>'


def _section(section: Section) -> str:
    """A question and its answer; what only some want to know is folded."""
    parts = [f"<h3>{escape(section.title)}</h3>", _list(section.lines) if section.lines else ""]
    for table in section.tables:
        text = _table(table.head, table.rows, table.wordy)
        if table.folded:
            parts.append(_folded(table.caption, text))
        else:
            parts += [f"<h4>{escape(table.caption)}</h4>"] * bool(table.caption) + [text]
    if not section.lines and not section.tables:
        parts.append(f"<p>{escape(answer.NOT_MEASURED)}</p>")
    return "".join(parts)


def _folded(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary>{text}</details>"


def _answers(result: dict, peers: dict) -> str:
    """The four questions, each with its intervals."""
    family = next(iter(families(result)), "no closed loop was measured")
    return "".join(
        (
            f'<p class="small">{escape(str(family))}. {escape(answer.LEGEND)}</p>',
            *map(_section, answer.questions(result)),
            f"<h3>{escape(answer.LINUX)}</h3>",
            _peers(peers) if peers.get("comparisons") else f"<p>{NO_PEERS}</p>",
        )
    )


def _ratio_first(cells: Sequence[str]) -> list[str]:
    """What was compared, then what came of it: on a narrow page the rest is out of sight."""
    return [*cells[:3], cells[-1], *cells[3:-1]]


def _peers(peers: dict) -> str:
    linux = peers["linux"]
    head, *rows = map(_ratio_first, [words.HEAD, *map(words.cells, peers["comparisons"])])
    about = f"{linux.get('distribution', '')}, Linux {linux['kernel']}, fio {linux['fio']}"
    method = [about, *peers.get("method", [])]
    if peers.get("retries"):
        method.append(f"boots of Linux that were run a second time: {len(peers['retries'])}")
    return _list(peers.get("words", [])) + _table(head, rows) + _list(method)


def _pictures(folder: Path, result: dict) -> str:
    """Those that were drawn, inside the page."""
    parts = []
    for name in sorted(chart_names.PICTURES, key=list(CAPTIONS).index):
        path = folder / f"{name}.png"
        if not path.exists():
            continue
        title, text = CAPTIONS[name]
        text += " " + NULL_COPIES if name == "blocksize" and on_null(result) else ""
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            f'<figure id="{name}"><img alt="{escape(title)}" src="data:image/png;base64,{data}">'
            f"<figcaption><b>{escape(title)}.</b> {escape(text)}</figcaption></figure>"
        )
    return "".join(parts)


METHOD = (
    "Points of different modes are measured in turn, round by round, in several boots; a round is "
    "a short window behind a ramp. Modes are compared inside each round: the ratio of the two, "
    "then the median of the ratios and its interval from order statistics.",
    "The device limit is the raw ring, polled: prepared commands without ids, PRPs or callbacks. "
    "null is the engine against completions posted in memory.",
    "Host CPU is the time of QEMU's threads within the window, from /proc: vCPU runs the guest, "
    "device plays the drive. Instructions come from a pass of its own under -icount.",
    "Latencies are percentiles of each round, then the median over rounds; the curves are of all "
    "rounds together.",
    "docs/benchmarking.md has the whole method, and what the figures are not.",
)


def _head() -> str:
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(TITLE)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(TITLE)}</h1>",
            '<p class="small">NVMe on QEMU\'s RISC-V machine: what polling and interrupts cost. '
            "Emulated: compare ratios, not absolute numbers.</p>",
        )
    )


def page(result: dict, peers: dict, folder: Path) -> str:
    """The page; pictures are taken from `folder`, `peers` is peers.json or empty."""
    warnings = ["This is a partial result: the run was ended early."] * bool(result.get("partial"))
    warnings += host_noise.troubles(result)
    every = "\n".join(tables.table(result))
    return "".join(
        (
            _head(),
            *(f'<p class="warn">{escape(text)}</p>' for text in warnings),
            "<h2>The answer</h2>",
            _answers(result, peers),
            "<h2>The pictures</h2>",
            _pictures(folder, result),
            "<h2>Beside the four questions</h2>",
            *map(_section, answer.rest(result)),
            "<h3>Targets and faults</h3>",
            _list([*goals.lines(result), *goals.missed_lines(result)]),
            _folded("every target at every point", _list(a.line() for a in goals.aims(result))),
            "<h2>How much to believe</h2>",
            _list([*answer.notes(result), *METHOD]),
            _folded(f"all {len(result['jobs'])} points", f"<pre>{escape(every)}</pre>"),
            f"<pre>{escape(header(result['environment']))}</pre>",
            "<p>To repeat it: make bench; with Linux: make bench-peers.</p>",
            "</body></html>\n",
        )
    )
