"""What a result was measured on: versions, host, load. No names of machines, no paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from measure.plan import host_cores
from qemu.backing import parse_backing
from qemu.machine import ROOT, find_qemu

MODELLED = "modelled: a machine in virtual time; what it leaves out is in docs/benchmarking.md"
NOTE = "emulated: compare ratios, not absolute numbers"
TARGET_CC = "riscv64-unknown-elf-gcc"


def _first_line(*command: str) -> str:
    """The first line a command prints; empty if it does not run."""
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace",
                              timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.partition("\n")[0].strip()


def commit() -> str:
    """The commit that was measured, `+dirty` if tracked files differ from it."""
    name = _first_line("git", "rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown"
    changed = _first_line("git", "status", "--porcelain", "--untracked-files=no")
    return name + ("+dirty" if changed else "")


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The host CPU's name, as far as the kernel tells it."""
    try:
        text = cpuinfo.read_text(errors="replace")
        match = re.search(r"^(?:model name|uarch)\s*:\s*(.+)$", text, re.M)
    except OSError:
        match = None
    return match[1].strip() if match else platform.machine()


def describe(qemu: str | None, harts: Sequence[int], backing: str) -> dict[str, object]:
    """The header of a result, before the first boot; the firmware is added when it is known."""
    _, version = find_qemu(qemu)
    return {
        "note": NOTE,
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "commit": commit(),
        "qemu": version,
        "opensbi": "",
        "compiler": _first_line(TARGET_CC, "--version"),
        "backing": parse_backing(backing).name(),
        "host_cpu": cpu_model(),
        "host_cores": host_cores(),
        "host_load_before": load_averages(),
        "harts": sorted(set(harts)),
    }


def describe_model(machine: str, harts: Sequence[int]) -> dict[str, object]:
    """The header of a result in virtual time: nothing of the host, which has no part in it."""
    return {
        "note": MODELLED,
        "machine": machine,
        "date": "",
        "commit": commit(),
        "qemu": "",
        "opensbi": "",
        "compiler": "",
        "backing": "null",
        "host_cpu": "",
        "host_cores": None,
        "host_load_before": [],
        "harts": sorted(set(harts)),
    }


def load_averages() -> list[float]:
    """The host's load over 1, 5 and 15 minutes; empty where it does not tell."""
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except OSError:
        return []


def load_text(averages: Sequence[float]) -> str:
    """The load averages over 1, 5 and 15 minutes."""
    return "/".join(f"{each:g}" for each in averages) or "unknown"


def has_device_core(harts: int, cores: int | None) -> bool:
    """Harts that spin leave a core of the host to the device's thread; yes where it is unknown."""
    return cores is None or harts < cores


def header(environment: dict) -> str:
    """The environment in a few lines, for the console and the answer."""
    harts = environment["harts"]
    if machine := environment.get("machine"):
        return f"{machine}, commit {environment['commit']}\n{environment['note']}"
    resumed = f" (resumed {environment['resumed']})" if "resumed" in environment else ""
    room = has_device_core(max(harts, default=1), environment["host_cores"])
    shared = "" if room else "; they compete"
    load = f"load {load_text(environment['host_load_before'])} before"
    if "host_load_after" in environment:
        load += f", {load_text(environment['host_load_after'])} after the run"
    if environment.get("steal_fraction") is not None:
        load += f"; {environment['steal_fraction']:.1%} stolen by its hypervisor"
    return "\n".join((
        f"QEMU {environment['qemu']}, OpenSBI {environment['opensbi'] or 'unknown'}, "
        f"{environment['compiler'] or TARGET_CC + ' unknown'}",
        f"commit {environment['commit']}, {environment['date']}{resumed}, "
        f"backing {environment['backing']}",
        f"host: {environment['host_cores']} cores ({environment['host_cpu']}), {load}",
        f"guest: {'/'.join(map(str, harts))} hart(s) and one device thread{shared}",
        environment["note"],
    ))
