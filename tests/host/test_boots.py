"""boots.py: what is kept of every single boot."""

from __future__ import annotations

import dataclasses
import statistics
import unittest

from fake_results import fake_windows, fake_words
from support import ROOT

from analysis import host_noise
from analysis.intervals import ratio_of
from analysis.series import place, shape_of
from qemu import host_cpu
from results import boots, result_file


class Boots(unittest.TestCase):
    def test_each_has_its_own_values_in_order(self) -> None:
        windows = fake_windows(fake_words("8", 3, modes="irq"))
        found = boots.rows(reversed(windows))
        self.assertEqual([each["boot"] for each in found], [0, 1, 2])
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
        row = boots.rows([dataclasses.replace(window, host=None)])[0]
        self.assertEqual((row["p50_ns"], row["p99_ns"]), (None, None))
        self.assertEqual((row["vcpu_us_per_io"], row["device_us_per_io"]), (None, None))

    def test_ratios_of_the_reference_are_those_of_its_boots(self) -> None:
        jobs = result_file.load(ROOT / "results" / "reference")["jobs"]
        by_mode: dict[tuple, dict[str, dict]] = {}
        for job in jobs:
            mine = job["hartq"]
            where = (place(job), mine["delivery"], mine["rate_iops"], shape_of(job))
            by_mode.setdefault(where, {})[mine["completion"]] = job
        ratios = 0
        for modes in by_mode.values():
            for mode, other in (("poll", "irq"), ("hybrid", "poll"), ("poll", "raw")):
                told = ratio_of(modes[mode], f"ratio_to_{other}") if mode in modes else None
                if told:
                    above, below = (boots.values(modes[m], "iops") for m in (mode, other))
                    again = [above[boot] / below[boot] for boot in above]
                    self.assertAlmostEqual(told.median, statistics.median(again), 3)
                    self.assertEqual(told.count, len(again))
                    ratios += 1
        self.assertGreater(ratios, 100)


class Waited(unittest.TestCase):
    def test_share_of_the_time_that_a_boot_waited_for_a_core(self) -> None:
        """At nine points of ten; not of short windows, nor where harts take every core."""
        (window,) = fake_windows(fake_words("8", 1, harts=2, modes="irq"))
        spent = host_cpu.Spent(window.host.ran, {"vcpu": 60_000_000, "device": 20_000_000}, 10**8)
        window = dataclasses.replace(window, host=spent)
        self.assertAlmostEqual(host_noise.waited([window] * 10, 4), 0.3)
        calm = dataclasses.replace(window, host=dataclasses.replace(
            spent, waited={"vcpu": 0, "device": 5_000_000}))
        self.assertAlmostEqual(host_noise.waited([window] + [calm] * 9, 4), 0.05)
        self.assertEqual(host_noise.waited([window], 2), 0.0, "the harts take all cores")
        short = dataclasses.replace(window, host=dataclasses.replace(spent, time_ns=10**7))
        self.assertEqual(host_noise.waited([short], 4), 0.0)
        self.assertEqual(host_noise.waited([dataclasses.replace(window, host=None)], 4), 0.0)


if __name__ == "__main__":
    unittest.main()
