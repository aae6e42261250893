"""The machine in virtual time as qemu.guest starts it: a program of the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cli.errors import UsageError
from qemu.machine import BUILD, ROOT, check_arguments
from sim import profile

APPS = {"bench": "sim-bench", "instructions": "sim-instructions"}


def find_program(app: str) -> Path:
    """The program that APP is on this machine. UsageError if there is none."""
    if app not in APPS:
        raise UsageError(f"program: '{app}' is unknown to --machine sim ({', '.join(APPS)})")
    path = BUILD / APPS[app]
    if not path.is_file():
        raise UsageError(f"program: build/{APPS[app]} does not exist; hint: make sim-programs")
    return path


def check_options(machine: str, unheeded: Sequence[str]) -> None:
    """UsageError if options were given that only QEMU heeds."""
    if unheeded:
        raise UsageError(f"--machine: {machine} takes no {', '.join(unheeded)}; hint: "
                         f"{profile.FILE.relative_to(ROOT)} has its figures")


@dataclasses.dataclass
class SimMachine:
    """One run: the fields that a guest needs of a machine."""

    profile: str
    app: str = "bench"
    arguments: Sequence[str] = ()
    harts: int = 1
    controllers: int = 1
    memory_mib: int = 256
    messages: bool | None = None  # None: as the profile has it
    seed: int = 1
    timeout_s: float = 60.0
    gdb: bool = False
    overrides: dict[str, profile.Value] = dataclasses.field(default_factory=dict)

    def figures(self) -> dict[str, profile.Value]:
        """The profile with what this run says of it."""
        figures = profile.load(self.profile) | self.overrides
        if self.messages is not None:
            figures["messages"] = int(self.messages)
        return figures | {
            "harts": self.harts, "controllers": self.controllers, "seed": self.seed,
            "memory_mib": self.memory_mib}

    def argv(self, _backing_fd: int | None = None) -> list[str]:
        """The command line."""
        check_arguments(list(self.arguments))
        words = profile.words(self.figures())  # a wrong name is told before a missing program
        return [str(find_program(self.app)), *words, *self.arguments]

    def open_backing(self) -> None:
        """There is none: the namespace is empty."""
        return None
