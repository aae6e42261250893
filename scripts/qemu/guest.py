"""A running guest: its console with the time of each line, its end and its exit status.

    machine = Machine("selftest", ["only=prp"], harts=2, controllers=2, backing="ram:64m")
    result = run_guest(machine, lambda line: print(line.text))
or, to act on each line and look at QEMU while it runs:
    with Guest(machine) as guest:
        for line in guest.lines():      # line.time_ns is time.monotonic_ns() at arrival
            ...                         # guest.pid is QEMU's, for /proc
        result = guest.finish()
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator

from cli import signals
from qemu.machine import Machine

FIRMWARE = "OpenSBI v"  # its first line, once per start of the machine
END_STEP_S = 0.01  # between two checks whether QEMU has ended
STDERR_MAX_BYTES = 64 * 1024
STOP_GRACE_S = 3.0
EXIT_GRACE_S = 10.0  # after the guest's `exit N`: QEMU 11.1.3 sometimes does not notice its end
TAIL_LINES = 15

STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_TIMEOUT = 0, 1, 2, 124

# What QEMU says, and what the user does about it.
QEMU_HINTS = (
    (r"Failed to get .*lock", "another QEMU has the image open: end that one, or use a copy"),
    (r"Property '.*' (not found|doesn't take)",
     "see the properties with: qemu-system-riscv64 -device nvme,help"),
    (r"mdts exceeds IOV_MAX", "this QEMU takes mdts=1 to 9 (8 KiB to 2 MiB)"),
    (r"slot .* (not available|in use)", "choose other PCI slots with --slots"),
    (r"io_uring", "this QEMU or kernel has no io_uring: use aio=threads or aio=native"),
    (r"[Cc]annot allocate memory|cannot set up guest memory", "give the guest less with --memory"),
)


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the guest's console, without its end."""

    time_ns: int  # time.monotonic_ns() of the host when the line's end arrived
    text: str


@dataclasses.dataclass(frozen=True)
class Result:
    """How a guest ended."""

    status: int  # 0, 1, 2 or 124: the command's exit status
    guest_exit: int | None  # N of the guest's last `exit N`, None if it printed none
    qemu_status: int  # QEMU's exit status, negative for a signal
    tail: list[str]  # the last console lines
    stderr: str  # what QEMU wrote to its standard error
    reason: str  # one line of words, empty on success
    resets: int = 0  # how often the guest started the machine anew


class Guest:
    """A running QEMU. Use as a context manager: leaving the block ends it in every case.

    Start, read and finish on one thread: QEMU is killed when that thread ends.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._lines = self._read_lines()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._starts = 0  # of the firmware
        self._guest_exit: int | None = None
        self._exit_ns = 0  # when its line came
        self._timed_out = False
        self._stayed = False  # QEMU did not end after the guest's exit, and was stopped
        self._pauses = signals.pauses()
        self.paused = False  # we were stopped (Ctrl-Z) meanwhile: the times are not valid

    def __enter__(self) -> Guest:
        backing_fd = None
        self.machine.argv()  # checks every option before a backing is made
        try:
            # Our backing has no name: it is removed even if this process is killed.
            backing_fd = self.machine.open_backing()
            # QEMU dies when the thread that started it dies, however that happens.
            argv = ["setpriv", "--pdeathsig", "KILL", *self.machine.argv(backing_fd)]
            self._stderr = os.fdopen(os.memfd_create("qemu-stderr"), "w+b")
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._stderr,
                pass_fds=() if backing_fd is None else (backing_fd,), start_new_session=True)
        finally:
            if backing_fd is not None:
                os.close(backing_fd)
        self.pid = self._process.pid
        self.begin_time()
        return self

    def begin_time(self) -> None:
        """The time-out counts from now on."""
        self._deadline_ns = time.monotonic_ns() + int(self.machine.timeout_s * 1e9)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._process.stdout.close()
        self._stderr.close()

    def lines(self) -> Iterator[Line]:
        """The console, line by line, until QEMU ends or the time is up (then it is stopped)."""
        return self._lines

    def _read_lines(self) -> Iterator[Line]:
        begun = b""  # the console's last line, its end not yet read
        while chunk := self._read_chunk():
            time_ns = time.monotonic_ns()
            *whole, begun = (begun + chunk).split(b"\n")
            for raw in whole:
                yield self._take(raw, time_ns)
        if begun:
            yield self._take(begun, time.monotonic_ns())

    def _take(self, raw: bytes, time_ns: int) -> Line:
        """The line, after a note of what it says of the guest's state."""
        text = raw.decode("utf-8", "replace").rstrip("\r")
        self._tail.append(text)
        self._starts += text.startswith(FIRMWARE)
        if match := re.fullmatch(r"exit (\d+)", text.strip()):
            self._guest_exit, self._exit_ns = int(match[1]), time_ns
        return Line(time_ns, text)

    def _read_chunk(self) -> bytes:
        """The next bytes; empty at the console's end and at the deadline."""
        fd = self._process.stdout.fileno()
        while (left_s := self._left_s()) is None or left_s > 0:
            if signals.wait_readable(fd, left_s):
                return os.read(fd, 65536)
        self._give_up()
        return b""

    def _left_s(self) -> float | None:
        """Seconds to the deadline. None: no deadline, because a debugger may hold the guest.

        The time begins anew after a pause of ours.
        """
        now_ns = time.monotonic_ns()  # before the question: a pause after it does not count
        signals.wait_readable(None, 0)
        if signals.pauses() != self._pauses:
            self._pauses, self.paused = signals.pauses(), True
            self.begin_time()
        if self.machine.gdb:
            return None
        end_ns = self._deadline_ns
        if self._guest_exit is not None:
            end_ns = min(end_ns, self._exit_ns + int(EXIT_GRACE_S * 1e9))
        return (end_ns - now_ns) / 1e9

    def _give_up(self) -> None:
        """The time is up: of the guest, or of QEMU after its `exit N`."""
        self._stayed = self._guest_exit is not None
        self._timed_out = not self._stayed
        self.stop()

    def stop(self) -> None:
        """End QEMU now: SIGTERM, then SIGKILL. Does nothing if it has ended."""
        self._process.terminate()
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def finish(self) -> Result:
        """Read what is left of the console, wait for QEMU's end and say what it means."""
        for _ in self.lines():
            pass
        left_s = self._left_s()
        if not self._wait_end(None if left_s is None else max(STOP_GRACE_S, left_s)):
            self._give_up()
        self._stderr.seek(0)
        told = self._stderr.read(STDERR_MAX_BYTES).decode("utf-8", "replace").splitlines()
        stderr = "\n".join(line for line in told if "terminating on signal" not in line)
        status, reason = self._verdict(0 if self._stayed else self._process.returncode, stderr)
        return Result(status, self._guest_exit, self._process.returncode, list(self._tail), stderr,
                      reason, max(0, self._starts - 1))

    def _wait_end(self, timeout_s: float | None) -> bool:
        """Wait for QEMU's end, which should be soon: its console has ended. False: time-out."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._process.poll() is None:
            if deadline_s is not None and time.monotonic() > deadline_s:
                return False
            signals.wait_readable(None, END_STEP_S)
        return True

    def _verdict(self, qemu_status: int, stderr: str) -> tuple[int, str]:
        """The command's exit status, and the reason in words."""
        if self._timed_out:
            return STATUS_TIMEOUT, f"time-out after {self.machine.timeout_s:g} s"
        if qemu_status < 0:
            return STATUS_FAILED, f"QEMU was ended by signal {-qemu_status}"
        if qemu_status and not self._tail:
            hints = [hint for pattern, hint in QEMU_HINTS if re.search(pattern, stderr)]
            return STATUS_USAGE, "QEMU refused to start" + (f" ({hints[0]})" if hints else "")
        if self._guest_exit is None:
            how = ": it reset or powered off the machine" if qemu_status == 0 else ""
            return STATUS_FAILED, (
                f"the guest ended without `exit N`{how} (QEMU's status {qemu_status})")
        if self._guest_exit or qemu_status:
            return STATUS_FAILED, (
                f"the guest failed: exit {self._guest_exit}, QEMU's status {qemu_status}")
        return STATUS_OK, ""


def run_guest(machine: Machine, on_line: Callable[[Line], None] = lambda line: None,
              by_line: bool = False) -> Result:
    """Boot, pass each console line to `on_line`, wait for the end. Nothing keeps running.

    `by_line`: the time begins anew with each line, so that a slow host is no time-out.
    """
    with Guest(machine) as guest:
        for line in guest.lines():
            if by_line:
                guest.begin_time()
            on_line(line)
        return guest.finish()
