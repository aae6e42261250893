"""The modes against each other on modelled machines: a gate without noise.

What holds for the modes is asserted; and every figure is that of tests/host/sim_gate.json, because
a run repeats exactly. After a change on purpose: `python3 tests/host/test_sim_gate.py update`.
"""

from __future__ import annotations

import functools
import json
import sys
import unittest
from pathlib import Path

from support import ROOT

from sim import section

BASELINE = Path(__file__).with_name("sim_gate.json")
HYBRID_LEAST = 0.97  # of polling's and of interrupts' IOPS
IDLE_LEAST = 0.90  # of interrupts' idle time at the lowest load

Figures = dict[str, dict[str, float]]  # by point: iops, idle, latency_ns
measure = functools.lru_cache(section.measure)


def figures(profile: str) -> Figures:
    """What the baseline keeps of a profile."""
    found = {}
    for point in measure(profile)[0]:
        load = f" load {point['load']} %" if point["load"] else ""
        found[f"{point['mode']} depth {point['depth']}{load}"] = {
            name: point[name] for name in ("iops", "idle", "latency_ns")}
    return found


class Modes(unittest.TestCase):
    """What polling, interrupts and hybrid are for."""

    def each(self) -> list[tuple[str, Figures]]:
        """The profiles' figures."""
        return [(profile, figures(profile)) for profile in section.PROFILES]

    def test_nothing_goes_wrong(self) -> None:
        """No interrupt is missed, no request fails."""
        for profile in section.PROFILES:
            for record in measure(profile)[1]:
                with self.subTest(profile, point=record["jobname"]):
                    counters = record["counters"]
                    wrong = {name: counters[name] for name in ("missed", "stale", "malformed")}
                    self.assertEqual({**wrong, "errors": record["errors"]},
                                     {"missed": 0, "stale": 0, "malformed": 0, "errors": 0})

    def test_polling_is_first_at_depth_one(self) -> None:
        """And interrupts leave the hart to others there."""
        for profile, found in self.each():
            with self.subTest(profile):
                self.assertGreater(found["poll depth 1"]["iops"],
                                   found["irq depth 1"]["iops"])
                self.assertGreater(found["irq depth 1"]["idle"], 0.9)

    def test_hybrid_keeps_up_with_both(self) -> None:
        """At every depth."""
        for profile, found in self.each():
            for depth in section.DEPTHS:
                with self.subTest(profile, depth=depth):
                    poll, irq, hybrid = (found[f"{mode} depth {depth}"]["iops"]
                                         for mode in section.MODES)
                    self.assertGreater(hybrid, HYBRID_LEAST * max(poll, irq))

    def test_hybrid_sleeps_where_there_is_little_to_do(self) -> None:
        """Nearly as long as interrupts do, and nobody waits longer for it."""
        for profile, found in self.each():
            with self.subTest(profile):
                place = f"depth {section.LOADED_DEPTH} load {section.LOADS[0]} %"
                irq, hybrid = (found[f"{mode} {place}"] for mode in section.MODES[1:])
                self.assertGreater(hybrid["idle"], IDLE_LEAST * irq["idle"])
                self.assertLess(hybrid["latency_ns"], 1.02 * irq["latency_ns"])


class Baseline(unittest.TestCase):
    """A charge that is lost makes figures better, so both ways count."""

    maxDiff = None

    def test_no_figure_changes(self) -> None:
        """IOPS, idle time and latency of each point."""
        baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
        for profile in section.PROFILES:
            with self.subTest(profile):
                self.assertEqual(figures(profile), baseline[profile],
                                 "on purpose? python3 tests/host/test_sim_gate.py update")


if __name__ == "__main__":
    if sys.argv[1:] == ["update"]:
        kept = {profile: figures(profile) for profile in section.PROFILES}
        BASELINE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"written: {BASELINE.relative_to(ROOT)}")
    else:
        unittest.main()
