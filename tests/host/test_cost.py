"""Host CPU per I/O and QEMU's lock, recomputed from results/reference."""

from __future__ import annotations

import dataclasses
import statistics
import unittest

import support
from fake_results import as_result, fake_result, fake_windows, fake_words

from analysis import metrics
from qemu import host_cpu
from report import answer, tables
from results import result_file

REFERENCE = result_file.load(support.ROOT / "results" / "reference")
BATCH_1 = "randread-4k-qd{}-b1-{}"
WHOLE = "randread-4k-qd{0}-b{0}-{1}"


def job(form: str, depth: int, mode: str) -> dict:
    """A point of the reference by its name."""
    (found,) = [each for each in REFERENCE["jobs"]
                if each["jobname"] == form.format(depth, mode)]
    return found


def ringing(depth: int, mode: str) -> dict:
    """A point at batch 1 with a doorbell for each request; an older reference has no other."""
    names = {each["jobname"] for each in REFERENCE["jobs"]}
    form = f"{BATCH_1}-each"
    return job(form if form.format(depth, mode) in names else BATCH_1, depth, mode)


def host_us(each: dict) -> dict[int, float]:
    """vCPU and device time per I/O, by boot."""
    return {r["boot"]: r["vcpu_us_per_io"] + r["device_us_per_io"]
            for r in each["hartq"]["boots"]}


def blocked(each: dict) -> float:
    """What is left of a vCPU's time: from the totals of a job."""
    mine = each["hartq"]
    ios = each["read"]["total_ios"] + each["write"]["total_ios"]
    ran = mine["host_cpu_us_per_io"]["vcpu"] * ios / (1e3 * each["job_runtime"])
    return 1 - ran - mine["host_wait_fraction"]["vcpu"] - mine["idle_fraction"]


class Reference(unittest.TestCase):
    def test_host_cpu_of_interrupts_over_polling(self) -> None:
        head, rows = metrics.cost_table(REFERENCE)
        columns = {name: {row[0]: row[i] for row in rows} for i, name in enumerate(head)}
        for form, name in ((BATCH_1, "batch 1"), (WHOLE, "batch = depth")):
            shown = {depth: cell for depth, cell in columns[f"{name}: host CPU"].items()
                     if cell != "-"}
            self.assertGreater(len(shown), 1)
            for depth, cell in shown.items():
                irq, poll = (host_us(job(form, int(depth), mode)) for mode in ("irq", "poll"))
                ratio = statistics.median(irq[number] / poll[number] for number in irq)
                self.assertAlmostEqual(float(cell.split()[0]), ratio, delta=0.02)

    def test_the_answer_speaks_of_both_batches(self) -> None:
        lines = "\n".join(answer.questions(REFERENCE)[1].lines)
        for name in ("batch 1", "batch = depth"):
            self.assertIn(f"{name}: host CPU per I/O, interrupts / polling: ", lines)

    def test_blocked_is_what_is_left_of_the_time(self) -> None:
        for each in REFERENCE["jobs"]:
            told = each["hartq"]["host_blocked_fraction"]
            # Below 0 each window counts as 0, which its job's totals cannot tell.
            whole = each["hartq"]["harts"] == 1 and not each["hartq"]["rate_iops"]
            self.assertAlmostEqual(told, max(0.0, blocked(each)), delta=0.02 if whole else 0.06,
                                   msg=each["jobname"])

    def test_a_doorbell_per_request_blocks_a_hart_that_polls(self) -> None:
        """More than one without a device, which has no doorbell."""
        free = job(BATCH_1, 32, "loopback")["hartq"]["host_blocked_fraction"]
        for depth in (1, 32, 128):
            mine = ringing(depth, "poll")
            poll = mine["hartq"]["host_blocked_fraction"]
            self.assertGreater(poll, free, depth)
            self.assertEqual(metrics.lock_text(mine), f"{100 * poll:.0f}")


class Made(unittest.TestCase):
    """From windows, where every number is known."""

    def mine(self, ran: int, waited: int, idle: float, harts: int = 1) -> dict:
        """Of a point: shares of the time in per cent, all vCPUs together."""
        (window,) = fake_windows(fake_words("8", 1, harts=harts, modes="irq"))
        window.record["idle_ns"] = [int(idle * window.record["runtime_ns"] / 100)] * harts
        spent = [dict.fromkeys(host_cpu.CLASSES, share * 1000000) for share in (ran, waited)]
        window = dataclasses.replace(window, host=host_cpu.Spent(*spent, 100000000))
        return as_result([window])["jobs"][0]["hartq"]

    def test_wall_without_ran_waited_and_idle(self) -> None:
        self.assertAlmostEqual(self.mine(30, 10, 20)["host_blocked_fraction"], 0.4, 5)
        self.assertAlmostEqual(self.mine(60, 20, 20, 2)["host_blocked_fraction"], 0.4, 5)

    def test_idle_and_the_host_s_work_of_it_overlap(self) -> None:
        self.assertEqual(self.mine(45, 0, 80)["host_blocked_fraction"], 0.0)

    def test_not_sampled_is_not_0(self) -> None:
        windows = [dataclasses.replace(w, host=None) for w in fake_windows(fake_words("8"))]
        result = as_result(windows)
        for each in result["jobs"]:
            self.assertIsNone(each["hartq"]["host_blocked_fraction"])
        self.assertEqual(metrics.cost_table(result)[1][0][2:], ["-", "-"])
        self.assertIn(" - ", tables.table(result)[1])

    def test_host_cpu_stands_beside_iops(self) -> None:
        result = fake_result("1,8")
        head = tables.table(result)[0].split()
        self.assertEqual(head[head.index("interval") + 1], "host")
        first = result["jobs"][0]
        host = statistics.median(host_us(first).values())
        self.assertIn(f" {host:.1f} ", tables.table(result)[1])
        for section in answer.questions(result)[:3]:
            for table in section.tables:
                self.assertIn("host CPU", " ".join(table.head))


if __name__ == "__main__":
    unittest.main()
