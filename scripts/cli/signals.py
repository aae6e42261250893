"""Ctrl-C and its kin: heeded where a script waits for its guest, and nowhere else.

A signal handler that raises can raise inside a fork hook or a finalizer, where Python drops the
exception, and the run would go on as if nobody had asked it to end. Here the handler does nothing:
the signal's number goes into a pipe (signal.set_wakeup_fd), and who waits looks at the pipe too.
Ctrl-Z cannot be heeded before it works; that the process goes on again is noticed, and counted.
"""

from __future__ import annotations

import os
import select
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_pipe: list[int] = []  # the end to read from, once signals are heeded
_pauses = 0


class Stopped(BaseException):
    """A signal asked the run to end; `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def heed_signals() -> None:
    """From now on a signal of SIGNALS makes the next wait raise. On the main thread.

    Whatever does not wait is not disturbed, so that what is being saved is saved whole.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for signum in (*SIGNALS, signal.SIGCONT):
        signal.signal(signum, lambda *_: None)
    _pipe[:] = [read_end]


def pauses() -> int:
    """How often the process has been stopped (Ctrl-Z) and went on, as far as waits have noticed."""
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
