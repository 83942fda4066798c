"""The tools that can be run here, by name: the one core behind every door.

Decides what becomes of a call whose tool, arguments or time are wrong. Keeps no memory of calls; that a side effect happens
once is `ledger`'s.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.tools.definition import (
    OUTCOME_UNKNOWN,
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

GRACE_S = 1.0  # a tool keeps its own time; this is the net below it

_log = structlog.get_logger(__name__)


class Registry:
    """Some tools, each with its own name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Raises ValueError when two have one name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"there are two tools named {tool.name}")
            self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        """The tool of this name."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """Every tool."""
        return tuple(self._tools.values())

    def for_agent(self, names: Iterable[str], own: Iterable[Tool] = ()) -> "Registry":
        """The tools of one agent: those of `names`, and its own. Raises KeyError for a name that is not here."""
        return Registry([*(self._tools[name] for name in names), *own])

    async def run(self, name: str, arguments: Any, context: ToolContext) -> Outcome:
        """Run a tool. Never raises, but for being cancelled.

        Args:
            name: of the tool.
            arguments: JSON text as a model wrote it, or an object.
            context: on whose behalf.
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
                return await tool.run(read, context)
        except TimeoutError:
            _log.warning("tool took too long", tool=name, timeout_s=definition.timeout_s)
            return failure(_unless_changed(definition, TOOL_TIMEOUT))
        except AgentVoiceBoxError as error:
            _log.warning("tool failed", tool=name, code=error.code)
            return failure(_unless_changed(definition, TOOL_UNAVAILABLE if error.retryable else TOOL_FAILED))
        except Exception as error:  # its message may hold people's words
            _log.error("tool broke", tool=name, error=type(error).__name__)
            return failure(_unless_changed(definition, TOOL_FAILED))


def _unless_changed(definition: Definition, code: str) -> str:
    """After a side effect was interrupted, it is unknown whether it happened."""
    return code if definition.is_read_only else OUTCOME_UNKNOWN
