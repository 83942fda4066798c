"""The command line, as a user who types wrong things meets it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentvoicebox import __version__
from agentvoicebox.cli.console import console, errors
from agentvoicebox.cli.main import app
from agentvoicebox.cli.serve import serve

runner = CliRunner()


def words(text: str) -> str:
    """Without the line breaks that depend on the terminal's width."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_DATA_DIR", str(tmp_path / "data"))
    for each in (console, errors):
        monkeypatch.setattr(each, "width", 200)  # COLUMNS counts only where it was set before the console was made


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version_is_the_packages(words: list[str]) -> None:
    result = runner.invoke(app, words)
    assert (result.exit_code, result.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize(
    "group",
    [[], ["agents"], ["models"], ["keys"], ["tenants"], ["policy"], ["records"], ["events"], ["database"], ["eval"]],
)
def test_without_arguments_the_help_is_shown_and_is_no_error(group: list[str]) -> None:
    result = runner.invoke(app, group)
    assert result.exit_code == 0 and "Usage" in result.stdout


@pytest.mark.parametrize("command", ["serve", "call", "demo", "doctor", "health", "models", "agents", "voices"])
def test_every_command_explains_itself(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout
    assert command in runner.invoke(app, ["--help"]).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["call", "--text", "hi", "--url", "http://127.0.0.1:9/v1"], "agentvoicebox serve"),
        (["call", "missing.wav"], "missing.wav"),
        (["call", "--text", "hi", "--record", "no/such/folder/call.wav"], "there is no folder"),
        (["serve", "--role", "gateway"], "AVB_REDIS_URL is needed by gateway"),
        (["serve", "--role", "boss"], "there is no role boss; there are"),
        (["models", "pull", "no-such-model"], "no-such-model; there are"),
        (["models", "verify", "no-such-model"], "no-such-model; there are"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_not_a_trace(arguments: list[str], told: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert told in words(result.output)
    assert "Traceback" not in result.output
    if arguments[:2] != ["models", "verify"]:  # which goes on with the next model
        assert result.output.count("Error:") == 1 and "Not possible" not in result.output


def test_an_error_that_may_be_gone_later_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_POSTGRES_URL", "postgresql://me:hush@127.0.0.1:1/records")
    said = words(runner.invoke(app, ["keys", "list"]).output)
    assert said.startswith("Not possible now: AVB_POSTGRES_URL=postgresql://me:***@127.0.0.1:1/records: ")
    assert "hush" not in said


def test_help_breaks_lines_only_where_the_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    shown = runner.invoke(app, ["serve", "--help"]).stdout
    for paragraph in re.split(r"\n\s*\n", serve.__doc__ or ""):
        assert words(paragraph) in shown


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (console, errors):
        monkeypatch.setattr(each, "width", 80)


@pytest.mark.usefixtures("narrow")
def test_what_one_would_copy_is_never_cut_at_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a-folder-with-a-name-that-is-longer-than-all-of-a-line-of-80-columns-of-a-terminal"
    folder.mkdir()
    (folder / "florist.toml").write_text('instructions = "Sell flowers."\ntools = ["get_delivery_status"]')
    monkeypatch.setenv("AVB_AGENTS_DIR", str(folder))
    monkeypatch.setenv("AVB_DATA_DIR", str(folder / "data"))
    listed = runner.invoke(app, ["agents", "list"]).stdout
    assert str(folder / "florist.toml") in listed and "get_delivery_status" in listed
    checked = runner.invoke(app, ["doctor", "--quick"]).stdout
    assert str(folder / "data") in checked
    monkeypatch.setattr("agentvoicebox.providers.catalogue._piece", lambda piece: None)
    for arguments in (["models", "list"], ["doctor", "--quick"]):
        assert "agentvoicebox models pull whisper-tiny-en" in runner.invoke(app, arguments).stdout


def test_a_bad_setting_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_PROT", "80")
    result = runner.invoke(app, ["agents", "list"])
    assert result.exit_code == 1 and "did you mean AVB_PORT" in words(result.output)


def test_serving_the_world_without_keys_is_refused() -> None:
    result = runner.invoke(app, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 1 and "AVB_API_KEYS" in words(result.output)


def test_the_delivery_agent_is_listed_as_the_default() -> None:
    assert "delivery (default)" in words(runner.invoke(app, ["agents", "list"]).stdout)


def test_an_agent_that_is_not_offered_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = words(runner.invoke(app, ["agents", "list"]).stdout)
    assert "assistant not offered no language model server is configured; set AVB_LLM" in listed
    monkeypatch.setenv("AVB_LLM", "ollama/llama3.2")
    assert "not offered" not in runner.invoke(app, ["agents", "list"]).stdout


def test_an_own_agents_file_is_shown_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "florist.toml").write_text('instructions = "Sell flowers."')
    monkeypatch.setenv("AVB_AGENTS_DIR", str(tmp_path))
    assert "florist.toml" in "".join(runner.invoke(app, ["agents", "list"]).stdout.split())


def test_models_that_are_missing_say_what_to_type() -> None:
    shown = words(runner.invoke(app, ["models", "list"]).stdout)
    assert "whisper-tiny-en" in shown


def test_doctor_finds_what_a_call_needs_and_makes_nothing(tmp_path: Path) -> None:
    result = runner.invoke(app, ["doctor", "--quick"])
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "data").exists()


def test_doctor_fails_when_a_needed_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentvoicebox.providers.catalogue._piece", lambda piece: None)  # as if no package were there
    result = runner.invoke(app, ["doctor", "--quick"])
    assert result.exit_code == 1
    assert "agentvoicebox models pull whisper-tiny-en" in words(result.output)
