"""Runs the bench in virtual time and gives its records: no host time has a part in them."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence

from cli.errors import Failed
from sim.machine import SimMachine

TIMEOUT_S = 300.0  # ends a run that hangs, and judges none


def records(machine: SimMachine, *words: str) -> list[dict]:
    """The lines of all points of one run. Failed with what the program said."""
    machine.arguments = [*machine.arguments, *words]
    argv = machine.argv()
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise Failed(f"the machine in virtual time failed:\n{done.stdout[-2000:]}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()
            if line.startswith('{"hartq_bench"')]


def ios_of(record: dict) -> int:
    """I/Os completed in a window, on this machine or on QEMU's."""
    return record["read"]["total_ios"] + record["write"]["total_ios"]


def iops_of(record: dict) -> float:
    """I/Os per second."""
    return ios_of(record) * 1e9 / record["runtime_ns"]


def idle_of(record: dict) -> float:
    """The harts' share of the window that they slept, their mean."""
    return statistics.fmean(record["idle_ns"]) / record["runtime_ns"]


def latency_of(record: dict) -> float:
    """The mean latency of its reads, in ns."""
    side = record["read"]["lat_ns"]
    return side["sum"] / max(1, side["N"])


def joined(values: Sequence[object]) -> str:
    """A list option's value."""
    return ",".join(map(str, values))
