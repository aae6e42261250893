"""The load step and the reader beside a writer: what is planned, measured and told."""

from __future__ import annotations

import unittest

from fake_results import as_result, fake_windows, fake_words

from analysis import goals, shapes
from analysis.series import all_series, closed_jobs
from measure import plan as plans
from measure.windows import Target, boot_machine
from qemu.machine import UsageError
from report import answer, tables
from results import boots


class Shapes(unittest.TestCase):
    @staticmethod
    def result(word: str) -> dict:
        words = [*fake_words("8", modes="poll,irq,hybrid"), word]
        return as_result(fake_windows(words))

    def test_time_until_the_rate_is_back(self) -> None:
        """A dip later, or one interval that is high by chance, does not count."""
        for ios, back in (
            ([60] * 50, 0), ([30] * 10 + [60] * 40, 10), ([0] * 50, None),
            ([0] * 4 + [120] + [30] * 5 + [60] * 40, 10), ([56] * 2 + [60] * 48, 2),
            ([60] * 20 + [0] * 2 + [60] * 28, 0),
        ):
            found = boots.back_ns({"ios": ios, "interval_ns": 1000})
            self.assertEqual(found, None if back is None else back * 1000, ios)

    def test_a_load_step_is_told_by_mode(self) -> None:
        result = self.result("thinktime=20000us")
        rows = [dict(zip(shapes.STEP_HEAD, row)) for row in shapes.step_rows(result)]
        self.assertEqual([row["mode"] for row in rows], ["polling", "interrupts", "hybrid"])
        self.assertEqual([row[shapes.BACK.name] for row in rows], ["0.0", "1.0", "3.0"])
        self.assertIn("Load step:", answer.words(result))
        both = fake_windows(fake_words("8", modes="poll"))
        both += fake_windows([*fake_words("8", modes="poll"), "thinktime=20000us"])
        told = tables.table(as_result(both))
        self.assertEqual(["randread, step" in line for line in told], [False] * 3 + [True])

    def test_latencies_beside_a_writer_are_the_readers(self) -> None:
        windows = fake_windows([*fake_words("1", modes="irq"), "writer_iodepth=8"])
        for window in windows:
            for side, ns in (("read", 20_000), ("write", 9_000_000)):
                latency = window.record[side]["lat_ns"]
                latency["bins"] = {str(ns): latency["N"]}
        result = as_result(windows)
        (row,) = [dict(zip(shapes.BESIDE_HEAD, row)) for row in shapes.beside_rows(result)]
        self.assertEqual(row["p50 us of a read"], "20")
        reads = [w.record["read"]["total_ios"] * 1e9 / w.record["runtime_ns"] for w in windows]
        (job,) = result["jobs"]
        self.assertEqual([each["reader_iops"] for each in job["hartq"]["boots"]],
                         [round(each, 1) for each in reads])
        self.assertIn("A reader beside a writer of 128 KiB:", answer.words(result))

    def test_a_callback_that_posts_has_no_latencies(self) -> None:
        result = self.result("post=callback")
        self.assertEqual(closed_jobs(result), [])
        self.assertEqual(goals.faults(result), [])
        for job in result["jobs"]:
            self.assertGreater(job["hartq"]["iops_median"], 0)
            self.assertEqual({boot["p99_ns"] for boot in job["hartq"]["boots"]}, {None})
        both = fake_windows(fake_words("8", modes="poll"))
        both += fake_windows([*fake_words("8", modes="poll"), "post=callback"])
        told = tables.table(as_result(both))
        self.assertEqual(["randread, callback" in line for line in told],
                         [False, True, False, False])
        self.assertEqual(shapes.callback_rows(as_result(both[6:])), [])
        (row,) = [dict(zip(shapes.CALLBACK_HEAD, row))
                  for row in shapes.callback_rows(as_result(both))]
        self.assertEqual((row["workload"], row["mode"], row["IOPS"]),
                         ("4 KiB randread, queue depth 8, batch 1, 1 hart", "polling",
                          "1.25 (1.25-1.25)"))
        self.assertEqual(row["submission doorbells per I/O: loop"], "0.250")
        self.assertIn("A callback that posts over a loop that does:",
                      answer.words(as_result(both)))
        sweeps, dropped = plans.runnable([plans.Sweep((8,), shape=("callback",))], 2)
        self.assertEqual(sweeps[0].completion, ("poll", "irq", "hybrid"))
        self.assertIn(plans.SHAPE_LACKS, dropped[0])
        words = plans.guest_arguments(plans.Plan(sweeps, 1, 10, 10), sweeps[0], 0)
        self.assertIn("post=callback", words)

    def test_they_are_no_closed_loop_of_a_depth(self) -> None:
        for word in ("thinktime=20000us", "writer_iodepth=8"):
            result = self.result(word)
            self.assertEqual(closed_jobs(result), [])
            self.assertEqual(all_series(result), {})
            self.assertEqual(goals.all_goals(result), [])

    def test_plan(self) -> None:
        asked = plans.Sweep((1, 32), shape=("steady", "step", "beside"))
        sweeps, dropped = plans.runnable([asked], 2)
        self.assertEqual([(s.shape[0], "raw" in s.completion) for s in sweeps],
                         [("steady", True), ("step", False), ("beside", False)])
        self.assertIn(plans.SHAPE_LACKS, dropped[0])
        plan = plans.Plan(sweeps, 6, 500, 50)
        words = [plans.guest_arguments(plan, sweep, 0)[-1] for sweep in sweeps]
        self.assertTrue(words[0].startswith("randseed="))
        self.assertEqual(words[1:], ["thinktime_iotime=50ms", "writer_iodepth=8"])
        memory = [boot_machine(Target(), plan, sweep, 0).memory_mib for sweep in sweeps]
        self.assertGreaterEqual(memory[2], memory[0] + 1)
        with self.assertRaisesRegex(UsageError, "closed loop"):
            plans.runnable([plans.Sweep(completion=("raw",), shape=("step",))], 2)

    def test_full_measures_them(self) -> None:
        found = {word for sweep in plans.PRESETS["full"].sweeps for word in sweep.shape}
        self.assertEqual(found, set(plans.SHAPES))


if __name__ == "__main__":
    unittest.main()
