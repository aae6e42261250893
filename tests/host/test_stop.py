"""scripts/cli/signals.py: a signal is never lost and never comes in between."""

import subprocess
import sys
import unittest

from support import HUNG_S, SCRIPTS

BEGIN = """
import os, signal, sys
from cli import signals as stop
stop.heed_signals()
quiet, _ = os.pipe()
def wait(seconds):
    try:
        return stop.wait_readable(quiet, seconds)
    except stop.Stopped as stopped:
        return stopped.signum
"""


class Stop(unittest.TestCase):
    """Each program is a process of its own: signals belong to a whole process."""

    def run_program(self, program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + program], cwd=SCRIPTS, capture_output=True, text=True,
            timeout=HUNG_S, check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_a_signal_in_a_finalizer(self) -> None:
        text = self.run_program(
            "class Last:\n"
            "    def __del__(self):\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        print('still here')\n"
            "Last()\n"
            "print(wait(20), wait(0))\n"
        )
        self.assertEqual(text, "still here\n15 False\n")

    def test_a_signal_during_the_wait(self) -> None:
        text = self.run_program("signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
                                "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
                                "print(wait(0.4))\n"
                                "import threading\n"
                                "kill = lambda: os.kill(os.getpid(), signal.SIGHUP)\n"
                                "threading.Timer(0.2, kill).start()\n"
                                "print(wait(20))\n")
        self.assertEqual(text, "False\n1\n")

    def test_going_on_after_a_pause_is_counted(self) -> None:
        text = self.run_program(
            "pause = 'kill -STOP %d; sleep 0.2; kill -CONT %d' % (os.getpid(), os.getpid())\n"
            "import subprocess\n"
            "subprocess.Popen(['sh', '-c', pause])\n"
            "print(stop.pauses())\n"
            "while not stop.pauses(): wait(0.1)\n"
            "print(stop.pauses())\n"
            "os.kill(os.getpid(), signal.SIGCONT)\n"
            "os.kill(os.getpid(), signal.SIGTERM)\n"
            "print(wait(20), stop.pauses())\n"
        )
        self.assertEqual(text, "0\n1\n15 2\n")

    def test_something_to_read(self) -> None:
        text = self.run_program("ends = os.pipe(); os.write(ends[1], b'x')\n"
                                "print(stop.wait_readable(ends[0], None))\n")
        self.assertEqual(text, "True\n")


if __name__ == "__main__":
    unittest.main()
