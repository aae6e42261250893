"""Guests that test themselves: the self-test and boot images, over machines of every kind.

cases(full, seed) lists them for run.py. A guest prints one line per test; each of them counts.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from qemu.guest import Result, run_guest  # noqa: E402
from qemu.machine import BUILD, Machine, device, form  # noqa: E402
from nvme_guest import TIMEOUT_S, Row, mdts_largest, pairwise, product  # noqa: E402

LOGS = BUILD / "logs"
FIRMWARE_LAST = "Boot HART MEDELEG"
DISK = "ram:64m"

MATRIX: dict[str, Sequence[object]] = {
    "harts": (1, 2, 4, 8),
    "controllers": (1, 2, 3, 4),
    "lba": (512, 4096),
    "mdts": ("default", "largest", "1"),
    "topology": ("plain", "front", "pci-bridge", "pcie-root-port"),
    "irqchip": ("plic", "aplic", "imsic"),
}


@dataclasses.dataclass
class Tally:
    """What one guest's lines came to."""

    passed: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    skipped: str = ""  # why, empty if it ran
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Case:
    """One guest: `run` boots it and counts."""

    name: str
    run: Callable[[], Tally]


# ---- Booting and counting ----------------------------------------------------------------------


def boot(machine: Machine) -> tuple[list[str], Result]:
    """The console without the firmware's banner, and how it ended."""
    console: list[str] = []
    result = run_guest(machine, lambda line: console.append(line.text), by_line=True)
    begin = next((i for i, text in enumerate(console) if text.startswith(FIRMWARE_LAST)), -1)
    return console[begin + 1 :], result


def keep_log(name: str, machine: Machine, console: Sequence[str], result: Result) -> Path:
    """Everything about a guest that failed, in build/logs/."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / ("qemu-" + re.sub(r"[^\w.-]+", "-", name) + ".log")
    lines = [
        f"{name}: {result.reason or 'failed'}",
        f"application {machine.app}, words {' '.join(machine.arguments)}",
        repr(machine),
        *console,
        result.stderr,
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def count_lines(console: Sequence[str], result: Result, skips: bool) -> Tally:
    """Lines by their first word; an end that does not fit them is one failure more."""
    tally = Tally()
    for text in console:
        word, _, rest = text.partition(" ")
        if word == "ok":
            tally.passed += 1
        elif word == "FAIL" or (word == "skip" and not skips):
            tally.failures.append(text)
        elif word == "note":
            tally.notes.append(rest)
        elif word == "error:":
            tally.notes.append(text)
    if result.status != 0 and not tally.failures:
        tally.failures.append(result.reason or f"status {result.status}")
    if result.status == 0 and tally.failures:
        tally.failures.append("the guest failed and said that it did not")
    if not tally.passed and not tally.failures:
        tally.failures.append("no test ran")
    return tally


def count_guest(name: str, machine: Machine, crashes: int = 0, says: str = "") -> Tally:
    """Boot and count. QEMU itself may crash `crashes` times, which is noted and tried again.

    `says` is a line that must be on the console, empty for none.
    """
    console, result = boot(machine)
    notes = []
    while crashes and result.qemu_status < 0 and not any(t.startswith("FAIL") for t in console):
        crashes -= 1
        notes.append(f"{name}: QEMU was ended by signal {-result.qemu_status}, tried again")
        console, result = boot(machine)
    tally = count_lines(console, result, skips=False)
    tally.notes += notes
    if says and says not in console:
        tally.failures.append(f"no line '{says}'")
    if tally.failures:
        path = keep_log(name, machine, console, result)
        tally.failures.append(f"log: {path.relative_to(ROOT)}")
    return tally


def selftest(name: str, words: str, crashes: int = 0, says: str = "", **fields: object) -> Case:
    """The self-test image with these words on a machine with these fields."""
    machine = Machine(
        "selftest",
        words.split(),
        **{"backing": DISK, "timeout_s": TIMEOUT_S, **fields},  # type: ignore[arg-type]
    )
    return Case(name, functools.partial(count_guest, name, machine, crashes, says))


def unreached() -> Tally:
    """An interrupt line to a hart that its controller does not reach is refused in words."""
    machine = Machine(
        "selftest", ["test=unreached"], harts=2, sockets=2, irqchip="aplic", backing=DISK,
        timeout_s=TIMEOUT_S,
    )
    console, result = boot(machine)
    tally = count_lines(console, result, skips=False)
    words = r"note: .* its interrupt cannot go to hart (\d), .* reaches harts: (?!\1)\d; hint: .*"
    if not any(re.fullmatch(words, text) for text in console):
        tally.failures.append("nothing is said of the hart that is not reached")
    return tally


# ---- The matrix --------------------------------------------------------------------------------


def behind(row: Row, nvme: dict[str, str]) -> dict[str, object]:
    """The controllers behind one bridge, or each behind a root port of its own."""
    count, lba = int(str(row["controllers"])), str(row["lba"])
    port = row["topology"] == "pcie-root-port"
    args = [] if port else ["-device", "pci-bridge,id=b,chassis_nr=1,addr=1"]
    args += ["-device", "nvme-subsys,id=s"] if count > 1 else []
    for i in range(count):
        place = {"bus": f"p{i}"} if port else {"bus": "b", "addr": str(i + 1)}
        if port:
            args += ["-device", f"pcie-root-port,id=p{i},chassis={i + 1},addr={i + 1}"]
        shared = {"subsys": "s"} if count > 1 else {}
        properties = {"id": f"n{i}", "serial": "t", **place, **shared, **nvme}
        args += ["-device", device("nvme", properties)]
    blocks = {"logical_block_size": lba, "physical_block_size": lba}
    shared = {"shared": "on"} if count > 1 else {}
    args += ["-device", device("nvme-ns", {"drive": "disk0", "bus": "n0", **blocks, **shared})]
    return {"attach": False, "qemu_args": args}


def matrix_fields(row: Row) -> dict[str, object]:
    """A row of MATRIX as Machine's fields."""
    count = int(str(row["controllers"]))
    mdts = mdts_largest() if row["mdts"] == "largest" else str(row["mdts"])
    nvme = {} if mdts == "default" else {"mdts": mdts}
    fields = {key: row[key] for key in ("harts", "irqchip")} | {"lba_bytes": row["lba"]}
    if row["topology"] == "plain":
        fields |= {"controllers": count, "nvme": nvme}
    elif row["topology"] == "front":
        slots = list(range(2, count + 2))
        front = ["-device", "virtio-rng-pci,addr=1"]
        fields |= {"slots": slots, "nvme": nvme, "qemu_args": front}
    else:
        fields |= behind(row, nvme)
    return fields


def matrix_case(words: str, row: Row) -> Case:
    """A row, whose machine is made when it runs: QEMU is asked what it takes."""
    name = "matrix " + " ".join(f"{key}={value}" for key, value in row.items())
    return Case(name, lambda: selftest(name, words, **matrix_fields(row)).run())


def matrix_cases(full: bool, seed: int) -> list[Case]:
    """Every test in its modes: pairs of machine kinds normally, the product in a full run."""
    rows = product(MATRIX) if full else pairwise(MATRIX)
    return [matrix_case(f"seed={seed} runtime={'1s' if full else '150ms'}", row) for row in rows]


# ---- Cases that want a machine of their own ----------------------------------------------------

SLOW = (
    "-object throttle-group,id=t,x-bps-total=1 "
    "-blockdev driver=throttle,node-name=slow,throttle-group=t,file=disk0 "
    "-device nvme,serial=t,drive=slow"
).split()


# A bridge of each kind, the disk behind one and a device with MSI behind the other.
LEFT_ON = (
    "-device pcie-root-port,id=p,chassis=1,addr=1 -device pci-bridge,id=b,chassis_nr=2,addr=2 "
    "-device edu,bus=b,addr=1 -device nvme,serial=t,drive=disk0,bus=p"
).split()

EDU = ("-device", "edu,addr=5")  # on the line of slot 1


def delivery_cases(full: bool, seed: int) -> list[Case]:
    """Lines that are shared, in every way; messages; many harts; modes that change under load."""
    words = f"seed={seed} runtime={'5s' if full else '500ms'}"
    sleep = f"completion=irq+hybrid {words}"
    listed = [
        selftest("line of four harts", f"test=modes,shared {words}", harts=4, controllers=1),
        selftest("lines of their own", f"test=modes {words}", harts=2, controllers=2),
        selftest("messages", f"test=modes,soak {sleep}", harts=4, irqchip="imsic"),
        selftest(
            "other device", f"test=other_device {words}", harts=3, controllers=1, qemu_args=EDU
        ),
        selftest("one line, two controllers", f"test=shared-line {words}", harts=1, slots=[1, 5]),
        selftest("one line, slots 3 and 7", "test=shared-line runtime=1s", harts=1, slots=[3, 7]),
        selftest("two lines of four", "test=harts", harts=4, slots=[1, 5, 2, 6]),
    ]
    listed += [
        selftest(f"one line, {h} harts", f"test=harts,modes,shared {words}", harts=h, slots=[1, 5])
        for h in (2, 4)
    ]
    listed.append(
        selftest(
            "soak 64 of 66 harts controllers=4 plic",
            f"test=soak completion=irq {words}",
            says="note: 66 harts, 64 of them are used",
            harts=64,
            controllers=4,
            qemu_args=["-smp", "66,maxcpus=66"],
        )
    )
    # Correctness only: far more harts than cores of the host, so nobody polls. One line for 64 is
    # for a full run: 16 share one, and 64 share four.
    soaks = [(16, 1, "plic"), (16, 4, "plic"), (64, 1, "imsic")]
    for harts, controllers, irqchip in soaks + [(64, 1, "plic")] * full:
        listed.append(
            selftest(
                f"soak {harts} harts controllers={controllers} {irqchip}",
                f"test=soak completion=irq {words}",
                harts=harts,
                controllers=controllers,
                irqchip=irqchip,
            )
        )
    return listed


ACLINT = ("-machine", "aclint=on")  # IPIs need no firmware


def dead_cases() -> list[Case]:
    """Devices that fall silent, whatever their interrupts do."""
    machines = ((1, 1, "plic"), (2, 1, "plic"), (4, 4, "plic"), (8, 2, "plic"), (4, 1, "imsic"))
    return [
        selftest(
            f"dead device harts={harts} controllers={controllers} {irqchip}",
            "test=dead",
            harts=harts,
            controllers=controllers,
            irqchip=irqchip,
        )
        for harts, controllers, irqchip in machines
    ]


def special_cases(full: bool, seed: int) -> list[Case]:
    """Load that lasts, devices that fail, machines that are reset."""
    time = 60 if full else 1
    long = f"runtime={time}s seed={seed}"
    queues = {"max_ioqpairs": "2"}
    reset = {"harts": 1, "qemu_args": ["-action", "reboot=reset"]}
    return [
        selftest("soak 1 hart", f"test=soak completion=irq+hybrid {long}", harts=1),
        selftest("soak 4 harts", f"test=soak completion=irq+hybrid {long}", harts=4),
        *delivery_cases(full, seed),
        Case("a hart that no line reaches", unreached),
        selftest("closing, one line", "test=closing,select", harts=2, controllers=1),
        selftest("closing, lines of their own", "test=closing,select", harts=2, controllers=2),
        selftest("one line, IPIs by ACLINT", "test=life", harts=4, controllers=1, qemu_args=ACLINT),
        selftest("closing, messages", "test=closing,select", harts=2, irqchip="imsic"),
        selftest("naive handler", "test=naive runtime=1s", harts=2, controllers=1),
        selftest("fewer queues than harts", "test=granted", harts=4, controllers=1, nvme=queues),
        selftest("slow backing", "test=slow", 2, harts=1, attach=False, qemu_args=SLOW),
        selftest("machine reset", "test=reset", **reset),
        selftest("left on", "test=left-over", harts=1, attach=False, qemu_args=LEFT_ON),
        selftest("events", "test=events", harts=1, controllers=2),
        selftest("events imsic", "test=events", harts=1, controllers=2, irqchip="imsic"),
        selftest("machine reset imsic", "test=reset", irqchip="imsic", **reset),
        selftest("deep queues", "test=queue.deep,queue.generations", harts=1, backing="null"),
        selftest("null backing", "test=life", backing="null", harts=2),
        *dead_cases(),
    ]


# ---- The boot image ----------------------------------------------------------------------------

# What is said of each fault that is provoked.
TRAPS = {
    "illegal": r"FAULT: illegal instruction \(scause 2\) on hart 0",
    "load": r"FAULT: load access fault \(scause 5\) on hart 0",
    "store": r"FAULT: store access fault \(scause 7\) on hart 0",
    "jump": r"FAULT: instruction access fault \(scause 1\) on hart 0",
    "nested": r"inside a trap",
    "canary": r"PANIC: the trap stack overflowed",
    "stack": r"sp is outside this hart's stack",
    "tp": r"tp was lost",
    "secondary": r"FAULT: store access fault \(scause 7\) on hart [1-9]",
    "panic": r"PANIC: on purpose",
}
# With translation: the physical addresses of the heap, of its contiguous part and of a stack.
PAGED_TRAPS = dict.fromkeys(("heap", "run", "frame"), r"FAULT: load page fault .* on hart 0")


def ends_with(name: str, words: str, status: int, expected: str) -> Case:
    """The boot image must end with this guest status and say this."""
    machine = Machine("boot", words.split(), harts=2, timeout_s=TIMEOUT_S)

    def run() -> Tally:
        console, result = boot(machine)
        text = "\n".join(console)
        dump = "FAULT" not in text or re.search(r"^  sepc .*\n(?:.*\n)*?  ra  ", text, re.M)
        if result.guest_exit == status and re.search(expected, text) and dump:
            return Tally(1)
        path = keep_log(name, machine, console, result)
        wrong = f"guest status {result.guest_exit}, wanted {status} and '{expected}'"
        return Tally(0, [wrong, f"log: {path.relative_to(ROOT)}"])

    return Case(name, run)


def boot_cases() -> list[Case]:
    """The platform alone."""
    listed = []
    paged = form() == "paged"
    says = f"translation {'on' if paged else 'off'}"
    for harts in (1, 2, 4, 8):
        name = f"boot harts={harts}"
        machine = Machine("boot", (), harts=harts, backing=DISK, timeout_s=TIMEOUT_S)
        listed.append(Case(name, functools.partial(count_guest, name, machine, says=says)))
    machine = Machine(
        "boot", (), harts=2, backing=DISK, timeout_s=TIMEOUT_S, qemu_args=ACLINT
    )
    says = "  hart id 1: controller 0, context 3, imsic file 0, ipi register 2f00004"
    listed.append(
        Case("boot aclint", functools.partial(count_guest, "boot aclint", machine, says=says))
    )
    traps = TRAPS | PAGED_TRAPS if paged else TRAPS
    listed += [ends_with(f"boot trap={t}", f"trap={t}", 1, text) for t, text in traps.items()]
    return listed + [ends_with("boot exit=7", "exit=7", 7, "boot check")]


# ---- The README's read -------------------------------------------------------------------------

WRITTEN = "a block of an image"


def minimal(expected: str, status: int, **fields: object) -> Tally:
    """examples/minimal.c on a machine with these fields; its disk begins with WRITTEN."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "disk.img"
        image.write_bytes(WRITTEN.encode().ljust(1 << 20, b"\0"))
        machine = Machine("minimal", harts=1, backing=str(image), timeout_s=TIMEOUT_S, **fields)
        console, result = boot(machine)
    if expected in console and result.guest_exit == status:
        return Tally(1)
    path = keep_log("minimal", machine, console, result)
    wrong = f"guest status {result.guest_exit}, wanted {status} and '{expected}'"
    return Tally(0, [wrong, f"log: {path.relative_to(ROOT)}"])


def minimal_cases() -> list[Case]:
    """It reads, with blocks of either size, and it says what it lacks."""
    listed = []
    for lba in (512, 4096):
        text = f"block 0, {lba} bytes: {WRITTEN}"
        run = functools.partial(minimal, text, 0, lba_bytes=lba)
        listed.append(Case(f"minimal lba={lba}", run))
    missing = "error: no NVMe controller on the PCI bus; hint: -device nvme"
    alone = functools.partial(minimal, missing, 1, attach=False)
    return [*listed, Case("minimal without a disk", alone)]


def cases(full: bool, seed: int) -> list[Case]:
    """Every guest, the long ones first, so that the last to end is a short one."""
    return special_cases(full, seed) + matrix_cases(full, seed) + boot_cases() + minimal_cases()
