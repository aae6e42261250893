"""What every script does around its work: a failure is one line and a status, never a traceback.

    @command.entry
    def main(argv: Sequence[str] | None = None) -> int:

Status: 2 usage, 1 it failed, 128 + N ended by signal N, as a shell has it. Any other
exception is a mistake of ours and keeps its traceback.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from cli.errors import Failed, UsageError
from cli.signals import Stopped

STATUS_FAILED, STATUS_SIGNAL = 1, 128
Main = Callable[..., int]
ARGPARSE_SAYS = (  # and what we say
    (r"^argument (\S+?)(/\S+)*: ", r"\1: "),
    (r"invalid \w+ value: (.*)", r"\1 is not a number"),
    (r"invalid choice: (.*) \(choose from (.*)\)", r"\1 is unknown (\2)"),
    (r"expected one argument", "a value is missing"),
    (r"expected (\d+) arguments", r"takes \1 values"),
    (r"^unrecognized arguments: (.*)", r"arguments: '\1' is unknown"),
    (r"^the following arguments are required: (.*)", r"arguments: \1 is missing"),
)


class Parser(argparse.ArgumentParser):
    """A command line without abbreviations; its errors are UsageErrors in the project's form."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                         **options)

    def error(self, message: str) -> NoReturn:
        for theirs, ours in ARGPARSE_SAYS:
            message = re.sub(theirs, ours, message)
        raise UsageError(f"{message}; hint: {self.prog} --help")

    def given(self, options: argparse.Namespace, known: Sequence[str]) -> list[str]:
        """The options that differ from their defaults, but for those with a known destination."""
        return [action.option_strings[0] for action in self._actions
                if action.option_strings and action.dest not in known
                and getattr(options, action.dest, action.default) != action.default]


def _open_streams() -> None:
    """A standard stream that is closed becomes /dev/null: no other file may get its number."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not know UTF-8


def _drop(stream: TextIO) -> None:
    """Send what is still buffered to /dev/null: its reader is gone, or it is full."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def _words(error: Exception) -> str:
    """`FILE: what` of the system's errors, without their number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _flush(name: str, status: int) -> int:
    """Write what is buffered; the status says if that failed. After a failure nothing is said: it
    may have been the same one."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
        return STATUS_SIGNAL + signal.SIGPIPE
    except OSError as error:
        _drop(sys.stdout)
        if status == 0:
            _say(f"{name}: standard output: {_words(error)}")
        return STATUS_FAILED
    return 0


def _guarded(name: str, main: Callable[[], int]) -> int:
    try:
        return main()
    except Failed as error:
        _say(f"{name}: {error}")
        return error.status
    except (Stopped, KeyboardInterrupt) as stopped:
        signum = stopped.signum if isinstance(stopped, Stopped) else int(signal.SIGINT)
        _say(f"{name}: ended by signal {signum}")
        return STATUS_SIGNAL + signum
    except BrokenPipeError:
        return STATUS_SIGNAL + signal.SIGPIPE
    except (OSError, subprocess.SubprocessError) as error:
        _say(f"{name}: {_words(error)}")
    except MemoryError:
        _say(f"{name}: there is not enough memory")
    return STATUS_FAILED


def entry(main: Main) -> Main:
    """Make a script's main() safe to end with."""
    name = Path(main.__code__.co_filename).name

    @functools.wraps(main)
    def run(*arguments: object) -> int:
        _open_streams()
        status = 0
        try:
            status = _guarded(name, lambda: main(*arguments))
        finally:  # argparse ends by SystemExit
            lost = _flush(name, status)
        return status or lost

    return run
