"""A command that is busy says with what, also where its output is no terminal."""

import pytest
from tests.kit.waiting import settled

from agentvoicebox.cli import console
from agentvoicebox.cli.console import Steps


def test_each_step_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps("first") as steps:
        steps.show("a [second] step")
        steps.stop()
        steps.show("too late")
    assert capsys.readouterr().out == "first\na [second] step\n"


def test_a_long_step_is_shown_again_with_its_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.01)
    seen = ""

    def not_yet() -> list[str]:
        nonlocal seen
        seen += capsys.readouterr().out
        return [] if "long (0 s)" in seen else [seen]

    with Steps("long"):
        assert settled(not_yet) == []


def test_an_error_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps("first")
    with pytest.raises(ValueError, match="broken"), steps:
        raise ValueError("broken")
    steps.show("too late")
    assert capsys.readouterr().out == "first\n"
