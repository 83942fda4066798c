"""The clinic's deterministic dialogue as a language model: needs no model server, no key and no network."""

import re
from collections.abc import AsyncIterator, Sequence

import msgspec

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox_clinic.appointments import reference_in
from agentvoicebox_clinic.facts import read
from agentvoicebox_clinic.tools import ASK, CANCEL, FIND, failed

HELLO = "Hello, how can I help you with your appointment?"
CONFIRM = "Shall I cancel it?"
KEPT = "All right, I have changed nothing. Is there anything else?"
GOODBYE = "Thank you for calling. Goodbye."
_YES = re.compile(r"\b(yes|yeah|yep|sure|correct|please do)\b", re.IGNORECASE)
_NO = re.compile(r"\b(no|not|don't)\b", re.IGNORECASE)
_CANCEL = re.compile(r"\bcancel", re.IGNORECASE)
_END = re.compile(r"\b(bye|goodbye|thanks|thank you|that's all|nothing)\b", re.IGNORECASE)

Call = tuple[str, str]  # a tool's name, and the reference number


def next_move(messages: Sequence[ChatMessage]) -> str | Call:
    """What to say or which tool to call, from the conversation alone."""
    lines = [line for line in messages if line.role != "system"]
    if not lines or lines[-1].role == "assistant":
        return HELLO
    last = lines[-1]
    if last.role == "tool":
        answer = read(last.text)
        speech = str(answer.get("speech") or failed(str(answer.get("error"))).speech)
        asked = next((line.text for line in reversed(lines) if line.role == "user"), "")
        return f"{speech} {CONFIRM}" if answer.get("code") == "FOUND" and _CANCEL.search(asked) else speech
    found = next((read(line.text) for line in reversed(lines) if line.role == "tool"), {})
    # Of the assistant's line the text is what was heard: a yes before the question was heard answers nothing.
    if found.get("code") == "FOUND" and len(lines) > 1 and lines[-2].text.rstrip().endswith(CONFIRM):
        if _YES.search(last.text) and not _NO.search(last.text):
            return CANCEL.name, found["data"]["reference"]
        return KEPT
    if reference := reference_in(last.text):
        return FIND.name, reference
    if found.get("code") == "FOUND" and _CANCEL.search(last.text):
        return f"{found['speech']} {CONFIRM}"
    return GOODBYE if _END.search(last.text) else ASK


class ClinicDialogue:
    """Implements ports.providers.Llm. The same request always gives the same stream."""

    async def generate(self, request: Generate, job_id: str) -> AsyncIterator[TextDelta | ToolCallDelta | Generated]:
        """See Llm. A sentence comes word by word, so that speech begins early. Raises nothing."""
        move = next_move(request.messages)
        if isinstance(move, tuple):
            name, reference = move
            yield ToolCallDelta(job_id, 0, name, msgspec.json.encode({"reference": reference}).decode())
            yield Generated(job_id, "tool_calls")
            return
        for word in re.findall(r"\s*\S+", move):
            yield TextDelta(job_id, word)
        yield Generated(job_id, "stop")

    async def check(self) -> None:
        """Always able to answer."""
