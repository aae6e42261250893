"""The nvme tool where there are several media: which are one, which is used, what cannot be used.

Cases of nvme_tool.py.
"""

from __future__ import annotations

from pathlib import Path

from nvme_guest import MIB, check, crc, image, nvme, pattern, random_bytes, shared_image

Arguments = list[str]


def node(path: Path, name: str) -> Arguments:
    """A raw file as a block node."""
    raw = f"driver=raw,node-name={name},file.driver=file,file.filename={path}"
    return ["-blockdev", raw]


def devices(*words: str) -> Arguments:
    """A -device each."""
    return [each for word in words for each in ("-device", word)]


# ---- Two disks ---------------------------------------------------------------------------------

# Two controllers with one serial number on two disks of one size, and why they are not one.
TWINS: dict[str, tuple[Arguments, str]] = {
    "alone": (
        devices("nvme,serial=x,drive=a,addr=1", "nvme,serial=x,drive=b,addr=2"),
        "subsystem has one controller .CMIC",
    ),
    "two subsystems": (
        devices(
            *("nvme-subsys,id=s", "nvme-subsys,id=t"),
            *("nvme,id=n,serial=x,subsys=s,addr=1", "nvme,id=m,serial=x,subsys=t,addr=2"),
            *("nvme-ns,drive=a,bus=n,shared=on", "nvme-ns,drive=b,bus=m,shared=on"),
        ),
        "another subsystem .SUBNQN",
    ),
    "two subsystems of one name": (
        devices(
            *("nvme-subsys,id=s,nqn=q", "nvme-subsys,id=t,nqn=q"),
            *("nvme,id=n,serial=x,subsys=s,addr=1", "nvme,id=m,serial=x,subsys=t,addr=2"),
            *("nvme-ns,drive=a,bus=n,shared=on", "nvme-ns,drive=b,bus=m,shared=on"),
        ),
        "same name and is another .CNTLID",
    ),
    "two namespaces of one number": (
        devices(
            *("nvme-subsys,id=s,nqn=q", "nvme-subsys,id=t,nqn=q", "nvme,id=n,serial=x,subsys=s"),
            *("nvme,id=k,serial=x,subsys=t,addr=3", "nvme,id=m,serial=x,subsys=t,addr=2"),
            *(f"nvme-ns,drive={d},bus={n},shared=on,uuid=auto" for d, n in ("an", "bm")),
        ),
        "another identifier .NGUID, EUI-64, UUID",
    ),
    "private namespaces of one number": (
        devices(
            *("nvme-subsys,id=s,nqn=q", "nvme-subsys,id=t,nqn=q", "nvme,id=n,serial=x,subsys=s"),
            *("nvme,id=k,serial=x,subsys=t,addr=3", "nvme,id=m,serial=x,subsys=t,addr=2"),
            *("nvme-ns,drive=a,bus=n,shared=off", "nvme-ns,drive=b,bus=m,shared=off"),
        ),
        "namespace is not shared .NMIC",
    ),
    "private namespaces of one subsystem": (
        devices(
            "nvme-subsys,id=s",
            *("nvme,id=n,serial=x,subsys=s,addr=1", "nvme,id=m,serial=x,subsys=s,addr=2"),
            *("nvme-ns,drive=a,bus=n,nsid=1,shared=off", "nvme-ns,drive=b,bus=m,nsid=2,shared=off"),
        ),
        "namespace 1 that is not used: no such active namespace",
    ),
}


def two_disks(kind: str, irqchip: str) -> None:
    """All goes to the first, nothing to the second, and that is said; controller= chooses."""
    attached, why = TWINS[kind]
    before = random_bytes(MIB)
    with image(before) as first, image(before) as second:
        machine = {
            "attach": False,
            "irqchip": irqchip,
            "qemu_args": [*node(first, "a"), *node(second, "b"), *attached],
        }
        said = f"note: nvme at 00:02.0 .*{why}"
        nvme("fill harts=2 count=0 bs=4k seed=7", said, "1 controller,", harts=2, **machine)
        check(first.read_bytes() == pattern(7, 0, MIB), "the first disk is not filled")
        check(second.read_bytes() == before, "the second disk was written")
        second.write_bytes(pattern(8, 0, MIB))
        chosen = "check harts=2 seed=8 controller=00:02.0"
        console = nvme(chosen, "^checked", harts=2, **machine)
        check(not any("note" in line for line in console), "something is passed over", console)


def one_disk() -> None:
    """Two doors to one namespace are both used, and one if it is named."""
    doors = {"harts": 2, "controllers": 2}
    crc("harts=2", "2 controllers,.* delivery per-hart", **doors)
    crc("harts=2 controller=00:02.0", "1 controller,.* delivery shared", **doors)
    crc("harts=2 serial=hartq", "2 controllers,", **doors)


def choice() -> None:
    """By serial number too; what is not there is refused, with what is."""
    with image(pattern(1, 0, MIB)) as first, image(pattern(2, 0, MIB)) as second:
        attached = devices("nvme,serial=x,drive=a,addr=1", "nvme,serial=y,drive=b,addr=2")
        arguments = [*node(first, "a"), *node(second, "b"), *attached]
        machine = {"attach": False, "qemu_args": arguments}
        nvme("check seed=1", "^checked", **machine)
        nvme("check seed=2 serial=y", "^checked", **machine)
        nvme("check seed=2 controller=00:02.0 serial=y", "^checked", **machine)
        there = "controller=00:03.0: no NVMe controller has this address; .* 00:01.0 00:02.0"
        nvme("crc controller=00:03.0", f"error: {there}", status=1, **machine)
        nvme("crc serial=z", "error: serial=z: no usable NVMe controller", status=1, **machine)
        other = "crc controller=00:01.0 serial=y"
        nvme(other, "error: serial=y: no usable NVMe controller", status=1, **machine)
        nvme("identify serial=y", "^controller 0 at PCI 00:02.0", **machine)


# ---- What cannot be used -----------------------------------------------------------------------

UNUSABLE = {
    "zoned": ("zoned=true,zoned.zone_size=1M", "it is zoned"),
    "metadata": ("ms=8", "8 bytes of metadata"),
    "protection": ("ms=8,pi=1", "protection information of type 1 is on"),
}


def unusable(kind: str) -> None:
    """It is refused in words, hides nothing behind it, and identify describes it."""
    property_, why = UNUSABLE[kind]
    with image(bytes(4 * MIB)) as path:
        bad = f"nvme-ns,drive=a,bus=n,nsid=1,{property_}"
        arguments = [*node(path, "a"), *devices("nvme,id=n,serial=x,addr=1", bad)]
        good = devices("nvme-ns,drive=disk0,bus=n,nsid=2")
        alone = {"attach": False, "qemu_args": arguments}
        both = {"attach": False, "qemu_args": arguments + good}
        note = f"note: nvme at 00:01.0 has a namespace 1 that is not used: {why}"
        nvme("fill count=8", note, "error: no NVMe controller can be used", status=1, **alone)
        listed = (rf"namespace 1 +\d+ blocks of 512 bytes; not usable: {why}", "1 active", note)
        nvme("identify", *listed, status=1, **alone)
        crc("", note, "namespace 2:", backing=shared_image(), **both)
        nvme("fill nsid=1 count=8", note, status=1, **both)
        check(not any(path.read_bytes()), "the namespace was written")


def null(size: int) -> Arguments:
    """A block node that holds nothing, `n`."""
    return ["-blockdev", f"driver=null-co,node-name=n,size={size}"]


def without_blocks() -> None:
    """A namespace of the list with NSZE 0 is said to be so, and the next is used."""
    first, second = "nvme-ns,drive=n,bus=c,nsid=1", "nvme-ns,drive=disk0,bus=c,nsid=2"
    arguments = [*null(0), *devices("nvme,id=c,serial=x,addr=1", first, second)]
    machine = {"attach": False, "qemu_args": arguments}
    why = "it has no blocks .NSZE is 0"
    note = f"note: nvme at 00:01.0 has a namespace 1 that is not used: {why}"
    crc("harts=2", note, "namespace 2:", harts=2, backing=shared_image(), **machine)
    listed = (f"namespace 1 +not usable: {why}", "namespace 2 +[0-9]+ blocks", "2 active")
    nvme("identify", *listed, note, **machine)
    nvme("crc nsid=1", "namespace 1 .* no such active namespace", status=1, **machine)


def vectors_in_front() -> None:
    """A controller without a vector for a queue does not hide the next; polled it is used."""
    both = devices("nvme,serial=x,drive=n,msix_qsize=1,addr=1", "nvme,serial=y,drive=disk0,addr=2")
    machine = {"attach": False, "irqchip": "imsic", "harts": 2, "qemu_args": [*null(MIB), *both]}
    note = "note: nvme at 00:01.0 is not used: interrupts need MSI-X vector 1, it has 1"
    for completion in ("irq", "hybrid"):
        crc(f"harts=2 completion={completion}", note, "1 controller,", **machine)
    nvme("crc harts=2 completion=poll", "1 controller, namespace 1: 2048 blocks", **machine)


def empty_in_front() -> None:
    """A controller without namespaces does not hide the next; identify describes both."""
    arguments = devices("nvme,serial=x,addr=1", "nvme,serial=y,drive=disk0,addr=2")
    machine = {"attach": False, "qemu_args": arguments}
    note = "note: nvme at 00:01.0 is not used: it has no active namespace"
    for words in ("", "harts=2"):
        crc(words, note, "1 controller,", harts=2, **machine)
    described = ("^controller 0 at PCI 00:01.0", "0 active", "^controller 1 at PCI 00:02.0")
    nvme("identify", *described, "1 active", note, **machine)
    nvme("crc controller=00:01.0", note, "error: no NVMe controller can", status=1, **machine)


def many_controllers() -> None:
    """More than are used together are all described."""
    arguments = devices(*(f"nvme,serial=x{i},addr={i + 1:#x}" for i in range(11)))
    nvme("identify", "^controller 10 at PCI 00:0b.0", status=1, attach=False, qemu_args=arguments)
