"""results.json against its schema: what bench.py writes fits, what is broken does not."""

from __future__ import annotations

import copy
import json
import unittest
from collections.abc import Callable

import support
from fake_results import fake_result

import jsonschema
import results

SCHEMA = json.loads((support.SCRIPTS / "results.schema.json").read_text(encoding="utf-8"))
BREAKS: dict[str, Callable[[dict], object]] = {
    "no jobs": lambda r: r.pop("jobs"),
    "no environment": lambda r: r.pop("environment"),
    "iops in words": lambda r: r["jobs"][0]["read"].update(iops="fast"),
    "no iops": lambda r: r["jobs"][0]["read"].pop("iops"),
    "an option that is a number": lambda r: r["jobs"][0]["job options"].update(bs=4096),
    "an unknown mode": lambda r: r["jobs"][0]["hartq"].update(completion="magic"),
    "an unknown delivery": lambda r: r["jobs"][0]["hartq"].update(delivery="post"),
    "a bucket that is no latency": lambda r: r["jobs"][0]["read"]["lat_ns"]["bins"].update(x=1),
    "half an interval": lambda r: r["jobs"][0]["hartq"].update(iops_interval=[1.0]),
    "a share above 1": lambda r: r["jobs"][0]["hartq"].update(idle_fraction=1.5),
    "no rounds": lambda r: r["jobs"][0]["hartq"].update(rounds=[]),
    "a p99 in words": lambda r: r["jobs"][0]["hartq"]["rounds"][0].update(p99_ns="9 us"),
    "a negative count": lambda r: r["jobs"][0]["hartq"].update(missed_interrupts=-1),
    "a ratio without its interval": lambda r: r["jobs"][0]["hartq"].update(
        ratio_to_limit={"median": 1.0}
    ),
}


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
        self.assertEqual(self.errors(results.load(support.ROOT / "results" / "reference")), [])

    def test_what_is_broken_does_not(self) -> None:
        for name, spoil in BREAKS.items():
            result = copy.deepcopy(fake_result())
            spoil(result)
            self.assertNotEqual(self.errors(result), [], name)


if __name__ == "__main__":
    unittest.main()
