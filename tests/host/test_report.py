"""report.html: it says what is asked, holds all it needs, and loads in a browser quietly."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

from support import HUNG_S
from fake_results import ENVIRONMENT, fake_result

from report import answer

try:
    import plot
    from report import page
except (ImportError, SystemExit):
    plot = None  # matplotlib is not there


def find_chromium() -> str | None:
    """One that runs: Ubuntu's package is a script that asks for a snap."""
    for path in filter(None, map(shutil.which, ("chromium", "chromium-browser"))):
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


CHROMIUM = find_chromium()
PEERS = {
    "linux": {"kernel": "6.12", "fio": "fio-3.39", "distribution": "Debian 13"},
    "environment": {**ENVIRONMENT, "pairs": 6}, "method": [], "retries": [],
    "comparisons": [
        {
            "iodepth": 32, "batch": 1, "bs": 4096, "rw": "randread", "mode": "best", "goal": 8.0,
            "ours": {"name": "hartq, poll", "completion": "poll", "iops_median": 8e5,
                     "iops_interval": [7e5, 9e5]},
            "peer": {"name": "Linux io_uring", "engine": "io_uring", "iops_median": 1e5,
                     "iops_interval": [9e4, 1.1e5]},
            "ratio": {"median": 8.0, "interval": [7.0, 9.0], "confidence": 0.97, "boots": 6},
        }
    ],
    "series": [{"name": "Linux io_uring", "mode": "poll", "engine": "io_uring", "batch": 1,
                "points": [{"iodepth": 32, "iops_median": 1e5, "iops_interval": [9e4, 1.1e5]}]}],
}


class Links(HTMLParser):
    """Everything that a page would load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Links:
    """The page as a browser sees it."""
    found = Links()
    found.feed(page)
    return found


@unittest.skipIf(plot is None, "needs matplotlib")
class Drawn(unittest.TestCase):
    """A result with Linux's in its folder, drawn once for all tests of a class."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        (cls.folder / "results.json").write_text(json.dumps(fake_result("1,8")))
        (cls.folder / "peers").mkdir()
        (cls.folder / "peers" / "peers.json").write_text(json.dumps(PEERS))
        with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(
            plot, "KINDS", {"png": {}}
        ):
            status = plot.main([folder.name])
        if status:
            raise AssertionError(status)


class Report(Drawn):
    def test_answers_each_question_with_intervals(self) -> None:
        result = fake_result("1,8,32,128")
        text = read(page.render("report.html", result, PEERS)).text
        for section in answer.questions(result):
            self.assertIn(section.title, text)
            for each in section.tables:
                for name in (each.caption, *each.head):
                    self.assertIn(name, text)
        self.assertIn("How does hartq compare with Linux?", text)
        self.assertRegex(text, r"the raw ring over all queue depths: polling [\d.]+ to [\d.]+,")
        self.assertIn("8.00 (7.00-9.00)", text)
        self.assertIn("8: met", text)

    def test_says_what_was_not_measured(self) -> None:
        one = {**fake_result("1"), "jobs": fake_result("1")["jobs"][:1]}
        text = read(page.render("report.html", one, {})).text
        self.assertIn(answer.NOT_MEASURED, text)
        self.assertIn("make bench-peers boots Linux", text)

    def test_needs_nothing_beside_it(self) -> None:
        found = read((self.folder / "report.html").read_text(encoding="utf-8"))
        self.assertTrue(all(each.startswith("data:") for each in found.loads), found.loads)
        self.assertEqual(found.tags.count("img"), len(list(self.folder.glob("*.png"))))
        self.assertTrue((self.folder / "peers.png").exists())
        self.assertGreaterEqual(found.tags.count("img"), 4)
        self.assertFalse({"script", "iframe", "object"} & {*found.tags})
        text = (self.folder / "report.html").read_text(encoding="utf-8")
        self.assertLess(text.index('<figure id="interrupts">'), text.index("<h3>"), "the first")

    def test_shows_nothing_unescaped(self) -> None:
        result = fake_result("1")
        result["environment"]["host_cpu"] = "<script>alert(1)</script>"
        text = page.render("report.html", result, {})
        self.assertNotIn("<script", text)
        self.assertIn("&lt;script&gt;", text)

    def test_warns(self) -> None:
        text = read(page.render("report.html", {**fake_result("1"), "partial": True}, {})).text
        self.assertIn("This is a partial result", text)


@unittest.skipIf(plot is None, "needs matplotlib")
@unittest.skipUnless(CHROMIUM, "no chromium that runs (scripts/setup.sh test; on Ubuntu its snap)")
class Browser(Drawn):
    """Headless Chromium says on its standard error what a page complains about."""

    def console(self, page: Path) -> str:
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
                "--enable-logging=stderr", "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--virtual-time-budget=3000", f"--user-data-dir={self.folder / 'profile'}",
                "--dump-dom", page.as_uri(),
            ],
            capture_output=True, text=True, check=False, timeout=HUNG_S,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("</html>", done.stdout)
        return "\n".join(re.findall(r".*CONSOLE.*", done.stderr))

    def test_loads_without_a_complaint(self) -> None:
        self.assertEqual(self.console(self.folder / "report.html"), "")

    def test_a_complaint_would_be_seen(self) -> None:
        path = self.folder / "broken.html"
        path.write_text("<html><script>console.error('seen')</script></html>")
        self.assertIn("seen", self.console(path))
        path.write_text("<html><script>nobody()</script></html>")
        self.assertIn("nobody is not defined", self.console(path))


if __name__ == "__main__":
    unittest.main()
