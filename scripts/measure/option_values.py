"""Values of bench.py's command line: lists, sizes, times, rates; UsageError for bad ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cli.errors import UsageError, parse_size
from measure.plan import BLOCK_MAX, BLOCK_UNIT, Rate

# fio's units of time; a number without one is seconds.
MS_PER_UNIT = {
    "": 1e3, "s": 1e3, "ms": 1, "msec": 1, "us": 1e-3, "usec": 1e-3, "m": 6e4, "h": 3.6e6,
    "d": 8.64e7,
}
TIME_MAX_MS = 3_600_000
RATE_MAX = 10_000_000
PERCENT_MAX = 200


def parse_numbers(text: str, what: str, low: int, high: int) -> tuple[int, ...]:
    """`1,4,32` as numbers in their range, each once."""
    values = []
    for word in map(str.strip, text.split(",")):
        if not re.fullmatch(r"[0-9]{1,18}", word):
            raise UsageError(f"{what}: '{word}' is not a number")
        if not low <= int(word) <= high:
            raise UsageError(f"{what}: {word} is out of range ({low} to {high})")
        values.append(int(word))
    return tuple(dict.fromkeys(values))


def parse_blocks(text: str, what: str) -> tuple[int, ...]:
    """`4k,1m` as sizes of a transfer, each once."""
    values = []
    for word in map(str.strip, text.split(",")):
        value = parse_size(word, what)
        if value > BLOCK_MAX:
            raise UsageError(f"{what}: {word} is out of range ({BLOCK_UNIT} to {BLOCK_MAX})")
        if value % BLOCK_UNIT:
            raise UsageError(f"{what}: {word} is not a multiple of {BLOCK_UNIT}")
        values.append(value)
    return tuple(dict.fromkeys(values))


def parse_words(text: str, what: str, known: Sequence[str]) -> tuple[str, ...]:
    """`poll,irq` as words that are known, each once."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UsageError(f"{what}: '{word}' is unknown ({', '.join(known)})")
    return tuple(dict.fromkeys(words))


def parse_time_ms(text: str, what: str, least_ms: int = 1) -> int:
    """`500ms`, `2s`, `1h` or `2` (seconds, as fio) in milliseconds."""
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-z]*)", text.strip().lower())
    if not match or match[2] not in MS_PER_UNIT:
        raise UsageError(f"{what}: '{text}' is not a time (such as 500ms, 2s, 5m or 1h)")
    value_ms = float(match[1]) * MS_PER_UNIT[match[2]]
    if not least_ms <= value_ms <= TIME_MAX_MS:
        raise UsageError(f"{what}: {text} is out of range ({least_ms}ms to 1h)")
    return round(value_ms)


def parse_rates(text: str, what: str) -> tuple[Rate, ...]:
    """`5000,5k,10%` as rates, each once: I/Os per second of each hart, or per cent of saturation.

    k is 1024 here too, as it is in fio.
    """
    rates = []
    for word in map(str.strip, text.split(",")):
        match = re.fullmatch(r"([0-9]{1,18})(?:([kKmM]?)|(%))", word)
        if not match:
            raise UsageError(
                f"{what}: '{word}' is not a rate (I/Os per second of each hart, such as 5000, or "
                "per cent of saturation, such as 10%)")
        percent = match[3] or ""
        value = int(match[1]) << {"": 0, "k": 10, "m": 20}[(match[2] or "").lower()]
        most = PERCENT_MAX if percent else RATE_MAX
        if not 1 <= value <= most:
            raise UsageError(f"{what}: {word} is out of range (1 to {most}{percent})")
        rates.append(Rate(percent=value) if percent else Rate(value))
    return tuple(dict.fromkeys(rates))
