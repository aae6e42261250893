"""The machine a hartq program runs on: checks every value, then makes QEMU's command line.

The one place that knows how QEMU `virt`, its NVMe controllers and their backing are written down.
Bad values raise UsageError with one line of text; guest.py starts what this describes.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cli.errors import UsageError, parse_number
from qemu.backing import parse_backing

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

QEMU_OLDEST = (7, 2)
HARTS_MAX = 64
MEMORY_MIB_MIN, MEMORY_MIB_MAX = 32, 65536
CONTROLLERS_MAX = 30  # of the root bus; slot 0 is the host bridge
SOCKETS_MAX = 8
IRQCHIPS = {"plic": "", "aplic": ",aia=aplic", "imsic": ",aia=aplic-imsic"}  # of -M virt
PRIVATE_LINES = 4  # PCI interrupt lines of `virt`: controllers beyond share them
SLOT_MAX = 31
TIMEOUT_MIN_S = 0.1
TIMEOUT_MAX_S = 366 * 86400.0  # windows of an hour, every point of a boot
APP_HINT = "a name in build/, which make all fills, or the path of an ELF"
ELF_MAGIC = b"\x7fELF"
ARGUMENTS_MAX_BYTES = 1024  # the kernel command line of the device tree, all words together


def parse_properties(text: str, what: str) -> dict[str, str]:
    """`k=v,k=v` as a dictionary."""
    properties = {}
    for item in text.split(","):
        key, separator, value = item.partition("=")
        if not (key and separator and value):
            raise UsageError(
                f"{what}: '{item}' is not a property; hint: key=value, joined by commas")
        properties[key] = value
    return properties


@functools.lru_cache
def find_qemu(path: str | None = None) -> tuple[str, str]:
    """The emulator's full path and version text; $QEMU or the distribution's unless one is named.

    UsageError if it is missing, broken or too old.
    """
    path = path or os.environ.get("QEMU") or "qemu-system-riscv64"
    found = shutil.which(path)
    if not found:
        raise UsageError(
            f"QEMU: '{path}' is not an executable; hint: install it with scripts/setup.sh, "
            "or name one with --qemu or $QEMU")
    try:
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20,
                                errors="replace", check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"QEMU: '{found} --version' does not run: {error}") from error
    match = re.search(r"QEMU emulator version ((\d+)\.(\d+)[^\s,]*)", answer.stdout)
    if not match:
        raise UsageError(
            f"QEMU: '{found} --version' does not look like QEMU's; hint: qemu-system-riscv64")
    if (int(match[2]), int(match[3])) < QEMU_OLDEST:
        oldest = ".".join(map(str, QEMU_OLDEST))
        raise UsageError(
            f"QEMU: {found} is version {match[1]}, older than {oldest}; hint: install a "
            "newer one and name it with --qemu or $QEMU")
    return found, match[1]


def form() -> str:
    """$HARTQ_FORM, a folder of build/ (`paged`): its programs stand in for those of build/."""
    return os.environ.get("HARTQ_FORM", "")


def find_app(app: str | Path) -> Path:
    """The program's ELF: a name below build/ or a path; UsageError unless an ELF file is there."""
    path, built = Path(app), BUILD / form() / f"{app}.elf"
    is_name = path.suffix != ".elf" and path.name == str(app)
    if is_name and (built.is_file() or not path.is_file()):
        path = built
        if not path.is_file():
            there = ", ".join(sorted(elf.stem for elf in built.parent.glob("*.elf")))
            raise UsageError(f"program: {built.relative_to(ROOT)} does not exist; hint: "
                             + (f"one of {there}" if there else "make all"))
    try:
        with path.open("rb") as file:
            magic = file.read(len(ELF_MAGIC))
    except OSError as error:
        raise UsageError(f"program: '{path}': {error.strerror}; hint: {APP_HINT}") from error
    if magic != ELF_MAGIC:
        raise UsageError(f"program: '{path}' is not an ELF program; hint: {APP_HINT}")
    return path


def check_arguments(words: Sequence[str]) -> str:
    """The guest's command line; UsageError for what the kernel command line cannot carry."""
    for word in words:
        if not word or not re.fullmatch(r"[!-~]+", word):
            raise UsageError(
                f"argument: {word!r} cannot travel on the kernel command line; hint: "
                "printable ASCII without spaces")
    line = " ".join(words)
    if len(line) > ARGUMENTS_MAX_BYTES:
        raise UsageError(
            f"arguments: {len(line)} bytes are too many (1 to {ARGUMENTS_MAX_BYTES})")
    return line


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
    sockets: int = 1  # NUMA nodes: harts, memory and interrupt controllers of their own
    lba_bytes: int = 512
    nvme: dict[str, str] = dataclasses.field(default_factory=dict)  # properties of each controller
    namespace: dict[str, str] = dataclasses.field(default_factory=dict)  # of the namespace
    slots: Sequence[int] | None = None  # PCI slot of each controller; None: 1, 2, 3, ...
    attach: bool = True  # False: no controller; node `disk0` is there for qemu_args to use
    icount: bool = False
    gdb: bool = False
    timeout_s: float = 60.0
    qemu: str | None = None  # None: $QEMU, else qemu-system-riscv64
    qemu_args: Sequence[str] = ()  # as QEMU takes them, after everything else

    def controller_count(self) -> int:
        """How many controllers there are; `auto` is resolved."""
        if not self.attach:
            return 0
        if self.controllers is not None:
            return self.controllers
        if self.slots is not None:
            return len(self.slots)
        return 1 if self.irqchip == "imsic" else min(self.harts, PRIVATE_LINES)

    def check(self) -> None:
        """Raise UsageError unless every field is in its range."""
        count = self.controller_count()
        for what, value, low, high in (
            ("--harts", self.harts, 1, HARTS_MAX),
            ("--memory", self.memory_mib, MEMORY_MIB_MIN, MEMORY_MIB_MAX),
            ("--sockets", self.sockets, 1, SOCKETS_MAX),
            ("--controllers", count, 1 if self.attach else 0, CONTROLLERS_MAX),
            ("--timeout", self.timeout_s, TIMEOUT_MIN_S, TIMEOUT_MAX_S),
        ):
            parse_number(str(value), what, low, high)
        if self.irqchip not in IRQCHIPS:
            raise UsageError(f"--irqchip: '{self.irqchip}' is unknown ({', '.join(IRQCHIPS)})")
        if self.harts % self.sockets != 0:
            raise UsageError(
                f"--sockets: {self.harts} harts cannot be divided by {self.sockets} sockets; "
                "hint: as many harts in each")
        if self.lba_bytes not in (512, 4096):
            raise UsageError(f"--lba: {self.lba_bytes} is unknown (512 or 4096)")
        slots = self.slots if self.slots is not None else range(1, count + 1)
        if self.attach and (len(slots) != count or len(set(slots)) != count):
            raise UsageError(f"--slots: {len(set(slots))} different slots for {count} controllers; "
                             "hint: one slot for each of --controllers")
        for slot in slots:
            parse_number(str(slot), "--slots", 1, SLOT_MAX)

    def argv(self, backing_fd: int | None = None) -> list[str]:
        """QEMU's command line. `backing_fd` is what `open_backing` gave."""
        self.check()
        qemu, _ = find_qemu(self.qemu)
        sockets = f",sockets={self.sockets}" if self.sockets > 1 else ""
        argv = [
            qemu, "-name", "hartq,debug-threads=on",
            "-nodefaults", "-no-user-config", "-no-reboot",
            "-M", f"virt{IRQCHIPS[self.irqchip]}",
            "-smp", f"{self.harts},maxcpus={max(2, self.harts)}{sockets}",
            "-m", str(self.memory_mib),
            "-display", "none", "-serial", "stdio", "-monitor", "none",
            "-bios", "default", "-kernel", str(find_app(self.app)),
        ]
        if self.arguments:
            argv += ["-append", check_arguments(self.arguments)]
        if self.sockets > 1:
            argv += self._nodes()
        if self.icount:
            argv += ["-icount", "shift=0"]
        if self.gdb:
            argv += ["-s", "-S"]
        return argv + self._disk(backing_fd) + list(self.qemu_args)

    def open_backing(self) -> int | None:
        """The unnamed file of the namespace; the caller closes it. None if the backing has none."""
        return parse_backing(self.backing).open(self.lba_bytes)

    def _nodes(self) -> list[str]:
        """The sockets: `virt` makes one of each NUMA node."""
        argv = []
        for node in range(self.sockets):
            first, end = (self.harts * n // self.sockets for n in (node, node + 1))
            low, high = (self.memory_mib * n // self.sockets for n in (node, node + 1))
            argv += ["-object", f"memory-backend-ram,id=memory{node},size={high - low}M"]
            argv += ["-numa", f"node,nodeid={node},cpus={first}-{end - 1},memdev=memory{node}"]
        return argv

    def _disk(self, backing_fd: int | None) -> list[str]:
        node = parse_backing(self.backing).blockdev(backing_fd, self.lba_bytes)
        argv = ["-blockdev", json.dumps(node)]
        count = self.controller_count()
        if count == 0:
            return argv
        subsystem = {}
        if count > 1:
            argv += ["-device", "nvme-subsys,id=subsys0"]
            subsystem = {"subsys": "subsys0"}
        for index, slot in enumerate(self.slots or range(1, count + 1)):
            place = {"id": f"nvme{index}", "serial": "hartq", "addr": f"{slot:#x}"}
            argv += ["-device", device("nvme", place | subsystem | self.nvme)]
        properties = {
            "drive": "disk0",
            "bus": "nvme0",
            "logical_block_size": str(self.lba_bytes),
            "physical_block_size": str(self.lba_bytes),
            **({"shared": "on"} if count > 1 else {}),
            **self.namespace,
        }
        return argv + ["-device", device("nvme-ns", properties)]


def device(name: str, properties: dict[str, str]) -> str:
    """A -device argument; a comma inside a value is doubled as QEMU wants it."""
    words = [f"{key}={value.replace(',', ',,')}" for key, value in properties.items()]
    return ",".join([name, *words])
