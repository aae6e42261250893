#!/usr/bin/env python3
"""Draw a result of bench.py as PNG and SVG and write its report. Needs no QEMU.

Can draw results of fio (--output-format=json or json+) from any machine into the same pictures.
Exit status: 0 done, 1 a module is missing or a file was not written, 2 usage or not a result.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import goals
from cli import command
from cli.errors import UsageError
from report import advice, answer
from report.pictures import ANSWER, KINDS, PICTURES, REPORT, clear, small_print
from results import result_file

SYSTEM_PYTHON = "/usr/bin/python3"

try:
    from report import axes, chart_data, charts, page
    from report.overlay import overlay
except ImportError as missing:
    # Another python3 may come first in the path: only the distribution's has the modules.
    if __name__ == "__main__" and sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
        clean = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
        os.execve(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv], clean)
    sys.exit(f"plot.py: {missing}; hint: scripts/setup.sh plot installs what is missing")
except OSError as error:
    sys.exit(f"plot.py: {error}; hint: MPLCONFIGDIR=DIR names a folder for matplotlib")

OVERLAYS_MAX = 8
PEERS = "peers/peers.json"  # made by make bench-peers in a result's folder
EPILOG = f"""\
examples:
  scripts/plot.py results/latest
  scripts/plot.py results/reference linux.json real-ssd.json
  fio --name=qd32 --rw=randread --bs=4k --direct=1 --iodepth=32 --ioengine=io_uring \\
      --filename=/dev/nvme0n1 --output-format=json+ --output=linux.json
writes into DIR what the result has data for, as .png and .svg (peers: from DIR/peers):
  {", ".join(PICTURES)}
and {ANSWER}, {REPORT}
"""


def load_peers(folder: Path) -> dict:
    """The comparison in DIR/peers; empty if there is none."""
    path = folder / PEERS
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        print(f"plot.py: {path} is left out: {error}", file=sys.stderr)
        return {}


def draw(source: chart_data.Source, folder: Path) -> list[str]:
    """Write the pictures that there are data for, and remove those of an older result; names."""
    clear(folder)
    written = []
    for name, picture in PICTURES.items():
        where, data = getattr(chart_data, name)(source)
        if not data:
            continue
        small = small_print(name, source.peers if name == "peers" else source.result)
        figure = getattr(charts, name)(data, f"{picture.title}: {where}", small)
        files = {f"{name}.{kind}": metadata for kind, metadata in KINDS.items()}
        axes.save(figure, {str(folder / file): metadata for file, metadata in files.items()})
        written += files
    return written


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; the return value is the exit status."""
    parser = command.Parser(prog="plot.py", description=__doc__, epilog=EPILOG)
    parser.add_argument("dir", type=Path, metavar="DIR", help="a folder with a results.json")
    parser.add_argument("fio", type=Path, nargs="*", default=[], metavar="fio.json",
                        help="results of fio to lay over")
    options = parser.parse_args(argv)
    if len(options.fio) > OVERLAYS_MAX:
        parser.error(f"{len(options.fio)} results to lay over, at most {OVERLAYS_MAX}")
    try:
        result = result_file.load(options.dir)
        if "environment" not in result:
            raise ValueError(f"{options.dir}: not a result of bench.py; hint: name fio's after DIR")
        others = [overlay(index, path, result) for index, path in enumerate(options.fio)]
        folder = options.dir if options.dir.is_dir() else options.dir.parent
        peers = load_peers(folder)
        written = draw(chart_data.Source(result, others, peers), folder)
        for name in (ANSWER, REPORT):
            text = page.render(name, result, peers, folder)
            (folder / name).write_text(text, encoding="utf-8")
    except ValueError as error:
        raise UsageError(str(error)) from error
    except result_file.BROKEN as error:
        raise UsageError(f"a field is missing or of another kind: {error}") from error
    judged = [*goals.lines(result), *goals.missed_lines(result)]
    told = list(filter(None, [advice.sentence(result)]))
    print(*told, *answer.words(result), "", *judged, "", *answer.notes(result), sep="\n")
    print(f"\nwritten: {', '.join([*written, ANSWER, REPORT])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
