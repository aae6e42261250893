"""The modules under bench.py, with the windows of a guest that is not there."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"
sys.path[:0] = [str(SCRIPTS), str(HERE)]

import answer  # noqa: E402
import environment  # noqa: E402
import fake_guest  # noqa: E402
import histogram  # noqa: E402
import hostcpu  # noqa: E402
import matrix  # noqa: E402
import results  # noqa: E402
import stats  # noqa: E402
from machine import UsageError  # noqa: E402
from measure import Window  # noqa: E402

ENVIRONMENT = {
    "note": environment.NOTE, "date": "2026-01-01 00:00:00 UTC", "commit": "0123456789ab",
    "qemu": "7.2.99", "opensbi": "v1.1", "compiler": "gcc 12", "backing": "null",
    "host_cpu": "a CPU", "host_cores": 2, "host_load_before": [0.1, 0.1, 0.1], "harts": [1],
}  # fmt: skip


def fake_windows(words: list[str], ways: str = "", first_round: int = 0) -> list[Window]:
    """The windows of one boot of the fake guest."""
    records = [json.loads(t) for t in fake_guest.lines(words, ways) if t.startswith('{"hartq_b')]
    share = dict.fromkeys(hostcpu.CLASSES, 1000000)
    spent = hostcpu.Spent(share, share, 100000000)
    return [Window(first_round + r["round"], r, spent) for r in records if "hartq_bench" in r]


def fake_result(depths: str = "1,8,32", ways: str = "", rounds: int = 6) -> dict:
    """A result as bench.py builds it, through JSON and back."""
    words = ["rw=randread", "bs=4096", f"iodepth={depths}", "iodepth_batch_submit=1", "numjobs=1",
             "completion=poll,irq,limit", "runtime=100ms", f"rounds={rounds}"]  # fmt: skip
    return json.loads(json.dumps(results.build(fake_windows(words, ways), ENVIRONMENT, {}, False)))


class Histogram(unittest.TestCase):
    def test_merge_adds_and_orders(self) -> None:
        self.assertEqual(list(histogram.merge([{"20": 1, "3": 2}, {3: 5}]).items()),
                         [(3, 7), (20, 1)])  # fmt: skip

    def test_percentile_against_sorted_samples(self) -> None:
        chance = random.Random(1)
        samples = sorted(chance.randrange(1, 500) for _ in range(5000))
        bins = histogram.merge({value: 1} for value in samples)
        for percent in (1.0, 50.0, 90.0, 99.0, 99.5):
            rank = round(len(samples) * percent / 100)
            self.assertEqual(histogram.percentile(bins, percent), samples[rank - 1], percent)

    def test_percentile_needs_ten_samples_above(self) -> None:
        self.assertEqual(histogram.percentile({5: 1000}, 99.0), 5)
        self.assertIsNone(histogram.percentile({5: 999}, 99.0))
        self.assertIsNone(histogram.percentile({}, 50.0))
        self.assertEqual(list(histogram.percentiles({5: 20})),
                         [f"{p:.6f}" for p in (1, 5, 10, 20, 30, 40, 50)])  # fmt: skip

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
            found = stats.interval_ranks(count)
            self.assertEqual(found[0], rank, count)
            self.assertAlmostEqual(found[1], confidence, 4)

    def test_interval_of_six_is_min_and_max(self) -> None:
        found = stats.estimate([3, 1, 2, 6, 5, 4])
        self.assertEqual((found.low, found.median, found.high), (1, 3.5, 6))

    def test_verdict(self) -> None:
        self.assertEqual(stats.estimate([1.1, 1.2, 1.3, 1.1, 1.2, 1.3]).verdict(), 1)
        self.assertEqual(stats.estimate([0.9, 0.8, 0.7, 0.9, 0.8, 0.7]).verdict(), -1)
        self.assertEqual(stats.estimate([0.9, 1.2, 1.3, 1.1, 1.2, 1.3]).verdict(), 0)
        self.assertEqual(stats.estimate([2.0, 2.0, 2.0]).verdict(), 0, "three rounds prove nothing")

    def test_ratio_is_paired_by_round(self) -> None:
        found = stats.paired_ratio({0: 10.0, 1: 40.0, 2: 1.0}, {0: 5.0, 1: 20.0, 3: 9.0})
        self.assertEqual((found.median, found.low, found.high, found.count), (2.0, 2.0, 2.0, 2))
        self.assertIsNone(stats.paired_ratio({0: 1.0}, {1: 1.0}))

    def test_same_build_against_itself(self) -> None:
        chance = random.Random(7)
        differs = 0
        for _ in range(1000):
            one, two = ({r: chance.lognormvariate(0, 0.2) for r in range(6)} for _ in range(2))
            differs += stats.paired_ratio(one, two).verdict() != 0
        self.assertLessEqual(differs, 50)


class Matrix(unittest.TestCase):
    def test_default_is_what_the_bench_promises(self) -> None:
        preset = matrix.PRESETS["default"]
        plan = matrix.Plan(tuple(matrix.runnable(preset.sweeps)), preset.rounds, preset.boots,
                           preset.runtime_ms, preset.ramp_ms)  # fmt: skip
        self.assertEqual((plan.points(), plan.rounds, plan.boots), (36, 6, 3))
        self.assertLess(plan.seconds(), 240)

    def test_batches_stay_below_their_depth(self) -> None:
        sweeps = matrix.runnable([matrix.Sweep((1, 8, 32), (1, 8, 0))])
        self.assertEqual([(s.iodepth, s.batch) for s in sweeps],
                         [((1,), (1,)), ((8,), (1, 8)), ((32,), (1, 8, 0))])  # fmt: skip

    def test_irq_ends_at_four_harts(self) -> None:
        sweeps = matrix.runnable([matrix.Sweep(harts=(4, 8))])
        self.assertEqual(
            [s.completion for s in sweeps], [("poll", "irq", "limit"), ("poll", "limit")]
        )
        with self.assertRaises(UsageError):
            matrix.runnable([matrix.Sweep(completion=("irq",), harts=(8,))])

    def test_limit_has_no_mixed_workload(self) -> None:
        sweeps = matrix.runnable([matrix.Sweep(rw=("read", "randrw", "rw"), bs=(512, 1 << 20))])
        self.assertEqual(
            [(s.rw, s.bs, s.completion) for s in sweeps],
            [(("read",), (512,), ("poll", "irq", "limit")),
             (("read",), (1 << 20,), ("poll", "irq")),
             (("randrw", "rw"), (512, 1 << 20), ("poll", "irq"))],
        )  # fmt: skip
        with self.assertRaises(UsageError):
            matrix.runnable([matrix.Sweep(completion=("limit",), rw=("randrw",))])

    def test_every_round_runs_once_and_modes_take_turns(self) -> None:
        sweep = matrix.Sweep()
        plan = matrix.Plan((sweep,), 7, 3, 500, 50)
        rounds = [r for boot in range(3) for r in plan.rounds_of_boot(boot)]
        self.assertEqual(rounds, list(range(7)))
        first = {
            matrix.guest_arguments(plan, sweep, b)[5].split("=")[1].split(",")[0] for b in range(3)
        }
        self.assertEqual(first, {"poll", "irq", "limit"})

    def test_lists(self) -> None:
        self.assertEqual(matrix.parse_blocks("4k,512,4096", "--bs"), (4096, 512))
        for bad in ("", "x", "4k,", "2m", "-1", "0", "1000"):
            with self.assertRaises(UsageError):
                matrix.parse_blocks(bad, "--bs")
        self.assertEqual(matrix.parse_numbers("8, 0,8", "--batch", 0, 1023), (8, 0))
        for bad in ("", "x", "4k", "1,", "-1", "1024", "\u00b2"):
            with self.assertRaises(UsageError):
                matrix.parse_numbers(bad, "--batch", 0, 1023)
        with self.assertRaises(UsageError):
            matrix.parse_words("poll,hybrid", "--completion", matrix.COMPLETIONS)

    def test_times(self) -> None:
        for text, expected in (
            ("500ms", 500),
            ("2s", 2000),
            ("2", 2000),
            ("0.5", 500),
            ("1m", 60000),
        ):
            self.assertEqual(matrix.parse_time_ms(text, "--runtime"), expected)
        for bad in ("", "ms", "5h", "0", "nan"):
            with self.assertRaises(UsageError):
                matrix.parse_time_ms(bad, "--runtime")


class HostCpu(unittest.TestCase):
    def test_threads_by_class(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for tid, name, spent in ((9, "qemu-system-ris", 5), (10, "CPU 0/TCG", 70),
                                     (11, "CPU 1/TCG", 7), (12, "worker", 3)):  # fmt: skip
                task = Path(folder, "9", "task", str(tid))
                task.mkdir(parents=True)
                (task / "comm").write_text(name + "\n")
                (task / "schedstat").write_text(f"{spent} 1 2\n")
            found = hostcpu.sample(9, 0, Path(folder))
            self.assertEqual(found.ran, {"vcpu": 77, "device": 5, "workers": 3})
            self.assertEqual(found.waited, {"vcpu": 2, "device": 1, "workers": 1})
            self.assertIsNone(hostcpu.sample(8, 0, Path(folder)))
        self.assertIsNone(hostcpu.difference(None, found))

    def test_our_own_process(self) -> None:
        self.assertGreater(sum(hostcpu.sample(os.getpid(), 0).ran.values()), 0)


class Results(unittest.TestCase):
    def test_shape(self) -> None:
        job = fake_result()["jobs"][0]
        self.assertEqual(job["job options"]["iodepth"], "1")
        for side in ("read", "write", "trim"):
            self.assertEqual("bins" in job[side]["lat_ns"], side == "read")
            for name in ("slat_ns", "clat_ns", "lat_ns"):
                self.assertLessEqual({"min", "max", "mean", "stddev", "N"}, set(job[side][name]))
        read, mine = job["read"], job["hartq"]
        self.assertEqual(sum(read["lat_ns"]["bins"].values()), read["total_ios"])
        self.assertEqual(read["bw"], round(read["iops"] * 4))
        self.assertEqual(len(mine["rounds"]), 6)
        low, high = mine["iops_interval"]
        self.assertTrue(low <= mine["iops_median"] <= high)
        spent_us = mine["host_cpu_us_per_io"]["vcpu"] * read["total_ios"]
        self.assertAlmostEqual(spent_us, 6000, -1)
        self.assertEqual(mine["host_wait_fraction"], {"vcpu": 0.01, "device": 0.01})

    @unittest.skipUnless(shutil.which("fio_jsonplus_clat2csv"), "needs fio's converter")
    def test_fio_converts_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            results.save(fake_result("1"), Path(folder))
            command = ["fio_jsonplus_clat2csv", "results.json", "latency.csv"]
            for words in (command, [*command, "--validate"]):
                subprocess.run(words, cwd=folder, check=True, capture_output=True)

    def test_ratios_point_the_right_way(self) -> None:
        jobs = {job["hartq"]["completion"]: job for job in fake_result("1")["jobs"]}
        self.assertLess(jobs["irq"]["hartq"]["ratio_to_poll"]["median"], 0.7)
        self.assertGreater(jobs["poll"]["hartq"]["ratio_to_irq"]["median"], 1.5)
        self.assertAlmostEqual(jobs["poll"]["hartq"]["ratio_to_limit"]["median"], 0.94, 1)
        self.assertIsNone(jobs["limit"]["hartq"]["ratio_to_limit"])

    def test_save_and_load(self) -> None:
        result = fake_result()
        with tempfile.TemporaryDirectory() as folder:
            results.save(result, Path(folder, "new"))
            self.assertEqual(results.load(Path(folder, "new")), result)
            with Path(folder, "new", "results.csv").open() as source:
                rows = list(csv.DictReader(source))
            self.assertEqual(len(rows), 9)
            self.assertEqual(rows[0]["completion"], "poll")
            self.assertEqual(
                sorted(os.listdir(Path(folder, "new"))), ["results.csv", "results.json"]
            )
            for bad in ("", "[]", "{}"):
                Path(folder, "results.json").write_text(bad)
                with self.assertRaises(ValueError):
                    results.load(Path(folder))

    def test_table_of_a_point_without_rounds_in_one_mode(self) -> None:
        windows = [w for w in fake_windows(
            ["rw=randrw", "bs=4096", "iodepth=4", "iodepth_batch_submit=0", "numjobs=2",
             "completion=poll,irq", "runtime=50ms", "rounds=2"]) if w.round == 0]  # fmt: skip
        result = results.build(windows, ENVIRONMENT, {}, True)
        self.assertIn("4", answer.table(result)[1])
        self.assertTrue(any("too few rounds" in line for line in answer.words(result)))


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
        self.assertIn("polling is faster at queue depth 1, 4", text)
        self.assertIn("interrupts are faster at queue depth 32, 128", text)
        self.assertIn("crossover from polling to interrupts", text)

    def test_targets_use_the_upper_end(self) -> None:
        result = fake_result("1,32")
        poll = next(j for j in result["jobs"] if j["hartq"]["completion"] == "poll")
        for low, high, confidence, said in (
            (0.85, 0.949, 0.97, "target not met"),
            (0.85, 0.951, 0.97, "target met"),
            (0.4, 0.81, 0.97, "cannot tell (too wide)"),
            (0.8, 1.7, 0.97, "cannot tell (too wide)"),
            (0.85, 0.951, 0.9375, "too few rounds to say"),
        ):
            poll["hartq"]["ratio_to_limit"] = {
                "median": 0.9, "interval": [low, high], "confidence": confidence, "rounds": 6,
            }  # fmt: skip
            self.assertTrue(answer.targets(result)[0].startswith(said + ":"))
        few = answer.targets(fake_result("1", rounds=5))
        self.assertTrue(few[0].startswith("too few rounds to say:"))

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
        self.assertEqual(answer.faults(fake_result()), [])
        self.assertIn("!!! missed interrupts: 1", answer.faults(fake_result(ways="missed"))[0])


if __name__ == "__main__":
    unittest.main()
