"""Finds what a caller wants with a line: one want, the most specific one.

A yes is a whole yes: nothing but yes and courtesy. The same holds for no, thanks and goodbye, so that "Bye, where is my parcel?"
asks where it is. The same line always has the same want.
"""

import re
from functools import lru_cache

from agentvoicebox_delivery.dialogue.languages import is_foreign
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.dialogue.wordings import ANGER, COURTESY, PHRASES, WHOLE
from agentvoicebox_delivery.numbers import lexicon
from agentvoicebox_delivery.numbers.tokens import clean, words

_HUMS = re.compile(r"(?:[uh]+m+|u+h+|e+r+m*|a+h+|h+r?m+|m{1,2}|\W)*")
_MARKS = re.compile(r"[,.;!?\u00bf\u00a1\u2014\u2013:\"()-]+")
_QUESTION = re.compile(
    r"^(?:(?:and|so|but|ok|okay|well|yes|no|yeah|sorry) )*(?:who|whose|what|where|when|why|which|how|is|are|was|were|do"
    r"|does|did|can|could|will"
    r"|would|has|have|should|am)\b"
)
_COMPILED = tuple((want, re.compile(pattern)) for want, pattern in PHRASES)
_WHOLES = tuple(
    (
        want,
        re.compile(rf"\b(?:{core})\b"),
        re.compile(rf"(?:(?:{core}{'|' + more if more else ''}|{COURTESY})(?:\s+|$))+"),
    )
    for want, core, more in WHOLE
)
_IS_ANGRY = re.compile(ANGER)


def bare(text: str) -> str:
    """The words of a line in lower case, without marks."""
    return " ".join(_MARKS.sub(" ", clean(text).lower()).split())


@lru_cache(maxsize=512)
def want_of(text: str) -> Want:
    """The want of a line."""
    line = bare(text)
    if _HUMS.fullmatch(line) and not re.fullmatch(r"m+ ?h+m+|mhm+", line):
        return Want.NOTHING
    if is_foreign(text):
        return Want.LANGUAGE
    is_asked = "?" in text
    for want, core, whole in _WHOLES:
        is_answer = want in (Want.YES, Want.THATS_IT, Want.BACKCHANNEL)
        if core.search(line) and whole.fullmatch(line) and not (is_answer and is_asked):
            return want
    for want, pattern in _COMPILED:
        if pattern.search(line):
            return want
    return Want.ANGER if is_angry(text) else Want.OTHER


def is_angry(text: str) -> bool:
    """Whether a line sounds angry or upset, whatever else it wants."""
    return _IS_ANGRY.search(bare(text)) is not None


def is_question(text: str) -> bool:
    """Whether a line is a question by its mark or its word order."""
    return "?" in text or _QUESTION.match(bare(text)) is not None


def word_count(text: str) -> int:
    """Words that are more than noise ("uh", "well")."""
    return sum(word.low not in lexicon.SKIPPED and len(word.low) > 1 for word in words(clean(text)))
