"""Large machines: memory above 4 GiB; the most harts, queues, entries and controllers together."""

from __future__ import annotations

from selftest_cases import Case, selftest


def cases(full: bool, seed: int) -> list[Case]:
    """All of them."""
    words = f"seed={seed} runtime=300ms"
    data = "data,harts,queue.batch,queue.depths,block.copied,block.direct"
    above = [
        selftest(
            f"DMA above 4 GiB {irqchip}",
            f"test={data} above=4g {words}",
            says="heap: 512 MiB at 100000000",
            harts=2,
            irqchip=irqchip,
            memory_mib=2048 + 512,
        )
        for irqchip in ("plic", "imsic")
    ]
    largest = [
        selftest(
            f"64 queues of 1024 entries on 4 controllers, 16 GiB {irqchip}",
            f"test=soak completion=irq entries=1024 seed={seed} runtime=1s",
            harts=64,
            controllers=4,
            irqchip=irqchip,
            memory_mib=16384,
        )
        for irqchip in ("plic", "imsic")
    ]
    return above[:1] + (above[1:] + largest) * full
