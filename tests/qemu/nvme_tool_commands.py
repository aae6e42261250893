"""The nvme tool's commands of nvme-cli's names, against the host's own reading of the image."""

from __future__ import annotations

import functools
import itertools
import json

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvme_guest import MIB, Case, check, dumped, folder, image, nvme, pattern, random_bytes

SIZE = 4 * MIB
SHORT, LONG = 512, 4096  # blocks
LARGE_BYTES = 3 << 40  # more than 2^32 short blocks; the file has only what is written
DEVICE = {"controllers": 1}


def document(console: Sequence[str]) -> dict:
    """The JSON that is printed: its lines begin with a brace or a blank."""
    return json.loads("\n".join(line for line in console if line[:1] in ("{", "}", " ")))


def one(console: Sequence[str]) -> dict:
    """What is told of the one controller."""
    (told,) = document(console)["controllers"]
    return told


# ---- Blocks ------------------------------------------------------------------------------------


def changed(words: str, before: bytes, after: bytes, said: str, **fields: object) -> None:
    """The command makes `after` of the image `before`."""
    with image(before) as path:
        nvme(words, said, backing=path, **DEVICE, **fields)
        check(path.read_bytes() == after, f"nvme {words}: the image is not what it should be")


def write_zeroes(mode: str, lba: int, deac: int) -> None:
    """Zeroes where it was said, nothing else; more blocks than one command has at 512."""
    before = random_bytes(48 * MIB) if lba == SHORT and not deac else random_bytes(SIZE)
    first, count = 5, len(before) // lba - 9
    after = bytearray(before)
    after[first * lba : (first + count) * lba] = bytes(count * lba)
    words = f"write-zeroes lba={first} count={count} deac={deac} completion={mode}"
    changed(words, before, bytes(after), f"^zeroed {count} blocks$", lba_bytes=lba)


def deallocate(lba: int) -> None:
    """QEMU's deallocated blocks read as zeroes; hints change nothing."""
    before = random_bytes(SIZE)
    after = bytearray(before)
    after[64 * lba : 128 * lba] = bytes(64 * lba)
    changed("dsm lba=64 count=64 ad=1", before, bytes(after), "^managed 64 blocks", lba_bytes=lba)
    changed("dsm lba=64 count=0 idr=1 idw=1", before, before, "^managed", lba_bytes=lba)


def compare(mode: str, lba: int) -> None:
    """Equal blocks pass; one wrong byte is the device's status."""
    content = bytearray(pattern(7, 0, SIZE))
    words = f"compare seed=7 bs=32k offset=4 completion={mode}"
    with image(content) as path:
        nvme(words, f"^compared {SIZE // lba} blocks", backing=path, lba_bytes=lba, **DEVICE)
        content[3 * MIB + 1] ^= 1
        path.write_bytes(content)
        said = f"^error: compare of .* from LBA {3 * MIB // lba}: .* status 0x285 compare failure"
        nvme(words, said, status=1, backing=path, lba_bytes=lba, **DEVICE)


def verify() -> None:
    """Refused in words where ONCS has it not; QEMU does it all the same, and finds a bad block."""
    with image(random_bytes(SIZE)) as path:
        console = nvme("id-ctrl format=json", backing=path, **DEVICE)
        offered = one(console)["oncs"] & 128
        if not offered:
            said = "^error: verify: the device does not offer it"
            nvme("verify", said, status=1, backing=path, **DEVICE)
        nvme("verify unchecked=1 count=8192", "^verified 8192", backing=path, **DEVICE)
        said = "status 0x4?080 LBA out of range"
        nvme("verify unchecked=1 lba=8192", said, status=1, backing=path, **DEVICE)


def device_copy(lba: int) -> None:
    """Blocks are copied by the device, in more than one command; ranges may not overlap."""
    before = random_bytes(SIZE)
    first, to, count = 3, 600, 300
    after = bytearray(before)
    after[to * lba : (to + count) * lba] = before[first * lba : (first + count) * lba]
    words = f"copy by=device from={first} to={to} count={count}"
    changed(words, before, bytes(after), f"^copied {count} blocks$", lba_bytes=lba)
    with image(before) as path:
        for wrong, said in (("to=10", "overlap"), ("to=99999", "LBA out of range")):
            refused = f"copy by=device from=0 count=20 {wrong}"
            nvme(refused, said, status=1, backing=path, lba_bytes=lba, **DEVICE)


def refused() -> None:
    """What overwrites needs count=; ranges are checked; metadata is refused in words."""
    for command in ("write-zeroes", "dsm"):
        nvme(command, "needs count=", status=1, **DEVICE)
        nvme(f"{command} lba=1 count=9999999999", "LBA out of range", status=1, **DEVICE)
    for said, kind in (("metadata", "ms=8"), ("protection", "ms=8,pi=1"), ("zone", "zoned=on")):
        args = ["-device", "nvme,id=n,serial=t", "-device", f"nvme-ns,drive=disk0,bus=n,{kind}"]
        machine = {"attach": False, "backing": "ram:512m", "qemu_args": args}
        for command in ("write-zeroes count=1", "compare", "io-passthru opcode=2"):
            nvme(command, said, status=1, **machine)


# ---- More than 2^32 blocks ---------------------------------------------------------------------

numbers = itertools.count()


class sparse:
    """A large file without content for one test."""

    def __init__(self, size: int) -> None:
        self.path = folder() / f"sparse-{next(numbers)}.img"
        with self.path.open("wb") as file:
            file.truncate(size)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink()


def part(path: Path, at: int, size: int) -> bytes:
    """Bytes of a large file."""
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)


def large() -> None:
    """Every command reaches block 2^32 + 5, and none block 5."""
    lba, first = SHORT, (1 << 32) + 5
    at = first * lba
    with sparse(LARGE_BYTES) as path:
        nvme("identify", rf"{LARGE_BYTES // lba} blocks of {lba}", backing=path, **DEVICE)
        for words in (
            f"fill lba={first} count=200 seed=9 bs=16k",
            f"check lba={first} count=200 seed=9",
            f"compare lba={first} count=200 seed=9",
            f"copy from={first} to=64 count=8",
            f"copy by=device from={first} to={first + 300} count=150",
            f"write-zeroes lba={first + 8} count=8",
            f"dsm lba={first + 24} count=8 ad=1",
            f"verify unchecked=1 lba={first} count=200",
        ):
            nvme(words, backing=path, **DEVICE)
        filled = bytearray(pattern(9, at, 200 * lba))
        copied = bytes(filled[: 150 * lba])
        filled[8 * lba : 16 * lba] = filled[24 * lba : 32 * lba] = bytes(8 * lba)
        check(part(path, at, 200 * lba) == bytes(filled), "other blocks than were written")
        check(part(path, at + 300 * lba, 150 * lba) == copied, "the copy of the device")
        check(part(path, 64 * lba, 8 * lba) == copied[: 8 * lba], "the copy of the host")
        check(part(path, 0, 64 * lba) == bytes(64 * lba), "a block below 2^32 was written")
        last = LARGE_BYTES // lba - 1
        nvme(f"write-zeroes lba={last} count=2", "count=1 at most", status=1, backing=path,
             **DEVICE)


# ---- Admin -------------------------------------------------------------------------------------


def features() -> None:
    """The device's value is told, a value that is set is read back, in text and in JSON."""
    told = r"get-feature:0x07 \(Number of Queues\), Current value:0x003f003f"
    nvme("get-feature feature-id=7", told, **DEVICE)
    told = one(nvme("set-feature feature-id=4 value=0x150 format=json", **DEVICE))
    check(told["value"] == 0x150 and told["name"] == "Temperature Threshold", str(told))
    console = nvme("set-feature feature-id=0xe value=0x123456789abc", "Timestamp", **DEVICE)
    (stamp,) = struct.unpack("<Q", dumped(console)[:8].ljust(8, b"\0"))
    check(0 <= (stamp & (1 << 48) - 1) - 0x123456789ABC < 60_000, f"timestamp {stamp:x}", console)
    nvme("get-feature feature-id=0x7f", "^error: get-feature: status 0x.*", status=1, **DEVICE)
    nvme("set-feature feature-id=7 value=1", "the engine itself uses", status=1, **DEVICE)
    nvme("set-feature feature-id=0xc value=1", "hint: admin-passthru", status=1, **DEVICE)


def pages() -> None:
    """Logs and Identify data, decoded or as bytes; the bytes are those that are decoded."""
    told = one(nvme("id-ctrl format=json", **DEVICE))
    raw = bytes.fromhex("".join(one(nvme("admin-passthru opcode=6 cdw10=1 data-len=4096 read=1 "
                                         "format=json", **DEVICE))["data"]))
    check(struct.unpack_from("<H", raw)[0] == told["vid"], "another vendor")
    check(raw[4:24].decode().strip() == told["sn"], "another serial number")
    nvme("id-ns", r"^nsze +: (0x)?[0-9a-f]+$", **DEVICE)
    active = bytes.fromhex("".join(one(nvme("id-ns cns=2 format=json", **DEVICE))["data"]))
    check(struct.unpack_from("<2I", active) == (1, 0), "another list of namespaces")
    nvme("id-ctrl cns=0x77", "^error: identify: status 0x", status=1, **DEVICE)
    log = bytes.fromhex("".join(one(nvme("get-log log-id=2 format=json", **DEVICE))["data"]))
    rest = dumped(nvme("get-log log-id=2 log-len=16 lpo=0", **DEVICE))
    check(log[:16] == rest and len(log) == 512, "another log")
    nvme("get-log log-id=0x7e", "^error: get-log: status 0x", status=1, **DEVICE)
    nvme("get-log log-id=2 log-len=6", "not multiples of 4", status=1, **DEVICE)


def passthru(mode: str) -> None:
    """A read and a write of dwords; data go one way; the device's own answer is told."""
    content = random_bytes(SIZE)
    block = f"opcode=2 data-len=1024 read=1 cdw10=0x7 cdw12=1 completion={mode}"
    with image(content) as path:
        said = "^NVMe command result:00000000"
        console = nvme(f"io-passthru {block}", said, backing=path, **DEVICE)
        check(dumped(console) == content[7 * 512 : 9 * 512], "other bytes", console)
        told = document(nvme(f"io-passthru {block} format=json", backing=path, **DEVICE))
        check(bytes.fromhex("".join(told["data"])) == content[7 * 512 : 9 * 512], "other bytes")
        fua = "cdw12=0x40000000"
        nvme(f"io-passthru opcode=1 data-len=512 write=1 seed=3 cdw10=2 {fua}", backing=path,
             **DEVICE)
        check(path.read_bytes()[1024:1536] == pattern(3, 0, 512), "the block was not written")
        nvme("io-passthru opcode=0x7c", "status 0x", status=1, backing=path, **DEVICE)
    for words, said in (("opcode=2 read=1", "one way"), ("opcode=2 data-len=512", "one way"),
                        ("opcode=2 data-len=510 read=1", "multiple of 4"),
                        ("opcode=2 data-len=2m read=1", "too large")):
        nvme(f"io-passthru {words}", said, status=1, **DEVICE)


def commands() -> Iterator[Case]:
    """All of them."""
    bind = functools.partial
    for mode, lba, deac in (("poll", SHORT, 0), ("irq", LONG, 1), ("hybrid", SHORT, 1)):
        yield Case(f"write-zeroes {mode} {lba} deac={deac}", bind(write_zeroes, mode, lba, deac))
    for lba in (SHORT, LONG):
        yield Case(f"dsm {lba}", bind(deallocate, lba))
        yield Case(f"copy by=device {lba}", bind(device_copy, lba))
    for mode, lba in (("poll", LONG), ("irq", SHORT)):
        yield Case(f"compare {mode} {lba}", bind(compare, mode, lba))
        yield Case(f"io-passthru {mode}", bind(passthru, mode))
    yield Case("verify by the device", verify)
    yield Case("commands that are refused", refused)
    yield Case("more than 2^32 blocks", large)
    yield Case("features", features)
    yield Case("pages and logs", pages)
