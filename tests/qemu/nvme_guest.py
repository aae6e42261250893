"""What the tests of the nvme tool share: images, the pattern, a FAT volume, a run of the tool."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import itertools
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from qemu.guest import run_guest  # noqa: E402
from qemu.machine import BUILD, Machine, find_qemu  # noqa: E402

MIB = 1 << 20
IMAGE_BYTES = 16 * MIB
TIMEOUT_S = 600.0  # ends a guest that hangs, and judges none: the slowest takes 10 s alone
MASK = (1 << 64) - 1
# QEMU before 9.2 may lose a message to an IMSIC: the watchdog finds it.
LOST_MESSAGES = r"note: missed interrupts \d+, stale completions 0, malformed completions 0"


@dataclasses.dataclass(frozen=True)
class Case:
    """One test: `run` raises if it fails."""

    name: str
    run: Callable[[], None]


class Failure(AssertionError):
    """What was expected, and the console."""


class Skipped(Exception):
    """Why this emulator cannot show it."""


# ---- Images ------------------------------------------------------------------------------------


@functools.lru_cache
def random_bytes(size: int) -> bytes:
    """The same bytes in every run."""
    return random.Random(size).randbytes(size)


@functools.lru_cache
def folder() -> Path:
    """Where the images of this run are, below build/, until the interpreter ends."""
    path = Path(tempfile.mkdtemp(prefix="nvme_tool-", dir=BUILD))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def shared_image() -> Path:
    """The random image, one file per thread: QEMU locks an image. Nobody writes to it."""
    path = folder() / f"shared-{threading.get_ident()}.img"
    if not path.exists():
        path.write_bytes(random_bytes(IMAGE_BYTES))
    return path


@functools.lru_cache
def shared_crc() -> int:
    """zlib's CRC-32 of the random image."""
    return zlib.crc32(random_bytes(IMAGE_BYTES))


class image:
    """A file with this content for one test, the target of `as`."""

    # Not a temporary file that goes with its object: the fork before QEMU drops objects, too.
    numbers = itertools.count()

    def __init__(self, content: bytes) -> None:
        self.path = folder() / f"{next(self.numbers)}.img"
        self.path.write_bytes(content)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink()


@functools.lru_cache
def pattern(seed: int, begin: int, size: int) -> bytes:
    """What `fill seed=` writes from byte `begin` on: splitmix64 by 8-byte word."""
    words = bytearray()
    for index in range(begin // 8 + 1, (begin + size) // 8 + 1):
        word = (seed + index * 0x9E3779B97F4A7C15) & MASK
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
        word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
        words += (word ^ word >> 31).to_bytes(8, "little")
    return bytes(words)


# ---- A FAT volume ------------------------------------------------------------------------------

FAT_SECTOR, FAT_SECTORS, FAT_ROOT_ENTRIES = 512, 160, 32
FAT_DATA_SECTOR = 1 + 1 + FAT_ROOT_ENTRIES * 32 // FAT_SECTOR


def fat_volume(name: bytes, content: bytes) -> bytes:
    """A FAT12 volume with one FAT and one file, its clusters (a sector each) in no order."""
    volume = bytearray(FAT_SECTOR * FAT_SECTORS)
    clusters = list(range(2, FAT_SECTORS - FAT_DATA_SECTOR + 2))
    random.Random(1).shuffle(clusters)
    chain = clusters[: (len(content) + FAT_SECTOR - 1) // FAT_SECTOR]
    parameters = (FAT_SECTOR, 1, 1, 1, FAT_ROOT_ENTRIES, FAT_SECTORS, 0xF8, 1, 1, 1, 0, 0)
    volume[0:11] = b"\xeb\x3c\x90hartq   "
    volume[11:36] = struct.pack("<HBHBHHBHHHII", *parameters)
    volume[510:512] = b"\x55\xaa"
    entries = {0: 0xFF8, 1: 0xFFF, **dict(zip(chain, [*chain[1:], 0xFFF]))}
    for cluster, value in entries.items():
        at = FAT_SECTOR + cluster * 3 // 2
        (pair,) = struct.unpack_from("<H", volume, at)
        pair |= value << 4 if cluster % 2 else value
        struct.pack_into("<H", volume, at, pair)
    root = 2 * FAT_SECTOR
    volume[root : root + 32] = struct.pack("<11sB14xHI", name, 0x20, chain[0], len(content))
    for index, cluster in enumerate(chain):
        part = content[index * FAT_SECTOR : (index + 1) * FAT_SECTOR]
        at = (FAT_DATA_SECTOR + cluster - 2) * FAT_SECTOR
        volume[at : at + len(part)] = part
    return bytes(volume)


def fat_read(volume: bytes, name: bytes) -> bytes:
    """The file, found the way a driver does: boot sector, root folder, chain of clusters."""
    sector, per_cluster, reserved, fats, root_entries = struct.unpack_from("<HBHBH", volume, 11)
    (fat_sectors,) = struct.unpack_from("<H", volume, 22)
    root = (reserved + fats * fat_sectors) * sector
    data = root + root_entries * 32
    entry = next(
        volume[at : at + 32] for at in range(root, data, 32) if volume[at : at + 11] == name
    )
    cluster, size = struct.unpack_from("<HI", entry, 26)
    content = bytearray()
    while 2 <= cluster < 0xFF0 and len(content) < size:
        at = data + (cluster - 2) * per_cluster * sector
        content += volume[at : at + per_cluster * sector]
        (pair,) = struct.unpack_from("<H", volume, reserved * sector + cluster * 3 // 2)
        cluster = pair >> 4 if cluster % 2 else pair & 0xFFF
    return bytes(content[:size])


# ---- Running the tool --------------------------------------------------------------------------


def check(good: bool, what: str, console: Sequence[str] = ()) -> None:
    """Raise Failure unless it is good."""
    if not good:
        raise Failure("\n  ".join([what, *console[-25:]]))


def nvme(
    words: str,
    *expected: str,
    status: int = 0,
    backing: Path | str = "null",
    harts: int = 1,
    app: str = "nvme",
    **fields: object,
) -> list[str]:
    """Run `nvme WORDS`; its console, once the status is right and each expected text is there.

    `app` is another program. `fields` are Machine's. QEMU's own refusal, a lost interrupt or a
    time-out fail every test.
    """
    machine = Machine(
        app,
        words.split(),
        backing=str(backing),
        harts=harts,
        timeout_s=TIMEOUT_S,
        **fields,  # type: ignore[arg-type]
    )
    console: list[str] = []
    result = run_guest(machine, lambda line: console.append(line.text), by_line=True)
    begin = next((i for i, text in enumerate(console) if text.startswith("Boot HART MEDELEG")), -1)
    console = [f"{app} {words}: {result.reason}", *console[begin + 1 :]]
    if result.stderr:
        console.append(result.stderr)
    check(result.status == status, f"status {result.status} instead of {status}", console)
    text = "\n".join(console)
    lost = LOST_MESSAGES if fields.get("irqchip") == "imsic" else "no line at all"
    missed = [t for t in console if "missed interrupts" in t and not re.fullmatch(lost, t)]
    check(not missed, "interrupts were missed", console)
    for each in expected:
        check(re.search(each, text, re.M) is not None, f"no '{each}' on the console", console)
    return console


def qemu_version(qemu: str | None = None) -> tuple[int, ...]:
    """Of the emulator that these tests use. What it does is asked rather, where it can be."""
    _, version = find_qemu(qemu or os.environ.get("QEMU") or "qemu-system-riscv64")
    return tuple(int(part) for part in version.split(".")[:2])


@functools.lru_cache
def mdts_largest() -> str:
    """0, which is no limit, where QEMU takes it; else (10.0.13: at most IOV_MAX pages) 2 MiB."""
    machine = Machine("nvme", ["identify"], harts=1, nvme={"mdts": "0"}, timeout_s=TIMEOUT_S)
    result = run_guest(machine)
    return "9" if "mdts" in result.stderr else "0"


def crc(words: str, *expected: str, **fields: object) -> list[str]:
    """The CRC of the shared image, by the guest, must be zlib's."""
    fields.setdefault("backing", shared_image())
    right = f"^crc32 {shared_crc():08x}$"
    return nvme(f"crc {words}", right, *expected, **fields)  # type: ignore[arg-type]


def dumped(console: Sequence[str]) -> bytes:
    """The bytes of a hex dump."""
    lines = (re.match(r"[0-9a-f]{8}  ((?:[0-9a-f]{2} ){16})", line) for line in console)
    return b"".join(bytes.fromhex(line[1]) for line in lines if line)


# ---- Combinations ------------------------------------------------------------------------------

Row = Mapping[str, object]


def product(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """Every combination."""
    return [dict(zip(factors, values)) for values in itertools.product(*factors.values())]


def pairwise(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """Few combinations in which every pair of values of two factors occurs."""

    def pairs(row: Row) -> set[tuple[tuple[str, object], ...]]:
        return set(itertools.combinations(row.items(), 2))

    rows = product(factors)
    missing = set().union(*map(pairs, rows))
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(pairs(row) & missing))
        missing -= pairs(best)
        chosen.append(best)
    return chosen
