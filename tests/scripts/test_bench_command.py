"""bench.py as a command, with a program that answers as QEMU does."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"
sys.path[:0] = [str(SCRIPTS), str(HERE)]

import bench  # noqa: E402
import matrix  # noqa: E402
import results  # noqa: E402


class Command(unittest.TestCase):
    """The whole command, with a program that answers as QEMU does."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"
        self.qemu = self.folder / "qemu"
        self.qemu.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/fake_guest.py" "$@"\n')
        self.qemu.chmod(self.qemu.stat().st_mode | stat.S_IXUSR)
        (self.folder / "bench.elf").write_bytes(b"\x7fELF")

    def command(self, *options: str) -> list[str]:
        """bench.py with the program replaced."""
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import bench, measure, functools; "
            f"app = {str(self.folder / 'bench.elf')!r}; "
            "bench.Target = functools.partial(measure.Target, app=app); "
            "sys.exit(bench.main(sys.argv[1:]))"
        )
        words = ["--qemu", str(self.qemu), "--out", str(self.out), *options]
        return [sys.executable, "-c", code, *words]

    def run_bench(self, *options: str, ways: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), env={**os.environ, "FAKE_GUEST": ways}, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip

    def test_quick(self) -> None:
        done = self.run_bench("--preset", "quick")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("plan: 15 points x 6 rounds", done.stdout)
        self.assertIn("missed interrupts: 0", done.stdout)
        self.assertIn("emulated: compare ratios, not absolute numbers", done.stdout)
        result = results.load(self.out)
        self.assertEqual((len(result["jobs"]), result["partial"]), (15, False))
        self.assertEqual(result["environment"]["opensbi"], "v1.1")
        self.assertNotIn(str(self.folder), (self.out / "results.json").read_text())

    def test_missed_interrupt_fails(self) -> None:
        done = self.run_bench("--iodepth", "1", ways="missed")
        self.assertEqual(done.returncode, 1)
        self.assertIn("!!! missed interrupts", done.stdout)

    def test_guest_that_dies(self) -> None:
        done = self.run_bench("--iodepth", "1,2", "--boots", "1", ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("panic: the controller is gone", done.stderr)
        self.assertTrue(results.load(self.out)["partial"])

    def test_broken_line(self) -> None:
        done = self.run_bench("--iodepth", "1", ways="garbage")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be read", done.stderr)

    def test_signals_keep_what_was_measured(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                self.command("--iodepth", "1", "--runtime", "20ms", "--rounds", "600",
                             "--boots", "300"),
                env={**os.environ, "FAKE_GUEST": "slow"},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            self.wait_for(self.out / "results.json")
            process.send_signal(signum)
            output, errors = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 130, errors)
            self.assertIn("partial:", output)
            result = results.load(self.out)
            self.assertTrue(result["partial"])
            self.assertTrue(result["jobs"])
            (self.out / "results.json").unlink()

    def test_an_older_result_stays_until_a_boot_is_complete(self) -> None:
        two_sweeps = ("--iodepth", "1,8", "--batch", "1,8", "--runtime", "10ms")
        self.out.mkdir()
        for name in ("results.json", "iops.png"):
            (self.out / name).write_text("older")
        done = self.run_bench(*two_sweeps, "--boots", "1", ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the older result stays", done.stdout)
        for name in ("results.json", "iops.png"):
            self.assertEqual((self.out / name).read_text(), "older")
        self.assertTrue(results.load(self.folder / "out.partial")["partial"])
        self.assertEqual(self.run_bench(*two_sweeps).returncode, 0)
        self.assertFalse(results.load(self.out)["partial"])
        self.assertFalse((self.out / "iops.png").exists())

    def test_without_any_package(self) -> None:
        for options in (["--help"], ["--dry-run", "--qemu", str(self.qemu)]):
            done = subprocess.run(
                [sys.executable, "-S", str(SCRIPTS / "bench.py"), *options],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def wait_for(self, path: Path) -> None:
        """A file that another process writes: the result of the first boot."""
        deadline_s = time.monotonic() + 20
        while not path.exists():
            self.assertLess(time.monotonic(), deadline_s, f"{path.name} was not written")
            time.sleep(0.02)

    def test_usage(self) -> None:
        for options, text in (
            (["--delivery", "shared"], "later version"),
            (["--iodepth", "0"], "--iodepth"),
            (["--iodepth", "1", "--batch", "8"], "no point is left"),
            (["--completion", "irq", "--harts", "8"], "no point is left"),
            (["--harts", "9"], "--harts"),
            (["--iodepth", "abc"], "--iodepth: 'abc' is not a number"),
            (["--bs", "1000"], "--bs: 1000 is not a multiple of 512"),
            (["--bs", "512,8k", "--backing", "null:4k"], "less than a block"),
            (["--completion", "limit", "--rw", "rw"], "no point is left"),
            (["--preset", "instructions", "--rounds", "6"], "takes no --rounds, --out"),
            (["--rounds", "0"], "--rounds"),
            (["--boots", "9"], "--boots"),
            (["--backing", "/nowhere/disk.img"], "image"),
            (["--qemu", "/nowhere/qemu"], "QEMU"),
        ):
            done = self.run_bench(*options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(text, done.stderr)
            if "--qemu" not in options:  # a plan needs no emulator
                self.assertEqual(done.stdout, "", options)
            self.assertFalse(self.out.exists())

    def test_progress_without_a_terminal(self) -> None:
        stream = io.StringIO()
        plan = matrix.Plan((matrix.Sweep(),), 6, 1, 500, 50)
        with mock.patch.object(bench, "PLAIN_EVERY_S", 0.0), contextlib.redirect_stdout(stream):
            progress = bench.Progress(plan, stream)
            progress.step(mock.Mock())
            progress.close()
        self.assertIn("1/18 windows", stream.getvalue())


if __name__ == "__main__":
    unittest.main()
