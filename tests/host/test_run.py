"""scripts/run.py: exit status, messages, QEMU's command line, and that nothing stays behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from typing import Any
from unittest import mock

from support import HUNG_S, ROOT, SCRIPTS, ScriptTest

from cli.errors import parse_size
from qemu import guest
from qemu.guest import Guest, Line, run_guest
from qemu.machine import Machine, UsageError, parse_properties

# A firmware's banner of two lines, then what the guest says.
BANNER = 'echo "OpenSBI v1.1"; echo "Boot HART MEDELEG : 0x0"; echo'


class ExitStatus(ScriptTest):
    """What the command answers with."""

    def test_success(self) -> None:
        done = self.command(body=f"{BANNER}; printf 'hello\\r\\nexit 0\\r\\n'")
        self.assertEqual((done.returncode, done.stdout), (0, "hello\nexit 0\n"))
        self.assertEqual(done.stderr, "")

    def test_guest_failure(self) -> None:
        done = self.command(body="echo exit 3; exit 3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("exit 3", done.stderr)

    def test_exit_line_against_qemu_status(self) -> None:
        self.assertEqual(self.command(body="echo exit 0; exit 1").returncode, 1)
        self.assertEqual(self.command(body="echo exit 1; exit 0").returncode, 1)

    def test_last_exit_line_decides(self) -> None:
        self.assertEqual(self.command(body="echo exit 1; echo exit 0").returncode, 0)

    def test_exit_inside_a_line_does_not_count(self) -> None:
        self.assertEqual(self.command(body="echo the exit 0").returncode, 1)

    def test_silent_guest(self) -> None:
        done = self.command(body="exit 0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("without `exit N`", done.stderr)

    def test_qemu_that_stays_after_the_exit_line(self) -> None:
        for status in (0, 1):
            body = f"echo exit {status}; exec sleep infinity"
            with self.subTest(status=status), mock.patch.object(guest, "EXIT_GRACE_S", 0.1):
                result = run_guest(Machine(self.elf, qemu=str(self.fake_qemu(body))))
                self.assertEqual((result.status, result.guest_exit), (status, status))

    def test_last_line_without_an_end(self) -> None:
        self.assertEqual(self.command(body="printf 'exit 0'").returncode, 0)

    def test_time_out_shows_the_last_lines(self) -> None:
        def late_after_a_line() -> None:
            self.jump_clock()
            take = Guest._take
            Guest._take = lambda *line: (take(*line), (self.folder / "later").touch())[0]

        body = "echo begun; exec sleep infinity"
        done = self.command("--timeout", "600", body=body, before=late_after_a_line)
        self.assertEqual(done.returncode, 124)
        self.assertIn("time-out after 600 s", done.stderr)
        self.assertIn("begun", done.stderr)

    def test_time_out_while_the_guest_babbles(self) -> None:
        body = "while :; do echo line; done"
        self.assertEqual(self.command("--timeout", "0.5", body=body).returncode, 124)

    def test_qemu_refuses(self) -> None:
        done = self.command(body="echo 'qemu: no such device' >&2; exit 1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such device", done.stderr)

    def test_qemu_is_killed(self) -> None:
        done = self.command(body="kill -9 $$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("signal 9", done.stderr)

    def test_firmware_is_shown_when_nothing_follows(self) -> None:
        done = self.command(body='echo "OpenSBI v1.1"')
        self.assertIn("OpenSBI", done.stdout)

    def test_invalid_bytes_do_no_harm(self) -> None:
        done = self.command("--firmware", body="printf '\\377\\000\\nexit 0\\n'")
        self.assertEqual(done.returncode, 0)


class Signals(ScriptTest):
    """A signal ends the guest too."""

    def relay(self, signum: int) -> None:
        qemu = self.fake_qemu(f'echo $$ > "{self.folder}/pid"; echo up; exec sleep 50')
        command = [sys.executable, str(SCRIPTS / "run.py"), str(self.elf), "--firmware"]
        with subprocess.Popen(
            [*command, "--qemu", str(qemu)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout
            process.stdout.readline()
            pid = int((self.folder / "pid").read_text())
            process.send_signal(signum)
            status = process.wait(HUNG_S)
        if signum != signal.SIGKILL:
            self.assertEqual(status, 128 + signum)
        for _ in range(20 * HUNG_S):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            # A killed child of a killed parent stays a zombie until init looks.
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().split()[2] == "Z":
                    return
            time.sleep(0.05)
        self.fail("QEMU was left behind")

    def test_sigint(self) -> None:
        self.relay(signal.SIGINT)

    def test_sigterm(self) -> None:
        self.relay(signal.SIGTERM)

    def test_sigkill(self) -> None:
        self.relay(signal.SIGKILL)


class Usage(ScriptTest):
    """Values that cannot work are refused in one line, with status 2, before QEMU starts."""

    def refused(self, words: str, *arguments: str) -> None:
        done = self.command(*arguments, body=f"touch {self.folder}/started")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertFalse((self.folder / "started").exists())

    def test_ranges(self) -> None:
        self.refused("--harts: 0", "--harts", "0")
        self.refused("--memory: 1", "--memory", "1")
        self.refused("--lba: 1024", "--lba", "1024")
        self.refused("--timeout: 0", "--timeout", "0")
        self.refused("--controllers: 31", "--controllers", "31")
        self.refused("--controllers: 'two'", "--controllers", "two")
        self.refused("3 different slots for 2", "--controllers", "2", "--slots", "1,2,3")
        self.refused("--slots: 32 is out of range (1 to 31)", "--slots", "32")
        self.refused("'junk' is not a property", "--nvme", "junk")
        self.refused("--qemu-arg", "--qemu-arg", "'")

    def test_sizes(self) -> None:
        self.refused("'x' is not a size", "--backing", "null:x")
        self.refused("out of range", "--backing", "ram:0")
        self.refused("out of range", "--backing", "null:99999999t")
        self.refused("multiple of the LBA size 4096", "--backing", "ram:512", "--lba", "4096")

    def test_images(self) -> None:
        image = self.folder / "disk.img"
        self.refused("No such file", "--backing", str(image))
        self.refused("not a regular file; hint: null, ram:SIZE", "--backing", str(self.folder))
        image.write_bytes(b"")
        self.refused("0 bytes", "--backing", str(image))
        image.write_bytes(b"x" * 1000)
        self.refused("1000 bytes, not a multiple", "--backing", str(image))

    def test_arguments(self) -> None:
        self.refused("'a b' cannot travel", "a b")
        self.refused("'' cannot travel", "")
        self.refused("cannot travel", "name=\u00e4")
        self.refused("too many", "x" * 2000)

    def test_unknown_program(self) -> None:
        with self.assertRaisesRegex(UsageError, r"build/nothing\.elf does not exist; hint: "):
            Machine("nothing").argv()

    def test_a_form_of_the_programs(self) -> None:
        with (mock.patch.dict(os.environ, HARTQ_FORM="none"),
              self.assertRaisesRegex(UsageError, r"build/none/hello\.elf does not exist; hint: ")):
            Machine("hello").argv()

    def test_not_an_elf_file(self) -> None:
        for content in (b"", b"#!/bin/sh\n"):
            self.elf.write_bytes(content)
            self.refused("is not an ELF program")

    def test_a_file_that_is_no_program(self) -> None:
        for app, words in (("README.md", "'README.md' is not an ELF program; hint: "),
                           ("/", "'/': Is a directory; hint: ")):
            with contextlib.chdir(ROOT), self.assertRaisesRegex(UsageError, f"^program: {words}"):
                Machine(app).argv()

    def test_qemu(self) -> None:
        for qemu, words in (
            (str(self.folder / "none"), "not an executable"),
            ("/bin/true", "does not look like QEMU's"),
            (str(self.fake_qemu("", version="6.2.0")), r"6\.2\.0, older than 7\.2"),
        ):
            with self.assertRaisesRegex(UsageError, words):
                Machine(self.elf, qemu=qemu).argv()

    def test_locked_image(self) -> None:
        body = "echo 'Failed to get \"write\" lock' >&2; exit 1"
        done = self.command(body=body)
        self.assertEqual(done.returncode, 2)
        self.assertIn("another QEMU has the image open", done.stderr)


class CommandLine(ScriptTest):
    """QEMU's command line."""

    def argv(self, **fields: Any) -> str:
        machine = Machine(self.elf, qemu=str(self.fake_qemu("")), **fields)
        return " ".join(machine.argv())

    def test_two_cpus_at_least(self) -> None:
        self.assertIn("-smp 1,maxcpus=2", self.argv(harts=1))
        self.assertIn("-smp 8,maxcpus=8", self.argv(harts=8))

    def test_automatic_controllers(self) -> None:
        for harts, irqchip, count in (
            (1, "plic", 1),
            (3, "plic", 3),
            (8, "plic", 4),
            (8, "aplic", 4),
            (8, "imsic", 1),
        ):
            argv = self.argv(harts=harts, irqchip=irqchip)
            self.assertEqual(argv.count("-device nvme,"), count)
            self.assertEqual("nvme-subsys" in argv, count > 1)
            self.assertEqual("shared=on" in argv, count > 1)

    def test_sockets_divide_harts_and_memory(self) -> None:
        argv = self.argv(harts=6, memory_mib=257, sockets=2, irqchip="aplic")
        self.assertIn("-smp 6,maxcpus=6,sockets=2 ", argv)
        self.assertIn("-M virt,aia=aplic ", argv)
        self.assertIn("size=128M -numa node,nodeid=0,cpus=0-2,memdev=memory0", argv)
        self.assertIn("size=129M -numa node,nodeid=1,cpus=3-5,memdev=memory1", argv)
        self.assertNotIn("-numa", self.argv(harts=2))

    def test_sockets_of_different_size(self) -> None:
        with self.assertRaisesRegex(UsageError, "--sockets: 2 harts cannot be divided by 3"):
            self.argv(harts=2, sockets=3)

    def test_slots(self) -> None:
        argv = self.argv(slots=[1, 5])
        self.assertIn("addr=0x1,", argv)
        self.assertIn("addr=0x5,", argv)

    def test_properties_override(self) -> None:
        argv = self.argv(nvme={"mdts": "0", "serial": "a,b"}, namespace={"nsid": "7"})
        self.assertIn("mdts=0", argv)
        self.assertIn("serial=a,,b", argv)
        self.assertIn("nsid=7", argv)

    def test_no_disk(self) -> None:
        argv = self.argv(attach=False, qemu_args=["-device", "x"])
        self.assertNotIn("-device nvme", argv)
        self.assertIn("disk0", argv)
        self.assertTrue(argv.endswith("-device x"))

    def test_lba_and_icount(self) -> None:
        argv = self.argv(lba_bytes=4096, icount=True, irqchip="imsic")
        self.assertIn("logical_block_size=4096,physical_block_size=4096", argv)
        self.assertIn("-icount shift=0", argv)
        self.assertIn("aia=aplic-imsic", argv)

    def test_image_name_with_a_comma(self) -> None:
        image = self.folder / 'a,b".img'
        image.write_bytes(bytes(512))
        self.assertIn('a,b\\".img', self.argv(backing=str(image)))

    def test_sizes(self) -> None:
        for text, size in (
            ("1", 1),
            ("4k", 4096),
            ("2M", 2 << 20),
            ("3g", 3 << 30),
            ("1GiB", 1 << 30),
        ):
            self.assertEqual(parse_size(text, "size"), size)

    def test_property_lists(self) -> None:
        self.assertEqual(parse_properties("a=1,b=x=y", "--nvme"), {"a": "1", "b": "x=y"})


class Module(ScriptTest):
    """The guest as other scripts use it."""

    def machine(self, body: str, **fields: Any) -> Machine:
        return Machine(self.elf, qemu=str(self.fake_qemu(body)), **fields)

    def test_lines_come_with_their_time(self) -> None:
        lines, between = [], []

        def keep(line: Line) -> None:
            lines.append(line)
            if line.text == "a":
                between.append(time.monotonic_ns())
                (self.folder / "go").touch()

        body = f"echo a; until [ -e {self.folder}/go ]; do sleep 0.01; done; echo b; echo exit 0"
        result = run_guest(self.machine(body), keep)
        self.assertEqual([line.text for line in lines], ["a", "b", "exit 0"])
        self.assertLess(lines[0].time_ns, between[0])
        self.assertLess(between[0], lines[1].time_ns)
        self.assertEqual((result.status, result.guest_exit), (0, 0))

    def test_time_out_begins_anew_with_each_line(self) -> None:
        now = [0]

        def take_time(line: Line) -> None:
            now[0] += 700 * 10**9
            (self.folder / line.text).touch()

        wait = f'until [ -e "{self.folder}/$i" ]; do sleep 0.01; done'
        body = f"for i in 1 2 3; do echo $i; {wait}; done; echo exit 0"
        for by_line, status in ((True, 0), (False, 124)):
            with mock.patch.object(guest.time, "monotonic_ns", lambda: now[0]):
                found = run_guest(self.machine(body, timeout_s=1000), take_time, by_line)
            self.assertEqual(found.status, status)
            for i in "123":
                (self.folder / i).unlink(missing_ok=True)

    def test_leaving_the_loop_early_loses_no_exit_line(self) -> None:
        with Guest(self.machine("echo a; echo b; echo exit 0")) as guest:
            for _ in guest.lines():
                break
            self.assertEqual(guest.finish().status, 0)

    def test_leaving_the_block_ends_qemu(self) -> None:
        with Guest(self.machine("exec sleep 50")) as guest:
            pid = guest.pid
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_memory_disk(self) -> None:
        body = (
            "for a; do case $a in *proc/self/fd/*) break;; esac; done\n"
            'file=${a#*filename\\": \\"}; stat -L -c \'size %s\' "${file%%\\"*}"; echo exit 0'
        )
        lines = []
        run_guest(self.machine(body, backing="ram:3m"), lambda line: lines.append(line.text))
        self.assertIn("size 3145728", lines)

    def test_image_is_not_locked_by_us(self) -> None:
        image = self.folder / "disk.img"
        image.write_bytes(bytes(4096))
        self.machine("", backing=str(image)).argv()
        with image.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
