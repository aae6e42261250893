#!/usr/bin/env python3
"""Run the fuzz targets of tests/fuzz/, or replay what they have found.

    tests/fuzz/run.py --seconds 60    each target for so long, two at a time
    tests/fuzz/run.py --replay        every input of the kept corpus once
    tests/fuzz/run.py --keep          add what was found since to the kept corpus, smallest set

A target is build/fuzz_NAME, made by make; its kept corpus is tests/fuzz/corpus/NAME/, what it
finds on the way goes to build/fuzz/NAME/, an input that fails to build/fuzz/. A line ends with
`faults N=M ...` where a target has injected M faults of class N (tests/model/faults.def). The last
line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from cli import command  # noqa: E402

KEPT = ROOT / "tests" / "fuzz" / "corpus"
BUILD = ROOT / "build" / "fuzz"
WORKERS = 2
INPUT_SECONDS_MAX = 600  # ends an input that hangs, also on a loaded host
INPUT_BYTES_MAX = 8192
SEEDS = 1 << 32  # that libFuzzer takes
LOG_LINES = 40


def targets(pattern: str) -> list[str]:
    """The names of the targets, from their sources."""
    names = sorted(path.stem for path in (ROOT / "tests" / "fuzz").glob("fuzz_*.c"))
    return [name for name in names if pattern in name]


def call(target: str, *arguments: str) -> tuple[int, str]:
    """Run a target; its status and everything it said."""
    artifacts = f"-artifact_prefix={BUILD}/{target}-"
    command = [str(ROOT / "build" / target), f"-timeout={INPUT_SECONDS_MAX}", artifacts, *arguments]
    try:
        answer = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}; hint: make build/{target}"
    return answer.returncode, answer.stdout.decode("utf-8", "replace")


def explain(target: str, output: str) -> str:
    """The end of the log, and how to see the failure again."""
    lines = ["      " + line for line in output.splitlines()[-LOG_LINES:]]
    written = re.search(r"Test unit written to (\S+)", output)
    if written:
        path = Path(written[1])
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        lines.append(f"      again: build/{target} {shown}")
    return "\n".join(lines)


def folders(target: str) -> tuple[Path, Path]:
    """The corpus that is kept and the one that grows."""
    name = target.removeprefix("fuzz_")
    (BUILD / name).mkdir(parents=True, exist_ok=True)
    return KEPT / name, BUILD / name


def injected(output: str) -> str:
    """How many faults of each class a target has injected."""
    told = re.search(r"^injected:( .+)$", output, re.M)
    return f"; faults{told[1]}" if told else ""


def replay(target: str) -> tuple[int, int, str]:
    """Every kept input once: passed, failed, a line."""
    kept, _ = folders(target)
    inputs = sorted(path for path in kept.iterdir() if path.is_file()) if kept.is_dir() else []
    if not inputs:
        return 0, 1, f"FAIL  {target}: no corpus in {kept.relative_to(ROOT)}"
    status, output = call(target, *map(str, inputs))
    ran = len(re.findall(r"^Executed ", output, re.M))
    if status or ran != len(inputs):
        return ran, 1, f"FAIL  {target}: {ran} of {len(inputs)} inputs\n{explain(target, output)}"
    return ran, 0, f"ok    {target:14} {ran:6,} inputs{injected(output)}"


def fuzz(target: str, seconds: int, seed: int) -> tuple[int, int, str]:
    """Look for new inputs for a while: passed, failed, a line."""
    kept, found = folders(target)
    status, output = call(
        target,
        f"-max_total_time={seconds}",
        f"-seed={seed % SEEDS}",
        f"-max_len={INPUT_BYTES_MAX}",
        "-print_final_stats=1",
        str(found),
        str(kept),
    )
    runs = re.search(r"number_of_executed_units: (\d+)", output)
    added = re.search(r"new_units_added: +(\d+)", output)
    coverage = re.findall(r"cov: (\d+)", output)
    words = (
        f"{target:14} {int(runs[1]) if runs else 0:12,} runs, "
        f"{added[1] if added else 0} new inputs, {coverage[-1] if coverage else 0} edges"
        f"{injected(output)}"
    )
    if status:
        return 0, 1, f"FAIL  {words}\n{explain(target, output)}"
    return 1, 0, f"ok    {words}"


def keep(target: str) -> tuple[int, int, str]:
    """Replace the kept corpus by the smallest set that reaches as much as both: a line."""
    kept, found = folders(target)
    merged = BUILD / f"{target}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    kept.mkdir(parents=True, exist_ok=True)
    # By edges alone: counting how often each ran would keep ten times as many.
    status, output = call(
        target, "-merge=1", "-use_counters=0", str(merged), str(kept), str(found)
    )
    if status:
        return 0, 1, f"FAIL  {target}: merge\n{explain(target, output)}"
    before = len(list(kept.iterdir()))
    shutil.rmtree(kept)
    shutil.copytree(merged, kept)
    size = sum(path.stat().st_size for path in kept.iterdir())
    return 1, 0, f"ok    {target:14} {before} inputs -> {len(list(kept.iterdir()))}, {size:,} bytes"


@command.entry
def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seconds", type=int, metavar="S", help="fuzz each target for so long")
    what.add_argument("--replay", action="store_true", help="run every input of the kept corpus")
    what.add_argument("--keep", action="store_true", help="merge new inputs into the kept corpus")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="of what --seconds draws (default 0: another one each time)")
    parser.add_argument("-k", metavar="PATTERN", default="", help="only targets with this in them")
    options = parser.parse_args(argv)
    chosen = targets(options.k)
    if not chosen:
        parser.error(f"-k {options.k}: no target; there are {', '.join(targets(''))}")
    if options.seconds is not None and options.seconds < 1:
        parser.error(f"--seconds {options.seconds}: at least 1")
    BUILD.mkdir(parents=True, exist_ok=True)
    if options.seconds:
        print(f"{len(chosen)} targets, {options.seconds} s each, {WORKERS} at a time", flush=True)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        if options.seconds:
            jobs = [pool.submit(fuzz, target, options.seconds, options.seed) for target in chosen]
        else:
            jobs = [pool.submit(replay if options.replay else keep, target) for target in chosen]
        for job in concurrent.futures.as_completed(jobs):
            good, bad, line = job.result()
            print(line, flush=True)
            passed += good
            failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
