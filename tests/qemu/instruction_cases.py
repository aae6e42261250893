"""The detail of the instruction counts: the functions' instructions are what the guest counted."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import instruction_detail  # noqa: E402
from measure import instructions  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Case:
    """One machine, whose windows stay clear of the firmware."""

    index: int

    @property
    def name(self) -> str:
        """For the list of cases."""
        return f"instructions detail {self.index}"

    def run(self) -> None:
        """Every window's functions sum up to the count, and nothing of it is unknown."""
        details = instruction_detail.trace_machine(
            instructions.MACHINES[self.index],
            None,
            instructions.measure_machine,
            instructions.PARTS,
        )
        if not details:
            raise RuntimeError("no window was traced")
        for detail in details:
            total = sum(count for _, count in detail.functions)
            rest = dict(detail.functions).get(instruction_detail.REST, 0)
            if total != detail.row[detail.part] or rest:
                raise RuntimeError(
                    f"{instructions.name_of(detail.row)}: {detail.part}: {total} of "
                    f"{detail.row[detail.part]} by function, {rest} of no function"
                )


def cases() -> Iterator[Case]:
    """The machine with the PLIC: the other goes the same way."""
    yield Case(0)
