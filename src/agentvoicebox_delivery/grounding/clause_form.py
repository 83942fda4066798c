"""Checks how the claims of a clause stand together, whatever they state. `judgement` calls them.

Loose words, a name in a wrong part, a parcel that is named without a statement, a past event that is called new.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from agentvoicebox_delivery.grounding.answers import asks_whether
from agentvoicebox_delivery.grounding.claims import HARMLESS, ClaimKind, ClauseClaim
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.refusal import ClaimRefused, need
from agentvoicebox_delivery.grounding.statements import COMPLETED
from agentvoicebox_delivery.grounding.wordings import PREPOSITIONS
from agentvoicebox_delivery.parcels import reply

# Statements that a day or a place can belong to.
HEADS = frozenset({ClaimKind.STATE, ClaimKind.ARRIVAL, ClaimKind.OVERDUE, ClaimKind.SIGHTING})
# States that are an event with a day and a place.
EVENTS = COMPLETED | {"out for delivery", "ready for pickup", "at customs", "going back"}
# What may stand beside a day or a place that is an answer by itself.
BESIDE_A_BARE_ANSWER = frozenset(
    {
        ClaimKind.LINK, ClaimKind.NEUTRAL, ClaimKind.COURTESY, ClaimKind.DAY, ClaimKind.PLACE, ClaimKind.NOT_DAY, ClaimKind.NO,
        ClaimKind.YES, ClaimKind.CARRIER, ClaimKind.SECOND_PARCEL, ClaimKind.FOUND, ClaimKind.LIMIT,
    }
)  # fmt: skip
WHEN = re.compile(
    r"\b(?:when|what day|which day|how long|what time|morning|afternoon|evening|today|tomorrow|will it|is it coming|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
)
_KNOWN_FIELDS = frozenset(
    ["carrier", "date", "day", "eta", "status", "estimate", "arrival", "delivery", "where", "when"]
)
# Before a state these would be who did it ("the carrier cancelled it").
_DOERS = frozenset({"carrier", "system", "systems", "number", "item"})
_WHO = re.compile(r"\b(?:who|whom|whose)\b")
_WHICH_CARRIER = re.compile(
    r"\b(?:carrier|courier|company|service|who(?:'s| is| has)? (?:has|got|it|deliver\w*|handl\w*|carr\w*|bring\w*|ship\w*))\b"
)
# Beside an event in the past these would say that it has only just happened.
_JUST_NOW = re.compile(r"\b(?:just|now|right now|just now|recently|currently|at the moment|at present)\b")
_PAST_EVENTS = COMPLETED - {"delayed", "in trouble"}
_NEW = re.compile(r"\b(?:just|recently)\b")
_WENT = re.compile(r"\b(?:went|gone|left|loaded)\b")
_AS_OF_NOW = re.compile(r"\b(?:now|right now|currently|at the moment|at present)\b")
NAMED_AGAIN = frozenset({ClaimKind.OTHER_PARCEL, ClaimKind.FIRST_PARCEL, ClaimKind.SECOND_PARCEL})
# What is said of a named parcel.
SAYS = (
    frozenset(ClaimKind)
    - HARMLESS
    - NAMED_AGAIN
    - {ClaimKind.NUMBER, ClaimKind.YES, ClaimKind.NO, ClaimKind.OF_COURSE, ClaimKind.FOUND}
)
_SAME_AGAIN = re.compile(r"\b(?:too|as well|also|likewise|same|either)\b")


def can_hold(head: ClauseClaim, claim: ClauseClaim) -> bool:
    """Whether a statement has a place of its own, or a day."""
    if head.kind is ClaimKind.STATE:
        return head.state in EVENTS
    return claim.kind is ClaimKind.DAY or head.kind is ClaimKind.SIGHTING


def check_words(claims: Sequence[ClauseClaim], facts: Facts) -> None:
    """Plain words state nothing beside a statement; alone, they are one ("it is with you")."""
    kinds = {each.kind for each in claims}
    said = kinds - {ClaimKind.LINK, ClaimKind.NEUTRAL, ClaimKind.COURTESY, ClaimKind.NUMBER} - NAMED_AGAIN
    need(ClaimKind.NEUTRAL not in kinds or bool(said), "words that state something")
    for before, after in pairwise(claims):
        is_name = after.kind in (ClaimKind.CARRIER, ClaimKind.PLACE, ClaimKind.DAY)
        if before.kind is ClaimKind.NEUTRAL and before.text in PREPOSITIONS and is_name:
            raise ClaimRefused("a name in another part")
        if before.kind is ClaimKind.FOUND and before.text.endswith("checked") and after.text.startswith("with "):
            raise ClaimRefused("a deed of the agent")
        if before.kind is ClaimKind.NEUTRAL and before.text in _DOERS and after.kind is ClaimKind.STATE:
            raise ClaimRefused("a deed of another")
    asked = facts.question.lower()
    is_loose = not kinds - {ClaimKind.LINK}
    if (
        is_loose
        and (asks_whether(asked) or WHEN.search(asked))
        and _JUST_NOW.search(" ".join(each.text for each in claims))
    ):
        raise ClaimRefused("a time by itself")
    texts = [each.text for each in claims if each.kind is ClaimKind.NEUTRAL]
    is_limit = any(each.kind is ClaimKind.LIMIT for each in claims)
    if is_limit and not _KNOWN_FIELDS.isdisjoint(texts):
        raise ClaimRefused("said not to be known")
    is_carrier_alone = (
        any(each.kind is ClaimKind.CARRIER and "carrier" not in each.text for each in claims)
        and not kinds - BESIDE_A_BARE_ANSWER
    )
    if is_carrier_alone and _WHO.search(asked) and not _WHICH_CARRIER.search(asked):
        raise ClaimRefused("another role of the carrier")


def check_named_again(claims: Sequence[ClauseClaim], facts: Facts) -> None:
    """A parcel that is named needs a statement of its own: "the second one too" says of it what was said of another."""
    for index, claim in enumerate(claims):
        if claim.kind in NAMED_AGAIN:
            later = [each.kind for each in claims[index + 1 :]]
            until = next((at for at, kind in enumerate(later) if kind in NAMED_AGAIN), len(later))
            own = later[:until] or []
            before = [each.kind for each in claims[:index]]
            is_object = not any(kind in SAYS for kind in own) and any(kind in SAYS for kind in before)
            names = [each for each in claims if each.kind in NAMED_AGAIN]
            is_only = len(names) == 1 and is_object
            need(any(kind in SAYS for kind in own) or is_only, "a parcel without a statement of its own")
    said = [each for each in claims if each.kind not in HARMLESS]
    is_same = any(_SAME_AGAIN.fullmatch(each.text) for each in claims if each.kind is ClaimKind.LINK)
    if is_same and not any(each.kind in SAYS for each in said) and len(facts.parcels) > 1:
        raise ClaimRefused("a parcel without a statement of its own")


def check_just_now(claims: Sequence[ClauseClaim], subjects: Sequence[Parcel | None]) -> None:
    """A past event isn't a new one: "it was delivered just now"."""
    is_event = any(
        each.kind is ClaimKind.SIGHTING
        or (each.kind is ClaimKind.STATE and each.state in _PAST_EVENTS and not each.text.startswith("there is "))
        for each in claims
    )
    links = " ".join(each.text for each in claims if each.kind in (ClaimKind.LINK, ClaimKind.NEUTRAL))
    is_going = any(each.kind is ClaimKind.STATE and _WENT.search(each.text) for each in claims)
    need(not (is_event or is_going) or _JUST_NOW.search(links) is None, "an event that has only just happened")
    is_state = any(each.kind is ClaimKind.STATE and each.state in COMPLETED for each in claims)
    need(not is_state or _NEW.search(links) is None, "an event that has only just happened")
    is_old = any(parcel is not None and parcel.age_s >= reply.STALE_AFTER_S for parcel in subjects)
    need(not is_old or _AS_OF_NOW.search(links) is None, "old data given as new")
