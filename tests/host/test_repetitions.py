"""repetitions.py: what is kept of every single repetition."""

from __future__ import annotations

import dataclasses
import unittest

from fake_results import fake_windows, fake_words

from results import repetitions


class Repetitions(unittest.TestCase):
    def test_each_has_its_own_values_in_order(self) -> None:
        windows = fake_windows(fake_words("8", 3, modes="irq"))
        found = repetitions.rows(reversed(windows))
        self.assertEqual([each["repetition"] for each in found], [0, 1, 2])
        for window, row in zip(windows, found):
            self.assertAlmostEqual(row["iops"], window.iops, 0)
            self.assertAlmostEqual(
                row["idle_fraction"], window.record["idle_ns"][0] / window.record["runtime_ns"], 5
            )
            self.assertAlmostEqual(row["vcpu_us_per_io"], 1000.0 / window.ios, 3)
            self.assertLess(0, row["p50_ns"])
            self.assertLess(row["p50_ns"], row["p99_ns"])
        self.assertEqual(len({row["p50_ns"] for row in found}), 3, "not of all together")

    def test_what_was_not_told(self) -> None:
        (window,) = fake_windows(fake_words("1", 1, modes="raw"))
        row = repetitions.rows([dataclasses.replace(window, host=None)])[0]
        self.assertEqual((row["p50_ns"], row["p99_ns"]), (None, None))
        self.assertEqual((row["vcpu_us_per_io"], row["device_us_per_io"]), (None, None))


if __name__ == "__main__":
    unittest.main()
