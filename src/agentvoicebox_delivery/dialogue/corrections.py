"""Corrections of a few characters of a number that was read back: "nine, not six", "it ends in nine"."""

import re

from agentvoicebox_delivery.numbers import tracking
from agentvoicebox_delivery.numbers.tokens import clean

MOST_CHARACTERS = 8  # of a correction; more are another number

_START = (
    r"^\W*(?:(?:no|nope|sorry|wrong|almost|not quite|wait|actually|well|it's|it is|that's|i said|should be|the)\b\W*)*"
)
_A = r"(?:an? |the )?"
_NEW_NOT_OLD = re.compile(r"(?P<new>.+?)\W+(?:and )?(?:not|instead of|rather than)\W+" + _A + r"(?P<old>.+)$")
_NOT_OLD_NEW = re.compile(
    r"^not\W+" + _A + r"(?P<old>[^,.;]+?)\W*(?:[,.;]|\bbut\b|\bit's\b)\W*(?:but |it's |it is )?" + _A + r"(?P<new>.+)$"
)
_SAID_OLD = re.compile(
    r"^(?:you (?:said|have|got)|i heard)\W+" + _A + r"(?P<old>[^,.;]+?)\W*(?:[,.;]|\bbut\b"
    r"|\band\b)\W*(?:but |it's |it is |i said )*" + _A + r"(?P<new>.+)$"
)
_CHANGE = re.compile(
    r"^(?:please )?(?:change|replace|make) " + _A + r"(?P<old>.+?) (?:to|by|with|into) " + _A + r"(?P<new>.+)$"
)
_END = re.compile(
    r"(?:\b(?:ends?|finish(?:es)?) (?:in|with|on)|\bending (?:in|with)?"
    r"|\b(?:last|final) (?:digits?|numbers?|characters?|letters?|ones?|two|three|four)?\b(?: (?:digits|numbers|ones))?)"
    r"\W*(?:(?:'?s|is|are|should be|isn't right|wrong|it's|it is|must be)\b\W*)*" + _A + r"(?P<new>.+)$"
)
_AT_THE_END = re.compile(r"^" + _A + r"(?P<new>.+?) at the end\W*$")


def corrected(tracking_id: str, text: str) -> str:
    """The id with the correction of a line; "" where the line corrects nothing, or what it corrects is not in the id."""
    line = re.sub(_START, "", " ".join(clean(text).lower().split()).rstrip(".!? "))
    has_place = _END.search(line)
    for pattern in (_SAID_OLD, _CHANGE, _NOT_OLD_NEW, _NEW_NOT_OLD):
        if match := pattern.search(line):
            new = _characters(_END.sub(lambda found: found["new"], match["new"]))
            old = _characters(match["old"])
            return _replaced(tracking_id, old, new)
    if match := has_place or _AT_THE_END.search(line):
        new = _characters(match["new"])
        changed = tracking_id[: -len(new)] + new if 0 < len(new) < len(tracking_id) else ""
        return changed if changed != tracking_id else ""
    return ""


def _characters(words: str) -> str:
    spelled = tracking.fragment(words.strip())
    return spelled if len(spelled) <= MOST_CHARACTERS else ""


def _replaced(tracking_id: str, old: str, new: str) -> str:
    at = tracking_id.rfind(old) if old else -1
    if at < 0 or not new:
        return ""
    return tracking_id[:at] + new + tracking_id[at + len(old) :]
