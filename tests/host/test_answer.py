"""The answer in words, its tables and its targets."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "scripts"), str(HERE)]

from report import answer, page, tables  # noqa: E402
from qemu import backing  # noqa: E402
from analysis import comparisons  # noqa: E402
from analysis import metrics  # noqa: E402
from measure import environment  # noqa: E402
from results import histogram  # noqa: E402
from analysis import host_noise  # noqa: E402
from analysis import intervals  # noqa: E402
from analysis import goals  # noqa: E402
from linux import tables as linux_tables  # noqa: E402
from fake_results import (  # noqa: E402
    ENVIRONMENT,
    as_result,
    fake_result,
    fake_windows,
    fake_words,
)

class Answer(unittest.TestCase):
    @staticmethod
    def ratios(**medians: float) -> dict[int, intervals.Estimate]:
        """d8=1.2 is a ratio of 1.2 at depth 8; its interval is 5 % to each side."""
        return {
            int(depth[1:]): intervals.Estimate(m, 0.95 * m, 1.05 * m, 0.97, 6)
            for depth, m in medians.items()
        }

    def test_crossover_lies_between_significant_depths(self) -> None:
        found = comparisons.crossovers(self.ratios(d1=2.0, d2=1.5, d4=1.02, d8=0.98, d16=0.8))
        self.assertEqual([(c.low, c.high, c.first) for c in found], [(2, 16, 1)])
        self.assertAlmostEqual(found[0].at, 5.6, 0)

    def test_no_crossover(self) -> None:
        self.assertEqual(comparisons.crossovers(self.ratios(d1=2.0, d2=1.0, d4=1.5)), [])
        self.assertEqual(comparisons.crossovers(self.ratios(d1=1.0, d2=1.0)), [])

    def test_two_crossovers(self) -> None:
        found = comparisons.crossovers(self.ratios(d1=0.5, d4=2.0, d16=0.5))
        self.assertEqual(
            [(c.low, c.high, c.first) for c in found], [(1, 4, -1), (4, 16, 1)]
        )

    def test_a_mode_that_stood_still(self) -> None:
        ratios = {1: intervals.estimate([0.0] * 6), 8: intervals.estimate([2.0] * 6)}
        self.assertEqual(len(comparisons.crossovers(ratios)), 1)

    def test_words(self) -> None:
        text = "\n".join(answer.words(fake_result("1,4,32,128", "bias=1.3")))
        stops = r"polling stop paying\?\n  polling .* depth: about 1\d \(between 4 and 32\)"
        self.assertRegex(text, stops)
        self.assertIn("polling / interrupts: faster at 1, 4 (", text)
        self.assertIn("slower at 32, 128 (", text)
        self.assertIn("hybrid / polling: no significant difference", text)
        share = r"the raw ring over all queue depths: polling 0\.\d\d to 0\.9\d, interrupts"
        self.assertRegex(text, share)
        self.assertIn("its fastest way to wait, of 24 windows: sleep in 24", text)

    def test_where_polling_stops_paying(self) -> None:
        for ratios, said in (
            (self.ratios(d1=2.0, d8=0.5), "about 3 (between 1 and 8)"),
            (self.ratios(d1=0.5, d8=2.0), "it starts paying at about 3 (between 1 and 8)"),
            (self.ratios(d32=2.0, d64=1.3, d128=1.01),
             "none found; last depth with a sure lead: 64 (undecided at 128)"),
            (self.ratios(d32=2.0), "none found; last depth with a sure lead: 32 (the deepest"),
            (self.ratios(d1=1.0, d2=0.8, d4=0.7), "polling leads nowhere, interrupts from 2 on"),
            (self.ratios(d1=1.0), "none found; no significant difference at any depth"),
            ({1: intervals.estimate([2.0] * 5)}, "too few boots"),
        ):
            self.assertIn(said, comparisons.stopping(ratios))

    def test_depths_in_a_row_are_drawn_together(self) -> None:
        measured = [1, 2, 4, 8, 16, 32]
        self.assertEqual(comparisons.depths_text([1, 2, 4, 8], measured), "1 to 8")
        self.assertEqual(comparisons.depths_text([1, 2, 8], measured), "1, 2, 8")
        self.assertEqual(comparisons.depths_text([1, 4, 8, 16], measured), "1, 4 to 16")

    def test_a_contest_in_a_phrase(self) -> None:
        ratios = self.ratios(d1=2.0, d2=1.5, d4=1.0, d8=0.5)
        self.assertEqual(
            comparisons.brief(ratios, "more", "less"),
            "more at 1, 2 (x1.50 to x2.00), less at 8 (x0.50: 0.47 to 0.53), "
            "no significant difference at 4",
        )
        same = comparisons.brief(self.ratios(d1=1.0), "", "")
        self.assertEqual(same, "no significant difference")
        self.assertEqual(comparisons.brief({}, "", ""), "")

    def test_each_delivery_has_words_of_its_own(self) -> None:
        windows = [*fake_windows(fake_words("1,8")), *fake_windows(fake_words("1,8"),
                                                                   delivery="msix")]
        text = answer.words(as_result(windows))
        first, *rest = text
        self.assertEqual(first, "4 KiB randread, 1 hart, batch 1, per-hart:")
        self.assertIn("batch 1, msix: polling over interrupts: faster at 1", rest[-1])

    def test_every_cost_of_hybrid_is_paired_and_has_an_interval(self) -> None:
        result = fake_result("8,32")
        modes = next(iter(answer.all_series(result).values()))
        for other in ("poll", "irq"):
            rows = metrics.ratio_rows(modes, "hybrid", other)
            self.assertEqual([row[0] for row in rows], ["8", "32"])
            for row in rows:
                self.assertEqual(len(row), 1 + len(metrics.QUANTITIES))
                for cell in row[1:]:
                    self.assertRegex(cell, r"^[\d.]+ \([\d.]+-[\d.]+\)( =)?$")
        # The fake guest's hybrid sleeps 0.95 of what its interrupts do, 0.8 / sqrt(8).
        busy = metrics.over(modes, "hybrid", "irq", metrics.BUSY)[8]
        self.assertAlmostEqual(busy.median, (1 - 0.95 * 0.283) / (1 - 0.283), delta=0.02)

    def test_costs_of_boots_that_kept_none(self) -> None:
        result = fake_result("1,8")
        for job in result["jobs"]:
            boots = job["hartq"]["boots"]
            job["hartq"]["boots"] = [
                {name: each[name] for name in ("boot", "iops")}
                for each in boots
            ]
        modes = next(iter(answer.all_series(result).values()))
        (row, _) = metrics.ratio_rows(modes, "hybrid", "poll")
        self.assertEqual(row[2:], ["-"] * (len(metrics.QUANTITIES) - 1))
        self.assertRegex(row[1], r"^[\d.]+ \(")
        (row, *_) = metrics.figure_rows(modes)
        self.assertEqual(row[:2] + row[3:-1], ["1", "polling"] + [""] * (len(metrics.ALL) - 1))

    def test_instructions_are_told(self) -> None:
        result = fake_result("1")
        counts = {"poll": 244, "irq": 385, "hybrid": 287}
        for job in result["jobs"]:
            job["hartq"]["instructions_per_io"] = counts.get(job["hartq"]["completion"])
        found, = (each for each in answer.rest(result) if "Instructions" in each.title)
        self.assertEqual(found.tables[0].head[2:], ("polling", "interrupts", "hybrid"))
        self.assertEqual(found.tables[0].rows, [["1", "1", "244", "385", "287"]])
        self.assertRegex("\n".join(answer.words(result)), r"\n +1 +1 +244 +385 +287\n?")

    def test_chance_and_samples_are_said(self) -> None:
        (text,) = answer.false_differences(fake_result("1,2,4,8"))
        # 3 contests at each of 4 depths, wrong once in 32.
        self.assertRegex(text, r"^of 12 comparisons of two modes \d+ show .* 0\.4 would")
        self.assertEqual(answer.sampling(fake_result("1"))[0], "6 boots, each a sample")

    def test_a_table_keeps_its_columns(self) -> None:
        result = fake_result("1")
        result["jobs"][1]["hartq"]["iops_interval"] = [123456789.0, 1234567890.0]
        lines = [line for line in tables.table(result) if line]
        self.assertEqual({len(line) for line in lines[:4]}, {len(lines[0])})

    def test_a_page_of_a_full_run_is_short(self) -> None:
        windows = [
            w for delivery in ("per-hart", "msix") for harts in (1, 2)
            for w in fake_windows(fake_words("1,2,4,8,16,32,64,128,256", harts=harts),
                                  delivery=delivery)
        ]
        result = as_result(windows)
        self.assertGreater(len(tables.table(result)), 140)
        self.assertLess(len(page.render("answer.md", result, {}).splitlines()), 200)
        self.assertLess(len(answer.words(result)), 30)

    def open_result(self, rate: int, repetitions: int = 6, known: bool = True) -> dict:
        words = [*fake_words("32", repetitions, modes="poll,irq,hybrid"), f"rate_iops={rate}"]
        saturation_iops = {"rw": "randread", "bs": 4096, "iodepth": 32, "batch": 1, "iops": 80000.0}
        return as_result(fake_windows(words), saturation=[saturation_iops] if known else None)

    def test_open_loop(self) -> None:
        result = self.open_result(8000)
        table = tables.table(result)
        self.assertIn("open loop, linear", table[0])
        self.assertRegex(table[4], r"8,000 +hybrid")
        self.assertIn("Open loop:", answer.words(result))
        self.assertRegex(answer.words(result)[-1], r"8,000 IOPS .*per-hart +0\.9\d \([^=?]*\)  ")
        self.assertTrue(answer.words(self.open_result(8000, 3))[-1].count(" ?") == 3)
        self.assertEqual(answer.all_series(result), {})
        self.assertIn("- met for certain: hybrid's idle time over",
                      page.render("answer.md", result, {}))

    def test_idle_target_is_for_a_light_load(self) -> None:
        (found,) = goals.lines(self.open_result(8000))
        said = "met for certain: hybrid's idle time over that of interrupts 0.9"
        self.assertTrue(found.startswith(said))
        self.assertIn("10 % of saturation", found)
        self.assertEqual(goals.lines(self.open_result(40000)), [])
        self.assertIn("an unknown share", goals.lines(self.open_result(40000, known=False))[0])

    def test_a_goal_is_met_for_certain_by_the_median_or_not(self) -> None:
        for low, median, confidence, said in (
            (0.95, 0.96, 0.97, "met for certain"),
            (0.949, 0.95, 0.97, "met by the median"),
            (0.1, 9.0, 0.97, "met by the median"),
            (0.9, 0.949, 0.97, "not met"),
            (0.96, 0.97, 0.9375, "undecided, too few boots"),
        ):
            ratio = intervals.Estimate(median, low, 9.9, confidence, 6)
            self.assertEqual(ratio.meets(0.95), said, (low, median))
            self.assertIn(said, intervals.VERDICTS)
            self.assertEqual(ratio.meets(0.95, quiet=False), intervals.UNQUIET)

    def test_nothing_is_met_on_an_unquiet_host(self) -> None:
        result = fake_result("1,32")
        self.assertTrue([line for line in goals.lines(result) if "met for certain at" in line])
        for job in result["jobs"]:
            job["hartq"]["host_wait_fraction"] = {"vcpu": 0.0, "device": 0.4}
        said = [line for line in goals.lines(result) if "over" in line]
        self.assertTrue(said)
        for line in said:
            self.assertIn("undecided, the host was not quiet", line)
            self.assertNotIn("met", line.replace("interrupts", ""))
        row = {"ratio": {"median": 9.0, "interval": [8.5, 9.9], "confidence": 0.97, "boots": 6}}
        for quiet, judged in ((True, "8: met for certain"), (False, f"8: {intervals.UNQUIET}")):
            self.assertEqual(linux_tables.judged({**row, "goal": 8.0}, quiet), judged)

    def test_a_difference_has_a_least_effect(self) -> None:
        for low, median, high, verdict in (
            (1.01, 1.029, 1.2, 0), (0.98, 0.99, 1.01, 0), (0.971, 0.98, 0.99, 0),
            (1.005, 1.04, 1.2, 1), (0.8, 0.96, 0.99, -1), (0.99, 1.3, 1.7, 0),
        ):
            ratio = intervals.Estimate(median, low, high, 0.97, 6)
            self.assertEqual(ratio.verdict(), verdict, ratio)
            self.assertEqual(intervals.marked(ratio).endswith("="), verdict == 0)

    def test_targets_are_counted_and_misses_are_named(self) -> None:
        result = fake_result("1,2")
        for job in result["jobs"]:
            if job["hartq"]["ratio_to_irq"]:
                middle = 0.9 if job["job options"]["iodepth"] == "2" else 0.98
                job["hartq"]["ratio_to_irq"] = {
                    "median": middle, "interval": [0.8, middle], "confidence": 0.97, "boots": 6,
                }
        found = [line for line in goals.lines(result) if "over interrupts" in line]
        self.assertEqual(found, [
            "hybrid over interrupts, goal 0.97, 2 points: met by the median at 1, not met at 1",
            "not met: hybrid over interrupts 0.90 (0.80-0.90) at queue depth 2, batch 1, "
            "1 hart, per-hart",
        ])

    def test_a_raw_ring_that_is_not_faster_bounds_nothing(self) -> None:
        result = fake_result("1,32,64")
        for job in result["jobs"]:
            if job["hartq"]["ratio_to_raw"]:
                median = {"1": 0.97, "32": 1.0, "64": 1.26}[job["job options"]["iodepth"]]
                job["hartq"]["ratio_to_raw"] = {
                    "median": median, "interval": [0.9, 1.3], "confidence": 0.97, "boots": 6,
                }
        held = [aim.depth for aim in goals.all_goals(result) if "over raw" in aim.kind]
        self.assertEqual(held, [1])
        self.assertIn("not judged: polling over raw ring, raw ring is not faster at queue depth "
                      "32, 64, batch 1, 1 hart, per-hart", goals.lines(result))

    def test_too_few_boots_judge_nothing(self) -> None:
        few = goals.lines(fake_result("1", repetitions=5))
        self.assertTrue(few[0].startswith("undecided, too few boots:"), few)

    def test_load_before_and_after(self) -> None:
        text = environment.header({**ENVIRONMENT, "host_load_after": [2.5, 1, 0.25]})
        self.assertIn("load 0.1/0.1/0.1 before, 2.5/1/0.25 after the run", text)

    def test_a_busy_host_is_said(self) -> None:
        result = fake_result("1,2,4")
        self.assertIn("waited little", host_noise.noise_lines(result)[0])
        self.assertEqual(host_noise.warnings(result), [])
        for job in result["jobs"][: len(result["jobs"]) // 4]:
            job["hartq"]["host_wait_fraction"] = {"vcpu": 0.05, "device": 0.4}
        self.assertIn("HOST WAS BUSY", host_noise.noise_lines(result)[0], "at a quarter")
        for job in result["jobs"][: len(result["jobs"]) // 4]:
            job["hartq"]["harts"] = result["environment"]["host_cores"]
        self.assertEqual(host_noise.warnings(result), [], "harts take the cores from each other")
        for job in result["jobs"]:
            job["hartq"]["harts"] = result["environment"]["host_cores"]
        self.assertIn("no point leaves a core", host_noise.noise_lines(result)[0])

    def test_harts_that_fill_the_host_are_held_against_no_target(self) -> None:
        result = fake_result("1,32")
        held = [aim.kind for aim in goals.all_goals(result)]
        self.assertTrue(held)
        result["environment"]["host_cores"] = 1
        self.assertEqual(goals.all_goals(result), [])

    def test_a_standstill_has_no_factor(self) -> None:
        most = intervals.Estimate(intervals.STANDSTILL, 2.0, intervals.STANDSTILL, 0.97, 6)
        told = comparisons.brief({8: most}, "faster", "slower")
        self.assertEqual(told, "faster at 8 (xinf: 2.00 to inf)")

    def test_an_open_loop_alone_is_shown(self) -> None:
        result = self.open_result(40000)
        self.assertEqual(len(tables.of_main_series(result)["jobs"]), len(result["jobs"]))

    def test_slow_boots_without_a_percentile_are_not_left_out(self) -> None:
        job = fake_result("1")["jobs"][0]
        for each in job["hartq"]["boots"][:2]:
            each["p99_ns"] = None
        self.assertEqual(metrics.values(job, metrics.P99), {})

    def test_a_host_that_drifts_is_said(self) -> None:
        result = fake_result("1,8")
        self.assertEqual(host_noise.warnings(result), [])
        noise = "\n".join(host_noise.noise_lines(result))
        self.assertRegex(noise, r"boot by boot .* (0\.9|1\.0)\d, ")
        for job in result["jobs"]:
            for each in job["hartq"]["boots"]:
                each["iops"] *= 0.6 if each["boot"] == 1 else 1.0
        self.assertRegex(host_noise.warnings(result)[0], r"DRIFTED: .* 0\.\d\d of .* in boot 1\.")

    def test_what_the_hypervisor_took(self) -> None:
        result = fake_result("1")
        result["environment"]["steal_fraction"] = 0.01
        for share, said in ((None, 1.0), (0.02, 2.0)):
            for job in result["jobs"]:
                job["hartq"]["host_steal_fraction"] = share
            self.assertIn(f"the host's hypervisor took {said} % of its time",
                          host_noise.noise_lines(result))
        for job in result["jobs"][:1]:
            job["hartq"]["host_steal_fraction"] = 0.2
        self.assertIn("its hypervisor took 20 %", host_noise.warnings(result)[0])

    def test_missed_is_loud(self) -> None:
        self.assertEqual(goals.faults(fake_result()), [])
        self.assertIn("met: missed interrupts 0 in", goals.missed_lines(fake_result())[0])
        missed = fake_result(ways="missed")
        self.assertIn("!!! missed interrupts: 1", goals.faults(missed)[0])
        self.assertIn("not met: missed interrupts 1 in", goals.missed_lines(missed)[0])

    def test_a_loop_that_is_not_full_is_loud(self) -> None:
        windows = fake_windows(fake_words("8"))
        windows[0].record["in_flight_least"] = 4
        result = as_result(windows)
        self.assertEqual(goals.faults(result),
                         ["!!! fewer in flight than the queue depth (randread-4096-qd8-b1-poll: 4)"]
                         )
        for job in result["jobs"]:
            mine = job["hartq"]
            told = mine["completion"] != "raw"
            self.assertEqual(mine["in_flight_least"] is not None, told)
            if told:
                self.assertAlmostEqual(mine["in_flight_mean"], 8, delta=1)
            else:
                self.assertIsNone(mine["in_flight_mean"])
            del mine["in_flight_least"]  # of an older result
        self.assertEqual(goals.faults(result), [])

    def test_latencies_above_the_end_are_said(self) -> None:
        windows = fake_windows(fake_words("1", modes="poll"))
        for window in windows:
            latency = window.record["read"]["lat_ns"]
            latency |= {"bins": {str(histogram.LAST_NS): 5000}, "N": 5000, "beyond": 2}
        result = as_result(windows)
        (job,) = result["jobs"]
        self.assertEqual(job["hartq"]["latencies_beyond"], 12)
        self.assertEqual(metrics.latency_text(job), ">17.2 s/>17.2 s")
        self.assertIn("latencies >17.2 s, the histogram's end, are only counted; percentiles there "
                      "are lower bounds (randread-4096-qd1-b1-poll: 12)",
                      host_noise.noise_lines(result))
        job["hartq"]["latencies_beyond"] = None  # of an older result
        self.assertNotIn(">", metrics.latency_text(job))
        self.assertNotIn("17.2", "\n".join(host_noise.noise_lines(result)))

    def test_a_message_that_an_old_qemu_lost_is_no_failure(self) -> None:
        windows = fake_windows(fake_words("1"), "missed", delivery="msix")
        for qemu, fails in (("7.2.22", False), ("9.1.3", False), ("9.2.0", True), ("10.0", True)):
            result = as_result(windows, qemu)
            self.assertEqual(bool(goals.faults(result)), fails, qemu)
            text = "\n".join(goals.missed_lines(result))
            self.assertIn("missed interrupts 1 in 2 points that take any, IMSIC", text)
            self.assertEqual("can lose a message" in text, not fails)
        windows[0].record["errors"] = 3
        self.assertIn("!!! errors: 3", goals.faults(as_result(windows, "7.2.22"))[0])

    def test_backing_is_named_without_its_path(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            mounts = Path(folder, "mounts")
            mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {folder} rw - tmpfs x rw\n")
            self.assertEqual(backing.filesystem(Path(folder, "disk.img"), mounts), "tmpfs")
            self.assertEqual(backing.filesystem(Path("/nowhere/x"), mounts), "ext4")
            named = backing.parse_backing(str(Path(folder, "disk.img"))).name()
            self.assertRegex(named, r"^file:disk\.img( on \w+)?, aio=threads$")
        self.assertEqual(backing.parse_backing("ram:64m").name(), "ram:64m")


if __name__ == "__main__":
    unittest.main()
