"""What a caller saw of a call, for the reckoning at its end: events that came twice, answers without an end, items gone."""

from collections import Counter
from dataclasses import dataclass, field

from agentvoicebox.evals.call_record import LoggedEvent
from agentvoicebox.evals.caller import LiveCall
from tests.kit.waiting import PATIENCE_S

OWN = "agentvoicebox."
STEP_S = 0.1


@dataclass
class Witness:
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
        """Take one event of either side."""
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
        """Events that came more than once."""
        return sum(count - 1 for count in self.ids.values())

    async def ask_for_all(self, call: LiveCall) -> int:
        """Ask the server for every item it told of; how many it does not have."""
        for item in self.items:
            await call.send({"type": "conversation.item.retrieve", "item_id": item})
        waited_s = 0.0
        while len(self.kept | self.gone) < len(set(self.items)) and waited_s < PATIENCE_S:
            await call.stay(STEP_S)
            waited_s += STEP_S
        return len(set(self.items) - self.kept)
