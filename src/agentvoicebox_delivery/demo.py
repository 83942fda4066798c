"""The demo call: a caller asks for a parcel, spells its number, and confirms it. Implements kits.demo.KitDemo."""

from datetime import UTC, date, datetime

from agentvoicebox_delivery.grounding.words import spoken_day
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.demo_data import parcels

PARCEL = "PKG004"
NUMBER = "It's P, K, G, zero, zero, four."  # spelled: spoken fluently, recognisers hear a third zero now and then
NUMBER_AGAIN = "Sure, it's P K G, double zero four."
YES = "Yes, that's right."


class DeliveryDemo:
    """See kits.demo.KitDemo.

    Args:
        shipment: the parcel that the caller asks for; by default the demo parcel with today's data.
        today: the day of the call; by default the current UTC day.
    """

    agent = "delivery"
    about = "a caller asks for a parcel, spells its number when the agent asks for it, and gets the parcel's state"
    opening = ("Hi, can you tell me where my parcel is?", NUMBER)
    closing_line = "No, that's all. Thank you."
    answers = (NUMBER_AGAIN, YES)

    def __init__(self, shipment: Shipment | None = None, today: date | None = None) -> None:
        self.today = today or datetime.now(UTC).date()
        self.shipment = shipment or next(each for each in parcels(self.today) if each.tracking_id == PARCEL)

    def answer_to(self, reply: str) -> str:
        """See KitDemo."""
        said = reply.lower()
        if "is that" in said:  # "… Is that right?"
            return YES if ending(self.shipment.tracking_id) in words(said) else NUMBER_AGAIN
        return NUMBER_AGAIN if "parcel ending" not in said and "number" in said else ""

    def facts(self) -> dict[str, str]:
        """The facts that the agent must state, in spoken words."""
        facts = {"number": ending(self.shipment.tracking_id), "state": self.audible()}
        if self.shipment.eta is not None:
            facts["day"] = spoken_day(self.shipment.eta, self.today)
        return facts

    def faults(self, replies: str) -> list[str]:
        """See KitDemo."""
        said = words(replies)
        return [
            f"the agent did not state the {name}: {fact}"
            for name, fact in self.facts().items()
            if words(fact) not in said
        ]

    def audible(self) -> str:
        """See KitDemo: the parcel's state."""
        return self.shipment.status.replace("_", " ")

    def proof(self) -> str:
        """See KitDemo."""
        return f"The agent's answers about {self.shipment.tracking_id} are right: {self.audible()}."


def words(text: str) -> str:
    """The words in lower case without punctuation."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split())
