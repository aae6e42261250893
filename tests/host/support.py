"""What the tests of the scripts share: paths, and a QEMU made of shell that acts as it is told."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "tests")]
# Last: their neighbours have names of the scripts'.
sys.path += [str(ROOT / "tests" / name) for name in ("sim", "qemu")]
(ROOT / "build").mkdir(exist_ok=True)  # the scripts' scratch

HUNG_S = 600  # ends a test that hangs, and judges none: 100 times what the slowest needs


def status_of(main: Callable[[], int | None]) -> int:
    """The exit status that an interpreter would make of it."""
    try:
        return main() or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def run_forked(
    name: str,
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    before: Callable[[], object] = lambda: None,
) -> subprocess.CompletedProcess[str]:
    """Run a script as a process that is spared the interpreter's start: it has our modules.

    `before` is called in the new process, before the script's main().
    """
    with contextlib.suppress(Exception, SystemExit):
        importlib.import_module(name)  # for all runs to come; the process says what is wrong
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(HUNG_S)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)
                sys.argv = [str(SCRIPTS / f"{name}.py"), *arguments]
                os.environ.update(env or {})
                before()
                status = status_of(lambda: importlib.import_module(name).main())
                sys.stdout.flush()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess([name, *arguments], status, out.read(), err.read())


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

    def command(
        self, *arguments: str, body: str = "exit 0", before: Callable[[], object] = lambda: None
    ) -> subprocess.CompletedProcess[str]:
        """Run scripts/run.py on the stand-in; `before` it in its process."""
        words = [str(self.elf), *arguments, "--qemu", str(self.fake_qemu(body))]
        return run_forked("run", words, before=before)

    def jump_clock(self) -> None:
        """For `before`: the guest's clock is days ahead as soon as a file `later` is there."""
        later, real_ns = self.folder / "later", time.monotonic_ns
        clock = mock.Mock(wraps=time, monotonic_ns=lambda: real_ns() + later.exists() * 10**15)
        importlib.import_module("qemu.guest").time = clock


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as a command."""
    return run_forked(Path(name).stem, arguments)
