"""Ctrl-C and other signals: they take effect where a script waits for its guest, nowhere else.

A signal handler that raises can raise inside a fork hook or a finalizer, where Python drops the
exception, and the run would go on. Here the handler does nothing: the signal's number goes into a
pipe (signal.set_wakeup_fd), and each wait reads the pipe too. Ctrl-Z stops the process at once;
when the process continues, the next wait counts it.
"""

from __future__ import annotations

import os
import select
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_pipe: list[int] = []  # the end to read from, after heed_signals()
_pauses = 0


class Stopped(BaseException):
    """A signal asked the run to end; `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def heed_signals() -> None:
    """From now on a signal of SIGNALS makes the next wait raise. Call it on the main thread.

    Code that does not wait is not interrupted, so a file is saved whole.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for signum in (*SIGNALS, signal.SIGCONT):
        signal.signal(signum, lambda *_: None)
    _pipe[:] = [read_end]


def pauses() -> int:
    """How often the process was stopped (Ctrl-Z) and continued, as far as waits have seen."""
    return _pauses


def wait_readable(fd: int | None, timeout_s: float | None) -> bool:
    """Wait for `fd` (None: for signals alone); False after `timeout_s` seconds (None: for ever).

    Raises Stopped, once for each signal, whether it came before or during the wait.
    """
    global _pauses
    files = [] if fd is None else [fd]
    while True:
        ready = select.select([*files, *_pipe], [], [], timeout_s)[0]
        if not set(ready) & set(_pipe):
            return bool(ready)
        signum = os.read(_pipe[0], 1)[0]
        if signum != signal.SIGCONT:
            raise Stopped(signum)
        _pauses += 1
