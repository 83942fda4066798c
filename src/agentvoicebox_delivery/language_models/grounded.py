"""A wrapper of a language model that checks every clause against the tool results of the call before it is spoken.

`grounding.grounder` decides what may be said; this file applies it to the stream. Tool calls and the end of an answer pass
unchanged, and so do answers of agents without the look-up tool.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime

import structlog

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.providers.closable import as_closable
from agentvoicebox_delivery.grounding.facts import gather
from agentvoicebox_delivery.grounding.grounder import Grounder
from agentvoicebox_delivery.grounding.judgement import ClauseVerdict
from agentvoicebox_delivery.parcels import tool_schema

Delta = TextDelta | ToolCallDelta | Generated

_log = structlog.get_logger(__name__)


class GroundedLlm:
    """Implements ports.providers.Llm with another one. Has no state between requests.

    Args:
        llm: generates the text. The same stream from it always gives the same filtered stream.
        wall_s: seconds since 1970 (`Clock.wall_s`), read once a request for the UTC day ("tomorrow").
        on_verdict: called for each clause, for metrics; must not raise.
    """

    def __init__(
        self, llm: Llm, wall_s: Callable[[], float], on_verdict: Callable[[ClauseVerdict], None] | None = None
    ) -> None:
        self._llm = llm
        self._wall_s = wall_s
        self._on_verdict = on_verdict

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm. Text comes clause by clause, each as soon as it is checked."""
        if not speaks_of_parcels(request):
            async with aclosing(as_closable(self._llm.generate(request, job_id))) as deltas:
                async for delta in deltas:
                    yield delta
            return
        lines, spoken = _parted(request.messages)
        grounder = Grounder(gather(lines, self._today()), spoken)
        reported = 0
        async with aclosing(as_closable(self._llm.generate(request, job_id))) as deltas:
            async for delta in deltas:
                match delta:
                    case TextDelta(_, text):
                        clauses = grounder.feed(text)
                    case ToolCallDelta():
                        clauses = grounder.flush(is_replacing=False)
                    case _:
                        clauses = grounder.flush()
                for verdict in grounder.verdicts[reported:]:
                    self._report(verdict, job_id)
                reported = len(grounder.verdicts)
                for clause in clauses:
                    yield TextDelta(job_id, clause)
                if not isinstance(delta, TextDelta):
                    yield delta

    async def check(self) -> None:
        """See ports.providers.Llm."""
        await self._llm.check()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._wall_s(), UTC).date()

    def _report(self, verdict: ClauseVerdict, job_id: str) -> None:
        if not verdict.allowed:
            _log.warning("a clause was refused", job_id=job_id, reason=verdict.reason)
        if self._on_verdict is not None:
            self._on_verdict(verdict)


def speaks_of_parcels(request: Generate) -> bool:
    """Whether the agent of this conversation has or used the look-up tool."""
    is_offered = any(tool.name == tool_schema.NAME for tool in request.tools)
    return is_offered or any(call.name == tool_schema.NAME for line in request.messages for call in line.tool_calls)


def _parted(messages: Sequence[ChatMessage]) -> tuple[Sequence[ChatMessage], str]:
    """The conversation, and the part of the reply that was already spoken: the last message, if it is the assistant's."""
    if messages and messages[-1].role == "assistant" and not messages[-1].tool_calls:
        return messages[:-1], messages[-1].text
    return messages, ""
