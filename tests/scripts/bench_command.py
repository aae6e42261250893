"""bench.py as a command, with a program that answers as QEMU does: what its tests share."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"


class BenchTest(unittest.TestCase):
    """A folder, a program that answers as QEMU does, and the command."""

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

    def wait_for(self, path: Path) -> None:
        """A file that another process writes: the result of the first boot."""
        deadline_s = time.monotonic() + 20
        while not path.exists():
            self.assertLess(time.monotonic(), deadline_s, f"{path.name} was not written")
            time.sleep(0.02)
