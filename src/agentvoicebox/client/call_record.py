"""The record of a finished call: its turns, every event, both sides' audio, and the server's own account of latency.

Facts only; `caller` collects them, `call_report` and `timeline` present them. Times are seconds on the call's clock, which
starts with the first frame of caller audio; sample k of the caller's side is spoken at k / rate_hz on it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agentvoicebox.audio.pcm import Int16Array

PARTS = ("endpointing", "socket", "ingest", "queue", "stt", "dialogue", "tool", "tts", "gateway")
LINE = "line"  # what the caller measures and the server can't see: the network, and the unexplained rest
ONE_CLOCK_S = 1.0  # a server whose clock differs more than this is on another machine


@dataclass(frozen=True)
class HiddenWork:
    """Work of the server that ended before the end of the turn was decided, so it added no latency.

    Attributes:
        start_ms, end_ms: since the end of the caller's speech as the server heard it.
    """

    name: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class ServerAccount:
    """The server's own account of a turn (its opt-in trace): the parts of the time to the first output.

    Attributes:
        began_wall_s: when the last voiced sample, by the server's detector, reached the server.
        total_ms: from there to the first output on the socket.
        parts: ms by name of PARTS; consecutive, so they sum to `total_ms`.
        decided_ms: when the end of the turn was decided, since `began_wall_s`.
    """

    response_id: str
    began_wall_s: float
    total_ms: float
    parts: dict[str, float]
    decided_ms: float = 0.0
    hidden: tuple[HiddenWork, ...] = ()

    @property
    def gap_ms(self) -> float:
        """Difference between the parts and the total."""
        return self.total_ms - sum(self.parts.values())

    @property
    def after_decision_ms(self) -> float:
        """From the decision that the turn ended to the first output."""
        return self.total_ms - self.decided_ms


def account_from_trace(trace: dict[str, Any]) -> ServerAccount | None:
    """Read the `turn` of an `agentvoicebox.turn` event; None when it has no parts, or is the repetition at the end."""
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
            HiddenWork(str(bar["part"]), float(bar["start_ms"]), float(bar["end_ms"]))
            for bar in trace.get("bars", ())
            if bar["is_hidden"]
        ),
    )


@dataclass
class CallTurn:
    """One line of the caller and the reply.

    Attributes:
        said: the caller's words as scripted.
        heard: the words as the server transcribed them.
        start_s, end_s: first and one past the last voiced sample; for a typed line both are when it was sent.
        end_wall_s: `end_s` in wall time.
        first_audio_s: when the first audio delta of the reply was read.
        first_text_s: when the first word of the reply was read, in text or transcript.
        audible_s: when the first sample of the reply above silence was played.
        reply_end_s: when the last sample was played, or the response ended without audio.
        is_cut: the caller interrupted the reply.
        early_answers: replies that began while the caller was still speaking this line.
        problem: why there is no complete reply, or "".
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
        """How much later the server places the end of speech than the recording; 0 without a common clock.

        Framing and the network make it longer; a detector that misses the last consonant makes it shorter.
        """
        shift_s = self.account.began_wall_s - self.end_wall_s if self.account else 0.0
        return shift_s * 1000 if abs(shift_s) < ONE_CLOCK_S else 0.0

    def parts_ms(self) -> dict[str, float]:
        """The parts of `voice_to_voice_ms`, in order, `line` last; their sum is exact. {} without a server's account.

        Endpointing counts from the caller's true last voiced sample. `line` is the unexplained rest.
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
        at_s: on the call's clock.
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
        url: the URL that was called.
        caller_pcm, agent_pcm: shape (n,) each, equal lengths, int16 at `rate_hz`; the agent's as it was played.
        gap_ms: silence inside the agent's speech because audio arrived too late.
        problems: errors the server reported, in order.
    """

    url: str
    model: str
    rate_hz: int
    session_id: str = ""
    started_wall_s: float = 0.0
    turns: list[CallTurn] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)
    caller_pcm: Int16Array = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    agent_pcm: Int16Array = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    gap_ms: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.caller_pcm) / self.rate_hz
