"""The bench's commands with a program that answers as QEMU does: what their tests share."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

from support import SCRIPTS, ScriptTest

HERE = Path(__file__).resolve().parent


class StandIn(ScriptTest):
    """A folder with a program that answers as QEMU does, and scripts that boot it."""

    before = ""  # what the stand-in does first, in sh

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "out"
        self.qemu = self.folder / "qemu"
        self.qemu.write_text(
            f'#!/bin/sh\n{self.before}exec "{sys.executable}" "{HERE}/fake_guest.py" "$@"\n'
        )
        self.qemu.chmod(self.qemu.stat().st_mode | stat.S_IXUSR)

    def argv(self, script: str, *options: str, also: str = "") -> list[str]:
        """A script's command line, with the program that it boots replaced; `also` is Python."""
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); "
            f"import {script}, measure, functools; "
            f"{script}.Target = functools.partial(measure.Target, app={str(self.elf)!r}); "
            f"{also}\nsys.exit({script}.main(sys.argv[1:]))"
        )
        return [
            sys.executable, "-c", code, "--qemu", str(self.qemu), "--out", str(self.out), *options,
        ]  # fmt: skip

    def wait_for(self, path: Path) -> None:
        """A file that another process writes."""
        deadline_s = time.monotonic() + 40
        while not path.exists():
            self.assertLess(time.monotonic(), deadline_s, f"{path.name} was not written")
            time.sleep(0.02)


class BenchTest(StandIn):
    """bench.py."""

    def bench(self, *options: str) -> list[str]:
        """Its command line."""
        return self.argv("bench", *options)

    def run_bench(self, *options: str, ways: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end; `ways` are the stand-in's."""
        return subprocess.run(
            self.bench(*options), env={**os.environ, "FAKE_GUEST": ways}, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
