"""What kind of disk image a file is, by its magic number: only a raw one is the disk itself.

Another kind loses its header, and so all its data, if it is written to as raw.
"""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 512
# Where the magic number lies (below 0: from the end), what it is, QEMU's name of the format.
MAGICS = (
    (0, b"QFI\xfb\0\0\0\1", "qcow"),
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (-512, b"conectix", "vpc"),  # of a fixed size: the rest looks raw
    (-511, b"conectix", "vpc"),  # the same as old tools wrote it
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format", "cloop"),
    (-512, b"koly", "dmg"),
)
# QEMU writes to these without further options; the others have to be converted.
WRITABLE = ("qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "parallels")


def image_format(path: Path) -> str:
    """QEMU's name of the file's format; `raw` if it has no magic number that is known."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, file.seek(0, 2) - HEAD_BYTES))
        tail = file.read(HEAD_BYTES)
    for place, magic, name in MAGICS:
        text = head if place >= 0 else tail
        if text.startswith(magic, place if place >= 0 else len(tail) + place):
            return name
    return "raw"
