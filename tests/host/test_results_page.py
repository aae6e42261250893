"""docs/results.md holds the figures of results/reference, and says of each where it stands."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import support

from measure.plan import EACH
from report import results_page, runs
from results import result_file

BUILD = support.ROOT / "build"
TEXT = results_page.PAGE.read_text(encoding="utf-8")


class ResultsPage(unittest.TestCase):
    def test_page_is_what_the_reference_says(self) -> None:
        made = results_page.page(results_page.REFERENCE)
        self.assertEqual(made, TEXT, "make results writes docs/results.md anew")

    def test_a_figure_that_moves_moves_the_page(self) -> None:
        for name, field in (
            (results_page.PEERS, "median"),
            (result_file.JSON_NAME, "missed_interrupts"),
            (result_file.JSON_NAME, "submit"),
        ):
            with self.subTest(field=field), tempfile.TemporaryDirectory(dir=BUILD) as folder:
                for each in (results_page.PEERS, result_file.JSON_NAME):
                    path = Path(folder) / each
                    path.parent.mkdir(exist_ok=True)
                    shutil.copy(results_page.REFERENCE / each, path)
                shutil.copytree(results_page.REFERENCE / runs.FOLDER, Path(folder) / runs.FOLDER)
                self.assertEqual(results_page.page(Path(folder)), TEXT)
                results_page.read.cache_clear()
                changed = Path(folder) / name
                data = re.sub(rf'"{field}": [\d.]+', f'"{field}": 7', changed.read_text())
                changed.write_text(data)
                self.assertNotEqual(results_page.page(Path(folder)), TEXT)

    def test_the_reference_is_among_the_runs(self) -> None:
        result, peers = results_page.read(results_page.REFERENCE)
        now = runs.compact(result, peers)
        kept = results_page.REFERENCE / runs.FOLDER / runs.name_of(now)
        self.assertEqual(json.loads(kept.read_text()), now, "make results keeps the run")
        jobs = {job["jobname"]: job["hartq"] for job in result["jobs"]}
        for depth in (1, 32, 512):
            each = jobs[f"randread-4k-qd{depth}-b1-poll"]["ratio_to_irq"]
            self.assertEqual(now["ratios"]["polling / interrupts"][str(depth)],
                             [round(value, 3) for value in (each["median"], *each["interval"])])

    def test_the_page_has_the_range_over_all_runs(self) -> None:
        files = [json.loads(path.read_text()) for path
                 in sorted((results_page.REFERENCE / runs.FOLDER).glob("*.json"))]
        self.assertGreater(len(files), 4)
        # Only runs of one rule are compared. The first five rang at each submit.
        medians = [found["polling / interrupts"]["32"][0] for each in files
                   if (found := runs.ratios_of(each, EACH))]
        self.assertGreater(len(medians), 4)
        told = f"{min(medians):.2f} to {max(medians):.2f} in {len(medians)}"
        self.assertIn(f"| 32, doorbell each | {medians[-1]:.2f}; {told} |", TEXT)
        now = files[-1]
        told = {str(at): {"ratios": {"a": {"1": [value]}}} for at, value in enumerate((5, 9, 2, 3))}
        self.assertEqual(runs.range_text(told, "a", "1", "each"), "3.00; 2.00 to 9.00 in 4")
        self.assertEqual(runs.range_text({"x": told["1"]}, "a", "1", "each"), "9.00; one run")
        self.assertEqual(runs.range_text(told, "b", "1", "each"), "-")
        both = {**told, "4": {"doorbell": "clocked", "ratios": {"a": {"1": [8]}},
                              "each": {"a": {"1": [7]}}}}
        self.assertEqual(runs.rows(both, ["a"]), [
            ["1", "8.00; one run"], ["1, doorbell each", "7.00; 2.00 to 9.00 in 5"]])
        with tempfile.TemporaryDirectory() as folder:
            later = {**now, "date": "2099-01-01 00:00:00 UTC"}
            runs.keep(Path(folder), now)
            runs.keep(Path(folder), later)
            self.assertEqual(list(runs.load(Path(folder), later)),
                             [runs.name_of(now), runs.name_of(later)])

    def test_each_table_names_its_source(self) -> None:
        parts = re.split(r"^#+ .*$", TEXT, flags=re.M)
        tables = [part for part in parts if "\n| ---" in part]
        self.assertGreater(len(tables), 4)
        for part in tables:
            before = part[: part.index("\n| ---")]
            self.assertRegex(before, r"Source: \[\S+\]\(\.\./results/reference/\S+\), ")


if __name__ == "__main__":
    unittest.main()
