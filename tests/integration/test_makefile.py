"""The Makefile lists what it can do, says what is wrong with a Python, goes on after an interruption, and keeps data."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.kit.waiting import PATIENCE_S, settled

pytestmark = pytest.mark.requirement("C1")

ROOT = Path(__file__).parents[2]
TARGETS = set(
    re.search(r"^\.PHONY:((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].replace("\\", " ").split()  # type: ignore[index]
)
# A make around the tests would pass its own options on.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the Makefile needs to make an environment."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "var" / "postgres").mkdir(parents=True)
    return tmp_path


def make(folder: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=folder, input=answer, capture_output=True, text=True,
        check=False, env=ENVIRONMENT, timeout=PATIENCE_S,
    )  # fmt: skip


def test_every_target_is_listed_with_what_it_does_within_80_columns() -> None:
    lines = make(ROOT, "help").stdout.splitlines()
    assert {line.split()[1] for line in lines} == TARGETS
    assert [line for line in lines if len(line) > 80 or len(line.split()) < 3] == []


OLD_PYTHON = f"""#!/bin/sh
[ "$1" = --version ] && echo Python 3.10.13
[ "$1" = -c ] && exec {sys.executable} -c "import sys; sys.version_info = (3, 10, 13); $2"
"""


@pytest.mark.parametrize(
    ("script", "is_named"),
    [(OLD_PYTHON, "Python 3.10.13"), ("#!/no/such/interpreter", "not found")],
    ids=["too old", "none"],
)
def test_a_wrong_python_is_refused_at_once_in_one_sentence(checkout: Path, script: str, is_named: str) -> None:
    python = checkout / "some-python"
    python.write_text(script)
    python.chmod(0o755)
    done = make(checkout, "serve", f"PYTHON={python}")
    first, *_ = done.stderr.splitlines()
    assert done.returncode and first.startswith("Python 3.11 or newer is needed") and "make serve PYTHON=" in first
    assert is_named in first
    assert not (checkout / ".venv").exists()


def interrupted(folder: Path, command: Sequence[str], begun: Path) -> int:
    """Run a command, and press Ctrl-C as soon as a file is there."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        start_new_session=True,
        # A shell that runs the tests in the background ignores SIGINT, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert settled(lambda: [] if begun.exists() else [f"{begun} is not there"], patience_s=PATIENCE_S) == []
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(PATIENCE_S)


def test_an_environment_whose_making_was_interrupted_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    assert interrupted(checkout, ["make", ".venv/.pip"], python)
    has_pip = [str(python), "-c", "import importlib.metadata as m; m.files('pip')[0]"]
    assert subprocess.run(has_pip, capture_output=True, check=False).returncode, "it was interrupted too late"
    assert make(checkout, ".venv/.pip").returncode == 0
    assert subprocess.run(has_pip, capture_output=True, check=False).returncode == 0


def test_a_complete_environment_is_left_alone(checkout: Path) -> None:
    assert make(checkout, ".venv/.pip").returncode == 0
    (checkout / ".venv" / ".pip").unlink()
    (checkout / ".venv" / "mine").touch()
    assert make(checkout, ".venv/.pip").returncode == 0
    assert (checkout / ".venv" / "mine").exists()


def test_clean_keeps_the_data(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    assert make(checkout, "clean").returncode == 0
    assert (checkout / "var" / "postgres").exists() and not (checkout / ".venv").exists()


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_data_is_not_deleted_without_a_yes(checkout: Path, answer: str) -> None:
    assert make(checkout, "delete-data", answer=answer).returncode
    assert (checkout / "var" / "postgres").exists()


def test_data_is_deleted_after_a_yes(checkout: Path) -> None:
    assert make(checkout, "delete-data", answer="yes\n").returncode == 0
    assert not (checkout / "var").exists()
    assert make(checkout, "delete-data").returncode == 0


def test_data_in_use_is_not_deleted(checkout: Path) -> None:
    with (checkout / "var" / "embedded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = make(checkout, "delete-data", answer="yes\n")
    assert done.returncode and "stop it first" in done.stderr
    assert (checkout / "var" / "postgres").exists()
