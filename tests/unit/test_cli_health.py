"""`agentvoicebox health` is right about a server that lives, one that is ill, one that hangs, and none."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.kit.silent_server import silent_server
from typer.testing import CliRunner

from agentvoicebox.cli import health
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.cli.main import app

pytestmark = pytest.mark.requirement("A17")

runner = CliRunner()


@pytest.fixture(autouse=True)
def _ports_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AVB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AVB_GATEWAY_INTERNAL_PORT", str(free_port()))
    monkeypatch.setenv("AVB_INTERNAL_PORT", str(free_port()))


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that gives each request this status: its port, and the paths that were asked for."""
    asked: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("setting", ["AVB_GATEWAY_INTERNAL_PORT", "AVB_WORKER_INTERNAL_PORT", "AVB_INTERNAL_PORT"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_role_that_lives_is_healthy(monkeypatch: pytest.MonkeyPatch, setting: str, host: str) -> None:
    monkeypatch.setenv("AVB_API_KEYS", "a-key")
    monkeypatch.setenv("AVB_INTERNAL_HOST", host)
    with answering(200) as (port, asked):
        monkeypatch.setenv(setting, str(port))
        result = runner.invoke(app, ["health"])
    assert (result.exit_code, asked) == (0, ["/health"])
    assert result.stdout.strip() == f"http://127.0.0.1:{port}/health 200"


def test_an_ill_role_is_not_excused_by_a_healthy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as (well, _), answering(503) as (ill, _):
        monkeypatch.setenv("AVB_GATEWAY_INTERNAL_PORT", str(well))
        assert runner.invoke(app, ["health"]).exit_code == 0
        monkeypatch.setenv("AVB_INTERNAL_PORT", str(ill))
        assert runner.invoke(app, ["health"]).exit_code == 1


def test_a_role_that_hangs_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT_S", 0.05)
    with silent_server() as port:
        assert runner.invoke(app, ["health", f"http://127.0.0.1:{port}/health"]).exit_code == 1


def test_nobody_is_not_healthy_and_the_addresses_are_named() -> None:
    result = runner.invoke(app, ["health"])
    assert result.exit_code == 1
    assert f"http://127.0.0.1:{os.environ['AVB_GATEWAY_INTERNAL_PORT']}/health" in result.output


def test_any_address_can_be_asked() -> None:
    with answering(503) as (port, asked):
        result = runner.invoke(app, ["health", f"http://127.0.0.1:{port}/ready"])
    assert (result.exit_code, asked) == (1, ["/ready"])
