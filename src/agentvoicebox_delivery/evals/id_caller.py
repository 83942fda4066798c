"""A simulated caller with a tracking number, who answers truthfully until the agent reports a parcel.

Decides what the caller says to each line of the agent. The recogniser and the look-up are parameters.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.moves import Say, next_move
from agentvoicebox_delivery.evals import id_corpus
from agentvoicebox_delivery.evals.id_corpus import Person
from agentvoicebox_delivery.numbers.readback import ending, readback
from agentvoicebox_delivery.parcels import reply, tool_schema, track
from agentvoicebox_delivery.parcels.tool_result import read

MOST_TRIES = 3  # number of times the caller says the number or a part of it before hanging up
MOST_LINES = 14
TOOL = ToolSpec(tool_schema.NAME, tool_schema.DESCRIPTION, tool_schema.PARAMETERS)

Recognise = Callable[[str], str]  # spoken line → transcript
RunLookUp = Callable[[dict[str, object]], str]  # arguments of the tool → its output


@dataclass
class CallOutcome:
    """The outcome of a call.

    Attributes:
        reported_id: tracking id of the parcel that the agent reported, or "".
        is_own: whether it is the caller's own parcel.
        tries: how often the caller said the number or a part of it.
        confirmed: whether this id was read back and confirmed before.
        turns: number of the agent's lines.
        lines: transcript: the caller's lines as said and as recognised, the agent's lines, and tool calls.
    """

    reported_id: str = ""
    is_own: bool = False
    tries: int = 0
    confirmed: bool = False
    turns: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def is_wrong(self) -> bool:
        """Whether the agent reported another person's parcel."""
        return bool(self.reported_id) and not self.is_own


class Caller:
    """One caller.

    Args:
        person: the caller's data and first line.
        hear: the line and the recogniser.
        look_up: runs the tool.
    """

    def __init__(self, person: Person, recognise: Recognise, look_up: RunLookUp) -> None:
        self._person = person
        self._recognise = recognise
        self._look_up = look_up
        self._chance = random.Random(f"caller-{person.number}")
        self._messages: list[ChatMessage] = []
        self._confirmed: set[str] = set()
        self._outcome = CallOutcome()

    def call(self) -> CallOutcome:
        """Make the call."""
        outcome, says = self._outcome, self._person.opening
        outcome.tries = 1
        while outcome.turns < MOST_LINES:
            heard = self._recognise(says)
            outcome.lines += [f"caller: {says}", f"heard:  {heard}"]
            self._messages.append(ChatMessage("user", heard))
            answer = self._agent()
            outcome.turns += 1
            if outcome.reported_id:
                outcome.is_own = outcome.reported_id == self._person.tracking_id
                outcome.confirmed = outcome.reported_id in self._confirmed
                return outcome
            reply = self._answer(answer)
            if reply is None or outcome.tries > MOST_TRIES:
                return outcome
            says = reply
        return outcome

    def _agent(self) -> str:
        """Run the agent until it says something."""
        for _ in range(4):
            move = next_move(self._messages, [TOOL])
            if isinstance(move, Say):
                self._outcome.lines.append(f"agent:  {move.text}")
                self._messages.append(ChatMessage("assistant", move.text))
                return move.text
            output = self._look_up(move.arguments)
            result = read(output)
            self._outcome.lines.append(
                f"tool:   {msgspec.json.encode(move.arguments).decode()} -> {result.code} {result.data}"
            )
            if result.code == track.FOUND:
                self._outcome.reported_id = result.tracking_id
            call_id = f"call_{len(self._messages)}"
            written = msgspec.json.encode(move.arguments).decode()
            self._messages.append(ChatMessage("assistant", "", (ToolCall(call_id, move.name, written),)))
            self._messages.append(ChatMessage("tool", output, call_id=call_id))
        return ""

    def _answer(self, line: str) -> str | None:
        """The caller's answer to a line of the agent; None to hang up."""
        mine, low = self._person.tracking_id, line.lower()
        if "goodbye" in low:
            return None
        if "is that right?" in low:
            if _bare(line) == _bare(reply.confirm(mine)):
                self._confirmed.add(mine)
                return "Yes, that's right."
            return "No, that's not it."
        if "does yours end in" in low:
            return (
                f"The one ending in {ending(mine)}."
                if f" {_bare(ending(mine))} " in f" {_bare(line)} "
                else "No, neither."
            )
        if "comes next" in low:
            return self._rest(line)
        self._outcome.tries += 1
        if "last four" in low:
            return id_corpus.spoken_slowly(mine[-4:], self._chance) + "."
        if "one character" in low or "three characters" in low:
            return id_corpus.spelled(mine) + "."
        return self._chance.choice(id_corpus.AGAIN).format(id_corpus.spoken_slowly(mine, self._chance))

    def _rest(self, line: str) -> str:
        """The answer when the agent has a part of the number and asks for the next part."""
        mine, so_far = self._person.tracking_id, _bare(line)
        if line == phrases.WHAT_COMES_NEXT:
            self._outcome.tries += 1
            return id_corpus.spoken_slowly(mine, self._chance) + "."
        for end in range(len(mine), 1, -1):
            if f"so far i have {_bare(readback(mine[:end]))} what" in so_far:
                return "That's all." if end == len(mine) else f"{id_corpus.spoken_slowly(mine[end:], self._chance)}."
        self._outcome.tries += 1
        return f"No, that's wrong. It's {id_corpus.spoken_slowly(mine, self._chance)}."


def _bare(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
