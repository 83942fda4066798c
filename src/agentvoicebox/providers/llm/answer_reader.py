"""Reads one streamed answer: chunks in every shape that servers send → text, tool calls and the end, in ours.

A thought is a life sign and never text. A call that is written into the text is a call.
"""

from collections.abc import Collection

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.ports.language_model import LifeSign
from agentvoicebox.providers.llm.call_assembly import CallAssembly
from agentvoicebox.providers.llm.chunk import AnswerChunk, CallPiece, read_chunk
from agentvoicebox.providers.llm.surrogates import SurrogateJoiner
from agentvoicebox.providers.llm.thoughts import ThoughtFilter
from agentvoicebox.providers.llm.token_estimate import text_tokens
from agentvoicebox.providers.llm.written_calls import WrittenCallFilter

MAX_ANSWER = 4 * 1024 * 1024  # characters; the worker ends an answer far earlier, unless it is held

_REASONS = {
    "length": ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length", "token_limit"),
    "content_filter": ("content_filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content", "spii"),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
}
_REASON_OF = {theirs: ours for ours, names in _REASONS.items() for theirs in names}


class AnswerReader:
    """Reads one answer.

    Args:
        job_id: of the deltas.
        offered: names of the tools that the model may call.
        begins_inside: the model's template begins a thought itself.

    Attributes:
        separates_thoughts: the server gives thoughts in a field of their own.
        is_ended: the server gave a finish reason.
    """

    def __init__(self, job_id: str, offered: Collection[str] = (), *, begins_inside: bool = False) -> None:
        self._job_id = job_id
        self._halves = SurrogateJoiner()
        self._thoughts = ThoughtFilter(begins_inside=begins_inside)
        self._written = WrittenCallFilter(offered)
        self._calls = CallAssembly(job_id)
        self._reason = ""
        self._usage = (0, 0)
        self._tokens = 0  # estimate of what the model has written
        self._length = 0
        self._has_words = False
        self._blanks = ""  # before the first word
        self.separates_thoughts = False
        self.is_ended = False

    @property
    def closes_alone(self) -> bool:
        """A thought ended that had no beginning."""
        return self._thoughts.closes_alone

    @property
    def held_in_vain(self) -> bool:
        """Text was held as a possible thought, and was none."""
        return self._thoughts.held_in_vain

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a word nor a call."""
        return not self._has_words and not self._calls.has_calls

    def feed(self, data: object) -> list[TextDelta | ToolCallDelta | LifeSign]:
        """What a chunk adds; a life sign where it holds something, but nothing to pass on yet.

        Raises:
            BadProviderAnswer: the answer is longer than MAX_ANSWER, with what is held and dropped of it.
        """
        chunk = read_chunk(data)
        self._note(chunk)
        if self._length > MAX_ANSWER:
            raise BadProviderAnswer("the language model's answer is too long")
        found: list[TextDelta | ToolCallDelta | LifeSign] = []
        if chunk.thinks and not self.separates_thoughts:
            self.separates_thoughts = True
            found += self._text(self._written.feed(self._thoughts.release()))
        if chunk.text:
            text = self._halves.feed(chunk.text)
            found += self._text(self._written.feed(self._thoughts.feed(text)))
        found += self._calls.feed(chunk.calls)
        if not found and (chunk.text or chunk.thinks or chunk.calls):
            found.append(LifeSign())
        return found

    def finish(self) -> list[TextDelta | ToolCallDelta]:
        """What was held until the end of the stream."""
        thoughts = self._thoughts.feed(self._halves.flush()) + self._thoughts.flush()
        found: list[TextDelta | ToolCallDelta] = [*self._text(self._written.feed(thoughts) + self._written.flush())]
        is_cut = self._reason == "length"
        found += self._calls.finish(is_cut=is_cut)
        if not self._calls.has_calls:  # a server that reads them itself may leave them in the text, too
            pieces = [CallPiece(place, f"written-{place}", *call) for place, call in enumerate(self._written_calls())]
            found += [*self._calls.feed(pieces), *self._calls.finish(is_cut=is_cut)]
        return found

    def generated(self, *, input_tokens: int) -> Generated:
        """The end. `input_tokens`: an estimate, for servers that count nothing."""
        reason = self._reason
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls.has_calls and self._calls.are_whole else "stop"
        return Generated(self._job_id, reason, self._usage[0] or input_tokens, self._usage[1] or self._tokens)

    def _written_calls(self) -> list[tuple[str, str]]:
        return [(call.name, call.arguments) for call in self._written.calls]

    def _note(self, chunk: AnswerChunk) -> None:
        if chunk.finish_reason:
            self.is_ended = True
            self._reason = _REASON_OF.get(chunk.finish_reason.lower(), "stop")
        self._usage = (chunk.input_tokens or self._usage[0], chunk.output_tokens or self._usage[1])
        written = "".join(piece.name + piece.arguments for piece in chunk.calls)
        self._length += len(chunk.text) + len(written)
        self._tokens += text_tokens(chunk.text) + text_tokens(written) + chunk.thinks

    def _text(self, text: str) -> list[TextDelta]:
        if not self._has_words:
            text, self._blanks = self._blanks + text, ""
            if not text.strip():
                self._blanks = text[:1]
                return []
            self._has_words = True
        return [TextDelta(self._job_id, text)] if text else []
