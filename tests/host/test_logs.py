"""What the nvme tool tells of logs: on the machine in virtual time, over the model's log pages."""

from __future__ import annotations

import json
import unittest

from test_degraded import tool

from run import ConsolePrinter

CHANGED = "Changed Namespace List Log"
WORN = "0:worn,1:changed"  # what the first has to tell; the second is well but for its list
CONTROLLERS = ("00:01.0", "00:02.0")


def parsed(flaws: str, *words: str) -> tuple[int, list[dict], str]:
    """Exit status, the controllers of a document as Python's json reads it, and the console."""
    status, console = tool(flaws, *words, "format=json")
    lines = [line for line in console.splitlines() if line.startswith(ConsolePrinter.DOCUMENT)]
    return status, json.loads("\n".join(lines))["controllers"], console


def document(flaws: str, *words: str) -> list[dict]:
    """The controllers of a document. The tool succeeds."""
    status, controllers, console = parsed(flaws, *words)
    assert status == 0, console
    return controllers


class Text(unittest.TestCase):
    """Lines for people."""

    def check(self, flaws: str, command: str, expected: str) -> None:
        """The lines of the console between the first controller's heading and the exit."""
        status, console = tool(flaws, command)
        self.assertEqual((status, console), (0, f"{expected}exit 0\n"))

    def test_changed_namespaces(self) -> None:
        """Two, more than there is room for, none."""
        heading = f"{CHANGED} for device:{{}}\n"
        first, second = map(heading.format, CONTROLLERS)
        self.check(WORN, "changed-ns",
                   f"{first}[   0]:0x1\n[   1]:0x7\n{second}more than 1024 ns changed\n")
        self.check("", "changed-ns", f"{first}no ns changed\n{second}no ns changed\n")

    def test_errors(self) -> None:
        """An entry with a count; an entry without one is none."""
        _, console = tool(WORN, "errors")
        self.assertRegex(console, r"^Error Log Entries for device:00:01.0 entries:1\n Entry\[ 0\]\n"
                         r"\.+\nerror_count +: 3\nsqid +: 0\n(.*\n)+"
                         r"Error Log Entries for device:00:02.0 entries:0\nexit 0\n$")

    def test_smart(self) -> None:
        """Each controller has a heading and its values."""
        status, console = tool(WORN, "smart")
        self.assertEqual(status, 0, console)
        first, second = console.split("Smart Log for NVME device:")[1:]
        self.assertRegex(first, r"^00:01.0 namespace-id:ffffffff\ncritical_warning +: 0x4\n"
                         r"temperature +: 77 C \(350 K\)\n")
        self.assertRegex(second, r"^00:02.0 namespace-id:ffffffff\ncritical_warning +: 0\n")


class Documents(unittest.TestCase):
    """The same for programs."""

    def test_logs(self) -> None:
        """Numbers are numbers; the list has nvme-cli's keys."""
        worn, well = document(WORN, "smart")
        self.assertEqual((worn["critical_warning"], worn["temperature"]), (4, 350))
        self.assertEqual((well["critical_warning"], well["media_errors"]), (0, 0))
        worn, well = document(WORN, "errors")
        self.assertEqual([entry["error_count"] for entry in worn["errors"]], [3])
        self.assertEqual(well, {"address": "00:02.0", "errors": []})
        worn, well = document(WORN, "changed-ns")
        self.assertEqual(worn[CHANGED], {"[   1]": "0x1", "[   2]": "0x7"})
        self.assertEqual(well[CHANGED], {"[   1]": "0xffffffff"})

    def test_a_controller_that_gives_no_queue_is_told_of(self) -> None:
        """Logs and identify need none. Notes in between break no line."""
        for command in ("smart", "errors", "changed-ns", "identify"):
            with self.subTest(command):
                both = document("0:queues_refused,1:list_refused", command)
                self.assertEqual([each["address"] for each in both], list(CONTROLLERS))

    def test_a_dead_controller_is_told_of(self) -> None:
        """With an error; the document has the healthy one behind it; the exit status is 1."""
        for command, name in (("smart", "temperature"), ("identify", "sn")):
            status, both, console = parsed("0:dead", command)
            self.assertEqual((status, [each["address"] for each in both]), (1, list(CONTROLLERS)))
            self.assertRegex(both[0]["error"], "^bring-up failed")
            self.assertNotIn(name, both[0])
            self.assertIn(name, both[1])
            self.assertRegex(console, "(?m)^note: nvme at 00:01.0 is not used: bring-up failed")

    def test_a_serial_number_that_nobody_has_is_refused(self) -> None:
        """The document is empty and valid; the error says why."""
        for command in ("smart", "identify"):
            status, none, console = parsed("0:dead", command, "serial=x")
            self.assertEqual((status, none), (1, []))
            self.assertRegex(console, "(?m)^error: serial=x: no NVMe controller has it")

    def test_identify(self) -> None:
        """Fields of the pages as they are; the reason why a namespace is not used."""
        first, second = document("0:metadata,0:second", "identify")
        self.assertEqual((first["sn"], first["vid"], first["sqes"]), ("model-1", 0x1B36, 0x66))
        bad, good = first["namespaces"]
        self.assertEqual((bad["nsid"], bad["nsze"], bad["lbafs"]),
                         (1, 2097152, [{"ms": 8, "ds": 9, "rp": 0}]))
        self.assertIn("8 bytes of metadata", bad["unusable"])
        self.assertEqual((good["nsid"], good["nsze"]), (2, 2048))
        self.assertNotIn("unusable", good)
        self.assertEqual(len(second["namespaces"]), 1)


class Reset(unittest.TestCase):
    """It needs no queue either."""

    def test_reset(self) -> None:
        """Each controller is ready again, or the one that is named."""
        status, console = tool("0:queues_refused", "reset")
        self.assertEqual(status, 0, console)
        self.assertEqual([line.split(": ")[0] for line in console.splitlines()
                          if line.startswith("reset")], [f"reset {at}" for at in CONTROLLERS])
        status, console = tool("0:dead", "reset")
        self.assertEqual((status, console.count("is ready")), (1, 1), console)
        status, console = tool("0:dead", "reset", "controller=00:02.0")
        self.assertEqual((status, console.count("is ready")), (0, 1), console)


class Optional(unittest.TestCase):
    """Commands that this device does not have."""

    def test_refused_in_words(self) -> None:
        for words in ("write-zeroes count=8", "dsm count=8", "compare", "verify",
                      "copy by=device from=0 to=64 count=8"):
            with self.subTest(words=words):
                status, console = tool("", *words.split())
                self.assertEqual(status, 1, console)
                said = rf"^error: {words.split()[0]}: the device does not offer it \(ONCS 0x0\)"
                self.assertRegex(console, rf"(?m){said}")
                self.assertNotIn("note:", console)


if __name__ == "__main__":
    unittest.main()
