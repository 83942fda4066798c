"""The tape of a live session: the engine's inputs and digests of its effects. A gateway records nothing else.

Recording a step costs a few microseconds and never fails the call; `recorder` does everything else after the call.
"""

from collections.abc import Sequence

import msgspec

from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import ClientEventReceived, Input
from agentvoicebox.interactions.interaction import LogEntry
from agentvoicebox.interactions.rerun import digest

MOST_BYTES = 16 * 1024 * 1024  # of what the client sent; a conversation holds 4 MiB
MOST_ENTRIES = 100_000  # about 20 hours of conversation; later entries of a client that floods are left out

_encoder = msgspec.msgpack.Encoder()


class Tape:
    """The tape of one session, in the order of the engine's steps, `Opened` first.

    Attributes:
        correlation_id: of the call's log lines.
        tenant_id: owner of the call.
        session_id: the call's session.
        log: the engine's inputs with their session time.
        digests: of the effects of each step, as they were in the live call.
        is_whole: False if an entry was left out.
    """

    def __init__(self, correlation_id: str = "", *, tenant_id: str = "", session_id: str = "") -> None:
        self.correlation_id = correlation_id
        self.tenant_id = tenant_id
        self.session_id = session_id
        self.log: list[LogEntry] = []
        self.digests = bytearray()
        self.is_whole = True
        self._bytes = 0

    def record(self, now_s: float, given: Input, effects: Sequence[Effect]) -> None:
        """Record one step of the engine."""
        if isinstance(given, ClientEventReceived):
            self._bytes += len(_encoder.encode(given))
        if len(self.log) >= MOST_ENTRIES or self._bytes > MOST_BYTES:
            self.is_whole = False
            return
        try:
            done = digest(effects)
        except Exception:  # a recording fault must not end the call
            self.is_whole = False
            return
        self.log.append((now_s, given))
        self.digests += done
