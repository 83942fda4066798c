"""The facts of a call: tool results, parcel by parcel, and what the caller said. A reply may contain nothing else.

A stored field that may not be spoken (`names`) is left out, and so is the builder's sentence that contains it.
Whether a clause agrees with the facts is decided in `judgement`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property

import msgspec

from agentvoicebox_delivery.dialogue.chat import ChatLine
from agentvoicebox_delivery.grounding.clauses import cut, normal
from agentvoicebox_delivery.grounding.names import speakable
from agentvoicebox_delivery.numbers import tracking
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.parcels.tool_result import ToolResult, read

LEAST_ENDING = 3  # characters that identify a parcel for a caller


class Parcel(msgspec.Struct, frozen=True):
    """What is known about one number.

    Attributes:
        tracking_id: normalised; "" when the result names none.
        result: the last result about it.
        shipment: its state, without fields that may not be spoken; None when no parcel was found.
        speech: the reply builder's words for it.
        clauses: those of `speech`, normalised; they may be said unchanged.
    """

    tracking_id: str
    result: ToolResult
    shipment: Shipment | None
    speech: str
    clauses: frozenset[str]

    @property
    def event_day(self) -> date | None:
        """The day of the last event."""
        at = self.shipment.last_event.at if self.shipment and self.shipment.last_event else None
        return at.date() if isinstance(at, datetime) else None

    @property
    def place(self) -> str:
        """Where the last event happened, as it is spoken, or ""."""
        event = self.shipment.last_event if self.shipment else None
        return reply.plain(event.location) if event and event.location else ""

    @property
    def carrier(self) -> str:
        """As it is spoken, or ""."""
        return reply.plain(self.shipment.carrier) if self.shipment and self.shipment.carrier else ""

    @property
    def age_s(self) -> float:
        """Age of the data, in seconds; 0 for fresh."""
        age_s = self.result.data.get("age_s")
        return float(age_s) if isinstance(age_s, int | float) else 0.0


class Facts:
    """All facts of one call.

    Args:
        parcels: one for each requested number, the last request at the end.
        asked: the caller's lines, in order.
        question: the caller's lines since they last heard something.
        today: the day on which the reply is spoken.
        heard: what the caller has heard since the last result.
    """

    def __init__(
        self, parcels: Sequence[Parcel], asked: Sequence[str], question: str, today: date, heard: str = ""
    ) -> None:
        self.parcels = tuple(parcels)
        self.asked = tuple(asked)
        self.question = question
        self.today = today
        self.heard = heard

    @property
    def latest(self) -> Parcel | None:
        """The parcel requested last."""
        return self.parcels[-1] if self.parcels else None

    @cached_property
    def names(self) -> dict[str, str]:
        """Places and carriers of all parcels, normalised; each is a `place` or a `carrier`."""
        found: dict[str, str] = {}
        for parcel in self.parcels:
            for kind, name in (("place", parcel.place), ("carrier", parcel.carrier)):
                if name:
                    found[normal(name)] = kind
        return found

    @cached_property
    def spoken_numbers(self) -> tuple[str, ...]:
        """Characters that the caller spelled, line by line and joined, and the numbers in tool results."""
        pieces = [fragment for line in self.asked if (fragment := tracking.fragment(line))]
        whole = [each.tracking_id for line in self.asked for each in tracking.candidates(line) if each.cost < 2]
        known = [parcel.tracking_id for parcel in self.parcels if parcel.tracking_id]
        choices = [each for parcel in self.parcels for each in parcel.result.choices]
        return (*known, *choices, *whole, *pieces, "".join(pieces))

    def named(self, characters: str) -> Parcel | None:
        """The parcel whose number is, or ends in, `characters`; of several the one requested last."""
        for parcel in reversed(self.parcels):
            if parcel.tracking_id == characters:
                return parcel
            if len(characters) >= LEAST_ENDING and parcel.tracking_id.endswith(characters):
                return parcel
        return None

    def may_read_back(self, characters: str) -> bool:
        """Whether the caller said these characters, or a tool result contains them."""
        return any(characters in number for number in self.spoken_numbers)


def gather(lines: Sequence[ChatLine], today: date) -> Facts:
    """The facts of a conversation.

    Args:
        lines: from its start; each `tool` line is a result, in any form that `tool_result` reads.
        today: in the caller's own time zone, as far as it is known.
    """
    parcels: dict[str, Parcel] = {}
    heard: list[str] = []
    question: list[str] = []
    for line in lines:
        if line.role == "tool":
            parcel = _parcel(read(line.text), today)
            parcels.pop(parcel.tracking_id, None)
            parcels[parcel.tracking_id] = parcel
            heard = []
        elif line.role == "assistant" and line.text:
            heard.append(line.text)
            question = []
        elif line.role == "user":
            question.append(line.text)
    asked = [line.text for line in lines if line.role == "user"]
    return Facts(list(parcels.values()), asked, " ".join(question), today, " ".join(heard))


def _parcel(result: ToolResult, today: date) -> Parcel:
    shipment = result.shipment if result.code == track.FOUND else None
    speech = result.speech
    if shipment is not None and (clean := speakable(shipment)) is not shipment:
        age_s = result.data.get("age_s")
        shipment = clean
        speech = reply.found(
            clean, result.today or today, age_s=float(age_s) if isinstance(age_s, int | float) else 0.0
        )
    number = shipment.tracking_id if shipment else result.tracking_id
    return Parcel(number, result, shipment, speech, frozenset(normal(clause) for clause in cut(speech)))
