"""What all commands share: the two consoles, how help and known errors are shown, and tables that fit 80 columns."""

import re
import threading
import time
from types import TracebackType
from typing import Any, Self

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperGroup

from agentvoicebox.errors import AgentVoiceBoxError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

FAILED = 1
INTERRUPTED = 130  # the exit code of shells for Ctrl-C
SPINNER_EVERY_S, LINE_EVERY_S = 1.0, 5.0  # the longest time without a sign of life


class Steps:
    """Shows what a command is doing and for how long: a spinner on a terminal, lines elsewhere, also after 5 s of silence.

    Args:
        first: the first step.
    """

    def __init__(self, first: str) -> None:
        self._step = first
        self._spinner = console.status(escape(first)) if console.is_terminal else None
        self._began_s = self._wrote_s = time.monotonic()
        self._is_over = threading.Event()
        self._clock = threading.Thread(target=self._show_time, name="steps", daemon=True)

    def __enter__(self) -> Self:
        """Show the first step."""
        if self._spinner is not None:
            self._spinner.start()
        self.show(self._step)
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the spinner."""
        self.stop()

    def show(self, step: str) -> None:
        """Show the next step; nothing after `stop`."""
        if not self._is_over.is_set():
            self._step, self._began_s = step, time.monotonic()
            self._write(step)

    def stop(self) -> None:
        """Remove the spinner, also before the block ends. Idempotent."""
        self._is_over.set()
        if self._clock.is_alive():
            self._clock.join()
        if self._spinner is not None:
            self._spinner.stop()

    def _show_time(self) -> None:
        every_s = SPINNER_EVERY_S if self._spinner else LINE_EVERY_S
        while not self._is_over.wait(max(0.0, self._wrote_s + every_s - time.monotonic())):
            now_s = time.monotonic()
            if now_s >= self._wrote_s + every_s:
                self._write(f"{self._step} ({now_s - self._began_s:.0f} s)")

    def _write(self, words: str) -> None:
        self._wrote_s = time.monotonic()
        if self._spinner is None:
            console.print(escape(words), soft_wrap=True)
        else:
            self._spinner.update(escape(words))


class Commands(TyperGroup):
    """A group of commands whose known errors become one message and exit code 1. Without arguments it shows its help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.help = _unwrapped(self.help or "")

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """As in typer, with help whose lines the terminal breaks."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.help = _unwrapped(command.help or "")
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer, but showing the help is not an error."""
        if not args and self.no_args_is_help:
            typer.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; any other exception is a bug and keeps its trace."""
        try:
            return super().invoke(ctx)
        except AgentVoiceBoxError as error:
            show_error(error.message, helps_later=error.retryable)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def show_error(message: str, *, helps_later: bool = False) -> None:
    """Print an error. The terminal breaks long lines, so that commands and paths can be copied.

    Args:
        message: one sentence, or a list with one fault a line.
        helps_later: the same command may succeed later, unchanged.
    """
    prefix = "Not possible now:" if helps_later else "Error:"
    errors.print(Text.assemble((prefix, "bold red"), f" {message}"), soft_wrap=True)


def table(*titles: str | Column, title: str = "") -> Table:
    """A table without frames. Give a Column with `no_wrap` what must not be cut."""
    return Table(*titles, box=SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left")


def _unwrapped(text: str) -> str:
    """A docstring whose paragraphs are one line each, so that the terminal's width breaks them. Indented lines stay."""
    lines = re.sub(r"\n[ \t]+\n", "\n\n", text.strip()).split("\n\n")
    return "\n\n".join(each if each.startswith(" ") else " ".join(each.split()) for each in lines)
