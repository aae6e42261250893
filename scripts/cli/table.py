"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def lay_out(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for the head and for each row, cells aligned on the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.rjust, line, widths)).rstrip() for line in lines]
