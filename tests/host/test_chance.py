"""chance.py: how often all deals of the boots make some figure fall as far; what that finds."""

from __future__ import annotations

import math
import random
import unittest

from fake_results import fake_result

from analysis import permutation, two_results


def noise(source: random.Random, figures: int, boots: int, shift: float = 0.0) -> list[list[float]]:
    """Logarithms: a boot's own speed moves all of its figures."""
    own = [source.gauss(0, 0.05) for _ in range(boots)]
    return [[shift + mine + source.gauss(0, 0.05) for mine in own] for _ in range(figures)]


class Fallen(unittest.TestCase):
    """Shares that can be counted by hand, and those of many trials."""

    def test_one_deal_of_all(self) -> None:
        high, low = [1.0, 1.1, 1.2], [0.7, 0.8, 0.9]
        self.assertEqual(permutation.fallen([high], [low], False), [1 / 20])
        self.assertEqual(permutation.fallen([low], [high], False), [1.0])
        self.assertEqual(permutation.fallen([high + high], [low + low], True), [1 / 64])
        self.assertEqual(permutation.fallen([low + low], [high + high], True), [1.0])
        self.assertEqual(permutation.fallen([], [], False), [])

    def test_sides_of_other_sizes(self) -> None:
        self.assertEqual(permutation.fallen([[1.0, 1.1, 1.2, 1.3]], [[0.5, 0.6]], False), [1 / 15])
        self.assertEqual(permutation.fallen([[1.0, 1.1]], [[0.5, 0.6, 0.4, 0.3]], False), [1 / 15])

    def test_what_is_all_the_same_has_not_fallen(self) -> None:
        same = [[0.3] * 4]
        self.assertEqual(permutation.fallen(same, same, False), [1.0])
        self.assertEqual(permutation.fallen(same, same, True), [1.0])

    def test_a_fall_among_others_is_found_alone(self) -> None:
        source = random.Random(2)
        before, now = noise(source, 12, 6), noise(source, 12, 6)
        now[7] = [value - 0.6 for value in now[7]]
        shares = permutation.fallen(before, now, False)
        found = [share <= permutation.FALSE_ALARMS for share in shares]
        self.assertEqual([i for i, fell in enumerate(found) if fell], [7])

    def test_false_alarms_of_many_figures(self) -> None:
        for paired in (False, True):
            source, alarms = random.Random(3), 0
            for _ in range(100):
                shares = permutation.fallen(noise(source, 10, 5), noise(source, 10, 5), paired)
                alarms += min(shares) <= permutation.FALSE_ALARMS
            self.assertLessEqual(alarms, 10, "of 100; more than 10 by 1 %")
            self.assertGreater(alarms, 0)

    def test_deals_of_many_boots_are_drawn(self) -> None:
        for paired, boots in ((False, 8), (True, 13)):
            deals = permutation._deals(boots, boots, paired)
            self.assertEqual(len(deals), permutation.DEALS_MOST)
            self.assertEqual(deals[0], [1] * boots + ([] if paired else [-1] * boots))
            self.assertEqual({len(deal) for deal in deals}, {len(deals[0])})
            self.assertGreater(len(set(map(tuple, deals))), 0.6 * len(deals))
        self.assertEqual(len(permutation._deals(6, 6, False)), 924)
        self.assertEqual(permutation._deals(6, 6, False)[0], [1] * 6 + [-1] * 6)
        self.assertEqual({sum(deal) for deal in permutation._deals(6, 5, False)}, {1})
        source = random.Random(4)
        (share,) = permutation.fallen([[source.gauss(1, 0.1) for _ in range(9)]],
                                 [[source.gauss(0, 0.1) for _ in range(9)]], False)  # fmt: skip
        self.assertLessEqual(share, 2 / permutation.DEALS_MOST)


def simulated(chance: random.Random, noise: tuple, host: float = 1.0, slow: float = 1.0,
              slowed: int = 5) -> list[list[dict]]:  # fmt: skip
    """Logarithms by mode, point and boot: of each boot, of each mode in it, of each window.

    Interrupts feel the host more than the rest; `slowed` points of theirs are slower.
    """
    boot_sd, mode_sd, window_sd = noise
    boots = [math.log(host) + chance.gauss(0, boot_sd) for _ in range(6)]
    made = {}
    for mode, power in (("limit", 1.0), ("poll", 1.0), ("irq", 1.3), ("hybrid", 1.15)):
        mine = [power * boot + chance.gauss(0, mode_sd) for boot in boots]
        for point in range(5):
            factor = slow if mode == "irq" and point < slowed else 1.0
            made[mode, point] = [
                factor * math.exp(boot + chance.gauss(0, window_sd)) for boot in mine
            ]
    return made


class Simulation(unittest.TestCase):
    """How often the verdict is wrong, and how often it finds what is there.

    QUIET and BUSY have the spreads of two runs of the reference, on a quiet and on a busy host.
    """

    QUIET, BUSY = (0.016, 0.005, 0.045), (0.13, 0.03, 0.19)  # boots, modes, windows

    @classmethod
    def setUpClass(cls) -> None:
        cls.base = fake_result("1,2,4,8,16")

    def found(self, noise: tuple, threshold: float, hosts=(1.0,), **slow) -> float:
        """The share of comparisons with something slower."""
        chance, alarms, count = random.Random(11), 0, 20
        for trial in range(count):
            sides = []
            for more in ({}, {"host": hosts[trial % len(hosts)], **slow}):
                made = simulated(chance, noise, **more)
                jobs = [dict(job, hartq=dict(job["hartq"])) for job in self.base["jobs"]]
                places = dict.fromkeys(("limit", "poll", "irq", "hybrid"), 0)
                for job in jobs:
                    mode = job["hartq"]["completion"]
                    job["hartq"]["rounds"] = [
                        {"boot": boot, "iops": 1e5 * iops}
                        for boot, iops in enumerate(made[mode, places[mode]])
                    ]
                    places[mode] += 1
                sides.append({"jobs": jobs})
            alarms += -1 in two_results.verdicts(
                two_results.judged(two_results.differences(*sides)), threshold
            ).values()
        return alarms / count

    def test_one_build_is_not_slower_than_itself(self) -> None:
        for noise in (self.QUIET, self.BUSY):
            self.assertLessEqual(self.found(noise, 0.05, (1.0, 0.9, 0.95, 1.1)), 0.05)
            self.assertLessEqual(self.found(noise, 0.0), 0.15, "more than 3 of 20: by 2 %")

    def test_a_regression_is_found(self) -> None:
        self.assertGreaterEqual(self.found(self.QUIET, 0.05, slow=0.85), 0.9)
        self.assertGreaterEqual(self.found(self.QUIET, 0.05, slow=0.8, slowed=3), 0.9)
        self.assertGreaterEqual(self.found(self.BUSY, 0.05, slow=0.6), 0.8)


if __name__ == "__main__":
    unittest.main()
