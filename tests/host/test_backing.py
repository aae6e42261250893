"""scripts/qemu/backing.py: what --backing names, what is refused, and that nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from support import HUNG_S, SCRIPTS, ScriptTest

from cli.errors import UsageError
from qemu import backing
from qemu.backing import Backing, parse_backing
from qemu.guest import Guest, run_guest
from qemu.image_formats import WRITABLE
from qemu.machine import Machine

# A QEMU that says how its backing is opened: reopened with O_DIRECT or not, its size and its name.
TELL_MEDIUM = (
    "for a; do case $a in *proc/self/fd/*) break;; esac; done\n"
    'file=${a#*filename\\": \\"}; file=${file%%\\"*}\n'
    'echo "size $(stat -L -c %s $file) links $(stat -L -c %h $file)"; echo exit 0'
)


class Parsing(ScriptTest):
    """Each form of --backing."""

    def test_forms(self) -> None:
        for text, wanted in (
            ("null", Backing("null", "")),
            ("null:4k", Backing("null", "4k")),
            ("ram:64m", Backing("ram", "64m")),
            ("tmpfs:64m", Backing("tmpfs", "64m")),
            ("tmpfs:64m,cache=none,aio=native", Backing("tmpfs", "64m", "native", True)),
            ("disk:64m", Backing("disk", "64m", "threads", True)),
            ("disk:64m,cache=writeback", Backing("disk", "64m", "threads", False)),
            ("disk:64m,aio=io_uring", Backing("disk", "64m", "io_uring", True)),
            ("a,b.img", Backing("file", "a,b.img")),
            ("disk", Backing("file", "disk")),
            ("/x/d.img,aio=io_uring,cache=none", Backing("file", "/x/d.img", "io_uring", True)),
            ("a,b.img,format=qcow2", Backing("file", "a,b.img", format="qcow2")),
            ("d.img,format=raw,cache=none", Backing("file", "d.img", direct=True, format="raw")),
            ("a,format=raw,format=raw", Backing("file", "a,format=raw", format="raw")),
        ):
            self.assertEqual(parse_backing(text), wanted, text)

    def test_refused(self) -> None:
        for text, words in (
            ("disk:64m,aio=posix", "aio=posix is unknown"),
            ("d.img,cache=writethrough", "cache=writethrough is unknown"),
            ("tmpfs:64m,aio=native", "needs cache=none"),
            ("d.img,aio=native", "needs cache=none"),
            ("null,cache=none", "takes no cache"),
            ("ram:1m,aio=threads", "takes no aio"),
            ("disk:1m,format=qcow2", "takes no format"),
            ("d.img,format=vmkd", "format=vmkd is unknown"),
            ("disk:1m,aio=threads,aio=native", "not a size"),
            ("tmpfs:", "has no size"),
            ("null:", "has no size"),
        ):
            with self.assertRaisesRegex(UsageError, words, msg=text):
                parse_backing(text).check(512)

    def test_sizes_are_judged(self) -> None:
        for text, words in (("tmpfs:x", "not a size"), ("disk:100", "multiple of the LBA size")):
            with self.assertRaisesRegex(UsageError, words):
                parse_backing(text).check(512)

    def test_names(self) -> None:
        with mock.patch.object(backing, "filesystem", lambda path: "tmpfs"):
            for text, name in (
                ("null", "null"),
                ("null:4k", "null:4k"),
                ("ram:64m", "ram:64m"),
                ("tmpfs:64m", "file:of 64m on tmpfs, aio=threads"),
                ("/x/d.img,aio=io_uring", "file:d.img on tmpfs, aio=io_uring"),
                ("/x/d.img,format=raw", "file:d.img on tmpfs, aio=threads"),
                ("/x/d.img,format=qed", "file:d.img on tmpfs, format=qed, aio=threads"),
            ):
                self.assertEqual(parse_backing(text).name(), name)
        with mock.patch.object(backing, "filesystem", lambda path: "ext4"):
            name = "file:of 64m on ext4 (disk), cache=none, aio=threads"
            self.assertEqual(parse_backing("disk:64m").name(), name)


class Refusals(ScriptTest):
    """What is found before QEMU starts."""

    def test_no_space(self) -> None:
        for kind in ("tmpfs", "disk"):
            with self.assertRaisesRegex(UsageError, f"{kind}:7t: .* has room for"):
                parse_backing(f"{kind}:7t").check(512)

    def test_no_direct_access(self) -> None:
        image = self.folder / "disk.img"
        image.write_bytes(bytes(4096))
        with mock.patch.object(backing, "takes_direct", lambda path: False):
            with self.assertRaisesRegex(UsageError, r"refuses cache=none .*leave it out"):
                parse_backing(f"{image},cache=none").check(512)
            with mock.patch.object(backing, "filesystem", lambda path: "ext4"):
                with self.assertRaisesRegex(UsageError, "refuses cache=none"):
                    parse_backing("disk:1m").check(512)
        parse_backing(str(image)).check(512)

    def test_a_folder_that_takes_no_file(self) -> None:
        usage = mock.Mock(free=1 << 40)
        with mock.patch.object(backing, "SCRATCH", Path("/proc")), \
             mock.patch.object(shutil, "disk_usage", lambda path: usage), \
             mock.patch.object(backing, "filesystem", lambda path: "ext4"):
            for call in (Backing.check, Backing.open):
                with self.assertRaisesRegex(UsageError, "/proc: no file can be made there"):
                    call(parse_backing("disk:1m"), 512)

    def test_a_disk_in_memory_is_none(self) -> None:
        with mock.patch.object(backing, "filesystem", lambda path: "tmpfs"):
            with self.assertRaisesRegex(UsageError, "in memory, not on a disk"):
                parse_backing("disk:1m").check(512)
        with mock.patch.object(backing, "filesystem", lambda path: "ext4"):
            with self.assertRaisesRegex(UsageError, "is no tmpfs"):
                parse_backing("tmpfs:1m").check(512)


class Formats(ScriptTest):
    """An image that is not raw stays as it is, unless its format is named."""

    def image(self, content: bytes) -> Path:
        path = self.folder / "disk.img"
        path.write_bytes(content.ljust(4096, b"\0"))
        return path

    def refused(self, path: Path, found: str) -> None:
        """By run.py, before QEMU starts; the bytes stay."""
        before = path.read_bytes()
        done = self.command("--backing", str(path), body=f"touch {self.folder}/started")
        self.assertEqual(done.returncode, 2, found)
        self.assertIn(f"'{path}' is no raw image but {found}, which writing", done.stderr)
        self.assertIn(f"{path.name},format=raw overwrites it", done.stderr)
        self.assertFalse((self.folder / "started").exists())
        self.assertEqual(path.read_bytes(), before)

    def test_magic_numbers(self) -> None:
        for content, found in (
            (b"QFI\xfb\0\0\0\1", "qcow"),
            (b"QFI\xfb\0\0\0\2", "qcow2"),
            (b"QFI\xfb\0\0\0\3", "qcow2"),
            (b"LUKS\xba\xbe\0\1", "luks"),
            (b"LUKS\xba\xbe\0\2", "luks"),
            (b"COWD", "vmdk"),
            (bytes(4096 - 512) + b"conectix", "vpc"),
            (bytes(4096 - 511) + b"conectix", "vpc"),
            (b"Bochs Virtual HD Image", "bochs"),
            (b"#!/bin/sh\n#V2.0 Format\n", "cloop"),
            (bytes(4096 - 512) + b"koly", "dmg"),
        ):
            self.refused(self.image(content), found)
        for content in (b"", b"QFI", b"\0QFI\xfb\0\0\0\2", bytes(2048) + b"conectix"):
            parse_backing(str(self.image(content))).check(512)

    @unittest.skipUnless(shutil.which("qemu-img"), "no qemu-img")
    def test_images_of_qemu_img(self) -> None:
        for found, options in (
            *((name, ()) for name in WRITABLE),
            ("vpc", ("-o", "subformat=fixed")),
            ("vdi", ("-o", "static=on")),
            ("vmdk", ("-o", "subformat=monolithicFlat")),
        ):
            path = self.folder / f"{found}.img"
            path.unlink(missing_ok=True)
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", found, *options, str(path), "1M"], check=True
            )
            with self.subTest(found, options=options):
                self.refused(path, found)

    def test_named(self) -> None:
        image = self.image(b"QFI\xfb\0\0\0\3")
        with self.assertRaisesRegex(UsageError, "is no qed image but qcow2"):
            parse_backing(f"{image},format=qed").check(512)
        node = parse_backing(f"{image},format=qcow2").blockdev(None, 512)
        self.assertEqual((node["driver"], node["file"]["driver"]), ("qcow2", "file"))
        self.assertIsNone(parse_backing(f"{image},format=qcow2").size(512))
        node = parse_backing(f"{image},format=raw").blockdev(None, 512)
        self.assertEqual(node["driver"], "raw")

    def test_a_size_that_is_no_multiple_is_of_no_raw_image(self) -> None:
        path = self.folder / "flat.vmdk"
        path.write_bytes(b"# Disk DescriptorFile\nversion=1\n")
        self.refused(path, "vmdk")
        parse_backing(f"{path},format=vmdk").check(512)

    def test_a_name_that_qemu_cannot_read(self) -> None:
        path = self.folder / os.fsdecode(b"disk\xff.img")
        path.write_bytes(bytes(512))
        with self.assertRaisesRegex(UsageError, "is not UTF-8"):
            parse_backing(str(path)).check(512)


class Images(ScriptTest):
    """Temporary images, and the block node that QEMU is told."""

    def machine(self, body: str, **fields: Any) -> Machine:
        return Machine(self.elf, qemu=str(self.fake_qemu(body)), **fields)

    def test_no_name_and_the_whole_size(self) -> None:
        lines: list[str] = []
        for kind in ("ram", "tmpfs"):
            machine = self.machine(TELL_MEDIUM, backing=f"{kind}:2m")
            run_guest(machine, lambda line: lines.append(line.text))
        self.assertEqual([text for text in lines if "size" in text], ["size 2097152 links 0"] * 2)

    def test_boots_share_a_temporary_image(self) -> None:
        inodes = set()
        for _ in range(2):
            fd = parse_backing("tmpfs:1m").open(512)
            inodes.add(os.fstat(fd).st_ino)
            os.close(fd)
        self.assertEqual(len(inodes), 1)

    def test_a_disk_is_written_not_only_allocated(self) -> None:
        with mock.patch.object(backing, "SCRATCH", self.folder), \
             mock.patch.object(backing, "filesystem", lambda path: "ext4"):
            fd = parse_backing("disk:1536k,cache=writeback").open(512)
        try:
            data = os.pread(fd, 1536 << 10, 0)
            self.assertEqual(len(data), 1536 << 10)
            self.assertGreater(len(set(data[-512:])), 50)
        finally:
            os.close(fd)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["guest.elf"])

    def test_a_bad_value_makes_no_image(self) -> None:
        with mock.patch.object(backing, "temporary", side_effect=AssertionError("made")):
            with self.assertRaisesRegex(UsageError, "--harts"):
                with Guest(self.machine("", backing="tmpfs:1m", harts=0)):
                    self.fail("it started")

    def test_direct_is_set_on_both_nodes(self) -> None:
        image = self.folder / "disk.img"
        image.write_bytes(bytes(4096))
        node = parse_backing(str(image)).blockdev(None, 512)
        self.assertEqual((node.get("cache"), node["file"]["aio"]), (None, "threads"))
        with mock.patch.object(backing, "takes_direct", lambda path: True):
            node = parse_backing(f"{image},cache=none,aio=native").blockdev(None, 512)
        direct = {"direct": True}
        self.assertEqual((node["cache"], node["file"]["cache"]), (direct, direct))
        self.assertEqual(node["file"]["aio"], "native")

    def test_nothing_stays_behind_a_signal(self) -> None:
        before = set(Path("/dev/shm").iterdir())
        qemu = self.fake_qemu("echo up; exec sleep 50")
        command = [sys.executable, str(SCRIPTS / "run.py"), str(self.elf), "--firmware"]
        for signum in (signal.SIGINT, signal.SIGKILL):
            with subprocess.Popen(
                [*command, "--backing", "tmpfs:3m", "--qemu", str(qemu)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout
                process.stdout.readline()
                process.send_signal(signum)
                process.wait(HUNG_S)
            sizes = [path.stat().st_size for path in set(Path("/dev/shm").iterdir()) - before]
            self.assertNotIn(3 << 20, sizes)
