"""fio/: a file per point, read as fio-plot reads fio's files: all of a folder for one curve."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from fake_results import as_result, fake_windows, fake_words

from analysis.series import main_rule
from results import fio_files, result_file
from report.results_page import REFERENCE

TOP = {"fio version", "global options", "client_stats", "jobs"}  # two of them make a file fio's
KEY = ("rw", "iodepth", "numjobs")  # what tells two points of a folder apart


def row(path: Path) -> dict:
    """A point, as such a tool takes it from a file: global options win over the job's."""
    text = json.loads(path.read_text(encoding="utf-8"))
    if len(TOP & {*text}) < 2:
        raise AssertionError(f"{path}: not fio's")
    (job,) = text["jobs"]
    options = {**job["job options"], **text["global options"]}
    side = job[options["rw"].removeprefix("rand").replace("rw", "read")]
    return {
        "key": tuple(options[name] for name in KEY), "bs": options["bs"],
        "iops": side["iops"], "bw": side["bw"], "stddev": side["iops_stddev"],
        "lat": side["lat_ns"]["mean"], "lat_stddev": side["lat_ns"]["stddev"],
        "tables": [sum(job[f"latency_{unit}"].values()) for unit in ("ns", "us", "ms")],
        "cpu": (job["usr_cpu"], job["sys_cpu"]), "version": text["fio version"],
    }


def curves(folder: Path) -> dict[str, list[dict]]:
    """By folder: its files, all of them."""
    return {each.name: [row(path) for path in sorted(each.glob("*.json"))]
            for each in sorted((folder / fio_files.FOLDER).iterdir())}


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_every_point_of_the_reference_is_a_point_of_one_curve(self) -> None:
        result = result_file.load(REFERENCE)
        fio_files.save(result, self.folder)
        found = curves(self.folder)
        self.assertEqual(sum(map(len, found.values())), len(result["jobs"]))
        for name, rows in found.items():
            keys = [each["key"] for each in rows]
            self.assertEqual(len(keys), len({*keys}), name)
            self.assertEqual(len({each["bs"] for each in rows}), 1, name)
        ours = {job["jobname"]: job["read"]["iops"] for job in result["jobs"]}
        rule = "each-" * (main_rule(result) == "each")
        for depth in (1, 32, 128):
            for mode in ("poll", "irq"):
                (mine,) = [each for each in found[f"4096-b1-{rule}{mode}-per-hart"]
                           if each["key"] == ("randread", str(depth), "1")]
                self.assertEqual(mine["iops"], ours[f"randread-4k-qd{depth}-b1-{mode}"])
                self.assertGreater(mine["lat"], 0)
                self.assertAlmostEqual(sum(mine["tables"]), 100.0, 2)

    def test_what_differs_has_a_folder_of_its_own(self) -> None:
        words = fake_words("1,8", 2, modes="poll,irq")
        whole = [word.replace("submit=1", "submit=0") for word in words]
        loaded = [*fake_words("8", 2, modes="irq"), "rate_iops=900"]
        windows = [*fake_windows(words), *fake_windows(words, delivery="msix"),
                   *fake_windows(whole), *fake_windows(loaded),
                   *fake_windows(loaded[:-1] + ["rate_iops=50"], percent=10),
                   *(window for word in ("thinktime=20000us", "writer_iodepth=8")
                     for window in fake_windows([*loaded[:-1], word]))]
        fio_files.save(as_result(windows), self.folder)
        self.assertEqual({name: len(rows) for name, rows in curves(self.folder).items()}, {
            "4096-b1-poll-per-hart": 2, "4096-b1-irq-per-hart": 2, "4096-b1-poll-msix": 2,
            "4096-b1-irq-msix": 2, "4096-bdepth-poll-per-hart": 1, "4096-bdepth-irq-per-hart": 1,
            "4096-b1-r900-irq-per-hart": 1, "4096-b1-r10%-irq-per-hart": 1,
            "4096-b1-step-irq-per-hart": 1, "4096-b1-beside-irq-per-hart": 1})

    def test_an_older_result_leaves_nothing(self) -> None:
        for modes in ("poll,irq", "irq"):
            fio_files.clear(self.folder)
            fio_files.save(as_result(fake_windows(fake_words("1", 2, modes=modes))), self.folder)
        (self.folder / fio_files.FOLDER / "mine.txt").write_text("kept")
        left = [path.parent.name for path in self.folder.rglob("*.json")]
        self.assertEqual(left, ["4096-b1-irq-per-hart"])
        fio_files.clear(self.folder)
        self.assertEqual([path.name for path in self.folder.rglob("*.*")], ["mine.txt"])


if __name__ == "__main__":
    unittest.main()
