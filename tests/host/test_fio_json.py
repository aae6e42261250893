"""scripts/results/fio.py: fio's fields of a job, by hand and beside what fio itself writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import unittest
from collections.abc import Iterator
from dataclasses import replace

from fake_results import as_result, fake_result, fake_windows, fake_words

from analysis import summary
from measure.windows import Window

# fio counts these, the bench does not; what it only guessed would be no count.
LEFT_OUT = {
    "job_start", "elapsed", "ctx", "majf", "minf", "iodepth_level", "iodepth_submit",
    "iodepth_complete",
}


def record(ios: int, runtime_ms: int, bins: dict[str, int], rw: str = "read") -> dict:
    """A window as the guest tells it, of one hart at depth 4."""
    total = sum(int(key) * count for key, count in bins.items())
    latency = {"min": 1, "max": 900, "sum": total, "bins": bins}
    return {
        "jobname": "a", "delivery": "per-hart", "runtime_ns": runtime_ms * 1000000,
        "job options": {"rw": rw, "bs": "4096", "iodepth": "4", "iodepth_batch_submit": "1",
                        "numjobs": "1", "completion": "poll"},
        rw: {"total_ios": ios, "io_bytes": ios * 4096, "lat_ns": latency},
        **{other: {"total_ios": 0, "io_bytes": 0, "lat_ns": {"min": 0, "max": 0, "bins": {}}}
           for other in ("read", "write") if other != rw},
        "counters": {"sq_doorbells": ios}, "idle_ns": [0], "idle_polls": 0, "errors": 0,
    }


def paths(found: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every field with its value; buckets, percentiles and options are one field each."""
    for name, value in found.items():
        yield prefix + name, value
        if isinstance(value, dict) and name not in ("bins", "percentile", "job options", "hartq"):
            yield from paths(value, f"{prefix}{name}/")


class ByHand(unittest.TestCase):
    def setUp(self) -> None:
        windows = [
            Window(record(300, 100, {"100": 290, "200": 10}), None, boot=0),
            Window(record(501, 200, {"100": 501}), None, boot=1),
        ]
        (self.job,) = as_result(windows)["jobs"]
        self.read = self.job["read"]

    def test_a_window_is_a_sample(self) -> None:
        for name, value in {
            "total_ios": 801, "runtime": 300, "iops": 2670.0, "iops_min": 2505, "iops_max": 3000,
            "iops_mean": 2752.5, "iops_samples": 2, "bw_min": 10020, "bw_max": 12000,
            "bw_mean": 11010.0, "bw_samples": 2, "bw_agg": 100.0, "io_kbytes": 3204, "bw": 10680,
            "bw_bytes": 10936320,
        }.items():
            self.assertEqual(self.read[name], value, name)
        self.assertAlmostEqual(self.read["iops_stddev"], 350.02, 2)
        self.assertAlmostEqual(self.read["bw_dev"], 4 * 350.02, 1)
        self.assertEqual(self.job["job_runtime"], 300)
        self.assertEqual(self.job["latency_depth"], 4)

    def test_the_extremes_hold_the_mean(self) -> None:
        for ios, low, high in ((500, 1666, 1667), (1000, 3333, 3334)):
            few = [Window(record(ios, 300, {"5": ios}), None)]
            read = as_result(few)["jobs"][0]["read"]
            self.assertEqual((read["iops_min"], read["iops_max"]), (low, high))

    def test_buckets_are_where_fio_has_them(self) -> None:
        self.assertEqual(self.read["clat_ns"]["bins"], {"100": 791, "200": 10})
        self.assertNotIn("bins", self.read["lat_ns"])
        bare = {name: each for name, each in self.read["clat_ns"].items() if name != "bins"}
        self.assertEqual(bare, self.read["lat_ns"])
        self.assertEqual(self.read["clat_ns"]["N"], 801)
        self.assertEqual(self.job["latency_ns"]["250"], 100.0)

    def test_a_direction_without_ios_is_empty(self) -> None:
        for name in ("write", "trim"):
            for path, value in paths(self.job[name]):
                self.assertTrue(isinstance(value, dict) or value == 0, f"{name}/{path}: {value}")

    def test_each_job_is_a_group(self) -> None:
        jobs = fake_result()["jobs"]
        self.assertEqual([job["groupid"] for job in jobs], list(range(len(jobs))))

    def test_time_of_all_harts(self) -> None:
        (job,) = as_result(fake_windows(fake_words("8", 3, harts=2, modes="irq")))["jobs"]
        self.assertEqual((job["read"]["runtime"], job["job_runtime"]), (300, 600))


@unittest.skipUnless(shutil.which("fio"), "needs fio")
class BesideFio(unittest.TestCase):
    """The same fields, of the same kind; only what LEFT_OUT names is fio's alone."""

    def test_fields(self) -> None:
        command = ["fio", "--name=x", "--ioengine=null", "--size=8m", "--rw=randrw", "--bs=4k",
                   "--iodepth=4", "--output-format=json+"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        theirs = json.loads(told[told.index("{") :])
        words = [word.replace("randread", "randrw") for word in fake_words("4", modes="poll")]
        ours = as_result(fake_windows(words))
        self.assertLessEqual({name for name in theirs if name != "jobs"}, set(ours))
        fio, mine = (dict(paths(each["jobs"][0])) for each in (theirs, ours))
        top = {name for name in fio if "/" not in name}
        self.assertEqual(top - set(mine) - LEFT_OUT, set())
        self.assertEqual(LEFT_OUT & set(mine), set())
        kept = {path: value for path, value in fio.items() if path.split("/")[0] not in LEFT_OUT}
        self.assertEqual(set(kept) ^ set(mine), {"hartq", "read/lat_ns/percentile",
                                                 "write/lat_ns/percentile"})
        for path, value in kept.items():
            kinds = [int, float] if isinstance(value, (int, float)) else [type(value)]
            self.assertIn(type(mine[path]), kinds, path)


class Ours(unittest.TestCase):
    """Fields of `hartq` that the guest or the host may not tell."""

    def job(self, mode: str, windows: list[Window] | None = None) -> dict:
        result = as_result(windows or fake_windows(fake_words("8")))
        return next(j["hartq"] for j in result["jobs"] if j["hartq"]["completion"] == mode)

    def test_the_raw_ring_tells_no_times(self) -> None:
        windows = fake_windows(fake_words("8"))
        for window in windows:
            if "stalls_over_10ms" in window.record:
                window.record["stalls_over_10ms"] = 2
                window.record["timeline"] = {"interval_ns": 50000000, "ios": [1, 2]}
        for mode, stalls in (("raw", None), ("poll", 12), ("irq", 12)):
            mine = self.job(mode, windows)
            self.assertEqual(mine["stalls_over_10ms"], stalls, mode)
            self.assertEqual(mine["timeline"] is None, mode == "raw", mode)
            waits = [each.get("raw_wait") for each in mine["boots"]]
            self.assertEqual(waits, ["sleep" if mode == "raw" else None] * 6, mode)

    def test_polls(self) -> None:
        for mode, least in (("poll", 2.6), ("raw", 2.6), ("irq", 0), ("hybrid", None)):
            mine = self.job(mode)
            if least is None:
                self.assertIsNone(mine["polls_per_io"])
                self.assertEqual((mine["idle_polls_per_io"], mine["waits_spun_per_io"],
                                  mine["waits_slept_per_io"]), (3.0, 1.0, 0.0))
                self.assertGreater(mine["policy_switches"], 1)
                continue
            self.assertAlmostEqual(mine["polls_per_io"], least, 0, mode)
            reaps = 1 / mine["completions_per_reap"] if least else 0
            self.assertAlmostEqual(mine["polls_per_io"], mine["idle_polls_per_io"] + reaps, 3)

    def test_steal(self) -> None:
        def told(*ticks: tuple[int, int]) -> dict:
            windows = fake_windows(fake_words("8", len(ticks), modes="poll"))
            result = as_result([
                replace(window, host=replace(window.host, stolen_ticks=stolen, core_ticks=cores))
                for window, (stolen, cores) in zip(windows, ticks)
            ])
            mine = result["jobs"][0]["hartq"]
            self.assertEqual(result["environment"], mine["environment"])
            return {
                "mean": mine["host_steal_fraction"], "worst": mine["host_steal_fraction_worst"],
                "run": result["environment"]["steal_fraction"],
            }

        self.assertEqual(told((3, 60), (0, 60), (27, 80)),
                         {"mean": 0.15, "worst": 0.3375, "run": 0.15})
        self.assertEqual(told((0, 60)), {"mean": 0.0, "worst": 0.0, "run": 0.0})
        self.assertEqual(told((0, 0), (0, 0)), {"mean": None, "worst": None, "run": None})

    def test_steal_is_of_the_whole_run(self) -> None:
        result = fake_result()
        self.assertEqual(result["environment"]["steal_fraction"], 0.05)
        blind = [replace(window, host=None) for window in fake_windows(fake_words("8"))]
        self.assertIsNone(as_result(blind)["environment"]["steal_fraction"])

    def test_steal_outlives_the_file_of_windows(self) -> None:
        window = fake_windows(fake_words("8"))[0]
        again = Window.from_json(json.loads(json.dumps(window.as_json())))
        self.assertEqual(summary.steal([again]), 0.05)
        old = {name: each for name, each in window.as_json()["host"].items() if "ticks" not in name}
        before = Window.from_json({**window.as_json(), "host": old})
        self.assertIsNone(summary.steal([before]))


if __name__ == "__main__":
    unittest.main()
