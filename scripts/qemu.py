"""A hartq program on QEMU `virt` with NVMe controllers: QEMU's command line, console and end.

The one place that knows how QEMU is started; scripts/run.py is its command line.

    machine = Machine("selftest", ["only=prp"], harts=2, controllers=2, backing="ram:64m")
    result = machine.run(on_line=lambda line: print(line.text))       # or, to act on each line:
    with Guest(machine) as guest:
        for line in guest.lines():      # line.time_ns is time.monotonic_ns() at arrival
            ...                         # guest.pid is QEMU's, for /proc
        result = guest.finish()
Bad values raise UsageError with one line of text; nothing is started then.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import json
import os
import re
import select
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

QEMU_OLDEST = (7, 2)
HARTS_MAX = 64
MEMORY_MIB_MIN, MEMORY_MIB_MAX = 32, 65536
CONTROLLERS_MAX = 30  # slots 1 to 30 of the root bus; slot 0 is the host bridge
PRIVATE_LINES = 4  # PCI interrupt lines of `virt`: controllers beyond share them
NULL_SIZE_BYTES = 1 << 30
DISK_SIZE_MAX_BYTES = 1 << 43
ARGUMENTS_MAX_BYTES = 1024  # the kernel command line of the device tree, all words together
STDERR_MAX_BYTES = 64 * 1024
STOP_GRACE_S = 3.0
TAIL_LINES = 15

STATUS_OK, STATUS_FAILED, STATUS_USAGE, STATUS_TIMEOUT = 0, 1, 2, 124

# What QEMU says, and what the user does about it.
QEMU_HINTS = (
    (r'Failed to get .*lock', "another QEMU has the image open: end that one, or use a copy"),
    (r"Property '.*' not found", "see the properties with: qemu-system-riscv64 -device nvme,help"),
    (r"Property '.*' doesn't take", "see the properties with: qemu-system-riscv64 -device nvme,help"),
    (r'slot .* (not available|in use)', "choose other PCI slots with --slots"),
    (r'[Cc]annot allocate memory|cannot set up guest memory', "give the guest less with --memory"),
)


class UsageError(Exception):
    """A value that cannot work, found before anything was started: what, value, limit, hint."""


def parse_size(text: str, what: str) -> int:
    """Bytes of `64m`, `1G`, `4096`, ...: a whole number and an optional suffix k, m, g or t (1024-based)."""
    match = re.fullmatch(r"([0-9]+)([kmgt]?)i?b?", text.strip().lower())
    if not match:
        raise UsageError(f"{what}: '{text}' is not a size (a whole number, then k, m, g or t; such as 64m)")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]
    if not 0 < size <= DISK_SIZE_MAX_BYTES:
        raise UsageError(f"{what}: {text} is out of range (1 byte to {DISK_SIZE_MAX_BYTES >> 40}t)")
    return size


def parse_properties(text: str, what: str) -> dict[str, str]:
    """`k=v,k=v` as a dictionary."""
    properties = {}
    for item in text.split(","):
        key, separator, value = item.partition("=")
        if not (key and separator and value):
            raise UsageError(f"{what}: '{item}' is not a property (key=value, joined by commas)")
        properties[key] = value
    return properties


@functools.lru_cache
def find_qemu(path: str) -> tuple[str, str]:
    """The emulator's full path and version text; UsageError if it is missing, broken or too old."""
    found = shutil.which(path)
    if not found:
        raise UsageError(f"QEMU: '{path}' is not an executable (install it with scripts/setup.sh, "
                         "or name one with --qemu or $QEMU)")
    try:
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20,
                                check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"QEMU: '{found} --version' does not run: {error}") from error
    match = re.search(r"QEMU emulator version ((\d+)\.(\d+)[^\s,]*)", answer.stdout)
    if not match:
        raise UsageError(f"QEMU: '{found} --version' does not look like QEMU's (wants qemu-system-riscv64)")
    if (int(match[2]), int(match[3])) < QEMU_OLDEST:
        oldest = ".".join(map(str, QEMU_OLDEST))
        raise UsageError(f"QEMU: {found} is version {match[1]}, older than {oldest} (install a newer "
                         "one and name it with --qemu or $QEMU)")
    return found, match[1]


def find_app(app: str | Path) -> Path:
    """The program's ELF: a name below build/ or a path."""
    path = Path(app)
    if path.suffix == ".elf" or len(path.parts) > 1:
        if not path.is_file():
            raise UsageError(f"program: '{path}' is not a file")
        return path
    path = BUILD / f"{app}.elf"
    if path.is_file():
        return path
    built = sorted(elf.stem for elf in BUILD.glob("*.elf"))
    there = f"built: {', '.join(built)}" if built else "nothing is built: make all"
    raise UsageError(f"program: build/{app}.elf does not exist ({there})")


def check_arguments(words: Sequence[str]) -> str:
    """The guest's command line; UsageError for what the kernel command line cannot carry."""
    for word in words:
        if not word or not re.fullmatch(r"[!-~]+", word):
            raise UsageError(f"argument: {word!r} cannot travel on the kernel command line (printable "
                             "ASCII without spaces only)")
    line = " ".join(words)
    if len(line) > ARGUMENTS_MAX_BYTES:
        raise UsageError(f"arguments: {len(line)} bytes are too many (at most {ARGUMENTS_MAX_BYTES})")
    return line


def check_image(path: Path, lba_bytes: int) -> None:
    """Refuse what QEMU would refuse later, in words."""
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"image: '{path}': {error.strerror} (null:SIZE and ram:SIZE need no file; "
                         f"make one with: truncate -s 128M {shlex.quote(str(path))})") from error
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"image: '{path}' is not a regular file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UsageError(f"image: '{path}' cannot be read and written by this user")
    if status.st_size == 0 or status.st_size % lba_bytes:
        raise UsageError(f"image: '{path}' has {status.st_size} bytes, not a multiple of the LBA size "
                         f"{lba_bytes} (change it with truncate -s, or choose --lba)")


@dataclasses.dataclass
class Machine:
    """One guest and its disk. Fields are as the options of the same name; see --help."""

    app: str | Path
    arguments: Sequence[str] = ()
    harts: int = 4
    memory_mib: int = 256
    backing: str = "null"
    controllers: int | None = None  # None: as many as can have an interrupt line of their own
    irqchip: str = "plic"
    lba_bytes: int = 512
    nvme: dict[str, str] = dataclasses.field(default_factory=dict)  # properties of each controller
    namespace: dict[str, str] = dataclasses.field(default_factory=dict)  # properties of the namespace
    slots: Sequence[int] | None = None  # PCI slot of each controller; None: 1, 2, 3, ...
    attach: bool = True  # False: no controller; node `disk0` is there for qemu_args to use
    icount: bool = False
    gdb: bool = False
    timeout_s: float = 60.0
    qemu: str | None = None  # None: $QEMU, else qemu-system-riscv64
    qemu_args: Sequence[str] = ()  # as QEMU takes them, after everything else

    def controller_count(self) -> int:
        """How many controllers `auto` comes to."""
        if not self.attach:
            return 0
        if self.controllers is not None:
            return self.controllers
        if self.slots is not None:
            return len(self.slots)
        return min(self.harts, PRIVATE_LINES) if self.irqchip == "plic" else 1

    def check(self) -> None:
        """Raise UsageError unless every field is in its range."""
        count = self.controller_count()
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("--harts", self.harts, 1, HARTS_MAX),
            ("--memory", self.memory_mib, MEMORY_MIB_MIN, MEMORY_MIB_MAX),
            ("--controllers", count, 1 if self.attach else 0, CONTROLLERS_MAX),
            ("--timeout", self.timeout_s, 0.1, 86400.0))
        for what, value, low, high in ranges:
            if not low <= value <= high:
                raise UsageError(f"{what}: {value} is out of range ({low} to {high})")
        if self.irqchip not in ("plic", "imsic"):
            raise UsageError(f"--irqchip: '{self.irqchip}' is unknown (plic or imsic)")
        if self.lba_bytes not in (512, 4096):
            raise UsageError(f"--lba: {self.lba_bytes} is not supported (512 or 4096)")
        slots = self.slots if self.slots is not None else range(1, count + 1)
        if self.attach and (len(slots) != count or len(set(slots)) != count):
            raise UsageError(f"--slots: {len(set(slots))} different slots for {count} controllers")
        if any(not 1 <= slot <= 31 for slot in slots):
            raise UsageError("--slots: a PCI slot is out of range (1 to 31)")

    def argv(self, ram_fd: int | None = None) -> list[str]:
        """QEMU's command line. `ram_fd` is the open memory file of a `ram:` backing."""
        self.check()
        qemu, _ = find_qemu(self.qemu or os.environ.get("QEMU") or "qemu-system-riscv64")
        argv = [qemu, "-name", "hartq,debug-threads=on", "-nodefaults", "-no-user-config",
                "-M", "virt" + (",aia=aplic-imsic" if self.irqchip == "imsic" else ""),
                "-smp", f"{self.harts},maxcpus={max(2, self.harts)}", "-m", str(self.memory_mib),
                "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
                "-bios", "default", "-kernel", str(find_app(self.app))]
        if self.arguments:
            argv += ["-append", check_arguments(self.arguments)]
        if self.icount:
            argv += ["-icount", "shift=0"]
        if self.gdb:
            argv += ["-s", "-S"]
        return argv + self._disk(ram_fd) + list(self.qemu_args)

    def ram_size(self) -> int | None:
        """Bytes of a `ram:SIZE` backing, None for another kind."""
        kind, _, size = self.backing.partition(":")
        return self._disk_size("ram", size) if kind == "ram" else None

    def _disk_size(self, kind: str, text: str) -> int:
        size = parse_size(text, f"--backing {kind}:SIZE")
        if size % self.lba_bytes:
            raise UsageError(f"--backing: {kind}:{text} is not a multiple of the LBA size "
                             f"{self.lba_bytes}")
        return size

    def _blockdev(self, ram_fd: int | None) -> dict[str, object]:
        kind, separator, size = self.backing.partition(":")
        if kind == "null":
            # Reads return nothing (the buffer stays as it was): the cheapest device there is.
            bytes_ = self._disk_size(kind, size) if separator else NULL_SIZE_BYTES
            return {"driver": "null-co", "node-name": "disk0", "size": bytes_}
        if kind == "ram":
            filename = f"/proc/self/fd/{ram_fd}"
        else:
            filename = os.path.abspath(self.backing)
            check_image(Path(filename), self.lba_bytes)
        return {"driver": "raw", "node-name": "disk0", "discard": "unmap",
                "file": {"driver": "file", "filename": filename, "aio": "threads"}}

    def _disk(self, ram_fd: int | None) -> list[str]:
        argv = ["-blockdev", json.dumps(self._blockdev(ram_fd))]
        count = self.controller_count()
        if count == 0:
            return argv
        subsystem = {}
        if count > 1:
            argv += ["-device", "nvme-subsys,id=subsys0"]
            subsystem = {"subsys": "subsys0"}
        for index, slot in enumerate(self.slots or range(1, count + 1)):
            properties = {"id": f"nvme{index}", "serial": "hartq", "addr": f"{slot:#x}",
                          **subsystem, **self.nvme}
            argv += ["-device", device("nvme", properties)]
        properties = {"drive": "disk0", "bus": "nvme0",
                      "logical_block_size": str(self.lba_bytes),
                      "physical_block_size": str(self.lba_bytes),
                      **({"shared": "on"} if count > 1 else {}), **self.namespace}
        return argv + ["-device", device("nvme-ns", properties)]

    def run(self, on_line: Callable[[Line], None] | None = None) -> Result:
        """Boot, pass each console line to `on_line`, wait for the end. Leaves nothing behind."""
        with Guest(self) as guest:
            for line in guest.lines():
                if on_line:
                    on_line(line)
            return guest.finish()


def device(name: str, properties: dict[str, str]) -> str:
    """A -device argument; a comma inside a value is doubled as QEMU wants it."""
    return ",".join([name, *(f"{key}={value.replace(',', ',,')}" for key, value in properties.items())])


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the guest's console, without its end."""

    time_ns: int  # time.monotonic_ns() of the host when the line's end arrived
    text: str


@dataclasses.dataclass(frozen=True)
class Result:
    """How a guest ended."""

    status: int  # 0, 1, 2 or 124, as the command answers
    guest_exit: int | None  # N of the guest's last `exit N`, None if it printed none
    qemu_status: int  # QEMU's exit status, negative for a signal
    tail: list[str]  # the last console lines
    stderr: str  # what QEMU wrote to its standard error
    reason: str  # one line of words, empty on success


def _end_with_parent() -> None:
    """In the child: die when the thread that started QEMU dies, however that happens."""
    _LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)


_LIBC = ctypes.CDLL(None)


class Guest:
    """A running QEMU. Use as a context manager: leaving the block ends it in every case.

    Start, read and finish on one thread: QEMU is killed when that thread ends.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.pid = 0
        self.timed_out = False
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: deque[Line] = deque()  # read, not yet handed out
        self._partial = b""  # the console's last line, its end not yet read
        self._ended = False  # nothing more will be read
        self._any_output = False
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._guest_exit: int | None = None

    def __enter__(self) -> Guest:
        machine = self.machine
        ram_bytes = machine.ram_size()
        ram_fd = None
        try:
            if ram_bytes is not None:
                # A memory file has no name, so that nothing stays behind whatever kills us.
                ram_fd = os.memfd_create("hartq-disk")
                os.ftruncate(ram_fd, ram_bytes)
            argv = machine.argv(ram_fd)
            self._stderr = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._stderr,
                pass_fds=() if ram_fd is None else (ram_fd,), start_new_session=True,
                preexec_fn=_end_with_parent)
        finally:
            if ram_fd is not None:
                os.close(ram_fd)
        self.pid = self._process.pid
        self._deadline_ns = time.monotonic_ns() + int(machine.timeout_s * 1e9)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()
        assert self._process and self._process.stdout
        self._process.stdout.close()
        self._stderr.close()

    def lines(self) -> Iterator[Line]:
        """The console, line by line, until QEMU ends or the time is up (then it is stopped)."""
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._ended:
                return
            self._fill()

    def _fill(self) -> None:
        """Read once; complete lines go to `_ready`."""
        chunk = self._read_chunk()
        time_ns = time.monotonic_ns()
        if chunk:
            self._any_output = True
            *whole, self._partial = (self._partial + chunk).split(b"\n")
        else:
            self._ended = True
            whole = [self._partial] if self._partial else []
        for raw in whole:
            text = raw.decode("utf-8", "replace").rstrip("\r")
            self._tail.append(text)
            self._ready.append(Line(time_ns, text))
            match = re.fullmatch(r"exit (\d+)", text.strip())
            if match:
                self._guest_exit = int(match[1])

    def _read_chunk(self) -> bytes:
        """The next bytes; empty at the console's end and at the deadline."""
        assert self._process and self._process.stdout
        fd = self._process.stdout.fileno()
        left_s = self._left_s()
        ready = left_s is None or left_s > 0
        if ready:
            ready = bool(select.select([fd], [], [], left_s)[0])
        if not ready:
            self.timed_out = True
            self.stop()
            return b""
        return os.read(fd, 65536)

    def _left_s(self) -> float | None:
        """Seconds to the deadline; None is for ever: a debugger may hold the guest for hours."""
        if self.machine.gdb:
            return None
        return (self._deadline_ns - time.monotonic_ns()) / 1e9

    def stop(self) -> None:
        """End QEMU now, kindly first. Does nothing if it has ended."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def finish(self) -> Result:
        """Read what is left of the console, wait for QEMU's end and say what it means."""
        for _ in self.lines():
            pass
        assert self._process
        left_s = self._left_s()
        try:
            self._process.wait(None if left_s is None else max(STOP_GRACE_S, left_s))
        except subprocess.TimeoutExpired:
            self.timed_out = True
            self.stop()
        self._stderr.seek(0)
        text = self._stderr.read(STDERR_MAX_BYTES).decode("utf-8", "replace")
        stderr = "\n".join(line for line in text.splitlines() if "terminating on signal" not in line)
        status, reason = self._verdict(self._process.returncode, stderr)
        return Result(status, self._guest_exit, self._process.returncode, list(self._tail), stderr,
                      reason)

    def _verdict(self, qemu_status: int, stderr: str) -> tuple[int, str]:
        guest_exit = self._guest_exit
        if self.timed_out:
            return STATUS_TIMEOUT, f"time-out after {self.machine.timeout_s:g} s"
        if qemu_status < 0:
            return STATUS_FAILED, f"QEMU was ended by signal {-qemu_status}"
        if qemu_status and not self._any_output:
            hints = [hint for pattern, hint in QEMU_HINTS if re.search(pattern, stderr)]
            return STATUS_USAGE, "QEMU refused to start" + (f" ({hints[0]})" if hints else "")
        if guest_exit is None:
            return STATUS_FAILED, f"the guest ended without a word (QEMU's status {qemu_status})"
        if guest_exit or qemu_status:
            return STATUS_FAILED, f"the guest failed: exit {guest_exit}, QEMU's status {qemu_status}"
        return STATUS_OK, ""
