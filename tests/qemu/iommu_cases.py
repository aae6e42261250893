"""RISC-V IOMMUs that guard the memory: programs of build/dma/ on QEMU 10 and later.

An IOMMU refuses what is not mapped, and the guest prints a line for it. So a test without such a
line has mapped all that the device uses, as long as it uses it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import removal_cases
from board_cases import board
from machines import BRIDGES, IOMMUS
from nvme_guest import TIMEOUT_S, Case, check, crc
from nvme_tool_machines import want_iommu
from qemu.machine import BUILD, Machine
from selftest_cases import DISK, Tally, boot, count_lines, keep_log

SELFTEST, TOOL = (str(BUILD / "dma" / f"{name}.elf") for name in ("selftest", "nvme"))
REFUSED = re.compile(r"error: IOMMU: ")
# All of `all` but the groups that drive a controller by hand, and know no IOMMU.
GROUPS = "data,queue,harts,interrupt,life,modes,shared,closing,block,dead"
# A page, by an address of the device with its memory; an address of the CPU.
WRITE = r"error: IOMMU: 00:01.0 may not write the page at 0x2[0-9a-f]{9}, memory 0x[0-9a-f]{8} "
READ = WRITE.replace("write", "read")
BY_CPU = r"error: IOMMU: 00:01.0 may not write the page at 0x[0-9a-f]{8} \(cause 15"


def guest(name: str, kind: str, test: str, expected: Sequence[str], **fields: object) -> Tally:
    """The self-test behind an IOMMU. What is refused is expected, or nothing is."""
    want_iommu(*IOMMUS[kind])
    machine = Machine(SELFTEST, [f"test={test}", "runtime=150ms"], backing=DISK, harts=2,
                      timeout_s=TIMEOUT_S, qemu_args=IOMMUS[kind],
                      **fields)  # type: ignore[arg-type]
    console, result = boot(machine)
    tally = count_lines(console, result, skips=kind == "sys")
    refused = [text for text in console if REFUSED.match(text)]
    tally.failures += [f"no line '{text}'" for text in expected
                       if not any(re.match(text, line) for line in refused)]
    tally.failures += [] if expected else [f"refused: {line}" for line in refused]
    if tally.failures:
        tally.failures.append(f"log: {keep_log(name, machine, console, result).name}")
    return tally


def tool(kind: str, irqchip: str, bridge: str) -> None:
    """The CRC of an image, through buffers at odd offsets, behind bridges."""
    want_iommu(*IOMMUS[kind])
    args = [word for text in BRIDGES[bridge] for word in ("-device", text)]
    console = crc("completion=irq harts=2 iodepth=4 offset=508", app=TOOL, harts=2, attach=False,
                  irqchip=irqchip, qemu_args=[*args, *IOMMUS[kind]])
    check(not any(map(REFUSED.match, console)), "an access was refused", console)


def removal(name: str, kind: str, irqchip: str) -> Tally:
    """Controllers leave their slots and others come: what they reached is gone with them."""
    want_iommu(*IOMMUS[kind])
    tally = removal_cases.replace(name, irqchip, 2, SELFTEST, IOMMUS[kind])
    tally.failures += [f"refused: {text}" for text in tally.notes if REFUSED.match(text)]
    return tally


def not_coherent() -> None:
    """A board that needs the same programs for another reason: the IOMMU lets everything pass."""
    want_iommu(*IOMMUS["sys"])
    board(("-d dma-coherent", "-t dma-noncoherent"),
          "^note: the IOMMU does not guard memory: DMA is not coherent", app=TOOL,
          options=IOMMUS["sys"])


def cases() -> list[Case]:
    """All of them."""
    listed = []
    for kind, irqchip in (("pci", "plic"), ("sys", "imsic")):
        name = f"IOMMU {kind} {irqchip}"
        run = functools.partial(guest, name, kind, irqchip=irqchip)
        listed += [
            Case(f"{name}: the self-test", functools.partial(run, GROUPS, ())),
            Case(f"{name}: wild addresses",
                 functools.partial(run, "iommu", (WRITE, READ, BY_CPU))),
        ]
        listed += [Case(f"{name}: the tool, {bridge}",
                        functools.partial(tool, kind, irqchip, bridge)) for bridge in BRIDGES]
        listed.append(Case(f"{name}: removal and return",
                           functools.partial(removal, name, kind, irqchip)))
    return [*listed, Case("IOMMU before DMA that is not coherent", not_coherent)]
