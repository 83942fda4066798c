"""Calls to the delivery dialogue, over our own look-up that compares misheard numbers."""

from collections.abc import Iterable

import msgspec

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox_delivery.dialogue.moves import Say, next_move
from agentvoicebox_delivery.numbers.inquiry import Inquiry
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

TOOL = ToolSpec(tool_schema.NAME, "", tool_schema.PARAMETERS)


def shelf(*ids: str) -> dict[str, Shipment]:
    return {each: Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids}


def ask(
    parcels: dict[str, Shipment], *heard: str, ending: str = "", refused: tuple[str, ...] = (), knows_near: bool = True
) -> track.LookupOutcome:
    question = Inquiry.of({"tracking_id": "", "heard": list(heard), "ending": ending, "refused": list(refused)})
    assert question is not None
    keys = question.keys()
    near = [each for name, each in parcels.items() if keys.fit(name)]
    found = [parcels[each.tracking_id] for each in question.asked if each.tracking_id in parcels]
    return question.outcome(found, near if knows_near else None)


class Call:
    """A conversation over a shelf of parcels. `codes` has the outcome of each look-up."""

    def __init__(self, *ids: str) -> None:
        self.parcels = shelf(*ids)
        self.lines: list[ChatMessage] = []
        self.codes: list[str] = []

    def turn(self, *said: str) -> str:
        """The caller speaks the lines one by one; our last answer."""
        return self._lines(ChatMessage("user", text) for text in said)

    def type(self, *typed: str) -> str:
        """The caller types the lines one by one; our last answer."""
        return self._lines(ChatMessage("user", text, is_typed=True) for text in typed)

    def cut(self, words: int) -> None:
        """The caller heard only so many words of our last line."""
        last = self.lines.pop()
        self.lines.append(ChatMessage("assistant", " ".join(last.text.split()[:words])))

    def _lines(self, lines: Iterable[ChatMessage]) -> str:
        answer = ""
        for line in lines:
            self.lines.append(line)
            answer = self._go_on()
        return answer

    def _go_on(self) -> str:
        while True:
            move = next_move(self.lines, [TOOL])
            if isinstance(move, Say):
                self.lines.append(ChatMessage("assistant", move.text))
                return move.text
            arguments = move.arguments
            if "heard" in arguments:
                heard = ask(
                    self.parcels,
                    *arguments["heard"],
                    ending=arguments.get("ending", ""),
                    refused=tuple(arguments.get("refused", ())),
                )
            else:
                asked = track.wanted(arguments["tracking_id"])
                heard = track.outcome(
                    asked, [self.parcels[a.tracking_id] for a in asked if a.tracking_id in self.parcels]
                )
            self.codes.append(heard.code)
            call_id = f"call_{len(self.lines)}"
            written = msgspec.json.encode(arguments).decode()
            self.lines.append(ChatMessage("assistant", "", (ToolCall(call_id, move.name, written),)))
            self.lines.append(ChatMessage("tool", heard.as_json(), call_id=call_id))
