"""A call to the dialogue in one process: typed and spoken lines, the real look-up tool over given parcels; no sound, no clock."""

import asyncio
from collections.abc import Sequence
from datetime import date

import msgspec

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox_delivery.dialogue import hand_over
from agentvoicebox_delivery.dialogue.moves import Say, next_move
from agentvoicebox_delivery.evals import backends
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.parcels.tool_result import read

MOST_MOVES = 8  # of our side after one line
LOOK_UP = ToolSpec(tool_schema.NAME, tool_schema.DESCRIPTION, tool_schema.PARAMETERS)
HAND_OVER = ToolSpec(
    hand_over.NAME, hand_over.DESCRIPTION, {"type": "object", "properties": {"reason": {"type": "string"}}}
)


class AgentAnswer(msgspec.Struct, frozen=True):
    """What our side did after a line.

    Attributes:
        text: the words.
        reported: ids of the parcels whose state the look-up gave.
        has_handed_over: whether the call was handed over to a person.
    """

    text: str
    reported: tuple[str, ...] = ()
    has_handed_over: bool = False


class ConversationCall:
    """One call.

    Args:
        shipments: the parcels that exist.
        today: the day of the call.
        handover: how a person can be reached: `transfer`, `callback`, or "" for not at all.
        is_down: whether the source of parcels does not answer.
    """

    def __init__(
        self, shipments: Sequence[Shipment], today: date, *, handover: str = "", is_down: bool = False
    ) -> None:
        self._run = backends.tool_core(backends.Failing() if is_down else backends.Fixed(shipments), today)
        self._tools = [LOOK_UP, *([HAND_OVER] if handover else [])]
        self._handover = handover
        self.lines: list[ChatMessage] = []

    def turn(self, text: str, *, is_typed: bool = False) -> AgentAnswer:
        """The caller says or types a line."""
        self.lines.append(ChatMessage("user", text, is_typed=is_typed or msgspec.UNSET))
        return self._answer()

    def silence(self) -> AgentAnswer:
        """The caller says nothing for a while."""
        return self._answer()

    async def _look_up(self, name: str, arguments: str) -> str:
        return await self._run(name, arguments)

    def _answer(self) -> AgentAnswer:
        reported: list[str] = []
        has_handed_over = False
        for _ in range(MOST_MOVES):
            move = next_move(self.lines, self._tools)
            if isinstance(move, Say):
                self.lines.append(ChatMessage("assistant", move.text))
                return AgentAnswer(move.text, tuple(reported), has_handed_over)
            written = msgspec.json.encode(move.arguments).decode()
            if move.name == HAND_OVER.name:
                has_handed_over = True
                output = msgspec.json.encode({"code": "OK", "kind": self._handover}).decode()
            else:
                output = asyncio.run(self._look_up(move.name, written))
                result = read(output)
                reported += [result.tracking_id] if result.code == track.FOUND else []
            call_id = f"call_{len(self.lines)}"
            self.lines.append(ChatMessage("assistant", "", (ToolCall(call_id, move.name, written),)))
            self.lines.append(ChatMessage("tool", output, call_id=call_id))
        raise RuntimeError("the dialogue calls tools without end")
