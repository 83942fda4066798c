"""The tools of a process, by name: the one tool core behind every protocol.

Decides the outcome for an unknown tool, invalid arguments, a timeout and an exception. Stores nothing about calls; `once` makes a
side effect happen only once.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.tools.definition import (
    MAX_OUTPUT_BYTES,
    OUTCOME_UNKNOWN,
    RESULT_TOO_LONG,
    TOOL_FAILED,
    TOOL_TIMEOUT,
    TOOL_UNAVAILABLE,
    UNKNOWN_TOOL,
    Definition,
    Outcome,
    Tool,
    ToolContext,
    failure,
)
from agentvoicebox.tools.schema import Misfit, Unreadable

GRACE_S = 1.0  # a tool applies its own timeout; this one is a fallback

_log = structlog.get_logger(__name__)


class Registry:
    """A set of tools with unique names."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Raises ValueError when two tools have the same name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"there are two tools named {tool.name}")
            self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        """The tool of this name; None if there is none."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """Every tool."""
        return tuple(self._tools.values())

    def for_agent(self, names: Iterable[str], own: Iterable[Tool] = ()) -> "Registry":
        """The tools of one agent: those of `names`, and its own. Raises KeyError for an unknown name."""
        return Registry([*(self._tools[name] for name in names), *own])

    async def run(self, name: str, arguments: Any, context: ToolContext) -> Outcome:
        """Run a tool. Raises only CancelledError.

        Args:
            name: the tool's name.
            arguments: JSON text as a model wrote it, or an object.
            context: the caller.
        """
        tool = self._tools.get(name)
        if tool is None:
            return failure(UNKNOWN_TOOL, tool=name[:64])
        definition = tool.definition
        try:
            read = definition.read(arguments)
        except (Misfit, Unreadable) as fault:
            return definition.refuse(fault)
        try:
            async with asyncio.timeout(definition.timeout_s + GRACE_S):
                outcome = await tool.run(read, context)
        except TimeoutError:
            _log.warning("tool took too long", tool=name, timeout_s=definition.timeout_s)
            return failure(_unless_changed(definition, TOOL_TIMEOUT))
        except AgentVoiceBoxError as error:
            _log.warning("tool failed", tool=name, code=error.code)
            return failure(_unless_changed(definition, TOOL_UNAVAILABLE if error.retryable else TOOL_FAILED))
        except Exception as error:  # the message may contain words of people, so it is not logged
            _log.error("tool broke", tool=name, error=type(error).__name__)
            return failure(_unless_changed(definition, TOOL_FAILED))
        if len(outcome.output.encode(errors="backslashreplace")) > MAX_OUTPUT_BYTES:
            _log.warning("tool's output is too long", tool=name, characters=len(outcome.output))
            return failure(RESULT_TOO_LONG)
        return outcome


def _unless_changed(definition: Definition, code: str) -> str:
    """`code` for a read-only tool, else OUTCOME_UNKNOWN: it is unknown whether an interrupted side effect happened."""
    return code if definition.is_read_only else OUTCOME_UNKNOWN
