"""One step of the engine: its time, and the effects it collects. Made for one `receive`, never stored."""

from agentvoicebox.engine.effects import Effect, Send
from agentvoicebox.ids import IdSource
from agentvoicebox.wire.server_events import ServerEvent


class Step:
    """Collects effects in order.

    Attributes:
        now_s: session time of this step (seconds).
        effects: those emitted so far.
    """

    __slots__ = ("effects", "ids", "now_s")

    def __init__(self, now_s: float, ids: IdSource) -> None:
        self.now_s = now_s
        self.ids = ids
        self.effects: list[Effect] = []

    def emit(self, effect: Effect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def send(self, event: ServerEvent) -> None:
        """Add an event to send."""
        self.effects.append(Send(event))

    def event_id(self) -> str:
        """A new id for a server event."""
        return self.ids.next("event")
