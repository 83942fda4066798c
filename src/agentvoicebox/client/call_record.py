"""What is known of a call once it is over: its turns, every event, both sides' audio, and the server's own account.

Facts only; `caller` gathers them, `call_report` and `timeline` tell them. Times are seconds on the line's clock, which
starts with the first frame of caller audio; sample k of the caller's side is spoken at k / rate_hz on it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agentvoicebox.audio.pcm import Int16Array

PARTS = ("endpointing", "queue", "stt", "dialogue", "tool", "tts", "gateway")
LINE = "line"  # what the caller measures and the server can't see: the way back, and what is left unexplained
ONE_CLOCK_S = 1.0  # a server whose clock seems further off than this is on another machine


@dataclass(frozen=True)
class Work:
    """Work of the server that ended before the turn was known to be over, so it cost the caller nothing.

    Attributes:
        start_ms, end_ms: since the end of the caller's speech as the server heard it.
    """

    name: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class ServerAccount:
    """The server's own account of a turn (its opt-in trace): where the time to the first output went.

    Attributes:
        began_wall_s: when the last voiced sample, as its detector places it, reached the server.
        total_ms: from there to the first output on the socket.
        parts: ms by name of PARTS; one after another, so they sum to `total_ms`.
        decided_ms: when the turn was decided to be over, since `began_wall_s`.
    """

    response_id: str
    began_wall_s: float
    total_ms: float
    parts: dict[str, float]
    decided_ms: float = 0.0
    hidden: tuple[Work, ...] = ()

    @property
    def gap_ms(self) -> float:
        """How far the parts are from the whole."""
        return self.total_ms - sum(self.parts.values())

    @property
    def after_decision_ms(self) -> float:
        """From the decision that the turn is over to the first output."""
        return self.total_ms - self.decided_ms


def account_from_trace(trace: dict[str, Any]) -> ServerAccount | None:
    """Read the `turn` of an `agentvoicebox.turn` event; None when it has no parts, or repeats them at the end."""
    parts = trace.get("parts_ms")
    if trace.get("phase") == "done" or not isinstance(parts, dict):
        return None
    named = {name: float(parts.get(name, 0.0)) for name in PARTS}
    return ServerAccount(
        response_id=str(trace["response_id"]),
        began_wall_s=float(trace["t0_s"]),
        total_ms=float(trace["total_ms"]),
        parts=named,
        decided_ms=float(trace.get("marks_ms", {}).get("endpoint_decided") or 0.0),
        hidden=tuple(
            Work(str(bar["part"]), float(bar["start_ms"]), float(bar["end_ms"]))
            for bar in trace.get("bars", ())
            if bar["is_hidden"]
        ),
    )


@dataclass
class Turn:
    """One line of the caller and what came of it.

    Attributes:
        said: the caller's words as scripted.
        heard: as the server understood them.
        start_s, end_s: first and after last voiced sample; for a typed line both are when it was sent.
        end_wall_s: `end_s` in wall time.
        first_audio_s: when the first audio delta of the reply was read.
        first_text_s: when the first word of the reply was read, in text or transcript.
        audible_s: when the first sample of the reply above silence was heard.
        reply_end_s: when the last sample was heard, or the response ended without audio.
        is_cut: the caller broke into the reply.
        early_answers: replies that began while the caller was still speaking this line.
        problem: why there is no whole reply, or "".
    """

    index: int
    said: str
    is_typed: bool = False
    heard: str = ""
    replied: str = ""
    start_s: float = 0.0
    end_s: float = 0.0
    end_wall_s: float = 0.0
    first_audio_s: float | None = None
    first_text_s: float | None = None
    audible_s: float | None = None
    reply_end_s: float | None = None
    is_cut: bool = False
    early_answers: int = 0
    problem: str = ""
    tool_calls: list[str] = field(default_factory=list)
    account: ServerAccount | None = None

    @property
    def voice_to_voice_ms(self) -> float | None:
        """From the caller's last voiced sample to the first audio received."""
        return None if self.first_audio_s is None else (self.first_audio_s - self.end_s) * 1000

    @property
    def endpointing_shift_ms(self) -> float:
        """How much later the server places the end of speech than the recording does; 0 without a common clock.

        Framing and the way there make it longer; a detector that overhears the last consonant makes it shorter.
        """
        shift_s = self.account.began_wall_s - self.end_wall_s if self.account else 0.0
        return shift_s * 1000 if abs(shift_s) < ONE_CLOCK_S else 0.0

    def parts_ms(self) -> dict[str, float]:
        """Where `voice_to_voice_ms` went, in order, `line` last; sums to it exactly. {} without a server's account.

        Endpointing counts from the caller's true last voiced sample. `line` is what nobody accounts for.
        """
        whole = self.voice_to_voice_ms
        if whole is None or self.account is None:
            return {}
        parts = dict(self.account.parts)
        parts["endpointing"] += self.endpointing_shift_ms
        return {**parts, LINE: whole - sum(parts.values())}


@dataclass(frozen=True)
class LoggedEvent:
    """One event on the wire. Audio is replaced by its length; the caller's audio frames are not logged.

    Attributes:
        at_s: on the line's clock.
        wall_s: Unix time.
        sender: `caller` or `server`.
        caller_ms: audio sent so far.
        agent_ms: audio received so far.
    """

    at_s: float
    wall_s: float
    sender: str
    type: str
    body: dict[str, Any]
    caller_ms: int
    agent_ms: int


@dataclass
class CallRecord:
    """A whole call.

    Attributes:
        url: as it was called.
        caller_pcm, agent_pcm: shape (n,) each, equal lengths, int16 at `rate_hz`; the agent's as it was heard.
        gap_ms: silence inside the agent's speech because audio came too late.
        problems: errors the server reported, in order.
    """

    url: str
    model: str
    rate_hz: int
    session_id: str = ""
    started_wall_s: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)
    caller_pcm: Int16Array = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    agent_pcm: Int16Array = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    gap_ms: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.caller_pcm) / self.rate_hz
