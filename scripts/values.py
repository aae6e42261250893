"""Values of bench.py's command line: lists, sizes, times, rates; UsageError for bad ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from machine import UsageError, parse_size
from matrix import BLOCK_MAX, BLOCK_UNIT, Rate

NS_PER_UNIT = {"": 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "m": 60 * 10**9}
RATE_MAX = 10_000_000
PERCENT_MAX = 200


def parse_numbers(text: str, what: str, low: int, high: int) -> tuple[int, ...]:
    """`1,4,32` as numbers in their range, each once."""
    values = []
    for word in map(str.strip, text.split(",")):
        if not re.fullmatch(r"[0-9]+", word):
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


def parse_time_ms(text: str, what: str) -> int:
    """`500ms`, `2s` or `2` (seconds, as fio) in milliseconds."""
    number = text.strip().rstrip("smu")
    unit = text.strip()[len(number) :]
    try:
        value_ms = float(number) * NS_PER_UNIT[unit] / 1e6
    except (ValueError, KeyError) as error:
        raise UsageError(f"{what}: '{text}' is not a time (such as 500ms or 2s)") from error
    if not 1 <= value_ms <= 3.6e6:
        raise UsageError(f"{what}: {text} is out of range (1ms to 3600s)")
    return round(value_ms)


def parse_rates(text: str, what: str) -> tuple[Rate, ...]:
    """`5000,10%` as rates, each once: I/Os per second of each hart, or per cent of the capacity."""
    rates = []
    for word in map(str.strip, text.split(",")):
        match = re.fullmatch(r"([0-9]+)(%?)", word)
        if not match:
            raise UsageError(
                f"{what}: '{word}' is not a rate (I/Os per second of each hart, such as 5000, or "
                "per cent of the capacity, such as 10%)"
            )
        value, most = int(match[1]), PERCENT_MAX if match[2] else RATE_MAX
        if not 1 <= value <= most:
            raise UsageError(f"{what}: {word} is out of range (1 to {most}{match[2]})")
        rates.append(Rate(percent=value) if match[2] else Rate(value))
    return tuple(dict.fromkeys(rates))
