"""A hand-over by U-Boot: it has scanned PCI, and starts a program while it runs the controllers.

U-Boot finds its commands in the device tree (/config/bootcmd). It reads blocks by queues of its
own, and the registers that it prints last show that a controller is live.
"""

from __future__ import annotations

import functools
import struct
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from board_cases import dump_tree
from linux import image as debian
from nvme_guest import IMAGE_BYTES, ROOT, Case, Skipped, crc, image, nvme, random_bytes
from qemu.machine import BUILD, find_app

CROSS = "riscv64-unknown-elf-"
PLACE = "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"  # of the package u-boot-qemu
DRIVER = b"nvme#%d"  # the name that its driver gives a controller; before 2024.01 it was left out
RUNS_AT, MEMORY_AT, LOADED_AT, DATA_AT = 0x80200000, 0x80000000, 0x84000000, 0x88000000
BLOCKS, BLOCK = 0x100, 512
CC = 0x40000014  # of the first controller, to which U-Boot gives the first addresses
LIVE = "00460001 00000000 00000001"  # CC: enabled; reserved; CSTS: ready
JUMP = 0x0400006F  # over the 64 bytes of the header
TEXT = b"first words of block one"
_fetching = threading.Lock()


def has_driver(path: Path) -> bool:
    """Whether this U-Boot is there and knows NVMe controllers on PCI."""
    return path.is_file() and DRIVER in path.read_bytes()


def uboot() -> Path:
    """The distribution's U-Boot, or where it lacks the driver (Debian 12) Debian 13's."""
    root = BUILD / "u-boot"
    with _fetching:
        found = [path for path in (Path("/", PLACE), root / PLACE) if has_driver(path)]
        if found:
            return found[0]
        try:
            environment = debian.configure(root)
            debian.run(["apt-get", "update", "-q"], environment, root)
            debian.run(["apt-get", "download", "-q", "u-boot-qemu"], environment, root / "debs")
            for package in (root / "debs").glob("u-boot-qemu_*.deb"):
                debian.run(["dpkg-deb", "-x", str(package), str(root)])
        except debian.Unavailable as error:
            raise Skipped(f"no u-boot-qemu of 2024.01 or later: {error}") from error
    return root / PLACE


def write_binary(elf: Path, path: Path) -> None:
    """The program as U-Boot loads it; one without the header of an image gets it in front."""
    subprocess.run([f"{CROSS}objcopy", "-O", "binary", elf, path], check=True)
    content = path.read_bytes()
    if content[56:60] != b"RSC\x05":
        size = len(content) + (1 << 20)  # with .bss
        head = struct.pack("<IIQQQIIQ8s4sI", JUMP, 0, RUNS_AT - 64 - MEMORY_AT, size, 0, 2, 0, 0,
                           b"RISCV", b"RSC\x05", 0)
        path.write_bytes(head + content)


def boot(run: Callable[..., object], app: Path, folder: Path, devices: Sequence[str] = (),
         **fields: object) -> None:
    """Call RUN, of nvme_guest, with a machine where U-Boot reads blocks and starts the program."""
    tree, program, firmware = folder / "tree.dtb", folder / "program.bin", uboot()
    write_binary(app, program)
    dump_tree(tree, **fields)
    commands = ["pci enum", "nvme scan", "nvme info", f"nvme read {DATA_AT:x} 0 {BLOCKS:x}",
                f"crc32 {DATA_AT:x} {BLOCKS * BLOCK:x}", f"md.l {CC:x} 3",
                f"booti {LOADED_AT:x} - ${{fdtcontroladdr}}"]
    put = ["fdtput", "-p", "-t"]
    subprocess.run([*put, "s", tree, "/config", "bootcmd", "; ".join(commands)], check=True)
    subprocess.run([*put, "i", tree, "/config", "bootdelay", "0"], check=True)
    loader = f"loader,file={program},addr={LOADED_AT:#x},force-raw=on"
    run(app=str(app), **fields, qemu_args=(
        *devices, "-dtb", str(tree), "-kernel", str(firmware), "-device", loader))


def hand_over(irqchip: str, harts: int, app: Path = BUILD / "nvme.elf") -> None:
    """What U-Boot reads is right, its controller is live, and all that we read is right."""
    read = zlib.crc32(random_bytes(IMAGE_BYTES)[:BLOCKS * BLOCK])
    run = functools.partial(crc, f"harts={harts}", f"==> {read:08x}$", f"^{CC:08x}: {LIVE}")
    with tempfile.TemporaryDirectory() as name:
        boot(run, find_app(app), Path(name), irqchip=irqchip, harts=harts)


def bare_kernel(folder: Path) -> Path:
    """tests/port/bare, which finds its controller with pci/."""
    port, elf = ROOT / "tests" / "port", folder / "bare.elf"
    template = (port / "template" / "nvme_port.h").read_text()
    (folder / "nvme_port.h").write_text('#include "kernel.h"\n' + template)
    sources = [*port.glob("nvme_port_check*.c"), *(port / "bare").glob("*.[cS]")]
    words = ("-std=c17 -O2 -ffreestanding -fno-builtin -nostdlib -march=rv64imac_zicsr_zifencei "
             "-mabi=lp64 -mcmodel=medany -Wl,--no-warn-rwx-segments").split()
    for each in (folder, port / "bare", port, ROOT / "engine", ROOT / "pci"):
        words += ["-I", str(each)]
    for each in ("engine", "pci"):
        sources += (ROOT / each).glob("*.c")
    subprocess.run([f"{CROSS}gcc", *words, "-T", port / "bare" / "link.ld", "-o", elf, *sources,
                    "-lgcc"], check=True)
    return elf


def behind_bridges() -> None:
    """pci/ finds the controller behind three bridges, by U-Boot's buses, windows and BARs."""
    devices = [*("-device", "pcie-root-port,id=a,chassis=1,addr=3"),
               *("-device", "x3130-upstream,id=b,bus=a"),
               *("-device", "xio3130-downstream,id=c,chassis=2,bus=b,addr=2"),
               *("-device", "nvme,serial=hartq,drive=disk0,bus=c")]
    content = (bytes(BLOCK) + TEXT).ljust(1 << 20, b"\0")
    with tempfile.TemporaryDirectory() as name, image(content) as disk:
        run = functools.partial(nvme, "", f"^block 1: {TEXT.decode()}", "^interrupts: [1-9]",
                                status=1, backing=disk)  # this kernel says no `exit 0`
        boot(run, bare_kernel(Path(name)), Path(name), devices, attach=False)


def cases() -> list[Case]:
    """All of them."""
    ours = [Case(f"u-boot {irqchip} {harts} harts", functools.partial(hand_over, irqchip, harts))
            for irqchip in ("plic", "imsic") for harts in (1, 4)]
    paged = functools.partial(hand_over, "imsic", 4, BUILD / "paged" / "nvme.elf")
    return [*ours, Case("u-boot imsic 4 harts, paging", paged),
            Case("u-boot bridges, for pci/", behind_bridges)]
