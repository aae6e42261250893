"""results.json against its schema: what bench.py writes fits, what is broken does not."""

from __future__ import annotations

import copy
import json
import unittest
from collections.abc import Callable

import support
from fake_results import fake_result

import jsonschema
from measure import modes
from results import result_file

SCHEMA = json.loads((support.SCRIPTS / "results" / "schema.json").read_text(encoding="utf-8"))
# The schema leaves the modes to the table of them.
SCHEMA["$defs"]["hartq"]["properties"]["completion"]["enum"] = list(modes.MODES)
BREAKS: dict[str, Callable[[dict], object]] = {
    "no jobs": lambda r: r.pop("jobs"),
    "no environment": lambda r: r.pop("environment"),
    "iops in words": lambda r: r["jobs"][0]["read"].update(iops="fast"),
    "no iops": lambda r: r["jobs"][0]["read"].pop("iops"),
    "an option that is a number": lambda r: r["jobs"][0]["job options"].update(bs=4096),
    "an unknown mode": lambda r: r["jobs"][0]["hartq"].update(completion="magic"),
    "an unknown delivery": lambda r: r["jobs"][0]["hartq"].update(delivery="post"),
    "a bucket that is no latency": lambda r: r["jobs"][0]["read"]["clat_ns"]["bins"].update(x=1),
    "half an interval": lambda r: r["jobs"][0]["hartq"].update(iops_interval=[1.0]),
    "a share above 1": lambda r: r["jobs"][0]["hartq"].update(idle_fraction=1.5),
    "a boot that sleeps too long": lambda r: r["jobs"][0]["hartq"]["boots"][0].update(
        idle_fraction=1.5
    ),
    "no boots": lambda r: r["jobs"][0]["hartq"].update(boots=[]),
    "resumed, but not when": lambda r: r["environment"].update(resumed=True),
    "a p99 in words": lambda r: r["jobs"][0]["hartq"]["boots"][0].update(p99_ns="9 us"),
    "a negative count": lambda r: r["jobs"][0]["hartq"].update(missed_interrupts=-1),
    "a ratio without its interval": lambda r: r["jobs"][0]["hartq"].update(
        ratio_to_raw={"median": 1.0}
    ),
    "a misspelt field": lambda r: r["jobs"][0]["hartq"].update(idel_fraction=0.5),
    "a misspelt field of a boot": lambda r: r["jobs"][0]["hartq"]["boots"][0].update(
        p99=5),
    "no ratio, not even null": lambda r: r["jobs"][0]["hartq"].pop("ratio_to_irq"),
    "a class of threads that is none": lambda r: r["jobs"][0]["hartq"].update(
        host_wait_fraction={"vcpu": 0.0, "device": 0.0, "disk": 0.0}
    ),
    "no sum of instructions": lambda r: r["jobs"][0]["hartq"].pop("instructions_per_io"),
    "no trim": lambda r: r["jobs"][0].pop("trim"),
    "no steal": lambda r: r["environment"].pop("steal_fraction"),
    "buckets of another name": lambda r: r["jobs"][0]["read"]["clat_ns"].update(buckets={}),
}
LATER = {"waits_spun_per_io", "waits_slept_per_io", "policy_switches"}  # older results have none
NULLABLE = (
    "rate_iops", "rate_percent", "offered_iops", "raw_iops", "loopback_iops", "ratio_to_raw",
    "ratio_to_loopback", "ratio_to_poll", "ratio_to_irq", "idle_ratio_to_irq", "polls_per_io",
    "idle_polls_per_io", "in_flight_mean", "in_flight_least", "latencies_beyond",
    "host_cpu_us_per_io", "host_wait_fraction", "host_steal_fraction",
    "host_steal_fraction_worst", "stalls_over_10ms", "instructions_per_io", "instructions",
    "timeline",
)


class Schema(unittest.TestCase):
    def setUp(self) -> None:
        self.validator = jsonschema.Draft202012Validator(SCHEMA)

    def errors(self, result: dict) -> list[str]:
        return [error.message for error in self.validator.iter_errors(result)]

    def test_the_schema_is_one(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_a_result_fits(self) -> None:
        self.assertEqual(self.errors(fake_result()), [])

    def test_the_reference_fits(self) -> None:
        reference = result_file.load(support.ROOT / "results" / "reference")
        self.assertEqual(self.errors(reference), [])

    def test_what_is_not_known_may_be_null(self) -> None:
        result = fake_result()
        for name in NULLABLE:
            result["jobs"][0]["hartq"][name] = None
        result["environment"]["steal_fraction"] = None
        self.assertEqual(self.errors(result), [])

    def test_hartq_is_told_in_full(self) -> None:
        hartq = SCHEMA["$defs"]["hartq"]
        written = fake_result()["jobs"][0]["hartq"]
        self.assertEqual(set(hartq["properties"]), set(written))
        self.assertEqual(set(hartq["required"]), set(written) - LATER)
        for name, field in hartq["properties"].items():
            self.assertTrue("description" in field or name == "environment", name)

    def test_what_is_broken_does_not(self) -> None:
        for name, spoil in BREAKS.items():
            result = copy.deepcopy(fake_result())
            spoil(result)
            self.assertNotEqual(self.errors(result), [], name)


if __name__ == "__main__":
    unittest.main()
