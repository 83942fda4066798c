"""A live session's tape: what its engine was told, and a digest of what it did. All a gateway does for recording.

A note costs a few microseconds and never fails the call; everything else is made of the tape after the call, by `recording`.
"""

from collections.abc import Sequence

from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input
from agentvoicebox.interactions.interaction import LogEntry
from agentvoicebox.interactions.rerun import digest

MOST_ENTRIES = 100_000  # some 20 hours of talk; a client that floods is cut off here, and its interaction is not whole


class Tape:
    """One session's. Notes are taken in the order of the engine's steps, `Opened` first.

    Attributes:
        correlation_id: the call's, as its log lines carry it.
        tenant_id: whose call it is.
        log: what the engine was told, and when (session time).
        digests: of the effects of each step, as they really were.
        is_whole: nothing had to be left out.
    """

    def __init__(self, correlation_id: str = "", *, tenant_id: str = "") -> None:
        self.correlation_id = correlation_id
        self.tenant_id = tenant_id
        self.log: list[LogEntry] = []
        self.digests = bytearray()
        self.is_whole = True

    def note(self, now_s: float, given: Input, effects: Sequence[Effect]) -> None:
        """One step of the engine."""
        if len(self.log) >= MOST_ENTRIES:
            self.is_whole = False
            return
        try:
            done = digest(effects)
        except Exception:  # a call must not end because something in it can't be recorded
            self.is_whole = False
            return
        self.log.append((now_s, given))
        self.digests += done
