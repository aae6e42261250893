#!/usr/bin/env python3
"""The matrix of machines: one row each, and what every emulator makes of it.

    tests/qemu/machines.py [--qemu PATH]... [--full] [-k PATTERN]

Prints a table with a row per machine and a column per QEMU. On each machine the nvme tool fills a
part of an image in interrupt mode, which is compared byte by byte on the host, and takes the CRC of
it. cases(full) are the same rows for run.py, on the QEMU in use. A machine is `not available`
if QEMU refuses to start it and says what it lacks; QEMU before 8.0 with two PLICs is passed over by
its version, for it starts and does not interrupt. Exit status 1 if a machine failed.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from qemu.machine import find_qemu  # noqa: E402
from nvme_guest import (  # noqa: E402
    MIB,
    Case,
    Failure,
    Row,
    Skipped,
    check,
    image,
    nvme,
    pairwise,
    pattern,
    product,
    qemu_version,
    random_bytes,
)

WORKERS = 2  # guests at once
IMAGE_BYTES = 4 * MIB
BEGIN, SIZE, SEED = 8 * 4096, MIB + 4096, 7  # of the part that is filled

# What QEMU says of a property, a value of one, or a device that it does not have.
LACKS = r"Property '.*' not found|Invalid AIA .*|'.*' is not a valid device model name"

BRIDGES: dict[str, Sequence[str]] = {
    "plain": ("nvme,serial=hartq,drive=disk0,addr=1",),
    "pci-bridge": (
        "pci-bridge,id=b,chassis_nr=1,addr=1",
        "nvme,serial=hartq,drive=disk0,bus=b,addr=2",
    ),
    "nested": (
        "pci-bridge,id=a,chassis_nr=1,addr=1",
        "pci-bridge,id=b,chassis_nr=2,bus=a,addr=3",
        "nvme,serial=hartq,drive=disk0,bus=b,addr=2",
    ),
    "root-port": ("pcie-root-port,id=b,addr=1", "nvme,serial=hartq,drive=disk0,bus=b"),
}

FACTORS: dict[str, Sequence[object]] = {
    "irqchip": ("plic", "imsic", "aplic"),
    "sockets": (1, 2),
    "harts": (1, 2, 4),
    "bridge": tuple(BRIDGES),
}

# A RISC-V IOMMU that is on and that nobody but us has set up.
IOMMUS: dict[str, Sequence[str]] = {
    "sys": ("-machine", "iommu-sys=on"),
    "pci": ("-device", "riscv-iommu-pci,addr=8"),
}
IOMMU_FACTORS: dict[str, Sequence[object]] = {**FACTORS, "iommu": tuple(IOMMUS)}


def is_machine(row: Row) -> bool:
    """Every socket has a hart."""
    return int(str(row["harts"])) >= int(str(row["sockets"]))


def rows(full: bool) -> list[Row]:
    """All machines; else few in which every pair of two factors' values occurs.

    Pairs are made without an IOMMU and with one: a QEMU that has none leaves no pair out.
    """
    if full:
        return [row for row in product(FACTORS) + product(IOMMU_FACTORS) if is_machine(row)]
    return pairs(FACTORS) + pairs({**IOMMU_FACTORS, "harts": (2,), "bridge": ("plain", "nested")})


def pairs(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """Few machines with every pair, the impossible ones mended by a second hart."""
    found = [row if is_machine(row) else {**row, "harts": 2} for row in pairwise(factors)]
    return [row for i, row in enumerate(found) if row not in found[:i]]


def name_of(row: Row) -> str:
    """As it is printed, and matched by -k."""
    return " ".join(f"{key}={value}" for key, value in row.items())


def fields_of(row: Row, qemu: str | None) -> dict[str, object]:
    """A row as Machine's fields."""
    args = [word for device in BRIDGES[str(row["bridge"])] for word in ("-device", device)]
    args += IOMMUS[str(row["iommu"])] if "iommu" in row else []
    same = {key: row[key] for key in ("harts", "irqchip", "sockets")}
    return {**same, "qemu": qemu, "attach": False, "qemu_args": args}


def run_row(row: Row, qemu: str | None = None) -> None:
    """Fill by the guest and compare on the host; then the CRC by the guest. May be Skipped."""
    if row["irqchip"] == "plic" and row["sockets"] == 2 and qemu_version(qemu) < (8, 0):
        raise Skipped("QEMU before 8.0 connects the second PLIC to no hart's S-mode")
    fields = fields_of(row, qemu)
    before = random_bytes(IMAGE_BYTES)
    words = f"completion=irq harts={row['harts']}"
    with image(before) as path:
        part = f"lba={BEGIN // 512} count={SIZE // 512} seed={SEED}"
        try:
            nvme(f"fill {part} {words}", backing=path, **fields)  # type: ignore[arg-type]
        except Failure as failure:
            lack = re.search(LACKS, str(failure))
            if lack and "QEMU refused to start" in str(failure):
                raise Skipped(f"not available: {lack[0]}") from failure
            raise
        after = before[:BEGIN] + pattern(SEED, BEGIN, SIZE) + before[BEGIN + SIZE :]
        check(path.read_bytes() == after, "the image is not the pattern in its place")
        right = f"^crc32 {zlib.crc32(after):08x}$"
        nvme(f"crc {words}", right, backing=path, **fields)  # type: ignore[arg-type]


def cases(full: bool) -> list[Case]:
    """The rows on the QEMU in use."""
    return [Case(name_of(row), functools.partial(run_row, row)) for row in rows(full)]


# ---- The table ---------------------------------------------------------------------------------


def verdict(job: tuple[Row, str | None]) -> tuple[str, str]:
    """One word for the table; why, if it failed."""
    try:
        run_row(*job)
    except Skipped:
        return "--", ""
    except Exception as error:  # whatever it is, the other machines are still told of
        return "FAIL", f"{name_of(job[0])} on {job[1]}: {type(error).__name__}: {error}"
    return "ok", ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--qemu", action="append", metavar="PATH", help="an emulator; several: a column each")
    add("--full", action="store_true", help="the product, not only pairs")
    add("-k", default="", metavar="PATTERN", help="only machines whose name matches")
    options = parser.parse_args(argv)
    qemus = [find_qemu(path) for path in options.qemu or ["qemu-system-riscv64"]]
    chosen = [row for row in rows(options.full) if re.search(options.k, name_of(row))]
    versions = [re.search(r"\d+\.\d+(\.\d+)?", text) for _, text in qemus]
    heads = [match[0] if match else "?" for match in versions]
    print(f"{'machine':64}" + "".join(f"{head:>10}" for head in heads))
    failures = []
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [(row, path) for row in chosen for path, _ in qemus]
        answers = pool.map(verdict, jobs)
        for row in chosen:
            words = [next(answers) for _ in qemus]
            print(f"{name_of(row):64}" + "".join(f"{word:>10}" for word, _ in words), flush=True)
            failures += [why for _, why in words if why]
    print("-- is not available", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
