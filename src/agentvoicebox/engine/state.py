"""The whole state of a session, as plain data: what `session_format` encodes and decodes. The engine keeps no other state."""

from typing import Literal

import msgspec

from agentvoicebox.engine import rules
from agentvoicebox.engine.conversation import Conversation, Entry
from agentvoicebox.engine.inputs import AgentProfile, ClientEventReceived
from agentvoicebox.engine.playout import Playout
from agentvoicebox.engine.response import Interruption, LiveResponse
from agentvoicebox.engine.tool_call import DetachedCall
from agentvoicebox.engine.turn import Turn
from agentvoicebox.ids import IdSource
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.wire.session_note import SessionNote

JobKind = Literal["stt", "llm", "tts", "tool"]


class InputBuffer(msgspec.Struct):
    """The caller's uncommitted audio, by position.

    Attributes:
        start_sample: everything before it is committed, cleared or dropped.
        turn: the open turn.
        suspect: what will be one, if the voice over the agent's is an interruption; meanwhile the answer's audio waits.
        owed: committed turns whose transcript the recogniser owes, by job id.
    """

    start_sample: int = 0
    turn: Turn | None = None
    suspect: Turn | None = None
    owed: dict[str, Turn] = {}


class Announcement(msgspec.Struct):
    """The notice that the call is recorded.

    Attributes:
        text: the sentence; None: it is not known yet whether the call is recorded.
        response_id: the response that says it; empty before.
    """

    text: str | None = None
    response_id: str = ""


class State(msgspec.Struct):
    """The root.

    Attributes:
        responses: live ones by id; at most one of them is in the session's conversation.
        detached: side effects under way whose response has ended, by job id.
        expires_at_s: session time at which it ends by itself.
        idle_at_s: session time at which the idle timeout is due, or None.
        last_sample: the latest input position that an input named.
        has_sent_audio: assistant audio was sent (the voice is fixed from then on).
        degraded: which services are down, by the names that the client was sent.
        rules: under which it began; see `engine.rules`.
        interruption: the answer that the open turn cut, if any.
        unanswered: turns to which an answer is due, and which no response has read yet, by item id.
        notes: what of `config`, or of what the client sent, is not in force.
        announcement: the notice that the call is recorded; None: there is none.
        has_client_spoken: the client has sent an event, or its caller has spoken.
        waiting_request: what the client asked for while the notice was due, to be handled after it.
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
    has_sent_audio: bool = False
    degraded: tuple[str, ...] = ()
    rules: int = rules.FIRST
    interruption: Interruption | None = None
    unanswered: list[str] = []
    is_closed: bool = False
    notes: tuple[SessionNote, ...] = ()
    announcement: Announcement | None = None
    has_client_spoken: bool = False
    waiting_request: ClientEventReceived | None = None

    def jobs_out(self) -> dict[str, JobKind]:
        """All jobs whose results are still needed, with the kind of worker of each."""
        jobs: dict[str, JobKind] = {}
        for turn in (self.buffer.turn, self.buffer.suspect):
            if turn is not None and turn.failure is None:
                jobs[turn.job_id] = "stt"
        jobs |= dict.fromkeys(self.buffer.owed, "stt")
        for response in self.responses.values():
            if response.llm_job is not None:
                jobs[response.llm_job] = "llm"
            jobs |= dict.fromkeys(response.segment_queue.open_jobs(), "tts")
            jobs |= {c.job_id: "tool" for c in response.calls if c.job_id is not None and c.is_running}
        return jobs | dict.fromkeys(self.detached, "tool")

    @property
    def is_idle(self) -> bool:
        """Whether no turn is open, no response lives or waits, and no job is out."""
        is_quiet = self.buffer.turn is None and self.buffer.suspect is None and self.waiting_request is None
        return is_quiet and not self.responses and not self.jobs_out()

    def find_entry(self, item_id: str) -> Entry | None:
        """The entry of a visible item: of the conversation, or of a response's own input."""
        found = self.conversation.find(item_id)
        if found is None:
            own = (e for r in self.responses.values() for e in r.input or () if isinstance(e, Entry))
            found = next((e for e in own if e.item.id == item_id), None)
        return found

    @property
    def is_notice_due(self) -> bool:
        """Whether the notice that the call is recorded comes, or may come, before any other response of the conversation."""
        return self.announcement is not None and not self.announcement.response_id

    def says_notice(self, response: LiveResponse) -> bool:
        """Whether a response is the notice that the call is recorded."""
        return self.announcement is not None and self.announcement.response_id == response.id

    @property
    def active(self) -> LiveResponse | None:
        """The response in the session's conversation, if one lives."""
        return next((r for r in self.responses.values() if r.is_default), None)
