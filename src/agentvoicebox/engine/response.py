"""A response that has not ended: its output so far, its jobs, and its phase.

Knows phases and ids; `answering` applies the events and sends what follows. All phases change by RESPONSE below.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from agentvoicebox.engine.conversation import Conversation, Entry
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox.engine.machine import Machine
from agentvoicebox.engine.playout import samples_ms
from agentvoicebox.engine.segment_queue import SegmentPhase, SegmentQueue
from agentvoicebox.engine.segmenter import Segmenter
from agentvoicebox.engine.tool_call import LiveToolCall
from agentvoicebox.wire.items import Item
from agentvoicebox.wire.response import (
    Response,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseError,
    ResponseStatus,
    StatusDetails,
    StatusReason,
    Usage,
)
from agentvoicebox.wire.session_config import SessionConfig

AUDIO_TOKEN_MS = 50  # OpenAI counts one token for 50 ms of assistant audio


def estimated_tokens(text: str) -> int:
    """Tokens of a text where the provider did not count: four bytes each, which is about right for English."""
    return (len(text.encode(errors="replace")) + 3) // 4


class ResponsePhase(StrEnum):
    """Where a response is in its life."""

    WAITING = "waiting"  # for the transcript of the turn it answers
    GENERATING = "generating"  # a language model writes
    CALLING = "calling"  # server tools run; the model goes on with their results
    SPEAKING = "speaking"  # all text is written; audio is still to be sent
    DONE = "done"


class ResponseEvent(StrEnum):
    """What moves a response to its next phase."""

    TRANSCRIPT_KNOWN = "transcript_known"
    TOOLS_CALLED = "tools_called"
    TOOLS_RETURNED = "tools_returned"
    TEXT_WRITTEN = "text_written"
    ENDED = "ended"


RESPONSE: Machine[ResponsePhase, ResponseEvent] = Machine(
    "response",
    initial=(ResponsePhase.WAITING,),
    transitions={
        (ResponsePhase.WAITING, ResponseEvent.TRANSCRIPT_KNOWN): ResponsePhase.GENERATING,
        (ResponsePhase.WAITING, ResponseEvent.ENDED): ResponsePhase.DONE,
        (ResponsePhase.GENERATING, ResponseEvent.TOOLS_CALLED): ResponsePhase.CALLING,
        (ResponsePhase.GENERATING, ResponseEvent.TEXT_WRITTEN): ResponsePhase.SPEAKING,
        (ResponsePhase.GENERATING, ResponseEvent.ENDED): ResponsePhase.DONE,
        (ResponsePhase.CALLING, ResponseEvent.TOOLS_RETURNED): ResponsePhase.GENERATING,
        (ResponsePhase.CALLING, ResponseEvent.TEXT_WRITTEN): ResponsePhase.SPEAKING,
        (ResponsePhase.CALLING, ResponseEvent.ENDED): ResponsePhase.DONE,
        (ResponsePhase.SPEAKING, ResponseEvent.ENDED): ResponsePhase.DONE,
    },
)


class Message(msgspec.Struct):
    """The one message of a response.

    Attributes:
        text: what was sent of it (written text, or the text of the segments sent).
        sent_samples: 24 kHz samples sent.
    """

    item_id: str
    output_index: int
    text: str = ""
    sent_samples: int = 0
    is_open: bool = True

    @property
    def sent_ms(self) -> float:
        """Milliseconds of audio sent."""
        return samples_ms(self.sent_samples)


class Interruption(msgspec.Struct, frozen=True):
    """An answer that the caller's voice cut, until it is known whether he said anything.

    Attributes:
        item_ids: assistant items that were cut, in order; what was played of them is in the conversation.
        unsent: text after the last of them that was written and not yet sent.
        is_unwritten: the language model had not finished: it must be asked again.
    """

    item_ids: tuple[str, ...] = ()
    unsent: str = ""
    is_unwritten: bool = False


class LiveResponse(msgspec.Struct):
    """One response.

    Attributes:
        config: the session as it was when the response began, with the response's own options.
        side: the conversation of an out-of-band response; None for one in the session's conversation.
        context: the conversation as the first generation read it; None before.
        tool_messages: calls of its earlier generations and their results, for the next generation.
        draft: what the current generation wrote so far.
        outputs: items by output index, as last sent.
        held: effects of a provisional response, withheld until the turn is certain; None once it is.
        question_item_id: the provisional item that it answers; None once the turn is certain.
        turn_item_id: the user turn whose end began it; None: the client asked for it, or it was begun by the idle timeout.
        interruption: the answer that this turn cut.
        given_up: turns that it does not answer, because the text of the last one is missing.
        input: what the client wants read in place of the conversation: ids of its items, and items of its own.
        generations: language model jobs so far.
        failure: why it will end as failed, once its apology is sent.
        incomplete: why it will end as incomplete.
    """

    id: str
    config: SessionConfig
    metadata: dict[str, str] | None = None
    phase: ResponsePhase = ResponsePhase.WAITING
    side: Conversation | None = None
    context: tuple[ChatMessage, ...] | None = None
    tool_messages: list[ChatMessage] = []
    draft: str = ""
    outputs: list[Item] = []
    message: Message | None = None
    segmenter: Segmenter = msgspec.field(default_factory=Segmenter)
    segment_queue: SegmentQueue = msgspec.field(default_factory=SegmentQueue)
    calls: list[LiveToolCall] = []
    llm_job: str | None = None
    generations: int = 0
    held: list[Effect] | None = None
    question_item_id: str | None = None
    turn_item_id: str | None = None
    interruption: Interruption | None = None
    given_up: tuple[str, ...] = ()
    input: list[str | Entry] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    failure: ResponseError | None = None
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None

    @property
    def is_default(self) -> bool:
        """Whether it belongs to the session's conversation."""
        return self.side is None

    @property
    def is_provisional(self) -> bool:
        """Whether the turn it answers may still go on."""
        return self.held is not None

    @property
    def has_audio(self) -> bool:
        """Whether its output is audio."""
        return "audio" in self.config.output_modalities

    @property
    def has_words(self) -> bool:
        """Whether it says, or will say, anything: written text, or a segment that a voice can read."""
        if not self.has_audio:
            return self.message is not None
        return any(character.isalnum() for segment in self.segment_queue.segments for character in segment.text)

    def apply(self, event: ResponseEvent) -> None:
        """Go to the next phase. Raises IllegalTransition."""
        self.phase = RESPONSE.next(self.phase, event)

    def jobs(self) -> list[str]:
        """Ids of all jobs that stop with it. Running side effects do not."""
        jobs = [self.llm_job] if self.llm_job else []
        jobs += self.segment_queue.open_jobs()
        jobs += [c.job_id for c in self.calls if c.job_id and c.is_running and not c.has_effects]
        return jobs

    def unsent_text(self) -> str:
        """Text that was written for the voice and of which nothing was sent."""
        unsent = (
            s.text for s in self.segment_queue.segments if s.phase not in (SegmentPhase.SENDING, SegmentPhase.SENT)
        )
        return " ".join(text for text in (*unsent, self.segmenter.pending.strip()) if text)

    def estimate_usage(self) -> None:
        """The language model is stopped before it could count: what it read and wrote so far, estimated."""
        read = [self.config.instructions, *(each.text for each in (*(self.context or ()), *self.tool_messages))]
        read += [call.arguments for each in self.context or () for call in each.tool_calls]
        self.input_tokens += sum(map(estimated_tokens, read))
        self.output_tokens += estimated_tokens(self.draft) + sum(estimated_tokens(c.arguments) for c in self.calls)

    def usage(self) -> Usage:
        """Tokens used so far."""
        audio = round(self.message.sent_ms / AUDIO_TOKEN_MS) if self.message else 0
        return Usage.of(input_text=self.input_tokens, output_text=self.output_tokens, output_audio=audio)

    def to_wire(
        self,
        conversation_id: str,
        status: ResponseStatus = "in_progress",
        reason: StatusReason | None = None,
    ) -> Response:
        """As `response.created` (in progress) or `response.done` shows it."""
        details = None
        if status == "failed" and self.failure is not None:
            details = StatusDetails(type="failed", error=self.failure)
        elif status in ("cancelled", "incomplete"):
            details = StatusDetails(type=status, reason=reason if reason is not None else msgspec.UNSET)
        return Response(
            id=self.id,
            status=status,
            status_details=details,
            output=tuple(self.outputs),
            conversation_id=conversation_id if self.is_default else None,
            output_modalities=self.config.output_modalities,
            max_output_tokens=self.config.max_output_tokens,
            audio=ResponseAudio(output=ResponseAudioOutput(format=self.config.output_format, voice=self.config.voice)),
            usage=None if status == "in_progress" else self.usage(),
            metadata=self.metadata,
        )
