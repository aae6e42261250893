"""tests/qemu/instruction_detail.py on a small recorded log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from support import ScriptTest

import instruction_counts as counts
import instruction_detail as detail

NM = """\
0000000000000200 a limit
0000000080000000 t boot_entry
0000000080000010 t count_submit
0000000080000020 T nvme_queue_submit
0000000080000030 T memset
0000000080000038 t trap_entry
0000000080000038 t .L0
0000000080000040 D data
"""
OBJDUMP = """\
    80000010:\tc02024f3          \trdinstret\ts1
    80000012:\t8082                \tret
    8000001c:\tc0202573          \trdinstret\ta0
"""


def log(*addresses: int) -> list[str]:
    """What QEMU 7.2 writes for instructions at these offsets, each translated on its own."""
    return [f"Trace 0: 0x7f1d [0000000000000000/{0x80000000 + at:016x}/0020f001/ff020201] f\n"
            for at in addresses]


SYMBOLS = detail.read_symbols(NM)
EDGES = detail.read_edges(OBJDUMP)
WINDOW = log(0x10, 0x14, 0x20, 0x22, 0x20, 0x18, 0x1C)


class Reading(ScriptTest):
    def test_symbols(self) -> None:
        for at, name in ((0x10, "count_submit"), (0x1F, "count_submit"),
                         (0x20, "nvme_queue_submit"), (0x3E, "trap_entry")):
            self.assertEqual(detail.function_at(0x80000000 + at, SYMBOLS), name)
        self.assertEqual(detail.function_at(0x10, SYMBOLS), "?")

    def test_what_is_logged(self) -> None:
        ranges = list(detail.logged_ranges(SYMBOLS))
        self.assertEqual(ranges[0], (0x80000010, 0x80000030), "boot_entry and memset are left out")

    def test_edges(self) -> None:
        self.assertEqual(EDGES, {0x80000010, 0x8000001C})

    def test_an_instruction_that_was_not_executed(self) -> None:
        stopped = "Stopped execution of TB chain before 0x7f1d [0000000080000022] f\n"
        again = "cpu_io_recompile: rewound execution of TB to 0000000080000022\n"
        for word in (stopped, again):
            lines = [*log(0x20, 0x22), word, *log(0x22, 0x24)]
            self.assertEqual([at & 0xFF for at in detail.executed(lines)], [0x20, 0x22, 0x24])

    def test_other_lines_pass_by(self) -> None:
        self.assertEqual(list(detail.executed(["Linking TBs 1 -> 2\n", "\n"])), [])


class Windows(ScriptTest):
    def found(self, lines: list[str]) -> list[Counter[int]]:
        return list(detail.windows_of(detail.executed(lines), EDGES))

    def test_first_edge_counts_and_last_does_not(self) -> None:
        (window,) = self.found([*log(0x38), *WINDOW, *log(0x38)])
        self.assertEqual(window.total(), 6)
        listed = detail.by_function(window, 6, SYMBOLS)
        self.assertEqual(listed, [("count_submit", 3), ("nvme_queue_submit", 3)])

    def test_open_window_is_none(self) -> None:
        self.assertEqual(len(self.found(WINDOW + log(0x10, 0x14))), 1)

    def test_rest_makes_the_sum(self) -> None:
        (window,) = self.found(WINDOW)
        listed = detail.by_function(window, 10, SYMBOLS)
        self.assertEqual(listed[-1], (detail.REST, 4))
        self.assertEqual(sum(count for _, count in listed), 10)
        with self.assertRaisesRegex(ValueError, "6 instructions logged, 5 counted"):
            detail.by_function(window, 5, SYMBOLS)

    def test_parts_in_turn_and_the_shortest_window(self) -> None:
        longer = log(0x10, 0x14, 0x20, 0x20, 0x20, 0x20, 0x18, 0x1C)
        reap = log(0x10, 0x38, 0x1C)
        rows = [{"batch": 1, "submit": 6, "reap": 2}, {"batch": 1, "reap": 2}]
        windows = self.found([*longer, *reap, *WINDOW, *reap, *longer, *reap, *reap * 3])
        found = detail.details_of(rows, ("submit", "reap"), windows, SYMBOLS)
        self.assertEqual([each.part for each in found], ["submit", "reap", "reap"])
        self.assertEqual([dict(each.functions).get(detail.REST) for each in found], [None] * 3)
        with self.assertRaisesRegex(ValueError, "8 windows, 9 were measured"):
            detail.details_of(rows, ("submit", "reap"), windows[1:], SYMBOLS)


class Arguments(ScriptTest):
    def test_by_version(self) -> None:
        for version, word in (("7.2.22", "-singlestep"), ("8.0.0", "-singlestep"),
                              ("8.1.0", "tcg,one-insn-per-tb=on"),
                              ("10.0.2", "tcg,one-insn-per-tb=on")):
            words = detail.trace_arguments(version, SYMBOLS, Path("/x"))
            self.assertIn(word, words)
            self.assertIn("exec,nochain", words)

    def test_default_pattern_leaves_many_queues_out(self) -> None:
        row = {"completion": "irq", "delivery": "msix", "iodepth": 1, "batch": 1, "bs": 4096}
        for queues, shown in ((1, True), (2, True), (8, False)):
            name = counts.name_of(row | {"queues": queues})
            self.assertEqual(bool(counts.re.search(counts.DETAIL_DEFAULT, name)), shown)
