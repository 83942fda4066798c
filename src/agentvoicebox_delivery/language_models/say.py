"""The function `say`, by which a language model speaks about parcels: acts, and free words around them (ADR 36).

The model chooses what to say; `grounding.acts` words it. A call of `say` never reaches the client: its arguments become text.
What a model gets wrong in it is left out: acts that don't exist, parcels that were not looked up, arguments that are no object.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from agentvoicebox.engine.jobs import ToolSpec
from agentvoicebox_delivery.grounding.acts import CANNOT, NOT_KNOWN, Act, ActName, Manner, worded
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.numbers.tracking import normalize

NAME = "say"
MOST_ACTS = 6
LONGEST_WORDS = 400  # characters of free words before, and of those after

_DESCRIPTION = (
    "Speak to the caller. Always answer with this function. Choose acts; the facts in them are filled in from the results of"
    " get_delivery_status, so never put a fact (state, day, place, carrier, number) into `before` or `after`: these are for"
    " sympathy, courtesy and questions, in your own words."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "before": {"type": "string", "description": "Free words first, without facts. May be left out."},
        "acts": {
            "type": "array",
            "maxItems": MOST_ACTS,
            "items": {
                "type": "object",
                "properties": {
                    "act": {
                        "type": "string",
                        "enum": [each.value for each in ActName],
                        "description": "status: the state; arrival: when it comes; place: where it was last seen; carrier: who"
                        " has it; age: how old the data are; not_known, cannot: with a topic; apology; ask_number;"
                        " offer: anything else?",
                    },
                    "parcel": {
                        "type": "string",
                        "description": "The tracking number, if it is not the one looked up last.",
                    },
                    "topic": {
                        "type": "string",
                        "enum": sorted({*NOT_KNOWN, *CANNOT} - {""}),
                        "description": "For not_known and cannot.",
                    },
                },
                "required": ["act"],
            },
        },
        "manner": {"type": "string", "enum": [each.value for each in Manner]},
        "after": {"type": "string", "description": "Free words last, without facts. May be left out."},
    },
    "required": ["acts"],
}
SAY = ToolSpec(NAME, _DESCRIPTION, PARAMETERS)


def spoken(arguments: str, facts: Facts) -> str:
    """The text of a call of `say`; "" where nothing in it can be said. Never raises."""
    try:
        given = msgspec.json.decode(arguments.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(given, dict):
        return ""
    acts = given.get("acts")
    manner = _member(Manner, given.get("manner")) or Manner.SHORT
    chosen = _acts(acts if isinstance(acts, list) else [], manner, facts)
    sentences = dict.fromkeys(worded(act, facts) for act in chosen)
    parts = (_words(given.get("before")), *sentences, _words(given.get("after")))
    return " ".join(part for part in parts if part)


def _acts(given: Sequence[object], manner: Manner, facts: Facts) -> list[Act]:
    chosen: list[Act] = []
    named: str | None = None
    for each in given[:MOST_ACTS]:
        fields = each if isinstance(each, dict) else {"act": each}
        name = _member(ActName, fields.get("act"))
        is_known, parcel = _parcel(fields.get("parcel"), facts)
        if name is None or not is_known:
            continue
        topic = fields.get("topic")
        tracking_id = parcel.tracking_id if parcel else None
        is_named = name is ActName.STATUS and tracking_id != named
        named = tracking_id if name is ActName.STATUS else named
        # Good news and regret are said once.
        chosen.append(
            Act(name, parcel, manner if not chosen else Manner.SHORT, topic if isinstance(topic, str) else "", is_named)
        )
    return chosen


def _parcel(number: object, facts: Facts) -> tuple[bool, Parcel | None]:
    """Whether a parcel may be spoken of, and it: the one looked up last where none is named."""
    if number is None or number == "":
        return True, facts.latest
    found = facts.named(normalize(number)) if isinstance(number, str) else None
    return found is not None, found


def _words(value: object) -> str:
    """Free words, ended as a sentence."""
    text = " ".join(value.split())[:LONGEST_WORDS] if isinstance(value, str) else ""
    return text if not text or text[-1] in ".!?\u2026" else f"{text}."


_Member = TypeVar("_Member", ActName, Manner)


def _member(kind: type[_Member], value: object) -> _Member | None:
    try:
        return kind(value.strip().lower()) if isinstance(value, str) else None
    except ValueError:
        return None
