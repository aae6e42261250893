"""bench.py --resume: a run that was ended early goes on, and is one run in the end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench_command import BenchTest

from measure import environment, plan as plans
from measure.windows import Target
from results import result_file, resume

PLAN = ("--completion", "poll,irq", "--iodepth", "1,8", "--boots", "6",
        "--runtime", "50ms", "--no-instructions")


class Resume(BenchTest):
    """The command, twice."""

    complete: Path  # the result of PLAN, of which tests take copies

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.complete = Path(folder.name) / "out"

    def run_plan(self) -> None:
        """A complete run in self.out: measured the first time, then copied."""
        if not self.complete.exists():
            self.assertEqual(self.run_bench(*PLAN).returncode, 0)
            shutil.copytree(self.out, self.complete)
        shutil.copytree(self.complete, self.out, dirs_exist_ok=True)

    def cut_off(self, keep: int) -> dict:
        """A complete run, made into one that was ended after `keep` windows."""
        self.run_plan()
        result = result_file.load(self.out)
        path = self.out / resume.WINDOWS_NAME
        lines = path.read_text().splitlines(keepends=True)
        self.assertEqual(len(lines), 24)
        path.write_text("".join(lines[:keep]))
        (self.out / result_file.JSON_NAME).write_text(json.dumps({**result, "partial": True}))
        return result

    def test_goes_on(self) -> None:
        for keep in (9, 16, 0):
            with self.subTest(keep=keep):
                before = self.cut_off(keep)
                kept = (self.out / resume.WINDOWS_NAME).read_text().splitlines()[: keep // 4 * 4]
                done = self.run_bench("--resume", "--no-instructions")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"{keep // 4 * 4} of 24 windows are there", done.stdout)
                result = result_file.load(self.out)
                self.assertFalse(result["partial"])
                names = [[job["jobname"] for job in each["jobs"]] for each in (before, result)]
                self.assertEqual(*names)
                for job in result["jobs"]:
                    rows = job["hartq"]["boots"]
                    self.assertEqual([r["boot"] for r in rows], [*range(6)])
                lines = (self.out / resume.WINDOWS_NAME).read_text().splitlines()
                self.assertEqual(lines[: len(kept)], kept)
                self.assertEqual(len(lines), 24)

    def test_line_that_was_cut_off(self) -> None:
        self.cut_off(24)
        path = self.out / resume.WINDOWS_NAME
        path.write_text(path.read_text()[:-40])
        done = self.run_bench("--resume", "--no-instructions")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("20 of 24 windows are there", done.stdout)

    def test_nothing_left_but_to_say_so(self) -> None:
        before = self.cut_off(24)
        self.assertEqual(self.run_bench("--resume", "--no-instructions").returncode, 0)
        header = result_file.load(self.out)["environment"]
        for name in ("opensbi", "commit", "date", "compiler"):
            self.assertEqual(header[name], before["environment"][name])
        self.assertTrue(header["opensbi"])
        self.assertIn("resumed 20", environment.header(header))

    def test_killed_beside_an_older_result(self) -> None:
        self.run_plan()
        older = (self.out / result_file.JSON_NAME).read_text()
        beside = self.out.with_name("out.partial")
        slow = ("--iodepth", "1,8", "--batch", "1,8", "--runtime", "50ms", "--boots", "6",
                "--no-instructions")
        process = subprocess.Popen(
            self.bench(*slow), env={**os.environ, "FAKE_GUEST": "slow"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.wait_for(beside / resume.WINDOWS_NAME)
        process.kill()
        process.wait()
        self.assertEqual((self.out / result_file.JSON_NAME).read_text(), older)
        self.assertIn(f"hint: --out {beside}", self.refused())
        done = self.run_bench("--resume", "--no-instructions", "--out", str(beside))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 of 72 windows are there", done.stdout)
        self.assertFalse(result_file.load(beside)["partial"])

    def test_the_first_boot_moves_in(self) -> None:
        self.run_plan()
        self.assertEqual(self.run_bench(*PLAN).returncode, 0)
        self.assertFalse(self.out.with_name("out.partial").exists())

    def test_a_plan_of_before_a_field_with_a_default(self) -> None:
        plan = plans.Plan((plans.Sweep(),), 6, 500, 50)
        data = dataclasses.asdict(plan)
        del data["preset"]
        self.assertEqual(resume._plan(data), plan)

    def test_guest_that_dies(self) -> None:
        done = self.run_bench(*PLAN, ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("to go on: scripts/bench.py --resume --out", done.stdout)
        done = self.run_bench("--resume", "--no-instructions")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(result_file.load(self.out)["partial"])

    def refused(self, *words: str) -> str:
        done = self.run_bench("--resume", *words)
        self.assertEqual(done.returncode, 2, done.stdout)
        return done.stderr

    def test_refusals(self) -> None:
        self.assertIn("No such file", self.refused())
        self.cut_off(8)
        self.assertIn("takes no --iodepth", self.refused("--iodepth", "1"))
        self.assertIn("backing was null, is ram:64m", self.refused("--backing", "ram:64m"))
        host = result_file.load(self.out)["plan"]["host"]
        for name, value, hint in (
            ("command_lines", "other", "scripts of commit"), ("qemu", "6.0", "with --qemu"),
            ("host_cpu", "another", "where it began"), ("host_cores", 99, "with as many"),
        ):
            self.change_host({**host, name: value})
            self.assertRegex(self.refused(), f"{name} was {value}, is .*hint: .*{hint}.*anew")
        del host["command_lines"]
        self.change_host(host)
        self.assertIn("command_lines was not kept, is", self.refused())
        self.elf.write_bytes(self.elf.read_bytes() + b"x")
        self.assertRegex(self.refused(), "program was .*build that of commit")

    def test_what_cannot_be_read_is_said(self) -> None:
        self.cut_off(8)
        result = (self.out / result_file.JSON_NAME).read_text()
        for old, new in (
            ('"boots": 6, "runtime_ms"', '"boots": "6", "runtime_ms"'),
            ('"delivery": ["per-hart"]', '"delivery": []'),
            ('"saturation": []', '"saturation": [{}]'),
        ):
            self.assertIn(old, result)
            (self.out / result_file.JSON_NAME).write_text(result.replace(old, new))
            self.assertIn("out does not say how to go on: ", self.refused())
        (self.out / result_file.JSON_NAME).write_text(result)
        path = self.out / resume.WINDOWS_NAME
        lines = path.read_text()
        for junk in ("5", "{}", "[]", "{", lines.split("\n")[0].replace("iodepth", "depth")):
            path.write_text(f"{junk}\n{lines}")
            self.assertIn("windows.jsonl, line 1 is no window: ", self.refused())
        path.write_text(lines.replace('"sweep": 0', '"sweep": 7'))
        self.assertIn("does not say how to go on: IndexError", self.refused())
        path.write_text(lines.replace('"idle_ns"', '"idle_nz"'))
        self.assertIn("does not say how to go on: KeyError: 'idle_ns'", self.refused())

    def change_host(self, host: dict) -> None:
        """Another host in the result that is there."""
        result = result_file.load(self.out)
        result["plan"]["host"] = host
        (self.out / result_file.JSON_NAME).write_text(json.dumps(result))

    def test_command_lines_are_compared_without_paths(self) -> None:
        plan = plans.Plan((plans.Sweep((1, 8)),), 3, 300, 50)
        one = Target(app=self.elf, qemu=str(self.qemu))
        (self.folder / "more").mkdir()
        moved = shutil.copy(self.elf, self.folder / "more" / "moved.elf")
        named = resume.command_lines_hash(plan, one)
        other = Target(one.backing, one.qemu, moved)
        self.assertEqual(named, resume.command_lines_hash(plan, other))
        longer = plans.Plan(plan.sweeps, 3, 301, 50)
        self.assertNotEqual(named, resume.command_lines_hash(longer, one))

    def test_a_program_that_changes_under_the_run(self) -> None:
        grow = ("real = bench.run_boot; bench.run_boot = lambda *a, **k: (real(*a, **k), "
                f"open({str(self.elf)!r}, 'ab').write(b'x'))")
        done = self.run_to_end("bench", *PLAN, also=grow)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("its program was built anew during the run", done.stderr)
        self.assertIn("4 of 24 windows were kept", done.stdout)

    def test_a_write_that_is_cut_off_loses_nothing(self) -> None:
        self.cut_off(24)
        windows = resume.load_windows(self.out)
        before = (self.out / resume.WINDOWS_NAME).read_bytes()
        broken = mock.Mock(side_effect=[*["{}"] * 5, KeyboardInterrupt])
        with mock.patch.object(resume.json, "dumps", broken), self.assertRaises(KeyboardInterrupt):
            resume.save_windows(windows, self.out)
        self.assertEqual((self.out / resume.WINDOWS_NAME).read_bytes(), before)

    def test_windows_of_another_run_are_never_taken(self) -> None:
        self.cut_off(16)
        beside = self.out.with_name("out.partial")
        die = ("import os; from results import resume; real = resume.save_windows; "
               "resume.save_windows = lambda w, f: "
               "os._exit(9) if f.name == 'out' else real(w, f)")
        done = self.run_to_end("bench", *PLAN, also=die)
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn(f"No such file or directory; hint: --out {beside}", self.refused())
        done = self.run_bench("--resume", "--no-instructions", "--out", str(beside))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 of 24 windows are there", done.stdout)

    def test_complete_or_old_result(self) -> None:
        self.cut_off(8)
        path = self.out / result_file.JSON_NAME
        result = result_file.load(self.out)
        del result["plan"]
        path.write_text(json.dumps(result))
        self.assertIn("does not say how to go on", self.refused())
        path.write_text(json.dumps({**result, "partial": False}))
        self.assertIn("is complete", self.refused())


if __name__ == "__main__":
    unittest.main()
