"""plot.py: pictures from results alone, whole, partial and laid over."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "scripts"), str(HERE)]

from analysis.series import all_series  # noqa: E402
from results import result_file  # noqa: E402
from fake_results import as_result, fake_result, fake_windows, fake_words  # noqa: E402

try:
    from matplotlib.text import Text

    from report import advice, axes, chart_data, charts, looks, overlay
    import plot
except (ImportError, SystemExit):
    plot = None  # matplotlib is not there

NAMES = tuple(f"{name}.{kind}" for name in ("interrupts", "iops", "latency")
              for kind in ("png", "svg"))


def fio_json(percentiles: bool) -> dict:
    """What fio writes, as far as it is read."""
    latency: dict = {"min": 1000, "max": 90000, "mean": 20000.0, "N": 30000}
    if percentiles:
        latency["percentile"] = {"50.000000": 18000, "99.000000": 40000}
    side = {"total_ios": 30000, "iops": 15000.0, "iops_stddev": 300.0, "clat_ns": latency,
            "lat_ns": {"min": 0, "max": 0, "mean": 0.0, "N": 0}}
    idle = {"total_ios": 0, "iops": 0.0}
    return {
        "fio version": "fio-3.33",
        "global options": {"rw": "randread"},
        "jobs": [
            {"jobname": f"qd{depth}", "job options": {"iodepth": str(depth)}, "read": side,
             "write": idle, "usr_cpu": 10.0, "sys_cpu": 30.0} for depth in (1, 32)
        ],
    }


def run(arguments: list[str], pictures: dict, kinds: dict) -> tuple[int, str, str]:
    """plot.py with some of its pictures and formats: its exit status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.multiple(
        plot, PICTURES=pictures, KINDS=kinds
    ):
        status = plot.main(arguments)
    return status, out.getvalue(), err.getvalue()


@unittest.skipIf(plot is None, "needs matplotlib")
class Plot(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        """One result is drawn in full, for all who only look."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.shared = Path(folder.name)
        result_file.save(fake_result("1,8,32,128"), cls.shared)
        cls.drawn = run([folder.name], plot.PICTURES, plot.KINDS)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def draw(self, *others: str, only: str = "", kinds: str = "svg") -> tuple[int, str, str]:
        """Exit status and what was printed; `only` some pictures, in some formats."""
        names = only.split() or plot.PICTURES
        return run(
            [str(self.folder), *others], {name: plot.PICTURES[name] for name in names},
            {kind: plot.KINDS[kind] for kind in kinds.split()},
        )

    def test_all_pictures_and_the_answer(self) -> None:
        status, out, err = self.drawn
        self.assertEqual((status, err), (0, ""))
        for name in NAMES:
            self.assertGreater((self.shared / name).stat().st_size, 5000, name)
        self.assertIn("polling / interrupts: faster", (self.shared / "answer.md").read_text())
        self.assertIn("polling / interrupts: faster", out)
        self.assertFalse((self.shared / "scaling.png").exists(), "one hart count has no scaling")
        svg = (self.shared / "iops.svg").read_text()
        self.assertIn("emulated", svg)
        self.assertIn("null backing", svg)

    def test_a_picture_has_a_selection_and_a_drawing(self) -> None:
        for name in plot.PICTURES:
            self.assertTrue(callable(getattr(chart_data, name)) and callable(getattr(charts, name)))

    def test_deliveries_and_hart_counts(self) -> None:
        windows = [
            window
            for delivery, harts in (("per-hart", 1), ("per-hart", 2), ("msix", 1), ("msix", 4))
            for window in fake_windows(fake_words("1,8", harts=harts), delivery=delivery)
        ]
        for delivery in ("per-hart", "msix"):
            whole = [w.replace("submit=1", "submit=0") for w in fake_words("8", modes="poll,irq")]
            windows += fake_windows(whole, delivery=delivery)
        windows += fake_windows([*fake_words("8", harts=8, modes="irq"), "rate_iops=50"])
        result = as_result(windows)
        result_file.save(result, self.folder)
        self.assertEqual(self.draw(only="scaling", kinds="png svg")[0], 0)
        _, lines = chart_data.iops(chart_data.Source(result))
        labels = [line.look.label for line in lines if not line.note]
        thin = [line.look.label for line in lines if line.note]
        self.assertEqual(thin, ["interrupts, per-hart", "polling"], "of one delivery")
        self.assertEqual(labels, [
            "raw ring", "interrupts, per-hart", "interrupts, msix",
            "hybrid, per-hart", "hybrid, msix", "polling",
        ])
        name, (lines, _) = chart_data.scaling(chart_data.Source(result))
        self.assertEqual(name, "4 KiB randread, queue depth 8, batch 1")
        harts = {line.look.label: [point.at for point in line.points] for line in lines}
        self.assertEqual(harts["interrupts, per-hart"], [1, 2])
        self.assertEqual(harts["hybrid, msix"], [1, 4])
        self.assertEqual(harts["polling"], [1, 2, 4])
        self.assertIn("cores", (self.folder / "scaling.svg").read_text())
        self.assertGreater((self.folder / "scaling.png").stat().st_size, 5000)

    def test_looks_stay_apart(self) -> None:
        found = list(looks.LOOKS.values())
        for field in ("color", "label"):
            self.assertEqual(len({getattr(look, field) for look in found}), len(found), field)
        modes = [look for (mode, _), look in looks.LOOKS.items() if mode not in looks.REFERENCES]
        self.assertEqual(len({look.marker for look in modes}), len(modes))

    def test_a_mode_without_a_look_of_its_own_is_drawn(self) -> None:
        with mock.patch.dict(looks.MODES, nap=None), mock.patch.dict(looks.NAMES, nap="napping"):
            look = looks.look_of("nap", "msix")
        self.assertEqual(look.label, "napping")
        self.assertNotIn(look.color, [each.color for each in looks.LOOKS.values()])

    def test_small_print_says_what_the_points_are(self) -> None:
        for name, said in (
            ("iops", "median and interval of 6 boots"),
            ("latency", "all of 6 boots together, no intervals"),
            ("interrupts", "median and interval of 6 boots; hollow: no sure difference"),
            ("cost", "instructions exact, events of 6 boots"),
        ):
            self.assertIn(said, (self.shared / f"{name}.svg").read_text(), name)

    def test_batches_of_the_depth_have_a_panel_of_their_own(self) -> None:
        windows = fake_windows(fake_words("1,2,4,8,16,32"))
        whole = [w.replace("submit=1", "submit=0") for w in fake_words("16,32")]
        result = as_result([*windows, *fake_windows(whole)])
        figure = charts.iops(chart_data.iops(chart_data.Source(result))[1], "title", "footer")
        left, right, *below = figure.axes
        self.assertEqual([each.get_title() for each in (left, right)], ["", "batch = depth"])
        self.assertEqual([len(each.containers) for each in figure.axes], [4] * 4)
        self.assertEqual([each.get_ylabel() for each in (left, below[0])],
                         ["IOPS", "host CPU, us per I/O"])
        figure.draw_without_rendering()
        self.assertGreater(left.bbox.width, 2 * right.bbox.width, "six depths and two")
        axes.save(figure, {})

    def test_interrupts_over_polling(self) -> None:
        windows = fake_windows(fake_words("1,2,4,8,16,32,64,128,256,512", modes="poll,irq"))
        whole = [w.replace("submit=1", "submit=0") for w in fake_words("16,32", modes="poll,irq")]
        result = as_result([*windows, *fake_windows(whole)])
        message, panels = chart_data.interrupts(chart_data.Source(result))
        self.assertEqual(message, advice.message(result))
        self.assertEqual([*panels], ["4 KiB randread, 1 hart, batch 1",
                                     "4 KiB randread, 1 hart, batch = depth"])
        ratios = advice.compared(result)
        for (name, what), line in zip(
                [(n, w) for n in ("batch 1", "batch = depth") for w in (advice.IRQ, advice.HOST)],
                [line for lines in panels.values() for line in lines]):
            for point in line.points:
                ratio = ratios[what][name][point.at]
                self.assertEqual((point.iops, point.low, point.high),
                                 (ratio.median, ratio.low, ratio.high))
                self.assertEqual(point.hollow, ratio.verdict() == 0)
        figure = charts.interrupts(panels, f"Interrupts over polling: {message}", "footer")
        figure.draw_without_rendering()
        for panel in figure.axes:
            self.assertTrue(any([*line.get_ydata()] == [1.0, 1.0] for line in panel.lines))
            self.assertTrue(all(bars.has_yerr for bars in panel.containers))
            boxes = [Text.get_window_extent(each) for each in panel.get_xticklabels()]
            for i, box in enumerate(boxes):
                self.assertFalse(any(box.overlaps(other) for other in boxes[:i]), i)
        (legend,) = figure.legends
        self.assertLess(legend.get_window_extent().x1, figure.bbox.width)
        axes.save(figure, {})

    def test_percentiles_do_not_touch(self) -> None:
        curve = tuple((1 - 10**-nine, 10.0 * nine) for nine in (0.1, 1, 2, 3, 4, 5, 5.2))
        pairs = [(looks.look_of("poll", ""), looks.Point(1, 1, 1, 1, None, curve))]
        figure = charts.latency({1: pairs, 32: pairs, 128: pairs}, "title", "footer")
        figure.draw_without_rendering()
        for panel in figure.axes:
            for row in (False, True):
                boxes = [Text.get_window_extent(each) for each in panel.get_xticklabels()
                         if each.get_text().startswith("\n") == row]
                for i, box in enumerate(boxes):
                    self.assertFalse(any(box.overlaps(other) for other in boxes[:i]), i)
        axes.save(figure, {})

    def test_open_loop_has_intervals(self) -> None:
        rates = [600 * percent for percent in (10, 25, 40, 55, 70, 80, 90, 100)]
        windows = [w for rate in rates for w in fake_windows(
            [*fake_words("32", modes="irq,hybrid"), f"rate_iops={rate}"])]
        _, lines = chart_data.openloop(chart_data.Source(as_result(windows)))
        for points in lines.values():
            for point in points:
                p50, _, host = point.figures
                self.assertLess(p50.low, p50.median)
                self.assertLess(p50.median, p50.high)
                self.assertGreater(host.median, 0)
        figure = charts.openloop(lines, "title", "footer")
        self.assertTrue(all(bars.has_yerr for each in figure.axes for bars in each.containers))
        figure.draw_without_rendering()
        for panel in figure.axes:
            texts = [each for each in panel.get_xticklabels() if each.get_text()]
            self.assertEqual(texts[-1].get_text(), "60k")
            boxes = [Text.get_window_extent(each) for each in texts]
            for i, box in enumerate(boxes):
                self.assertFalse(any(box.overlaps(other) for other in boxes[:i]), i)
        axes.save(figure, {})

    def test_same_result_same_pictures(self) -> None:
        result_file.save(fake_result("1,8,32,128"), self.folder)
        self.draw(only="interrupts", kinds="png svg")
        for name in ("interrupts.png", "interrupts.svg"):
            self.assertEqual((self.folder / name).read_bytes(), (self.shared / name).read_bytes())

    def test_partial_results(self) -> None:
        whole = fake_result("1,8")
        for keep in (("poll",), ("irq", "raw"), ("raw",), ("hybrid",)):
            jobs = [j for j in whole["jobs"] if j["hartq"]["completion"] in keep]
            result_file.save({**whole, "partial": True, "jobs": jobs[:1]}, self.folder)
            status, out, err = self.draw(only="interrupts iops latency")
            self.assertEqual((status, err), (0, ""), keep)
            self.assertIn("Not measured: make bench", out)
            self.assertIn("PARTIAL", (self.folder / "iops.svg").read_text())

    def test_no_jobs(self) -> None:
        result_file.save({**fake_result("1"), "jobs": []}, self.folder)
        self.assertEqual(self.draw()[0], 0)

    def test_fio_laid_over(self) -> None:
        result_file.save(fake_result("1,32"), self.folder)
        for percentiles, pictures in ((True, "iops"), (False, "iops latency")):
            other = self.folder / "linux.json"
            other.write_text(json.dumps(fio_json(percentiles)))
            self.assertEqual(self.draw(str(other), only=pictures)[0], 0)
            self.assertIn("linux", (self.folder / "iops.svg").read_text())
        # Our own result has fio's shape.
        self.assertEqual(self.draw(str(self.folder / "results.json"), only="latency")[0], 0)

    def test_only_the_same_workload_is_laid_over(self) -> None:
        ours = fake_result("1,32")
        series = next(iter(all_series(ours)))
        fio = fio_json(True)
        self.assertEqual([p.at for p in overlay.fio_points(fio, series)], [1, 32])
        for name, value in (("rw", "randwrite"), ("bs", "128k"), ("iodepth_batch", "16"),
                            ("numjobs", "4")):
            other = {**fio, "global options": {"rw": "randread", name: value}}
            self.assertEqual(overlay.fio_points(other, series), [], name)
            path = self.folder / "other.json"
            path.write_text(json.dumps(other))
            result_file.save(ours, self.folder)
            status, _, err = self.draw(str(path))
            self.assertEqual(status, 2)
            self.assertIn("no job of 4 KiB randread, 1 hart, batch 1 did any I/O", err)

    def test_fio_s_clones_are_not_taken_for_one(self) -> None:
        series = dataclasses.replace(next(iter(all_series(fake_result("1,32")))), harts=2)
        job = fio_json(True)["jobs"][0]
        twice = {"global options": {"rw": "randread", "numjobs": "2"}, "jobs": [job, job]}
        with self.assertRaisesRegex(ValueError, "group_reporting"):
            overlay.fio_points(twice, series)
        twice["jobs"].pop()
        self.assertEqual(len(overlay.fio_points(twice, series)), 1)

    def test_fio_s_points_have_no_interval_and_latencies_of_their_own_windows(self) -> None:
        series = next(iter(all_series(fake_result("1"))))
        whole = fio_json(True)["jobs"][0]
        bare = {**whole, "read": {"total_ios": 9, "iops": 99.0, "iops_stddev": 9.0}}
        found = overlay.fio_points(
            {"global options": {"rw": "randread", "bs": "4096"}, "jobs": [bare, whole]}, series
        )
        self.assertEqual([(p.at, p.iops, p.low, p.high) for p in found], [(1, 99.0, 99.0, 99.0)])
        self.assertEqual(len(found[0].latency), 2)

    def test_what_is_not_a_result(self) -> None:
        self.assertEqual(self.draw()[0], 2)
        for text in ("{}", "not json", json.dumps(fio_json(True))):
            (self.folder / "results.json").write_text(text)
            status, _, err = self.draw()
            self.assertEqual(status, 2)
            self.assertTrue(err.startswith("plot.py: "))

    def test_curve_ends_where_samples_are_few(self) -> None:
        curve = chart_data.cumulative({1000: 90, 2000: 5, 3000: 5})
        self.assertEqual(curve, ((0.9, 1.0),))

    def test_nines(self) -> None:
        self.assertAlmostEqual(charts.nines(0.0), 0.0)
        self.assertAlmostEqual(charts.nines(0.99), 2.0)
        self.assertEqual(axes.short_number(12500), "12.5k")


if __name__ == "__main__":
    unittest.main()
