"""fio/: a file per point in the shape of fio's own output, for tools that read one job per file.

Such a tool, as fio-plot, takes the files of a folder for one curve, and tells their points apart by
rw, iodepth and numjobs alone. What else differs is in the folder's name.
"""

from __future__ import annotations

import json
from pathlib import Path

from measure.plan import CLOCKED, doorbell_of_options, shape_of_options
from results.result_file import whole

FOLDER = "fio"
HEAD = ("fio version", "timestamp", "timestamp_ms", "time", "global options")


def place(job: dict) -> Path:
    """`4096-b1-poll-per-hart/randread-32-1.json`: the place of a job; `bdepth` is a batch of the
    whole depth, `r10%` a load; a load that is not steady has its shape (`step`, `beside`), a
    doorbell that is not clocked its rule (`each`)."""
    options, mine = job["job options"], job["hartq"]
    depth, shape = int(options["iodepth"]), shape_of_options(options)
    doorbell = doorbell_of_options(options)
    load = f"r{mine['rate_percent']}%" if mine["rate_percent"] else f"r{mine['rate_iops']}"
    parts = (options["bs"], "bdepth" if mine["batch"] == depth > 1 else f"b{mine['batch']}",
             *[load] * bool(mine["rate_iops"]), *[shape] * (shape != "steady"),
             *[doorbell] * (doorbell != CLOCKED), mine["completion"], mine["delivery"])
    return Path("-".join(parts), f"{options['rw']}-{depth}-{options['numjobs']}.json")


def clear(folder: Path) -> None:
    """Remove the files of an older result."""
    for path in (folder / FOLDER).glob("*/*.json"):
        path.unlink()


def save(result: dict, folder: Path) -> None:
    """Write a file for each job of a result into DIR/fio."""
    head = {name: result[name] for name in HEAD}
    for job in result["jobs"]:
        path = folder / FOLDER / place(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as sink:
            sink.write(json.dumps({**head, "jobs": [job]}, indent=1) + "\n")
