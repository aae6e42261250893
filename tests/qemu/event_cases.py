"""Events that a device tells by itself, provoked over QMP under `nvme watch`.

Nothing is judged by the clock: the guest ends when it has printed the event.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import qmp
from qemu.guest import Guest
from qemu.machine import Machine
from nvme_guest import TIMEOUT_S, Case, check

DEVICE = "/machine/peripheral/nvme0"


def watch(
    act: Callable[[qmp.Qmp, int], None],
    *expected: str,
    words: str = "",
    events: int = 1,
    **fields: object,
) -> None:
    """Boot the nvme tool and look for each text on its console.

    It acts once the guest watches, and again after each event but the last.
    """
    path = qmp.new_path()
    machine = Machine(
        "nvme",
        f"watch runtime=300s events={events} {words}".split(),
        **{"harts": 1, "timeout_s": TIMEOUT_S, **fields},  # type: ignore[arg-type]
        qemu_args=qmp.arguments(path),
    )
    console: list[str] = []
    told = 0
    with Guest(machine) as guest:
        monitor = qmp.Qmp(path)
        for line in guest.lines():
            guest.begin_time()
            console.append(line.text)
            is_event = line.text.startswith("note: nvme 0 ")
            told += is_event
            if line.text.startswith("watching") or (is_event and told < events):
                act(monitor, told)
        monitor.close()
        result = guest.finish()
    check(result.status == 0, f"watch: {result.reason}", console)
    for text in (*expected, f"^{events} events$"):
        check(any(re.search(text, line) for line in console), f"no '{text}'", console)


def warn(monitor: qmp.Qmp, told: int) -> None:
    """Critical warnings: each time another, for a device tells what is new."""
    monitor.ask("qom-set", path=DEVICE, property="smart_critical_warning", value=4 << told)


HEALTH = r"^note: nvme 0 queue 0: health of the device: critical warnings %s, temperature in K 323$"


def cases() -> list[Case]:
    """All of them."""
    ways = [("irq", "plic"), ("poll", "plic"), ("hybrid", "plic"), ("irq", "imsic")]
    return [
        Case(
            f"event: a health warning, {mode} {chip}",
            functools.partial(
                watch, warn, HEALTH % 4, words=f"completion={mode}", irqchip=chip
            ),
        )
        for mode, chip in ways
    ] + [Case("event: three health warnings", functools.partial(watch, warn, events=3))]
