"""bench.py --compare: two results point by point; the interval of a ratio that is not paired."""

from __future__ import annotations

import copy
import json
import random
import unittest

import support
from fake_results import as_result, fake_result, fake_windows, fake_words

from analysis import intervals, two_results
from qemu.machine import UsageError


def with_boots(
    result: dict, factor: float, source: random.Random, spread: float, host: float = 1.0
) -> dict:
    """The same result with other boots: 6, with noise, the modes times a factor.

    All of them, and the raw rings, times `host`.
    """
    made = copy.deepcopy(result)
    for job in made["jobs"]:
        mine = host * 1e5 * (1.0 if job["hartq"]["completion"] == "raw" else factor)
        job["hartq"]["iops_median"] = mine
        job["hartq"]["boots"] = [
            {"boot": i, "iops": mine * source.lognormvariate(0, spread),
             "p99_ns": round(9000 / factor)} for i in range(6)
        ]
    return made


def job(boots: list[dict]) -> dict:
    """As far as by_boot() reads one."""
    return {"hartq": {"boots": boots}}


class Bootstrap(unittest.TestCase):
    """The interval of a ratio of samples that were not taken in pairs."""

    def test_holds_the_ratio(self) -> None:
        source, held = random.Random(3), 0
        for _ in range(100):
            above, below = ([source.lognormvariate(0, 0.1) for _ in range(6)] for _ in range(2))
            found = intervals.unpaired_ratio(above, below)
            self.assertLess(found.low, found.median)
            self.assertLess(found.median, found.high)
            held += found.low <= 1.0 <= found.high
        self.assertGreaterEqual(held, 85)

    def test_is_the_same_each_time(self) -> None:
        samples = [1.0, 1.2, 1.1, 0.9], [2.0, 2.1, 1.9]
        self.assertEqual(*(intervals.unpaired_ratio(*samples) for _ in range(2)))

    def test_no_spread_no_interval(self) -> None:
        found = intervals.unpaired_ratio([1.0] * 6, [2.0] * 6)
        self.assertEqual((found.low, found.median, found.high), (0.5, 0.5, 0.5))


class Differences(unittest.TestCase):
    """Simulated runs."""

    def setUp(self) -> None:
        self.result = fake_result("1,8,32")
        self.source = random.Random(5)

    def sides(self, factor: float, spread: float, host: float = 1.0) -> tuple[dict, dict]:
        first = with_boots(self.result, 1.0, self.source, spread)
        return first, with_boots(self.result, factor, self.source, spread, host)

    @staticmethod
    def told(first: dict, second: dict) -> list[str]:
        return two_results.lines(first, two_results.differences(first, second))

    def test_ratio_and_interval(self) -> None:
        for pair in (None, "x"):
            first, second = ({**side, "pair": pair} for side in self.sides(0.8, 0.02))
            for each in two_results.differences(first, second):
                wanted = 1.0 if each.name.endswith("raw") else 0.8
                self.assertAlmostEqual(each.iops.median, wanted, delta=0.05)
                self.assertLess(each.iops.low, 1.02 * wanted)
                self.assertGreater(each.iops.high, 0.98 * wanted)
                self.assertAlmostEqual(each.p99.median, 1.25, delta=0.001)

    def test_pairs_have_no_difference_of_the_host_in_them(self) -> None:
        first, second = self.sides(0.8, 0.0)
        for side in (first, second):
            side["pair"] = "x"
            for each in side["jobs"]:
                for one in each["hartq"]["boots"]:
                    one["iops"] *= 1 + one["boot"]
        second["jobs"][0]["hartq"]["boots"].pop(2)
        for each in two_results.differences(first, second):
            if not each.name.endswith("raw"):
                self.assertAlmostEqual(each.iops.low, each.iops.high)
                self.assertAlmostEqual(each.iops.median, 0.8)

    def test_boots_are_the_samples(self) -> None:
        boots = [{"boot": i, "iops": 1.0 + i} for i in range(4)]
        self.assertEqual(two_results.by_boot(job(boots)), {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0})
        self.assertEqual(list(two_results.by_boot(job(boots[::-1]))), [0, 1, 2, 3])
        boots = [{"boot": i, "p99_ns": i if i != 1 else None} for i in range(3)]
        self.assertEqual(two_results.by_boot(job(boots), "p99_ns"), {0: 0, 2: 2})

    def test_the_hosts_speed_is_told(self) -> None:
        told = self.told(*self.sides(1.0, 0.01, host=0.5))
        self.assertRegex(told[0], r"^host: B's raw rings are 0\.(49|50)\d of A's$")

    def test_a_load_in_per_cent_is_one_point_whatever_the_saturation_was(self) -> None:
        sides = []
        for iops in (200000, 100000):
            words = [*fake_words("32", modes="poll,irq"), f"rate_iops={iops // 10}"]
            sides.append(as_result(fake_windows(words, percent=10)))
        names = [each.name for each in two_results.differences(*sides)]
        self.assertEqual(names, [f"randread-4096-qd32-b1-r10%-{m}" for m in ("poll", "irq")])
        for each in two_results.differences(*sides):
            self.assertAlmostEqual(each.iops.median, 1.0, 2, "done of offered, not IOPS")

    def test_a_point_that_stands_still_is_nothing_of_what_it_was(self) -> None:
        first, second = self.sides(1.0, 0.01)
        for each in second["jobs"][1]["hartq"]["boots"]:
            each["iops"] = 0.0
        name = second["jobs"][1]["jobname"]
        ratios = {each.name: each.iops for each in two_results.differences(first, second)}
        self.assertEqual(ratios[name].high, 0.0)
        self.assertNotIn(name, [each.name for each in two_results.differences(second, first)])

    def test_a_result_that_does_not_know_the_p99(self) -> None:
        first, second = self.sides(1.0, 0.01)
        for each in second["jobs"]:
            for one in each["hartq"]["boots"]:
                one["p99_ns"] = None
        for each in two_results.differences(first, second):
            self.assertIsNone(each.p99)
            self.assertTrue(str(each).endswith(" -"))

    def test_boots_have_the_p99_of_their_window(self) -> None:
        for each in fake_result("8")["jobs"]:
            whole = each["read"]["lat_ns"].get("percentile", {}).get("99.000000")
            mine = [one["p99_ns"] for one in each["hartq"]["boots"]]
            self.assertEqual(len(mine), 6)
            if each["hartq"]["completion"] == "raw":
                self.assertEqual((set(mine), whole), ({None}, None))
            else:
                self.assertLessEqual(min(mine), whole)
                self.assertGreaterEqual(max(mine), whole)


class Command(support.ScriptTest):
    """bench.py --compare."""

    def save(self, name: str, result: dict) -> str:
        (self.folder / name).mkdir()
        path = self.folder / name / "results.json"
        path.write_text(json.dumps(result))
        return str(path)

    def compare(self, first: dict, second: dict, *more: str):
        words = [self.save(name, each) for name, each in (("a", first), ("b", second))]
        return support.run_script("bench.py", "--compare", *words, *more)

    def test_table_without_a_verdict(self) -> None:
        first = with_boots(fake_result(), 1.0, random.Random(1), 0.01)
        second = with_boots(first, 0.7, random.Random(2), 0.01)
        done = self.compare(first, second)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\nrandread-4096-qd1-b1-poll +0\.[67]\d\d \(0\.6.*\) +1\.4")

    def test_instructions_that_rise(self) -> None:
        first, second = fake_result(), fake_result()
        row = {"completion": "poll", "delivery": "per-hart", "queues": 1, "iodepth": 1, "batch": 1,
               "bs": 4096, "submit": 100, "reap": 100}
        first["instructions"] = {"compiler": "GCC 1", "rows": [row]}
        second["instructions"] = {"compiler": "GCC 1", "rows": [{**row, "reap": 101}]}
        done = self.compare(first, second)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("reap rose from 100 to 101", done.stdout)

    def test_refusals(self) -> None:
        first, second = fake_result(), fake_result()
        second["environment"]["backing"] = "ram:64m"
        done = self.compare(first, second)
        self.assertEqual(done.returncode, 2)
        self.assertIn("backing: null in A, ram:64m in B", done.stderr)
        for words in (
            ["--compare", "nowhere", "nowhere"],
            ["--compare", ".", ".", "--iodepth", "1"],
        ):
            done = support.run_script("bench.py", *words)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("bench.py: --", done.stderr)

    def test_what_is_no_result_is_said_with_its_name(self) -> None:
        good = self.save("good", fake_result())
        for name, spoil, text in (
            ("boots", lambda r: r["jobs"][0]["hartq"].pop("boots"),
             "of another kind: 'boots'"),
            ("words", lambda r: r["jobs"][0]["hartq"]["boots"][0].update(iops="9"),
             "kind: unsup"),
            ("names", lambda r: r["jobs"][0].pop("jobname"), "of another kind: 'jobname'"),
            ("header", lambda r: r.pop("environment"), "of another kind: 'environment'"),
            ("list", lambda r: r.update(environment=[]), "kind: 'list' object"),
            ("waits", lambda r: r["jobs"][0]["hartq"]["host_wait_fraction"].pop("device"),
             "'device'"),
            ("counts", lambda r: r.update(instructions={"compiler": "x"}), "kind: 'rows'"),
        ):
            bad = fake_result()
            spoil(bad)
            path = self.save(name, bad)
            for words in ((good, path), (path, good)):
                done = support.run_script("bench.py", "--compare", *words)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"bench.py: --compare: {path}: a field is missing", done.stderr)
                self.assertIn(text, done.stderr)
        (self.folder / "junk").write_bytes(b"\xe2\x28\xa1")
        done = support.run_script("bench.py", "--compare", good, str(self.folder / "junk"))
        self.assertIn(f"{self.folder / 'junk'}: not JSON", done.stderr)

    def test_few_boots_are_said(self) -> None:
        result = fake_result(repetitions=1)
        done = self.compare(result, result)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("note: A has 1 boots: its intervals are too narrow", done.stdout)
        done = support.run_script("bench.py", "--compare", self.save("c", {**result, "jobs": []}),
                                  self.save("d", result))
        self.assertEqual(done.returncode, 2)
        self.assertIn("(A and B have 0 and 12 points)", done.stderr)

    def test_a_busy_host_is_told(self) -> None:
        first = with_boots(fake_result(), 1.0, random.Random(1), 0.01)
        second = copy.deepcopy(first)
        for each in second["jobs"]:
            each["hartq"]["host_wait_fraction"] = {"vcpu": 0.05, "device": 0.31}
        (note,) = two_results.notes(first, second)
        self.assertIn("B: THE HOST WAS BUSY", note)
        self.assertIn("device 31 % of the time", note)

    def test_another_host_is_told(self) -> None:
        first = with_boots(fake_result(), 1.0, random.Random(1), 0.01)
        second = copy.deepcopy(first)
        second["environment"]["qemu"] = "10.0"
        notes = two_results.notes(first, second)
        self.assertEqual(notes, ["note: qemu: 7.2.99 in A, 10.0 in B"])
        with self.assertRaises(UsageError):
            two_results.notes(first, {**second, "environment": {"backing": "x"}})


if __name__ == "__main__":
    unittest.main()
