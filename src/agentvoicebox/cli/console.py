"""The output of every command; known errors are printed as one sentence with the error and its fix, never as a stack trace."""

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from agentvoicebox.errors import AgentVoiceBoxError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

FAILED = 1
INTERRUPTED = 130  # the exit code of shells for Ctrl-C


class Commands(TyperGroup):
    """A group of commands whose known errors become one message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; any other exception is a bug and keeps its trace."""
        try:
            return super().invoke(ctx)
        except AgentVoiceBoxError as error:
            errors.print(f"[bold red]{_prefix(error)}[/] {escape(error.message)}")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _prefix(error: AgentVoiceBoxError) -> str:
    return "Not possible:" if not error.retryable else "Not possible now:"
