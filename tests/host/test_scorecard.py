"""The scorecard: what it reads from the runners, what fails it, and the table of fault classes."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from support import ROOT

import card_rows
import fault_table
import soak
from card_rows import Card, Figure

GOOD = """
class  fault                                                injected      seeds
4      command ids not in flight                                  11         11
6      lost interrupts                                          6001          3
9      aborts                                              not tried
11     resets with I/O in flight                                4000          7
10001 faults injected, 0 hung, 0 wrong data, 0 touches of released memory
7 lost interrupts told of an entry, 7 recovered, 99 % within 28 ms
53 unmatched entries, 53 refused; 653 calls that must be refused
150 seeds, 29839 requests, 0.2 GB compared in 16.8 s: 0.11 million requests a minute
150 passed, 0 failed
"""


class Canned(Card):
    """A card whose commands print what the test says."""

    def __init__(self, text: str, status: int = 0, short: bool = False) -> None:
        super().__init__(short, 1)
        self.answer = (text, status)

    def run(self, *words: object) -> tuple[str, str, int]:
        return (" ".join(map(str, words)), *self.answer)


def verdicts(text: str, status: int = 0) -> dict[str, bool]:
    """Each figure of the simulation's rows, and whether it meets its aim."""
    found: list[Figure] = []
    for row in card_rows.OF_SIMULATION:
        found += row(Canned(text, status))
    return {figure.name: figure.good for figure in found}


class RowsTest(unittest.TestCase):
    """A row reads its runner's output, and no other output passes."""

    def test_good_output(self) -> None:
        self.assertEqual(set(verdicts(GOOD).values()), {True})

    def test_each_miss_fails_its_row(self) -> None:
        for find, put, name in (
            ("0 hung", "1 hung", "faults injected"),
            ("0 wrong", "1 wrong", "bytes verified"),
            ("0 touches", "2 touches", "faults injected"),
            ("6001 ", "   1 ", "faults injected"),  # fewer than the aim
            ("150 passed, 0", "149 passed, 1", "faults injected"),
            ("53 refused", "52 refused", "unmatched entries"),
            ("7 recovered", "6 recovered", "lost interrupts"),
            ("28 ms", "301 ms", "lost interrupts"),
            ("  4000 ", "   999 ", "resets under load"),
        ):
            with self.subTest(put=put):
                self.assertIn(find, GOOD)
                self.assertFalse(verdicts(GOOD.replace(find, put))[name])

    def test_a_crash_fails_every_row(self) -> None:
        self.assertEqual(set(verdicts("\nsim: crashes in seed 7\n", 134).values()), {False})
        self.assertFalse(verdicts(GOOD, 1)["faults injected"])

    def test_silent_runners_fail(self) -> None:
        for row in (card_rows.fuzz, card_rows.spin, card_rows.power, card_rows.machine,
                    card_rows.mutants):
            for figure in row(Canned("")):
                self.assertFalse(figure.good, figure)

    def test_power_cuts_are_tried_once(self) -> None:
        card = Canned("")
        self.assertIn("power cut", next(card_rows.machine(card)).command)
        card.tried = {24: ["sim 1"]}
        self.assertIn("power cut", next(card_rows.machine(card)).command)
        card.tried[24].append("QEMU 7 cuts")
        self.assertNotIn("power cut", next(card_rows.machine(card)).command)


class TableTest(unittest.TestCase):
    """tests/model/faults.def."""

    def test_every_row_is_read(self) -> None:
        faults = fault_table.read()
        self.assertEqual([fault.number for fault in faults], list(range(1, 25)))
        self.assertEqual(fault_table.TABLE.read_text().count("\nFAULT("), len(faults))

    def test_each_pattern_has_a_case(self) -> None:
        command = [sys.executable, str(ROOT / "tests" / "qemu" / "run.py"), "--list"]
        names = subprocess.run(command, capture_output=True, text=True,
                               check=True).stdout.splitlines()
        for fault in fault_table.read():
            for part in fault.machine.split("|") if "(" not in fault.machine else [fault.machine]:
                with self.subTest(part=part):
                    self.assertTrue(not part or any(re.search(part, name) for name in names))

    def test_what_nothing_tries_is_told(self) -> None:
        card = Canned("")
        card.tried = {fault.number: ["sim 1"] for fault in fault_table.read()}
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertTrue(next(card_rows.classes(card)).good)
            del card.tried[9]
            figure = next(card_rows.classes(card))
        self.assertFalse(figure.good)
        self.assertIn("not tried: 9 abort", figure.text)


class SoakTest(unittest.TestCase):
    """Turns of every kind, each with seeds of its own."""

    def test_turns(self) -> None:
        each = soak.turns(3, ["a case", "b (c)"])
        first = [(name, words(10)) for name, words in (next(each) for _ in range(12))]
        self.assertEqual(len({name for name, _ in first[:6]}), 6)
        self.assertEqual([name for name, _ in first[:6]], [name for name, _ in first[6:]])
        for at in range(6):
            self.assertNotEqual(first[at][1], first[at + 6][1])

    def test_a_turn_that_says_nothing_fails_unless_it_was_stopped(self) -> None:
        for text, status, sums in (
            ("", 0, (0, 1)),
            ("", None, (0, 0)),
            ("3 passed, 0 failed\n", 0, (3, 0)),
            ("3 passed, 0 failed\n", 1, (3, 1)),
            ("3 passed, 2 failed\n", None, (3, 2)),
        ):
            with self.subTest(text=text, status=status), tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / "turn.txt"
                output.write_text(text)
                told = soak.Soak(1, 60)
                with contextlib.redirect_stdout(io.StringIO()), \
                        mock.patch.multiple(soak, FOLDER=Path(folder), ROOT=Path(folder)):
                    told.count("sim", "build/sim", output, status)
                tally = told.kinds["sim"]
                self.assertEqual((tally.passed, tally.failed), sums)


if __name__ == "__main__":
    unittest.main()
