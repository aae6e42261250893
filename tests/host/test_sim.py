"""The machine in virtual time: what it charges, and that it is the same on every host."""

from __future__ import annotations

import json
import resource
import subprocess
import unittest

from support import ROOT

from measure import instructions

PROGRAM = ROOT / "build" / "sim-bench"
COUNTED = ROOT / "build" / "sim-instructions"
SHARE_MOST = 0.05  # between what is charged and what was counted
# The machines of `make instructions`; slow harts, which wait for the device in few steps.
MACHINES = ([], ["sim.messages=1"], ["sim.harts=2"], ["sim.harts=8"])
SLOW = "sim.instruction_ps=100000"


def run(program: str, *words: str) -> str:
    """What a program prints; it must succeed."""
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout


def rows(text: str, key: str) -> list[dict]:
    """The JSON lines that begin with this key."""
    return [json.loads(line) for line in text.splitlines() if line.startswith(f'{{"{key}":')]


class Costs(unittest.TestCase):
    """The program that counts instructions on QEMU, on this machine."""

    def test_charges_agree_with_the_counts(self) -> None:
        """Every configuration of the baseline, within 5 %."""
        baseline = json.loads(instructions.BASELINE.read_text(encoding="utf-8"))["figures"]
        charged = {}
        for words in MACHINES:
            for row in rows(run(str(COUNTED), SLOW, *words), "hartq_instructions"):
                charged[instructions.name_of(row)] = row
        self.assertEqual(set(charged), set(baseline))
        for name, parts in baseline.items():
            with self.subTest(name):
                now = sum(charged[name][part] for part in parts)
                counted = sum(parts.values())
                self.assertLess(abs(now / counted - 1), SHARE_MOST, f"{now} of {counted}")


class SameEverywhere(unittest.TestCase):
    """One seed, one result."""

    WORDS = ("completion=poll,irq,hybrid", "iodepth=1,8", "runtime=20ms", "ramp_time=2ms")

    def test_a_run_repeats_byte_by_byte(self) -> None:
        """Under load too: another run at the same time changes nothing."""
        alone = run(str(PROGRAM), *self.WORDS)
        longer = [PROGRAM, *self.WORDS[:2], "runtime=10s"]
        with subprocess.Popen(longer, stdout=subprocess.DEVNULL) as busy:
            loaded = run(str(PROGRAM), *self.WORDS)
            busy.kill()
        self.assertEqual(alone, loaded)

    def test_another_seed_is_another_run(self) -> None:
        """Where the device has a distribution."""
        spread = "sim.read=0:1000,1000000:9000"
        first, second = (run(str(PROGRAM), spread, f"sim.seed={seed}", *self.WORDS)
                         for seed in "12")
        self.assertNotEqual(first, second)


class Speed(unittest.TestCase):
    """Host time, as the processor counts it."""

    LEAST = 1e6  # I/Os per second of it

    def test_a_million_a_second(self) -> None:
        """The default depths and modes."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = run(str(PROGRAM), "sim.units=128", "sim.gap_ns=1500", "completion=poll,irq,hybrid",
                   "iodepth=1,4,16,64", "runtime=100ms", "ramp_time=1ms")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ios = sum(row["read"]["total_ios"] for row in rows(text, "hartq_bench"))
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.assertGreater(ios / spent, self.LEAST, f"{ios} I/Os in {spent:.2f} s")


if __name__ == "__main__":
    unittest.main()
