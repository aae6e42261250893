"""Host CPU time of QEMU's threads, in classes, and what the hypervisor took, from /proc.

The kernel drops a thread's own time (schedstat, in nanoseconds) when the thread ends, and the
workers that do file I/O come and go. The process's CPU clock keeps the time of ended threads: the
difference between it and the living threads belongs to the workers.

On a host that is itself a guest, the hypervisor gives cores to others: steal. The host's kernel
does not count this as waiting for a core.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

CLASSES = ("vcpu", "device", "workers")
SKEW_NS = 1000000  # threads keep running while they are read one by one
# Of /proc/stat's first line: user, nice, system, idle, iowait, irq, softirq, steal. What follows is
# contained in these.
CORE_COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class Spent:
    """Nanoseconds each class of threads ran, and waited for a core; up to now or in a window."""

    ran: dict[str, int]
    waited: dict[str, int]
    time_ns: int  # when it was sampled, or how long the window was
    total_ns: int = 0  # of the process, with threads that have ended; 0: not known
    workers: frozenset[int] = frozenset()  # the living ones
    stolen_ticks: int = 0  # of the next: the hypervisor's; also 0 where it does not tell
    core_ticks: int = 0  # of all cores of the host, 10 ms as a rule; 0: the kernel has no steal


def thread_class(name: str, is_main: bool) -> str:
    """vcpu runs the guest, device is QEMU's main loop and iothreads, workers do file I/O."""
    if is_main or name.startswith("IO "):
        return "device"
    return "vcpu" if name.startswith("CPU ") else "workers"


def process_ns(pid: int) -> int:
    """CPU time of a process with all its threads, ended ones too; 0 where the kernel has none."""
    try:
        return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid() makes it
    except OSError:
        return 0


def _thread_ns(task: Path) -> tuple[int, int]:
    """Nanoseconds on a core and waiting for one; from `stat`, in ticks, without a schedstat."""
    try:
        ran, waited = (task / "schedstat").read_text().split()[:2]
        return int(ran), int(waited)
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK"), 0


def core_ticks(proc: Path = Path("/proc")) -> tuple[int, int]:
    """Stolen and all ticks of the host's cores since its boot; (0, 0) where steal is not told."""
    try:
        name, *columns = (proc / "stat").read_text().split("\n", 1)[0].split()
        ticks = [int(each) for each in columns[:CORE_COLUMNS]]
    except (OSError, ValueError):
        return 0, 0
    return (ticks[-1], sum(ticks)) if name == "cpu" and len(ticks) == CORE_COLUMNS else (0, 0)


def sample(pid: int, time_ns: int, proc: Path = Path("/proc"),
           clock: Callable[[int], int] = process_ns) -> Spent | None:
    """What each class has spent so far; None if the process cannot be read."""
    ran, waited = dict.fromkeys(CLASSES, 0), dict.fromkeys(CLASSES, 0)
    workers = set()
    try:
        for task in (proc / str(pid) / "task").iterdir():
            try:
                name = thread_class((task / "comm").read_text().strip(), task.name == str(pid))
                thread_ran, thread_waited = _thread_ns(task)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that ended while we looked: its time is in the total
            ran[name] += thread_ran
            waited[name] += thread_waited
            if name == "workers":
                workers.add(int(task.name))
    except (OSError, ValueError, IndexError):
        return None
    return Spent(ran, waited, time_ns, clock(pid), frozenset(workers), *core_ticks(proc))


def _ended_ns(begin: Spent, end: Spent) -> int:
    """What the classes of two samples lack of the process's clock: threads that have ended.

    Without a thread known to have ended, a little is only the skew of reading.
    """
    if not begin.total_ns or not end.total_ns:
        return 0
    living = sum(end.ran.values()) - sum(begin.ran.values())
    missing = end.total_ns - begin.total_ns - living
    return missing if begin.workers - end.workers or missing > SKEW_NS else 0


def difference(begin: Spent | None, end: Spent | None) -> Spent | None:
    """What was spent between two samples, with what workers spent that ended between them."""
    if begin is None or end is None:
        return None
    ran = {name: end.ran[name] - begin.ran[name] for name in CLASSES}
    ran["workers"] += _ended_ns(begin, end)
    return Spent(
        {name: max(0, ran[name]) for name in CLASSES},
        {name: max(0, end.waited[name] - begin.waited[name]) for name in CLASSES},
        end.time_ns - begin.time_ns,
        stolen_ticks=max(0, end.stolen_ticks - begin.stolen_ticks),
        core_ticks=max(0, end.core_ticks - begin.core_ticks),
    )
