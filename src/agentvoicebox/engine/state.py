"""Everything a session is, as plain data: what `snapshot` writes and `restore` reads. Nothing else is remembered."""

from typing import Literal

import msgspec

from agentvoicebox.engine.conversation import Conversation
from agentvoicebox.engine.inputs import AgentProfile
from agentvoicebox.engine.playout import Playout
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.ids import IdSource
from agentvoicebox.wire.session_config import SessionConfig

JobKind = Literal["stt", "llm", "tts", "tool"]


class Turn(msgspec.Struct):
    """A stretch of caller audio that is not yet an item.

    Attributes:
        item_id: the item it will become.
        job_id: its recogniser job.
        is_manual: opened by the first audio, not by detected speech.
        text: the recogniser's latest hypothesis; None before the first.
        text_end_sample: how far that hypothesis reaches.
        pause_sample: where speech ended, while the caller pauses; None while speaking.
        failure: (code, message) when the recogniser gave up on it.
    """

    item_id: str
    job_id: str
    start_sample: int
    is_manual: bool = False
    text: str | None = None
    text_end_sample: int = -1
    pause_sample: int | None = None
    failure: tuple[str, str] | None = None


class InputBuffer(msgspec.Struct):
    """The caller's uncommitted audio, by position.

    Attributes:
        start_sample: everything before it is committed, cleared or dropped.
        turn: the open turn.
        owed: recogniser jobs of committed items → item id.
    """

    start_sample: int = 0
    turn: Turn | None = None
    owed: dict[str, str] = {}


class DetachedCall(msgspec.Struct):
    """A tool with side effects that goes on although its response has ended.

    Attributes:
        response_id: which made the call.
        output_item_id: the hidden item that will hold its result.
        is_default: the result belongs to the session's conversation; else to the records alone.
    """

    call_id: str
    response_id: str
    output_item_id: str
    is_default: bool


class State(msgspec.Struct):
    """The root.

    Attributes:
        responses: live ones by id; at most one of them is in the session's conversation.
        detached: side effects under way whose response has ended, by job id.
        expires_at_s: session time at which it ends by itself.
        idle_at_s: session time at which the assistant speaks up by itself, or None.
        last_sample: the latest input position heard of.
        has_spoken: assistant audio was sent (the voice is fixed from then on).
        degraded: what does not work around the call, as its client was told.
    """

    config: SessionConfig
    agent: AgentProfile
    ids: IdSource
    conversation_id: str
    expires_at_s: float
    conversation: Conversation = msgspec.field(default_factory=Conversation)
    buffer: InputBuffer = msgspec.field(default_factory=InputBuffer)
    playout: Playout = msgspec.field(default_factory=Playout)
    responses: dict[str, LiveResponse] = {}
    detached: dict[str, DetachedCall] = {}
    idle_at_s: float | None = None
    last_sample: int = 0
    has_spoken: bool = False
    degraded: tuple[str, ...] = ()
    is_closed: bool = False

    def jobs_out(self) -> dict[str, JobKind]:
        """Every job whose results are still wanted, and which workers it is for."""
        jobs: dict[str, JobKind] = {}
        turn = self.buffer.turn
        if turn is not None and turn.failure is None:
            jobs[turn.job_id] = "stt"
        jobs |= dict.fromkeys(self.buffer.owed, "stt")
        for response in self.responses.values():
            if response.llm_job is not None:
                jobs[response.llm_job] = "llm"
            segments = response.speech.segments
            jobs |= {s.job_id: "tts" for s in segments if s.job_id is not None and not s.is_synthesised}
            jobs |= {c.job_id: "tool" for c in response.calls if c.job_id is not None and c.output is None}
        return jobs | dict.fromkeys(self.detached, "tool")

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: nobody speaks, is being understood, or is being answered."""
        return self.buffer.turn is None and not self.responses and not self.jobs_out()

    @property
    def active(self) -> LiveResponse | None:
        """The response in the session's conversation, if one lives."""
        return next((r for r in self.responses.values() if r.is_default), None)
