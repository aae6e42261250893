"""chart_data.py: which jobs become which picture."""

from __future__ import annotations

import unittest

from fake_results import as_result, fake_result, fake_windows, fake_words

from analysis import loads
from analysis.series import open_jobs
from report import chart_data
from report.chart_data import Source


class Selection(unittest.TestCase):
    def test_linux_beside_ours_on_its_machine(self) -> None:
        def line(name: str, engine: str, batch: int, depth: int, **more: str) -> dict:
            point = {"iodepth": depth, "iops_median": 5.0, "iops_interval": [4.0, 6.0]}
            return {"name": name, "engine": engine, "mode": "irq", "batch": batch,
                    "points": [point], **more}

        ours = ("hartq", 1, 1)
        series = [
            *(line("Linux x", "x", *place) for place in ((1, 32), (16, 32), (32, 128))),
            {**line("Linux x, min 1", "x", 32, 128), "least": 1},
            line("hartq, irq", *ours, delivery="msix"),
            line("hartq, irq", "hartq", 1, 32, delivery="msix"),
            {**line("hartq, raw", *ours, delivery="msix"), "mode": "raw"},
        ]
        about = {"linux": {"kernel": "6.12.3"}, "environment": {"backing": "null"}}
        panels = chart_data.peers(Source({}, peers={**about, "series": series}))[1]
        found = {name: [dot.name for dot in dots] for name, dots in panels.items()}
        self.assertEqual(found, {
            "QD 1": ["hartq interrupts, msix", "raw ring"],
            "QD 32": ["Linux x", "hartq interrupts, msix"],
            "QD 32, batch 16": ["Linux x"],
            "QD 128, batch 32": ["Linux x", "Linux x"],
        })
        self.assertEqual([d.hollow for d in panels["QD 128, batch 32"]], [False, True])
        self.assertEqual(list(found)[:2], ["QD 1", "QD 32"])
        self.assertEqual(chart_data.peers(Source({}))[1], {})

    def test_cost_takes_what_was_counted(self) -> None:
        result = fake_result("1,8")
        for job in result["jobs"]:
            if job["hartq"]["completion"] == "irq":
                job["hartq"]["instructions"] = {"submit": 10, "reap": 0, "interrupt": 30}
        name, bars = chart_data.cost(Source(result))
        self.assertEqual(name, "4 KiB randread, 1 hart")
        self.assertEqual([(bar.depth, bar.look.label) for bar in bars],
                         [(1, "polling"), (1, "interrupts, per-hart"), (1, "hybrid, per-hart")])
        self.assertEqual([bar.instructions and sum(bar.instructions.values()) for bar in bars],
                         [None, 40, None])

    def test_time_is_of_the_usual_depth_and_block(self) -> None:
        result = fake_result("8,32,128")
        large = fake_result("32")
        for job in large["jobs"]:
            job["job options"]["bs"] = "512"
        result["jobs"] = large["jobs"] + result["jobs"]
        for job in result["jobs"]:
            boots = [{"boot": 0, "iops": [5.0, 0.0, 5.0]}]
            job["hartq"]["timeline"] = {"interval_ms": 2.0, "boots": boots}
        name, lines = chart_data.timeline(Source(result))
        self.assertEqual(name, "4 KiB randread, queue depth 32, batch 1, 1 hart")
        self.assertEqual([line.gaps() for line in lines], [1, 1, 1])
        self.assertEqual(chart_data.timeline(Source(fake_result("1")))[1], [])

    def test_block_sizes(self) -> None:
        self.assertEqual(chart_data.blocksize(Source(fake_result("32"))), ("", []))
        words = [word if not word.startswith("bs=") else "bs=512,4096,65536"
                 for word in fake_words("32", modes="poll,irq")]
        name, lines = chart_data.blocksize(Source(as_result(fake_windows(words))))
        self.assertEqual(name, "randread, queue depth 32, batch 1")
        self.assertEqual([[p.at for p in line.points] for line in lines], [[512, 4096, 65536]] * 2)

    def test_open_loop(self) -> None:
        self.assertEqual(chart_data.openloop(Source(fake_result("1"))), ("", {}))
        windows = []
        for rate in (1000, 5000):
            words = [*fake_words("32", modes="poll,irq"), f"rate_iops={rate}"]
            windows += fake_windows(words)
        result = as_result(windows)
        self.assertEqual(len(open_jobs(result)), 4)
        _, lines = chart_data.openloop(Source(result))
        self.assertEqual([[p.offered for p in line] for line in lines.values()],
                         [[1000, 5000]] * 2)

    def test_the_knee_is_the_highest_load_that_is_kept_with_all_below(self) -> None:
        """By mode, of loads of 1000 to 4000: what share of each is done."""
        done = {"poll": (1.0, 1.0, 1.0, 0.96), "irq": (1.0, 0.96, 0.94, 1.0), "hybrid": (0.5,) * 4}
        windows = []
        for load in range(4):
            words = [*fake_words("32", modes=",".join(done)), f"rate_iops={1000 * (load + 1)}"]
            for window in fake_windows(words):
                wanted = 1000 * (load + 1) * done[window.key.mode][load]
                side = window.record["read"]
                side["total_ios"] = round(wanted * window.record["runtime_ns"] / 1e9)
                windows.append(window)
        saturation = [{"rw": "randread", "bs": 4096, "iodepth": 32, "batch": 1, "iops": 4000.0}]
        result = as_result(windows, saturation=saturation)
        found = {each["completion"]: (each["offered_iops"], each["highest"])
                 for each in result["knees"]}
        self.assertEqual(
            found, {"poll": (4000, True), "irq": (2000, False), "hybrid": (None, False)})
        _, lines = chart_data.openloop(Source(result))
        marked = {look.label: [p.offered for p in points if p.knee]
                  for look, points in lines.items()}
        self.assertEqual(list(marked.values()), [[], [2000], []])
        (told,) = loads.lines(result)
        self.assertIn("polling 4,000 IOPS offered (100 % of saturation), the highest measured; "
                      "interrupts 2,000 IOPS offered (50 % of saturation); "
                      "hybrid below the least load", told)
        rows = loads.rows(result)
        self.assertEqual([row[-1] for row in rows],
                         ["hybrid", "hybrid", "interrupts, hybrid", "hybrid"])
        at = loads.HEAD.index("host CPU, interrupts / polling")
        self.assertEqual([row[at] for row in rows], [
            "1.00 (1.00-1.00) =", "1.04 (1.04-1.04)", "1.06 (1.06-1.06)", "0.96 (0.96-0.96)"])


if __name__ == "__main__":
    unittest.main()
