"""A language model with scripted answers, for tests: one line of the script per request."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import ProviderError

Delta = TextDelta | ToolCallDelta | Generated


class Pause:
    """A point in a line where the model waits until the test calls `go.set()`; `reached` is set while it waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


class ScriptedCall:
    """A tool call, with its arguments in pieces."""

    def __init__(self, name: str, *arguments: str, index: int = 0) -> None:
        self.name = name
        self.arguments = arguments
        self.index = index


Part = str | ScriptedCall | Pause | ProviderError
Line = Sequence[Part]


class ScriptedLlm:
    """Implements ports.providers.Llm.

    Args:
        lines: each request takes the next one; the last one is repeated for ever.

    Attributes:
        requests: all requests so far.
        closed: how many streams were closed before their end.
    """

    def __init__(self, *lines: Line) -> None:
        self._lines = lines or ((),)
        self.requests: list[Generate] = []
        self.closed = 0

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm. Text pieces are sent as they are in the line; an error in it is raised."""
        line = self._lines[min(len(self.requests), len(self._lines) - 1)]
        self.requests.append(request)
        is_whole = False
        reason = "stop"
        try:
            for part in line:
                match part:
                    case str():
                        yield TextDelta(job_id, part)
                    case ScriptedCall():
                        reason = "tool_calls"
                        yield ToolCallDelta(job_id, part.index, part.name, "")
                        for piece in part.arguments:
                            yield ToolCallDelta(job_id, part.index, None, piece)
                    case Pause():
                        part.reached.set()
                        await part.go.wait()
                    case ProviderError():
                        raise part
            yield Generated(job_id, reason, len(request.messages), len(line))
            is_whole = True
        finally:
            self.closed += not is_whole

    async def check(self) -> None:
        """Always able to answer."""
