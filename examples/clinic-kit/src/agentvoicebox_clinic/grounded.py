"""A language model that says about an appointment only what a tool returned. Stands in the stream of any other model."""

from collections.abc import AsyncIterator, Sequence

import structlog

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.ports.language_model import Llm
from agentvoicebox_clinic.facts import read, reason, sentences, unsupported
from agentvoicebox_clinic.tools import ASK, CANCEL, FIND

OWN = {FIND.name, CANCEL.name}
Delta = TextDelta | ToolCallDelta | Generated

_log = structlog.get_logger(__name__)


class GroundedClinic:
    """Implements ports.providers.Llm around another one. Requests of other agents pass unchanged."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm

    async def generate(self, request: Generate, job_id: str) -> AsyncIterator[Delta]:
        """See Llm. Text comes sentence by sentence, each once it is complete."""
        stream = self._llm.generate(request, job_id)
        is_ours = any(tool.name in OWN for tool in request.tools)
        try:
            async for delta in _checked(stream, request.messages) if is_ours else stream:
                yield delta
        finally:
            if close := getattr(stream, "aclose", None):
                await close()

    async def check(self) -> None:
        """See Llm."""
        await self._llm.check()


async def _checked(stream: AsyncIterator[Delta], messages: Sequence[ChatMessage]) -> AsyncIterator[Delta]:
    outputs = [line.text for line in messages if line.role == "tool"]
    # A worker died in the middle of the answer: its own last line is there already, and this goes on after it.
    said = messages[-1].text if messages and messages[-1].role == "assistant" else ""
    waiting = ""
    async for delta in stream:
        if isinstance(delta, TextDelta):
            *complete, waiting = sentences(waiting + delta.text)
        else:
            complete, waiting = [waiting], ""
        for sentence in complete:
            allowed = _allowed(sentence, outputs, said)
            if allowed:
                yield TextDelta(delta.job_id, f" {allowed}" if said else allowed)
                said += f" {allowed}"
        if not isinstance(delta, TextDelta):
            yield delta


def _allowed(sentence: str, outputs: Sequence[str], said: str) -> str:
    """The sentence, or the tool's own in its place; "" when that has been said already."""
    wrong = unsupported(sentence, outputs)
    if not wrong:
        return sentence.strip()
    _log.warning("a sentence was refused", reason=reason(wrong))
    own = next((str(speech) for each in reversed(outputs) if (speech := read(each).get("speech"))), ASK)
    return "" if own in said else own
