"""The check of power cuts: what it takes for lost, and what not, on logs made by hand."""

from __future__ import annotations

import unittest
from collections.abc import Sequence

from support import ScriptTest

import power_log
from power_log import NEVER, Entry, Record

BLOCK = 512
SEED = 5
FLUSH = Entry(0, b"", True)


def block(request: int, lba: int) -> bytes:
    """What the guest writes."""
    stamp = power_log.STAMP.pack(
        power_log.STAMP_MAGIC ^ SEED, request, lba, ~lba & power_log.MASK
    )
    return stamp * (BLOCK // len(stamp))


def write(request: int, lba: int, blocks: int = 1) -> Entry:
    """A write in the log."""
    data = b"".join(block(request, lba + i) for i in range(blocks))
    return Entry(lba * BLOCK, data, False)


def log_of(entries: Sequence[Entry]) -> bytes:
    """The log as QEMU writes it."""
    log = power_log.LOG_SUPER.pack(power_log.LOG_MAGIC, 1, len(entries), BLOCK).ljust(BLOCK, b"\0")
    for entry in entries:
        sectors = len(entry.data) // BLOCK
        head = power_log.LOG_ENTRY.pack(entry.at // BLOCK, sectors, int(entry.flush), 0)
        log += head.ljust(BLOCK, b"\0") + entry.data
    return log


# Request 0 is acknowledged, then flush 1 is posted; request 2 comes behind the flush.
RECORDS = [
    Record("w", 8, 2, 1, 2),
    Record("f", 0, 0, 3, 4),
    Record("w", 20, 1, 5, 6),
]
LOG = [write(0, 8, 2), FLUSH, write(2, 20)]


class PowerLogTest(ScriptTest):
    """power_log.check()"""

    def check(
        self, entries: Sequence[Entry], records: Sequence[Record] = tuple(RECORDS)
    ) -> power_log.Verdict:
        """The check, over the log's bytes."""
        return power_log.check(records, power_log.read_log(log_of(entries)), BLOCK, SEED)

    def lost(
        self, what: str, entries: Sequence[Entry], records: Sequence[Record] = tuple(RECORDS)
    ) -> None:
        """The check must say so."""
        with self.assertRaisesRegex(power_log.Lost, what):
            self.check(entries, records)

    def test_kept(self) -> None:
        """Writes before a flush are there at each cut behind it."""
        verdict = self.check(LOG)
        self.assertEqual((verdict.cuts, verdict.boundaries, verdict.promises), (3, 1, 2))

    def test_lost_write(self) -> None:
        """A write that the flush covers and the medium does not have, whole or in part."""
        self.lost("block 8 has nothing; request 0", [FLUSH, write(2, 20)])
        self.lost("block 9 has nothing; request 0", [write(0, 8), FLUSH, write(2, 20)])

    def test_lost_flush(self) -> None:
        """The flush was acknowledged before request 2 was posted, so before its data."""
        self.lost("entry 1: block 8 has nothing", [write(0, 8, 2), write(2, 20), FLUSH])
        self.lost("entry 1: block 8 has nothing", [write(0, 8, 2), write(2, 20)])

    def test_uncovered(self) -> None:
        """A write that was acknowledged behind the post of the flush may be lost."""
        records = [Record("w", 8, 2, 1, 4), Record("f", 0, 0, 3, 5), Record("w", 20, 1, 6, 7)]
        self.check([FLUSH, write(0, 8, 2), write(2, 20)], records)

    def test_newer(self) -> None:
        """A newer write of the block may be there instead, an older one may not."""
        records = [*RECORDS, Record("w", 8, 2, 7, 8), Record("f", 0, 0, 9, 10)]
        self.check([*LOG, write(3, 8, 2), FLUSH], records)
        self.lost("has request 0; request 3 was promised", [*LOG, FLUSH, write(3, 8, 2)], records)

    def test_contents(self) -> None:
        """Bytes of two writes in one block, another place, a request that nobody made."""
        torn = block(0, 8)[:256] + block(0, 9)[:256]
        self.lost("block 8: other bytes", [Entry(8 * BLOCK, torn, False)])
        self.lost("block 21: request 2 was for another place", [write(2, 21)])
        self.lost("block 8: request 7 was never made", [write(7, 8)])

    def test_unacknowledged(self) -> None:
        """Every request ends, and reaches the medium without a power cut."""
        self.lost("request 2 was never", LOG, [*RECORDS[:2], Record("w", 20, 1, 5, NEVER)])
        self.lost("without a power cut: block 20 has nothing", LOG[:2])

    def test_fua(self) -> None:
        """FUA writes are counted: those that no flush covers when the next request shows."""
        records = [Record("u", 8, 1, 1, 2), Record("w", 20, 1, 3, 4)]
        self.assertEqual(self.check([write(0, 8), write(1, 20)], records).fua_early, 1)
        self.assertEqual(self.check([write(0, 8), FLUSH, write(1, 20)], records).fua_early, 0)

    def test_needed(self) -> None:
        """Of the covered writes those that no later one makes up for."""
        records = [*RECORDS, Record("w", 8, 2, 7, 8), Record("f", 0, 0, 9, 10)]
        entries = [*LOG, write(3, 8, 2), FLUSH]
        self.assertEqual(power_log.needed(records, entries, BLOCK), [2, 3])

    def test_formats(self) -> None:
        """What the guest prints; a file that is no log; a log that was cut off."""
        lines = ["ok power.irq", "power w 8 2 1 2", "power f 0 0 3 4", "power w 20 1 5 0"]
        records = power_log.parse_console(lines)
        self.assertEqual(records[:2], RECORDS[:2])
        self.assertEqual(records[2].acked, NEVER)
        with self.assertRaisesRegex(ValueError, "not a log"):
            power_log.read_log(bytes(BLOCK))
        with self.assertRaisesRegex(ValueError, "ends amid"):
            power_log.read_log(log_of(LOG)[:-1])


if __name__ == "__main__":
    unittest.main()
