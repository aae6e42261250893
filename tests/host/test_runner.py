"""tests/run_tests.py: steps of all suites share the cores, builds come first, a signal ends all."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from bench_command import StandIn
from support import HUNG_S, ROOT

# Two suites of shell; each step meets one of the other suite, or it would never end.
SUITES = """
import sys; sys.path.insert(0, {tests!r})
import pathlib, run_tests as r
r.LOGS = pathlib.Path({folder!r})
meet = "touch {folder}/$0; until [ -e {folder}/$1 ]; do sleep 0.01; done; echo $0 meets $1"
def step(name, text, *words):
    return r.Step(name, ["sh", "-c", text, *words], r.count_one)
def builds(suite):
    return [step(suite + " build", "touch {folder}/built; exit %d" % (suite == "fuzz"))]
def steps(suite):
    if suite == "sim":
        text = "echo $$ >{folder}/$0.part; mv {folder}/$0.part {folder}/$0; sleep 999"
        return [step(name, text, name) for name in ("pid", "pid2", "late")]
    other = dict(host="model", model="host", fuzz="fuzz")[suite]
    return [step(suite, "[ -e {folder}/built ] || exit 1; " + meet, suite, other)]
r.builds, r.steps = builds, steps
sys.exit(r.main(sys.argv[1:]))
"""


class Runner(StandIn):
    """Suites of shell."""

    def start(self, *suites: str) -> subprocess.Popen[str]:
        code = SUITES.format(tests=str(ROOT / "tests"), folder=str(self.folder))
        return subprocess.Popen([sys.executable, "-c", code, *suites], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def test_suites_overlap_behind_all_builds(self) -> None:
        process = self.start("fuzz", "host", "model")
        output, errors = process.communicate(timeout=HUNG_S)
        self.assertEqual((process.returncode, errors), (1, ""))
        told = re.findall(r"^(ok|FAIL) +(\w+): ([\w ]+?)  ", output, re.M)
        self.assertEqual(told[:3], [("FAIL", "fuzz", "fuzz build"), ("ok", "host", "host build"),
                                    ("ok", "model", "model build")])
        self.assertEqual(sorted(told[3:]), [("ok", "host", "host"), ("ok", "model", "model")])
        self.assertEqual(output.splitlines()[-1], "4 passed, 1 failed")
        self.assertIn("the 10 slowest:", output)

    def test_a_signal_ends_what_runs_and_starts_nothing(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            process = self.start("sim")
            names = [self.folder / name for name in ("pid", "pid2")]
            for name in names:
                self.wait_for(name)
            pids = [int(name.read_text()) for name in names]
            process.send_signal(signum)
            _, errors = process.communicate(timeout=HUNG_S)
            self.assertEqual((process.returncode, errors.count("\n")), (128 + signum, 1), errors)
            for pid in pids:
                self.assertFalse(Path(f"/proc/{pid}").exists(), "a step was left behind")
            for name in names:
                name.unlink()
            self.assertFalse((self.folder / "late").exists())


if __name__ == "__main__":
    unittest.main()
