"""The backing of the drive: what --backing names, made, checked and passed to QEMU.

    null[:SIZE]         reads nothing and drops writes: no backing at all, the path alone
    ram:SIZE            a memory file, new at each boot
    tmpfs:SIZE          a temporary image in /dev/shm
    disk:SIZE[,OPTION]  a temporary image in build/, read and written past the host's page cache
    FILE[,OPTION]       an image of the user's, raw unless format= says otherwise

An OPTION is aio=threads|native|io_uring, cache=none|writeback or, of FILE, format=raw|qcow2|...;
an option given twice is part of the file's name. A temporary image has no name. It serves all boots
of the process that made it, and disappears when that process ends for any reason.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from cli.errors import UsageError, parse_size
from qemu.image_formats import WRITABLE, image_format

NULL_SIZE_BYTES = 1 << 30
SHARED_MEMORY = Path("/dev/shm")
SCRATCH = Path(__file__).resolve().parents[2] / "build"
SPARE_BYTES = 64 << 20  # left to others on the filesystem of a temporary image
CHUNK_BYTES = 1 << 20
IN_MEMORY = ("tmpfs", "ramfs")
OPTIONS = {
    "aio": ("threads", "native", "io_uring"),
    "cache": ("none", "writeback"),
    "format": ("raw", *WRITABLE),
}
SIZED = ("null", "ram", "tmpfs", "disk")
CHOICES = "null, ram:SIZE, tmpfs:SIZE, disk:SIZE"
BACKING_HELP = (
    "null[:SIZE]: no data, writes are dropped (default null:1g); ram:SIZE: host memory; "
    "tmpfs:SIZE: a file in /dev/shm; disk:SIZE: a file in build/, past the page cache; these are "
    "removed at the end; FILE: an image, which is written to. The last three accept "
    ",cache=none|writeback and ,aio=threads|native|io_uring (native needs cache=none). FILE must "
    "be raw, unless ,format= names its format (qcow2, vmdk, ...); ,format=raw forces raw")


def filesystem(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of filesystem a file lies on; empty if the kernel does not tell."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    real, best, kind = path.resolve(), -1, ""
    for words in lines:
        point = Path(words[4].replace("\\040", " "))
        if real.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), words[words.index("-") + 1]
    return kind


def takes_direct(path: str | Path) -> bool:
    """Whether the file's filesystem lets it be read past the page cache (O_DIRECT)."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def unnamed(folder: Path) -> BinaryIO:
    """An empty file without a name; UsageError where none can be made."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise UsageError(
            f"--backing: {folder}: no file can be made there: {error.strerror}; hint: "
            f"{CHOICES} or an image elsewhere") from error


_made: dict[tuple[Path, int], BinaryIO] = {}  # by folder and size: these need no more space


def temporary(folder: Path, size_bytes: int, written: bool) -> BinaryIO:
    """An open file without a name, its blocks allocated. `written`: filled with random bytes.

    Blocks that were never written are read without a look at the disk.
    """
    if made := _made.get((folder, size_bytes)):
        return made
    file = unnamed(folder)
    try:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
        if written:
            chunk = os.urandom(CHUNK_BYTES)
            for begin in range(0, size_bytes, CHUNK_BYTES):
                file.write(chunk[: size_bytes - begin])
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        file.close()
        raise UsageError(f"--backing: no image of {size_bytes} bytes: {error.strerror}; hint: "
                         "choose a smaller one") from error
    _made[folder, size_bytes] = file
    return file


def check_format(path: Path, wanted: str) -> None:
    """Refuse to take an image for another kind than it is; `wanted` is empty if none was named."""
    found = image_format(path)
    if found in (wanted, "raw") or wanted == "raw":
        return
    use = "qemu-img convert -O raw makes a raw one of it"
    if found in WRITABLE:
        use = f"{path.name},format={found} uses it as one"
    raise UsageError(
        f"image: '{path}' is no {wanted or 'raw'} image but {found}, which writing would destroy; "
        f"hint: {use}; {path.name},format=raw overwrites it")


def check_image(path: Path, lba_bytes: int, wanted: str) -> None:
    """Refuse what QEMU would refuse later, or destroy, in words. `wanted` is the named format."""
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(
            f"image: '{path}': {error.strerror}; hint: {CHOICES} need no file; make one "
            f"with: truncate -s 128M {shlex.quote(str(path))}") from error
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"image: '{path}' is not a regular file; hint: {CHOICES} or an image")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UsageError(f"image: '{path}' cannot be read and written; hint: chmod u+rw")
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"image: {str(path)!r} is not UTF-8, as QEMU needs it; hint: rename it") from error
    check_format(path, wanted)
    if wanted not in ("", "raw"):
        return  # its size is not the backing's
    if status.st_size == 0 or status.st_size % lba_bytes:
        raise UsageError(
            f"image: '{path}' has {status.st_size} bytes, not a multiple of the LBA size "
            f"{lba_bytes}; hint: change it with truncate -s, or choose --lba")


@dataclasses.dataclass(frozen=True)
class Backing:
    """A backing as --backing names it."""

    kind: str  # null, ram, tmpfs, disk, file
    place: str  # the size in words, empty for null's own; of a file its path
    aio: str = "threads"
    direct: bool = False  # cache=none
    format: str = ""  # of a file, as it was named; empty: raw, if it is

    @property
    def folder(self) -> Path | None:
        """Where its temporary image lies, if it is one."""
        return {"tmpfs": SHARED_MEMORY, "disk": SCRATCH}.get(self.kind)

    @property
    def driver(self) -> str:
        """QEMU's block driver over the file."""
        return self.format or "raw"

    def size(self, lba_bytes: int) -> int | None:
        """Bytes of the backing, None where only QEMU can tell; UsageError if it cannot be one."""
        if self.kind == "file":
            check_image(Path(self.place), lba_bytes, self.format)
            return os.path.getsize(self.place) if self.driver == "raw" else None
        if self.kind == "null" and not self.place:
            return NULL_SIZE_BYTES
        size = parse_size(self.place, f"--backing {self.kind}:SIZE")
        if size % lba_bytes:
            raise UsageError(f"--backing: {self.kind}:{self.place} is not a multiple of the LBA "
                             f"size {lba_bytes}")
        return size

    def check(self, lba_bytes: int) -> None:
        """UsageError for what would fail later: space, access, O_DIRECT."""
        size = self.size(lba_bytes)
        if self.folder:
            self._check_space(self.folder, size)
        elif self.kind == "file" and self.direct and not takes_direct(self.place):
            raise UsageError(
                f"image: '{self.place}': its filesystem ({filesystem(Path(self.place))}) refuses "
                "cache=none (O_DIRECT); hint: leave it out, or put the image on a disk")

    def _check_space(self, folder: Path, size: int) -> None:
        try:
            free = shutil.disk_usage(folder).free - SPARE_BYTES
        except OSError as error:
            raise UsageError(f"--backing: {self.kind}: {folder}: {error.strerror}") from error
        if size > free and (folder, size) not in _made:
            raise UsageError(
                f"--backing: {self.kind}:{self.place}: {folder} has room for {max(0, free) >> 20} "
                "MiB; hint: choose a smaller one, or an image elsewhere: --backing FILE")
        memory = filesystem(folder) in IN_MEMORY
        if self.kind == "tmpfs" and not memory:
            raise UsageError(f"--backing: tmpfs: {folder} is no tmpfs; hint: use an image: FILE")
        if self.kind == "disk" and memory:
            raise UsageError(f"--backing: disk: {folder.name}/ lies in memory, not on a disk; "
                             "hint: name an image on one: FILE,cache=none")
        if self.direct:
            with unnamed(folder) as file:
                if not takes_direct(f"/proc/self/fd/{file.fileno()}"):
                    raise UsageError(f"--backing: {self.kind}: {filesystem(folder)} refuses "
                                     "cache=none (O_DIRECT); hint: leave it out")

    def open(self, lba_bytes: int) -> int | None:
        """A new descriptor of the file without a name, which the caller closes; None for others."""
        self.check(lba_bytes)
        if self.kind == "ram":
            fd = os.memfd_create("hartq-disk")
            os.ftruncate(fd, self.size(lba_bytes))
            return fd
        if self.folder:
            image = temporary(self.folder, self.size(lba_bytes), self.kind == "disk")
            return os.dup(image.fileno())
        return None

    def blockdev(self, fd: int | None, lba_bytes: int) -> dict[str, object]:
        """QEMU's block node `disk0`; `fd` is what `open` gave."""
        self.check(lba_bytes)
        if self.kind == "null":
            # Reads return nothing (the buffer stays as it was): the cheapest device there is.
            return {"driver": "null-co", "node-name": "disk0", "size": self.size(lba_bytes)}
        is_named = self.kind == "file"
        filename = os.path.abspath(self.place) if is_named else f"/proc/self/fd/{fd}"
        cache = {"cache": {"direct": True}} if self.direct else {}
        file = {"driver": "file", "filename": filename, "aio": self.aio, **cache}
        return {"driver": self.driver, "node-name": "disk0", "discard": "unmap", **cache,
                "file": file}

    def name(self) -> str:
        """For a result: the kind of file and filesystem, no path. `kind:rest` or `kind`."""
        if self.kind in ("null", "ram"):
            return self.kind + (f":{self.place}" if self.place else "")
        where = filesystem(self.folder or Path(self.place))
        file = f"of {self.place}" if self.folder else Path(self.place).name
        disk = " (disk)" if self.kind == "disk" else ""
        form = f", format={self.driver}" if self.driver != "raw" else ""
        cache = ", cache=none" if self.direct else ""
        place = f" on {where}{disk}" if where else ""
        return f"file:{file}{place}{form}{cache}, aio={self.aio}"


def parse_backing(text: str) -> Backing:
    """What --backing names; UsageError for options that do not go together."""
    rest, given = text, {}
    while match := re.fullmatch(r"(.+),(aio|cache|format)=([^,]*)", rest, re.S):
        if match[2] in given:
            break
        rest = match[1]
        given[match[2]] = match[3]
    for key, value in given.items():
        if value not in OPTIONS[key]:
            known = ", ".join(OPTIONS[key])
            raise UsageError(f"--backing: {key}={value} is unknown ({known})")
    kind, separator, place = rest.partition(":")
    if kind not in SIZED or (not separator and kind != "null"):
        kind, place = "file", rest
    elif separator and not place:
        raise UsageError(f"--backing: {rest} has no size; hint: such as {kind}:64m")
    if given and kind in ("null", "ram"):
        raise UsageError(f"--backing: {rest} takes no {', '.join(given)}; hint: files do, and "
                         "tmpfs:SIZE and disk:SIZE")
    if "format" in given and kind != "file":
        raise UsageError(f"--backing: {rest} takes no format; hint: an image of yours does: FILE")
    direct = given.get("cache", "none" if kind == "disk" else "writeback") == "none"
    aio = given.get("aio", "threads")
    if aio == "native" and not direct:
        raise UsageError("--backing: aio=native needs cache=none; hint: add it, or use aio=threads")
    return Backing(kind, place, aio, direct, given.get("format", ""))
