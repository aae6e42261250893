"""A bar with the time left; plain lines where there is no terminal or no tqdm."""

from __future__ import annotations

import time
from typing import TextIO

from measure.plan import Plan
from measure.windows import Window, idle_of

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

PLAIN_EVERY_S = 10.0


def live_text(window: Window) -> str:
    """The point that was just measured, and what it came to."""
    busy = 100.0 * (1.0 - min(1.0, idle_of(window)))
    return f"{window.record['jobname']:30} {window.iops:9,.0f} IOPS, {busy:3.0f} % busy"


class Progress:
    """A bar with the time left; plain lines where there is no terminal."""

    def __init__(self, plan: Plan, stream: TextIO, done: int = 0) -> None:
        self._plan = plan
        self._stream = stream
        self._before = self._done = done
        self._begin_s = self._told_s = time.monotonic()
        self._bar = self._open_bar() if tqdm and stream.isatty() else None

    def _open_bar(self) -> tqdm:
        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} windows, {elapsed} done, {remaining} left"
        total = self._plan.windows()
        return tqdm(
            total=total, initial=self._done, file=self._stream, bar_format=form, dynamic_ncols=True,
            leave=False)

    def step(self, window: Window) -> None:
        """One more window is measured."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_description_str(live_text(window), refresh=False)
            self._bar.update()
        elif time.monotonic() - self._told_s >= PLAIN_EVERY_S:
            self._tell(window)

    def back(self, windows: int) -> None:
        """So many will be measured again."""
        self._done -= windows
        if self._bar is not None:
            self._bar.update(-windows)

    def _tell(self, window: Window) -> None:
        self._told_s = time.monotonic()
        total = self._plan.windows()
        left_s = (self._told_s - self._begin_s) * (total - self._done) / (self._done - self._before)
        print(
            f"{self._done}/{total} windows, about {left_s:.0f} s left; {live_text(window)}",
            file=self._stream,
            flush=True,
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
