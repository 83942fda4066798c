"""The wheel is whole, and in an empty environment `pip install "agentvoicebox[all]"` brings all that the demo call needs.

`make install-matrix` does the same for each Python, for pipx and for uv, with the newest versions that the metadata allows.
"""

import os
import re
import zipfile
from functools import partial
from pathlib import Path

import pytest
from tests.kit.installation import (
    ROOT,
    Install,
    Installation,
    build_wheel,
    by_pip,
    by_pipx,
    by_uv,
    interpreter,
    skip_without_an_index,
)

pytestmark = pytest.mark.requirement("C1")

PYTHONS = ("3.11", "3.12", "3.13")
SIZE_TOLERANCE = 0.1
TESTS_ONLY = {"pytest", "hypothesis", "mypy", "matplotlib", "onnx"}
CONSOLE = ROOT / "src" / "agentvoicebox" / "console" / "static"


def pip_on(version: str, wheel: Path, folder: Path) -> Installation:
    return by_pip(wheel, folder, python=interpreter(version))


# The usual way has the tested versions, so that a new release elsewhere fails no landing.
WAYS: dict[str, Install] = {"pip": partial(by_pip, pins=ROOT / "requirements" / "run.txt")}
if os.environ.get("INSTALL_MATRIX"):
    WAYS = {f"pip on {version}": partial(pip_on, version) for version in PYTHONS} | {"pipx": by_pipx, "uv": by_uv}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_every_file_of_the_sources_and_no_other(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == sources
    assert {name.partition("/")[2] for name in about} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/LICENSES.md",
    }  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        "agentvoicebox/agent_files/assistant.toml",
        "agentvoicebox/broker/lua/submit.lua",
        "agentvoicebox/limits/lua/consume.lua",
        "agentvoicebox/policy/rules/access.rego",
        "agentvoicebox/py.typed",
        "agentvoicebox/storage/migrations/versions/r0001_first_tables.py",
        "agentvoicebox/storage/queries/session_find.sql",
        "agentvoicebox_delivery/agents/delivery.toml",
        "agentvoicebox_delivery/database/queries/shipments_find.sql",
        "agentvoicebox_delivery/database/revisions/d0001_shipments.py",
        "agentvoicebox_delivery/evals/scenarios/happy.toml",
        "agentvoicebox_delivery/py.typed",
    ],
)
def test_the_wheel_has_what_is_read_at_run_time(wheel: Path, part: str) -> None:
    assert part in zipfile.ZipFile(wheel).namelist()


@pytest.mark.skipif(not CONSOLE.is_dir(), reason="there is no console in this version")
def test_the_wheel_has_the_pages_of_the_console(wheel: Path) -> None:
    assert "agentvoicebox/console/static/index.html" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_empty_environment_makes_the_demo_call(way: str, wheel: Path, tmp_path: Path) -> None:
    skip_without_an_index(tmp_path)
    installed = WAYS[way](wheel, tmp_path)
    assert not TESTS_ONLY & installed.packages
    print(f"{way}: {installed.size_mb:.0f} MB")
    assert installed.size_mb == pytest.approx(documented_mb(way), rel=SIZE_TOLERANCE)
    home = tmp_path / "home-of-the-caller"
    home.mkdir()
    demo = installed.run("demo", folder=home)
    assert demo.returncode == 0, f"{demo.stdout}\n{demo.stderr}"
    assert "out for delivery" in (home / "demo-output" / "conversation.txt").read_text()
    doctor = installed.run("doctor", folder=home)
    assert doctor.returncode == 0, f"{doctor.stdout}\n{doctor.stderr}"


def documented_mb(way: str) -> float:
    """The size that docs/install.md gives for an environment with everything."""
    page = (ROOT / "docs" / "install.md").read_text()
    kind = "by pipx or uv" if way in ("pipx", "uv") else "pip included"
    (size,) = re.findall(rf"^\| an environment with `all`, {kind} \| (\d+) \|$", page, re.MULTILINE)
    return float(size)
