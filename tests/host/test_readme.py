"""The README tells the truth: its example is examples/hello.c, its commands exist."""

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


class Readme(unittest.TestCase):
    def test_example_is_the_program_that_is_built(self) -> None:
        blocks = re.findall(r"```c\n(.*?)```", README, re.S)
        program = (ROOT / "examples/hello.c").read_text()
        body = program[program.index("#include") :]
        self.assertEqual([body.strip()], [block.strip() for block in blocks])

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


if __name__ == "__main__":
    unittest.main()
