"""Breaks one mechanism at a time, in a copy of the sources, and expects that the named tests fail.

Run it as `make mutations`. The working tree is never changed: each mutation runs in a temporary folder that holds a copy of
`src` and links to everything else. First the tests run on sources without a mutation, where they must pass.

Exit code 0: each mutation turned each of its tests red. 1: one survived, or its text is no longer in its file.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutations.toml")
TIMEOUT_S = 180.0  # of one mutation; on a busy machine its tests take up to 60 s
BASELINE_TIMEOUT_S = 1_200.0  # of all tests together, without a mutation
NOT_LINKED = frozenset({"src", ".git", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache"})
PYTEST_FAILED = 1  # its exit code when tests ran and some failed


@dataclass(frozen=True)
class Mutation:
    """A mechanism and how it is broken.

    Attributes:
        name: a claim about the broken program.
        file: relative to the repository.
        old, new: the text that is replaced; `old` occurs once.
        tests: test files or pytest node ids, each of which must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def occurrences(self, root: Path = ROOT) -> int:
        """How often `old` occurs in the file."""
        path = root / self.file
        return path.read_text().count(self.old) if path.is_file() else 0

    def apply(self, root: Path) -> None:
        """Break the mechanism in the copy under `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True)
class Result:
    """What became of a mutation.

    Attributes:
        verdict: `red` (as it must be), `survived`, `missing` (its text does not occur once), `timeout`, or `broken` (the tests
            could not run).
        reasons: one line for each failed test; for other verdicts the end of the output.
    """

    name: str
    verdict: str
    seconds: float
    reasons: tuple[str, ...] = ()


def read_list(path: Path = LIST) -> list[Mutation]:
    """The kept mutations, in order."""
    entries = tomllib.loads(path.read_text())["mutation"]
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


@contextmanager
def copied_sources() -> Iterator[Path]:
    """A temporary repository: a copy of `src`, links to the rest."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "src", root / "src")
        for entry in ROOT.iterdir():
            if entry.name not in NOT_LINKED:
                (root / entry.name).symlink_to(entry)
        yield root


def run_tests(root: Path, tests: Sequence[str], timeout_s: float) -> tuple[int | None, str]:
    """pytest's exit code (None after a timeout) and its output."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "240",  # so that the summary says why a test failed
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=line", "--no-header", *tests]
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that servers which the tests start end with them
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None, f"no result within {timeout_s:.0f} s"
    return process.returncode, output


def failures(output: str) -> tuple[str, ...]:
    """The lines of pytest's summary about failed tests."""
    return tuple(line.removeprefix("FAILED ") for line in output.splitlines() if line.startswith("FAILED "))


def judge(mutation: Mutation) -> Result:
    """Break the mechanism and run its tests."""
    began_s = time.monotonic()

    def result(verdict: str, *reasons: str) -> Result:
        return Result(mutation.name, verdict, round(time.monotonic() - began_s, 1), reasons)

    if (count := mutation.occurrences()) != 1:
        return result("missing", f"the text occurs {count} times in {mutation.file}")
    with copied_sources() as root:
        mutation.apply(root)
        code, output = run_tests(root, mutation.tests, TIMEOUT_S)
    failed = failures(output)
    green = [test for test in mutation.tests if not any(line.startswith(test) for line in failed)]
    if code is None:
        return result("timeout", *output.splitlines()[-3:])
    if code == 0 or (failed and green):
        return result("survived", *(f"passes: {test}" for test in green))
    if code != PYTEST_FAILED or not failed:
        return result("broken", *output.splitlines()[-3:])
    return result("red", *failed)


def baseline(mutations: Sequence[Mutation]) -> str:
    """The output of the tests on unchanged sources; "" when all pass."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with copied_sources() as root:
        code, output = run_tests(root, tests, BASELINE_TIMEOUT_S)
    return "" if code == 0 else output


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Break mechanisms on purpose; each must turn a test red.")
    parser.add_argument("--only", action="append", metavar="NAME", help="mutations whose name contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests on unchanged sources first")
    options = parser.parse_args()
    chosen = [each for each in read_list() if not options.only or any(text in each.name for text in options.only)]
    if not chosen:
        parser.error("no mutation has such a name")
    if not options.no_baseline and (output := baseline(chosen)):
        print(output, "The tests fail without a mutation.", sep="\n")
        return 1
    with ThreadPoolExecutor(options.jobs) as pool:
        results = []
        for result in pool.map(judge, chosen):
            results.append(result)
            reason = result.reasons[0][:150] if result.reasons else ""
            print(f"{result.verdict:8} {result.seconds:6.1f} s  {result.name}\n{'':19}{reason}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    red = sum(result.verdict == "red" for result in results)
    print(f"{red} of {len(results)} mutations turned their tests red")
    return 0 if red == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
