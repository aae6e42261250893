#!/usr/bin/env python3
"""End-to-end tests of the nvme tool: what the host wrote the guest reads, and the other way round.

    tests/qemu/nvme_tool.py [--full] [-k PATTERN]

Every case boots build/nvme.elf once or a few times and compares with what the host knows. The last
line is `N passed, N failed`. cases() is for a runner that has other tests as well.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import re
import sys
import time
import zlib
from collections.abc import Callable, Sequence

from nvme_guest import (
    IMAGE_BYTES,
    MIB,
    Case,
    Row,
    Skipped,
    check,
    crc,
    dumped,
    fat_read,
    fat_volume,
    image,
    mdts_largest,
    nvme,
    pairwise,
    pattern,
    product,
    random_bytes,
    shared_image,
)
from nvme_tool_commands import commands
from nvme_tool_errors import (
    exit_statuses,
    media_error,
    no_controller,
    no_namespace,
    out_of_range,
    small_table,
    usage,
)
from nvme_tool_logs import identify_json, logs, piped, reset, smart
from nvme_tool_media import (
    TWINS,
    UNUSABLE,
    choice,
    empty_in_front,
    many_controllers,
    one_disk,
    two_disks,
    unusable,
    vectors_in_front,
    without_blocks,
)
from nvme_tool_machines import (
    behind_bridge,
    deep_queue,
    delivered,
    device_in_front,
    fewer_queues,
    hidden_iommu,
    identify,
    iommu,
    many_functions,
    nested_bridges,
    oversized_bars,
    polled_harts,
    second_function,
    second_namespace,
    sockets_deliver,
)

WORKERS = 2  # guests at once

# ---- crc ---------------------------------------------------------------------------------------

CRC_FACTORS: dict[str, Sequence[object]] = {
    "completion": ("poll", "irq", "hybrid"),
    "harts": (1, 2, 3, 4),
    "offset": (0, 4, 508, 4092),
    "bs": ("lba", "4k", "64k", "1m"),
    "lba": (512, 4096),
    "irqchip": ("plic", "aplic", "imsic"),
}


def crc_row(row: Row) -> None:
    """One combination of CRC_FACTORS."""
    bs = row["lba"] if row["bs"] == "lba" else row["bs"]
    words = f"completion={row['completion']} harts={row['harts']} offset={row['offset']} bs={bs}"
    fields = {"harts": row["harts"], "lba_bytes": row["lba"], "irqchip": row["irqchip"]}
    if bs == 512:
        # A quarter of it: there are 32 Ki such blocks.
        part = IMAGE_BYTES // 4
        right = f"^crc32 {zlib.crc32(random_bytes(IMAGE_BYTES)[:part]):08x}$"
        nvme(f"crc {words} count={part // 512}", right, backing=shared_image(), **fields)
    else:
        crc(words, **fields)


def crc_cases(full: bool) -> list[Case]:
    """The pairs in a normal run, the product in a full one."""
    rows = product(CRC_FACTORS) if full else pairwise(CRC_FACTORS)
    return [
        Case("crc " + " ".join(f"{k}={v}" for k, v in row.items()), functools.partial(crc_row, row))
        for row in rows
    ]


# ---- Transfers ---------------------------------------------------------------------------------


def chained_lists() -> None:
    """4 MiB in one command: two PRP list pages and more; written and read. QEMU maps 1024 pages."""
    if mdts_largest() != "0":
        raise Skipped("this QEMU wants an MDTS, of at most 2 MiB: no list is chained")
    whole = {"nvme": {"mdts": "0"}}
    for completion in ("poll", "irq"):
        crc(f"bs=4m max_transfer=4m iodepth=4 completion={completion}", **whole)
        crc(f"bs=4092k offset=4092 max_transfer=4m iodepth=4 completion={completion}", **whole)
    nvme("identify max_transfer=4m", "no limit of the device .*4096 KiB in force", **whole)
    before = random_bytes(12 * MIB)
    with image(before) as path:
        nvme(
            "copy from=0 to=12288 count=8184 bs=4m max_transfer=4m iodepth=2 offset=2048",
            backing=path,
            **whole,
        )
        after = bytearray(before)
        after[12288 * 512 : (12288 + 8184) * 512] = before[: 8184 * 512]
        check(path.read_bytes() == bytes(after), "the copy is wrong")


def above_mdts(completion: str) -> None:
    """Requests of 4 MiB are split; two per hart share a queue of two requests."""
    crc(f"bs=4m iodepth=2 harts=2 completion={completion} offset=4", harts=2)
    crc(f"bs=2m iodepth=1 completion={completion} max_transfer=64k offset=4092")


def copy(completion: str, lba: int, backwards: bool) -> None:
    """The target equals the source, and nothing else has changed."""
    before = random_bytes(16 * MIB)
    low, high, count = 3 * 4096, 11 * MIB // 4096 * 4096, 5 * MIB // 4096 * 4096 - 4096
    source, target = (high, low) if backwards else (low, high)
    blocks = f"from={source // lba} to={target // lba} count={count // lba}"
    with image(before) as path:
        nvme(
            f"copy {blocks} completion={completion} harts=3 offset=508 bs={5 * 4096} iodepth=7",
            backing=path,
            harts=3,
            lba_bytes=lba,
        )
        after = bytearray(before)
        after[target : target + count] = before[source : source + count]
        check(path.read_bytes() == bytes(after), "the image is not what the copy makes of it")
        nvme(
            f"copy from=0 to=10 count=11 completion={completion}",
            "source and target overlap",
            status=1,
            backing=path,
            lba_bytes=lba,
        )


def fill(completion: str, lba: int, offset: int) -> None:
    """The guest writes the pattern, the host checks it and everything around it."""
    before = random_bytes(4 * MIB)
    begin, size = 3 * 4096, 2 * MIB + 4096
    with image(before) as path:
        nvme(
            f"fill lba={begin // lba} count={size // lba} seed=18446744073709551615 harts=2 "
            f"completion={completion} offset={offset} bs={3 * 4096}",
            backing=path,
            harts=2,
            lba_bytes=lba,
        )
        after = bytearray(before)
        after[begin : begin + size] = pattern((1 << 64) - 1, begin, size)
        check(path.read_bytes() == bytes(after), "the image is not what fill makes of it")
        nvme("flush", "^flushed", backing=path, lba_bytes=lba)


def compare_pattern(completion: str, lba: int) -> None:
    """The host writes the pattern; the guest finds it good, and then the byte that was changed."""
    content = bytearray(pattern(42, 0, 2 * MIB))
    words = f"check seed=42 completion={completion} harts=4 bs=8k offset=4"
    with image(content) as path:
        nvme(words, "^checked", backing=path, harts=4, lba_bytes=lba)
        for at in (1234567, 1234568, 2 * MIB - 1):
            content[at] ^= 0x40
        path.write_bytes(content)
        block, byte = divmod(1234567, lba)
        was = content[1234567]
        line = f"LBA {block} byte {byte} is 0x{was:02x}, 0x{was ^ 0x40:02x} was expected; 2 of"
        console = nvme(words, line, status=1, backing=path, harts=4, lba_bytes=lba)
        check(not any(text.startswith("checked") for text in console), "it says good", console)


def fat(completion: str) -> None:
    """A FAT volume read block by block through one reused buffer that crosses a page."""
    content, name = random_bytes(50001), b"HELLO   TXT"
    volume = fat_volume(name, content)
    with image(volume) as path:
        console = nvme(
            f"read hex=1 bs=512 offset=3996 completion={completion}", "^crc32", backing=path
        )
    check(dumped(console) == volume, "the volume was read wrong")
    check(fat_read(dumped(console), name) == content, "the file is another")


# ---- All of them -------------------------------------------------------------------------------


def cases(full: bool) -> list[Case]:
    """Every test, named. build/nvme.elf must be there."""
    both = ("poll", "irq")
    part = functools.partial
    one, messages = {"controllers": 1}, {"irqchip": "imsic"}
    eight = {"harts": 8, "controllers": 8}
    listed: list[tuple[str, Callable[[], None]]] = [
        ("usage", usage),
        ("identify", identify),
        ("exit statuses", exit_statuses),
        ("no controller", no_controller),
        ("no namespace", no_namespace),
        ("MSI-X table too small", small_table),
        ("nsid=2", second_namespace),
        ("fewer queues than harts", fewer_queues),
        ("iodepth above MQES", deep_queue),
        ("chained PRP lists", chained_lists),
        ("out of range", out_of_range),
        ("one disk, two doors", one_disk),
        ("disks are chosen", choice),
        ("empty controller in front", empty_in_front),
        ("namespace without blocks", without_blocks),
        ("smart", smart),
        ("errors and changed-ns", logs),
        ("reset", reset),
        ("identify format=json", identify_json),
        ("a document in a pipe", piped),
        ("controller without vectors in front", vectors_in_front),
        ("eleven controllers", many_controllers),
    ]
    listed += [(f"two disks, {kind}", part(two_disks, kind, "plic")) for kind in TWINS]
    listed += [("two disks, messages", part(two_disks, "alone", "imsic"))]
    listed += [(f"unusable namespace, {kind}", part(unusable, kind)) for kind in UNUSABLE]
    for mode in ("irq", "hybrid"):
        listed += [
            (f"one controller, {h} harts {mode}", part(delivered, mode, "shared", harts=h, **one))
            for h in (2, 8)
        ]
        one_line = {"harts": 2, "slots": [1, 5]}
        listed += [
            (f"one line, two harts {mode}", part(delivered, mode, "shared", **one_line)),
            (f"more harts than lines {mode}", part(delivered, mode, "shared", **eight)),
            (f"a line each {mode}", part(delivered, mode, "per-hart", harts=4)),
        ]
    for mode in ("poll", "irq", "hybrid"):
        listed += [
            (f"messages, {h} harts {mode}", part(delivered, mode, "msix", harts=h, **messages))
            for h in (1, 4, 8)
        ]
    listed += [
        (f"{chip}, sockets={n} controllers={c or 'auto'}", part(sockets_deliver, chip, n, c))
        for chip, n in (("plic", 2), ("aplic", 1), ("aplic", 2), ("imsic", 2))
        for c in (1, None)
    ]
    listed += [
        ("a PCI IOMMU", part(iommu, "-device", "riscv-iommu-pci")),
        ("an IOMMU of the machine", part(iommu, "-machine", "iommu-sys=on")),
        ("an IOMMU that the tree hides", hidden_iommu),
        ("BARs without room", oversized_bars),
    ]
    shapes = ((1, 1), (2, 1), (4, 1), (4, 2), (4, 3), (4, 4), (8, 1), (8, 4))
    listed += [(f"{h} harts on {c}", part(polled_harts, h, c)) for h, c in shapes]
    for mode in both:
        listed += [
            (f"device in front {mode}", part(device_in_front, mode)),
            (f"pci-bridge {mode}", part(behind_bridge, "pci-bridge,chassis_nr=1", mode)),
            (f"pcie-root-port {mode}", part(behind_bridge, "pcie-root-port,chassis=1", mode)),
            (f"two nested bridges {mode}", part(nested_bridges, mode)),
            (f"second function {mode}", part(second_function, mode)),
            (f"forty functions in front {mode}", part(many_functions, mode)),
            (f"above MDTS {mode}", part(above_mdts, mode)),
            (f"FAT volume {mode}", part(fat, mode)),
            (f"read error {mode}", part(media_error, mode, "read")),
            (f"write error {mode}", part(media_error, mode, "write")),
        ]
        for lba in (512, 4096):
            listed += [
                (f"copy {mode} {lba}", part(copy, mode, lba, mode == "irq")),
                (f"fill {mode} {lba}", part(fill, mode, lba, 4092 if lba == 512 else 508)),
                (f"check {mode} {lba}", part(compare_pattern, mode, lba)),
            ]
    return [*(Case(name, run) for name, run in listed), *commands(), *crc_cases(full)]


def outcome(case: Case) -> tuple[str, float]:
    """What went wrong, empty if nothing did, and how long it took."""
    begin = time.monotonic()
    try:
        case.run()
    except Exception as error:  # whatever it is, the other cases still run
        return f"{type(error).__name__}: {error}", time.monotonic() - begin
    return "", time.monotonic() - begin


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="every combination, not only pairs")
    parser.add_argument("-k", default="", metavar="PATTERN", help="only names that match")
    options = parser.parse_args(argv)
    chosen = [case for case in cases(options.full) if re.search(options.k, case.name)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for case, (wrong, seconds) in zip(chosen, pool.map(outcome, chosen)):
            failed += bool(wrong)
            print(f"{'FAIL' if wrong else 'ok':4}  {case.name:60} {seconds:5.1f} s", flush=True)
            if wrong:
                print("  " + wrong.replace("\n", "\n  "), flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
