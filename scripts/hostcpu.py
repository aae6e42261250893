"""Host CPU time of QEMU's threads, in classes, from /proc."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

CLASSES = ("vcpu", "device", "workers")


@dataclasses.dataclass(frozen=True)
class Spent:
    """Nanoseconds each class of threads ran, and waited for a core; up to now or in a window."""

    ran: dict[str, int]
    waited: dict[str, int]
    time_ns: int  # when it was sampled, or how long the window was


def thread_class(name: str, is_main: bool) -> str:
    """vcpu runs the guest, device is QEMU's main loop, workers do file I/O and the rest."""
    if is_main:
        return "device"
    return "vcpu" if name.startswith("CPU ") else "workers"


def _thread_ns(task: Path) -> tuple[int, int]:
    """Nanoseconds on a core and waiting for one; from `stat`, in ticks, without a schedstat."""
    try:
        ran, waited = (task / "schedstat").read_text().split()[:2]
        return int(ran), int(waited)
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK"), 0


def sample(pid: int, time_ns: int, proc: Path = Path("/proc")) -> Spent | None:
    """What each class has spent so far; None if the process cannot be read."""
    spent = Spent(dict.fromkeys(CLASSES, 0), dict.fromkeys(CLASSES, 0), time_ns)
    try:
        for task in (proc / str(pid) / "task").iterdir():
            try:
                name = thread_class((task / "comm").read_text().strip(), task.name == str(pid))
                ran, waited = _thread_ns(task)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that ended while we looked
            spent.ran[name] += ran
            spent.waited[name] += waited
    except (OSError, ValueError, IndexError):
        return None
    return spent


def difference(begin: Spent | None, end: Spent | None) -> Spent | None:
    """What was spent between two samples. A worker that ended between them is not counted."""
    if begin is None or end is None:
        return None
    return Spent(
        {name: max(0, end.ran[name] - begin.ran[name]) for name in CLASSES},
        {name: max(0, end.waited[name] - begin.waited[name]) for name in CLASSES},
        end.time_ns - begin.time_ns,
    )
