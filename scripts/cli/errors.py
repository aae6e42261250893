"""What every script says of a bad value, and the values that many options have."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence

DISK_SIZE_MAX_BYTES = 1 << 43


class Failed(Exception):
    """Why a script cannot do its work, in words; `status` is what it ends with."""

    status = 1


class UsageError(Failed):
    """A value that cannot work, found before anything was started: what, value, limit, hint."""

    status = 2


def parse_size(text: str, what: str) -> int:
    """Bytes of `64m`, `1G`, `4096`: a whole number, then k, m, g or t (powers of 1024)."""
    match = re.fullmatch(r"([0-9]{1,18})([kmgt]?)i?b?", text.strip().lower())
    if not match:
        raise UsageError(
            f"{what}: '{text}' is not a size; hint: a whole number, then k, m, g or t, such as 64m")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]
    if not 0 < size <= DISK_SIZE_MAX_BYTES:
        raise UsageError(f"{what}: {text} is out of range (1 byte to {DISK_SIZE_MAX_BYTES >> 40}t)")
    return size


def parse_number(word: str, what: str, low: float, high: float) -> int | float:
    """A number in its range, whole if `low` is."""
    part = r"(\.[0-9]*)?" if isinstance(low, float) else ""
    if not re.fullmatch(f"-?[0-9]{{1,18}}{part}", word):
        raise UsageError(f"{what}: '{word}' is not a number ({low} to {high})")
    if not low <= (value := type(low)(word)) <= high:
        raise UsageError(f"{what}: {word} is out of range ({low} to {high})")
    return value


def number(what: str, low: float, high: float) -> Callable[[str], int | float]:
    """The reader of a number, for add_argument(type=)."""
    return lambda text: parse_number(text, what, low, high)


def parse_word(word: str, what: str, known: Sequence[str]) -> str:
    """A word that is known."""
    if word not in known:
        raise UsageError(f"{what}: '{word}' is unknown ({', '.join(known)})")
    return word


def listed(parse: Callable[..., Hashable], what: str, *known: object) -> Callable[[str], tuple]:
    """The reader of a list such as `1,4,32`; parse(word, what, *known) reads one value."""

    def read(text: str) -> tuple:
        values = tuple(parse(word.strip(), what, *known) for word in text.split(","))
        if len(set(values)) != len(values):
            raise UsageError(f"{what}: '{text}' has a value twice; hint: name each value once")
        return values

    return read
