"""docs/results.md holds the figures of results/reference, and says of each where it stands."""

from __future__ import annotations

import re
import shutil
import tempfile
import unittest
from pathlib import Path

import support

from report import results_page

BUILD = support.ROOT / "build"
TEXT = results_page.PAGE.read_text(encoding="utf-8")


class ResultsPage(unittest.TestCase):
    def test_page_is_what_the_reference_says(self) -> None:
        made = results_page.page(results_page.REFERENCE)
        self.assertEqual(made, TEXT, "make results writes docs/results.md anew")

    def test_a_figure_that_moves_moves_the_page(self) -> None:
        for name, field in (
            (results_page.PEERS, "median"),
            (results_page.RESULTS, "missed_interrupts"),
            (results_page.RESULTS, "submit"),
        ):
            with self.subTest(field=field), tempfile.TemporaryDirectory(dir=BUILD) as folder:
                for each in (results_page.PEERS, results_page.RESULTS):
                    path = Path(folder) / each
                    path.parent.mkdir(exist_ok=True)
                    shutil.copy(results_page.REFERENCE / each, path)
                changed = Path(folder) / name
                data = re.sub(rf'"{field}": [\d.]+', f'"{field}": 7', changed.read_text())
                changed.write_text(data)
                self.assertNotEqual(results_page.page(Path(folder)), TEXT)

    def test_each_table_names_its_source(self) -> None:
        parts = re.split(r"^#+ .*$", TEXT, flags=re.M)
        tables = [part for part in parts if "\n| ---" in part]
        self.assertGreater(len(tables), 4)
        for part in tables:
            before = part[: part.index("\n| ---")]
            self.assertRegex(before, r"Source: \[\S+\]\(\.\./results/reference/\S+\), ")


if __name__ == "__main__":
    unittest.main()
