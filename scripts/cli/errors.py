"""What every script says of a bad value, and sizes in words."""

from __future__ import annotations

import re

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
            f"{what}: '{text}' is not a size (a whole number, then k, m, g or t; such as 64m)")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]
    if not 0 < size <= DISK_SIZE_MAX_BYTES:
        raise UsageError(f"{what}: {text} is out of range (1 byte to {DISK_SIZE_MAX_BYTES >> 40}t)")
    return size
