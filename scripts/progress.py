"""A bar with the time left; plain lines where there is no terminal or no tqdm."""

from __future__ import annotations

import time
from typing import TextIO

from matrix import Plan
from measure import Window

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

PLAIN_EVERY_S = 10.0


class Progress:
    """A bar with the time left; plain lines where there is no terminal."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._plan = plan
        self._stream = stream
        self._done = 0
        self._begin_s = self._told_s = time.monotonic()
        self._bar = self._open_bar() if tqdm and stream.isatty() else None

    def _open_bar(self) -> tqdm:
        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} windows, {elapsed} done, {remaining} left"
        total = self._plan.windows()
        return tqdm(
            total=total, file=self._stream, bar_format=form, dynamic_ncols=True, leave=False
        )

    def step(self, window: Window) -> None:
        """One more window is measured."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_description_str(f"{window.record['jobname']:30}", refresh=False)
            self._bar.update()
        elif time.monotonic() - self._told_s >= PLAIN_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        total = self._plan.windows()
        left_s = (self._told_s - self._begin_s) * (total - self._done) / self._done
        print(
            f"{self._done}/{total} windows, about {left_s:.0f} s left",
            file=self._stream,
            flush=True,
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
