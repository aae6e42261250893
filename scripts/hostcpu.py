"""Host CPU time of QEMU's threads, in classes, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

CLASSES = ("vcpu", "device", "workers")
Spent = dict[str, int]


def thread_class(name: str, is_main: bool) -> str:
    """vcpu runs the guest, device is QEMU's main loop, workers do file I/O and the rest."""
    if is_main:
        return "device"
    return "vcpu" if name.startswith("CPU ") else "workers"


def _thread_ns(task: Path) -> int:
    """Nanoseconds on a CPU; from `stat` in ticks where the kernel keeps no schedstat."""
    try:
        return int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


def sample(pid: int, proc: Path = Path("/proc")) -> Spent | None:
    """Nanoseconds each class has spent so far; None if the process cannot be read."""
    spent = dict.fromkeys(CLASSES, 0)
    try:
        for task in (proc / str(pid) / "task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
                spent[thread_class(name, task.name == str(pid))] += _thread_ns(task)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that ended while we looked
    except (OSError, ValueError, IndexError):
        return None
    return spent


def difference(begin: Spent | None, end: Spent | None) -> Spent | None:
    """What was spent between two samples. A worker that ended between them is not counted."""
    if begin is None or end is None:
        return None
    return {name: max(0, end[name] - begin[name]) for name in CLASSES}
