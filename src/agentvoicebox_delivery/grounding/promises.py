"""What an agent promises, announces or says to have done, in any wording. Pure.

The check of free words lets none of it pass; scores of finished calls (`evals/promises`) count what no tool call did.
"""

import re
from enum import StrEnum

from agentvoicebox_delivery.grounding.clauses import words


class Promise(StrEnum):
    """What a sentence promises: a look-up, or any other deed."""

    LOOK_UP = "look up"
    DEED = "deed"


# What is done by saying it, and what the agent asks for.
_BY_SAYING_IT = frozenset({
    "need", "be", "have", "not", "never", "wait", "repeat", "read", "say", "spell", "ask", "tell",
    "start", "stop", "speak", "slow", "go", "keep", "understand", "just", "take",
})  # fmt: skip
_LOOKS = frozenset(("look", "check", "find", "see", "search", "try", "pull", "get", "track", "locate"))
_WILL = r"(?:will|shall|(?:am|are|is) (?:(?:just|now|also) )?(?:going to|gonna))"
_MESSAGES = (
    r"(?:call|ring|phone|contact|e ?mail|text|message|notify|update|inform|get back|reach out|be in touch"
    r"|let you know"
    r"|arrange|take care|sort|fix|resolve|investigate|deliver it|bring)"
)
_ADVERB = r"(?:(?:just|quickly|gladly|certainly|definitely|also|now|still|happily|personally|be) )*"
_OWN = re.compile(rf"\b(?:i|we) {_WILL} {_ADVERB}(?P<verb>[a-z]+)")
_OF_OTHERS = re.compile(
    rf"\b(?:someone|somebody|they|(?:a|the|our|your|my) (?:colleague|team|driver|courier|carrier|sender|manager"
    r"|agent)s?)"
    rf" {_WILL} {_ADVERB}{_MESSAGES}\b"
)
_TO_THE_CALLER = re.compile(
    rf"\byou {_WILL} (?:get|receive|hear|be (?:called|contacted|notified|refunded|compensated))\b"
)
_DONE = re.compile(
    r"\b(?:i|we) have (?:just |already |now )*(?:asked|told|opened|flagged|filed|reported|sent|updated|arranged"
    r"|changed|noted"
    r"|informed|escalated|booked|notified|requested|passed)\b"
)
# Whatever the verb: in free words none of it is heard. `KEPT` is what says nothing of a deed.
PROMISE = re.compile(
    r"\b(?:i|we|somebody|someone|they) (?:will|shall|am going to|are going to|have (?:asked"
    r"|told|made|opened|flagged|filed|reported|sent|updated"
    r"|arranged|changed|noted|informed|escalated|started|put|booked|set|passed|notified"
    r"|requested)|am (?:\w+ing)|are (?:\w+ing)|just \w+ed)\b"
)
KEPT = re.compile(
    r"\bi will (?:do|try) (?:my (?:very )?best|what i can)(?: to help(?: you)?)?\b|\bi am (?:seeing"
    r"|having|looking at|not seeing|doing|feeling|listening|wondering|hoping)\b"
)


def promised(sentence: str) -> Promise | None:
    """What a sentence promises; None for nothing. What is done by saying it ("I'll repeat it") is no promise."""
    text = KEPT.sub(" ", " ".join(word.low for word in words(sentence)))
    own = _OWN.search(text)
    if own and own["verb"] in _LOOKS:
        return Promise.LOOK_UP
    is_deed = own is not None and own["verb"] not in _BY_SAYING_IT
    if is_deed or any(form.search(text) for form in (_OF_OTHERS, _TO_THE_CALLER, _DONE)):
        return Promise.DEED
    return None
