"""Clauses that carry no fact, in any wording: sympathy, small talk, questions, advice, and what the agent can't know or do.

A clause is free when it has one of these forms and no word of a closed class: numbers, days, times of day, names that aren't the
parcel's own, statements about a parcel. Everything else is left to `claims`, where each word has to be accounted for.
"""

import re
from collections.abc import Sequence

from agentvoicebox_delivery.grounding.advice import (
    ADVICE,
    CONDITION,
    LEFT_OPEN,
    PROMISED_BY_OTHERS,
    QUESTION,
    STRANGE_OFFER,
)
from agentvoicebox_delivery.grounding.assertions import (
    ANSWER,
    ANY_NOUN,
    ASIDE,
    DEED,
    IT_IS,
    KEEPING,
    MISSING_DIGIT,
    PRESUMED,
    STATES_SOMETHING,
)
from agentvoicebox_delivery.grounding.folding import FoldedToken
from agentvoicebox_delivery.grounding.limits import (
    ALWAYS_TRUE,
    BARE_LIMIT,
    KNOWABLE,
    LEADS,
    NOT_KNOWN,
    NOTHING_FOUND,
    PLAINLY_UNKNOWABLE,
    UNABLE,
    UNKNOWABLE_FORM,
)
from agentvoicebox_delivery.grounding.promises import KEPT, PROMISE
from agentvoicebox_delivery.grounding.sympathy import (
    ENJOY,
    EXCLAIMED,
    FEELING_FOR,
    GOES_ON,
    HAD,
    HOPED,
    IT_DOES,
    NOUN,
    PAUSE,
    PRAISE,
    SAID_IN_TALK,
    SPAN,
    SYMPATHY,
    TALKED_OF,
    THANKS_FOR_A_DEED,
    WAITED,
    WISH,
    YOU_WILL,
)
from agentvoicebox_delivery.grounding.vocabulary import (
    ASSENTING,
    CLOSED,
    FEELINGS,
    FORBIDDEN,
    NAMEABLE,
    NO_NOUNS,
    NUMBERS,
    TALK,
    TOPICS,
    WORLD,
)


def _is_sympathy(text: str) -> bool:
    """Whether all of a text is sympathy or courtesy: each part of it by itself, and nothing in it that acts."""
    if (
        IT_IS.search(text)
        or IT_DOES.search(text)
        or THANKS_FOR_A_DEED.search(text)
        or YOU_WILL.search(text)
        or HAD.search(text)
        or any(each in WORLD for each in text.split())
    ):
        return False
    for part in map(str.strip, PAUSE.split(text)):
        if not (SYMPATHY.match(part) or GOES_ON.match(part) or ADVICE.match(part) or LEADS.fullmatch(part)):
            return False
    nouns = NOUN.findall(text)
    return all(noun in NAMEABLE or noun in NO_NOUNS or re.fullmatch(FEELINGS, noun) for noun in nouns)


def is_free(
    tokens: Sequence[FoldedToken],
    *,
    carrier: str = "",
    is_asked: bool = False,
    is_unknowable: bool = False,
    question: str = "",
) -> bool:
    """Whether a clause carries no fact.

    Args:
        tokens: of the clause, folded.
        carrier: the normalised name that advice may mention.
        is_asked: whether the caller has asked a yes-or-no question, to which a pleasantry would be an answer.
        is_unknowable: whether the caller has asked for what no result holds.
        question: the caller's words; a time that they say to have waited may be repeated in sympathy.
    """
    text = _without_asides(tokens, question)
    if not is_asked and WISH.match(text):
        return True
    if PRAISE.fullmatch(text) or HOPED.fullmatch(text) or WAITED.match(text):
        return True
    texts = text.split()
    if any(mark in texts for mark in ("PLACE", "AGE", "ID", "WAIT")) or any(
        token.name and token.name != carrier for token in tokens
    ):
        return False
    if _has_name(tokens) or any(any(c.isdigit() for c in each) for each in texts):
        return False
    if FORBIDDEN.intersection(texts) or STRANGE_OFFER.search(text) or PRESUMED.search(text):
        return False
    is_answer = texts[:1] and (texts[0] in ASSENTING or text.startswith("i would say"))
    if is_asked and (is_answer or ANSWER.search(text)):
        return False
    if is_unknowable and BARE_LIMIT.fullmatch(text):
        return True
    if not is_unknowable and NOT_KNOWN.search(text):
        return False
    if PROMISE.search(KEPT.sub(" ", text)) or STATES_SOMETHING.search(text):
        return False
    is_closed = any(each in CLOSED or each in NUMBERS or each == "DAY" for each in texts)
    if "DAY" not in texts and not is_closed and ALWAYS_TRUE.match(text) and " but " not in text:
        return True
    if match := UNABLE.match(text):
        topic = text[match.end() :]
        is_known = KNOWABLE.search(topic) is not None and not PLAINLY_UNKNOWABLE.search(text)
        is_known = is_known or NOTHING_FOUND.search(topic) is not None
        is_limit = bool(UNKNOWABLE_FORM.search(text)) and " but " not in topic and not _takes_for_granted(text)
        if "DAY" not in texts and not is_known and is_limit:
            return True
        if not FEELING_FOR.match(text):
            return False
    return not is_closed and _has_free_form(text, is_asked=is_asked)


def _has_free_form(text: str, *, is_asked: bool) -> bool:
    """Whether a text without a word of a closed class is advice, a question, a wish or sympathy."""
    if match := ADVICE.match(text):
        is_opinion = is_asked and LEFT_OPEN.match(text) is not None
        condition = CONDITION.match(text)
        supposed = condition[0] if condition else ""
        return IT_IS.search(supposed + text[match.end() :]) is None and not _takes_for_granted(text) and not is_opinion
    if "CARRIER" in text.split():
        return False
    if text.endswith("?") and QUESTION.match(text):
        return not _takes_for_granted(text)
    if is_asked and not FEELING_FOR.match(text):
        return False
    if ENJOY.match(text) or EXCLAIMED.fullmatch(text):
        return True
    return (SYMPATHY.match(text) is not None and _is_sympathy(text)) or _is_talk(text)


def _is_talk(text: str) -> bool:
    """Whether a text is about the caller and the agent alone, in words that say nothing of a parcel."""
    words = [each for each in text.split() if each not in (",", ".", "?")]
    if not all(each in TALK for each in words) or not TALKED_OF.search(text):
        return False
    return not any(form.search(text) for form in (SAID_IN_TALK, HAD, IT_IS, IT_DOES, YOU_WILL, THANKS_FOR_A_DEED))


def _takes_for_granted(text: str) -> bool:
    """Whether advice, a limit or a question speaks of a deed or a thing that no result holds."""
    if DEED.search(text) or PROMISED_BY_OTHERS.search(text):
        return True
    return any(noun not in TOPICS for noun in ANY_NOUN.findall(text))


def _without_asides(tokens: Sequence[FoldedToken], question: str) -> str:
    text = " ".join(token.text for token in tokens)
    for span in SPAN.findall(question.lower()):
        text = re.sub(rf"\b(?:for )?{re.escape(span)}\b", "WAIT", text)
    text = MISSING_DIGIT.sub("a mistake", text.replace("took it in", "accepted it"))
    text = (
        text.replace("have you already ", "have you ").replace("feel free to", "please").replace("feel free", "please")
    )
    return " ".join(ASIDE.sub("", KEEPING.sub("how long", text)).split())


def _has_name(tokens: Sequence[FoldedToken]) -> bool:
    """Whether a word inside the clause is written as a name."""
    return any(
        token.is_capital
        and token.text not in ("i", "CARRIER", "DAY", "english", "german", "eta")
        and place > 0
        and tokens[place - 1].text not in (".", "?", ",")
        for place, token in enumerate(tokens)
    )
