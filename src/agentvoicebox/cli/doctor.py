"""`agentvoicebox doctor`: checks this machine and the settings, and prints how to correct what is wrong or missing."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from agentvoicebox.cli.console import console
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.preflight import machine
from agentvoicebox.supervisor.preflight.checks import examine
from agentvoicebox.supervisor.preflight.finding import Finding, State
from agentvoicebox.supervisor.preflight.packages import EMBEDDED

SHOWN: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "optional": ("absent", "yellow"),
    "taken": ("in use", "yellow"),  # perhaps by a running server, which is what we want
    "warning": ("warning", "bold yellow"),
    "error": ("error", "bold red"),
}
STATE_WIDTH, WHAT_WIDTH = 9, 30


def doctor(
    quick: Annotated[bool, typer.Option(help="Don't hash models and don't start the embedded servers.")] = False,
) -> None:
    """Check this machine and the settings: what `serve` checks before it starts, and everything optional.

    Exit code 0 when nothing needs to be corrected.
    """
    settings = load_settings()
    is_right = True
    for finding in check(settings, is_quick=quick):
        _show(finding)
        is_right = is_right and finding.state not in ("warning", "error")
    if not is_right:
        raise typer.Exit(1)


def check(settings: Settings, *, is_quick: bool) -> Iterator[Finding]:
    """All findings, the most important ones first."""
    yield machine.check_python()
    findings = asyncio.run(examine(settings))
    yield from findings
    if any(each.state == "error" for each in findings):
        yield from machine.check_speed(settings, may_measure=False)
    else:
        with console.status("measuring the speech engines"):
            yield from machine.check_speed(settings, may_measure=not is_quick)
    if not is_quick:
        if any(each.what == EMBEDDED and each.state == "ok" for each in findings):
            with console.status("starting the embedded servers"):
                yield asyncio.run(machine.check_embedded_start())
        with console.status("reading the models"):
            yield from machine.check_models(settings)
    yield from machine.check_optional(settings)


def _show(finding: Finding) -> None:
    """One line, or two with the fix. The terminal breaks long ones, so that paths and commands can be copied."""
    word, style = SHOWN[finding.state]
    detail = ": ".join(filter(None, (finding.setting, finding.detail)))
    console.print(
        Text.assemble((word.ljust(STATE_WIDTH), style), finding.what.ljust(WHAT_WIDTH), detail), soft_wrap=True
    )
    if finding.fix:
        console.print(Text(" " * STATE_WIDTH + finding.fix, style="bold"), soft_wrap=True)
