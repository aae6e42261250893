"""What a power cut would have left, from the log of QEMU's blklogwrites, against what was promised.

The log has every write in the order in which it reached the medium, and every flush of it. A
power cut behind any entry keeps at least what the last flush before it covers. The guest names its
request in each block, and one clock stamps posts and acknowledgements (selftest/power.c). A log
entry tells the time: what was acknowledged before a request was posted came before its data.

Promised is: an acknowledged flush keeps the writes that were acknowledged before it was posted. An
FUA write would keep itself, but QEMU's controller ignores FUA (seen: 7.2, 10.0, 11.0), and with
write-cache=off QEMU acknowledges some writes before it flushes. So these are counted, not judged.
The log's format is that of Linux's dm-log-writes.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterable, Sequence

LOG_MAGIC = 0x6A736677736872
LOG_VERSION = 1
LOG_SUPER = struct.Struct("<QQQI")  # magic, version, entries, sector bytes
LOG_ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8

STAMP = struct.Struct("<QQQQ")  # of each block, again and again: magic, request, LBA, ~LBA
STAMP_MAGIC = 0x7077722D63757421
MASK = (1 << 64) - 1
NEVER = 1 << 64


class Lost(AssertionError):
    """A promise that was not kept."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A request of the guest. `acked` is NEVER if its callback did not run."""

    kind: str  # w: write, u: FUA write, f: flush
    lba: int
    blocks: int
    posted: int
    acked: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of the log: data at a byte of the medium, or a flush of it."""

    at: int
    data: bytes
    flush: bool


@dataclasses.dataclass
class Verdict:
    """What was checked."""

    cuts: int = 0  # positions in the log
    boundaries: int = 0  # of these: flushes
    promises: int = 0  # blocks that had to be there, at all boundaries together
    fua: int = 0  # FUA writes
    fua_early: int = 0  # of these: acknowledged before a flush covers them


def parse_console(lines: Iterable[str]) -> list[Record]:
    """The requests that the guest has printed."""
    found = (re.fullmatch(r"power ([wuf]) (\d+) (\d+) (\d+) (\d+)", line) for line in lines)
    return [
        Record(m[1], int(m[2]), int(m[3]), int(m[4]), int(m[5]) or NEVER) for m in found if m
    ]


def read_log(log: bytes) -> list[Entry]:
    """The entries, in order."""
    magic, version, count, sector = LOG_SUPER.unpack_from(log)
    if (magic, version) != (LOG_MAGIC, LOG_VERSION):
        raise ValueError(f"not a log of writes: magic {magic:#x}, version {version}")
    entries, at = [], sector
    for _ in range(count):
        first, sectors, flags, _ = LOG_ENTRY.unpack_from(log, at)
        if flags & (DISCARD | MARK):
            raise ValueError(f"flags {flags:#x} at byte {at}: nobody discards or marks")
        at += sector
        data = log[at : at + sectors * sector]
        if len(data) != sectors * sector:
            raise ValueError(f"the log ends amid the data at byte {at}")
        at += len(data)
        entries.append(Entry(first * sector, data, bool(flags & (FLUSH | FUA))))
    return entries


class Medium:
    """The medium as the log goes on: which request wrote each block, and what a cut would keep."""

    def __init__(self, records: Sequence[Record], block_bytes: int, seed: int) -> None:
        self.records = records
        self.block_bytes = block_bytes
        self.magic = STAMP_MAGIC ^ seed
        self.latest: dict[int, int] = {}
        self.durable: dict[int, int] = {}
        self.now = 0  # a request of this time has reached the medium

    def put(self, entry: Entry) -> None:
        """One more entry of the log."""
        for offset in range(0, len(entry.data), self.block_bytes):
            lba = (entry.at + offset) // self.block_bytes
            request = self.request_of(entry.data[offset : offset + self.block_bytes], lba)
            self.latest[lba] = request
            self.now = max(self.now, self.records[request].posted)
        if entry.flush:
            self.durable = dict(self.latest)

    def keeps(self, request: int) -> bool:
        """Whether a cut would leave a write, or newer ones of its blocks."""
        record = self.records[request]
        return all(
            lba in self.durable and self.records[self.durable[lba]].posted >= record.posted
            for lba in range(record.lba, record.lba + record.blocks)
        )

    def request_of(self, block: bytes, lba: int) -> int:
        """The request that wrote a block; each of its bytes is looked at."""
        magic, request, _, _ = STAMP.unpack_from(block)
        stamp = STAMP.pack(self.magic, request, lba, ~lba & MASK)
        if magic != self.magic or block != stamp * (self.block_bytes // STAMP.size):
            raise Lost(f"block {lba}: other bytes than any request wrote")
        if request >= len(self.records):
            raise Lost(f"block {lba}: request {request} was never made")
        record = self.records[request]
        if not record.lba <= lba < record.lba + record.blocks:
            raise Lost(f"block {lba}: request {request} was for another place")
        return request


class Promises:
    """What must be on the medium: block by block the newest request that was promised."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.due = sorted(
            (r for r in records if r.kind == "f"), key=lambda record: record.acked
        )
        writes = (i for i, r in enumerate(records) if r.kind != "f")
        self.writes = sorted(writes, key=lambda i: records[i].acked)
        self.covered = 0  # writes acknowledged before this time are promised
        self.required: dict[int, int] = {}

    def advance(self, now: int) -> None:
        """Everything that was acknowledged before `now` was promised before it."""
        while self.due and self.due[0].acked < now:
            self.covered = max(self.covered, self.due.pop(0).posted)
        while self.writes and self.records[self.writes[0]].acked < self.covered:
            request = self.writes.pop(0)
            record = self.records[request]
            for lba in range(record.lba, record.lba + record.blocks):
                self.require(lba, request)

    def require(self, lba: int, request: int) -> None:
        """This request, or a newer one."""
        old = self.required.get(lba)
        if old is None or self.records[old].posted < self.records[request].posted:
            self.required[lba] = request

    def check(self, kept: dict[int, int], where: str) -> int:
        """Raise Lost unless all of it is there; how many blocks were looked at."""
        for lba, request in self.required.items():
            found = kept.get(lba)
            if found is None or self.records[found].posted < self.records[request].posted:
                has = "nothing" if found is None else f"request {found}"
                raise Lost(f"{where}: block {lba} has {has}; request {request} was promised")
        return len(self.required)


def check(
    records: Sequence[Record], entries: Sequence[Entry], block_bytes: int, seed: int
) -> Verdict:
    """Cut the power behind each entry. Raises Lost if a promise is not kept."""
    medium = Medium(records, block_bytes, seed)
    promises = Promises(records)
    verdict = Verdict(fua=sum(record.kind == "u" for record in records))
    fua = [i for i, r in enumerate(records) if r.kind == "u"]
    fua.sort(key=lambda i: records[i].acked)
    for number, entry in enumerate(entries):
        before = medium.now
        medium.put(entry)
        verdict.cuts += 1
        verdict.boundaries += entry.flush
        if entry.flush or medium.now != before:
            promises.advance(medium.now)
            verdict.promises += promises.check(medium.durable, f"power cut at entry {number}")
        while fua and records[fua[0]].acked < medium.now:
            verdict.fua_early += not medium.keeps(fua.pop(0))
    promises.advance(NEVER)
    promises.check(medium.durable, "power cut at the end")
    for request, record in enumerate(records):
        if record.acked == NEVER:
            raise Lost(f"request {request} was never acknowledged")
        if record.kind != "f":
            for lba in range(record.lba, record.lba + record.blocks):
                promises.require(lba, request)
    promises.check(medium.latest, "without a power cut")
    return verdict


def needed(records: Sequence[Record], entries: Sequence[Entry], block_bytes: int) -> list[int]:
    """Entries that nothing makes up for: last writes of blocks that the last flush keeps."""
    flushes = [r for r in records if r.kind == "f"]
    covered = max((r.posted for r in flushes), default=0)
    last: dict[int, int] = {}
    for number, entry in enumerate(entries):
        for lba in range(entry.at // block_bytes, (entry.at + len(entry.data)) // block_bytes):
            last[lba] = number
    found = []
    for number, entry in enumerate(entries):
        if entry.data and last[entry.at // block_bytes] == number:
            _, request, _, _ = STAMP.unpack_from(entry.data)
            if records[request].acked < covered:
                found.append(number)
    return found
