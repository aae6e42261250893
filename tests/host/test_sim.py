"""The machine in virtual time: what it charges, and that it is the same on every host."""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import jsonschema
from support import ROOT, SCRIPTS

import bench
import validate
from measure import instructions
from measure.modes import USABLE
from qemu.machine import HARTS_MAX
from report import answer, pictures, what_if as picture
from sim import profile, run as simulation, section, what_if
from sim.machine import SimMachine

PROGRAM = ROOT / "build" / "sim-bench"
COUNTED = ROOT / "build" / "sim-instructions"
SHARE_MOST = 0.05  # between what is charged and what was counted
# The machines of `make instructions`; slow harts, which wait for the device in few steps.
MACHINES = (["sim.controllers=4"], ["sim.messages=1"], ["sim.harts=2"],
            ["sim.harts=8"], ["sim.harts=64", "sim.controllers=4"])
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
                # The first window is another: it activates the queue, which is not charged.
                now = sum(charged[name][f"{part}_median"] for part in parts)
                counted = sum(parts.values())
                self.assertLess(abs(now / counted - 1), SHARE_MOST, f"{now} of {counted}")

    def test_a_list_is_no_command(self) -> None:
        """One of 8 entries is as long: 36 KiB cost what lies between 32 and 40 KiB."""
        spent = []
        for size in ("32k", "36k", "40k"):
            words = ("sim.read=0:0,1000000:0", SLOW, f"bs={size}", "runtime=500ms")
            (row,) = rows(run(str(PROGRAM), *words), "hartq_bench")
            spent.append(row["runtime_ns"] / row["read"]["total_ios"])
        self.assertAlmostEqual(spent[1] / ((spent[0] + spent[2]) / 2), 1, delta=0.005)


class Times(unittest.TestCase):
    """At depth 1, where instructions take next to no time."""

    SERVICE_NS = 50_000
    FIGURES = {"write_ns": 1000, "fetch_ns": 20_000, "tell_ns": 7000, "entry_ns": 500,
               "clock_ns": 200, "interrupt_ns": 5000, "trap_ns": 900, "wake_ns": 1700,
               "read_ns": 300}
    # How often each lies on the way of a request; the others are not on it.
    ALWAYS = {"write_ns": 2, "posted_ns": 1, "fetch_ns": 1, "tell_ns": 1, "entry_ns": 1}
    WAYS = {"poll": {**ALWAYS, "clock_ns": 1},
            "irq": {**ALWAYS, "clock_ns": 2, "interrupt_ns": 1, "trap_ns": 1, "wake_ns": 1}}

    def test_a_request_takes_what_its_figures_add_up_to(self) -> None:
        """A posted write too: what it takes to arrive is waited for once."""
        service = f"sim.read=0:{self.SERVICE_NS},1000000:{self.SERVICE_NS}"
        for completion, way in self.WAYS.items():
            for posted_ns in (0, 3000):
                with self.subTest(completion, posted_ns=posted_ns):
                    figures = self.FIGURES | {"posted_ns": posted_ns}
                    words = [f"sim.{name}={value}" for name, value in figures.items()]
                    (row,) = rows(run(str(PROGRAM), "sim.instruction_ps=1", "sim.messages=1",
                                      service, *words, f"completion={completion}",
                                      "doorbell=each", "runtime=20ms"), "hartq_bench")
                    expected = sum(times * figures[name] for name, times in way.items())
                    self.assertAlmostEqual(simulation.latency_of(row),
                                           self.SERVICE_NS + expected, delta=5)


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

    def test_another_compiler_computes_the_same(self) -> None:
        """clang's build, which ends at undefined behaviour: every profile, and several harts."""
        machines = [profile.words(profile.load(f"sim:{name}")) for name in profile.names()]
        for words in (*machines, ["sim.harts=4", "numjobs=4"]):
            with self.subTest(words):
                self.assertEqual(run(str(PROGRAM), *words, *self.WORDS),
                                 run(f"{PROGRAM}-checked", *words, *self.WORDS))

    def test_bench_writes_the_same_result(self) -> None:
        """results.json of the command, once alone and once beside a busy host."""
        command = [sys.executable, str(SCRIPTS / "bench.py"), "--machine", "sim:tlc", "--iodepth",
                   "1,8", "--completion", "poll,irq,hybrid", "--boots", "4"]
        found = []
        for busy in (False, True):
            with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
                load = subprocess.Popen([PROGRAM, "runtime=100s"], stdout=subprocess.DEVNULL)
                if not busy:
                    load.kill()
                done = subprocess.run([*command, "--out", folder], capture_output=True, text=True,
                                      check=False)
                load.kill()
                load.wait()
                self.assertEqual(done.returncode, 0, done.stderr)
                found.append((Path(folder) / "results.json").read_bytes())
        self.assertEqual(found[0], found[1])
        self.assertIn(b'"machine": "sim:tlc"', found[0])


class Harts(unittest.TestCase):
    """Harts are coroutines: each delivery, with more harts than one."""

    def test_every_delivery_works_on_four_harts(self) -> None:
        """A line each, one for all with IPIs, messages; no hart is left out."""
        for words in (("sim.controllers=4",), (), ("sim.messages=1",)):
            told = rows(run(str(PROGRAM), "sim.harts=4", "sim.ipi_ns=300", *words,
                            "completion=poll,irq,hybrid", "numjobs=4", "iodepth=4", "runtime=5ms",
                            "ramp_time=1ms"), "hartq_bench")
            self.assertEqual(len(told), 3)
            for row in told:
                with self.subTest(delivery=row["delivery"], completion=row["job options"]):
                    self.assertEqual(row["harts"], 4)
                    self.assertEqual(row["counters"]["missed"] + row["errors"], 0)
                    self.assertGreater(row["read"]["total_ios"], 100)

    def test_as_many_harts_as_the_scripts_allow(self) -> None:
        """32 of them do I/O, 64 there may be."""
        (row,) = rows(run(str(PROGRAM), "sim.harts=32", "sim.messages=1", "numjobs=32",
                          "completion=irq", "runtime=2ms", "ramp_time=1ms"), "hartq_bench")
        self.assertEqual((row["harts"], row["errors"]), (32, 0))
        run(str(PROGRAM), f"sim.harts={HARTS_MAX}", "runtime=1ms")

    def test_a_flag_is_a_number_too(self) -> None:
        """Not any word that is not 1."""
        for word in ("sim.messages=yes", "sim.edges=2", "sim.passes="):
            done = subprocess.run([PROGRAM, word], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{word}: a whole number, at most 1", done.stdout)

    def test_a_device_without_shadow_doorbells_is_named(self) -> None:
        """Their points are left out, the others are measured."""
        words = ("doorbell=shadow,each", "runtime=1ms", "ramp_time=0")
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: doorbell=shadow: controller 0 has no Doorbell Buffer Config",
                      done.stdout)
        self.assertIn("skipped: point 0 randread-4k-qd1-b1-poll-shadow:", done.stdout)
        (row,) = rows(done.stdout, "hartq_bench")
        self.assertEqual(row["jobname"], "randread-4k-qd1-b1-poll-each")

    def test_a_word_that_is_no_figure_is_named(self) -> None:
        """And nothing runs."""
        done = subprocess.run([PROGRAM, "sim.nothing=1"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("sim.nothing=1: the machine has no such figure", done.stdout)


class Profiles(unittest.TestCase):
    """platform/sim/profiles.toml."""

    def test_the_program_knows_every_figure(self) -> None:
        """Of every profile that has a name."""
        for name in profile.names():
            with self.subTest(name):
                found = simulation.records(SimMachine(f"sim:{name}"), "runtime=1ms")
                self.assertEqual(len(found), 1)

    def test_a_device_may_hold_interrupts_back(self) -> None:
        """Fewer of them for the same requests."""
        told = []
        for name in ("sim:tlc", "sim:outoforder+messages+tlc+coalescing"):
            (found,) = simulation.records(SimMachine(name), "completion=irq", "iodepth=64")
            told.append(found["counters"]["interrupts"] / found["read"]["total_ios"])
        self.assertLess(told[1], told[0] / 4)

    def test_an_unknown_part_is_named(self) -> None:
        """With those that there are."""
        with self.assertRaisesRegex(Exception, "'slow' is unknown.*inorder"):
            profile.load("sim:slow+tlc")

    def test_every_figure_of_a_machine_has_its_source(self) -> None:
        """Harts and buses beside the figure, devices above them."""
        text = profile.FILE.read_text(encoding="utf-8").partition("# ---- devices")[0]
        for line in text.splitlines():
            if re.match(r"\w+ = \d", line) and not line.startswith(("messages", "edges")):
                self.assertIn("#", line)

    def test_the_model_of_qemu_is_near_the_measured_run(self) -> None:
        """The medians of the ratios' errors stay below the limits of make validate-sim."""
        with contextlib.redirect_stdout(io.StringIO()) as told:
            status = validate.main([])
        self.assertEqual(status, 0, told.getvalue())

    def test_only_a_steady_closed_loop_is_laid_over_the_model(self) -> None:
        """A load of another kind at the same place changes nothing."""
        self.assertEqual(section.MODES, USABLE)
        result = json.loads(validate.REFERENCE.read_text(encoding="utf-8"))
        wanted = validate.measured(validate.REFERENCE)
        for job in [*result["jobs"]]:
            for word in sorted(validate.SHAPED):
                options = {**job["job options"], word: "1"}
                mine = {**job["hartq"], "iops_median": 1.0}
                result["jobs"].append({"job options": options, "hartq": mine})
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(result, file)
            file.flush()
            self.assertEqual(validate.measured(Path(file.name)), wanted)

    def test_devices_do_what_their_sources_say(self) -> None:
        """Within 5 %: the P4800X at depth 1 and 16, the 970 EVO Plus at depth 128."""
        for name, depth, iops in (("optane", 1, 108_300), ("optane", 16, 584_800),
                                  ("tlc", 128, 600_000)):
            with self.subTest(name, depth=depth):
                (found,) = simulation.records(SimMachine(f"sim:{name}"), f"iodepth={depth}",
                                              "completion=poll", "runtime=100ms")
                self.assertLess(abs(simulation.iops_of(found) / iops - 1), 0.05)


class Answers(unittest.TestCase):
    """The section of the report, and --what-if."""

    def test_the_section_is_labelled_and_fits_the_schema(self) -> None:
        """It says that it is no measurement, and what it leaves out."""
        found = section.measure_all()
        schema = json.loads((SCRIPTS / "results" / "schema.json").read_text(encoding="utf-8"))
        part = {"$defs": schema["$defs"], **schema["properties"]["modelled"]}
        jsonschema.Draft202012Validator(part).validate(found)
        (told,) = answer.modelled({"modelled": found})
        self.assertIn("not measured", told.title)
        self.assertRegex(told.lines[0], "^optane: polling leads interrupts by 3% or more at d")
        self.assertIn(section.LEFT_OUT[0], told.lines[-1])
        self.assertEqual(len(told.tables[0].rows), len(section.PROFILES))
        self.assertEqual(answer.modelled({}), [])

    def test_a_device_is_scaled_to_a_latency(self) -> None:
        """The median is what was asked for, the tail is cut."""
        figures = {"read": [[0, 50], [0.5, 100], [0.99, 200], [1, 90000]]}
        self.assertEqual(what_if.scaled(figures, 8)["read"],
                         [[0, 4000], [0.5, 8000], [0.99, 16000], [1, 20000]])

    def test_what_if_answers(self) -> None:
        """The whole command, at fewer places and in short runs."""
        short = {"LATENCIES_US": (5, 80), "DEPTHS": (1, 8), "LOADS": (20, 80), "REQUESTS": 20,
                 "WINDOW_US_MIN": 2000, "LEARNING_US": 5000}
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder, \
             contextlib.ExitStack() as stack, contextlib.redirect_stdout(io.StringIO()) as told:
            for module in (what_if, picture):
                for name in short.keys() & vars(module).keys():
                    stack.enter_context(mock.patch.object(module, name, short[name]))
            stack.enter_context(mock.patch.object(bench, "ROOT", Path(folder)))
            self.assertEqual(bench.main(["--what-if", "sim:optane"]), 0)
            names = sorted(path.name for path in Path(folder).glob("results/what-if/*"))
        self.assertEqual(names, sorted(f"optane.{kind}" for kind in pictures.KINDS))
        rows = told.getvalue().splitlines()[2:4]
        self.assertRegex(rows[0], r"^ *5 us +up to \d+ +\+\d")
        self.assertRegex(rows[1], r"^ *80 us +nowhere")
        leads = [float(row.split("%")[0].split()[-1]) for row in rows]
        self.assertGreater(leads[0], 2 * leads[1])  # a quick device leaves polling more to save

    def test_polling_pays_up_to_where_its_lead_ends(self) -> None:
        """Later leads do not count."""
        cells = [what_if.Cell(10, at, lead, 0, 0) for at, lead in
                 ((1, 0.1), (2, 0.03), (4, 0.02), (8, 0.2))]
        self.assertEqual(what_if.last_that_pays(cells, 10).at, 2)
        self.assertIsNone(what_if.last_that_pays(cells[2:], 10))


class Speed(unittest.TestCase):
    """Host time, as the processor counts it."""

    LEAST = 3e5  # I/Os per second of it: a fifth of what a server of 2024 does, for slower hosts

    def test_a_run_is_quick(self) -> None:
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
