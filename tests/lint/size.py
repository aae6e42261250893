#!/usr/bin/env python3
"""Print the bytes of the engine, file by file, and fail when it outgrows its limit."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402

TEXT_MAX_BYTES = 39 * 1024


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--size", default="riscv64-unknown-elf-size", help="the size program to ask"
    )
    parser.add_argument("library", type=Path, help="the engine as a library")
    options = parser.parse_args(argv)
    answer = subprocess.run(
        [options.size, str(options.library)], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        print(f"size.py: {options.size}: {answer.stderr.strip()}", file=sys.stderr)
        return 1
    rows = [line.split() for line in answer.stdout.splitlines()[1:]]
    files = [(row[5], *map(int, row[:3])) for row in rows]
    print(f"{'file':16} {'text':>7} {'data':>6} {'bss':>6}   bytes; text is code and constants")
    for name, text, data, bss in sorted(files, key=lambda each: -each[1]):
        print(f"{name:16} {text:7} {data:6} {bss:6}")
    text, data, bss = (sum(each[column] for each in files) for column in (1, 2, 3))
    print(f"{'engine':16} {text:7} {data:6} {bss:6}   limit {TEXT_MAX_BYTES}, 0, 0")
    if text > TEXT_MAX_BYTES or data or bss:
        print("size.py: the engine is larger than its limit", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
