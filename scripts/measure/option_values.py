"""Values of bench.py's command line: sizes, times, rates; UsageError for bad ones."""

from __future__ import annotations

import re

from cli.errors import UsageError, parse_size
from measure.plan import BLOCK_MAX, BLOCK_UNIT, Rate

# fio's units of time; a number without one is seconds.
MS_PER_UNIT = {
    "": 1e3, "s": 1e3, "ms": 1, "msec": 1, "us": 1e-3, "usec": 1e-3, "m": 6e4, "h": 3.6e6,
    "d": 8.64e7,
}
TIME_MAX_MS = 3_600_000
RATE_MAX = 10_000_000
PERCENT_MAX = 200  # above 100 the queue fills: shows where latency leaves the flat part


def parse_block(word: str, what: str) -> int:
    """`4k` or `1m`: the size of a transfer."""
    value = parse_size(word, what)
    if value > BLOCK_MAX:
        raise UsageError(f"{what}: {word} is out of range ({BLOCK_UNIT} to {BLOCK_MAX})")
    if value % BLOCK_UNIT:
        raise UsageError(f"{what}: {word} is not a multiple of {BLOCK_UNIT}")
    return value


def parse_time_ms(text: str, what: str, least_ms: int = 1) -> int:
    """`500ms`, `2s`, `1h` or `2` (seconds, as fio) in milliseconds."""
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-z]*)", text.strip().lower())
    if not match or match[2] not in MS_PER_UNIT:
        raise UsageError(f"{what}: '{text}' is not a time; hint: such as 500ms, 2s, 5m or 1h")
    value_ms = float(match[1]) * MS_PER_UNIT[match[2]]
    if not least_ms <= value_ms <= TIME_MAX_MS:
        raise UsageError(f"{what}: {text} is out of range ({least_ms}ms to 1h)")
    return round(value_ms)


def parse_rate(word: str, what: str) -> Rate:
    """`5000`, `5k` or `10%`: I/Os per second of each hart, or per cent of saturation.

    k is 1024 here too, as it is in fio.
    """
    match = re.fullmatch(r"([0-9]{1,18})(?:([kKmM]?)|(%))", word)
    if not match:
        raise UsageError(
            f"{what}: '{word}' is not a rate; hint: I/Os per second of each hart, such as 5000, or "
            "per cent of saturation, such as 10%")
    percent = match[3] or ""
    value = int(match[1]) << {"": 0, "k": 10, "m": 20}[(match[2] or "").lower()]
    most = PERCENT_MAX if percent else RATE_MAX
    if not 1 <= value <= most:
        raise UsageError(f"{what}: {word} is out of range (1 to {most}{percent})")
    return Rate(percent=value) if percent else Rate(value)
