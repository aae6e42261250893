"""scripts/qemu/host_cpu.py: a made-up /proc, and real threads that burn a known CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support import HUNG_S, ScriptTest

from qemu import host_cpu

MS = 1000000


class MadeUp(ScriptTest):
    """Numbers by hand."""

    def sample(self, total: int, *threads: tuple[int, str, int]) -> host_cpu.Spent:
        with tempfile.TemporaryDirectory() as folder:
            for tid, name, ran_ns in threads:
                task = Path(folder, "9", "task", str(tid))
                task.mkdir(parents=True)
                (task / "comm").write_text(name + "\n")
                (task / "schedstat").write_text(f"{ran_ns} 1 2\n")
            found = host_cpu.sample(9, 0, Path(folder), lambda pid: total)
        assert found
        return found

    def ran(self, begin: host_cpu.Spent, end: host_cpu.Spent) -> tuple[int, int, int]:
        spent = host_cpu.difference(begin, end)
        assert spent
        return tuple(spent.ran[name] // MS for name in ("vcpu", "device", "workers"))

    def test_classes(self) -> None:
        begin = self.sample(1, (9, "qemu", 0))
        end = self.sample(1, (9, "qemu", 5 * MS), (10, "CPU 0/TCG", 70 * MS),
                          (11, "IO iothread0", 2 * MS), (12, "worker", 3 * MS))
        self.assertEqual(self.ran(begin, end), (70, 7, 3))
        self.assertEqual(end.waited, {"vcpu": 1, "device": 2, "workers": 1})

    def test_a_process_that_is_gone(self) -> None:
        (self.folder / "9" / "task").mkdir(parents=True)
        self.assertIsNone(host_cpu.sample(8, 0, self.folder))
        self.assertIsNone(host_cpu.difference(None, self.sample(0, (9, "qemu", 0))))

    def test_worker_that_ends(self) -> None:
        begin = self.sample(60 * MS, (9, "qemu", 20 * MS), (12, "worker", 40 * MS))
        end = self.sample(95 * MS, (9, "qemu", 25 * MS))
        self.assertEqual(self.ran(begin, end), (0, 5, 30))

    def test_worker_that_begins_and_ends(self) -> None:
        begin = self.sample(20 * MS, (9, "qemu", 20 * MS))
        end = self.sample(65 * MS, (9, "qemu", 25 * MS))
        self.assertEqual(self.ran(begin, end), (0, 5, 40))

    def test_worker_that_ends_and_one_that_goes_on(self) -> None:
        begin = self.sample(50 * MS, (9, "q", 0), (12, "worker", 40 * MS), (13, "worker", 10 * MS))
        end = self.sample(80 * MS, (9, "q", 0), (13, "worker", 30 * MS), (14, "worker", 4 * MS))
        self.assertEqual(self.ran(begin, end), (0, 0, 30))

    def test_skew_is_no_worker(self) -> None:
        begin = self.sample(20 * MS, (9, "qemu", 20 * MS))
        end = self.sample(26 * MS - 1, (9, "qemu", 25 * MS))
        self.assertEqual(self.ran(begin, end), (0, 5, 0))

    def test_a_host_without_the_clock(self) -> None:
        begin = self.sample(0, (9, "qemu", 20 * MS), (12, "worker", 40 * MS))
        end = self.sample(0, (9, "qemu", 25 * MS))
        self.assertEqual(self.ran(begin, end), (0, 5, 0))

    def ticks(self, text: str | None) -> tuple[int, int]:
        if text is not None:
            (self.folder / "stat").write_text(text)
        return host_cpu.core_ticks(self.folder)

    def test_steal_is_the_eighth_column(self) -> None:
        line = "cpu  100 2 30 400 5 6 7 50 90 1\n"
        self.assertEqual(self.ticks(line + "cpu0 1 1 1 1 1 1 1 1 1 1\n"), (50, 600))
        self.assertEqual(self.ticks("cpu  1 2 3 4 5 6 7 8\n"), (8, 36))

    def test_a_kernel_that_tells_no_steal(self) -> None:
        for text in (None, "", "cpu  1 2 3 4 5 6 7\n", "cpu  a b c d e f g h\n",
                     "intr 1 2 3 4 5 6 7 8\n"):
            self.assertEqual(self.ticks(text), (0, 0), text)

    def test_what_was_stolen_between(self) -> None:
        (self.folder / "9" / "task").mkdir(parents=True)
        samples = []
        for line in ("cpu 10 0 0 80 0 0 0 10 5 0\n", "cpu 70 0 0 90 0 0 0 40 65 0\n"):
            (self.folder / "stat").write_text(line)
            samples.append(host_cpu.sample(9, 0, self.folder))
        spent = host_cpu.difference(*samples)
        assert spent
        self.assertEqual((spent.stolen_ticks, spent.core_ticks), (30, 100))


# Threads named as QEMU's; each burns a known time between two markers, outside of the lock. One
# worker lives before and after, one ends in the window, one begins and ends in it.
BURNER = """
import ctypes, threading, time
libc = ctypes.CDLL(None)
def burn(ms):
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
def play(name, before, within, ends):
    libc.prctl(15, name, 0, 0, 0)
    burn(before); ready.wait(); go.wait(); burn(within)
    if not ends:
        burnt.wait(); after.wait()
def short():
    burn(30)
ready, burnt = threading.Barrier(4), threading.Barrier(3)
go, after = threading.Event(), threading.Event()
plays = [threading.Thread(target=play, args=a) for a in
         ((b"CPU 0/TCG", 20, 150, False), (b"worker", 20, 40, False), (b"worker", 50, 60, True))]
for each in plays: each.start()
ready.wait()
print("#begin", flush=True); input()
go.set()
extra = threading.Thread(target=short); extra.start(); extra.join()
plays[2].join()
burn(25)
burnt.wait()
print("#end", flush=True); input()
after.set()
"""


class Real(ScriptTest):
    """At least what was burnt, and in all what the process's clock has, whatever the host does."""

    def sleeps(self, pid: int) -> bool:
        """Whether no thread runs or ends: the kernel has counted all that they burnt."""
        try:
            states = [stat.read_text().rpartition(")")[2].split()[0]
                      for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return set(states) == {"S"}

    def wait_for_sleep(self, pid: int) -> None:
        """Until all threads do."""
        deadline_s = time.monotonic() + HUNG_S
        while not self.sleeps(pid):
            self.assertLess(time.monotonic(), deadline_s)
            time.sleep(0.001)

    def test_threads_that_burn_and_end(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", BURNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin and process.stdout
            samples = []
            for marker in ("#begin", "#end"):
                self.assertEqual(process.stdout.readline().strip(), marker)
                self.wait_for_sleep(process.pid)
                samples.append(host_cpu.sample(process.pid, time.monotonic_ns()))
                process.stdin.write("\n")
                process.stdin.flush()
            process.wait(HUNG_S)
        spent = host_cpu.difference(*samples)
        assert spent
        ran = {name: spent.ran[name] / MS for name in host_cpu.CLASSES}
        # Threads burn more than that for the lock of the interpreter, on a loaded host a lot more.
        for name, burnt in (("vcpu", 150), ("workers", 40 + 60 + 30), ("device", 25)):
            self.assertGreater(ran[name], burnt - 2, ran)
        self.assertEqual(sum(spent.ran.values()), samples[1].total_ns - samples[0].total_ns)

    def test_process_clock_is_there(self) -> None:
        self.assertGreater(host_cpu.process_ns(os.getpid()), 0)
        self.assertEqual(host_cpu.process_ns(1 << 22), 0)
