"""The modules under bench.py, with the windows of a guest that is not there."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from fake_results import ENVIRONMENT, as_result, fake_result, fake_windows, fake_words

from analysis import intervals, summary
from report import answer, tables
from results import histogram, result_file


class Histogram(unittest.TestCase):
    def test_merge_adds_and_orders(self) -> None:
        self.assertEqual(list(histogram.merge([{"20": 1, "3": 2}, {3: 5}]).items()),
                         [(3, 7), (20, 1)])

    def test_percentile_against_sorted_samples(self) -> None:
        source = random.Random(1)
        samples = sorted(source.randrange(1, 500) for _ in range(5000))
        bins = histogram.merge({value: 1} for value in samples)
        for percent in (1.0, 50.0, 90.0, 99.0, 99.5):
            rank = round(len(samples) * percent / 100)
            self.assertEqual(histogram.percentile(bins, percent), samples[rank - 1], percent)

    def test_percentile_needs_ten_samples_above(self) -> None:
        self.assertEqual(histogram.percentile({5: 1000}, 99.0), 5)
        self.assertIsNone(histogram.percentile({5: 999}, 99.0))
        self.assertIsNone(histogram.percentile({}, 50.0))
        self.assertEqual(list(histogram.summary({5: 20}, 5, 5, 100)["percentile"]),
                         [f"{p:.6f}" for p in (1, 5, 10, 20, 30, 40, 50)])

    def test_tables_sum_to_hundred(self) -> None:
        tables = histogram.tables({1: 1, 999: 1, 1500: 2, 750000: 1, 3 * 10**9: 5})
        self.assertAlmostEqual(sum(sum(table.values()) for table in tables.values()), 100.0)
        self.assertEqual(tables["latency_us"]["2"], 20.0)
        self.assertEqual(tables["latency_ms"][">=2000"], 50.0)

    def test_summary(self) -> None:
        found = histogram.summary({10: 2, 20: 2}, 9, 21, 60)
        self.assertEqual((found["min"], found["max"], found["mean"], found["N"]), (9, 21, 15.0, 4))
        self.assertAlmostEqual(found["stddev"], 5.0)
        self.assertEqual(histogram.summary({}, 0, 0, 0)["N"], 0)


class Stats(unittest.TestCase):
    def test_ranks(self) -> None:
        for count, rank, confidence in (
            (1, 1, 0.0),
            (2, 1, 0.5),
            (5, 1, 0.9375),
            (6, 1, 0.96875),
            (8, 1, 0.9922),
            (9, 2, 0.9609),
            (12, 3, 0.9614),
        ):
            found = intervals.interval_ranks(count)
            self.assertEqual(found[0], rank, count)
            self.assertAlmostEqual(found[1], confidence, 4)

    def test_interval_of_six_is_min_and_max(self) -> None:
        found = intervals.estimate([3, 1, 2, 6, 5, 4])
        self.assertEqual((found.low, found.median, found.high), (1, 3.5, 6))

    def test_verdict(self) -> None:
        self.assertEqual(intervals.estimate([1.1, 1.2, 1.3, 1.1, 1.2, 1.3]).verdict(), 1)
        self.assertEqual(intervals.estimate([0.9, 0.8, 0.7, 0.9, 0.8, 0.7]).verdict(), -1)
        self.assertEqual(intervals.estimate([0.9, 1.2, 1.3, 1.1, 1.2, 1.3]).verdict(), 0)
        three = intervals.estimate([2.0, 2.0, 2.0])
        self.assertEqual(three.verdict(), 0, "three boots prove nothing")

    def test_ratio_is_paired_by_boot(self) -> None:
        found = intervals.paired_ratio({0: 10.0, 1: 40.0, 2: 1.0}, {0: 5.0, 1: 20.0, 3: 9.0})
        self.assertEqual((found.median, found.low, found.high, found.count), (2.0, 2.0, 2.0, 2))
        self.assertIsNone(intervals.paired_ratio({0: 1.0}, {1: 1.0}))

    def test_a_stall_of_the_other_side_counts(self) -> None:
        boots = {number: 10.0 for number in range(6)}
        stalled = {**{number: 10.0 for number in range(5)}, 5: 0.0}
        won = intervals.paired_ratio(boots, stalled)
        lost = intervals.paired_ratio(stalled, boots)
        self.assertEqual((won.count, won.low, won.high), (6, 1.0, intervals.STANDSTILL))
        self.assertEqual((lost.count, lost.low, lost.high), (6, 0.0, 1.0))
        self.assertEqual(f"{won}", "1.00 (1.00-inf)")

    def test_two_that_stood_still_are_alike(self) -> None:
        self.assertEqual(intervals.paired_ratio({0: 0.0}, {0: 0.0}).median, 1.0)

    def test_is_json(self) -> None:
        found = intervals.paired_ratio({0: 1.0, 1: 1.5}, {0: 0.0, 1: 1.0})
        text = json.dumps(found.as_json(), allow_nan=False)
        self.assertEqual(f"{intervals.Estimate.from_json(json.loads(text))}",
                         "inf (1.50-inf)")

    def test_same_build_against_itself(self) -> None:
        source = random.Random(7)
        differs = 0
        for _ in range(1000):
            one, two = ({r: source.lognormvariate(0, 0.2) for r in range(6)} for _ in range(2))
            differs += intervals.paired_ratio(one, two).verdict() != 0
        self.assertLessEqual(differs, 50)


class Results(unittest.TestCase):
    def test_shape(self) -> None:
        job = fake_result()["jobs"][0]
        self.assertEqual(job["job options"]["iodepth"], "1")
        for side in ("read", "write", "trim"):
            self.assertEqual("bins" in job[side]["clat_ns"], side == "read")
            for name in ("slat_ns", "clat_ns", "lat_ns"):
                self.assertLessEqual({"min", "max", "mean", "stddev", "N"}, set(job[side][name]))
        read, mine = job["read"], job["hartq"]
        self.assertEqual(sum(read["clat_ns"]["bins"].values()), read["total_ios"])
        self.assertEqual(read["bw"], round(read["iops"] * 4))
        self.assertEqual(len(mine["boots"]), 6)
        low, high = mine["iops_interval"]
        self.assertTrue(low <= mine["iops_median"] <= high)
        spent_us = mine["host_cpu_us_per_io"]["vcpu"] * read["total_ios"]
        self.assertAlmostEqual(spent_us, 6000, -1)
        self.assertEqual(mine["host_wait_fraction"], {"vcpu": 0.01, "device": 0.01})

    @unittest.skipUnless(shutil.which("fio_jsonplus_clat2csv"), "needs fio's converter")
    def test_fio_converts_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            result_file.save(fake_result("1"), Path(folder))
            command = ["fio_jsonplus_clat2csv", "results.json", "latency.csv"]
            for words in (command, [*command, "--validate"]):
                subprocess.run(words, cwd=folder, check=True, capture_output=True)

    def test_ratios_point_the_right_way(self) -> None:
        jobs = {job["hartq"]["completion"]: job for job in fake_result("1")["jobs"]}
        self.assertLess(jobs["irq"]["hartq"]["ratio_to_poll"]["median"], 0.7)
        self.assertGreater(jobs["poll"]["hartq"]["ratio_to_irq"]["median"], 1.5)
        self.assertAlmostEqual(jobs["poll"]["hartq"]["ratio_to_raw"]["median"], 0.94, 1)
        self.assertGreater(jobs["hybrid"]["hartq"]["ratio_to_irq"]["median"], 1.5)
        self.assertAlmostEqual(jobs["hybrid"]["hartq"]["ratio_to_poll"]["median"], 0.99, 1)
        self.assertIsNone(jobs["poll"]["hartq"]["ratio_to_poll"])
        for name in ("ratio_to_raw", "ratio_to_poll", "ratio_to_irq", "idle_ratio_to_irq"):
            self.assertIsNone(jobs["raw"]["hartq"][name])

    def test_deliveries_and_rates_are_points_of_their_own(self) -> None:
        words = fake_words("8", harts=2)
        load = [*fake_words("8", harts=2, modes="irq,hybrid"), "rate_iops=3000"]
        windows = [
            *fake_windows(words, delivery="msix"), *fake_windows(words, "bias=0.1"),
            *fake_windows(load, delivery="msix"),
        ]
        jobs = as_result(windows)["jobs"]
        named = [j["jobname"].removeprefix("randread-4096-qd8-b1-") for j in jobs]
        self.assertEqual(named, [
            "poll", "irq", "hybrid", "raw", "poll-msix", "irq-msix", "hybrid-msix", "raw-msix",
            "r3000-irq-msix", "r3000-hybrid-msix",
        ])
        self.assertEqual({len(job["hartq"]["boots"]) for job in jobs}, {6})
        mine = [job["hartq"] for job in jobs]
        self.assertLess(mine[1]["ratio_to_poll"]["median"], 0.2, "per-hart's own polling")
        self.assertGreater(mine[5]["ratio_to_poll"]["median"], 0.3, "msix's own polling")
        self.assertEqual((mine[-1]["rate_iops"], mine[-1]["offered_iops"]), (3000, 6000))
        self.assertAlmostEqual(mine[-1]["iops_median"], 6000, -1)
        self.assertAlmostEqual(mine[-1]["idle_ratio_to_irq"]["median"], 0.93, delta=0.06)

    def test_a_share_of_saturation_names_its_point(self) -> None:
        load = [*fake_words("8", modes="irq"), "rate_iops=3000"]
        for percent, delivery, name in (
            (0, "per-hart", "r3000-irq"), (10, "per-hart", "r10%-irq"),
            (10, "msix", "r10%-irq-msix"),
        ):
            (job,) = as_result(fake_windows(load, delivery=delivery, percent=percent))["jobs"]
            self.assertEqual(job["jobname"], f"randread-4096-qd8-b1-{name}")
            mine = job["hartq"]
            self.assertEqual((mine["rate_iops"], mine["rate_percent"]), (3000, percent or None))
            self.assertEqual(job["job options"]["rate_iops"], "3000")

    def test_save_and_load(self) -> None:
        result = fake_result()
        with tempfile.TemporaryDirectory() as folder:
            result_file.save(result, Path(folder, "new"))
            self.assertEqual(result_file.load(Path(folder, "new")), result)
            with Path(folder, "new", "results.csv").open() as source:
                rows = list(csv.DictReader(source))
            self.assertEqual(len(rows), 12)
            self.assertEqual(rows[0]["completion"], "poll")
            hybrid = next(row for row in rows if row["completion"] == "hybrid")
            self.assertGreater(float(hybrid["ratio_to_irq_high"]), 1.0)
            self.assertEqual((hybrid["delivery"], hybrid["rate_iops"]), ("per-hart", ""))
            self.assertEqual(
                sorted(os.listdir(Path(folder, "new"))), ["results.csv", "results.json"]
            )
            for bad in ("", "[]", "{}"):
                Path(folder, "results.json").write_text(bad)
                with self.assertRaises(ValueError):
                    result_file.load(Path(folder))

    def test_table_of_a_point_without_boots_in_one_mode(self) -> None:
        windows = [w for w in fake_windows(
            ["rw=randrw", "bs=4096", "iodepth=4", "iodepth_batch_submit=0", "numjobs=2",
             "completion=poll,irq", "runtime=50ms", "repetitions=2"]) if w.boot == 0]
        result = summary.build(windows, ENVIRONMENT, {}, True)
        self.assertIn("4", tables.table(result)[1])
        self.assertTrue(any("too few boots" in line for line in answer.words(result)))


if __name__ == "__main__":
    unittest.main()
