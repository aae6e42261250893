"""The names of what plot.py writes into a result's folder."""

from __future__ import annotations

from pathlib import Path

PICTURES = (
    "iops", "latency", "cpu", "heatmap", "cost", "scaling", "timeline", "blocksize", "openloop",
    "peers",
)  # fmt: skip
KINDS = ("png", "svg")
ANSWER, REPORT = "answer.md", "report.html"


def clear(folder: Path) -> None:
    """Remove what was drawn from an older result: it must not stand beside a new one."""
    for name in [f"{stem}.{kind}" for stem in PICTURES for kind in KINDS] + [ANSWER, REPORT]:
        (folder / name).unlink(missing_ok=True)
