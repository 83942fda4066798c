"""Which stored fields may be spoken: names of places and companies, and nothing else.

A stored field may hold anything: a sentence, a link, an instruction to a language model. Text that is not a name is removed
before a reply is built and before a language model reads the result.
"""

import re

import msgspec

from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent

MOST_NAME_WORDS = 5  # "Newcastle upon Tyne Mail Centre"
LONGEST_NAME = 40  # characters


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAME_WORD = re.compile(r"(?:[^\W\d_]|['\u2019.\-])*[^\W\d_]\.?|\d{1,3}")
_PARTICLES = _listed("of the de la le les du des da do am an im on upon sur en and und y der den van von in")
# Words of an instruction, a promise or a state; a real name has none of them.
_NO_NAME = _listed(
    "ignore disregard forget instructions instruction previous prompt system assistant say tell call "
    "phone dial visit pay send give click please you your refund free delivered lost stolen caller "
    "customer password card account fee told must"
)


def is_name(stored: str) -> bool:
    """Whether a stored field looks like the name of a place or company, and not like a sentence."""
    text = reply.plain(stored)
    found = text.replace(",", " ").replace("(", " ").replace(")", " ").split()
    if not found or len(found) > MOST_NAME_WORDS or len(text) > LONGEST_NAME:
        return False
    if any(not _NAME_WORD.fullmatch(word) or word.lower().strip(".") in _NO_NAME for word in found):
        return False
    if any(word.endswith(".") and len(word) > 3 for word in found):
        return False
    return len(found) == 1 or all(word[0].isupper() or word[0].isdigit() or word in _PARTICLES for word in found)


def speakable(shipment: Shipment) -> Shipment:
    """The shipment without fields that are not names; itself when all are."""
    event = shipment.last_event
    if shipment.carrier and not is_name(shipment.carrier):
        shipment = msgspec.structs.replace(shipment, carrier=None)
    if event and event.location and not is_name(event.location):
        event = ShipmentEvent(event.status, event.at)
        shipment = msgspec.structs.replace(shipment, last_event=event)
    return shipment
