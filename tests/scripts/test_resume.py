"""bench.py --resume: a run that was ended early goes on, and is one run in the end."""

from __future__ import annotations

import json
import os
import subprocess
import unittest

from bench_command import BenchTest

import results
import resume

PLAN = ("--completion", "poll,irq", "--iodepth", "1,8", "--rounds", "6", "--boots", "3",
        "--runtime", "50ms", "--no-instructions")  # fmt: skip


class Resume(BenchTest):
    """The command, twice."""

    def cut_off(self, keep: int) -> dict:
        """A complete run, made into one that was ended after `keep` windows."""
        self.assertEqual(self.run_bench(*PLAN).returncode, 0)
        result = results.load(self.out)
        path = self.out / resume.WINDOWS_NAME
        lines = path.read_text().splitlines(keepends=True)
        self.assertEqual(len(lines), 24)
        path.write_text("".join(lines[:keep]))
        (self.out / results.JSON_NAME).write_text(json.dumps({**result, "partial": True}))
        return result

    def test_goes_on(self) -> None:
        for keep in (9, 16, 0):
            with self.subTest(keep=keep):
                before = self.cut_off(keep)
                kept = (self.out / resume.WINDOWS_NAME).read_text().splitlines()[: keep // 8 * 8]
                done = self.run_bench("--resume", "--no-instructions")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"{keep // 8 * 8} of 24 windows are there", done.stdout)
                result = results.load(self.out)
                self.assertFalse(result["partial"])
                names = [[job["jobname"] for job in each["jobs"]] for each in (before, result)]
                self.assertEqual(*names)
                for job in result["jobs"]:
                    self.assertEqual([r["round"] for r in job["hartq"]["rounds"]], [*range(6)])
                    self.assertEqual([r["boot"] for r in job["hartq"]["rounds"]],
                                     [0, 0, 1, 1, 2, 2])  # fmt: skip
                lines = (self.out / resume.WINDOWS_NAME).read_text().splitlines()
                self.assertEqual(lines[: len(kept)], kept)
                self.assertEqual(len(lines), 24)

    def test_line_that_was_cut_off(self) -> None:
        self.cut_off(24)
        path = self.out / resume.WINDOWS_NAME
        path.write_text(path.read_text()[:-40])
        done = self.run_bench("--resume", "--no-instructions")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("16 of 24 windows are there", done.stdout)

    def test_nothing_left_but_to_say_so(self) -> None:
        before = self.cut_off(24)
        self.assertEqual(self.run_bench("--resume", "--no-instructions").returncode, 0)
        firmware = results.load(self.out)["environment"]["opensbi"]
        self.assertEqual(firmware, before["environment"]["opensbi"])
        self.assertTrue(firmware)

    def test_killed_beside_an_older_result(self) -> None:
        self.assertEqual(self.run_bench(*PLAN).returncode, 0)
        older = (self.out / results.JSON_NAME).read_text()
        beside = self.out.with_name("out.partial")
        slow = ("--iodepth", "1,8", "--batch", "1,8", "--runtime", "50ms", "--boots", "1",
                "--rounds", "6", "--no-instructions")  # fmt: skip
        process = subprocess.Popen(
            self.bench(*slow), env={**os.environ, "FAKE_GUEST": "slow"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.wait_for(beside / resume.WINDOWS_NAME)
        process.kill()
        process.wait()
        self.assertEqual((self.out / results.JSON_NAME).read_text(), older)
        self.assertIn(f"hint: --out {beside}", self.refused())
        done = self.run_bench("--resume", "--no-instructions", "--out", str(beside))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("24 of 72 windows are there", done.stdout)
        self.assertFalse(results.load(beside)["partial"])

    def test_the_first_boot_moves_in(self) -> None:
        for _ in range(2):
            self.assertEqual(self.run_bench(*PLAN).returncode, 0)
        self.assertFalse(self.out.with_name("out.partial").exists())

    def test_guest_that_dies(self) -> None:
        done = self.run_bench(*PLAN, ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("to go on: scripts/bench.py --resume --out", done.stdout)
        done = self.run_bench("--resume", "--no-instructions")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(results.load(self.out)["partial"])

    def refused(self, *words: str) -> str:
        done = self.run_bench("--resume", *words)
        self.assertEqual(done.returncode, 2, done.stdout)
        return done.stderr

    def test_refusals(self) -> None:
        self.assertIn("No such file", self.refused())
        self.cut_off(8)
        self.assertIn("takes no --iodepth", self.refused("--iodepth", "1"))
        self.assertIn("backing was null, is ram:64m", self.refused("--backing", "ram:64m"))
        self.elf.write_bytes(self.elf.read_bytes() + b"x")
        self.assertIn("program was", self.refused())

    def test_complete_or_old_result(self) -> None:
        self.cut_off(8)
        path = self.out / results.JSON_NAME
        result = results.load(self.out)
        del result["plan"]
        path.write_text(json.dumps(result))
        self.assertIn("does not say how to go on", self.refused())
        path.write_text(json.dumps({**result, "partial": False}))
        self.assertIn("is complete", self.refused())


if __name__ == "__main__":
    unittest.main()
