"""The nvme tool on machines of many kinds: harts, lines, messages, bridges, namespaces, queues.

Cases of nvme_tool.py.
"""

from __future__ import annotations

import os
import subprocess

from nvme_guest import (
    IMAGE_BYTES,
    MIB,
    Skipped,
    check,
    crc,
    dumped,
    image,
    nvme,
    pattern,
    qemu_version,
    random_bytes,
    shared_image,
)

from qemu.machine import find_qemu


def polled_harts(harts: int, controllers: int) -> None:
    """Every hart polls a queue of its own; controllers are shared where they are fewer."""
    crc(
        f"completion=poll harts={harts}",
        harts=harts,
        controllers=controllers,
    )


def device_in_front(completion: str) -> None:
    """Another PCI function comes first, on another line."""
    crc(f"completion={completion}", slots=[2], qemu_args=["-device", "virtio-rng-pci,addr=1"])


def behind_bridge(bridge: str, completion: str) -> None:
    """The disk on a bus of its own."""
    slot = ",addr=2" if bridge.startswith("pci-bridge") else ""
    crc(
        f"completion={completion}",
        attach=False,
        qemu_args=[
            "-device",
            f"{bridge},id=b,addr=1",
            "-device",
            f"nvme,serial=hartq,drive=disk0,bus=b{slot}",
        ],
    )


def nested_bridges(completion: str) -> None:
    """The disk on a bus behind a bus; its interrupt pin is swizzled twice."""
    crc(
        f"completion={completion}",
        attach=False,
        qemu_args=[
            *("-device", "pci-bridge,id=a,chassis_nr=1,addr=1"),
            *("-device", "pci-bridge,id=b,chassis_nr=2,bus=a,addr=3"),
            *("-device", "nvme,serial=hartq,drive=disk0,bus=b,addr=2"),
        ],
    )


def second_function(completion: str) -> None:
    """The disk is function 1 of a device whose function 0 is something else."""
    machine = {
        "attach": False,
        "qemu_args": [
            *("-device", "virtio-rng-pci,addr=1.0,multifunction=on"),
            *("-device", "nvme,serial=hartq,drive=disk0,addr=1.1"),
        ],
    }
    crc(f"completion={completion}", **machine)
    nvme("identify", "^controller 0 at PCI 00:01.1", **machine)  # type: ignore[arg-type]


def many_functions(completion: str) -> None:
    """The disk behind forty functions of another kind."""
    places = (f"{1 + i // 8}.{i % 8}" for i in range(40))
    devices = (f"virtio-rng-pci,addr={place},multifunction=on" for place in places)
    front = [word for text in devices for word in ("-device", text)]
    disk = ["-device", "nvme,serial=hartq,drive=disk0,addr=9"]
    crc(f"completion={completion}", attach=False, qemu_args=[*front, *disk])


def oversized_bar(properties: str, *expected: str, memory: str = "") -> list[str]:
    """Behind a root port, a BAR beside the registers that is too large: the disk works."""
    return crc(
        "completion=irq",
        *expected,
        attach=False,
        qemu_args=[
            *(("-object", memory) if memory else ()),
            *("-device", "pcie-root-port,id=b,chassis=1,addr=1"),
            *("-device", f"nvme,serial=hartq,drive=disk0,bus=b,{properties}"),
        ],
    )


def oversized_bars() -> None:
    """As large as the 32-bit window: it goes to the 64-bit one. And larger than any window."""
    text = "a BAR of this many bytes fits into no window"
    console = oversized_bar("cmb_size_mb=1024")
    check(not any(text in line for line in console), "1 GiB finds no room", console)
    memory = "memory-backend-ram,id=m,size=32G,reserve=off"
    oversized_bar("pmrdev=m", text, memory=memory)


def want_iommu(*arguments: str) -> None:
    """Pass the case over on a QEMU that has no such IOMMU."""
    qemu, _ = find_qemu(os.environ.get("QEMU") or "qemu-system-riscv64")
    probe = [qemu, "-M", "virt", *arguments, "-display", "none", "-S", "-monitor", "stdio"]
    answer = subprocess.run(probe, input="quit\n", capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Skipped("this QEMU has no RISC-V IOMMU")


def iommu(*arguments: str) -> None:
    """An IOMMU that refuses every access until it is put into bare mode."""
    want_iommu(*arguments)
    crc("completion=irq harts=2", harts=2, qemu_args=arguments)
    crc("completion=irq harts=2", harts=2, irqchip="imsic", qemu_args=arguments)


def hidden_iommu() -> None:
    """One beside a PCI IOMMU, which QEMU then leaves out of the device tree: it is named."""
    arguments = ("-machine", "iommu-sys=on", "-device", "riscv-iommu-pci")
    want_iommu(*arguments)
    words = "not used: bring-up failed: .* fatal error .*; hint: .* iommu-sys=on beside"
    nvme("crc", words, status=1, qemu_args=arguments)


def delivered(completion: str, delivery: str, **fields: object) -> None:
    """Every hart has a share of the work, whoever takes the interrupts."""
    harts = fields["harts"]
    # Hybrid mode is interrupt mode where several harts share a controller.
    told = "(irq|hybrid)" if (completion, delivery) == ("hybrid", "shared") else completion
    crc(
        f"completion={completion} harts={harts}",
        f"{harts} queues? of .*, completion {told}, delivery {delivery}$",
        **fields,
    )


def sockets_deliver(irqchip: str, sockets: int, controllers: int | None) -> None:
    """Filled by 4 harts, checked by 2 and by 1 of 4, whichever socket they are of.

    A PLIC or an APLIC reaches the harts of its socket alone, and PCI is wired to one of them: a
    queue of another hart is told by the hart that takes the line.
    """
    if irqchip == "plic" and sockets > 1 and qemu_version() < (8, 0):
        raise Skipped("QEMU before 8.0 connects the second PLIC to no hart's S-mode")
    machine = {"irqchip": irqchip, "sockets": sockets, "controllers": controllers}
    shared = "shared" if sockets > 1 or controllers == 1 else "per-hart"
    with image(bytes(8 * MIB)) as path:
        for command, harts in (("fill", 4), ("check", 2), ("check", 1)):
            delivery = "(per-hart|shared)" if harts == 1 else shared
            delivery = "msix" if irqchip == "imsic" else delivery
            words = f"{command} count=0 seed=5 completion=irq harts={harts}"
            nvme(words, f"delivery {delivery}$", backing=path, harts=4, **machine)
        check(path.read_bytes() == pattern(5, 0, 8 * MIB), f"{irqchip}: the image is another")


def second_namespace() -> None:
    """nsid=2 is not the first; identify names both; nsid=3 does not exist."""
    other = random_bytes(8 * MIB)
    with image(other) as path:
        second = "drive=disk1,bus=n,nsid=2,logical_block_size=4096,physical_block_size=4096"
        arguments = [
            *("-blockdev", f"driver=raw,node-name=disk1,file.driver=file,file.filename={path}"),
            *("-device", "nvme,id=n,serial=hartq"),
            *("-device", "nvme-ns,drive=disk0,bus=n,nsid=1"),
            *("-device", f"nvme-ns,{second}"),
        ]
        common = {"attach": False, "qemu_args": arguments, "backing": shared_image()}
        crc("", **common)
        console = nvme("read nsid=2 lba=1 count=1 hex=1", "blocks of 4096 bytes", **common)
        check(dumped(console) == other[4096:8192], "the bytes of namespace 2 are others", console)
        nvme(
            "identify",
            r"namespace 1 .* 512 bytes",
            r"namespace 2 .* 4096 bytes",
            "2 active",
            **common,
        )
        nvme("crc nsid=3", "namespace 3 .*: no such active namespace", status=1, **common)
        nvme("write-zeroes nsid=2 lba=3 count=2", "^zeroed 2 blocks", **common)
        crc("", **common)
        zeroed = other[: 3 * 4096] + bytes(2 * 4096) + other[5 * 4096 :]
        check(path.read_bytes() == zeroed, "not the blocks of namespace 2, or others too")


def fewer_queues() -> None:
    """Two queues for four harts: two do the work, and that is said."""
    crc("completion=poll harts=4", harts=4, controllers=1, nvme={"max_ioqpairs": "2"})
    nvme(
        "crc completion=poll harts=4",
        "4 queues wanted, 2 granted",
        "2 queues of",
        harts=4,
        controllers=1,
        nvme={"max_ioqpairs": "2"},
    )


def deep_queue() -> None:
    """More than MQES allows becomes less, and that is said."""
    crc("iodepth=4000 bs=4k")
    nvme("crc iodepth=4000 bs=4k count=100k", "iodepth=4000 reduced to 2047")


def identify() -> None:
    """What stands there is what the machine was made of."""
    nvme(
        "identify harts=2 iodepth=63",
        "^controller 1 at PCI 00:02.0",
        "model +QEMU NVMe Ctrl",
        "serial +hartq",
        "512 KiB of the device",
        "2048 of the device .*, 64 in use",
        "memory per queue +[0-9]+ bytes",
        "INTx, source 34$",
        "subsystem +nqn.*:subsys0, of several controllers",
        "namespace 1 +4096 blocks of 4096 bytes, 16 MiB; .*; shared",
        "2 controllers, .* 2 queues of 64 entries, .* delivery per-hart",
        harts=2,
        lba_bytes=4096,
        backing=f"null:{IMAGE_BYTES}",
    )
    nvme("identify harts=2", "MSI-X, 65 vectors$", "delivery msix", harts=2, irqchip="imsic")
    nvme("identify harts=2", "INTx, source 33$", "delivery shared", harts=2, controllers=1)
