"""report.html and answer.md: a result as one page that needs no other file.

The texts around the figures are in report.html.j2 and answer.md.j2. Pictures are inside the page;
it loads nothing, runs no script and shows nothing unescaped.
"""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2

from analysis import goals, host_noise
from analysis.series import all_series
from linux import tables as linux_tables
from measure.environment import header
from report import advice, answer, tables
from report.pictures import PICTURES

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True,
    keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
    autoescape=jinja2.select_autoescape(["html.j2"]),
)
PAGES.globals |= {"advice": advice, "answer": answer, "goals": goals, "noise": host_noise,
                  "points": tables, "header": header, "about": PICTURES}


def render(name: str, result: dict, peers: dict, folder: Path | None = None) -> str:
    """report.html or answer.md; `peers` is peers.json or empty, pictures come from `folder`."""
    rows = peers.get("comparisons", [])
    drawn = {each: folder / f"{each}.png" for each in PICTURES} if folder else {}
    return PAGES.get_template(f"{name}.j2").render(
        result=result, peers=peers,
        pictures={each: base64.b64encode(path.read_bytes()).decode()
                  for each, path in drawn.items() if path.exists()},
        workload=next(iter(all_series(result)), "no closed loop was measured"),
        main=tables.of_main_series(result),
        comparisons=answer.Table(linux_tables.HEAD, [
            linux_tables.cells(row, peers.get("host_quiet", True)) for row in rows],
                                 linux_tables.CAPTION),
        times=answer.Table(linux_tables.TIME_HEAD, linux_tables.time_rows(rows),
                           linux_tables.TIME_CAPTION),
        counts=answer.Table(linux_tables.COUNT_HEAD,
                            linux_tables.count_rows(peers.get("instructions", [])),
                            linux_tables.COUNT_CAPTION))
