"""The bench's commands with a program that answers as QEMU does: what their tests share."""

from __future__ import annotations

import functools
import importlib
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from support import HUNG_S, SCRIPTS, ScriptTest, run_forked

from measure import windows

HERE = Path(__file__).resolve().parent


class StandIn(ScriptTest):
    """A folder with a program that answers as QEMU does, and scripts that boot it."""

    before = ""  # what the stand-in does first, in sh

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "out"
        self.qemu = self.folder / "qemu"
        self.qemu.write_text(
            '#!/bin/sh\nif [ "$1" = --version ]; then\n'
            '    echo "QEMU emulator version ${FAKE_VERSION:-7.2.99} (fake)"\n    exit 0\nfi\n'
            f'{self.before}exec "{sys.executable}" -IS "{HERE}/fake_guest.py" "$@"\n'
        )
        self.qemu.chmod(self.qemu.stat().st_mode | stat.S_IXUSR)

    def options(self, *options: str) -> list[str]:
        """A script's options: what it boots and where it writes, then `options`."""
        return ["--qemu", str(self.qemu), "--out", str(self.out), *options]

    def argv(self, script: str, *options: str, also: str = "") -> list[str]:
        """A script's command line, with the program that it boots replaced; `also` is Python."""
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); "
            f"import {script}, functools; from measure import windows; "
            f"{script}.Target = functools.partial(windows.Target, app={str(self.elf)!r}); "
            f"{also}\nsys.exit({script}.main(sys.argv[1:]))"
        )
        return [sys.executable, "-c", code, *self.options(*options)]

    def run_to_end(
        self, script: str, *options: str, env: Mapping[str, str] | None = None, also: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """The same, at once, run to its end."""

        def replace() -> None:
            module = importlib.import_module(script)
            target = functools.partial(windows.Target, app=str(self.elf))
            setattr(module, "Target", target)
            exec(also, {script: module})

        return run_forked(script, self.options(*options), env, replace)

    def wait_for(self, path: Path) -> None:
        """A file that another process writes."""
        deadline_s = time.monotonic() + HUNG_S
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
        return self.run_to_end("bench", *options, env={"FAKE_GUEST": ways})
