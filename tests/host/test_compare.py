"""compare.py and the statistics behind it: what differs, how sure, and when it is a regression."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
import unittest

import support
from fake_results import as_result, fake_result, fake_windows, fake_words

from analysis import intervals, two_results
from qemu.machine import UsageError


def with_rounds(
    result: dict, factor: float, chance: random.Random, spread: float, host: float = 1.0
) -> dict:
    """The same result with other rounds: 6 in 6 boots, with noise, the modes times a factor.

    All of them, and the limits, times `host`, which is also uneasy: each boot has its own speed.
    """
    made = copy.deepcopy(result)
    speeds = [host * chance.lognormvariate(0, spread) for _ in range(6)]
    for job in made["jobs"]:
        mine = 1e5 * (1.0 if job["hartq"]["completion"] == "limit" else factor)
        job["hartq"]["rounds"] = [
            {"round": i, "boot": i, "iops": mine * speed * chance.lognormvariate(0, spread)}
            for i, speed in enumerate(speeds)
        ]
    return made


def modes_of(found: list) -> list:
    """Without the limits, which are the measure."""
    return [each for each in found if not each.name.endswith("limit")]


class MannWhitney(unittest.TestCase):
    """The exact distribution and the interval of a ratio."""

    def test_counts_are_those_of_all_orders(self) -> None:
        for n, m in ((1, 1), (2, 3), (3, 3), (4, 2)):
            counts = [0] * (n * m + 1)
            for places in itertools.combinations(range(n + m), n):
                counts[sum(places) - n * (n - 1) // 2] += 1
            self.assertEqual(intervals.mann_whitney_counts(n, m), counts)
            self.assertEqual(sum(counts), math.comb(n + m, n))

    def test_table_value(self) -> None:
        # The usual table: U = 5 is the critical value of 6 and 6 values at 5 %, two-sided.
        counts = intervals.mann_whitney_counts(6, 6)
        self.assertLessEqual(2 * sum(counts[:6]) / 924, 0.05)
        self.assertGreater(2 * sum(counts[:7]) / 924, 0.05)
        values = [1.0 + i / 10 for i in range(6)]
        found = intervals.ratio_of_samples(values, [1.0 + i / 1000 for i in range(6)])
        self.assertAlmostEqual(found.confidence, 1 - 2 * sum(counts[:6]) / 924)

    def test_few_values_are_not_sure(self) -> None:
        self.assertFalse(intervals.ratio_of_samples([2, 2, 2], [1, 1, 1]).sure)
        self.assertTrue(intervals.ratio_of_samples([2] * 4, [1] * 4).sure)

    def test_refuses_nothing(self) -> None:
        for above, below in (([], [1]), ([1], []), ([1], [0.0]), ([-1.0], [1])):
            with self.assertRaises(ValueError):
                intervals.ratio_of_samples(above, below)


class Differences(unittest.TestCase):
    """Simulated runs."""

    def setUp(self) -> None:
        self.result = fake_result("1,8,32")
        self.chance = random.Random(5)

    def sides(
        self, factor: float, spread: float, paired: bool, host: float = 1.0
    ) -> tuple[dict, dict]:
        first = with_rounds(self.result, 1.0, self.chance, spread)
        second = with_rounds(self.result, factor, self.chance, spread, host)
        if paired:
            first["pair"] = second["pair"] = "x"
        return first, second

    def test_same_differs_rarely(self) -> None:
        for paired in (False, True):
            differ = total = 0
            for _ in range(60):
                found = two_results.differences(*self.sides(1.0, 0.1, paired))
                differ += sum(each.seems(0.0) != 0 for each in found)
                total += len(found)
            self.assertLessEqual(differ, 0.06 * total, f"paired {paired}")
            self.assertGreater(differ, 0)

    def test_slow_down_is_found(self) -> None:
        for paired in (False, True):
            found = two_results.differences(*self.sides(0.8, 0.02, paired))
            self.assertEqual({each.seems(0.05) for each in modes_of(found)}, {-1})

    def test_below_the_threshold_is_no_regression(self) -> None:
        found = two_results.differences(*self.sides(0.97, 0.001, True))
        self.assertEqual({each.seems(0.05) for each in found}, {0})
        self.assertEqual({each.seems(0.0) for each in modes_of(found)}, {-1})

    def test_boots_are_the_samples(self) -> None:
        rounds = [{"round": i, "boot": i // 3, "iops": 1.0 + i} for i in range(12)]
        self.assertEqual(two_results.by_boot(rounds), {0: 2.0, 1: 5.0, 2: 8.0, 3: 11.0})
        self.assertEqual(list(two_results.by_boot(rounds[::-1])), [0, 1, 2, 3], "in one order")

    def test_the_host_is_divided_out(self) -> None:
        first = with_rounds(self.result, 1.0, self.chance, 0.02)
        for host in (0.5, 0.9, 2.0):
            second = with_rounds(self.result, 0.8, self.chance, 0.02, host)
            found = two_results.host_of(first, second).median
            self.assertAlmostEqual(found, host, delta=0.05 * host)
            for each in modes_of(two_results.differences(first, second)):
                self.assertAlmostEqual(each.ratio.median, 0.8, delta=0.05)

    def test_pairs_are_as_they_are(self) -> None:
        first, second = self.sides(0.8, 0.001, True)
        for job in first["jobs"][::2]:
            job["hartq"]["rounds"].pop(0)
        for job in second["jobs"]:
            job["hartq"]["rounds"].pop(2 if job["hartq"]["completion"] == "poll" else 3)
        self.assertIsNone(two_results.host_of(first, second))
        for each in modes_of(two_results.differences(first, second)):
            self.assertEqual(each.before.keys(), each.now.keys())
            self.assertAlmostEqual(each.ratio.median, 0.8, delta=0.01)

    def test_a_boot_without_a_limit_is_left_out(self) -> None:
        first, second = self.sides(1.0, 0.01, False)
        limits = [j for j in second["jobs"] if j["hartq"]["completion"] == "limit"]
        limits[0]["hartq"]["rounds"][4]["iops"] = 0.0
        limits[1]["hartq"]["rounds"].pop(1)
        for each in modes_of(two_results.differences(first, second)):
            self.assertEqual((len(each.before), list(each.now)), (6, [0, 2, 3, 5]))
        for limit in limits:
            limit["hartq"]["rounds"] = limit["hartq"]["rounds"][:1]
        limits[0]["hartq"]["rounds"][0]["iops"] = 0.0
        for each in two_results.differences(first, second):
            self.assertGreater(min(each.before.values()), 1e4, "neither side is over anything")

    def test_nothing_can_be_told(self) -> None:
        few, none = self.sides(0.5, 0.01, False), self.sides(0.5, 0.01, False)
        for job in few[0]["jobs"] + few[1]["jobs"]:
            del job["hartq"]["rounds"][3:]
        for side in none:
            side["jobs"] = [j for j in side["jobs"] if j["hartq"]["completion"] != "limit"]
        for (first, second), text in (
            (few, "too few boots"),
            (none, "no device limit in both"),
            ((none[0], {**none[0], "jobs": []}), "no point that could be judged"),
            (self.sides(1.0, 0.01, False, 0.7), "more than a factor of"),
        ):
            seen = two_results.judge(first, second, 0.05)
            self.assertEqual(seen.told, {})
            self.assertIn(text, seen.why)

    def test_a_spread_in_which_a_fall_could_hide(self) -> None:
        for spread, text in ((0.02, ""), (0.6, "a regression could hide")):
            seen = two_results.judge(*self.sides(1.0, spread, True), 0.05)
            self.assertIn(text, seen.why or "")
            self.assertEqual(bool(seen.why), bool(text))

    def test_a_load_in_per_cent_is_one_point_whatever_the_capacity_was(self) -> None:
        sides = []
        for capacity in (200000, 100000):
            words = [*fake_words("32", modes="poll,irq"), f"rate_iops={capacity // 10}"]
            where = {"rw": "randread", "bs": 4096, "iodepth": 32, "batch": 1, "iops": capacity}
            sides.append(as_result(fake_windows(words, percent=10), capacity=[where]))
        names = [each.name for each in two_results.differences(*sides)]
        self.assertEqual(names, [f"randread-4096-qd32-b1-r10%-{m}" for m in ("poll", "irq")])
        for each in two_results.differences(*sides):
            self.assertAlmostEqual(each.ratio.median, 1.0, 2, "done of offered, not IOPS")
            self.assertEqual(each.mode, "", "not judged")
        self.assertEqual(
            two_results.check(*sides),
            ["note: the capacity was 200,000 IOPS in A, 100,000 in B (rw randread, bs 4096, "
             "iodepth 32, batch 1)"],
        )  # fmt: skip

    def test_a_point_that_stands_still_is_slower(self) -> None:
        first, second = self.sides(1.0, 0.01, False)
        for each in second["jobs"][1]["hartq"]["rounds"]:
            each["iops"] = 0.0
        found = two_results.differences(first, second)
        name = second["jobs"][1]["jobname"]
        self.assertEqual([each.name for each in found if each.seems(0.05)], [name])
        said = [f"{name}: no I/O for a whole boot of B"]
        self.assertEqual(list(two_results.stalled(first, second)), said)
        self.assertEqual(list(two_results.stalled(second, first)), [], "it has recovered")
        second["jobs"][1]["hartq"]["rounds"][0]["iops"] = 1e5
        self.assertEqual(list(two_results.stalled(first, second)), said)
        self.assertNotIn(name, [each.name for each in two_results.judged(found)])


class Latency(unittest.TestCase):
    """The p99: of boots, shown, not judged."""

    def sides(self, factor: float | None) -> tuple[dict, dict]:
        chance = random.Random(7)
        made = []
        for scale in (1.0, factor):
            result = with_rounds(fake_result("8"), 1.0, chance, 0.01)
            for job in result["jobs"]:
                for each in job["hartq"]["rounds"]:
                    each["p99_ns"] = scale and round(9000 * scale * chance.lognormvariate(0, 0.05))
            made.append(result)
        return made[0], made[1]

    def test_rounds_have_the_p99_of_their_window(self) -> None:
        for job in fake_result("8")["jobs"]:
            whole = job["read"]["lat_ns"].get("percentile", {}).get("99.000000")
            mine = [each["p99_ns"] for each in job["hartq"]["rounds"]]
            self.assertEqual(len(mine), 6)
            if job["hartq"]["completion"] == "limit":
                self.assertEqual((set(mine), whole), ({None}, None))
            else:
                self.assertLessEqual(min(mine), whole)
                self.assertGreaterEqual(max(mine), whole)

    def test_boots_are_the_samples(self) -> None:
        rounds = [{"round": i, "boot": i // 2, "iops": 1.0, "p99_ns": i if i != 3 else None}
                  for i in range(6)]  # fmt: skip
        self.assertEqual(two_results.by_boot(rounds, "p99_ns"), {0: 0.5, 1: 2, 2: 4.5})

    def test_shown_but_not_judged(self) -> None:
        for factor, word in ((3.0, "higher"), (0.5, "lower"), (1.0, "")):
            found = two_results.differences(*self.sides(factor))
            for each in found:
                self.assertAlmostEqual(each.p99.median, factor, delta=0.1 * factor)
                self.assertEqual(each.seems(0.05), 0)
                self.assertTrue(two_results.line(each, 0.0).endswith(word or ")"))

    def test_a_result_that_does_not_know_it(self) -> None:
        for each in two_results.differences(*self.sides(None)):
            self.assertIsNone(each.p99)
            self.assertTrue(two_results.line(each, 0.0).endswith(" -"))


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

    def test_status(self) -> None:
        first = with_rounds(fake_result(), 1.0, random.Random(1), 0.01)
        for index, (factor, status) in enumerate(((1.0, 0), (0.8, 1), (1.3, 0))):
            with self.subTest(factor=factor):
                self.folder = self.folder / str(index)
                self.folder.mkdir()
                done = self.compare(first, with_rounds(first, factor, random.Random(2), 0.01))
                self.assertEqual(done.returncode, status, done.stdout + done.stderr)
                self.assertEqual("SLOWER" in done.stdout, status == 1)

    def test_a_slower_host_is_no_slower_build(self) -> None:
        first = with_rounds(fake_result(), 1.0, random.Random(1), 0.01)
        second = with_rounds(first, 1.0, random.Random(2), 0.01, 0.9)
        done = self.compare(first, second)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"host: B's device limits are 0\.(89|90|91)")

    def test_instructions_and_stalls_are_told_on_any_host(self) -> None:
        first = with_rounds(fake_result(), 1.0, random.Random(1), 0.01)
        second = with_rounds(first, 1.0, random.Random(2), 0.01, 0.5)
        second["jobs"][0]["hartq"]["rounds"][5]["iops"] = 0.0
        done = self.compare(first, second)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("nothing is judged", done.stdout)
        self.assertIn("qd1-b1-poll: no I/O for a whole boot of B", done.stdout)

    def test_threshold(self) -> None:
        first = with_rounds(fake_result(), 1.0, random.Random(1), 0.01)
        second = with_rounds(first, 0.8, random.Random(2), 0.01)
        done = self.compare(first, second, "--threshold", "30")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_instructions_that_rise(self) -> None:
        first, second = fake_result(), fake_result()
        row = {"completion": "poll", "delivery": "per-hart", "queues": 1, "iodepth": 1, "batch": 1,
               "bs": 4096, "submit": 100, "reap": 100}  # fmt: skip
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
            ["--compare", "a", "b", "--threshold", "-1"],
        ):
            done = support.run_script("bench.py", *words)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("bench.py: --", done.stderr)

    def test_what_is_no_result_is_said_with_its_name(self) -> None:
        good = self.save("good", fake_result())
        for name, spoil, text in (
            ("rounds", lambda r: r["jobs"][0]["hartq"].pop("rounds"), "of another kind: 'rounds'"),
            ("words", lambda r: r["jobs"][0]["hartq"]["rounds"][0].update(iops="9"), "kind: unsup"),
            ("names", lambda r: r["jobs"][0].pop("jobname"), "of another kind: 'jobname'"),
            ("header", lambda r: r.pop("environment"), "of another kind: 'environment'"),
            ("list", lambda r: r.update(environment=[]), "of another kind: list indices"),
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
        late = fake_result()
        del late["jobs"][0]["hartq"]["host_wait_fraction"]["device"]
        done = support.run_script("bench.py", "--compare", good, self.save("late", late))
        self.assertEqual(done.stderr,
                         "bench.py: --compare: a field is missing or of another kind: 'device'\n"
                         )  # fmt: skip
        (self.folder / "junk").write_bytes(b"\xe2\x28\xa1")
        done = support.run_script("bench.py", "--compare", good, str(self.folder / "junk"))
        self.assertIn(f"{self.folder / 'junk'}: not JSON", done.stderr)

    def test_nothing_to_tell_is_no_success(self) -> None:
        result = fake_result()  # all rounds in one boot
        done = self.compare(result, result)
        self.assertEqual(done.returncode, 2)
        self.assertIn("nothing is judged", done.stdout)
        self.assertIn("--compare: too few boots to tell anything", done.stderr)
        done = support.run_script("bench.py", "--compare", self.save("c", {**result, "jobs": []}),
                                  self.save("d", result))  # fmt: skip
        self.assertEqual(done.returncode, 2)
        self.assertIn("(A and B have 0 and 12 points)", done.stderr)

    def test_a_busy_host_is_told(self) -> None:
        first, second = fake_result(), fake_result()
        for job in second["jobs"]:
            job["hartq"]["host_wait_fraction"] = {"vcpu": 0.05, "device": 0.31}
        (note,) = two_results.check(first, second)
        self.assertIn("B: THE HOST WAS BUSY", note)
        self.assertIn("device 31 % of the time", note)

    def test_another_host_is_told(self) -> None:
        first, second = fake_result(), fake_result()
        second["environment"]["qemu"] = "10.0"
        notes = two_results.check(first, second)
        self.assertEqual(notes, ["note: qemu: 7.2.99 in A, 10.0 in B"])
        with self.assertRaises(UsageError):
            two_results.check(first, {**second, "environment": {"backing": "x"}})


if __name__ == "__main__":
    unittest.main()
