"""What a command line is told that cannot work: a line with what, value and limit, and status 2."""

from __future__ import annotations

import contextlib
import importlib
import io
import unittest

from support import ROOT, ScriptTest

from sim import profile

SIM = (f"machine: {{}} is unknown; hint: sim:NAME, of {', '.join(profile.names())}, or parts "
       f"joined by +: {', '.join(profile._tables()['parts'])}")
NO_DEVICE = ("--what-if: {} has no device with a latency of its own; hint: add one of "
             f"{', '.join(profile.devices())}")
SIM_TAKES = "--machine: {}; hint: platform/sim/profiles.toml has its figures"
REFUSED = (
    ("run.py", "x --harts two", "--harts: 'two' is not a number (1 to 64)"),
    ("run.py", "x --harts -1", "--harts: -1 is out of range (1 to 64)"),
    ("run.py", "x --harts", "--harts: a value is missing; hint: run.py --help"),
    ("run.py", "x --irqchip pic",
     "--irqchip: 'pic' is unknown ('plic', 'aplic', 'imsic'); hint: run.py --help"),
    ("run.py", "x --har 2", "arguments: '--har 2' is unknown; hint: run.py --help"),
    ("run.py", "--gdb", "arguments: APP is missing; hint: run.py --help"),
    ("run.py", "x --timeout long", "--timeout: 'long' is not a number (0.1 to 31622400.0)"),
    ("run.py", "x --slots 40", "--slots: 40 is out of range (1 to 31)"),
    ("run.py", "x --slots 1,1", "--slots: '1,1' has a value twice; hint: name each value once"),
    ("bench.py", "--preset fast",
     "--preset: 'fast' is unknown ('quick', 'default', 'full', 'instructions'); "
     "hint: bench.py --help"),
    ("bench.py", "--compare a", "--compare: takes 2 values; hint: bench.py --help"),
    ("bench.py", "--boots x", "--boots: 'x' is not a number (1 to 1000)"),
    ("bench.py", "--iodepth=", "--iodepth: '' is not a number (1 to 1023)"),
    ("bench.py", "--iodepth 1,,2", "--iodepth: '' is not a number (1 to 1023)"),
    ("bench.py", "--iodepth 1,1",
     "--iodepth: '1,1' has a value twice; hint: name each value once"),
    ("aa.py", "--seed x", "--seed: 'x' is not a number (0 to 1000000000)"),
    ("peers.py", "--boots x", "--boots: 'x' is not a number (1 to 100)"),
    ("run.py", "bench --machine sim:foo --dry-run", SIM.format("sim:foo: 'foo'")),
    ("run.py", "bench --machine sim --backing ram:1m --icount --lba 4096 --dry-run",
     SIM_TAKES.format("sim takes no --backing, --lba, --icount")),
    ("bench.py", "--machine sim:tlc --backing ram:1m --dry-run",
     SIM_TAKES.format("sim:tlc takes no --backing")),
    ("bench.py", "--what-if qemu", SIM.format("qemu: 'qemu'")),
    ("bench.py", "--what-if sim:qemu", NO_DEVICE.format("sim:qemu")),
    ("bench.py", "--what-if sim:inorder+line", NO_DEVICE.format("sim:inorder+line")),
    ("plot.py", "nosuch", "nosuch: No such file or directory; hint: make bench writes one"),
    ("plot.py", "results/reference nosuch.json", "nosuch.json: No such file or directory; "
     "hint: fio --output-format=json+ --output=FILE writes one"),
    ("plot.py", "docs", "docs/results.json: No such file or directory; "
     "hint: make bench writes one"),
    ("plot.py", "README.md", "README.md: not JSON: Expecting value: line 1 column 1 (char 0); "
     "hint: make bench writes one"),
    ("plot.py", "", "arguments: DIR is missing; hint: plot.py --help"),
)


class Usage(ScriptTest):
    """The table."""

    def test_each_is_refused_in_a_line(self) -> None:
        for script, words, text in REFUSED:
            main, said = importlib.import_module(script.removesuffix(".py")).main, io.StringIO()
            with self.subTest(script=script, words=words), contextlib.redirect_stderr(said), \
                 contextlib.chdir(ROOT):
                self.assertEqual((main(words.split()), said.getvalue()), (2, f"{script}: {text}\n"))


if __name__ == "__main__":
    unittest.main()
