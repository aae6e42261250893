"""examples/block_device.h for other languages: what bindgen can read, and a caller in Rust."""

import re
import shutil
import subprocess
import unittest

from support import HUNG_S, ROOT

HEADER = ROOT / "examples" / "block_device.h"
PROGRAM = "build/host/rust-block"


def code(text: str) -> str:
    """Without comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


class Header(unittest.TestCase):
    def test_it_stands_alone_and_is_plain(self) -> None:
        text = code(HEADER.read_text())
        freestanding = ["<stdbool.h>", "<stddef.h>", "<stdint.h>"]
        self.assertEqual(re.findall(r"#include\s+(\S+)", text), freestanding)
        self.assertNotRegex(text, r"\binline\b|\bstatic\b|\bunion\b|\.\.\.")
        self.assertNotRegex(text, r"\w\s*:\s*\d+\s*;")  # a bit-field
        self.assertNotRegex(text, r"#define\s+\w+\(")


class Caller(unittest.TestCase):
    def test_kernel_without_std_reads_and_writes(self) -> None:
        if shutil.which("rustc") is None:
            self.skipTest("rustc is not there: the caller in Rust was left out")
        subprocess.run(["make", "-s", PROGRAM], cwd=ROOT, check=True)
        done = subprocess.run([ROOT / PROGRAM], capture_output=True, text=True, timeout=HUNG_S,
                              check=False)
        self.assertEqual(done.stdout, "polling: success\nsleeping: success\n", done.stderr)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
