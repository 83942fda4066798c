"""A wrapper of a language model that checks every sentence against the tool results of the call before it is spoken.

`grounding.grounder` decides what may be said; this file applies it to the stream. A model that may call functions is offered
`say`, whose calls become text here; the same check is the second lock on it. Other tool calls and the end of an answer pass, and
so do answers of agents without the look-up tool.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime

import msgspec
import structlog

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.providers.closable import as_closable
from agentvoicebox_delivery.grounding.facts import gather
from agentvoicebox_delivery.grounding.grounder import Grounder
from agentvoicebox_delivery.grounding.judgement import ClauseVerdict
from agentvoicebox_delivery.language_models.say import NAME, SAY, spoken
from agentvoicebox_delivery.parcels import tool_schema

Delta = TextDelta | ToolCallDelta | Generated

MOST_ARGUMENTS = 8_000  # characters of one call of `say`; more is cut off, and then is no JSON

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
        """See ports.providers.Llm. Text comes sentence by sentence, each as soon as it is checked."""
        if not speaks_of_parcels(request):
            async with aclosing(as_closable(self._llm.generate(request, job_id))) as deltas:
                async for delta in deltas:
                    yield delta
            return
        lines, said = _parted(request.messages)
        answer = _Answer(Grounder(gather(lines, self._today()), said), job_id)
        asked = msgspec.structs.replace(request, tools=(*request.tools, SAY)) if may_say(request) else request
        reported = 0
        async with aclosing(as_closable(self._llm.generate(asked, job_id))) as deltas:
            async for delta in deltas:
                passed = answer.read(delta)
                for verdict in answer.grounder.verdicts[reported:]:
                    self._report(verdict, job_id)
                reported = len(answer.grounder.verdicts)
                for each in passed:
                    yield each

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


class _Answer:
    """One answer of a model on its way to the caller: its text is checked, its calls of `say` become text, other calls pass."""

    def __init__(self, grounder: Grounder, job_id: str) -> None:
        self.grounder = grounder
        self._job_id = job_id
        self._say: dict[int, str] = {}  # the arguments so far, by the index of the call
        self._done: set[int] = set()
        self._places: dict[int, int] = {}  # index of a passed call at the model → at the client
        self._has_said = False

    def read(self, delta: Delta) -> list[Delta]:
        """What may be passed on now."""
        match delta:
            case TextDelta(_, text):
                return self._texts(self.grounder.feed(text))
            case ToolCallDelta(_, index, name, arguments) if name == NAME or index in self._say:
                return self._read_say(index, arguments)
            case ToolCallDelta(_, index, _, _):
                before = self._finish_say(is_last=False)
                self._places.setdefault(index, len(self._places))
                passed = msgspec.structs.replace(delta, index=self._places[index])
                return [*before, *self._texts(self.grounder.flush(is_replacing=False)), passed]
            case Generated(_, reason):
                is_last = not self._places
                texts = [*self._finish_say(is_last=is_last), *self._texts(self.grounder.flush(is_replacing=is_last))]
                if self._say and is_last and not self._has_said:
                    texts += self._texts(self.grounder.replacement())
                is_only_said = bool(self._say) and is_last and reason == "tool_calls"
                return [*texts, msgspec.structs.replace(delta, finish_reason="stop") if is_only_said else delta]
        return [delta]

    def _read_say(self, index: int, arguments: str) -> list[Delta]:
        others = [each for each in self._say if each != index]
        texts = self._finish_say(is_last=False) if others else []
        self._say[index] = (
            self._say.get(index, "") + arguments[: max(0, MOST_ARGUMENTS - len(self._say.get(index, "")))]
        )
        return texts

    def _finish_say(self, *, is_last: bool) -> list[Delta]:
        """The words of the calls of `say` that are complete now; a refused sentence of them is left out, not replaced."""
        texts: list[Delta] = []
        for index, arguments in self._say.items():
            if index in self._done:
                continue
            self._done.add(index)
            words = spoken(arguments, self.grounder.facts)
            if words:
                texts += self._texts(self.grounder.feed(f"{words} ", is_replacing=False))
        return texts

    def _texts(self, clauses: Sequence[str]) -> list[Delta]:
        self._has_said = self._has_said or any(clause.strip() for clause in clauses)
        return [TextDelta(self._job_id, clause) for clause in clauses]


def may_say(request: Generate) -> bool:
    """Whether `say` is offered: to a model that may call functions, at the beginning of an answer.

    A client's own function of that name stays the client's. A forced call is not one of `say`.
    """
    names = {tool.name for tool in request.tools}
    is_free = request.tool_choice == "auto" and request.is_continuation is not True
    return is_free and tool_schema.NAME in names and NAME not in names


def speaks_of_parcels(request: Generate) -> bool:
    """Whether the agent of this conversation has or used the look-up tool."""
    is_offered = any(tool.name == tool_schema.NAME for tool in request.tools)
    return is_offered or any(call.name == tool_schema.NAME for line in request.messages for call in line.tool_calls)


def _parted(messages: Sequence[ChatMessage]) -> tuple[Sequence[ChatMessage], str]:
    """The conversation, and the part of the reply that was already spoken: the last message, if it is the assistant's."""
    if messages and messages[-1].role == "assistant" and not messages[-1].tool_calls:
        return messages[:-1], messages[-1].text
    return messages, ""
