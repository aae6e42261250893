"""The test runner's counting, the style checker's reading of C, the set-up script's messages."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from support import ROOT, SCRIPTS, ScriptTest

from lint import run as style
from run_tests import count_cmocka, count_last_line, count_unittest


class Counting(ScriptTest):
    """What counts as passed and failed; a run that says nothing has failed."""

    def test_cmocka(self) -> None:
        output = "[==========] 3 test(s) run.\n[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s)\n"
        self.assertEqual(count_cmocka(output, 1), (2, 1))
        self.assertEqual(count_cmocka("[  PASSED  ] 2 test(s).\n", 0), (2, 0))
        self.assertEqual(count_cmocka("[  PASSED  ] 2 test(s).\nAddressSanitizer\n", 1), (2, 1))
        self.assertEqual(count_cmocka("", 0), (0, 1))

    def test_unittest(self) -> None:
        self.assertEqual(count_unittest("Ran 5 tests in 1s\n\nOK (skipped=1)\n", 0), (4, 0))
        self.assertEqual(
            count_unittest("Ran 5 tests in 1s\nFAILED (failures=1, errors=1)\n", 1), (3, 2)
        )
        self.assertEqual(count_unittest("ImportError", 1), (0, 1))

    def test_last_line(self) -> None:
        self.assertEqual(count_last_line("1 passed, 9 failed\nx\n7 passed, 0 failed\n", 0), (7, 0))
        self.assertEqual(count_last_line("7 passed, 0 failed\n", 1), (7, 1))
        self.assertEqual(count_last_line("Killed\n", 0), (0, 1))


class Make(ScriptTest):
    """A wrong name is answered with the right ones."""

    def test_what_there_is_is_named(self) -> None:
        for goal, name, known in (("run", "APP", "hello"), ("debug", "APP", "nvme"),
                                  ("run", "BOARD", "virt")):
            with self.subTest(goal=goal, name=name):
                done = subprocess.run(["make", "-n", goal, f"{name}=nosuch"], cwd=ROOT,
                                      capture_output=True, text=True, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, f"{name}=nosuch.*{known}")


class Style(ScriptTest):
    """Each rule of the style check finds what it is for."""

    def findings(self, name: str, text: str) -> str:
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            path = Path(folder) / Path(name).name
            path.write_text(text)
            source = style.Source(path)
        source.name, source.path = name, ROOT / name
        return "\n".join(what for _, _, what in style.check_source(source))

    def setUp(self) -> None:
        super().setUp()
        (ROOT / "build").mkdir(exist_ok=True)

    def test_clean(self) -> None:
        text = "/* Words. */\n#include <stdint.h>\n\nint read_one(void)\n{\n    return 0;\n}\n"
        self.assertEqual(self.findings("engine/x.c", text), "")

    def test_layering(self) -> None:
        self.assertIn("outside", self.findings("engine/x.c", "#include <stdio.h>\n"))
        self.assertIn("outside", self.findings("platform/riscv64/x.c", '#include "nvme.h"\n'))
        self.assertIn("outside", self.findings("platform/riscv64/x.c", '#include "wired.h"\n'))
        self.assertIn(
            "only engine/nvme_hal.h", self.findings("engine/x.c", '#include "nvme_port.h"\n')
        )

    def test_retired_words(self) -> None:
        for text, word in (
            ("/* Kicks its owner. */\n", "the word is IPI"),
            ("nvme_submit(queue);\n", "nvme_queue_submit"),
            ("/* See kernel/storage.c. */\n", "runtime/"),
        ):
            self.assertIn(word, self.findings("engine/x.c", text))
        self.assertEqual(self.findings("tests/x.c", "/* Kicks its owner. */\n"), "")

    def test_words(self) -> None:
        self.assertIn("memory is given", self.findings("engine/x.c", "p = malloc(3);\n"))
        self.assertEqual(self.findings("tests/unit/x.c", "p = malloc(3);\n"), "")
        self.assertEqual(self.findings("engine/x.c", "/* no malloc here */\n"), "")
        self.assertIn("bit-fields", self.findings("engine/x.c", "    unsigned a : 3;\n"))
        self.assertIn("open end", self.findings("engine/x.c", "/* TO" + "DO */\n"))
        self.assertIn("path of one", self.findings("README.md", "in /ho" + "me/me\n"))

    def test_homes(self) -> None:
        text = "    nvme_register_write(c, NVME_REG_CC, 1);\n"
        self.assertIn("CC belongs in", self.findings("engine/io.c", text))
        self.assertEqual(self.findings("engine/controller.c", text), "")

    def test_functions(self) -> None:
        body = "    x();\n" * 70
        self.assertIn("at most 60", self.findings("bench/x.c", "int f(void)\n{\n" + body + "}\n"))
        text = "int f(int a, int b, int c, int d, int e,\n      int g, int h)\n{\n}\n"
        self.assertIn("7 parameters", self.findings("bench/x.c", text))
        text = "int f(void)\n{\nagain:\n    goto again;\n}\n"
        self.assertIn("does not go forward", self.findings("bench/x.c", text))

    def test_documentation(self) -> None:
        self.assertIn("f has no comment", self.findings("engine/x.h", "int f(void);\n"))
        self.assertEqual(self.findings("engine/x.h", "/* Says f. */\nint f(void);\n"), "")

    def test_api(self) -> None:
        head = "/*\n * R1  Owner.\n */\n\n"
        text = "/* Says f (R1). Context: any. */\nint nvme_f(void);\n"
        self.assertEqual(self.api(head + text), "")
        self.assertIn("has no rule R2", self.api(head + "/* R2 */\n"))
        self.assertIn("its Context", self.api("/* Says f. */\nint nvme_f(void);\n"))
        self.assertIn("nvme_g has no user", self.api("/* Context: any. */\nint nvme_g(void);\n"))
        words = "/*\n * For other\n * kernels. Context: any.\n */\nint nvme_g(void);\n"
        self.assertEqual(self.api(words), "")

    def api(self, text: str) -> str:
        """What is found in nvme.h, where a program calls nvme_f."""
        sources = []
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            for name, lines in (("engine/nvme.h", text), ("examples/x.c", "    nvme_f();\n")):
                path = Path(folder) / Path(name).name
                path.write_text(lines)
                sources.append(style.Source(path))
                sources[-1].name = name
        return "\n".join(what for _, _, what in style.api.check(sources))

    def test_lines(self) -> None:
        self.assertIn("101 columns", self.findings("engine/x.c", "x" * 101 + "\n"))
        self.assertIn("blanks", self.findings("engine/x.c", "x \n"))
        self.assertIn("no line end", self.findings("engine/x.c", "x"))
        self.assertIn("401 lines", self.findings("engine/x.c", "x\n" * 401))

    def test_links(self) -> None:
        self.assertIn("leads nowhere", self.findings("README.md", "[x](engine/none.c)\n"))
        self.assertEqual(self.findings("README.md", "[x](Makefile#top) [y](#z)\n"), "")

    def test_sentences(self) -> None:
        """One sentence in ten may be long; code and tables are no prose."""
        short, long = "A word.\n" * 11, "word " * 31 + "end.\n"
        self.assertIn("32 words", self.findings("README.md", long))
        self.assertIn("32 words", self.findings("engine/x.h", f"/* {long.strip()} */\n"))
        self.assertEqual(self.findings("README.md", short + long), "")
        self.assertEqual(self.findings("README.md", f"| {long.strip()} |\n\n    {long}"), "")
        self.assertNotIn("words", self.findings("engine/x.c", f"/* {long.strip()} */\n"))


class SetUp(ScriptTest):
    """scripts/setup.sh."""

    def setup(self, group: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPTS / "setup.sh"), group],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **variables},
        )

    def test_old_emulator_is_named(self) -> None:
        done = self.setup("run", QEMU=str(self.fake_qemu("", version="6.2.0")))
        self.assertEqual(done.returncode, 1)
        self.assertIn("6.2.0; hartq needs 7.2 or newer", done.stderr)

    def test_new_emulator_is_taken(self) -> None:
        done = self.setup("run", QEMU=str(self.fake_qemu("", version="11.0.50")))
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_missing_emulator_of_the_user(self) -> None:
        done = self.setup("run", QEMU="/none/qemu")
        self.assertEqual(done.returncode, 1)
        self.assertIn("QEMU=/none/qemu is not executable", done.stderr)

    def test_unknown_group(self) -> None:
        self.assertEqual(self.setup("everything").returncode, 2)
