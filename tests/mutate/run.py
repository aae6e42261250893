#!/usr/bin/env python3
"""Seed bugs into the engine, one at a time, and see whether the tests notice.

    tests/mutate/run.py                  mutants.toml, and a sample made from the source
    tests/mutate/run.py --generate 300   a larger sample; --seed N draws another one
    tests/mutate/run.py -k barrier       only those whose name matches: `-k '^queue.c:'`
    tests/mutate/run.py --check          only: does each of mutants.toml still apply?
    tests/mutate/run.py --list           the names

Each mutant is built in a copy of the tree below build/mutate/. The unit tests run first (GCC, both
sanitizers), then the simulation for --seconds from seed 1; the first failure kills the mutant. The
likeliest killers go first: who killed it last, who is named as the file, then the quickest. A
generated mutant that does not compile, or that compiles to the same object, is skipped. Results go
to build/mutate/results.json. Exit status 0 if at least --least percent were killed. The last line
is `N killed, N survived`.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import queue
import re
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path


ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import generate  # noqa: E402
from cli import command  # noqa: E402
from cli.errors import Failed  # noqa: E402
from generate import Mutant  # noqa: E402

MUTANTS = ROOT / "tests" / "mutate" / "mutants.toml"
BUILD = ROOT / "build" / "mutate"
COPIED = ("bench", "engine", "examples", "pci", "platform", "runtime", "tests", "Makefile")
COMPILER = "gcc"
TEST_SECONDS_MAX = 60  # of the processor; a unit test takes one or two, the slowest fifteen
WALL_SECONDS_MAX = 900  # for one that waits for ever
ALONE = 4  # tests that are built one at a time, before all others at once
LEAST_PERCENT = 90
SAMPLE = 100  # generated mutants


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of a mutant: who killed it, "" if nobody did; why it is wrong, or none."""

    mutant: Mutant
    killer: str
    seconds: float
    wrong: str = ""
    skipped: str = ""


@dataclasses.dataclass
class Known:
    """What says which test is likely to notice a bug soon."""

    killers: dict[str, str]  # of each mutant, when it was tried last
    by_file: collections.Counter[tuple[str, str]] = dataclasses.field(
        default_factory=collections.Counter
    )  # bugs in a file that a test has killed in this run
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)  # of each test
    objects: dict[str, str] = dataclasses.field(default_factory=dict)  # of each file, unchanged

    def in_order(self, mutant: Mutant, tests: Sequence[str]) -> list[str]:
        """The tests, the likeliest killer first."""

        def rank(test: str) -> tuple[bool, int, bool, float]:
            name = Path(test).name
            return (
                self.killers.get(mutant.name) != name,
                -self.by_file[mutant.file, name],
                Path(mutant.file).stem.removesuffix("_internal") not in name,
                self.seconds.get(test, 0.0),
            )

        return sorted(tests, key=rank)


class BadMutant(Failed):
    """A mutant that cannot be made."""

    status = 2


class NoMutant(Exception):
    """A generated mutant that is none."""


def load() -> list[Mutant]:
    """All mutants. Raises BadMutant for a list that makes no sense."""
    try:
        mutants = [Mutant(**entry) for entry in tomllib.loads(MUTANTS.read_text())["mutant"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadMutant(f"{MUTANTS.relative_to(ROOT)}: {error}") from error
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            raise BadMutant(f"{name}: the name stands twice")
    return mutants


def apply(mutant: Mutant, tree: Path) -> str:
    """Put the bug into the tree's file and return what was there. Raises BadMutant."""
    path = tree / mutant.file
    text = path.read_text() if path.is_file() else ""
    found = text.count(mutant.find)
    if found != 1 or mutant.find == mutant.put:
        raise BadMutant(f"{mutant.name}: its text stands {found} times in {mutant.file}, not once")
    path.write_text(text.replace(mutant.find, mutant.put))
    return text


def check(mutants: Sequence[Mutant]) -> int:
    """Whether each still applies, and the folders to copy are there; says what is wrong."""
    wrong = 0
    for name in COPIED:
        if not (ROOT / name).exists():
            print(f"{name}: to be copied into a mutant's tree, and not there")
            wrong += 1
    for mutant in mutants:
        path = ROOT / mutant.file
        found = path.read_text().count(mutant.find) if path.is_file() else 0
        if found != 1 or mutant.find == mutant.put:
            print(f"{mutant.name}: its text stands {found} times in {mutant.file}, not once")
            wrong += 1
    print(f"{len(mutants)} mutants, {wrong} do not apply")
    return 1 if wrong else 0


def unit_tests(tree: Path) -> list[str]:
    """The unit tests of a tree, as make calls their programs."""
    names = sorted(path.stem for path in (tree / "tests" / "unit").glob("*/test_*.c"))
    return [f"build/host/{COMPILER}/{name}" for name in names]


def copy_sources(tree: Path) -> None:
    """Make the tree's sources those of the project; what is the same keeps its time."""
    wanted = {
        path.relative_to(ROOT)
        for name in COPIED
        for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
        if path.is_file() and path.suffix != ".pyc" and "corpus" not in path.parts
    }
    there = {
        path.relative_to(tree)
        for name in COPIED
        for path in ((tree / name).rglob("*") if (tree / name).is_dir() else [tree / name])
        if path.is_file()
    }
    for name in there - wanted:
        (tree / name).unlink()
    for name in wanted:
        text = (ROOT / name).read_bytes()
        if name not in there or (tree / name).read_bytes() != text:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(text)


def prepare(tree: Path, known: Known) -> None:
    """A tree to put bugs into, which passes everything without one. Raises BadMutant."""
    tree.mkdir(parents=True, exist_ok=True)
    copy_sources(tree)
    tests = unit_tests(tree)
    output = make(tree, [*tests, "build/sim"])
    if output:
        raise BadMutant(f"the tree does not build without any bug:\n{output}")
    for test in tests:
        begin = time.monotonic()
        if test not in known.seconds and not passes([f"./{test}"], tree):
            raise BadMutant(f"{Path(test).name} fails without any bug")
        known.seconds.setdefault(test, time.monotonic() - begin)
    if not simulate(tree, 1):
        raise BadMutant("the simulation fails without any bug")


def make(tree: Path, targets: Sequence[str]) -> str:
    """Build; what make says if it fails, else nothing."""
    answer = subprocess.run(
        ["make", "-s", f"HOST_CCS={COMPILER}", "WARNINGS=-w", *targets],
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return answer.stdout if answer.returncode else ""


def passes(command: Sequence[str], tree: Path, seconds: int = TEST_SECONDS_MAX) -> bool:
    """Whether the command ends well, within so many seconds of the processor."""
    try:
        answer = subprocess.run(
            command,
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS_MAX,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def simulate(tree: Path, seconds: int) -> bool:
    """Whether the simulation passes."""
    return passes(["./build/sim", "--seed", "1", "--seconds", str(seconds)], tree)


def hash_objects(tree: Path, file: str) -> str:
    """What the file compiles to; a header, by the engine's files. Raises NoMutant."""
    sources = [Path(file)] if file.endswith(".c") else sorted(Path("engine").glob("*.c"))
    objects = [f"build/host/mutant/{source.with_suffix('.o')}" for source in sources]
    if make(tree, objects):
        raise NoMutant("does not compile")
    return hashlib.sha256(b"".join((tree / name).read_bytes() for name in objects)).hexdigest()


def find_killer(mutant: Mutant, tree: Path, known: Known, sim_seconds: int) -> str:
    """The first test that fails. Raises BadMutant if the tree does not compile."""
    tests = known.in_order(mutant, unit_tests(tree))
    for batch in [*([test] for test in tests[:ALONE]), tests[ALONE:], ["build/sim"]]:
        output = make(tree, batch)
        if output:
            raise BadMutant(f"does not compile:\n{output}")
        for test in batch:
            limit = min(TEST_SECONDS_MAX, 5 + 4 * int(known.seconds.get(test, TEST_SECONDS_MAX)))
            if test != "build/sim" and not passes([f"./{test}"], tree, limit):
                return Path(test).name
    return "" if simulate(tree, sim_seconds) else "sim"


def judge(mutant: Mutant, trees: queue.Queue[Path], known: Known, sim_seconds: int) -> Verdict:
    """One mutant in one of the trees, which is as before afterwards."""
    tree = trees.get()
    begin = time.monotonic()
    killer = wrong = skipped = ""
    try:
        if mutant.generated and mutant.file not in known.objects:
            known.objects[mutant.file] = hash_objects(tree, mutant.file)
        before = apply(mutant, tree)
        try:
            if mutant.generated and hash_objects(tree, mutant.file) == known.objects[mutant.file]:
                raise NoMutant("compiles to the same object")
            killer = find_killer(mutant, tree, known, sim_seconds)
            known.killers[mutant.name] = killer
            known.by_file[mutant.file, killer] += 1
        finally:
            (tree / mutant.file).write_text(before)
    except BadMutant as error:
        wrong = str(error)
    except NoMutant as reason:
        skipped = str(reason)
    finally:
        trees.put(tree)
    return Verdict(mutant, killer, time.monotonic() - begin, wrong, skipped)


def run_all(mutants: Sequence[Mutant], jobs: int, sim_seconds: int) -> list[Verdict]:
    """All of them, a line each as they come."""
    trees: queue.Queue[Path] = queue.Queue()
    verdicts: list[Verdict] = []
    known = Known(last_killers())
    for number in range(jobs):
        print(f"building tree {number + 1} of {jobs}", flush=True)
        prepare(BUILD / f"tree{number}", known)
        trees.put(BUILD / f"tree{number}")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(judge, mutant, trees, known, sim_seconds) for mutant in mutants]
        try:
            for done in concurrent.futures.as_completed(waiting):
                verdict = done.result()
                verdicts.append(verdict)
                what = f"killed by {verdict.killer}" if verdict.killer else "SURVIVED"
                what = verdict.wrong or verdict.skipped or what
                print(
                    f"[{len(verdicts):3}/{len(mutants)}]  {verdict.mutant.name:32} "
                    f"{verdict.seconds:5.1f} s  {what}",
                    flush=True,
                )
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return verdicts


def last_killers() -> dict[str, str]:
    """Who killed whom when they were tried last."""
    try:
        killers = json.loads((BUILD / "results.json").read_text())["killers"]
    except (OSError, ValueError, KeyError):
        return {}
    return {name: killer or "" for name, killer in killers.items()}


def write_results(verdicts: Sequence[Verdict]) -> None:
    """Who killed whom, for machines. Those that were not tried now keep their killers."""
    killers = last_killers() | {verdict.mutant.name: verdict.killer for verdict in verdicts}
    answer = {
        "killed": sum(bool(verdict.killer) for verdict in verdicts),
        "made": len(verdicts),
        "killers": {name: killer or None for name, killer in killers.items()},
    }
    (BUILD / "results.json").write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n")


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", metavar="PATTERN", default="", help="only names that match")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--check", action="store_true", help="only see whether each still applies")
    parser.add_argument(
        "--generate", type=int, metavar="N", default=SAMPLE, help="size of the sample (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the generated ones (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="trees at work side by side (2)")
    parser.add_argument("--seconds", type=int, default=5, help="of simulation per mutant (5)")
    parser.add_argument(
        "--least", type=int, default=LEAST_PERCENT, help="percent to be killed (%(default)s)"
    )
    options = parser.parse_args(argv)
    if options.jobs < 1 or options.seconds < 1 or options.generate < 0:
        parser.error("--jobs and --seconds: at least 1; --generate: at least 0")
    mutants = [mutant for mutant in load() if re.search(options.k, mutant.name)]
    if options.check:
        return check(mutants)
    mutants += generate.draw(ROOT, options.generate, options.seed, options.k)
    if not mutants:
        parser.error(f"-k {options.k}: no name matches; --list prints them")
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    verdicts = run_all(mutants, options.jobs, options.seconds)
    wrong = [verdict.mutant.name for verdict in verdicts if verdict.wrong]
    if wrong:
        print(f"mutate: cannot be made: {', '.join(wrong)}", file=sys.stderr)
        return 2
    verdicts = [verdict for verdict in verdicts if not verdict.skipped]
    write_results(verdicts)
    killed = sum(bool(verdict.killer) for verdict in verdicts)
    for verdict in verdicts:
        if not verdict.killer:
            print(f"survived: {verdict.mutant.name} ({verdict.mutant.file})\n{verdict.mutant.put}")
    print(f"{killed * 100 / max(len(verdicts), 1):.1f} % killed, at least {options.least} % wanted")
    print(f"{killed} killed, {len(verdicts) - killed} survived")
    return 0 if killed * 100 >= options.least * len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
