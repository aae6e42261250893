"""One sentence on what to do on this host: from the verdicts alone, and where it stands."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import statistics
import unittest
from pathlib import Path
from unittest import mock

from fake_results import as_result, fake_result, fake_windows, fake_words

import bench
from analysis import comparisons, host_noise
from analysis.intervals import Estimate
from report import advice, page, results_page
from results import result_file

REFERENCE = result_file.load(results_page.REFERENCE)
DEPTHS = "1,8,32,128"


def with_ratios(factors: dict[str, float], spread: float = 0.01, host: float = 1.0) -> dict:
    """A result whose ratios are given by name (`irq/poll`), with intervals of a spread to each
    side; `host` is what interrupts take of the host's CPU over polling."""
    result = fake_result(DEPTHS)
    for job in result["jobs"]:
        mine = job["hartq"]
        for other in ("poll", "irq"):
            pair, back = f"{mine['completion']}/{other}", f"{other}/{mine['completion']}"
            median = factors.get(pair) or (1 / factors[back] if back in factors else 1.0)
            if mine[f"ratio_to_{other}"]:
                found = Estimate(median, median * (1 - spread), median * (1 + spread), 0.97, 6)
                mine[f"ratio_to_{other}"] = found.as_json()
        for number, each in enumerate(mine["boots"]):
            noise = 1 + spread * (number - 2.5)
            each["vcpu_us_per_io"] = each["device_us_per_io"] = (
                (host * noise if mine["completion"] == "irq" else 1.0))
    return result


class Sentence(unittest.TestCase):
    def test_polling_is_faster_and_interrupts_are_cheaper(self) -> None:
        told = advice.sentence(with_ratios({"irq/poll": 0.5}, host=0.5))
        self.assertEqual(
            told, "On this host: poll when IOPS count (batch 1: depth 1 to 128, x2.00 to x2.00); "
            "take interrupts when host CPU counts (batch 1: depth 1 to 128, x0.50 to x0.50); take "
            "hybrid mode when you cannot choose: it is slower than neither.")

    def test_interrupts_are_faster(self) -> None:
        told = advice.sentence(with_ratios({"irq/poll": 2.0, "hybrid/irq": 0.5}), figures=False)
        self.assertEqual(
            told, "On this host: polling is not faster; take interrupts when IOPS count; take "
            "hybrid mode when you cannot choose: it is slower than interrupts.")

    def test_nothing_is_sure(self) -> None:
        even = with_ratios({"irq/poll": 0.9, "hybrid/poll": 0.98}, spread=0.2)
        few = fake_result(DEPTHS, ways="bias=3")
        for job in few["jobs"]:
            for name in ("ratio_to_poll", "ratio_to_irq"):
                if job["hartq"][name]:
                    job["hartq"][name]["confidence"] = 0.5
            job["hartq"]["boots"] = job["hartq"]["boots"][:2]
        noisy = with_ratios({"irq/poll": 0.5})
        for job in noisy["jobs"]:
            job["hartq"]["host_wait_fraction"] = {"vcpu": 0.5, "device": 0.5}
        for result, why, said in (
            (even, "no difference is certain", "poll when IOPS count"),
            (few, "too few boots", "take interrupts when IOPS count"),
            (noisy, "the host was not quiet", "poll when IOPS count"),
        ):
            told = advice.sentence(result)
            self.assertIn(f"On this host: nothing is sure ({why}); by the medians alone, ", told)
            self.assertIn(said, told)
            self.assertIn(f"(not sure: {why})", advice.message(result))
        self.assertNotIn("slower than polling", advice.sentence(even), "2 % are no difference")

    def test_a_light_load(self) -> None:
        windows = [each for rate in (1000, 2000, 900000) for each in fake_windows(
            [*fake_words("32", modes="poll,irq"), f"rate_iops={rate}"])]
        result = as_result([*fake_windows(fake_words(DEPTHS, modes="poll,irq")), *windows])
        self.assertNotIn("light", advice.sentence(result), "polling has done as many I/Os")
        for job in result["jobs"]:
            mine = job["hartq"]
            if mine["completion"] == "irq" and mine["rate_iops"] != 2000:
                for each in mine["boots"]:
                    each["vcpu_us_per_io"] *= 0.5
                    each["device_us_per_io"] *= 0.5
        self.assertIn("the load is below saturation (1,000 IOPS, host CPU x0.5",
                      advice.sentence(result))
        self.assertNotIn("900,000", advice.sentence(result), "no mode keeps it")

    def test_what_was_not_measured_is_not_said(self) -> None:
        for modes, said in (("poll,raw", ""), ("irq", ""), ("hybrid,poll", ""),
                            ("poll,irq", "poll when IOPS count")):
            result = as_result(fake_windows(fake_words(DEPTHS, modes=modes)))
            told = advice.sentence(result)
            self.assertEqual(told.count("hybrid"), 0)
            self.assertTrue(said in told and bool(told) == bool(said), told)
            self.assertEqual(bool(advice.message(result)), bool(said))
        self.assertEqual(advice.sentence({**fake_result("1"), "jobs": []}), "")

    def test_the_message_is_what_most_depths_show(self) -> None:
        result = with_ratios({"irq/poll": 0.5}, host=2.0)
        self.assertEqual(advice.message(result), "IOPS lower; host CPU per I/O higher")
        for job in result["jobs"]:
            if job["hartq"]["completion"] == "irq" and job["job options"]["iodepth"] in "8 32":
                job["hartq"]["ratio_to_poll"] = Estimate(2.0, 1.9, 2.1, 0.97, 6).as_json()
        self.assertEqual(advice.message(result), "IOPS alike or mixed; host CPU per I/O higher")


class OfTheReference(unittest.TestCase):
    """Recomputed from its jobs, without what the sentence is made with."""

    def verdicts(self, mode: str, other: str, batch: int) -> dict[int, int]:
        """By depth: the sign of what is sure of one mode's IOPS over another's."""
        found = {}
        for job in REFERENCE["jobs"]:
            depth, mine = int(job["job options"]["iodepth"]), job["hartq"]
            wanted = batch or depth
            if job["jobname"] == f"randread-4k-qd{depth}-b{wanted}-{mode}" and (
                    batch or depth > 1) and (ratio := mine[f"ratio_to_{other}"]):
                found[depth] = Estimate.from_json(ratio).verdict()
        return found

    def test_each_depth_of_it(self) -> None:
        told = advice.sentence(REFERENCE)
        if host_noise.warnings(REFERENCE):
            self.assertIn("nothing is sure (the host was not quiet)", told)
            return
        # The clauses begin with these words; a factor's `;` stands in parentheses.
        _, poll, irq, hybrid = re.split(r"(?:: |; )(?=poll|take|interrupts are)", told)
        clauses = {"poll": poll, "irq": irq, "hybrid": hybrid}
        for name, batch in (("batch 1", 1), ("batch = depth", 0)):
            found = self.verdicts("poll", "irq", batch)
            self.assertGreater(len(found), 1)
            if faster := [depth for depth, sign in found.items() if sign > 0]:
                depths = comparisons.depths_text(faster, found)
                self.assertIn(f"{name}: depth {depths}, x", clauses["poll"])
            else:
                self.assertNotIn(name, clauses["poll"])
            found = self.verdicts("hybrid", "poll", batch)
            if slower := [depth for depth, sign in found.items() if sign < 0]:
                depths = comparisons.depths_text(slower, found)
                self.assertIn(f"{name}: depth {depths}, x", clauses["hybrid"])

    def test_each_load_of_it(self) -> None:
        by_name = {job["jobname"]: job for job in REFERENCE["jobs"]}
        told = advice.sentence(REFERENCE)
        for name, irq in by_name.items():
            percent, poll = irq["hartq"]["rate_percent"], by_name.get(name.replace("irq", "poll"))
            if percent and "-irq" in name and f"{percent} % of saturation, host CPU x" in told:
                us = [statistics.median(each["vcpu_us_per_io"] + each["device_us_per_io"]
                                        for each in job["hartq"]["boots"]) for job in (irq, poll)]
                self.assertLess(us[0], us[1], name)
                self.assertGreaterEqual(irq["hartq"]["iops_median"],
                                        0.95 * irq["hartq"]["offered_iops"], name)

    def test_it_comes_first(self) -> None:
        told = advice.sentence(REFERENCE)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), mock.patch.object(
                bench.tables, "table", return_value=["the table"]):
            bench.report(REFERENCE, Path("results/reference"))
        self.assertEqual(out.getvalue().split("\n")[1], told)
        text = page.render("answer.md", REFERENCE, {})
        self.assertEqual(text.split("\n\n")[1], f"**{told}**")
        text = page.render("report.html", REFERENCE, {})
        self.assertIn(f"<h2>The answer</h2>\n<p><b>{told}</b></p>", text)
        self.assertIn(f"**{told}**", results_page.PAGE.read_text(encoding="utf-8"))

    def test_the_readme_says_it_without_figures(self) -> None:
        text = results_page.README.read_text(encoding="utf-8")
        self.assertEqual(results_page.advised(text, REFERENCE), text, "make results writes it anew")
        (told,) = results_page.ADVICE.findall(text)
        self.assertEqual(" ".join(told.split()), f"**{advice.sentence(REFERENCE, figures=False)}**")
        other = copy.deepcopy(REFERENCE)
        other["jobs"] = [job for job in other["jobs"] if job["hartq"]["completion"] != "hybrid"]
        self.assertNotIn("hybrid mode when", results_page.advised(text, other))


if __name__ == "__main__":
    unittest.main()
