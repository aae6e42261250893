"""The loop that Linux runs, on the host: io_uring's no-operations take the place of a device."""

from __future__ import annotations

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import HUNG_S, ROOT

from linux import fio_answers, plan, results

LOOP = ROOT / "build" / "host" / "uring-loop"
HEAD = "[global]\nioengine=loop\nfilename=none\nramp_time=1ms\nruntime=5ms\n"
NOT_PERMITTED = ("Operation not permitted", "Function not implemented", "Cannot allocate memory")


def setUpModule() -> None:
    """Build it."""
    subprocess.run(["make", "-s", str(LOOP.relative_to(ROOT))], cwd=ROOT, check=True)


class Loop(unittest.TestCase):
    """Job files in, answers in fio's shape out."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.clock = self.folder / "timebase-frequency"
        self.clock.write_bytes((10_000_000).to_bytes(4, "big"))

    def run_loop(self, text: str) -> subprocess.CompletedProcess[str]:
        jobs = self.folder / "jobs"
        jobs.write_text(text)
        return subprocess.run([LOOP, jobs, self.clock], capture_output=True, text=True,
                              timeout=HUNG_S, check=False)

    def answer(self, text: str) -> dict:
        """What it says; the test is skipped where this host has no io_uring."""
        done = self.run_loop(text)
        if any(each in done.stderr for each in NOT_PERMITTED):
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_plan_is_understood_and_answered(self) -> None:
        for engine in plan.ENGINES:
            if engine.ioengine != plan.LOOP:
                continue
            text = plan.job_file(engine, plan.PeerPlan(1, 1, 1, 5, 1, 1))
            answer = self.answer(text.replace("/dev/ng0n1", "none"))
            if engine.mode == "hybrid" and not answer["jobs"]:
                continue  # this kernel has none
            self.assertEqual([job["jobname"] for job in answer["jobs"]],
                             [plan.job_name(point, "iops") for point in engine.points])
            answers = fio_answers.Answers()
            answers.add(engine.name, 0, answer)
            for point, job in zip(engine.points, answer["jobs"]):
                read, options = job["read"], job["job options"]
                self.assertEqual(options["iodepth"], str(point.depth))
                self.assertEqual(options["iodepth_batch_complete_min"],
                                 str(engine.least or point.batch))
                hipri = {"poll": "1", "irq": "0"}.get(engine.mode, engine.mode)
                self.assertEqual(options["hipri"], hipri)
                self.assertEqual(read["total_ios"], sum(read["lat_ns"]["bins"].values()))
                self.assertEqual(read["io_bytes"], 4096 * read["total_ios"])
                self.assertEqual(read["total_ios"] % point.batch, 0, "no-operations end at once")
                self.assertGreaterEqual(read["runtime"], 5)
                self.assertAlmostEqual(read["iops"], 1e3 * read["total_ios"] / read["runtime"],
                                       delta=1 + 1e-3 * read["iops"])
                self.assertEqual(answers.latency(engine, point)["N"], read["total_ios"])

    def test_instructions_are_counted_by_group(self) -> None:
        """The stand-in's counter goes on by one with each look."""
        for text in plan.count_files(plan.DEFAULT).values():
            answer = self.answer(text.replace("/dev/ng0n1", "none"))
            for point, job in zip(plan.COUNT_POINTS, answer["jobs"], strict=True):
                self.assertEqual((job["iodepth"], job["batch"]), point)
                self.assertEqual([job[part] for part in (*results.PARTS, "median")], [1, 0, 1, 2])

    def test_what_it_refuses(self) -> None:
        for line, why in (("iodepth=0", "batches"), ("iodepth=257", "limit"),
                          ("rw=write", "no such"), ("runtime=5", "unit"), ("hipri=2", "hipri"),
                          ("iodepth_batch_submit=2", "batches"), ("count=1001", "limit")):
            done = self.run_loop(f"{HEAD}[a]\n{line}\n")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, f"uring-loop: .*{why}")
        self.clock.unlink()
        self.assertRegex(self.run_loop(HEAD).stderr, "frequency is unknown")


if __name__ == "__main__":
    unittest.main()
