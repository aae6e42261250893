"""The nvme tool where something is wrong: ranges, backing, device, words. Cases of nvme_tool.py."""

from __future__ import annotations

import subprocess
import sys

from nvme_guest import ROOT, TIMEOUT_S, check, crc, nvme

# ---- Devices -----------------------------------------------------------------------------------


def no_namespace() -> None:
    """A controller alone."""
    nvme(
        "crc",
        "note: nvme at 00:01.0 is not used: it has no active namespace",
        "error: no NVMe controller can be used",
        status=1,
        attach=False,
        qemu_args=["-device", "nvme,serial=hartq"],
    )


def no_controller() -> None:
    """A machine without a disk."""
    nvme("crc", "error: no NVMe controller", status=1, attach=False)


def small_table() -> None:
    """Vector 0 is the admin queue's, so a table of two is for one hart, and of three for two."""
    for vectors in (2, 3):
        machine = {"irqchip": "imsic", "harts": 4, "nvme": {"msix_qsize": str(vectors)}}
        queues = vectors - 1
        fewer = (f"4 queues wanted, {queues} with an MSI-X vector", f" {queues} queues? of")
        for completion in ("irq", "hybrid"):
            crc(f"bs=1m completion={completion} harts=4", *fewer, **machine)
        nvme("crc count=8 completion=poll harts=4", " 4 queues of", **machine)
    none = {"irqchip": "imsic", "harts": 1, "nvme": {"msix_qsize": "1"}}
    refusal = "00:01.0 is not used: interrupts need MSI-X vector 1, it has 1 .*; hint: .*qsize=2"
    nvme("crc count=8 completion=irq", refusal, status=1, **none)


def out_of_range() -> None:
    """The tool refuses; let through, the device does."""
    last = {"backing": "null:1m"}
    nvme("crc lba=2048", "LBA out of range, .* 2048 blocks", status=1, **last)
    nvme("crc lba=2040 count=9", "hint: count=8 at most", status=1, **last)
    nvme("copy from=0 to=2040 count=9", "to=2040 count=9: LBA", status=1, **last)
    nvme("read lba=2047 count=1", "^read 1 blocks", **last)
    for completion in ("poll", "irq"):
        nvme(
            f"read lba=2048 unchecked=1 completion={completion}",
            "LBA 2048: status 0x4080 LBA out of range",
            status=1,
            **last,
        )


def media_error(completion: str, kind: str) -> None:
    """One block that cannot be read, or written; its neighbours can."""
    bad = f"event=none iotype={kind} sector=100 errno=5".split()
    backing = ["driver=blkdebug", "node-name=bad", "image=disk0"]
    backing += [f"inject-error.0.{each}" for each in bad]
    arguments = ["-blockdev", ",".join(backing), "-device", "nvme,serial=hartq,drive=bad"]
    common = {"attach": False, "qemu_args": arguments, "backing": "ram:1m"}
    verb, code = ("crc", "0x281 unrecovered") if kind == "read" else ("fill", "0x280 write")
    line = f"error: {kind} of LBA {{}}: status {code}"
    for before in ("lba=0 count=100", "lba=101 count=0"):
        nvme(f"{verb} {before} completion={completion}", **common)
    nvme(f"{verb} count=0 bs=512 completion={completion}", line.format(100), status=1, **common)
    range_ = line.format("96 to 103") + ".*hint: bs=512 names the block"
    nvme(f"{verb} count=0 bs=4k completion={completion}", range_, status=1, **common)


def usage() -> None:
    """The tables speak."""
    nvme("help", "^usage: nvme", "^crc .*iodepth=", "^iodepth= .*default 32",
         "^changed-ns +format= timeout= controller= serial=$", "^format= .*normal, json.*default")
    nvme("", "^usage: nvme")
    nvme("idntify", "did you mean 'identify'", status=1)
    nvme("smrat", "did you mean 'smart'", status=1)
    nvme("smart format=jsn", "format=jsn.*did you mean 'json'", status=1)
    nvme("reset nsid=1", "nsid", status=1)
    nvme("crc iodpth=4", "did you mean 'iodepth'", status=1)
    nvme("crc completion=pol", "did you mean 'poll'", status=1)
    nvme("crc offset=2", "offset=2: .*hint: offset=0", status=1)
    nvme("crc bs=1000", "bs=1000: not a multiple", status=1)
    nvme("crc bs=16m iodepth=4000", "error: out of memory: .*hint", status=1)
    nvme("fill seed=1", "error: fill .*needs count=; hint: count=0 means all", status=1)
    nvme("copy", "error: from=0 to=0: .*hint: name both", status=1)
    nvme("crc harts=9", "harts=9: 1 to 1; hint", status=1)


def exit_statuses() -> None:
    """scripts/run.py as a command: succeeded, failed, usage, time-out."""
    for status, arguments in (
        (0, ["count=8"]),
        (1, ["lba=99g"]),
        (2, ["--lba", "700"]),
        (124, ["--backing", "null:4096g", "--timeout", "1"]),
    ):
        command = [sys.executable, str(ROOT / "scripts/run.py"), "nvme", "crc", *arguments]
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        words = (answer.stdout + answer.stderr).splitlines()
        check(answer.returncode == status, f"status {answer.returncode}, not {status}", words)
