"""Which points there are, what is left out, and the values of the command line."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
import unittest

from support import ROOT, ScriptTest

from cli import errors
from measure import option_values, options, plan as plans, saturation
from measure.modes import MODES
from measure.windows import Target, boot_machine
from qemu.machine import UsageError


def rate_of(percent: int) -> plans.Rate:
    """A load in per cent of saturation."""
    return plans.Rate(percent=percent)


class Matrix(ScriptTest):
    def test_modes_are_those_of_the_guest(self) -> None:
        source = (ROOT / "bench" / "job.c").read_text()
        words = re.search(r"completion_words\[\] = \{([^}]*), NULL\}", source)[1]
        self.assertEqual(list(MODES), re.findall(r'"(\w+)"', words))

    def test_default_is_what_the_bench_promises(self) -> None:
        preset = plans.PRESETS["default"]
        plan = self.plan_of(preset)
        self.assertEqual((plan.points(), plan.boots), (103, 6))
        self.assertLess(plan.seconds(), 240)
        self.assertLess(self.plan_of(plans.PRESETS["quick"]).seconds(), 45)
        for name in ("quick", "default", "full"):
            self.assertIn("hybrid", self.plan_of(plans.PRESETS[name]).values("completion"))

    def test_presets_offer_eight_loads(self) -> None:
        """Up to all of saturation, with the modes that have an open loop."""
        for name, count in (("quick", 0), ("default", 8), ("full", 8)):
            rates = [rate for rate in self.plan_of(plans.PRESETS[name]).values("rate") if rate]
            with self.subTest(name):
                self.assertEqual(len(rates), count)
                self.assertEqual([rate.percent for rate in rates[-1:]], [100] * bool(count))
                self.assertEqual(rates, sorted(rates))

    def test_help_tells_what_a_preset_is(self) -> None:
        text = " ".join(options.build_parser().format_help().split())
        for name, preset in plans.PRESETS.items():
            sweeps, _ = plans.runnable(preset.sweeps)
            plan = dataclasses.replace(preset, sweeps=sweeps)
            self.assertIn(f"{name} ({plan.points()} points, ", text)
        self.assertIn(plans.RAW_LACKS, text)

    def test_estimate_counts_every_boot(self) -> None:
        window_s = 0.35 + plans.WINDOW_EXTRA_S
        closed = plans.Sweep((1, 8), completion=("poll",))
        plan = plans.Plan((closed,), 6, 300, 50)
        self.assertAlmostEqual(plan.seconds(), 12 * window_s + 6 * plans.BOOT_S)
        share = plans.Sweep((1, 8), completion=("poll",), rate=(rate_of(10),))
        plan = plans.Plan((closed, share), 6, 300, 50)
        self.assertAlmostEqual(plan.seconds(), 24 * window_s + 18 * plans.BOOT_S)
        fixed = plans.with_rates(plan.sweeps, collections.defaultdict(lambda: 1000.0))
        self.assertAlmostEqual(plans.Plan(fixed, 6, 300, 50).seconds(), plan.seconds())
        (first,) = saturation.plans(plan.sweeps)
        self.assertEqual((first.boots, first.windows()), (saturation.BOOTS, 6 * saturation.BOOTS))
        raw = plans.Plan((plans.Sweep((1, 8), completion=("raw",)),), 6, 300, 50)
        ways_s = 6 * 2 * plans.RAW_WAITS * (0.05 + plans.WINDOW_EXTRA_S)
        self.assertAlmostEqual(raw.seconds(), 12 * window_s + ways_s + 6 * plans.BOOT_S)
        self.assertEqual(plans.duration(185.4), "3 min 05 s")
        self.assertIn("about 1 min 17 s", plan.describe(60.0 - 0.001))

    def test_loopback_is_measured_where_it_is_asked_for_and_has_no_rate(self) -> None:
        self.assertNotIn("loopback", plans.Sweep().completion)
        rates = (plans.CLOSED, plans.Rate(500))
        asked = plans.Sweep(rw=("randread", "randrw"), rate=rates, completion=("poll", "loopback"))
        sweeps, dropped = plans.runnable([asked], 2)
        for sweep in sweeps:
            wanted = ("poll",) if sweep.rate[0] else ("poll", "loopback")
            self.assertEqual(sweep.completion, wanted)
        self.assertEqual({rw for sweep in sweeps for rw in sweep.rw}, {"randread", "randrw"})
        self.assertEqual(len(dropped), 1)
        self.assertIn(plans.LOOPBACK_LACKS, dropped[0])

    @staticmethod
    def plan_of(preset: plans.Plan) -> plans.Plan:
        sweeps, dropped = plans.runnable(preset.sweeps, 2)
        return dataclasses.replace(preset, sweeps=sweeps, dropped=dropped)

    def test_no_preset_measures_a_point_twice(self) -> None:
        for name, preset in plans.PRESETS.items():
            points = [
                point for sweep in plans.runnable(preset.sweeps, 64)[0] for point in
                itertools.product(sweep.rw, sweep.bs, sweep.harts, sweep.rate, sweep.delivery,
                                  sweep.completion, sweep.shape,
                                  ((d, b or d) for d in sweep.iodepth for b in sweep.batch))
            ]
            self.assertEqual(len(points), len(set(points)), name)

    def test_batches_stay_below_their_depth(self) -> None:
        sweeps, _ = plans.runnable([plans.Sweep((1, 8, 32), (1, 8, 0))])
        self.assertEqual([(s.iodepth, s.batch) for s in sweeps],
                         [((1,), (1,)), ((8,), (1, 8)), ((32,), (1, 8, 0))])

    def test_which_points_exist(self) -> None:
        engine = ("poll", "irq", "hybrid", "raw")
        for harts, delivery, cores, modes in (
            (1, "per-hart", 1, engine), (1, "shared", 9, ()), (1, "msix", 1, engine),
            (2, "per-hart", 2, engine), (2, "per-hart", 1, ("irq",)),
            (4, "per-hart", 2, ("irq",)), (4, "per-hart", 4, engine), (5, "per-hart", 64, ()),
            (5, "shared", 2, ("irq",)), (64, "shared", 63, ("irq",)), (64, "msix", 64, engine),
        ):
            sweep = plans.Sweep(harts=(harts,), delivery=(delivery,))
            with self.subTest(harts=harts, delivery=delivery, cores=cores):
                if not modes:
                    with self.assertRaisesRegex(UsageError, "no point is left"):
                        plans.runnable([sweep], cores)
                    continue
                sweeps, dropped = plans.runnable([sweep], cores)
                self.assertEqual([s.completion for s in sweeps], [modes])
                self.assertEqual(bool(dropped), modes != engine)

    def test_what_is_left_out_is_said(self) -> None:
        sweep = plans.Sweep(harts=(1, 8), delivery=plans.DELIVERIES)
        sweeps, dropped = plans.runnable([sweep], 2)
        text = plans.Plan(sweeps, 2, 500, 50, dropped=dropped).describe()
        self.assertIn("poll, hybrid, raw on 8 harts, shared, msix: they spin, and the host has "
                      "2 cores", text)
        self.assertIn("on 8 harts, per-hart: virt has 4 lines", text)
        self.assertIn("on 1 hart, shared: a line that one hart has alone", text)

    def test_deliveries_take_turns(self) -> None:
        sweep = plans.Sweep(harts=(2,), delivery=plans.DELIVERIES)
        plan = plans.Plan(plans.runnable([sweep], 2)[0], 2, 500, 50)
        orders = [[s.delivery[0] for s in plan.sweeps_of_boot(boot)] for boot in range(2)]
        self.assertEqual(orders[0], list(plans.DELIVERIES))
        self.assertEqual(orders[1], orders[0][::-1])

    def test_machine_of_a_delivery(self) -> None:
        for delivery, irqchip, controllers in (
            ("per-hart", "plic", 2), ("shared", "plic", 1), ("msix", "imsic", 1),
        ):
            sweep = plans.Sweep(harts=(2,), delivery=(delivery,))
            plan = plans.Plan((sweep,), 2, 500, 50)
            machine = boot_machine(Target(), plan, sweep, 0)
            self.assertEqual((machine.irqchip, machine.controllers), (irqchip, controllers))

    def test_rates(self) -> None:
        rate = plans.Rate
        read = errors.listed(option_values.parse_rate, "--rate-iops")
        self.assertEqual(read("5000, 10%"), (rate(5000), rate(percent=10)))
        for bad in ("", "0", "0%", "201%", "10000001", "-1", "1.5%", "10k%", "10q", "5,", "%",
                    "1k,1024"):
            with self.assertRaisesRegex(UsageError, "--rate-iops"):
                read(bad)

    def test_per_cent_become_a_rate_of_each_hart(self) -> None:
        sweep = plans.Sweep((8, 32), (0,), harts=(2,), rate=(rate_of(10), plans.Rate(77)))
        sweeps, dropped = plans.runnable([sweep], 2)
        self.assertEqual(len(dropped), 1, "raw has no open loop")
        found = plans.with_rates(sweeps, {
            ("randread", 4096, 8, 8): 8008.0, ("randread", 4096, 32, 32): 32032.0})
        self.assertEqual([(s.iodepth, s.rate[0].iops) for s in found],
                         [((8,), 400), ((32,), 1602), ((8, 32), 77)])
        plan = plans.Plan(found, 2, 500, 50, "poisson")
        words = plans.guest_arguments(plan, found[0], 0)
        self.assertIn("rate_iops=400", words)
        self.assertIn("rate_process=poisson", words)
        closed = plans.guest_arguments(plan, plans.Sweep(), 0)
        self.assertFalse([word for word in closed if "rate" in word])

    def test_loads_of_one_workload_share_a_boot(self) -> None:
        rates = (plans.CLOSED, rate_of(10), rate_of(50), rate_of(100))
        sweeps, _ = plans.runnable([plans.Sweep((8,), completion=("irq",), rate=rates)], 2)
        self.assertEqual([sweep.rate for sweep in sweeps], [rates[:1], rates[1:]])
        (_, found) = plans.with_rates(sweeps, {("randread", 4096, 8, 1): 4000.0})
        words = plans.guest_arguments(plans.Plan((found,), 6, 500, 50), found, 0)
        self.assertIn("rate_iops=400,2000,4000", words)
        # Loads that round to one rate are one point: the guest has it once.
        (_, found) = plans.with_rates(sweeps, {("randread", 4096, 8, 1): 2.0})
        self.assertEqual([rate.iops for rate in found.rate], [1, 2])

    def test_saturation_is_measured_closed_with_every_mode_on_one_hart(self) -> None:
        sweep = plans.Sweep((8,), harts=(1, 4), delivery=plans.DELIVERIES, rate=(rate_of(10),))
        sweeps, _ = plans.runnable([sweep], 2)
        (plan,) = saturation.plans(sweeps)
        (found,) = plan.sweeps
        self.assertEqual((found.completion, found.harts, found.rate, found.delivery),
                         (("poll", "irq", "hybrid"), (1,), (plans.CLOSED,), ("per-hart",)))
        self.assertEqual(saturation.plans([plans.Sweep()]), [])

    def test_raw_has_no_mixed_workload(self) -> None:
        mixes = plans.Sweep(rw=("read", "randrw", "rw"), bs=(512, 1 << 20))
        sweeps, dropped = plans.runnable([mixes])
        self.assertIn("no mix of reads and writes", dropped[0])
        self.assertEqual(
            [(s.rw, s.bs, s.completion) for s in sweeps],
            [(("read",), (512,), ("poll", "irq", "hybrid", "raw")),
             (("read",), (1 << 20,), ("poll", "irq", "hybrid")),
             (("randrw", "rw"), (512, 1 << 20), ("poll", "irq", "hybrid"))],
        )
        with self.assertRaises(UsageError):
            plans.runnable([plans.Sweep(completion=("raw",), rw=("randrw",))])

    def test_modes_are_in_a_williams_square(self) -> None:
        """Of the boots of `full`: each mode at each place, and after each other, equally often."""
        self.assertEqual(plans.PRESETS["full"].boots, 12)
        for count in (1, 2, 3, 4):
            sweep = plans.Sweep(completion=tuple(MODES)[:count])
            plan = plans.Plan((sweep,), 12, 500, 50)
            words = [dict(word.split("=") for word in plans.guest_arguments(plan, sweep, boot))
                     for boot in range(plan.boots)]
            orders = [each["completion"].split(",") for each in words]
            places = collections.Counter(place for row in orders for place in enumerate(row))
            after = collections.Counter(pair for row in orders for pair in itertools.pairwise(row))
            with self.subTest(count=count):
                self.assertEqual(len(places), count * count)
                self.assertEqual(len(after), count * (count - 1))
                self.assertEqual({*places.values()}, {12 // count})
                self.assertLessEqual({*after.values()}, {12 // count})

    def test_a_plan_in_words(self) -> None:
        sweep = plans.Sweep(completion=("irq",))
        self.assertIn("plan: 1 point of 500 ms x 1 boot, ",
                      plans.Plan((sweep,), 1, 500, 50).describe())
        for percent in (100, 101):
            text = plans.Plan((plans.Sweep(rate=(rate_of(percent),)),), 2, 500, 50).describe()
            self.assertIn("plan: 4 points of 500 ms x 2 boots, ", text)
            self.assertEqual("above 100% latency grows)" in text, percent > 100)

    def test_lists(self) -> None:
        blocks = errors.listed(option_values.parse_block, "--bs")
        self.assertEqual(blocks("4k,512"), (4096, 512))
        for bad in ("", "x", "4k,", "2m", "-1", "0", "1000", "4k,512,4096"):
            with self.assertRaises(UsageError):
                blocks(bad)
        numbers = errors.listed(errors.parse_number, "--batch", 0, 1023)
        self.assertEqual(numbers("8, 0"), (8, 0))
        for bad in ("", "x", "4k", "1,", "-1", "1024", "\u00b2", "8,8"):
            with self.assertRaises(UsageError):
                numbers(bad)
        words = errors.listed(errors.parse_word, "--completion", plans.COMPLETIONS)
        with self.assertRaises(UsageError):
            words("poll,never")

    def test_times(self) -> None:
        for text, expected in (
            ("500ms", 500),
            ("2s", 2000),
            ("2", 2000),
            ("0.5", 500),
            ("1m", 60000),
            ("1h", 3600000),
            ("60M", 3600000),
            ("0.01h", 36000),
            ("500msec", 500),
            ("20000usec", 20),
        ):
            self.assertEqual(option_values.parse_time_ms(text, "--runtime"), expected)
        for bad in ("", "ms", "5h", "1d", "0", "nan", "inf", "1e3", "-1", "1.2.3", "5x", "1h30m",
                    "20us", "9" * 400, "9" * 400 + "h"):
            with self.assertRaises(UsageError, msg=bad):
                option_values.parse_time_ms(bad, "--runtime")
        self.assertEqual(option_values.parse_time_ms("0", "--ramp-time", 0), 0)

    def test_numbers_without_end(self) -> None:
        for parse in (option_values.parse_rate, option_values.parse_block):
            with self.assertRaises(UsageError):
                parse("9" * 5000, "--what")
        with self.assertRaises(UsageError):
            errors.parse_number("9" * 5000, "--iodepth", 1, 1023)

    def test_the_names_and_units_of_fio(self) -> None:
        words = ("--numjobs=2 --iodepth=8 --iodepth_batch_submit=4 --rate_iops=1k --bs=4K "
                 "--rate_process=poisson --ramp_time=0 --runtime=1h --boots=1")
        plan = options.make_plan(options.build_parser().parse_args(words.split()))
        arguments = plans.guest_arguments(plan, plan.sweeps[0], 0)
        for word in ("numjobs=2", "iodepth=8", "iodepth_batch_submit=4", "rate_iops=1024",
                     "bs=4096", "rate_process=poisson", "ramp_time=0ms",
                     "runtime=3600000ms"):
            self.assertIn(word, arguments)
        boot_machine(Target(), plan, plan.sweeps[0], 0).check()


if __name__ == "__main__":
    unittest.main()
