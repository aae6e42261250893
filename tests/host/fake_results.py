"""Results of the guest that is not there, for the tests of what reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "scripts"), str(HERE)]

from measure import environment  # noqa: E402
import fake_guest  # noqa: E402
from qemu import host_cpu  # noqa: E402
from analysis import summary  # noqa: E402
from measure.windows import Window  # noqa: E402

ENVIRONMENT = {
    "note": environment.NOTE, "date": "2026-01-01 00:00:00 UTC", "commit": "0123456789ab",
    "qemu": "7.2.99", "opensbi": "v1.1", "compiler": "gcc 12", "backing": "null",
    "host_cpu": "a CPU", "host_cores": 2, "host_load_before": [0.1, 0.1, 0.1], "harts": [1],
}


def fake_windows(
    words: list[str],
    ways: str = "",
    first_boot: int = 0,
    delivery: str = "per-hart",
    percent: int = 0,
) -> list[Window]:
    """The fake guest's windows, each repetition a boot; `percent` is what its load was asked as."""
    told = fake_guest.lines(words, ways, delivery)
    records = [json.loads(text) for text in told if text.startswith('{"hartq_b')]
    share = dict.fromkeys(host_cpu.CLASSES, 1000000)
    spent = host_cpu.Spent(share, share, 100000000, stolen_ticks=1, core_ticks=20)
    return [
        Window(r, spent, boot=first_boot + r["repetition"], percent=percent)
        for r in records
        if "hartq_bench" in r
    ]


MODES = "poll,irq,hybrid,raw"


def fake_words(depths: str, repetitions: int = 6, harts: int = 1, modes: str = MODES) -> list[str]:
    """The guest's command line."""
    return ["rw=randread", "bs=4096", f"iodepth={depths}", "iodepth_batch_submit=1",
            f"numjobs={harts}", f"completion={modes}", "runtime=100ms",
            f"repetitions={repetitions}"]


def as_result(windows: list[Window], qemu: str = "7.2.99", saturation: list | None = None) -> dict:
    """A result as bench.py builds it, through JSON and back."""
    header = {**ENVIRONMENT, "qemu": qemu}
    return json.loads(json.dumps(summary.build(windows, header, {}, False, saturation)))


def fake_result(depths: str = "1,8,32", ways: str = "", repetitions: int = 6) -> dict:
    """Every mode on one hart."""
    return as_result(fake_windows(fake_words(depths, repetitions), ways))
