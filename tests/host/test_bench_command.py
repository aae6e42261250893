"""bench.py as a command, with a program that answers as QEMU does."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import unittest
from unittest import mock

from bench_command import BenchTest
from support import HUNG_S, SCRIPTS

import bench
from analysis.intervals import ratio_of
from measure import plan as plans, progress, saturation
from report import answer
from results import result_file, resume


class Command(BenchTest):
    """The whole command, with a program that answers as QEMU does."""

    def test_quick(self) -> None:
        done = self.run_bench("--preset", "quick")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("plan: 20 points of 200 ms x 6 boots", done.stdout)
        self.assertIn("met: missed interrupts 0 in 10 points that take any, PLIC", done.stdout)
        self.assertIn("emulated: compare ratios, not absolute numbers", done.stdout)
        result = result_file.load(self.out)
        self.assertEqual((len(result["jobs"]), result["partial"]), (20, False))
        self.assertEqual(len(list(self.out.glob("fio/*/*.json"))), 20, "a file per point")
        self.assertEqual(result["global options"]["preset"], "quick")
        self.assertEqual(result["environment"]["opensbi"], "v1.1")
        self.assertNotIn(str(self.folder), (self.out / "results.json").read_text())

    def test_missed_interrupt_fails(self) -> None:
        done = self.run_bench("--iodepth", "1", ways="missed")
        self.assertEqual(done.returncode, 1)
        self.assertIn("!!! missed interrupts", done.stdout)
        self.assertNotIn("preset", result_file.load(self.out)["global options"])

    def test_lost_message_is_said_and_passes(self) -> None:
        done = self.run_bench("--iodepth", "1", "--delivery", "msix", ways="missed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("counted: missed interrupts 6 in 2 points that take any, IMSIC", done.stdout)
        self.assertNotIn("!!!", done.stdout)

    def test_deliveries_boot_their_machines(self) -> None:
        done = self.run_bench("--iodepth", "1", "--harts", "2", "--delivery",
                              "per-hart,shared,msix", "--completion", "irq")
        self.assertEqual(done.returncode, 0, done.stderr)
        mine = [job["hartq"] for job in result_file.load(self.out)["jobs"]]
        self.assertEqual([each["delivery"] for each in mine], ["per-hart", "shared", "msix"])

    def test_another_delivery_than_asked_for_fails(self) -> None:
        done = self.run_bench("--iodepth", "1", ways="says=shared")
        self.assertEqual(done.returncode, 1)
        self.assertIn("interrupts are delivered shared, asked for was per-hart on 1 hart",
                      done.stderr)
        self.assertFalse(self.out.exists())

    def test_open_loop(self) -> None:
        done = self.run_bench("--rate-iops", "10%,700", "--rate-process", "poisson")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\nsaturation: [0-9,]+ IOPS \(randread, 4096 bytes, que")
        self.assertIn("left out: raw:", done.stdout)
        self.assertRegex(done.stdout, r"\(10 % of saturation\) +per-hart +0\.9")
        result = result_file.load(self.out)
        (saturation,) = result["saturation"]
        rates = {job["hartq"]["rate_iops"] for job in result["jobs"]}
        self.assertEqual(rates, {700, round(saturation["iops"] / 10)})
        self.assertEqual(result["jobs"][0]["job options"]["rate_process"], "poisson")
        names = {job["jobname"].split("-")[4] for job in result["jobs"]}
        self.assertEqual(names, {"r10%", "r700"})
        self.assertEqual(result["global options"]["rate_process"], "poisson")

    def test_both_rules_of_the_doorbell(self) -> None:
        done = self.run_bench("--iodepth", "1,32", "--batch", "1", "--doorbell", "each,clocked")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("doorbell clocked, each\n", done.stdout)
        self.assertIn("What does a clocked doorbell give?", done.stdout)
        self.assertRegex(done.stdout, r"goal at most 0\.15, at queue depth 32")
        self.assertIn("polling, clocked, over the raw ring that rings each", done.stdout)
        result = result_file.load(self.out)
        self.assertEqual(result["global options"]["doorbell"], "clocked,each")
        rules = [(job["job options"]["doorbell"], job["hartq"]["completion"])
                 for job in result["jobs"]]
        self.assertEqual({rules.count(each) for each in rules}, {2})
        self.assertEqual(len({*rules}), 8)
        # A ratio never mixes the rules: in this host each is slower by the same factor throughout.
        for job in result["jobs"]:
            if found := job["hartq"]["ratio_to_raw"]:
                self.assertGreater(found["median"], 0.3)
        with (self.out / result_file.CSV_NAME).open(encoding="utf-8") as source:
            self.assertEqual([row["doorbell"] for row in csv.DictReader(source)],
                             [rule for rule, _ in rules])

    def test_shadow_doorbells_and_a_callback_that_posts(self) -> None:
        done = self.run_bench("--iodepth", "8", "--batch", "1", "--completion", "poll,raw",
                              "--shape", "steady,callback", "--doorbell", "each,shadow")
        self.assertEqual(done.returncode, 0, done.stderr)
        for text in ("left out: raw on 1 hart, per-hart: the references write registers",
                     "What does a shadow doorbell give?\n  shadow / each, polling: faster",
                     "A callback that posts over a loop that does:\n"):
            self.assertIn(text, done.stdout)
        names = {job["jobname"] for job in result_file.load(self.out)["jobs"]}
        self.assertIn("randread-4096-qd8-b1-poll-shadow", names)
        self.assertTrue((self.out / "fio" / "4096-b1-callback-shadow-poll-per-hart").is_dir())

    def test_one_rule_is_clocked_unless_another_is_asked_for(self) -> None:
        for asked, rule in ((), "clocked"), (("--doorbell", "each"), "each"):
            done = self.run_bench("--iodepth", "8", "--rate-iops", "10%", *asked)
            self.assertEqual(done.returncode, 0, done.stderr)
            jobs = result_file.load(self.out)["jobs"]
            self.assertEqual({job["job options"]["doorbell"] for job in jobs}, {rule})
        self.assertIn("doorbell each", done.stdout)

    def test_the_plan_comes_first_with_the_time_of_all_parts(self) -> None:
        def told(*options: str) -> int:
            done = self.run_bench("--dry-run", "--iodepth", "8", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            minutes, seconds = re.search(r"about (\d+) min (\d\d) s", done.stdout).groups()
            return 60 * int(minutes) + int(seconds)

        alone = told("--rate-iops", "500", "--no-instructions")
        self.assertAlmostEqual(told("--rate-iops", "500"), alone + bench.COUNT_S, delta=1)
        (first,) = saturation.plans([plans.Sweep((8,), rate=(plans.Rate(percent=10),))])
        self.assertAlmostEqual(told("--rate-iops", "10%", "--no-instructions"),
                               alone + first.seconds(), delta=1)
        done = self.run_bench("--dry-run", "--preset", "default")
        preset = plans.PRESETS["default"]
        sweeps, _ = plans.runnable(preset.sweeps)
        around_s = sum(each.seconds() for each in saturation.plans(sweeps))
        around_s += bench.COUNT_S + bench.MODEL_S
        whole_s = dataclasses.replace(preset, sweeps=sweeps).seconds() + around_s
        self.assertIn(f"about {plans.duration(whole_s)}\n", done.stdout)
        done = self.run_bench("--rate-iops", "10%", "--boots", "1")
        self.assertLess(done.stdout.index("plan: "), done.stdout.index("saturation: "))

    def test_a_guest_that_ignores_the_rate_fails(self) -> None:
        done = self.run_bench("--rate-iops", "500", ways="closed")
        self.assertEqual(done.returncode, 1)
        self.assertIn("rate_iops=0, asked for was 500", done.stderr)

    def test_a_guest_that_dies_while_saturation_is_measured(self) -> None:
        done = self.run_bench("--rate-iops", "10%", ways="garbage")
        self.assertEqual(done.returncode, 1)
        self.assertIn("saturation was not found", done.stderr)
        self.assertFalse(self.out.exists())

    def test_file_backing_is_named(self) -> None:
        image = self.folder / "disk.img"
        image.write_bytes(bytes(1 << 20))
        done = self.run_bench("--iodepth", "1", "--backing", str(image))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(result_file.load(self.out)["environment"]["backing"], "^file:disk.img")
        self.assertNotIn(str(self.folder), (self.out / "results.json").read_text())

    def test_a_busy_boot_is_measured_again(self) -> None:
        """Once each, few in all, the calmer attempt counts, and all of it is told."""
        also = """
import dataclasses
waits, real = iter((0.5, 0.2, 0.5, 0.7, *[0.5] * 10)), bench.run_boot
bench.host_noise.waited = lambda windows, cores: next(waits)
def run_boot(target, plan, sweep, boot, windows, **others):
    before = len(windows)
    real(target, plan, sweep, boot, windows, **others)
    name = "first" if others else "again"
    windows[before:] = [dataclasses.replace(w, firmware=name) for w in windows[before:]]
bench.run_boot = run_boot
"""
        options = ("--iodepth", "1", "--completion", "poll,irq", "--no-instructions")
        done = self.run_to_end("bench", *options, "--boots", "12", also=also)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("measured again, at most 2\n", done.stdout)
        self.assertIn("boot 1: QEMU's threads waited 50 % of the time", done.stderr)
        self.assertEqual(done.stderr.count("it is measured again"), 2)
        result = result_file.load(self.out)
        self.assertEqual(result["repeated_boots"], [
            {"boot": 0, "sweep": 0, "wait_fractions": [0.5, 0.2]},
            {"boot": 1, "sweep": 0, "wait_fractions": [0.5, 0.7]}])
        kept = [each.firmware for each in resume.load_windows(self.out)]
        self.assertEqual(kept, ["again"] * 2 + ["first"] * 22)
        for job in result["jobs"]:
            self.assertEqual([each["boot"] for each in job["hartq"]["boots"]], [*range(12)])
        self.assertIn("2 boots measured again", answer.sampling(result)[0])

    def test_one_boot_in_eight_is_measured_again_at_most(self) -> None:
        """Of those of all sweeps together, rounded up."""
        for sweeps, boots, most in ((1, 1, 1), (1, 8, 1), (1, 9, 2), (3, 6, 3), (10, 12, 15)):
            plan = plans.Plan((plans.Sweep(),) * sweeps, boots, 500, 50)
            self.assertEqual(plan.repeats_most(), most, (sweeps, boots))

    def test_boots_are_added_until_the_interval_is_narrow(self) -> None:
        options = ("--iodepth", "8", "--completion", "poll,irq", "--no-instructions")
        done = self.run_bench(*options, "--until-ci", "9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("added until the intervals of polling / interrupts are within 9 %, or 10 min "
                      "00 s are over", done.stdout)
        boots, width = re.search(r"--until-ci 9: after (\d+) boots the widest .* (\d+) %, at queue "
                                 "depth 8", done.stdout).groups()
        self.assertGreater(int(boots), 6)
        self.assertLessEqual(int(width), 9)
        result = result_file.load(self.out)
        self.assertEqual(result["global options"]["boots"], boots)
        for job in result["jobs"]:
            self.assertEqual([row["boot"] for row in job["hartq"]["boots"]], [*range(int(boots))])
        (ratio,) = (found for job in result["jobs"] if (found := ratio_of(job, "ratio_to_irq")))
        self.assertLessEqual(100 * (ratio.high - ratio.low) / ratio.median, 9)

    def test_boots_are_added_until_the_budget_is_over(self) -> None:
        """By a clock that jumps a minute at each look."""
        also = ("import itertools, types; "
                "bench.time = types.SimpleNamespace(monotonic=itertools.count(0, 60).__next__)")
        options = ("--iodepth", "8", "--completion", "poll,irq", "--no-instructions")
        done = self.run_to_end("bench", *options, "--until-ci", "1", "--budget", "170s", also=also)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--until-ci 1: the budget is over; after 8 boots the widest", done.stdout)
        self.assertFalse(result_file.load(self.out)["partial"])

    def test_guest_that_dies(self) -> None:
        done = self.run_bench("--iodepth", "1,2", "--boots", "1", ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("panic: the controller is gone", done.stderr)
        self.assertTrue(result_file.load(self.out)["partial"])

    def test_broken_line(self) -> None:
        done = self.run_bench("--iodepth", "1", ways="garbage")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be read", done.stderr)

    def test_signals_keep_what_was_measured(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                self.bench("--iodepth", "1", "--runtime", "20ms", "--boots", "600"),
                env={**os.environ, "FAKE_GUEST": "slow"},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            self.wait_for(self.out / "results.json")
            process.send_signal(signum)
            output, errors = process.communicate(timeout=HUNG_S)
            self.assertEqual(process.returncode, 130, errors)
            self.assertIn("partial:", output)
            result = result_file.load(self.out)
            self.assertTrue(result["partial"])
            self.assertTrue(result["jobs"])
            (self.out / "results.json").unlink()

    def test_an_older_result_stays_until_a_boot_is_complete(self) -> None:
        two_sweeps = ("--iodepth", "1,8", "--batch", "1,8", "--runtime", "10ms")
        self.out.mkdir()
        for name in ("results.json", "iops.png"):
            (self.out / name).write_text("older")
        done = self.run_bench(*two_sweeps, "--boots", "1", ways="die")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the older result stays", done.stdout)
        for name in ("results.json", "iops.png"):
            self.assertEqual((self.out / name).read_text(), "older")
        self.assertTrue(result_file.load(self.folder / "out.partial")["partial"])
        self.assertEqual(self.run_bench(*two_sweeps).returncode, 0)
        self.assertFalse(result_file.load(self.out)["partial"])
        self.assertFalse((self.out / "iops.png").exists())

    def test_without_any_package(self) -> None:
        for options in (["--help"], ["--dry-run", "--qemu", str(self.qemu)]):
            done = subprocess.run(
                [sys.executable, "-S", str(SCRIPTS / "bench.py"), *options],
                capture_output=True, text=True, timeout=HUNG_S, check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_usage(self) -> None:
        qcow2 = self.folder / "disk.qcow2"
        qcow2.write_bytes(b"QFI\xfb\0\0\0\3".ljust(4096, b"\0"))
        for options, text in (
            (["--delivery", "shared"], "is per-hart delivery; hint: other --harts"),
            (["--iodepth", "0"], "--iodepth"),
            (["--iodepth", "1", "--batch", "8"], "no point is left"),
            (["--delivery", "line"], "--delivery: 'line' is unknown (per-hart, shared, msix)"),
            (["--delivery", ""], "--delivery: '' is unknown"),
            (["--completion", "irq", "--harts", "8"], "virt has 4 lines"),
            (["--harts", "65"], "--harts: 65 is out of range (1 to 64)"),
            (["--rate-iops", "fast"], "--rate-iops: 'fast' is not a rate"),
            (["--rate-iops", "201%"], "--rate-iops: 201% is out of range (1 to 200%)"),
            (["--rate-iops", "5", "--completion", "raw"], "raw ring has no open loop"),
            (["--iodepth", "1", "--rate-process", "linear"], "--rate-process: linear needs a load"),
            (["--iodepth", "abc"], "--iodepth: 'abc' is not a number"),
            (["--bs", "1000"], "--bs: 1000 is not a multiple of 512"),
            (["--bs", "512,8k", "--backing", "null:4k"], "less than a block"),
            (["--completion", "raw", "--rw", "rw"], "no point is left"),
            (["--preset", "instructions", "--boots", "6"], "takes no --boots, --out"),
            (["--until-ci", "0"], "--until-ci: 0 is out of range (1 to 100)"),
            (["--until-ci", "9", "--completion", "poll"], "takes polling and interrupts"),
            (["--budget", "5m"], "--budget: is for --until-ci"),
            (["--boots", "0"], "--boots: 0 is out of range (1 to 1000)"),
            (["--boots", "1001"], "--boots: 1001 is out of range (1 to 1000)"),
            (["--backing", "/nowhere/disk.img"], "image"),
            (["--backing", str(qcow2)], "is no raw image but qcow2"),
            (["--out", str(self.qemu)], f"--out: {self.qemu} takes no file: File exists"),
            (["--out", str(self.qemu / "x")], f"--out: {self.qemu}/x takes no file: Not a dir"),
            (["--qemu", "/nowhere/qemu"], "QEMU"),
        ):
            done = self.run_bench(*options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(text, done.stderr)
            if "--qemu" not in options:  # a plan needs no emulator
                self.assertEqual(done.stdout, "", options)
            self.assertFalse(self.out.exists())

    def test_progress_without_a_terminal(self) -> None:
        stream = io.StringIO()
        plan = plans.Plan((plans.Sweep(),), 6, 500, 50)
        with mock.patch.object(progress, "PLAIN_EVERY_S", 0.0), contextlib.redirect_stdout(stream):
            windows: list[mock.Mock] = []
            bar = progress.Progress(plan, stream, windows)
            record = {"jobname": "a-point", "idle_ns": [25], "runtime_ns": 100}
            windows.append(mock.Mock(record=record, iops=1234.0))
            bar.step(windows[0])
            bar.close()
        self.assertIn("1/24 windows", stream.getvalue())
        self.assertRegex(stream.getvalue(), "a-point +1,234 IOPS,  75 % busy")


if __name__ == "__main__":
    unittest.main()
