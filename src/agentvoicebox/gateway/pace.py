"""How fast clients are read and served."""

import msgspec

from agentvoicebox.http_server.turn_queue import TURNS_PER_S
from agentvoicebox.http_server.websocket_connection import FRAMES_PER_S

SPEECH_PER_S = 1.5  # a caller hears one second in a second
EVENTS_PER_S = 100.0  # appends not counted; a conversation has one or two


class ServingPace(msgspec.Struct, frozen=True):
    """How fast clients are read and served. What is beyond waits; nothing is lost.

    Attributes:
        requests_per_s: requests of all clients that have shown no good key on their connection; 0: no limit.
        frames_per_s: WebSocket frames of every kind; 0: no limit.
        events_per_s: client events that are not appends; 0: no limit.
        speech_per_s: seconds of speech that are synthesised for one call; 0: no limit.
    """

    requests_per_s: float = TURNS_PER_S
    frames_per_s: float = FRAMES_PER_S
    events_per_s: float = EVENTS_PER_S
    speech_per_s: float = SPEECH_PER_S
