"""Profiles of the machine in virtual time: parts of platform/sim/profiles.toml as words."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping

from cli.errors import UsageError
from qemu.machine import ROOT

FILE = ROOT / "platform" / "sim" / "profiles.toml"
PREFIX = "sim:"
CHANCES = 1_000_000  # what a share of 1 is to the program
BLOCK_BYTES = 512

Value = int | list[list[float]]


@functools.lru_cache
def _tables() -> dict:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def names() -> list[str]:
    """The profiles that have a name."""
    return list(_tables()["profiles"])


def devices() -> list[str]:
    """The parts that are devices with a distribution of latencies."""
    return [name for name, figures in _tables()["parts"].items() if "read" in figures]


def parts(text: str) -> list[str]:
    """The parts of `sim:NAME` or `sim:PART+PART`, whether they exist or not."""
    name = text.removeprefix(PREFIX)
    return _tables()["profiles"].get(name) or name.split("+")


def load(text: str) -> dict[str, Value]:
    """The figures of `sim:NAME` or `sim:PART+PART`; later parts win. UsageError: none such."""
    tables = _tables()
    figures: dict[str, Value] = {}
    for part in parts(text) if text.startswith(PREFIX) else [text]:
        if part == text or part not in tables["parts"]:
            raise UsageError(
                f"machine: {text}: '{part}' is unknown; hint: {PREFIX}NAME, of "
                f"{', '.join(names())}, or parts joined by +: {', '.join(tables['parts'])}")
        figures |= tables["parts"][part]
    return figures


def _word(value: Value) -> str:
    if isinstance(value, list):
        return ",".join(f"{round(share * CHANCES)}:{ns}" for share, ns in value)
    return str(value)


def words(figures: Mapping[str, Value]) -> list[str]:
    """The program's arguments for these figures."""
    known = dict(figures)
    if "link_mb" in known:
        megabytes = known.pop("link_mb")
        known["block_ps"] = round(BLOCK_BYTES * 1e6 / megabytes) if megabytes else 0
    return [f"sim.{name}={_word(value)}" for name, value in known.items()]
