"""Each process is listed for Prometheus while it lives, and no longer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentvoicebox.telemetry.scrape_target import scrape_target, sweep

pytestmark = pytest.mark.requirement("A13")

LISTED = """
import sys
from pathlib import Path
from agentvoicebox.telemetry.scrape_target import scrape_target
with scrape_target(Path(sys.argv[1]), "stt", "127.0.0.1", 4711):
    print("listed", flush=True)
    sys.stdin.read()
"""


def listed(folder: Path) -> list[object]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_the_file_is_what_prometheus_reads_and_goes_with_its_process(tmp_path: Path) -> None:
    folder = tmp_path / "targets"
    with scrape_target(folder, "gateway", "127.0.0.1", 8003):
        assert listed(folder) == [[{"targets": ["127.0.0.1:8003"], "labels": {"process": "gateway"}}]]
        assert [path.name for path in folder.iterdir()] == [f"gateway-{os.getpid()}.json"]
        assert sweep(folder) == 0  # its process lives
        assert listed(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "target"),
    [("0.0.0.0", "127.0.0.1:1"), ("::", "[::1]:1"), ("::1", "[::1]:1"), ("10.0.0.7", "10.0.0.7:1")],
)
def test_the_address_is_one_that_a_prometheus_here_can_reach(tmp_path: Path, host: str, target: str) -> None:
    with scrape_target(tmp_path, "tts", host, 1):
        assert listed(tmp_path) == [[{"targets": [target], "labels": {"process": "tts"}}]]


def test_a_killed_processs_file_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LISTED, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # ends with its input
    with child, scrape_target(tmp_path, "worker", "127.0.0.1", 1):
        assert child.stdout is not None
        assert child.stdout.readline() == b"listed\n"
        assert len(listed(tmp_path)) == 2
        assert sweep(tmp_path) == 0
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert sweep(tmp_path) == 1
        assert listed(tmp_path) == [[{"targets": ["127.0.0.1:1"], "labels": {"process": "worker"}}]]


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_who_may_read_the_folder_may_read_the_file(tmp_path: Path, folder_mode: int, file_mode: int) -> None:
    tmp_path.chmod(folder_mode)
    with scrape_target(tmp_path, "stt", "127.0.0.1", 1):
        (path,) = tmp_path.glob("*.json")
        assert path.stat().st_mode & 0o777 == file_mode


def test_a_folder_that_cant_be_written_costs_the_listing_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with scrape_target(tmp_path / "file" / "targets", "stt", "127.0.0.1", 1):
        pass
    with scrape_target(None, "stt", "127.0.0.1", 1):
        pass
    assert sweep(tmp_path / "nothing") == 0
