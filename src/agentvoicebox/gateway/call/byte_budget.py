"""How many bytes of events a client may add to its session: much at once, such as a history at the start, then little a second.

What a client adds is logged and recorded, also when it is deleted again. Without this, one client could fill the store within
its limit of requests.
"""

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.errors import RateLimited
from agentvoicebox.wire import client_events as ce

BURST_BYTES = 4 * 1024 * 1024  # a whole conversation
BYTES_A_S = 64 * 1024
LARGE_EVENTS = (ce.SessionUpdate, ce.ConversationItemCreate, ce.ResponseCreate)  # all others are small

_encoder = msgspec.msgpack.Encoder()


class ByteBudget:
    """One session's. Args: clock: for the time that passes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(BURST_BYTES)
        self._since_s = clock.monotonic_s()

    def charge(self, event: ce.ClientEvent) -> RateLimited | None:
        """Charge an event, or refuse it."""
        if not isinstance(event, LARGE_EVENTS):
            return None
        now_s = self._clock.monotonic_s()
        self._left = min(BURST_BYTES, self._left + (now_s - self._since_s) * BYTES_A_S)
        self._since_s = now_s
        needed = len(_encoder.encode(event))
        if needed > self._left:
            wait_s = (needed - self._left) / BYTES_A_S
            message = f"This session has sent too many bytes of events. Please try again in {wait_s:.1f} s."
            return RateLimited(message, retry_after_s=wait_s)
        self._left -= needed
        return None
