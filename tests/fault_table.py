"""The fault classes of tests/model/faults.def, for Python. tests/model/fault.h reads it for C."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

TABLE = Path(__file__).resolve().parent / "model" / "faults.def"
ROW = re.compile(
    r'^FAULT\((\d+), (\w+), (true|false), "([^"]+)",\s+"([^"]+)",\s+"([^"]+)",\s+"([^"]*)"\)$',
    re.M,
)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One class, as its row says."""

    number: int
    name: str
    fatal: bool
    what: str
    match: str
    action: str
    machine: str  # a pattern of cases of tests/qemu/run.py, or nothing


def read() -> list[Fault]:
    """All classes, in order."""
    found = ROW.findall(TABLE.read_text())
    return [Fault(int(number), name, fatal == "true", *words)
            for number, name, fatal, *words in found]
