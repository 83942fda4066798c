"""The clinic's deterministic dialogue as a language model: needs no model server, no key and no network."""

import itertools
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
KEPT = "All right, I haven't changed anything. Is there anything else?"
GOODBYE = "Thank you for calling. Goodbye."
_YES = re.compile(r"\b(yes|yeah|yep|sure|correct|please do)\b", re.IGNORECASE)
_NO = re.compile(r"\b(no|not|don't)\b", re.IGNORECASE)
_CANCEL = re.compile(r"\bcancel", re.IGNORECASE)
_END = re.compile(r"\b(bye|goodbye|thanks|thank you|that's all|nothing)\b", re.IGNORECASE)

Call = tuple[str, str]  # a tool's name, and the reference number


def next_move(messages: Sequence[ChatMessage]) -> str | Call:
    """What to say or which tool to call, from the conversation alone."""
    # A line of the assistant's without words was interrupted before anything of it was heard.
    lines = [line for line in messages if line.text.strip() and line.role != "system"]
    if not lines or lines[-1].role == "assistant":
        return HELLO
    if lines[-1].role == "tool":
        answer = read(lines[-1].text)
        speech = str(answer.get("speech") or failed(str(answer.get("error"))).speech)
        is_to_cancel = answer.get("code") == "FOUND" and _CANCEL.search(_said(lines[:-1]))
        return f"{speech} {CONFIRM}" if is_to_cancel else speech
    said = _said(lines)
    found = next((read(line.text) for line in reversed(lines) if line.role == "tool"), {})
    if found.get("code") == "FOUND" and _was_asked(lines):
        is_yes = _YES.search(said) and not _NO.search(said)
        return (CANCEL.name, found["data"]["reference"]) if is_yes else KEPT
    if reference := reference_in(said):
        return FIND.name, reference
    if found.get("code") == "FOUND" and _CANCEL.search(said):
        return f"{found['speech']} {CONFIRM}"
    return GOODBYE if _END.search(said) else ASK


def _said(lines: Sequence[ChatMessage]) -> str:
    """The caller's last words. A pause in a long number makes several lines of it."""
    last = list(itertools.takewhile(lambda line: line.role == "user", reversed(lines)))
    return " ".join(line.text for line in reversed(last))


def _was_asked(lines: Sequence[ChatMessage]) -> bool:
    """Whether the caller heard the whole question before these words: the text of the assistant's line is what was heard."""
    before = next((line for line in reversed(lines) if line.role != "user"), None)
    return before is not None and before.text.rstrip().endswith(CONFIRM)


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
