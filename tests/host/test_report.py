"""report.html: it says what is asked, holds all it needs, and loads in a browser without a word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import unittest
from html.parser import HTMLParser
from pathlib import Path

import support
from fake_results import fake_result

from report import answer, page

try:
    import plot
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
    "comparisons": [
        {
            "iodepth": 32, "batch": 1, "bs": 4096, "rw": "randread", "mode": "best", "goal": 8.0,
            "ours": {"name": "hartq, poll", "completion": "poll", "iops_median": 8e5,
                     "iops_interval": [7e5, 9e5]},
            "peer": {"name": "Linux io_uring", "engine": "io_uring", "iops_median": 1e5,
                     "iops_interval": [9e4, 1.1e5]},
            "ratio": {"median": 8.0, "interval": [7.0, 9.0], "confidence": 0.97, "rounds": 6},
        }
    ],
    "series": [{"name": "Linux io_uring", "mode": "poll", "engine": "io_uring", "batch": 1,
                "points": [{"iodepth": 32, "iops_median": 1e5, "iops_interval": [9e4, 1.1e5]}]}],
    "words": ["queue depth 32: 8.0 times Linux"],
}  # fmt: skip


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


def draw(folder: Path, result: dict, peers: dict | None = None) -> str:
    """The page of a result, with Linux beside it or not."""
    (folder / "results.json").write_text(json.dumps(result))
    if peers:
        (folder / "peers").mkdir()
        (folder / "peers" / "peers.json").write_text(json.dumps(peers))
        (folder / "peers" / "results.json").write_text(json.dumps(fake_result("1,32")))
    done = support.run_script("plot.py", str(folder))
    if done.returncode:
        raise AssertionError(done.stderr)
    return (folder / "report.html").read_text(encoding="utf-8")


@unittest.skipIf(plot is None, "needs matplotlib")
class Report(support.ScriptTest):
    def test_answers_each_question_with_intervals(self) -> None:
        text = read(draw(self.folder, fake_result("1,8,32,128"), PEERS)).text
        for section in answer.questions(fake_result("1,8,32,128")):
            self.assertIn(section.title, text)
            for table in section.tables:
                for name in (table.caption, *table.head):
                    self.assertIn(name, text)
        self.assertIn(answer.LINUX, text)
        self.assertRegex(text, r"polling reaches [\d.]+ \([\d.]+ to [\d.]+\) at queue depth")
        self.assertIn("8.00 (7.00 to 9.00)", text)
        self.assertIn("queue depth 32: 8.0 times Linux", text)
        self.assertTrue((self.folder / "peers.svg").exists())

    def test_says_what_was_not_measured(self) -> None:
        one = {**fake_result("1"), "jobs": fake_result("1")["jobs"][:1]}
        text = read(draw(self.folder, one)).text
        self.assertIn(answer.NOT_MEASURED, text)
        self.assertIn(page.NO_PEERS, text)

    def test_needs_nothing_beside_it(self) -> None:
        page = read(draw(self.folder, fake_result(), PEERS))
        self.assertTrue(all(each.startswith("data:") for each in page.loads), page.loads)
        self.assertEqual(page.tags.count("img"), len(list(self.folder.glob("*.png"))))
        self.assertGreaterEqual(page.tags.count("img"), 4)
        self.assertFalse({"script", "iframe", "object"} & {*page.tags})

    def test_shows_nothing_unescaped(self) -> None:
        result = fake_result()
        result["environment"]["host_cpu"] = "<script>alert(1)</script>"
        page = draw(self.folder, result)
        self.assertNotIn("<script", page)
        self.assertIn("&lt;script&gt;", page)

    def test_warns(self) -> None:
        text = read(draw(self.folder, {**fake_result(), "partial": True})).text
        self.assertIn("This is a partial result", text)

    def test_only_the_null_medium_copies_nothing(self) -> None:
        self.assertTrue(page.on_null({"environment": {"backing": "null"}}))
        self.assertFalse(page.on_null({"environment": {"backing": "ram:64m"}}))

    def test_every_picture_has_words(self) -> None:
        self.assertEqual(set(page.CAPTIONS), set(plot.chart_names.PICTURES))


@unittest.skipIf(plot is None, "needs matplotlib")
@unittest.skipUnless(CHROMIUM, "no chromium that runs (scripts/setup.sh test; on Ubuntu its snap)")
class Browser(support.ScriptTest):
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
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("</html>", done.stdout)
        return "\n".join(re.findall(r".*CONSOLE.*", done.stderr))

    def test_loads_without_a_complaint(self) -> None:
        draw(self.folder, fake_result(), PEERS)
        self.assertEqual(self.console(self.folder / "report.html"), "")

    def test_a_complaint_would_be_seen(self) -> None:
        path = self.folder / "broken.html"
        path.write_text("<html><script>console.error('seen')</script></html>")
        self.assertIn("seen", self.console(path))
        path.write_text("<html><script>nobody()</script></html>")
        self.assertIn("nobody is not defined", self.console(path))


if __name__ == "__main__":
    unittest.main()
