"""Linux beside ours: parsing, pairing, plan, packages, without a network and without the image."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import lzma
import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench_command import StandIn
from fake_fio import answer_of, fio_job
from support import HUNG_S

from linux import boot as linux_boot, image, plan
import peers
from measure.windows import GuestFailed
from qemu.machine import Machine


def console(name: str, answer: dict, status: int = 0) -> list[str]:
    """What the guest's /init prints for one job file."""
    text = base64.b64encode(gzip.compress(json.dumps(answer).encode())).decode()
    cut = [f"={text[at:at + 100]}" for at in range(0, len(text), 100)]
    return [f"#begin {name}", *cut, f"#end {name} {status}"]


class Reading(unittest.TestCase):
    """The console of Linux."""

    def read(self, lines: list[str]) -> dict[str, dict]:
        return dict(linux_boot.answers(lines, []))

    def test_answer_between_markers(self) -> None:
        answer = answer_of(plan.ENGINES[0], 10.0)
        found = self.read(["=noise", "OpenSBI", *console("a", answer), "=noise"])
        self.assertEqual(found, {"a": answer})

    def test_broken_answers_fail(self) -> None:
        whole = console("a", answer_of(plan.ENGINES[0], 10.0))
        for lines in (whole[:2] + whole[-1:], console("a", {"nojobs": 1}), console("a", {}, 2)):
            with self.assertRaises(GuestFailed):
                self.read(lines)

    def test_an_error_of_a_job_fails(self) -> None:
        answer = {"jobs": [{**fio_job("qd1-b1-iops", 1.0), "error": 5}]}
        with self.assertRaisesRegex(GuestFailed, "qd1-b1-iops"):
            self.read(console("a", answer))


class Planning(unittest.TestCase):
    """The plan and the command line."""

    def test_default_fits_in_its_time(self) -> None:
        self.assertLessEqual(plan.DEFAULT.seconds(), 13 * 60)
        self.assertGreaterEqual(plan.DEFAULT.boots, 6)

    def test_job_file(self) -> None:
        text = plan.job_file(plan.ENGINES[0], plan.DEFAULT)
        self.assertIn("[qd32-b16-iops]", text)
        self.assertNotIn("gtod_reduce", text)
        fios = next(each for each in plan.ENGINES if each.ioengine != plan.LOOP)
        self.assertEqual(plan.job_file(fios, plan.DEFAULT).count("gtod_reduce=1"), len(fios.points))
        least = [plan.job_file(e, plan.DEFAULT) for e in plan.ENGINES if e.least]
        self.assertEqual({"batch_complete_min=16" in each for each in least}, {False})

    def test_turns_go_round(self) -> None:
        boots = [plan.job_files(plan.DEFAULT, boot) for boot in range(6)]
        self.assertEqual(len({next(iter(files)) for files in boots}), 6)
        first = plan.ENGINES[0].name
        points = [re.findall(r"\[(qd.*)-iops\]", files[first]) for files in boots]
        self.assertEqual(len({each[0] for each in points}), 6)
        self.assertEqual({tuple(sorted(each)) for each in points}, {tuple(sorted(points[0]))})
        program = linux_boot.first_program(["nvme"], boots[1])
        self.assertIn(f"for name in {' '.join(boots[1])}; do", program)

    def test_no_folders_of_the_host(self) -> None:
        argv = ["/usr/bin/qemu", "-kernel", "/a/vmlinux", "-append", "rdinit=/init", "-blockdev",
                '{"driver": "file", "filename": "/a/b/disk.img"}', "-dtb", "/tmp/x/tree.dtb"]
        self.assertEqual(linux_boot.without_folders(argv), [
            "qemu", "-kernel", "vmlinux", "-append", "rdinit=/init", "-blockdev",
            '{"driver": "file", "filename": "disk.img"}', "-dtb", "tree.dtb"])

    def test_dry_run_and_bad_arguments(self) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(peers.main(["--dry-run"]), 0)
            self.assertEqual(peers.main(["--boots", "0"]), 2)
            self.assertEqual(peers.main(["--backing", "/no/such.img"]), 2)
        self.assertIn("6 boot pairs", out.getvalue())
        self.assertIn("--boots: 0 is out of range (1 to 100)", err.getvalue())


class Packages(unittest.TestCase):
    """What is fetched, and how its absence is told."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_no_network(self) -> None:
        fake = self.folder / "apt-get"
        fake.write_text(
            "#!/bin/sh\nprintf 'W: unread\\nE: Could not resolve host\\n' >&2\nexit 100\n")
        fake.chmod(0o755)
        keyring = self.folder / "keyring"
        keyring.touch()
        changed = {"PATH": f"{self.folder}:{os.environ['PATH']}", "DEBIAN_ARCHIVE": "http://host"}
        quiet = contextlib.redirect_stderr(io.StringIO())
        with mock.patch.dict(os.environ, changed), quiet, mock.patch.object(
            image, "KEYRING", keyring
        ), self.assertRaisesRegex(image.Unavailable, "resolve host.*needs the network"):
            image.provide(self.folder / "image")

    def test_archive(self) -> None:
        told = "http://host/debian-security/\nhttp://host/debian/\n"
        with mock.patch.dict(os.environ, {image.ARCHIVE_VARIABLE: ""}), mock.patch.object(
            image, "run", return_value=told
        ):
            self.assertEqual(image.find_archive(), "http://host/debian/")
        with mock.patch.dict(os.environ, {image.ARCHIVE_VARIABLE: ""}), mock.patch.object(
            image, "run", return_value="http://host/other/\n"
        ), self.assertRaisesRegex(image.Unavailable, "DEBIAN_ARCHIVE=http"):
            image.find_archive()

    def test_cache_needs_no_network(self) -> None:
        for name in ("vmlinux", "base.cpio"):
            (self.folder / name).touch()
        (self.folder / "manifest.json").write_text('{"kernel": "6"}')
        with mock.patch.object(image, "build", side_effect=AssertionError):
            self.assertEqual(image.provide(self.folder), {"kernel": "6"})

    def test_names(self) -> None:
        uris = "'http://x/f.deb' fio_3_riscv64.deb 1 S\n'http://x/p.deb' python3_3_all.deb 1 S\n"
        self.assertEqual(image.package_names(uris), ["fio"])

    def test_where_the_kernel_is(self) -> None:
        with self.assertRaisesRegex(image.Unavailable, "no kernel"):
            image.find_kernel(self.folder)
        for name in ("usr/lib/modules/7.2-riscv64/vmlinuz", "boot/vmlinux-6.12-riscv64"):
            path = self.folder / name
            path.parent.mkdir(parents=True)
            path.touch()
            release = "7.2-riscv64" if "7.2" in name else "6.12-riscv64"
            self.assertEqual(image.find_kernel(self.folder), (path, release))

    def test_what_the_image_contains(self) -> None:
        tree = self.folder / "tree"
        library = f"usr/lib/{image.LIBRARIES}/libc.so"
        module = "usr/lib/modules/6/{}.ko.xz"
        files = {"usr/bin/busybox": b"b", "usr/bin/fio": b"f", library: b"c",
                 module.format("nvme-core"): lzma.compress(b"core"),
                 module.format("nvme"): lzma.compress(b"\0depends=nvme-core\0")}
        for name, data in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        archive = self.folder / "base.cpio"
        self.assertEqual(image.write_base(tree, archive), ["nvme_core", "nvme"])
        data = archive.read_bytes()
        self.assertEqual(data[:6], b"070701", "the kernel's format")
        listed = subprocess.run(["cpio", "--list", "--quiet"], input=data, capture_output=True,
                                check=True).stdout.decode().split()
        for name in ("usr/bin/fio", "usr/bin/sh", library, "usr/lib/modules/nvme.ko", "bin", "dev",
                     f"usr/lib/{image.LOADER}"):
            self.assertIn(name, listed)
        initrd = self.folder / "initrd"
        with mock.patch.object(linux_boot, "LOOP", Path(__file__)):
            linux_boot.write_initrd(archive, ["nvme"], {"a": "[global]"}, initrd)
        self.assertTrue(initrd.read_bytes().startswith(data))
        for name in (b"jobs/a.fio", b"uring-loop"):
            self.assertIn(name, initrd.read_bytes()[len(data):])


NO_TREE = "peers.linux_boot.write_tree = lambda machine, path: None; peers.linux_boot.LOOP = "


class Command(StandIn):
    """The whole command, both guests replaced."""

    before = (
        'case " $* " in *" -icount "*) exec cat "$COUNTS";; esac\n'
        'case " $* " in *" -initrd "*) exec cat "$LINUX";; esac\n'
        '[ -z "$SLOW" ] || sleep 0.2\n'
    )

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "base.cpio").touch()
        (self.folder / "vmlinux").touch()
        about = {"kernel": "6", "fio": "3", "distribution": "none", "modules": ["nvme"]}
        (self.folder / "manifest.json").write_text(json.dumps(about))
        lines = [line for e in plan.ENGINES for line in console(e.name, answer_of(e, 100.0))]
        (self.folder / "linux").write_text("\n".join([*lines, "exit 0", ""]))

        self.words = ("peers", "--quick", "--image", str(self.folder))
        self.linux = {"LINUX": str(self.folder / "linux")}
        self.stand_ins = f"{NO_TREE}peers.Path({str(self.elf)!r})"

    def run_peers(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {**self.linux, **variables}
        return self.run_to_end(*self.words, *options, env=env, also=self.stand_ins)

    def test_pairs(self) -> None:
        done = self.run_peers("--boots", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads((self.out / "peers.json").read_text())
        self.assertEqual(found["partial"], False)
        self.assertEqual(len(found["comparisons"]), 24)
        self.assertEqual(found["comparisons"][0]["ratio"]["boots"], 2)
        self.assertIn("2/2 boot pairs", done.stderr)
        self.assertEqual((found["retries"], found["linux"]["modules"]), ([], ["nvme"]))
        self.assertIn("rdinit=/init", " ".join(found["qemu_argv"]["linux"]))
        self.assertNotIn(str(self.folder), json.dumps(found))
        self.assertNotIn("6.13", json.dumps(found["method"]), "nothing was refused")
        names = {path.name for path in (self.out / "jobs").iterdir()}
        self.assertEqual(names, {"init", *(f"{each.name}.fio" for each in plan.ENGINES)})
        self.assertRegex(done.stdout, r"\n +32 +1 +best +[\d.]+ \(.* 9: undecided, (too|the) ")

    def test_instructions_have_a_boot_of_their_own(self) -> None:
        counts = {"iodepth": 1, "batch": 1, "submit": 9, "interrupt": 0, "reap": 1, "median": 10}
        job = {"jobname": "qd1-b1-iops", "error": 0, **counts}
        file = self.folder / "counts"
        lines = [line for name in plan.count_files(plan.DEFAULT)
                 for line in console(name, {"jobs": [job]})]
        self.words = ("peers", "--image", str(self.folder), "--boots", "1")
        for text, modes in (("\n".join([*lines, "exit 0", ""]), ["poll", "irq"]), ("", [])):
            file.write_text(text)
            done = self.run_peers(COUNTS=str(file))
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads((self.out / "peers.json").read_text())["instructions"]
            self.assertEqual([each["completion"] for each in found], modes)
            self.assertEqual("under -icount" in done.stdout, bool(modes))
            self.assertEqual("are not counted: Linux" in done.stderr, not modes)

    def test_a_kernel_without_hybrid_polling_is_told(self) -> None:
        lines = [line for e in plan.ENGINES for line in console(
            e.name, {"jobs": []} if e.mode == "hybrid" else answer_of(e, 100.0))]
        (self.folder / "linux").write_text("\n".join([*lines, "exit 0", ""]))
        done = self.run_peers("--boots", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads((self.out / "peers.json").read_text())
        words = "loop-hybrid is not measured: this kernel refuses it"
        self.assertIn(words, done.stdout)
        self.assertIn(words, "\n".join(found["method"]))
        self.assertEqual({each["mode"] for each in found["comparisons"]}, {"poll", "irq", "best"})

    def test_tree_of_a_backing_without_a_name(self) -> None:
        machine = Machine(self.elf, backing="ram:1m", irqchip="imsic", qemu=str(self.qemu))
        with mock.patch.object(image, "run", return_value="") as tool:
            linux_boot.write_tree(machine, self.folder / "tree.dtb")
        words = " ".join(tool.call_args_list[0].args[0])
        self.assertRegex(words, "dumpdtb=.*null-co")
        self.assertNotIn("/proc/", words)

    def test_missed_interrupt_of_ours_fails(self) -> None:
        for version, fails in (("7.2.22", False), ("10.0.0", True)):
            done = self.run_peers("--boots", "1", FAKE_GUEST="missed", FAKE_VERSION=version)
            self.assertEqual(done.returncode, int(fails), done.stderr)
            self.assertRegex(done.stdout,
                             r"missed interrupts [1-9]\d* in 12 points that take any, IMSIC"
                             )
            self.assertEqual("!!! missed interrupts" in done.stdout, fails)

    def test_linux_that_dies_is_tried_twice(self) -> None:
        (self.folder / "linux").write_text("Kernel panic\n")
        done = self.run_peers()
        self.assertEqual(done.returncode, 1)
        self.assertIn("tried again", done.stderr)
        found = json.loads((self.out / "peers.json").read_text())
        self.assertTrue(found["partial"])
        self.assertEqual([each["boot"] for each in found["retries"]], [0])

    def test_ctrl_c_keeps_pairs(self) -> None:
        process = subprocess.Popen(
            self.argv(*self.words, "--boots", "50", also=self.stand_ins), text=True,
            env={**os.environ, **self.linux, "SLOW": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.wait_for(self.out / "peers.json")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HUNG_S)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("partial:", out)
        found = json.loads((self.out / "peers.json").read_text())
        self.assertTrue(found["partial"])
        self.assertEqual(len(found["comparisons"]), 24)

    def test_ended_before_a_pair_the_older_result_stays(self) -> None:
        run = mock.Mock(pairs=0, out=self.out, faults=0, windows=[1])
        run.measure.side_effect = peers.Stopped(signal.SIGINT)
        self.out.mkdir(parents=True)
        (self.out / "peers.json").write_text("{}")
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(peers.execute(run), 130)
        run.save.assert_not_called()
        self.assertIn("stays", err.getvalue())


if __name__ == "__main__":
    unittest.main()
