"""examples/fat.c on volumes that mkfs.vfat and mtools made: it tells what is in them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

from nvme_guest import MIB, Case, Skipped, check, image, nvme, random_bytes

SBIN = ("/usr/sbin", "/sbin")  # where mkfs.vfat is, off an ordinary user's path
SECTOR = 512
# The files of a volume. The blank and the letters need a long name, the short one does not.
FILES = {
    "hello.txt": b"hello from the host\n",
    "EMPTY": b"",
    "docs/A rather long name, with blanks and 54 letters.bin": random_bytes(50001),
    "docs/deeper/Gr\u00f6\u00dfe.txt": b"a name with umlauts\n",
    "docs/deeper/one block": random_bytes(SECTOR),
    "FRAGMENT.BIN": random_bytes(150_000),
}
FOLDERS = ("docs", "docs/deeper")
FREE_HINT = 492  # in FAT32's second sector: the cluster at which to look for free ones
PART = 6000  # bytes of the files between which the fragmented one comes to lie


def tool(name: str) -> str:
    """Its path; the case is skipped where it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))
    if found is None:
        raise Skipped(f"{name} is not there: apt-get install dosfstools mtools")
    return found


def run(name: str, *words: str, data: bytes = b"") -> bytes:
    """What a tool prints."""
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run([tool(name), *words], input=data, capture_output=True, check=True,
                          env=environment).stdout


def fragment(path: str, kind: int) -> None:
    """Free space with files between: what is written next is in many pieces."""
    for i in range(80):
        run("mcopy", "-i", path, "-", f"::PART{i}", data=bytes(PART))
    for i in range(0, 80, 2):
        run("mdel", "-i", path, f"::PART{i}")
    if kind == 32:
        with open(path, "r+b") as file:
            file.seek(SECTOR + FREE_HINT)
            file.write(struct.pack("<I", 2))


@functools.lru_cache
def volume(kind: int) -> bytes:
    """A volume with FILES, FAT16 of 16 MiB or FAT32 of 34 MiB with clusters of a sector."""
    with image(bytes((34 if kind == 32 else 16) * MIB)) as file:
        path = str(file)
        run("mkfs.vfat", "-F", str(kind), "-s", "1" if kind == 32 else "4", path)
        run("mmd", "-i", path, *(f"::{folder}" for folder in FOLDERS))
        for name, content in FILES.items():
            if name == "FRAGMENT.BIN":
                fragment(path, kind)
            run("mcopy", "-i", path, "-", f"::{name}", data=content)
        for name, content in FILES.items():
            check(run("mtype", "-i", path, f"::{name}") == content, f"mtools reads another {name}")
        run("fsck.vfat", "-n", path)
        return file.read_bytes()


def pieces(content: bytes) -> int:
    """In how many runs of clusters FRAGMENT.BIN lies."""
    starts = [i for i in range(0, len(FILES["FRAGMENT.BIN"]), SECTOR)]
    places = [content.find(FILES["FRAGMENT.BIN"][i : i + SECTOR]) for i in starts]
    return 1 + sum(b - a != SECTOR for a, b in zip(places, places[1:]))


def fat(words: str, file: Path, *expected: str, status: int = 0, **fields: object) -> list[str]:
    """Boot `fat WORDS` on an image."""
    return nvme(words, *expected, status=status, backing=file, app="fat", **fields)


def listed(kind: int, completion: str, lba: int) -> None:
    """Every path with its size and its CRC, nothing else; the medium is as it was."""
    content = volume(kind)
    check(pieces(content) > 10, "the fragmented file is in one piece")
    wanted = {f"/{name}": (len(data), zlib.crc32(data)) for name, data in FILES.items()}
    wanted |= {f"/PART{i}": (PART, zlib.crc32(bytes(PART))) for i in range(1, 80, 2)}
    with image(content) as file:
        console = fat(f"completion={completion}", file, f"^FAT{kind}, ", lba_bytes=lba)
        check(file.read_bytes() == content, "the image has changed")
    lines = [re.fullmatch(r" *(\d+) ([0-9a-f]{8}) (/.*)", line) for line in console]
    found = {line[3]: (int(line[1]), int(line[2], 16)) for line in lines if line}
    check(found == wanted, f"told {sorted(set(found.items()) ^ set(wanted.items()))}", console)
    folders = re.findall(r"^ *- +- /(.*)/$", "\n".join(console), re.M)
    check(sorted(folders) == sorted(FOLDERS), f"folders {folders}", console)


def printed(kind: int) -> None:
    """The bytes of one file, found by a name with blanks; one that is not there."""
    with image(volume(kind)) as file:
        console = fat("file=/docs/deeper/Gr????e.txt completion=poll", file)
        check("a name with umlauts" in console, "the file's bytes are not there", console)
        crc = zlib.crc32(FILES["docs/deeper/Gr\u00f6\u00dfe.txt"])
        check(any(f" {crc:08x} " in line for line in console), "another CRC", console)
        fat("file=/none", file, "^error: file=/none: no such file", status=1)


def damaged(damage: Callable[[bytearray], None], expected: str) -> None:
    """What is said of a volume that is broken."""
    content = bytearray(volume(16))
    damage(content)
    with image(bytes(content)) as file:
        fat("", file, f"^error: {expected}", status=1)


def entry_of(content: bytes, name: bytes) -> int:
    """Where the directory entry with this short name is."""
    return content.index(name.ljust(11))


def chain_loops(content: bytearray) -> None:
    """FRAGMENT.BIN's second cluster leads back to its first, in the FAT that is read."""
    reserved = struct.unpack_from("<H", content, 14)[0] * SECTOR
    (first,) = struct.unpack_from("<H", content, entry_of(content, b"FRAGMENTBIN") + 26)
    (second,) = struct.unpack_from("<H", content, reserved + 2 * first)
    struct.pack_into("<H", content, reserved + 2 * second, first)


def folder_loops(content: bytearray) -> None:
    """docs/deeper is docs."""
    (docs,) = struct.unpack_from("<H", content, entry_of(content, b"DOCS") + 26)
    struct.pack_into("<H", content, entry_of(content, b"DEEPER") + 26, docs)


def out_of_range(content: bytearray) -> None:
    """hello.txt begins at a cluster that the volume does not have."""
    struct.pack_into("<H", content, entry_of(content, b"HELLO   TXT") + 26, 0xFF00)


def large_blocks() -> None:
    """Logical blocks of 8 KiB are refused in words, and everything is closed."""
    size = "logical_block_size=8192,physical_block_size=8192"
    args = ["-device", "nvme,id=n,serial=t", "-device", f"nvme-ns,drive=disk0,bus=n,{size}"]
    with image(bytes(MIB)) as file:
        said = "^error: block size: 8192 bytes, at most 4096"
        fat("", file, said, status=1, attach=False, qemu_args=args)


def no_volume(content: bytearray) -> None:
    """Block 0 is empty."""
    content[:SECTOR] = bytes(SECTOR)


DAMAGES = (
    (chain_loops, "/FRAGMENT.BIN: a chain of clusters comes back to a cluster: "),
    (folder_loops, "/docs/deeper/deeper.*: directories in each other: more than 16; hint: "),
    (out_of_range, "/hello.txt: no such cluster: 65280, limit 8168; hint: fsck.vfat"),
    (no_volume, "/: no FAT volume in block 0: 0, limit 43605; hint: mkfs.vfat"),
)


def cases() -> list[Case]:
    """Both kinds of volume, both sizes of logical blocks, every way to wait; damage."""
    part = functools.partial
    rows = ((16, "irq", 512), (16, "poll", 4096), (32, "irq", 4096), (32, "poll", 512),
            (32, "hybrid", 512))
    names = [(f"fat FAT{kind} {mode} {lba}", part(listed, kind, mode, lba))
             for kind, mode, lba in rows]
    names += [(f"fat FAT{kind} a file", part(printed, kind)) for kind in (16, 32)]
    names += [("fat blocks of 8192", large_blocks)]
    names += [(f"fat {damage.__name__.replace('_', ' ')}", part(damaged, damage, expected))
              for damage, expected in DAMAGES]
    return [Case(name, run) for name, run in names]
