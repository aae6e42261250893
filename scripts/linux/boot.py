"""Boots Linux on the bench's machine, runs fio and our loop and reads answers from the console.

An answer's JSON travels as base64 of gzip between `#begin NAME` and `#end NAME STATUS`, through
/dev/kmsg: the serial line has no interrupt here, and the kernel's own output needs none.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from linux import image
from measure.windows import GuestFailed
from qemu.guest import STATUS_OK, Guest
from qemu.machine import BUILD, Machine

LOOP = BUILD / "uring-loop"  # from linux/loop
MEMORY_MIB = 1024
BOOT_S = 12.0  # until the first fio, for the estimate only
CALL_S = 1.5  # start of one fio, for the estimate only
COMMAND_LINE = (
    "console=ttyS0", "earlycon=sbi", "loglevel=4", "printk.devkmsg=on", "printk.time=0",
    "panic=1", "rdinit=/init",
)
# Linux's driver of the firmware's counters stops them; without it programs read `instret`.
COUNTING = ("initcall_blacklist=pmu_sbi_devinit",)
WIRED = re.compile(r"^(serial|uart|rtc)@")
INTERRUPT_PROPERTIES = ("interrupts", "interrupts-extended", "interrupt-parent")

INIT = (Path(__file__).parent / "init.in").read_text(encoding="utf-8")
MODULE_OPTIONS = {"nvme_core": "multipath=N", "nvme": "poll_queues=1"}


def machine_for(ours: Machine, kernel: Path, initrd: Path, timeout_s: float) -> Machine:
    """The machine of our bench with another kernel: the same emulator, harts and backing.

    Of two kernels on its command line QEMU takes the last.
    """
    return dataclasses.replace(
        ours, arguments=COMMAND_LINE, memory_mib=MEMORY_MIB, timeout_s=timeout_s,
        qemu_args=("-kernel", str(kernel), "-initrd", str(initrd)))


def without_folders(argv: Sequence[str]) -> list[str]:
    """QEMU's command line for a result: files by their names, not where this machine has them."""
    return [re.sub(r'(^|")/([^"/]*/)*', r"\1", word) for word in argv]


def write_tree(machine: Machine, path: Path) -> None:
    """The machine's device tree without the wired interrupts of UART and clock.

    QEMU 7.2 with aia=aplic-imsic hangs Linux 6.12 at boot with them; neither is needed.
    """
    # The backing is no part of the tree, and that of `ram` has a file only while a guest runs.
    words = dataclasses.replace(machine, backing="null").argv()
    words[words.index("-M") + 1] += f",dumpdtb={path}"
    image.run(words)
    for node in filter(WIRED.match, image.run(["fdtget", "-l", str(path), "/soc"]).split()):
        there = image.run(["fdtget", "-p", str(path), f"/soc/{node}"]).split()
        for name in set(INTERRUPT_PROPERTIES).intersection(there):
            image.run(["fdtput", "-d", str(path), f"/soc/{node}", name])


def first_program(modules: Sequence[str], names: Iterable[str]) -> str:
    """/init: it inserts the modules and runs fio's job files, both in the order given."""
    words = " ".join(f"{name}:{MODULE_OPTIONS.get(name, '')}" for name in modules)
    return INIT.replace("MODULES", words).replace("ORDER", " ".join(names))


def write_initrd(base: Path, modules: Sequence[str], jobs: dict[str, str], path: Path) -> None:
    """The base archive, then what this boot runs: fio's job files by name, in order."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        (folder / "init").write_text(first_program(modules, jobs), encoding="utf-8")
        (folder / "init").chmod(0o755)
        shutil.copy(LOOP, folder / "uring-loop")
        (folder / "jobs").mkdir()
        for each, text in jobs.items():
            (folder / "jobs" / f"{each}.fio").write_text(text, encoding="utf-8")
        image.pack(folder, path)
    path.write_bytes(base.read_bytes() + path.read_bytes())


def answers(lines: Iterable[str], complaints: list[str]) -> Iterator[tuple[str, dict]]:
    """The answers of fio on the console of one boot, by job file; what is not ours passes by.

    What the guest complains of is added to `complaints`.
    """
    name = text = ""
    for line in lines:
        if line.startswith("#begin "):
            name, text = line.split()[1], ""
        elif line.startswith("=") and name:
            text += line[1:].strip()
        elif line.startswith("peer: "):
            complaints.append(line)
        elif match := re.fullmatch(r"#end (\S+) (\d+)", line):
            if match[1] != name or int(match[2]):
                words = "\n  ".join(["", *complaints])
                raise GuestFailed(f"Linux: fio's {match[1]} ended with status {match[2]}{words}")
            yield name, answer_in(text, name)
            name = ""


def answer_in(text: str, name: str) -> dict:
    """fio's JSON as it travels; GuestFailed if it is broken, or a job has failed."""
    try:
        answer = json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
        broken = [job["jobname"] for job in answer["jobs"] if job.get("error")]
    except (ValueError, KeyError, OSError, EOFError, binascii.Error) as error:
        raise GuestFailed(f"Linux: fio's answer to {name} cannot be read: {error}") from error
    if broken:
        raise GuestFailed(f"Linux: fio reports errors in {name}: {', '.join(broken)}")
    return answer


def run_linux(
    machine: Machine, names: Iterable[str], on_answer: Callable[[str, dict], None]
) -> None:
    """Boot once and hand over fio's answer to each job file as it comes; GuestFailed otherwise."""
    complaints: list[str] = []
    lacking = {*names}
    with Guest(machine) as guest:
        for name, answer in answers((line.text.strip() for line in guest.lines()), complaints):
            on_answer(name, answer)
            lacking.discard(name)
        result = guest.finish()
        if guest.paused:
            raise GuestFailed("Linux: we were stopped (Ctrl-Z) while it ran")
    if result.status != STATUS_OK:
        tail = [f"  {text[:160]}" for text in result.tail]
        words = [f"Linux: {result.reason}", *filter(None, [result.stderr]), *complaints]
        raise GuestFailed("\n".join([*words, "its last lines:", *tail]))
    if lacking:
        raise GuestFailed(f"Linux: it ended without an answer to {', '.join(sorted(lacking))}")
