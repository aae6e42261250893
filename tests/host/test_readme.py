"""The README tells the truth: its example is examples/minimal.c, what it names exists."""

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
LINES_MAX = 130
PLACE = re.compile(r"`([\w./]+)`: `(\w+)`")  # a file and a word in it


def rows() -> list[str]:
    """The table "to change X, edit Y"."""
    table = README[README.index("| to change | edit |") :].split("\n\n")[0]
    return table.splitlines()[2:]


class Readme(unittest.TestCase):
    def test_it_is_short(self) -> None:
        self.assertLessEqual(len(README.splitlines()), LINES_MAX)

    def test_example_is_the_program_that_is_built(self) -> None:
        blocks = re.findall(r"```c\n(.*?)```", README, re.S)
        program = (ROOT / "examples/minimal.c").read_text()
        body = program[program.index("static void read_done") :]
        self.assertEqual([body], blocks)

    def test_no_figure_is_in_it(self) -> None:
        """What is measured moves: it is in docs/results.md. The README has no ratio and no IOPS."""
        figure = r"(?<!Ubuntu )\b\d+\.\d\d|\d,\d{3}|\d ?%|[\d.]+ times|\d+ IOPS"
        self.assertEqual(re.findall(figure, README), [])

    def test_make_targets_exist(self) -> None:
        known = subprocess.run(
            ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True,
            check=True,
        ).stdout
        for target in set(re.findall(r"(?<!install )make ([a-z][a-z-]+)", README)):
            with self.subTest(target=target):
                self.assertRegex(known, rf"make {target}\s")

    def test_named_files_exist(self) -> None:
        for name in set(re.findall(r"`((?:[a-z0-9_]+/)+[a-z0-9_.]*)`", README)):
            with self.subTest(name=name):
                self.assertTrue((ROOT / name).exists() or name.startswith("results/"), name)

    def test_folders_are_there(self) -> None:
        table = README[README.index("| folder | contents |") :].split("\n\n")[0]
        named = {name for name in re.findall(r"^\| \[?([a-z]+)/", table, re.M)}
        there = {
            path.name for path in ROOT.iterdir()
            if path.is_dir() and path.name != "build" and not path.name.startswith(".")
        }
        self.assertEqual(there, named)

    def test_what_to_edit_is_where_it_says(self) -> None:
        self.assertGreater(len(rows()), 8)
        for row in rows():
            with self.subTest(row=row):
                places = PLACE.findall(row)
                self.assertTrue(places, "no file with a word in it")
                for file, word in places:
                    found = re.search(rf"\b{word}\b", (ROOT / file).read_text())
                    self.assertTrue(found, f"{file} has no {word}")


if __name__ == "__main__":
    unittest.main()
