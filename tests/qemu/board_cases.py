"""Boards whose DMA is not `virt`'s: its device tree, changed, on the same machine.

QEMU's caches are coherent whatever the tree says. So a tree that denies it shows that the program
runs Zicbom's instructions where they exist, and refuses the host where they do not. Both halves of
the memory can be one file: then each byte has a second address, which a device can use.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from qemu.machine import BUILD, Machine
from nvme_guest import MIB, Case, Skipped, crc, nvme, qemu_version

HOST = "/soc/pci@30000000"
ANY_DMA = str(BUILD / "dma" / "nvme.elf")
ZICBOM = (8, 0)  # the first QEMU that has it


def dump_tree(path: Path, **fields: object) -> None:
    """The device tree that QEMU makes for Machine's fields."""
    words = Machine("nvme", **fields).argv()  # type: ignore[arg-type]
    words[words.index("-M") + 1] += f",dumpdtb={path}"
    subprocess.run(words, check=True, capture_output=True)


def board(
    changes: Sequence[str],
    *expected: str,
    app: str = "nvme",
    status: int = 0,
    harts: int = 2,
    options: Sequence[str] = (),
) -> None:
    """The CRC of an image, or what is printed instead of it, with fdtput's CHANGES to the tree."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree.dtb"
        dump_tree(tree, harts=harts, attach=False, qemu_args=options)
        for change in changes:
            kind, _, rest = change.partition(" ")
            subprocess.run(["fdtput", kind, *(["x"] if kind == "-t" else []), tree, HOST,
                            *rest.split()], check=True)
        fields = {"app": app, "harts": harts, "qemu_args": (*options, "-dtb", str(tree))}
        if status == 0:
            crc(f"harts={harts}", *expected, **fields)
        else:
            nvme("identify", *expected, status=status, **fields)  # type: ignore[arg-type]


def not_coherent() -> None:
    """The caches are cleaned, or the host is refused: by the harts, or by the program."""
    changes = ("-d dma-coherent", "-t dma-noncoherent")
    if qemu_version() < ZICBOM:
        board(changes, "^note: a PCI host is left out: .* lacks Zicbom", app=ANY_DMA, status=1)
        return
    board(changes, app=ANY_DMA)
    board(changes, "^note: a PCI host is left out: .* needs a program of build/dma/", status=1)


def reach(end: int, *expected: str, status: int = 0) -> None:
    """Devices reach memory below `end`."""
    board((f"-t dma-ranges 3000000 0 0 0 0 0 {end:x}",), *expected, status=status)


def moved() -> None:
    """Devices see the memory from 0x80000000 on at 0x88000000, its second address."""
    if qemu_version() < ZICBOM:
        raise Skipped("QEMU before 8.0 connects the second PLIC to no hart's S-mode")
    changes = ("-t dma-ranges 3000000 0 88000000 0 80000000 0 8000000",)
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as memory:
        memory.truncate(128 * MIB)
        options = ["-smp", "2,sockets=2"]
        for node in range(2):
            options += ["-object", f"memory-backend-file,id=half{node},size=128M,share=on,"
                                   f"mem-path={memory.name}"]
            options += ["-numa", f"node,nodeid={node},cpus={node},memdev=half{node}"]
        board(changes, app=ANY_DMA, options=options)
        board(changes, "^note: a PCI host is left out: .* needs a program of build/dma/", status=1,
              options=options)


def cases() -> list[Case]:
    """All of them."""
    below = functools.partial(reach, 0x84000000)
    nothing = functools.partial(
        reach, 0x80201000, "^start: no free memory after the image, or none that devices reach",
        status=1)
    out = functools.partial(
        reach, 0x80000000, "^note: a PCI host is left out: .* leave out the memory of the image",
        status=1)
    return [
        Case("board dma-noncoherent", not_coherent),
        Case("board dma-ranges: other addresses", moved),
        Case("board dma-ranges: a part of memory", below),
        Case("board dma-ranges: nothing behind the image", nothing),
        Case("board dma-ranges: not the image", out),
    ]
