"""A bar with the time left; plain lines where there is no terminal or no tqdm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from measure.plan import Plan
from measure.windows import Window
from sim.run import idle_of

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

PLAIN_EVERY_S = 10.0
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} windows, {elapsed} done, {remaining} left"


def live_text(window: Window) -> str:
    """The point that was just measured, and its result."""
    busy = 100.0 * (1.0 - min(1.0, idle_of(window.record)))
    return f"{window.record['jobname']:30} {window.iops:9,.0f} IOPS, {busy:3.0f} % busy"


class Progress:
    """A bar with the time left; plain lines where there is no terminal."""

    def __init__(self, plan: Plan, stream: TextIO, windows: Sequence[Window]) -> None:
        """`windows` holds the finished windows of the plan and grows during the run."""
        self._stream = stream
        self._total = plan.windows()
        self._windows = windows
        self._before = len(windows)
        self._begin_s = self._told_s = time.monotonic()
        self._bar = None
        if tqdm and stream.isatty():
            self._bar = tqdm(total=self._total, initial=self._before, file=stream, leave=False,
                             bar_format=BAR, dynamic_ncols=True)

    def step(self, window: Window) -> None:
        """One more window is measured."""
        done, now_s = len(self._windows), time.monotonic()
        if self._bar is not None:
            self._bar.set_description_str(live_text(window), refresh=False)
            self._bar.update(done - self._bar.n)
        elif now_s - self._told_s >= PLAIN_EVERY_S:
            self._told_s = now_s
            left_s = (now_s - self._begin_s) * (self._total - done) / (done - self._before)
            print(f"{done}/{self._total} windows, about {left_s:.0f} s left; {live_text(window)}",
                  file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
