"""Controllers that are pulled out of their slots and replaced, over QMP, under the self-test image.

The guest says when: `note wants device_del`, `note wants device_add`. Two controllers of one
subsystem share a namespace; the first is replaced, the second goes on.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import qmp
from qemu.guest import Guest
from qemu.machine import Machine
from nvme_guest import TIMEOUT_S, Case
from selftest_cases import DISK, Tally, count_lines, keep_log


def machine(irqchip: str, harts: int, path: str, app: str, more: Sequence[str]) -> Machine:
    """Two root ports with a controller each."""
    args = [*more, "-device", "nvme-subsys,id=s", *qmp.arguments(path)]
    for i in range(2):
        args += ["-device", f"pcie-root-port,id=p{i},chassis={i + 1},addr={i + 1}"]
        args += ["-device", f"nvme,id=n{i},bus=p{i},subsys=s,serial=t"]
    args += ["-device", "nvme-ns,drive=disk0,bus=n1,shared=on"]
    words = ["test=removal"]
    return Machine(
        app, words, harts=harts, irqchip=irqchip, backing=DISK, attach=False,
        timeout_s=TIMEOUT_S, qemu_args=args,
    )


def replace(name: str, irqchip: str, harts: int, app: str = "selftest",
            more: Sequence[str] = ()) -> Tally:
    """Boot, and do what the guest asks for."""
    path = qmp.new_path()
    guest_machine = machine(irqchip, harts, path, app, more)
    console: list[str] = []
    names = itertools.count()
    there = "n0"
    with Guest(guest_machine) as guest:
        monitor = qmp.Qmp(path)
        for line in guest.lines():
            guest.begin_time()
            console.append(line.text)
            if line.text == "note wants device_del":
                monitor.ask("device_del", id=there)
            elif line.text.startswith("note wants device_add"):
                there = f"r{next(names)}"
                shared = {} if line.text.endswith("without namespace") else {"subsys": "s"}
                monitor.ask("device_add", driver="nvme", id=there, bus="p0", serial="t", **shared)
        monitor.close()
        result = guest.finish()
    tally = count_lines(console, result, skips=False)
    if tally.failures:
        path = keep_log(name, guest_machine, console, result).name
        tally.failures.append(f"log: {path}")
    return tally


def cases() -> list[Case]:
    """All of them."""
    listed = []
    for irqchip in ("plic", "imsic"):
        name = f"removal and return, {irqchip}"
        listed.append(Case(name, functools.partial(replace, name, irqchip, 2)))
    return listed
