#!/usr/bin/env python3
"""Print how much stack each call of the engine needs, and fail when one outgrows the limit.

GCC tells the frame of each function and whom it calls (-fcallgraph-info=su). The need of a call is
its frame and those of the deepest chain below it. A callback or hook of the caller comes on top:
where one is called, `+` says so. memcpy and memset count as nothing. The port's functions are
inline, those of platform/riscv64.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402

NEED_MAX_BYTES = 1536
HEADERS = ("nvme.h", "nvme_event.h", "nvme_admin.h", "nvme_bench.h", "nvme_segments.h")
NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(?:(\d+) bytes \((\w+)[^"]*)?"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
INDIRECT = "__indirect_call"
# Calls back into their caller, which does not take the same way again.
ONCE = {("reap_slow", "nvme_queue_reap"), ("ring_and_arm", "nvme_queue_arm")}


class Graph:
    """Frames and calls of all files."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.frames: dict[str, int] = {}
        self.calls: dict[str, set[str]] = {}
        self.needs: dict[tuple[str, bool], tuple[int, bool]] = {}
        for text in texts:
            for name, size, kind in NODE.findall(text):
                if size:
                    self.frames[name] = int(size)
                if kind and kind != "static":
                    raise ValueError(f"{name}: the size of its frame is {kind}")
            for caller, callee in EDGE.findall(text):
                self.calls.setdefault(caller, set()).add(callee)

    def need(self, name: str, above: tuple[str, ...] = (), again: bool = True) -> tuple[int, bool]:
        """Bytes of the deepest chain from a function on, and whether it calls back."""
        if name == INDIRECT:
            return 0, True
        if name in above:
            raise ValueError(f"{' calls '.join((*above, name))}: there is no bound")
        if (name, again) not in self.needs:
            below = []
            for callee in self.calls.get(name, ()):
                if (plain(name), plain(callee)) not in ONCE:
                    below.append(self.need(callee, (*above, name), again))
                elif again:
                    below.append(self.need(callee, (), again=False))
            deepest = max((size for size, _ in below), default=0)
            back = any(each for _, each in below)
            self.needs[name, again] = self.frames.get(name, 0) + deepest, back
        return self.needs[name, again]


def plain(name: str) -> str:
    """A function's name without its file and without what GCC adds to a copy."""
    return name.rsplit(":", 1)[-1].split(".")[0]


def public_functions() -> set[str]:
    """The names that the engine's public headers declare."""
    texts = "\n".join((ROOT / "engine" / header).read_text() for header in HEADERS)
    return set(re.findall(r"^(?!static|typedef| \*)\w[\w \t*]*?\b(nvme_\w+)\(", texts, re.M))


def compile_engine(compiler: Sequence[str]) -> list[str]:
    """The call graphs of the engine's files. A compiler cache would not keep them."""
    folder = ROOT / "build" / "stack"
    folder.mkdir(parents=True, exist_ok=True)
    texts = []
    for source in sorted((ROOT / "engine").glob("*.c")):
        target = folder / f"{source.stem}.o"
        subprocess.run(
            [*compiler, "-fcallgraph-info=su", "-c", "-o", str(target), str(source)],
            cwd=ROOT,
            env={**os.environ, "CCACHE_DISABLE": "1"},
            check=True,
        )
        texts.append(target.with_suffix(".ci").read_text())
    return texts


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("compiler", nargs="+", help="GCC and its options, after --")
    graph = Graph(compile_engine(parser.parse_args(argv).compiler))
    rows = sorted(
        ((name, *graph.need(name)) for name in public_functions() if name in graph.frames),
        key=lambda row: (-row[1], row[0]),
    )
    print(f"{'call':30} {'stack':>6}   bytes; + with a callback or a hook on top")
    for name, size, back in rows:
        print(f"{name:30} {size:6}{' +' if back else ''}")
    if rows[0][1] > NEED_MAX_BYTES:
        print(f"stack.py: {rows[0][0]} needs more than {NEED_MAX_BYTES} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
