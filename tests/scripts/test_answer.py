"""The answer in words, its tables and its targets."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "scripts"), str(HERE)]

import answer  # noqa: E402
import backing  # noqa: E402
import environment  # noqa: E402
import stats  # noqa: E402
import targets  # noqa: E402
from fake_results import (  # noqa: E402
    ENVIRONMENT,
    as_result,
    fake_result,
    fake_windows,
    fake_words,
)

class Answer(unittest.TestCase):
    @staticmethod
    def ratios(**medians: float) -> dict[int, stats.Estimate]:
        """d8=1.2 is a ratio of 1.2 at depth 8; its interval is 5 % to each side."""
        return {
            int(depth[1:]): stats.Estimate(m, 0.95 * m, 1.05 * m, 0.97, 6)
            for depth, m in medians.items()
        }

    def test_crossover_lies_between_significant_depths(self) -> None:
        found = answer.crossovers(self.ratios(d1=2.0, d2=1.5, d4=1.02, d8=0.98, d16=0.8))
        self.assertEqual([(c.low, c.high, c.first) for c in found], [(2, 16, "poll")])
        self.assertAlmostEqual(found[0].at, 5.6, 0)

    def test_no_crossover(self) -> None:
        self.assertEqual(answer.crossovers(self.ratios(d1=2.0, d2=1.0, d4=1.5)), [])
        self.assertEqual(answer.crossovers(self.ratios(d1=1.0, d2=1.0)), [])

    def test_two_crossovers(self) -> None:
        found = answer.crossovers(self.ratios(d1=0.5, d4=2.0, d16=0.5))
        self.assertEqual(
            [(c.low, c.high, c.first) for c in found], [(1, 4, "irq"), (4, 16, "poll")]
        )

    def test_a_mode_that_stood_still(self) -> None:
        ratios = {1: stats.estimate([0.0] * 6), 8: stats.estimate([2.0] * 6)}
        self.assertEqual(len(answer.crossovers(ratios)), 1)

    def test_words(self) -> None:
        text = "\n".join(answer.words(fake_result("1,4,32,128", "bias=1.3")))
        self.assertIn("polling is faster than interrupts at queue depth 1, 4", text)
        self.assertIn("interrupts are faster than polling at queue depth 32, 128", text)
        self.assertIn("crossover from polling to interrupts", text)
        self.assertIn("interrupts are faster than hybrid at queue depth 32, 128", text)
        self.assertIn("hybrid against polling: no significant difference at queue depth", text)
        self.assertIn("hybrid's interrupts per I/O (interrupt mode) by queue depth: 1.00 (1.00) "
                      "at 1, 0.25 (0.25) at 4, 0.03 (0.25) at 32", text)  # fmt: skip

    def test_each_delivery_has_words_of_its_own(self) -> None:
        windows = [*fake_windows(fake_words("1,8")), *fake_windows(fake_words("1,8"),
                                                                   delivery="msix")]  # fmt: skip
        text = answer.words(as_result(windows))
        self.assertEqual([line for line in text if not line.startswith(" ")],
                         ["4 KiB randread, 1 hart, batch 1, per-hart:",
                          "4 KiB randread, 1 hart, batch 1, msix:"])  # fmt: skip

    def open_result(self, rate: int, rounds: int = 6, known: bool = True) -> dict:
        words = [*fake_words("32", rounds, modes="poll,irq,hybrid"), f"rate_iops={rate}"]
        capacity_iops = {"rw": "randread", "bs": 4096, "iodepth": 32, "batch": 1, "iops": 80000.0}
        return as_result(fake_windows(words), capacity=[capacity_iops] if known else None)

    def test_open_loop(self) -> None:
        result = self.open_result(8000)
        table = answer.table(result)
        self.assertIn("open loop, linear", table[0])
        self.assertIn("8,000  hybrid", table[4])
        self.assertIn("open loop:", answer.words(result))
        self.assertIn("hybrid idles 0.9", answer.words(result)[-1])
        self.assertIn("too few rounds", answer.words(self.open_result(8000, 3))[-1])
        self.assertEqual(answer.families(result), {})
        self.assertIn("- met: hybrid idles", answer.markdown(result))

    def test_idle_target_is_for_a_light_load(self) -> None:
        (found,) = targets.lines(self.open_result(8000))
        self.assertTrue(found.startswith("met: hybrid idles 0.9"), found)
        self.assertIn("10 % of the capacity", found)
        self.assertEqual(targets.lines(self.open_result(40000)), [])
        self.assertIn("an unknown share", targets.lines(self.open_result(40000, known=False))[0])

    def test_a_goal_is_met_by_the_median_or_not_excluded(self) -> None:
        for median, high, confidence, said in (
            (0.95, 0.96, 0.97, "met"),
            (0.95, 9.0, 0.97, "met"),
            (0.949, 0.95, 0.97, "not excluded"),
            (0.949, 9.0, 0.97, "not excluded"),
            (0.9, 0.949, 0.97, "not met"),
            (0.96, 0.97, 0.9375, "too few rounds to say"),
        ):
            ratio = stats.Estimate(median, 0.85, high, confidence, 6)
            self.assertEqual(targets.verdict(ratio, 0.95), said, (median, high))
            self.assertIn(said, targets.VERDICTS)

    def test_targets_are_counted_and_misses_are_named(self) -> None:
        result = fake_result("1,2")
        for job in result["jobs"]:
            if job["hartq"]["ratio_to_irq"]:
                high = 0.9 if job["job options"]["iodepth"] == "2" else 0.96
                job["hartq"]["ratio_to_irq"] = {
                    "median": 0.9, "interval": [0.8, high], "confidence": 0.97, "rounds": 6,
                }  # fmt: skip
        found = [line for line in targets.lines(result) if "interrupts" in line]
        self.assertEqual(found, [
            "hybrid against interrupts, target 0.95, 2 points: not excluded at 1, not met at 1",
            "not met: hybrid reaches 0.90 (0.80 to 0.90) of interrupts, target 0.95, at queue "
            "depth 2, batch 1, harts 1, per-hart",
        ])  # fmt: skip
        few = targets.lines(fake_result("1", rounds=5))
        self.assertTrue(few[0].startswith("too few rounds to say:"), few)

    def test_load_before_and_after(self) -> None:
        text = environment.header({**ENVIRONMENT, "host_load_after": [2.5, 1, 0.25]})
        self.assertIn("load 0.1/0.1/0.1 before, 2.5/1/0.25 after the run", text)

    def test_a_busy_host_is_said(self) -> None:
        result = fake_result("1")
        self.assertIn("waited little", answer.crowding(result)[0])
        for job in result["jobs"]:
            job["hartq"]["host_wait_fraction"] = {"vcpu": 0.05, "device": 0.4}
        self.assertIn("HOST WAS BUSY", answer.crowding(result)[0])

    def test_missed_is_loud(self) -> None:
        self.assertEqual(targets.faults(fake_result()), [])
        self.assertIn("met: missed interrupts 0 in", targets.missed_lines(fake_result())[0])
        missed = fake_result(ways="missed")
        self.assertIn("!!! missed interrupts: 1", targets.faults(missed)[0])
        self.assertIn("not met: missed interrupts 1 in", targets.missed_lines(missed)[0])

    def test_a_message_that_an_old_qemu_lost_is_no_failure(self) -> None:
        windows = fake_windows(fake_words("1"), "missed", delivery="msix")
        for qemu, fails in (("7.2.22", False), ("9.1.3", False), ("9.2.0", True), ("10.0", True)):
            result = as_result(windows, qemu)
            self.assertEqual(bool(targets.faults(result)), fails, qemu)
            text = "\n".join(targets.missed_lines(result))
            self.assertIn("missed interrupts 1 in 2 points that take any, IMSIC", text)
            self.assertEqual("can lose a message" in text, not fails)
        windows[0].record["errors"] = 3
        self.assertIn("!!! errors: 3", targets.faults(as_result(windows, "7.2.22"))[0])

    def test_backing_is_named_without_its_path(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            mounts = Path(folder, "mounts")
            mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {folder} rw - tmpfs x rw\n")
            self.assertEqual(backing.filesystem(Path(folder, "disk.img"), mounts), "tmpfs")
            self.assertEqual(backing.filesystem(Path("/nowhere/x"), mounts), "ext4")
            named = backing.backing_name(str(Path(folder, "disk.img")))
            self.assertRegex(named, r"^file:disk\.img( on \w+)?, aio=threads$")
        self.assertEqual(backing.backing_name("ram:64m"), "ram:64m")


if __name__ == "__main__":
    unittest.main()
