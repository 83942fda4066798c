"""What a caller received in a call, for checks at its end: duplicate events, responses without an end, missing items."""

from collections import Counter
from dataclasses import dataclass, field

from agentvoicebox.client.call_record import LoggedEvent
from agentvoicebox.client.caller import LiveCall
from tests.kit.waiting import PATIENCE_S

OWN = "agentvoicebox."
STEP_S = 0.1


@dataclass
class CallChecks:
    """A listener of one call (see `open_call`).

    Attributes:
        ids: how often each event of the server came, our own extensions not counted.
        items: conversation items in the order in which the server told of them.
        open_responses: begun and not ended.
        kept, gone: of the items, those that the server gave when asked, and those that it does not know any more.
    """

    ids: Counter[str] = field(default_factory=Counter)
    items: list[str] = field(default_factory=list)
    open_responses: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    _asked: dict[str, str] = field(default_factory=dict)

    def __call__(self, logged: LoggedEvent) -> None:
        """Record one event of either side."""
        body = logged.body
        if logged.sender != "server":
            if logged.type == "conversation.item.retrieve":
                self._asked[body["event_id"]] = body["item_id"]
            return
        if not logged.type.startswith(OWN):
            self.ids[body["event_id"]] += 1
        match logged.type:
            case "conversation.item.added":
                self.items.append(body["item"]["id"])
            case "conversation.item.retrieved":
                self.kept.add(body["item"]["id"])
            case "error" if body["error"].get("event_id") in self._asked:
                self.gone.add(self._asked[body["error"]["event_id"]])
            case "response.created":
                self.open_responses.add(body["response"]["id"])
            case "response.done":
                self.open_responses.discard(body["response"]["id"])
            case _:
                pass

    @property
    def doubled(self) -> int:
        """Number of events that were received more than once."""
        return sum(count - 1 for count in self.ids.values())

    async def ask_for_all(self, call: LiveCall) -> int:
        """Retrieve every item that the server announced; returns how many it does not have."""
        for item in self.items:
            await call.send({"type": "conversation.item.retrieve", "item_id": item})
        waited_s = 0.0
        while len(self.kept | self.gone) < len(set(self.items)) and waited_s < PATIENCE_S:
            await call.stay_connected(STEP_S)
            waited_s += STEP_S
        return len(set(self.items) - self.kept)
