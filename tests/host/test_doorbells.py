"""The rules of the submission doorbell: points of two never mix, and each is held to its goals."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import unittest
from pathlib import Path

from fake_results import ENVIRONMENT, as_result, fake_windows, fake_words

from analysis import doorbells, goals, metrics, summary, two_results
from analysis.series import all_series, main_rule, place
from measure import plan as plans
from qemu.machine import UsageError
from report import answer, chart_data, runs
from results import boots, fio_files


def ruled(depths: str = "1,8,32,128", rules: str = "clocked,each") -> dict:
    """A result with both rules in each boot."""
    return as_result(fake_windows([*fake_words(depths), f"doorbell={rules}"]))


def of_old(result: dict) -> dict:
    """As a result from before the rule was told: it rang each, and its names do not say so."""
    for job in result["jobs"]:
        del job["job options"]["doorbell"]
        job["jobname"] = job["jobname"].removesuffix("-each")
    return result


class Plan(unittest.TestCase):
    """What the guest is asked for."""

    def test_both_rules_are_of_one_boot_and_take_turns(self) -> None:
        sweep = plans.Sweep((1, 32), doorbell=(plans.CLOCKED, plans.EACH))
        plan = plans.Plan((sweep,), 2, 100, 10)
        self.assertEqual(sweep.points(), 16)
        words = [plans.guest_arguments(plan, sweep, boot) for boot in range(2)]
        for boot, rules in enumerate(("clocked,each", "each,clocked")):
            self.assertIn(f"doorbell={rules}", words[boot])

    def test_references_have_no_shadow_doorbells(self) -> None:
        """They stay beside the others, and it is said what they lack."""
        asked = plans.Sweep((1, 32), doorbell=plans.DOORBELLS)
        (sweep,), dropped = plans.runnable((asked,), 2)
        self.assertEqual(sweep, asked)
        self.assertEqual(dropped, (f"raw on 1 hart, per-hart: {plans.SHADOW_LACKS}",))
        self.assertEqual(sweep.points(), 2 * (3 * 4 - 1))
        plan = plans.Plan((sweep,), 1, 100, 10)
        self.assertEqual(len(fake_windows(plans.guest_arguments(plan, sweep, 0))), sweep.points())
        alone = dataclasses.replace(asked, doorbell=("shadow",))
        (sweep,), dropped = plans.runnable((alone,), 2)
        self.assertEqual((sweep.completion, sweep.points()), (("poll", "irq", "hybrid"), 6))
        self.assertIn(plans.SHADOW_LACKS, dropped[0])
        with self.assertRaisesRegex(UsageError, plans.SHADOW_LACKS):
            plans.runnable((dataclasses.replace(alone, completion=("raw", "loopback")),), 2)

    def test_full_measures_all_rules_with_both_interrupt_controllers(self) -> None:
        sweeps, _ = plans.runnable(plans.PRESETS["full"].sweeps, 2)
        found = [sweep.delivery[0] for sweep in sweeps if sweep.doorbell == plans.DOORBELLS]
        self.assertEqual(found, ["per-hart", "msix"])

    def test_a_load_in_per_cent_is_of_the_fastest_rule(self) -> None:
        sweep = plans.Sweep((8,), completion=("irq",), rate=(plans.Rate(percent=10),),
                            doorbell=plans.DOORBELLS)
        self.assertEqual(sweep.boots(), 1)
        (fixed,) = plans.with_rates((sweep,), {("randread", 4096, 8, 1): 4000.0})
        self.assertEqual((fixed.rate, fixed.doorbell), ((plans.Rate(400, 10),), plans.DOORBELLS))


class Series(unittest.TestCase):
    """Which points belong together."""

    def test_rules_are_series_of_their_own_and_clocked_comes_first(self) -> None:
        for rules in ("clocked,each", "each,clocked"):
            found = all_series(ruled(rules=rules))
            self.assertEqual([series.doorbell for series in found], ["clocked", "each"])
            for series, modes in found.items():
                jobs = [job for depths in modes.values() for job in depths.values()]
                self.assertEqual({place(job).doorbell for job in jobs}, {series.doorbell})
                self.assertEqual(len(jobs), 16)
        self.assertTrue(str(list(found)[1]).endswith("doorbell each, per-hart"))
        self.assertNotIn("doorbell", str(list(found)[0]))

    def test_ratios_are_within_a_rule(self) -> None:
        for job in ruled()["jobs"]:
            if found := job["hartq"]["ratio_to_raw"]:
                mine = job["hartq"]["iops_median"] / job["hartq"]["raw_iops"]
                self.assertAlmostEqual(found["median"], mine, delta=0.15)

    def test_instructions_are_those_of_the_rule(self) -> None:
        point = {"completion": "poll", "delivery": "per-hart", "queues": 1, "iodepth": 1,
                 "batch": 1, "bs": 4096, "reap": 100}
        counted = {"compiler": "", "rows": [{**point, "submit": 20},
                                            {**point, "submit": 50, "doorbell": "clocked"}]}
        windows = fake_windows([*fake_words("1", modes="poll"), "doorbell=clocked,each"])
        result = summary.build(windows, ENVIRONMENT, {}, False, None, counted)
        self.assertEqual([job["hartq"]["instructions_per_io"] for job in result["jobs"]],
                         [150, 120])

    def test_a_result_that_does_not_tell_rang_each(self) -> None:
        result = of_old(ruled(rules="each"))
        self.assertEqual(main_rule(result), "each")
        self.assertEqual(doorbells.measured(result), {})
        self.assertEqual(runs.compact(result, {})["doorbell"], "each")
        new = ruled()
        pairs = two_results.differences(result, new)
        self.assertEqual(len(pairs), 16)
        for pair in pairs:
            self.assertRegex(pair.name, "-each$")
            self.assertEqual(pair.iops.median, 1.0)

    def test_files_of_fio_have_a_folder_for_each_rule(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fio_files.save(ruled("8"), Path(folder))
            names = sorted(path.name for path in (Path(folder) / fio_files.FOLDER).iterdir())
        self.assertEqual(names[:3], ["4096-b1-each-hybrid-per-hart", "4096-b1-each-irq-per-hart",
                                     "4096-b1-each-poll-per-hart"])
        self.assertEqual(len(names), 8)


class Answer(unittest.TestCase):
    """What is said of clocked over each."""

    def test_the_section_is_there_where_both_are(self) -> None:
        titles = [[each.title for each in answer.questions(result)]
                  for result in (ruled(), ruled(rules="each"))]
        self.assertEqual(set(titles[0]) - set(titles[1]), {"What does a clocked doorbell give?"})

    def test_ratios_and_figures(self) -> None:
        (both,) = doorbells.measured(ruled())["clocked"]
        found = {(row[0], row[1]): row[2:] for row in doorbells.rows(both)}
        self.assertEqual(len(found), 16)
        iops, _, *figures = found["32", "polling"]
        self.assertRegex(iops, r"^1\.[5-8]")
        self.assertEqual(figures[-2:], ["0.062", "1.000"])
        told = doorbells.lines([both])
        self.assertTrue(all(re.match("clocked / each, [a-z ]+: faster", line) for line in told))

    def test_every_rule_is_compared_with_each(self) -> None:
        words = [*fake_words("1,32"), "doorbell=shadow,clocked,each"]
        result = as_result([*fake_windows(words), *fake_windows(words, delivery="msix")])
        found = doorbells.measured(result)
        self.assertEqual({rule: [both.series.delivery for both in pairs]
                          for rule, pairs in found.items()},
                         {rule: ["per-hart", "msix"] for rule in ("clocked", "shadow")})
        for rule, least, most in (("clocked", 1.5, 1.8), ("shadow", 1.2, 1.5)):
            for both in found[rule]:
                ratio = both.over("irq", metrics.IOPS)[32].median
                self.assertTrue(least < ratio < most, (rule, ratio))
        sections = [each for each in answer.questions(result) if "doorbell" in each.title]
        self.assertEqual([each.title for each in sections],
                         [f"What does a {rule} doorbell give?" for rule in found])
        tables = sections[1].tables
        self.assertEqual([(table.caption, len(table.rows)) for table in tables],
                         [(f"ratios are shadow / each, {way}", 6) for way in ("per-hart", "msix")])
        self.assertEqual(tables[0].head[-2:], ("submission doorbells per I/O: shadow",
                                               "submission doorbells per I/O: each"))
        self.assertIn("shadow / each, polling, msix: faster", "\n".join(sections[1].lines))
        _, panels = chart_data.doorbells(chart_data.Source(result))
        # Raw has no shadow doorbells: 4 and 3 lines of ratios, 4, 4 and 3 of figures.
        self.assertEqual({name: len(lines) for name, lines in panels.items()},
                         {"IOPS, clocked and shadow / each": 7,
                          "host CPU, clocked and shadow / each": 7,
                          metrics.LOCK_US.name: 11, metrics.DOORBELLS.name: 11})

    def test_shadow_alone_beside_each(self) -> None:
        result = ruled("1,8", "each,shadow")
        self.assertEqual([*doorbells.measured(result)], ["shadow"])
        where, panels = chart_data.doorbells(chart_data.Source(result))
        self.assertIn("doorbell shadow", where)
        self.assertIn("IOPS, shadow / each", panels)

    def test_blocked_is_what_is_left_of_a_hart(self) -> None:
        (window,) = fake_windows([*fake_words("8", 1, modes="poll"), "doorbell=each"])
        host = window.host
        left = host.time_ns - host.ran["vcpu"] - host.waited["vcpu"]
        self.assertAlmostEqual(boots.blocked_us(window),
                               left / window.ios / 1e3, places=3)
        busy = window.record["idle_ns"][0] = 10 * host.time_ns
        self.assertGreater(busy, left)
        self.assertEqual(boots.blocked_us(window), 0)

    def test_the_picture_has_ratios_and_figures(self) -> None:
        _, panels = chart_data.doorbells(chart_data.Source(ruled()))
        self.assertEqual([len(lines) for lines in panels.values()], [4, 4, 8, 8])
        self.assertEqual(chart_data.doorbells(chart_data.Source(ruled(rules="each")))[1], {})


class Goals(unittest.TestCase):
    """Those that the clocked doorbell is for."""

    def test_at_most_is_judged_the_other_way_round(self) -> None:
        result = ruled()
        found = {(goal.kind, goal.depth): goal for goal in goals.all_goals(result)
                 if goal.at_most}
        self.assertEqual([key[1] for key in found], [32, 1, 32])
        goal = found["submission doorbells per I/O, polling", 32]
        self.assertEqual(goal.verdict(), "met for certain")
        self.assertIn("goal at most 0.15", str(goal))
        for boot in result["jobs"][0]["hartq"]["boots"]:
            self.assertIn("sq_doorbells_per_io", boot)
        for job in result["jobs"]:
            for boot in job["hartq"]["boots"]:
                boot["sq_doorbells_per_io"] = 0.2
        said = {goal.verdict() for goal in goals.all_goals(result)
                if goal.kind.startswith(metrics.DOORBELLS.name)}
        self.assertEqual(said, {"not met"})

    def test_the_raw_ring_that_rings_each_is_a_goal_of_both_rules(self) -> None:
        kind = "polling, clocked, over the raw ring that rings each"
        found = {goal.depth: goal for goal in goals.all_goals(ruled()) if goal.kind == kind}
        self.assertEqual({depth: goal.least for depth, goal in found.items()}, {32: 1.1, 128: 1.5})
        self.assertEqual(found[32].verdict(), "met for certain")
        only = [goal for goal in goals.all_goals(ruled(rules="clocked")) if goal.kind == kind]
        self.assertEqual(only, [])


if __name__ == "__main__":
    unittest.main()
