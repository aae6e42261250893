"""A hostile surrounding: every script says in a line what is wrong, and leaves no traceback."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import unittest
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

from bench_command import BenchTest
from fake_results import fake_result
from support import HUNG_S, ROOT, SCRIPTS, ScriptTest, run_script

from measure import environment
from qemu import host_cpu
from results import result_file

COMMANDS = sorted(
    path
    for path in (*SCRIPTS.glob("*.py"), *(ROOT / "tests").glob("*/run.py"),
                 ROOT / "tests/run_tests.py", ROOT / "tests/lint/size.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8").split("import ")[-1]
)
ONE_LINE = re.compile(r"[\w.]+: [^\n]+\n")


class Scripts(unittest.TestCase):
    """What every script has."""

    def test_each_is_an_entry(self) -> None:
        self.assertGreater(len(COMMANDS), 10)
        for path in COMMANDS:
            self.assertIn("\n@command.entry\ndef main(", path.read_text(encoding="utf-8"), path)

    def test_a_help_that_nobody_reads(self) -> None:
        for path in COMMANDS:
            read_end, write_end = os.pipe()
            os.close(read_end)
            done = subprocess.run([sys.executable, str(path), "--help"], stdout=write_end,
                                  stderr=subprocess.PIPE, check=False, timeout=HUNG_S)
            os.close(write_end)
            self.assertEqual((path.name, done.stderr), (path.name, b""))


class Run(ScriptTest):
    """run.py, with a stand-in for QEMU."""

    def run_py(
        self,
        body: str,
        *options: str,
        also: str = "",
        env: Mapping[str, str] | None = None,
        **kept: object,
    ) -> subprocess.CompletedProcess[str]:
        """Run it with its streams as they are given; `also` is Python that runs before."""
        code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import os, run\n{also}\n"
        argv = [sys.executable, "-c", f"{code}sys.exit(run.main())", str(self.elf), *options]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kept}
        return subprocess.run(
            [*argv, "--qemu", str(self.fake_qemu(body))], timeout=HUNG_S, check=False, text=True,
            env={**os.environ, **(env or {})}, **streams,
        )

    def test_a_reader_that_leaves(self) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = self.run_py("while :; do echo line; done", "--firmware", stdout=write_end)
        os.close(write_end)
        self.assertEqual((done.returncode, done.stderr), (128 + signal.SIGPIPE, ""))

    def test_output_that_has_no_space(self) -> None:
        with open("/dev/full", "w", encoding="ascii") as full:
            for option in ("--firmware", "--dry-run"):
                for env in ({"PYTHONUNBUFFERED": ""}, {"PYTHONUNBUFFERED": "1"}):
                    done = self.run_py("echo a; echo exit 0", option, stdout=full, env=env)
                    self.assertEqual(done.returncode, 1)
                    self.assertRegex(done.stderr, r"^run\.py: .*No space left on device\n$")

    def test_streams_that_are_closed(self) -> None:
        for body, status in (("echo exit 0", 0), ("echo exit 1", 1)):
            done = self.run_py(body, "--backing", "ram:1m", stdout=None, stderr=None,
                               preexec_fn=lambda: os.closerange(0, 3))
            self.assertEqual(done.returncode, status)

    def test_a_terminal_without_utf_8(self) -> None:
        plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = self.run_py("printf 'gr\\303\\274n\\nexit 0\\n'", "--firmware", env=plain)
        self.assertEqual((done.returncode, done.stdout), (0, "gr\\xfcn\nexit 0\n"))
        done = self.run_py("", "--backing", os.fsdecode(b"/no/\xfc.img"), env=plain)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, ONE_LINE)

    def test_no_folder_for_temporary_files(self) -> None:
        also = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']"
        for backing in ("null", "ram:1m", "tmpfs:1m"):
            done = self.run_py("echo exit 0", "--backing", backing, also=also)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_pidfd_open_refused(self) -> None:
        also = "def no(*_): raise OSError(1, 'no')\nos.pidfd_open = no"
        done = self.run_py("echo exit 0; exec >&-; sleep 0.3; exit 0", also=also)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        also += "\nfrom qemu import guest; guest.STOP_GRACE_S = 0.1"
        done = self.run_py("echo up; exec >&-; sleep 99", "--timeout", "0.1", also=also)
        self.assertEqual(done.returncode, 124)

    def test_a_process_that_cannot_be_started(self) -> None:
        also = "import subprocess\ndef no(*_, **__): raise OSError(11, 'try again')\n" \
               "from qemu import guest; guest.subprocess.Popen = no"
        done = self.run_py("", also=f"from qemu import machine; machine.find_qemu('/bin/true' and "
                           f"{str(self.fake_qemu(''))!r})\n{also}")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "run.py: try again\n")

    def test_a_reset_is_named(self) -> None:
        start = "echo 'OpenSBI v1.1'; echo 'Boot HART MEDELEG : 0x0'"
        done = self.run_py(f"{start}; echo a; {start}; echo exit 0")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr,
                         "run.py: the guest reset the machine: its firmware started 2 times\n")
        done = self.run_py(f"{start}; echo a")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr,
                         "run.py: the guest ended without `exit N`: it reset or powered off the "
                         "machine (QEMU's status 0)\n")

    def test_time_that_we_were_stopped_is_not_the_guests(self) -> None:
        for pause, status in (("STOP", 0), ("WINCH", 124)):
            body = f"echo up; kill -{pause} $PPID; touch {self.folder}/later; " \
                   "kill -CONT $PPID; echo on; sleep 0.1; echo exit 0"
            if status:
                body = body.replace("kill -CONT $PPID; ", "")
            done = self.command("--timeout", "3600", body=body, before=self.jump_clock)
            self.assertEqual(done.returncode, status, done.stderr)
            (self.folder / "later").unlink()


class Bench(BenchTest):
    """bench.py, with a stand-in for QEMU."""

    ONE = ("--iodepth", "1", "--runtime", "20ms", "--no-instructions")

    def limited(self, size: int) -> Callable[[], None]:
        """In the child: no file may grow beyond this."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return limit

    def files(self) -> dict[str, bytes]:
        """What the result's folder holds, by path."""
        return {str(path): path.read_bytes() for path in self.out.rglob("*") if path.is_file()}

    def test_a_full_disk(self) -> None:
        self.assertEqual(self.run_bench(*self.ONE).returncode, 0)
        before = self.files()
        done = subprocess.run(
            self.bench(*self.ONE), preexec_fn=self.limited(20000), capture_output=True, text=True,
            timeout=HUNG_S, check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)
        self.assertRegex(done.stderr, r"bench\.py: .*/\w+\.jsonl?: File too large\n$")
        self.assertEqual(self.files(), before)
        self.assertEqual([path.name for path in (self.folder / "out.partial").iterdir()], [])

    def test_a_reader_that_leaves(self) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run(self.bench(*self.ONE), stdout=write_end, stderr=subprocess.PIPE,
                              text=True, timeout=HUNG_S, check=False)
        os.close(write_end)
        self.assertEqual(done.returncode, 128 + signal.SIGPIPE)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_folder_that_takes_no_file(self) -> None:
        for script in ("bench", "peers", "aa"):
            done = self.run_to_end(script, "--out", "/proc/hartq", "--boots", "6")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stderr.splitlines()[-1], f"{script}.py: --out: /proc/hartq takes "
                             "no file: No such file or directory; hint: name another folder")
        self.assertFalse(self.out.exists())

    def test_a_pause_costs_its_boot(self) -> None:
        done = self.run_bench("--iodepth", "1", "--boots", "2",
                              "--no-instructions", ways=f"pause={self.folder}/paused")
        errors = done.stderr
        self.assertEqual(done.returncode, 0, errors)
        self.assertEqual(errors.count("is measured again"), 1, errors)
        self.assertNotIn("Traceback", errors)
        result = result_file.load(self.out)
        for job in result["jobs"]:
            numbers = [each["boot"] for each in job["hartq"]["boots"]]
            self.assertEqual(numbers, [0, 1])


class Host(unittest.TestCase):
    """What the host does not tell."""

    def test_entries_of_proc_that_vanish(self) -> None:
        process = subprocess.Popen(["true"])
        process.wait()
        self.assertIsNone(host_cpu.sample(process.pid, 0))
        gone = ProcessLookupError(3, "no such process")
        with mock.patch.object(Path, "read_text", side_effect=gone):
            found = host_cpu.sample(os.getpid(), 0)
        self.assertEqual(sum(found.ran.values()), 0)

    def test_no_load(self) -> None:
        with mock.patch.object(os, "getloadavg", side_effect=OSError):
            self.assertEqual(environment.load_averages(), [])
        self.assertEqual(environment.load_text([]), "unknown")


class Plot(ScriptTest):
    """plot.py from another interpreter, and with nowhere to write."""

    def test_an_interpreter_without_the_modules(self) -> None:
        other = self.folder / "python3"
        other.symlink_to(sys.executable)
        done = subprocess.run(
            [str(other), "-S", str(SCRIPTS / "plot.py"), str(self.folder)], capture_output=True,
            text=True, timeout=HUNG_S, check=False, env={**os.environ, "PYTHONPATH": "/nowhere"},
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("results.json: No such file or directory", done.stderr)

    def test_results_that_were_cut_off(self) -> None:
        text = json.dumps(fake_result("1")).encode()
        path = self.folder / "results.json"
        for size in (0, 1, len(text) // 2, len(text) - 1):
            path.write_bytes(text[:size])
            for words, status in (
                (["plot.py", str(self.folder)], 2),
                (["bench.py", "--compare", str(self.folder), str(self.folder)], 2),
                (["bench.py", "--resume", "--out", str(self.folder)], 2),
            ):
                done = run_script(*words)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertRegex(done.stderr, ONE_LINE)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_modules_that_are_missing(self) -> None:
        done = subprocess.run(
            ["/usr/bin/python3", "-S", str(SCRIPTS / "plot.py"), str(self.folder)],
            capture_output=True, text=True, timeout=HUNG_S, check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^plot\.py: .*scripts/setup\.sh plot installs[^\n]*\n$")

    def test_matplotlib_without_a_folder(self) -> None:
        code = "import sys, tempfile, runpy\n" \
               "def no(*_, **__): raise OSError(30, 'Read-only file system')\n" \
               f"tempfile.mkdtemp = no; sys.argv = ['plot.py', {str(self.folder)!r}]\n" \
               f"sys.path.insert(0, {str(SCRIPTS)!r})\n" \
               f"runpy.run_path({str(SCRIPTS / 'plot.py')!r}, run_name='__main__')"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=HUNG_S,
            check=False, env={**os.environ, "MPLCONFIGDIR": "/proc/nowhere"},
        )
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)
        self.assertRegex(done.stderr, r"plot\.py: .*MPLCONFIGDIR")


if __name__ == "__main__":
    unittest.main()
