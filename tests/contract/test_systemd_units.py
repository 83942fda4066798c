"""The systemd units: systemd takes them, they have the time to drain, and what runs in them can do little else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agentvoicebox.supervisor.roles import GATEWAY_DRAIN_S, WORKER_DRAIN_S

pytestmark = pytest.mark.requirement("A17")

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
MOST_EXPOSED = 20  # tenths, as `systemd-analyze security` counts; an unprotected service has 96


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that exists here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install -y systemd")
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("/usr/local/bin/agentvoicebox", "/bin/true"))
    return tmp_path


def analyzed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], cwd=folder, capture_output=True, text=True)


def test_systemd_takes_every_unit_without_a_word(installed: Path) -> None:
    names = [f"./{path.name}" for path in installed.iterdir()]
    done = analyzed(installed, "verify", *names)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_names_a_misspelt_directive(installed: Path) -> None:
    unit = installed / "agentvoicebox.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in analyzed(installed, "verify", "./agentvoicebox.service").stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_exposed_to_little(installed: Path, name: str) -> None:
    done = analyzed(installed, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", f"./{name}")
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_stopped_has_the_time_to_drain(name: str) -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", (UNITS / name).read_text(), re.MULTILINE)
    assert found
    needed = {
        "agentvoicebox.service": GATEWAY_DRAIN_S + 2 * WORKER_DRAIN_S,
        "agentvoicebox-gateway@.service": GATEWAY_DRAIN_S + 5,
        "agentvoicebox-worker@.service": WORKER_DRAIN_S + 5,
    }
    assert int(found[1]) >= needed[name]


def test_the_target_stops_and_starts_the_roles_of_a_machine() -> None:
    for name in ("agentvoicebox-gateway@.service", "agentvoicebox-worker@.service"):
        text = (UNITS / name).read_text()
        assert "PartOf=agentvoicebox.target\n" in text and "WantedBy=agentvoicebox.target\n" in text
