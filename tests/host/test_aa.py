"""aa.py: the test of the method, with results that are not measured."""

from __future__ import annotations

import copy
import random
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

import support
from fake_results import fake_result

import aa
from measure.plan import Plan, Sweep


def sides(
    slow: float, spread: float, shift: float = 1.0, host: float = 1.0
) -> tuple[dict[str, dict], set[str]]:
    """Results of A, B and S; S is slower at every other point, never the raw ring.

    B differs by `shift`, but for the raw ring, and all of B by `host`.
    """
    source = random.Random(3)
    base = fake_result("1,2,4,8,16,32")
    names = [job["jobname"] for job in base["jobs"]]
    slowed = set(names[::2])
    built = {}
    for side in aa.SIDES:
        built[side] = copy.deepcopy(base)
        built[side]["pair"] = "x"
        for job in built[side]["jobs"]:
            raw = job["hartq"]["completion"] == "raw"
            factor = host * (1.0 if raw else shift) if side == "B" else 1.0
            factor *= slow if side == "S" and job["jobname"] in slowed else 1.0
            job["hartq"]["boots"] = [
                {"boot": i,
                 "iops": 1e5 * factor * source.lognormvariate(0, spread)}
                for i in range(8)
            ]
    return built, slowed


class Judge(unittest.TestCase):
    """What passes and what does not."""

    def test_method_holds(self) -> None:
        words, holds = aa.judge(*sides(0.8, 0.05))
        self.assertTrue(holds, words)
        self.assertIn("0 of 24 points differ", words[0])
        self.assertIn("12 of 12 slowed points found", words[1])

    def test_builds_that_differ(self) -> None:
        for host, shift in ((1.0, 0.85), (1.0, 1.2), (0.9, 0.85), (0.9, 1.0)):
            words, holds = aa.judge(*sides(0.8, 0.02, shift=shift, host=host))
            self.assertFalse(holds)
            self.assertEqual([word[:4] for word in words], ["FAIL", "ok  "])

    def test_another_build_may_be_faster(self) -> None:
        for shift, passes in ((1.3, True), (1.0, True), (0.8, False)):
            words, holds = aa.judge(*sides(0.8, 0.02, shift=shift), other=True)
            self.assertEqual(holds, passes, words)
            self.assertIn("another build", words[0])

    def test_slow_down_that_is_not_seen(self) -> None:
        for slow, spread in ((1.0, 0.05), (0.8, 1.5)):
            words, holds = aa.judge(*sides(slow, spread))
            self.assertFalse(holds, words)
            self.assertTrue(words[1].startswith("FAIL"))


class Parts(unittest.TestCase):
    """The brake, the order, the choice."""

    def test_brake_asks_for_its_share(self) -> None:
        told: list[tuple[str, float]] = []
        brake = aa.Brake(30)
        brake._over = mock.Mock(wait=lambda s: told.append(("runs", s)) or len(told) > 8)
        with mock.patch.object(aa.os, "kill", lambda pid, signum: told.append(("kill", signum))), \
             mock.patch.object(aa.time, "sleep", lambda s: told.append(("stands", s))):
            brake._work(1)
        period = [("runs", 0.7 * aa.PERIOD_S), ("kill", signal.SIGSTOP),
                  ("stands", 0.3 * aa.PERIOD_S), ("kill", signal.SIGCONT)]
        wanted = [*period, *period, period[0]]
        self.assertEqual([word for word, _ in told], [word for word, _ in wanted])
        for (_, value), (_, other) in zip(told, wanted):
            self.assertAlmostEqual(value, other)

    def test_brake_stops_its_process(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            brake = aa.Brake(50)

            def stopped() -> bool:
                with open(f"/proc/{child.pid}/stat", encoding="ascii") as stat:
                    return stat.read().rpartition(")")[2].split()[0] == "T"

            self.assertFalse(stopped())
            brake.press(child.pid)
            until_s = time.monotonic() + support.HUNG_S
            while not stopped():
                self.assertLess(time.monotonic(), until_s)
            brake.release()
            self.assertFalse(any(stopped() for _ in range(20)))
        finally:
            child.send_signal(signal.SIGCONT)
            child.kill()
            child.wait()

    def test_brake_outlives_its_process(self) -> None:
        child = subprocess.Popen(["true"])
        child.wait()
        brake = aa.Brake(20)
        brake.press(child.pid)
        brake._thread.join(support.HUNG_S)
        self.assertFalse(brake._thread.is_alive())
        brake.release()

    def test_every_side_goes_first(self) -> None:
        orders = [aa.order_of_boot(boot) for boot in range(6)]
        self.assertEqual(len(set(orders)), 6)
        self.assertEqual([order[0] for order in orders].count("A"), 2)

    def test_choice_follows_the_seed(self) -> None:
        plan = Plan((Sweep((1, 2, 4)), Sweep((8,), (0,))), 6, 10, 10)
        chosen = aa.choose(plan, 1)
        self.assertEqual(chosen, aa.choose(plan, 1))
        self.assertNotEqual([chosen] * 9, [aa.choose(plan, seed) for seed in range(2, 11)])
        self.assertEqual([len(each) for each in chosen], [1, 0])
        self.assertLess(max(chosen[0]), 3)
        self.assertEqual(aa.choose(Plan(aa.SWEEPS, 6, 10, 10), 1)[-1], set(), "no raw")

    def test_bad_arguments(self) -> None:
        for words in (["--boots", "5"], ["--slow", "0"], ["--slow", "91"]):
            done = support.run_script("aa.py", *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"aa.py: {words[0]}", done.stderr)


if __name__ == "__main__":
    unittest.main()
