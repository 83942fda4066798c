"""What a telephone line says, and the port of line protocols.

A line is one WebSocket on which a provider sends a call's audio and takes the agent's. A line protocol reads its messages as line
events and writes what the line shall do; it does no I/O and knows no session.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Message = str | bytes
"""A WebSocket message: text, or binary."""

MAX_ID_CHARS = 200  # of ids and parameters that come from the line; the longest known has 66
MAX_PARAMETERS = 20
KEYS = frozenset("0123456789*#ABCD")


class LineStarted(msgspec.Struct, frozen=True):
    """The call is connected; once, before anything else.

    Attributes:
        call_id: the carrier's.
        format: of the audio, both ways.
        parameters: what the carrier passes on, such as the agent to call.
        asks_afterwards: once the line has ended, the carrier asks what to do with the caller, so a transfer can be made.
    """

    call_id: str
    format: str
    parameters: Mapping[str, str] = {}
    asks_afterwards: bool = False


class CallerAudio(msgspec.Struct, frozen=True):
    """The caller's audio: G.711 at 8 kHz, of any length."""

    data: bytes


class KeyPressed(msgspec.Struct, frozen=True):
    """The caller pressed a key: one of 0 to 9, *, #, A to D."""

    key: str


class MarkPlayed(msgspec.Struct, frozen=True):
    """All audio before this mark was played, or thrown away by a clear."""

    name: str


class FlowChanged(msgspec.Struct, frozen=True):
    """Whether the line takes more audio now."""

    is_open: bool


class LineEnded(msgspec.Struct, frozen=True):
    """The caller or the carrier hung up."""


LineEvent = LineStarted | CallerAudio | KeyPressed | MarkPlayed | FlowChanged | LineEnded


class UnreadableMessage(ValueError):
    """The line sent what its protocol does not know. The message says what, without its content."""


class LineProtocol(Protocol):
    """One call's messages.

    Attributes:
        name: of the provider: `twilio`, `telnyx` or `asterisk`.
        answers_cleared_marks: whether marks that a clear threw away are reported as played.
        most_unplayed_bytes: of audio, that the line can keep until it is played; None: any.
    """

    name: str
    answers_cleared_marks: bool
    most_unplayed_bytes: int | None

    def read(self, message: Message) -> Sequence[LineEvent]:
        """The events of a message. Unknown kinds of messages are ignored.

        Raises:
            UnreadableMessage: it is no message of this protocol.
        """

    def audio(self, data: bytes) -> Sequence[Message]:
        """Play G.711 audio after everything that was sent before."""

    def finish(self) -> Sequence[Message]:
        """No more audio comes for now: play what was held back of it, if anything."""

    def mark(self, name: str) -> Sequence[Message]:
        """Report when everything before was played."""

    def clear(self) -> Sequence[Message]:
        """Throw away what was not played."""

    def hang_up(self) -> Sequence[Message]:
        """End the call; empty where the end of the connection does it."""


def text_of(value: object) -> str:
    """An id or parameter of a line as text, cut to a fair length; "" when it is no text."""
    return value[:MAX_ID_CHARS] if isinstance(value, str) else ""


def parameters_of(value: object) -> dict[str, str]:
    """Parameters of a line; what is no text, or too much, is left out."""
    if not isinstance(value, dict):
        return {}
    pairs = [(key, text) for key, text in value.items() if isinstance(key, str) and isinstance(text, str)]
    return {text_of(key): text_of(text) for key, text in pairs[:MAX_PARAMETERS]}
