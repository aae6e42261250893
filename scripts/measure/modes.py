"""The completion modes, one row each. Their words are those of the guest (bench/job.c)."""

from __future__ import annotations

from typing import NamedTuple


class Mode(NamedTuple):
    """What a mode is to the scripts."""

    name: str  # in a sentence
    spins: bool = True  # needs a core of the host for each hart
    interrupts: bool = False  # takes interrupts, and can miss one
    reference: bool = False  # a line that modes are compared with, not a mode to use
    usual: bool = True  # measured unless others are asked for


MODES = {
    "poll": Mode("polling"),
    "irq": Mode("interrupts", spins=False, interrupts=True),
    "hybrid": Mode("hybrid", interrupts=True),
    "raw": Mode("raw ring", reference=True),
    "loopback": Mode("loopback (completions in memory)", reference=True, usual=False),
}
NAMES = {word: mode.name for word, mode in MODES.items()}
MEASURED = tuple(word for word, mode in MODES.items() if mode.usual)
SPINNING = tuple(word for word, mode in MODES.items() if mode.spins)
WAITING = tuple(word for word, mode in MODES.items() if mode.interrupts)
REFERENCES = tuple(word for word, mode in MODES.items() if mode.reference)
USABLE = tuple(word for word, mode in MODES.items() if not mode.reference)
