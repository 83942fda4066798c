"""The wheel, and empty environments that it is installed into as a user does: by pip, pipx or uv."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from requirements.install import PIN

ROOT = Path(__file__).parents[2]
INSTALL_TIMEOUT_S = 600.0
PROBE = "typer"  # a small package that pip must be able to find
# Of the tests' own environment; in an empty one they would lead back to it.
LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV")


@dataclass(frozen=True)
class Installation:
    """One environment.

    Attributes:
        command: path of `agentvoicebox` in it.
        folder: of the environment.
    """

    command: Path
    folder: Path

    @property
    def size_mb(self) -> float:
        """All its files; links, such as the interpreter, count nothing."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files) / 1e6

    @property
    def packages(self) -> set[str]:
        """Top-level names in its `site-packages`."""
        return {path.name for path in self.folder.glob("lib/python*/site-packages/*")}

    def run(self, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run the command in a folder, whose `var` is its data folder."""
        return _run([str(self.command), *arguments], folder)


Install = Callable[[Path, Path], Installation]
"""Installs a wheel into an empty folder."""


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, as `make wheel` builds it."""
    _done([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def skip_without_an_index(folder: Path) -> None:
    """Skip the test where pip reaches no package index; CI has one, so there it fails."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d", str(folder), PROBE]
    done = _run(command, folder)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip reaches no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def by_pip(wheel: Path, folder: Path, *, python: str = sys.executable, pins: Path | None = None) -> Installation:
    """`python -m venv`, then `pip install "agentvoicebox[all]"`; with `pins`, in the versions of that lock file."""
    environment = folder / "environment"
    _done([python, "-m", "venv", str(environment)], folder)
    options: list[str] = []
    if pins is not None:
        (folder / "constraints.txt").write_text("".join(f"{pin}\n" for pin in _pins(pins)))
        options = ["--constraint", str(folder / "constraints.txt")]
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    _done([*pip, *options, f"{wheel}[all]"], folder)
    return Installation(environment / "bin" / "agentvoicebox", environment)


def by_pipx(wheel: Path, folder: Path) -> Installation:
    """`pipx install "agentvoicebox[all]"`; pipx itself is installed where it is missing."""
    pipx = shutil.which("pipx")
    if pipx is None:
        _done([sys.executable, "-m", "venv", str(folder / "pipx")], folder)
        _done([str(folder / "pipx" / "bin" / "python"), "-m", "pip", "install", "-q", "pipx"], folder)
        pipx = str(folder / "pipx" / "bin" / "pipx")
    places = {
        "PIPX_HOME": str(folder / "home"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
    }
    _done([pipx, "install", "--python", sys.executable, f"{wheel}[all]"], folder, **places)
    return Installation(folder / "bin" / "agentvoicebox", folder / "home" / "venvs" / "agentvoicebox")


def by_uv(wheel: Path, folder: Path) -> Installation:
    """`uv tool install "agentvoicebox[all]"`."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    places = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    _done([uv, "tool", "install", f"agentvoicebox[all] @ {wheel.as_uri()}"], folder, **places)
    return Installation(folder / "bin" / "agentvoicebox", folder / "tools" / "agentvoicebox")


def interpreter(version: str) -> str:
    """Path of a Python, such as `3.12`; skips the test where there is none."""
    found = [
        shutil.which(f"python{version}"),
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")),
    ]
    for path in found:
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"there is no python{version} here")


def _pins(path: Path) -> list[str]:
    """The pins of a lock file without their hashes."""
    return [match[0].strip() for line in path.read_text().splitlines() if (match := PIN.match(line))]


def _run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT} | variables
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
    )


def _done(command: list[str], folder: Path, **variables: str) -> None:
    done = _run(command, folder, **variables)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
