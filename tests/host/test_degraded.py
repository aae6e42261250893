"""The nvme tool where controllers are degraded: on the machine in virtual time, over the model."""

from __future__ import annotations

import re
import subprocess
import unittest

from support import ROOT

TOOL = ROOT / "build" / "sim-nvme"
ONE = "1 controller, namespace 1: "
BOTH = "2 controllers, namespace 1: "
SECOND = "1 controller, namespace 2: 2048 blocks "
PASSED = "^note: nvme at 00:01.0 is not used: "
NONE = "^error: no NVMe controller can be used"
READ = "^crc32 "

# Flaws of two controllers that share a namespace (platform/sim/flaws.c); what is said, in order.
# A bad controller in front of a good one does not stop the program.
JOBS = {
    "0:list_refused": (BOTH, READ),
    "0:list_refused,0:no_blocks,0:second": (SECOND, READ),
    "0:queues_refused": (PASSED + "it grants no I/O queue", ONE, READ),
    "0:queues_refused,1:queues_refused": (PASSED + "it grants no", "00:02.0 .* grants no", NONE),
    "0:creation_refused": (PASSED + "I/O queue 1: the device ended the command", ONE, READ),
    "1:creation_refused": ("00:02.0 is not used: I/O queue 1: ", ONE, READ),
    "0:creation_refused,1:no_namespace": ("00:02.0 .* no such active", PASSED + "I/O", NONE),
    "0:one_queue,1:one_queue": (BOTH, READ),
    "0:no_namespace": (PASSED + "it has no active namespace", ONE, READ),
    "0:no_blocks": ("namespace 1 that is not used: it has no blocks .NSZE", PASSED, ONE, READ),
    "0:no_blocks,0:second": ("it has no blocks", "00:02.0 has a namespace 2", SECOND, READ),
    "0:metadata,0:second": ("8 bytes of metadata", SECOND, READ),
    "0:small_blocks,0:second": ("contradictory", SECOND, READ),
    "0:dead": (PASSED + "bring-up failed: .* fatal", ONE, READ),
    "0:gone": (PASSED + "bring-up failed: .* removed", ONE, READ),
    "0:silent": (PASSED + "bring-up failed: .* did not answer", ONE, READ),
    "0:unready": (PASSED + "bring-up failed: .* did not answer", ONE, READ),
    "0:slow_shutdown,1:slow_shutdown": (BOTH, READ),
}
# The same with messages.
MESSAGES = {
    "0:one_vector": (PASSED + "interrupts need MSI-X vector 1, it has 1", ONE, READ),
    "0:one_vector,1:one_vector": (PASSED + "interrupts need", "00:02.0 .*interrupts need", NONE),
    "0:two_vectors": (BOTH + ".* 2 queues of", READ),
}
# One controller, two harts that want a queue each.
ALONE = {
    "0:one_queue": ("^note: 2 queues wanted, 1 granted", " 1 queue of", READ),
    "0:two_vectors": ("^note: 2 queues wanted, 1 with an MSI-X vector", " 1 queue of", READ),
}
CONTROLLER = "^controller {} at PCI 00:0{}.0"
SECOND_TOLD = (CONTROLLER.format(1, 2), "1 active", "^nvme: ")
# All that is there is described, whatever is wrong with it.
DESCRIBED = {
    "0:list_refused": ("^  namespace 1 +2097152 blocks", "1 active", *SECOND_TOLD),
    "0:queues_refused": ("queue pairs +0 granted", "namespace 1 +2097152", *SECOND_TOLD),
    "0:no_namespace": ("0 active", *SECOND_TOLD),
    "0:no_blocks,0:second": ("namespace 1 +not usable: it has no blocks .NSZE is 0.$",
                             "namespace 2 +2048 blocks", "2 active", CONTROLLER.format(1, 2)),
    "0:metadata,0:second": ("namespace 1 .*; not usable: 8 bytes of metadata",
                            "namespace 2 +2048", "2 active", CONTROLLER.format(1, 2)),
    "0:small_blocks": ("namespace 1 .* of 256 bytes; not usable", "1 active", *SECOND_TOLD),
}


def tool(flaws: str, *words: str, messages: int = 0, controllers: int = 2) -> tuple[int, str]:
    """The exit status and the console of a run of the tool."""
    # A slow bus: to wait for a second takes few reads of a register.
    machine = (f"sim.messages={messages}", f"sim.controllers={controllers}", "sim.harts=2",
               "sim.read_ns=10000", f"sim.flaws={flaws}")
    done = subprocess.run([TOOL, *machine, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


class Degraded(unittest.TestCase):
    """What a controller refuses or lacks costs what it must, and is said."""

    def check(self, flaws: str, told: tuple[str, ...], *words: str, **machine: int) -> None:
        """The console has these texts in this order, and the exit status that they mean."""
        status, console = tool(flaws, *words, **machine)
        rest = console
        for text in told:
            match = re.search(text, rest, re.M)
            self.assertIsNotNone(match, f"no '{text}' behind the ones before in:\n{console}")
            rest = rest[match.end():]
        self.assertEqual(status, int(told[-1] == NONE), console)

    def test_a_healthy_controller_does_the_work(self) -> None:
        """Whichever is bad, and however the interrupts come."""
        job = ("crc", "harts=2", "count=64", "timeout=1s")
        for completion in ("poll", "irq"):
            for flaws, told in JOBS.items():
                with self.subTest(flaws, completion=completion):
                    self.check(flaws, told, *job, f"completion={completion}")
        for flaws, told in MESSAGES.items():
            with self.subTest(flaws):
                self.check(flaws, told, *job, messages=1)
        for flaws, told in ALONE.items():
            with self.subTest(flaws):
                self.check(flaws, told, *job, messages=1, controllers=1)

    def test_identify_describes_all(self) -> None:
        """A controller that gives no queue too: it is administered."""
        for flaws, told in DESCRIBED.items():
            with self.subTest(flaws):
                self.check(flaws, told, "identify")

    def test_identify_tells_of_one_that_cannot_be_brought_up(self) -> None:
        """And describes the one behind it; the exit status is 1."""
        for flaws in ("0:dead", "0:gone", "0:silent", "0:unready"):
            with self.subTest(flaws):
                status, console = tool(flaws, "identify", "timeout=1s")
                self.assertRegex(console, "(?s)" + PASSED[1:] + "bring-up failed.*"
                                 "\ncontroller 0 at PCI 00:01.0\n  not usable: bring-up failed.*"
                                 "\ncontroller 1 at PCI 00:02.0\n.*1 active.*" + ONE)
                self.assertEqual(status, 1, console)

    def test_a_vector_is_not_wanted_for_polling(self) -> None:
        """The queues poll: both controllers are used."""
        self.check("0:one_vector", (BOTH, READ), "crc", "harts=2", "count=64", "completion=poll",
                   messages=1)

    def test_a_refusal_has_its_words(self) -> None:
        """In the note: command, status, meaning."""
        self.check("0:queues_refused", ("refused: opcode 0x09, status 0x4002 .*field", ONE),
                   "crc", "harts=2", "count=64")

    def test_an_unknown_flaw_is_refused(self) -> None:
        """With the names that there are."""
        for flaws in ("0:wet", "2:dead", "dead", "0:dead,1:"):
            status, console = tool(flaws, "identify")
            self.assertEqual(status, 2, flaws)
            self.assertRegex(console, f"^error: sim.flaws={flaws}: .*list_refused")


if __name__ == "__main__":
    unittest.main()
