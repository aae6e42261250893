"""Linux beside ours: what boots come to, in files, ratios and words."""

from __future__ import annotations

import json
import unittest

from fake_fio import answer_of

from linux import fio_answers, plan, results, tables
from linux.plan import Point
from measure import instructions
from measure.windows import Window
from qemu.host_cpu import Spent


def ours_of(rates: dict[str, dict[int, float]], point: Point) -> results.OURS:
    """Windows of ours by mode and boot."""
    return {
        (mode, point): {boot: window(mode, iops) for boot, iops in boots.items()}
        for mode, boots in rates.items()
    }


def window(mode: str, iops: float) -> Window:
    """A second of ours with a latency of 5 us."""
    ios = round(iops)
    latency = {"min": 5000, "max": 5000, "sum": 5000 * ios, "bins": {"5000": ios}}
    read = {"total_ios": ios, "io_bytes": 0, "lat_ns": latency}
    idle = {"total_ios": 0, "io_bytes": 0, "lat_ns": {**latency, "bins": {}}}
    host = Spent({"vcpu": 10**9, "device": 10**8, "workers": 0},
                 {"vcpu": 0, "device": 0, "workers": 0}, 10**9)
    return Window({"runtime_ns": 10**9, "read": read, "write": idle, "mode": mode}, host)


class Results(unittest.TestCase):
    """Boots become results and ratios."""

    def setUp(self) -> None:
        self.answers = fio_answers.Answers()
        for boot, iops in enumerate((100.0, 200.0, 400.0)):
            for engine in plan.ENGINES:
                factor = 2.0 if engine.name == "io_uring-poll" else 1.0
                self.answers.add(engine.name, boot, answer_of(engine, iops * factor))

    def test_what_a_kernel_refuses_is_told(self) -> None:
        """With the version that it takes, where that is why."""
        self.answers.add("libaio-irq", 0, {"jobs": []})
        self.assertEqual(self.answers.lacking(), [])
        answers = fio_answers.Answers()
        for name in ("libaio-irq", "loop-hybrid"):
            answers.add(name, 0, {"jobs": []})
        self.assertEqual(["6.13" in line for line in answers.lacking()], [False, True])

    def test_merge_of_boots(self) -> None:
        files = fio_answers.fio_results(self.answers)
        iops, latency = files["linux-io_uring-irq.json"]["jobs"][:2]
        read = iops["read"]
        self.assertEqual((read["total_ios"], read["runtime"], read["iops_samples"]), (700, 3000, 3))
        self.assertAlmostEqual(read["iops"], 700 / 3, 5)
        self.assertEqual((read["iops_min"], read["iops_max"]), (100.0, 400.0))
        self.assertLess(read["iops_min"], read["iops_mean"])
        self.assertEqual(read["bw_bytes"], round(4096 * 700 / 3))
        self.assertEqual((iops["job_runtime"], iops["sys_cpu"]), (3000, 50.0))
        self.assertAlmostEqual(iops["usr_cpu"], 70 / 3, 5)
        self.assertNotIn("elapsed", iops)
        self.assertEqual((read["lat_ns"]["N"], sum(iops["latency_us"].values())), (0, 0.0))
        found = latency["read"]["lat_ns"]
        self.assertEqual((found["N"], found["bins"]), (300, {"2000": 270, "8000": 30}))
        self.assertEqual(found["percentile"]["50.000000"], 2000)
        self.assertEqual((latency["latency_us"]["4"], latency["latency_us"]["10"]), (90.0, 10.0))

    def test_each_file_says_what_ran(self) -> None:
        files = fio_answers.fio_results(self.answers)
        self.assertEqual(len(files), len(plan.ENGINES))
        for engine in plan.ENGINES:
            found = files[f"linux-{engine.name}.json"]
            said = found["global options"]
            self.assertEqual(said["ioengine"], engine.ioengine)
            for option in engine.options:
                self.assertIn(tuple(option.split("=")), said.items())
            names = [job["jobname"] for job in found["jobs"]]
            text = plan.job_file(engine, plan.DEFAULT)
            self.assertEqual([f"[{name}]" for name in names],
                             [line for line in text.splitlines() if line[:3] == "[qd"])
            self.assertNotIn("1970", found["time"])
        found = files["linux-io_uring_cmd-poll.json"]["global options"]
        self.assertEqual((found["hipri"], found["filename"]), ("1", "/dev/ng0n1"))

    def test_ratio_is_of_pairs(self) -> None:
        point = Point(1, 1)
        ours = ours_of({"poll": {0: 600.0, 1: 1200.0, 2: 2400.0}, "raw": {0: 700.0},
                        "irq": {0: 10.0}}, point)
        row = results.comparison(point, "poll", ours, self.answers)
        self.assertEqual(row["ratio"]["interval"], [3.0, 3.0])
        self.assertEqual((row["peer"]["engine"], row["goal"]), ("io_uring", 1.5))
        self.assertEqual(tables.cells(row)[4], "1.5: undecided, too few boots")
        self.assertEqual(row["ours"]["lat_p50_ns"], 5000)
        self.assertEqual(row["ours"]["us_per_io"]["host_vcpu"]["median"], round(1e6 / 1200, 4))
        best = results.comparison(point, "best", ours, self.answers)
        self.assertEqual((best["ours"]["completion"], best["goal"]), ("poll", None))
        self.assertIsNone(results.comparison(Point(4, 1), "irq", ours, self.answers))

    def test_the_fastest_of_each_pair(self) -> None:
        rates, chosen = results.fastest({
            "a": {0: 1.0, 1: 5.0, 2: 5.0}, "b": {0: 2.0, 1: 1.0}, "c": {},
        })
        self.assertEqual((rates, chosen), ({0: 2.0, 1: 5.0, 2: 5.0}, {"a": 2, "b": 1}))
        self.assertEqual(results.often(chosen), " (2 of 3)")
        self.assertEqual(results.fastest({"a": {}}), ({}, {}))

    def test_goals_are_judged(self) -> None:
        """Of six boots: a ratio to Linux's 200 IOPS, and the raw ring's place between them."""
        point = Point(1, 1)
        answers = fio_answers.Answers()
        for boot in range(6):
            answers.add("io_uring-poll", boot, answer_of(plan.ENGINES[1], 200.0))
        for mine, raw, judged in (
            (400.0, 420.0, "1.5: met for certain"), (290.0, 400.0, "1.5: not met"),
            (240.0, 390.0, "1.5: not met"),
        ):
            ours = ours_of({"poll": dict.fromkeys(range(6), mine),
                            "raw": dict.fromkeys(range(6), raw)}, point)
            row = results.comparison(point, "poll", ours, answers)
            self.assertEqual(tables.cells(row)[3:5], [f"{mine / 200:.2f} ({mine / 200:.2f}-"
                                                      f"{mine / 200:.2f})", judged])
            ring, share = tables.time_rows([row])[0][-2:]
            self.assertTrue(ring.startswith(f"{raw / 200:.2f} ("), ring)
            self.assertTrue(share.startswith(f"{mine / raw:.2f} ("), share)

    def test_instructions_are_for_an_io(self) -> None:
        answer = {"jobs": [{"iodepth": depth, "batch": depth, "submit": 64 * depth, "reap": depth,
                            "interrupt": 0, "median": 70 * depth} for depth in (1, 32, 2)]}
        rows = results.counted("poll", answer)
        whole = json.loads(instructions.BASELINE.read_text())["figures"]
        known = "poll, msix, 1 queue, depth {0}, batch {0}, 4096 bytes, clocked"
        for row, depth in zip(rows, (1, 32)):
            ours = sum(whole[known.format(depth)].values()) / depth
            self.assertEqual((row["submit"], row["reap"], row["hartq"]), (64, 1, ours))
        cells = tables.count_rows(rows)
        self.assertEqual(cells[0][3:8], ["64", "0", "1", "65", "70"])
        self.assertEqual(cells[0][-1], f"{65 / rows[0]['hartq']:.1f}")
        self.assertEqual((rows[2]["hartq"], cells[2][-1]), (0, "-"))
        self.assertIn("instructions per I/O of Linux's loop", "\n".join(tables.lines([], rows)))
        self.assertNotIn("instructions", "\n".join(tables.lines([], [])))

    def test_time_and_fio_are_told(self) -> None:
        point = Point(1, 1)
        ours = ours_of({"poll": {0: 500.0}, "raw": {0: 1000.0}}, point)
        row = results.comparison(point, "poll", ours, self.answers)
        times = dict(zip(tables.TIME_HEAD, tables.time_rows([row])[0]))
        self.assertEqual((times["hartq"], times["raw ring"]),
                         ("2000.0 (2000.0-2000.0)", "1000.0 (1000.0-1000.0)"))
        self.assertEqual((times["Linux"], times["its program"]),
                         ("2500.0 (1250.0-5000.0)", "1000.0 (500.0-1000.0)"))
        self.assertEqual(tables.time_rows([{**row, "goal": None}]), [])
        text = "\n".join(tables.lines([row], []))
        for words in ("ours / raw ring", "a system call for each command", "latency runs from"):
            self.assertIn(words, text)


if __name__ == "__main__":
    unittest.main()
