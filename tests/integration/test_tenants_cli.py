"""`agentvoicebox tenants` on a real PostgreSQL: what `/v1/admin` does, without a key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentvoicebox.cli.console import console, errors
from agentvoicebox.cli.main import app

Cli = Callable[..., Result]


@pytest.fixture
def cli(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("AVB_POSTGRES_URL", postgres_url)
    for each in (console, errors):
        monkeypatch.setattr(each, "width", 200)  # COLUMNS counts only where it was set before the console was made
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_a_tenants_life_from_the_command_line_and_its_log(cli: Cli) -> None:
    deeds = (
        ("tenants", "create", "acme", "--name", "Acme"),
        ("tenants", "rename", "acme", "Acme Ltd"),
        ("tenants", "project", "acme", "shop"),
        ("tenants", "limit", "acme", "--requests", "60"),
        ("tenants", "suspend", "acme"),
    )
    for deed in deeds:
        result = cli(*deed)
        assert result.exit_code == 0, result.output
    shown = cli("tenants", "show", "acme").output
    for told in ("Acme Ltd", "shop", "requests 60", "suspended since"):
        assert told in shown
    assert "acme" in cli("tenants", "list").output
    log = cli("tenants", "audit", "acme").output
    actions = (
        "tenant.suspended",
        "tenant.limited",
        "project.created",
        "tenant.renamed",
        "tenant.created",
    )
    places = [log.index(action) for action in actions]
    assert places == sorted(places) and log.count(" cli ") == len(deeds)
    assert cli("tenants", "audit", "--gate").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "Not A Tenant"), ("create", "acme"), ("show", "nobody"), ("rename", "nobody", "x"),
        ("project", "nobody", "x"), ("project", "acme", "No Project"), ("audit", "nobody"), ("suspend", "nobody"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said_and_leaves_no_trace_in_the_log(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("tenants", "create", "acme").exit_code == 0
    result = cli("tenants", *arguments)
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert cli("tenants", "audit", "acme").output.count(" cli ") == 1


def test_the_rules_are_exported_checked_and_faults_told(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "rules"
    assert cli("policy", "export", str(folder)).exit_code == 0
    assert "valid" in cli("policy", "check", str(folder)).output
    again = cli("policy", "export", str(folder))  # what somebody may have changed is not written over
    assert again.exit_code == 1
    (folder / "own.rego").write_text('package agentvoicebox.access\n\ndeny contains "x" if tenant == "acme"\n')
    faulty = cli("policy", "check", str(folder))
    assert faulty.exit_code == 1
