"""What another kernel takes: the sources in one folder, the library, the check of its port.

The sources are unpacked into an empty folder and compiled with a kernel that has neither libc nor
device tree (tests/port/bare). Under QEMU it reads a block by interrupt. docs/porting.md shows its
file. A second kernel has paging (tests/port/mini).
"""

import re
import shutil
import subprocess
import tempfile
import unittest
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARE = ROOT / "tests" / "port" / "bare"
MINI = ROOT / "tests" / "port" / "mini"
TEMPLATE = ROOT / "tests" / "port" / "template" / "nvme_port.h"
PLAIN_PORT = ROOT / "tests" / "port" / "nvme_port.h"
CC = "riscv64-unknown-elf-gcc"
QEMU = "qemu-system-riscv64"
FLAGS = (
    "-std=c17 -O2 -Wall -Wextra -Werror -ffreestanding -fno-builtin -nostdlib "
    "-march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany"
).split()
TEXT = "first words of block one"
BLOCK = 512
MINI_LINES_MAX = 330  # of C and assembly, port and glue included


def call(*words: object, folder: Path = ROOT) -> str:
    """The output of a command that must succeed."""
    command = [str(word) for word in words]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AssertionError(f"{command}:\n{answer.stdout}{answer.stderr}")
    return answer.stdout


def boot(kernel: Path, folder: Path, *devices: str) -> str:
    """The console of a kernel with a disk, where block 1 begins with TEXT. The rest differs."""
    image = folder / "disk.img"
    words = b"".join(number.to_bytes(4, "little") for number in range(1 << 18))
    image.write_bytes(b"\0" * BLOCK + TEXT.encode() + b"\0" + words)
    command = [QEMU, "-machine", "virt", "-smp", "1,maxcpus=2", "-m", "64M", "-nographic"]
    command += ["-kernel", str(kernel), "-drive", f"file={image},format=raw,if=none,id=d"]
    command += ["-nic", "none", "-monitor", "none", *devices]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=True
    )
    return answer.stdout


@unittest.skipUnless(shutil.which(CC), f"{CC} is not installed")
class Drop(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        call("make", "-s", "dist")
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        for archive in (ROOT / "build" / "dist").glob("hartq-*-*.tar.gz"):
            part = cls.folder / archive.name.split("-")[-1].removesuffix(".tar.gz")
            part.mkdir()
            call("tar", "xzf", archive, "--strip-components=1", "-C", part)
        cls.source = cls.folder / "source"
        cls.library = cls.folder / "riscv64"

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def link(self, *words: object, disk: str = "") -> Path:
        """The kernel, with the engine as these words give it, and another disk.c."""
        kernel, changed = self.folder / "kernel.elf", self.folder / "disk.c"
        changed.write_text(disk or (BARE / "disk.c").read_text())
        mine = [BARE / "start.S", BARE / "kernel.c", changed]
        linker = ["-T", BARE / "link.ld", "-Wl,--no-warn-rwx-segments"]
        call(CC, *FLAGS, "-I", BARE, *linker, "-o", kernel, *mine, *words, "-lgcc")
        return kernel

    def sources(self) -> list[Path]:
        return sorted(self.source.glob("*.c"))

    def test_each_source_compiles_alone_and_each_header(self) -> None:
        """Nothing outside the folder is needed."""
        output = ["-fsyntax-only", "-I", self.source]
        call(CC, *FLAGS, *output, *self.sources())
        for header in sorted(self.source.glob("*.h")):
            if header.name != "nvme_port.h" and not header.name.endswith("_internal.h"):
                with self.subTest(header=header.name):
                    call(CC, *FLAGS, *output, "-x", "c", header)

    def link_sources(self, disk: str = "") -> Path:
        """The kernel with the sources. Its own header, with its own memset, is in the port."""
        port = self.source / "nvme_port.h"
        port.write_text('#include "kernel.h"\n' + TEMPLATE.read_text())
        try:
            return self.link("-I", self.source, *self.sources(), disk=disk)
        finally:
            port.write_text(TEMPLATE.read_text())

    def test_it_reads_a_block_by_interrupt(self) -> None:
        kernel = self.link_sources()
        self.assert_reads(kernel)
        if shutil.which(QEMU):
            said = boot(kernel, self.folder, "-device", "virtio-blk-pci,drive=d")
            self.assertIn("error: no such NVMe controller", said)

    def assert_reads(self, kernel: Path, interrupts: str = "[1-9]") -> None:
        if not shutil.which(QEMU):
            self.skipTest(f"{QEMU} is not installed")
        said = boot(kernel, self.folder, "-device", "nvme,drive=d,serial=x")
        self.assertIn(f"block 1: {TEXT}\n", said.replace("\r", ""))
        self.assertRegex(said, rf"interrupts: {interrupts}")
        self.assertNotIn("bad:", said)

    def test_the_check_names_a_wrong_interrupt_source(self) -> None:
        disk = (BARE / "disk.c").read_text()
        kernel = self.link_sources(disk.replace(".irq_base = 32", ".irq_base = 36"))
        if not shutil.which(QEMU):
            self.skipTest(f"{QEMU} is not installed")
        said = boot(kernel, self.folder, "-device", "nvme,drive=d,serial=x")
        self.assertIn("bad: interrupt: comes\n", said.replace("\r", ""))
        self.assertIn("error: no interrupt came", said)

    def test_it_polls_as_the_document_says(self) -> None:
        """The document's polled read instead of the other one; the timer finds nothing to do."""
        disk = (BARE / "disk.c").read_text()
        changes = (
            (r"const char \*disk_read.*?\n}\n", self.documented()[1]),
            (r"void disk_tick\(void\)\n{.*?\n}\n", "void disk_tick(void)\n{\n}\n"),
            (r"NVME_MODE_INTERRUPT", "NVME_MODE_POLL"),
            (r"        kernel_attach.*?\n.*?\n", "        return NULL;\n"),
            (r"/\* The trap calls it.*?\n}\n", ""),
        )
        for old, new in changes:
            disk, count = re.subn(old, lambda _: new, disk, flags=re.S)
            self.assertEqual(count, 1, old)
        self.assert_reads(self.link_sources(disk), interrupts="0")

    def link_mini(self, old: str = "", new: str = "") -> Path:
        """The kernel with paging, changed in one place."""
        archive, kernel = self.folder / "drop.a", self.folder / "mini.elf"
        changed = self.folder / "kernel.c"
        text = (MINI / "kernel.c").read_text()
        self.assertIn(old, text)
        changed.write_text(text.replace(old, new))
        if not archive.exists():
            call(CC, *FLAGS, "-c", *self.sources(), folder=self.folder)
            call("riscv64-unknown-elf-ar", "rc", archive, *self.folder.glob("*.o"))
        linker = ["-T", MINI / "link.ld", "-Wl,--no-warn-rwx-segments", "-I", self.source]
        call(CC, *FLAGS, *linker, "-o", kernel, MINI / "start.S", changed, archive, "-lgcc")
        return kernel

    def assert_moves(self, kernel: Path, devices: tuple[str, ...], counters: str) -> None:
        """It reads what the image holds, and the image holds what it wrote."""
        said = boot(kernel, self.folder, *devices).replace("\r", "")
        image = (self.folder / "disk.img").read_bytes()
        expected = "".join(
            f"{word} {first:08x}: {zlib.crc32(image[first * BLOCK :][: count * BLOCK]):08x}\n"
            for word, first, count in (("read", 3, 77), ("write", 900, 1), ("read", 900, 1))
        )
        self.assertIn(expected, said)
        written = bytes((i * 7 + i // 256) % 256 for i in range(BLOCK))
        self.assertEqual(image[900 * BLOCK :][:BLOCK], written)
        self.assertRegex(said, counters)

    def test_a_kernel_with_paging_moves_blocks_by_interrupt(self) -> None:
        """Its DMA pages are scattered, its buffer starts within a page."""
        kernel = self.link_mini()
        if not shutil.which(QEMU):
            self.skipTest(f"{QEMU} is not installed")
        nvme = "nvme,drive=d,serial=x"
        self.assert_moves(kernel, ("-device", nvme), "interrupts: 0000000[1-9]")
        behind = ("-device", "pcie-root-port,id=r", "-device", f"{nvme},bus=r")
        said = boot(kernel, self.folder, *behind)
        self.assertIn("hint: a bridge has no bus number", said)
        with self.subTest("another source: the watchdog finds what ended"):
            kernel = self.link_mini(".irq_base = 32", ".irq_base = 36")
            counters = "interrupts: 00000000 missed: 0000000[1-9]"
            self.assert_moves(kernel, ("-device", nvme), counters)
        with self.subTest("a ring of two pages that are not contiguous"):
            kernel = self.link_mini("DEPTH = 64", "DEPTH = 65")
            self.assertIn("not contiguous", boot(kernel, self.folder, "-device", nvme))

    def test_the_kernel_with_paging_is_short(self) -> None:
        lines = [(MINI / name).read_text().splitlines() for name in ("start.S", "kernel.c")]
        self.assertLessEqual(sum(map(len, lines)), MINI_LINES_MAX)

    def test_the_installed_library_serves_the_same_kernel(self) -> None:
        place = self.folder / "installed"
        call("make", "-s", "install", f"DESTDIR={place}", "PREFIX=/opt/hartq")
        headers = place / "opt" / "hartq" / "include" / "hartq"
        archive = place / "opt" / "hartq" / "lib" / "libnvme.a"
        for file in (headers / "nvme.h", headers / "nvme_pci.h", archive):
            self.assertTrue(file.is_file(), file)
        self.assertEqual(
            sorted(path.name for path in headers.iterdir()),
            sorted(path.name for path in (self.library / "include" / "hartq").iterdir()),
        )
        flags = ["-I", headers, "-L", archive.parent, "-lnvme"]
        if shutil.which("pkg-config"):
            config = archive.parent / "pkgconfig" / "hartq.pc"
            flags = call("pkg-config", "--cflags", "--libs", config).split()
            version = re.search(r"VERSION .*/\* (\S+) \*/", (headers / "nvme.h").read_text())[1]
            self.assertEqual(call("pkg-config", "--modversion", config).strip(), version)
        self.assert_reads(self.link(*flags))

    def documented(self) -> list[str]:
        return re.findall(r"```c\n(.*?)```", (self.source / "porting.md").read_text(), re.S)

    def test_the_document_shows_the_file(self) -> None:
        self.assertEqual(self.documented()[0], (BARE / "disk.c").read_text())

    def test_the_template_is_short(self) -> None:
        self.assertLessEqual(len(TEMPLATE.read_text().splitlines()), 150)


# A port of the host that is right, and what each wrong function looks like: (what the check names,
# the function that is wrong, its body).
RIGHT = {
    "hal_irq_save": "unsigned long was = irq_on; irq_on = 0; return was;",
    "hal_irq_restore": "irq_on = irq_on | state;",
    "hal_irq_is_off": "return irq_on == 0;",
    "hal_now_ns": "struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);"
    "return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;",
    "hal_hart": "return 3;",
}
TIME = RIGHT["hal_now_ns"].replace("return (", "uint64_t ns = (")
WRONG = (
    ("hal_mmio_read32", "hal_mmio_read32", "return *(const volatile uint16_t *)address;"),
    ("hal_mmio_write32", "hal_mmio_write32", "*(volatile uint64_t *)address = value;"),
    ("hal_mmio_write32", "hal_mmio_write32",
     "*(volatile uint32_t *)address = __builtin_bswap32(value);"),
    ("hal_shadow_store32", "hal_shadow_store32",
     "*(volatile uint16_t *)address = (uint16_t)value;"),
    ("hal_dma_load32", "hal_dma_load32", "return *(const volatile uint8_t *)address;"),
    ("hal_dma_load64", "hal_dma_load64", "return *(const volatile uint32_t *)address;"),
    ("hal_dma_address", "hal_dma_address",
     "(void)context; return (uint64_t)(uintptr_t)pointer & ~UINT64_C(4095);"),
    ("hal_dma_address", "hal_dma_address",
     "(void)context; return (uint64_t)(uintptr_t)pointer & 4095;"),
    ("hal_dma_address", "hal_dma_address",
     "(void)context; return (uint64_t)(uintptr_t)pointer + 64;"),
    ("hal_dma_address", "hal_dma_address",
     "static uint64_t call; (void)context; call += 4096;"
     "return (uint64_t)(uintptr_t)pointer + call;"),
    ("hal_dma_clean", "hal_dma_clean",
     "(void)context; memset((void *)(uintptr_t)pointer, 0, size);"),
    ("hal_dma_invalidate", "hal_dma_invalidate",
     "(void)context; memset((void *)(uintptr_t)pointer, 0, size);"),
    ("hal_irq_save", "hal_irq_save", "return irq_on;"),
    ("hal_irq_restore", "hal_irq_restore", "(void)state; irq_on = 1;"),
    ("hal_irq_restore", "hal_irq_restore", "(void)state;"),
    ("hal_now_ns", "hal_now_ns", "return 1;"),
    ("hal_now_ns", "hal_now_ns", TIME + "return ns / 1000;"),
    ("hal_now_ns", "hal_now_ns", TIME + "return ns * 100000;"),
    ("hal_now_ns", "hal_now_ns", "static uint64_t now = 1000000000; return now -= 1000;"),
    ("hal_hart", "hal_hart", "static uint32_t hart; return hart++;"),
    ("registers", "hal_mmio_write32", "if (*(volatile uint32_t *)address != ENABLED) "
     "*(volatile uint32_t *)address = value;"),
)
MAIN = r"""
#include <stdio.h>
#include "nvme_port_check.h"
static _Alignas(4096) unsigned char buffer[8192];
static unsigned int registers[16] = {0x0107ff, 0x18, 0x10400, [9] = ENABLED};
static void report(void *arg, const char *function, const char *what, enum nvme_port_verdict v)
{
    (void)arg;
    printf("%s %s: %s\n", v == NVME_PORT_BAD ? "bad" : v == NVME_PORT_GOOD ? "good" : "unknown",
           function, what);
}
int main(void)
{
    struct nvme_port_check check = {.report = report, .page_bytes = 4096, .buffer = buffer,
                                    .registers = registers};
    return nvme_port_check(&check) != 0;
}
"""


def write_port(folder: Path, bodies: dict[str, str]) -> None:
    """The plain port with other bodies of some functions."""
    text = PLAIN_PORT.read_text()
    for name, body in bodies.items():
        old = re.compile(rf"(\b{name}\([^)]*\)\n){{.*?\n}}", re.S)
        text, count = old.subn(rf"\1{{ {body} }}", text)
        assert count == 1, name
    head = "#include <string.h>\n#include <time.h>\nstatic volatile unsigned long irq_on = 1;\n"
    (folder / "nvme_port.h").write_text(head + text)


class Check(unittest.TestCase):
    """tests/port/nvme_port_check.c tells right ports from wrong ones."""

    def run_check(self, bodies: dict[str, str]) -> list[str]:
        """What it prints for a port."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_port(folder, {**RIGHT, **bodies})
            (folder / "main.c").write_text(MAIN)
            kit = ROOT / "tests" / "port"
            call("gcc", "-std=gnu17", "-w", "-DENABLED=0x77", "-I", folder,
                 "-I", ROOT / "engine", "-I", kit, "-o", folder / "check", folder / "main.c",
                 kit / "nvme_port_check.c")
            answer = subprocess.run(
                [folder / "check"], capture_output=True, text=True, timeout=60, check=False
            )
            lines = answer.stdout.splitlines()
            bad = [line for line in lines if line.startswith("bad")]
            self.assertEqual(answer.returncode, bool(bad))
            return lines

    def test_a_right_port_has_no_bad_line(self) -> None:
        lines = self.run_check({})
        self.assertEqual([line for line in lines if line.startswith("bad")], [])
        self.assertEqual(
            [line for line in lines if line.startswith("unknown")],
            ["unknown hal_panic: does not return"],
        )

    def test_every_function_of_the_contract_is_named(self) -> None:
        hal = (ROOT / "engine" / "nvme_hal.h").read_text()
        named = {line.split()[1].rstrip(":") for line in self.run_check({})}
        self.assertLessEqual(set(re.findall(r"&(hal_\w+)", hal)), named)

    def test_what_is_not_known_is_no_error(self) -> None:
        lines = self.run_check(
            {"hal_hart": "return NVME_HART_UNKNOWN;", "hal_irq_is_off": "return true;"}
        )
        self.assertIn("unknown hal_hart: is told", lines)
        self.assertEqual([line for line in lines if line.startswith("bad")], [])

    def test_each_wrong_function_is_named(self) -> None:
        for named, function, body in WRONG:
            with self.subTest(function=function, body=body):
                lines = self.run_check({function: body})
                self.assertTrue(any(line.startswith(f"bad {named}: ") for line in lines), lines)


if __name__ == "__main__":
    unittest.main()
