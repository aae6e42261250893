"""What the bench measures: points, the sweeps that one boot can run, presets and the plan.

A sweep is a product of lists, because the guest runs products; a preset is a few of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

from machine import PRIVATE_LINES, UsageError, parse_size

COMPLETIONS = ("poll", "irq", "limit")
WORKLOADS = ("randread", "randwrite", "randrw", "read", "write", "rw")
MIXED = ("randrw", "rw", "readwrite")  # not for limit: its ring is filled once
DEPTH_MAX = 1023
HARTS_MAX = 8
BLOCK_UNIT = 512  # bytes of a logical block: a transfer is whole ones
BLOCK_MAX = 1 << 20
LIMIT_BLOCK_MAX = 512 << 10  # one command's most (MDTS 7 of QEMU): the raw ring does not split
BOOT_S = 1.5  # start of QEMU and the guest's set-up, for the estimate only
WINDOW_EXTRA_S = 0.03  # between two windows: drain, print, next
NS_PER_UNIT = {"": 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "m": 60 * 10**9}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A product of lists. A batch of 0 stands for the whole depth."""

    iodepth: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = (1,)
    completion: tuple[str, ...] = COMPLETIONS
    bs: tuple[int, ...] = (4096,)
    rw: tuple[str, ...] = ("randread",)
    harts: tuple[int, ...] = (1,)

    def points(self) -> int:
        """How many points the product has."""
        lists = (self.iodepth, self.batch, self.completion, self.bs, self.rw, self.harts)
        count = 1
        for each in lists:
            count *= len(each)
        return count


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sweeps, and how long and how often they run."""

    sweeps: tuple[Sweep, ...]
    rounds: int
    boots: int
    runtime_ms: int
    ramp_ms: int


DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
PRESETS = {
    "quick": Preset(
        (Sweep((1, 8, 32, 128)), Sweep((32,), (0,))), rounds=6, boots=2, runtime_ms=250, ramp_ms=30
    ),
    "default": Preset(
        (Sweep(DEPTHS), Sweep((32, 128), (8, 0))), rounds=6, boots=3, runtime_ms=500, ramp_ms=50
    ),
    "full": Preset(
        (
            Sweep((*DEPTHS, 256, 512)),
            Sweep((8, 32, 128, 512), (8, 0)),
            Sweep((1, 32, 128), harts=(2, 4, 8)),
            Sweep((32, 128), (0,), harts=(2, 4, 8)),
            Sweep((1, 32), bs=(512, 16384, 65536, 262144, 1048576)),
            Sweep((1, 32), rw=("randwrite", "randrw", "read", "write")),
        ),
        rounds=12,
        boots=4,
        runtime_ms=500,
        ramp_ms=50,
    ),
}  # fmt: skip


def parse_numbers(text: str, what: str, low: int, high: int) -> tuple[int, ...]:
    """`1,4,32` as numbers in their range, each once."""
    values = []
    for word in map(str.strip, text.split(",")):
        if not re.fullmatch(r"[0-9]+", word):
            raise UsageError(f"{what}: '{word}' is not a number")
        if not low <= int(word) <= high:
            raise UsageError(f"{what}: {word} is out of range ({low} to {high})")
        values.append(int(word))
    return tuple(dict.fromkeys(values))


def parse_blocks(text: str, what: str) -> tuple[int, ...]:
    """`4k,1m` as sizes of a transfer, each once."""
    values = []
    for word in map(str.strip, text.split(",")):
        value = parse_size(word, what)
        if value > BLOCK_MAX:
            raise UsageError(f"{what}: {word} is out of range ({BLOCK_UNIT} to {BLOCK_MAX})")
        if value % BLOCK_UNIT:
            raise UsageError(f"{what}: {word} is not a multiple of {BLOCK_UNIT}")
        values.append(value)
    return tuple(dict.fromkeys(values))


def parse_words(text: str, what: str, known: Sequence[str]) -> tuple[str, ...]:
    """`poll,irq` as words that are known, each once."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UsageError(f"{what}: '{word}' is unknown ({', '.join(known)})")
    return tuple(dict.fromkeys(words))


def parse_time_ms(text: str, what: str) -> int:
    """`500ms`, `2s` or `2` (seconds, as fio) in milliseconds."""
    number = text.strip().rstrip("smu")
    unit = text.strip()[len(number) :]
    try:
        value_ms = float(number) * NS_PER_UNIT[unit] / 1e6
    except (ValueError, KeyError) as error:
        raise UsageError(f"{what}: '{text}' is not a time (such as 500ms or 2s)") from error
    if not 1 <= value_ms <= 3.6e6:
        raise UsageError(f"{what}: {text} is out of range (1ms to 3600s)")
    return round(value_ms)


def _batches(depth: int, batches: Iterable[int]) -> tuple[int, ...]:
    """The batches that exist at a depth, each once: none is larger than the depth."""
    kept: dict[int, int] = {}
    for batch in batches:
        if batch <= depth:
            kept.setdefault(batch or depth, batch)
    return tuple(kept.values())


def _split_depths(sweep: Sweep) -> Iterator[Sweep]:
    """Depths that have the same batches stay together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for depth in sweep.iodepth:
        groups.setdefault(_batches(depth, sweep.batch), []).append(depth)
    for batch, depths in groups.items():
        if batch:
            yield dataclasses.replace(sweep, iodepth=tuple(depths), batch=batch)


def _split_modes(sweep: Sweep) -> Iterator[Sweep]:
    """One hart count each, and only the modes that exist for it, the block size and the mix."""
    small = tuple(size for size in sweep.bs if size <= LIMIT_BLOCK_MAX)
    large = tuple(size for size in sweep.bs if size > LIMIT_BLOCK_MAX)
    pure = tuple(rw for rw in sweep.rw if rw not in MIXED)
    mixed = tuple(rw for rw in sweep.rw if rw in MIXED)
    for harts in sweep.harts:
        modes = tuple(m for m in sweep.completion if m != "irq" or harts <= PRIVATE_LINES)
        engine = tuple(mode for mode in modes if mode != "limit")
        groups = ((pure, small, modes), (pure, large, engine), (mixed, sweep.bs, engine))
        for rw, bs, kept in groups:
            if rw and bs and kept:
                yield dataclasses.replace(sweep, harts=(harts,), rw=rw, bs=bs, completion=kept)


def runnable(sweeps: Iterable[Sweep]) -> list[Sweep]:
    """Sweeps of one machine each: one hart count, no batch above its depth.

    A controller interrupts one hart only, and `virt` has four private lines: above four harts the
    interrupt mode has no points. Above one command's most bytes, and for reads mixed with writes,
    the device limit has none.
    """
    result: dict[Sweep, None] = {}
    for sweep in sweeps:
        for one in _split_modes(sweep):
            result.update(dict.fromkeys(_split_depths(one)))
    if not result:
        raise UsageError(
            "plan: no point is left (a batch is at most its depth; interrupts need a private line "
            f"per hart: at most {PRIVATE_LINES} harts; limit is for reads or writes alone, of at "
            f"most {LIMIT_BLOCK_MAX >> 10}k)"
        )
    return list(result)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that is to be run."""

    sweeps: tuple[Sweep, ...]
    rounds: int
    boots: int
    runtime_ms: int
    ramp_ms: int

    def points(self) -> int:
        """Points of all sweeps."""
        return sum(sweep.points() for sweep in self.sweeps)

    def windows(self) -> int:
        """Measured windows: one per point and round."""
        return self.points() * self.rounds

    def rounds_of_boot(self, boot: int) -> range:
        """The numbers of the rounds that a boot runs."""
        return range(self.rounds * boot // self.boots, self.rounds * (boot + 1) // self.boots)

    def window_s(self) -> float:
        """Estimated seconds from one window to the next."""
        return (self.runtime_ms + self.ramp_ms) / 1e3 + WINDOW_EXTRA_S

    def seconds(self) -> float:
        """Estimated seconds of the whole run."""
        return self.windows() * self.window_s() + self.boots * len(self.sweeps) * BOOT_S

    def describe(self) -> str:
        """Two lines that say what will be done."""
        minutes, seconds = divmod(round(self.seconds()), 60)
        plural = "s" if self.boots > 1 else ""
        depths = sorted({depth for sweep in self.sweeps for depth in sweep.iodepth})
        modes = dict.fromkeys(mode for sweep in self.sweeps for mode in sweep.completion)
        return (
            f"plan: {self.points()} points x {self.rounds} rounds of {self.runtime_ms} ms "
            f"in {self.boots} boot{plural}, about {minutes} min {seconds:02} s\n"
            f"      {', '.join(modes)}; queue depths {', '.join(map(str, depths))}"
        )


def guest_arguments(plan: Plan, sweep: Sweep, boot: int) -> list[str]:
    """The guest's command line for one sweep of one boot.

    The modes take turns at being first, so that none profits from its place in the round.
    """

    def comma(values: Iterable[object]) -> str:
        return ",".join(map(str, values))

    turn = boot % len(sweep.completion)
    return [
        f"rw={comma(sweep.rw)}",
        f"bs={comma(sweep.bs)}",
        f"iodepth={comma(sweep.iodepth)}",
        f"iodepth_batch_submit={comma(sweep.batch)}",
        f"numjobs={comma(sweep.harts)}",
        f"completion={comma(sweep.completion[turn:] + sweep.completion[:turn])}",
        f"runtime={plan.runtime_ms}ms",
        f"ramp_time={plan.ramp_ms}ms",
        f"rounds={len(plan.rounds_of_boot(boot))}",
        f"randseed={boot + 1}",
    ]
