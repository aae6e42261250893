"""What the tests of the scripts share: paths, and a QEMU made of shell that acts as it is told."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "tests")]


class ScriptTest(unittest.TestCase):
    """A test with a folder of its own and a stand-in for QEMU."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.elf = self.folder / "guest.elf"
        self.elf.write_bytes(b"\x7fELF")

    def fake_qemu(self, body: str, version: str = "7.2.22") -> Path:
        """An executable that answers --version as QEMU does and else runs `body` in sh."""
        path = self.folder / "qemu"
        path.write_text(
            '#!/bin/sh\nif [ "$1" = --version ]; then\n'
            f'    echo "QEMU emulator version {version} (test)"\n    exit 0\nfi\n{body}\n'
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def command(self, *arguments: str, body: str = "exit 0") -> subprocess.CompletedProcess[str]:
        """Run scripts/run.py on the stand-in."""
        return subprocess.run(
            [
                sys.executable,
                str(SCRIPTS / "run.py"),
                str(self.elf),
                *arguments,
                "--qemu",
                str(self.fake_qemu(body)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as a command."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
