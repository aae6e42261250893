"""Media with a latency of their own: QEMU opens them as it was told, and they can be read.

Images that are not raw: what the guest writes is on the disk that they hold.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

from qemu.backing import parse_backing  # noqa: E402
from qemu.guest import Guest, run_guest  # noqa: E402
from qemu.machine import Machine, UsageError  # noqa: E402
from nvme_guest import TIMEOUT_S  # noqa: E402

ODD_BYTES = (3 << 20) + 4096  # like no other file that QEMU has open


@dataclasses.dataclass(frozen=True)
class Case:
    """One backing."""

    backing: str
    size_bytes: int  # each its own: two guests at once cannot write to one image

    @property
    def name(self) -> str:
        """For the list of cases."""
        return f"backing {self.backing}"

    def run(self) -> None:
        """Boot, look how the backing is open, and check that all of it is read."""
        backing = self.backing.replace('SIZE', str(self.size_bytes))
        try:
            parse_backing(backing).check(512)
        except UsageError as error:
            if "refuses" in str(error) or "in memory" in str(error):
                return  # this host has no such backing
            raise
        direct: set[bool] = set()
        arguments = ("crc", "lba=0", f"count={self.size_bytes // 512}", "harts=2")
        machine = Machine("nvme", arguments, harts=2, backing=backing, timeout_s=TIMEOUT_S)
        with Guest(machine) as guest:
            for _ in guest.lines():
                direct |= open_ways(guest.pid, self.size_bytes)
            result = guest.finish()
        if result.status:
            raise RuntimeError("\n".join([result.reason, result.stderr, *result.tail]))
        wanted = parse_backing(backing).direct
        # QEMU keeps the descriptor that it inherited, which never is direct, beside its own.
        if (True in direct) != wanted:
            raise RuntimeError(f"O_DIRECT is {sorted(direct)}, wanted {wanted}")


def open_ways(pid: int, size_bytes: int) -> set[bool]:
    """Whether O_DIRECT is set, of every descriptor of a file of this size."""
    ways = set()
    folder = Path("/proc", str(pid), "fd")
    try:
        for fd in folder.iterdir():
            if fd.stat().st_size != size_bytes:
                continue
            text = (folder.parent / "fdinfo" / fd.name).read_text()
            flags = int(text.split("flags:")[1].split()[0], 8)
            ways.add(bool(flags & os.O_DIRECT))
    except OSError:
        pass  # closed, or QEMU has ended
    return ways


@dataclasses.dataclass(frozen=True)
class FormatCase:
    """One format: an image that qemu-img makes, and reads back."""

    format: str

    @property
    def name(self) -> str:
        """For the list of cases."""
        return f"backing format={self.format}"

    def run(self) -> None:
        """Let the example write its blocks, and look for them on the disk in the image."""
        with tempfile.TemporaryDirectory() as folder:
            image, raw = Path(folder, "image"), Path(folder, "raw")
            run_tool("create", "-q", "-f", self.format, str(image), "8M")
            result = run_guest(Machine("hello", harts=1, backing=f"{image},format={self.format}",
                                       timeout_s=TIMEOUT_S))
            if result.status:
                raise RuntimeError("\n".join([result.reason, result.stderr, *result.tail]))
            run_tool("convert", "-f", self.format, "-O", "raw", str(image), str(raw))
            if not raw.read_bytes().startswith(b"hello from hartq, block 0"):
                raise RuntimeError("the disk in the image does not have what was written")


def run_tool(*words: str) -> None:
    """qemu-img; an error is what it said."""
    done = subprocess.run(["qemu-img", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def cases() -> Iterator[Case | FormatCase]:
    """Each kind, with each way of I/O that needs no more than QEMU's own."""
    texts = ("tmpfs:SIZE", "disk:SIZE", "disk:SIZE,aio=native", "disk:SIZE,cache=writeback")
    for index, text in enumerate(texts):
        yield Case(text, ODD_BYTES + (index << 16))
    for name in ("qcow2", "vmdk"):
        yield FormatCase(name)
