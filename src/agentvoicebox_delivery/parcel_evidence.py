"""What the delivery agent knows about its callers' turns: which numbers are complete, by the reader that looks them up, too."""

import re

from agentvoicebox.turns.agent_evidence import AgentEvidence, ExpectedAnswer, Proof
from agentvoicebox.turns.rules import BROKEN_OFF, incompleteness, is_short_answer
from agentvoicebox_delivery.numbers import carriers, lexicon
from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.tracking import Candidate, candidates, fragment, is_certain
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.tool_result import read

# How likely a caller goes on after a number. Callers pause between its groups, so that a plausible one waits a little.
CHECKED = 0.05  # its check digit fits
PLAUSIBLE = 0.3  # a merchant's number, or one of a length that a carrier has
ANY_LENGTH = 0.55  # it can be a number, and so can a longer one
TOO_SHORT = 1.0
LEAST_UNASKED = 3  # symbols; fewer are a part of a number only where the agent asked for one
MOST_UNREAD = 4  # words
LEAST_ENDING = 3  # symbols; an earlier part of a number ends with fewer of its last ones by chance
LONGEST_READ = 240  # characters at the end of a text: the longest number in words; bounds the time of reading

# What a caller without a number says.
_OTHER_ANSWER = re.compile(
    r"\b(no|not|none|\w+n['\u2019]t|where|what|how|why|who|when|which|sorry|thanks?|bye|goodbye|person|human|agent|help|hello|hi|yes)\b"
)
_KNOWN = lexicon.AROUND_A_NUMBER.union(
    lexicon.DIGITS, lexicon.TEENS, lexicon.TENS, lexicon.SCALES, lexicon.MULTIPLIERS, lexicon.NATO, lexicon.LETTER_NAMES,
    lexicon.WEAK_LETTERS, lexicon.WEAK_DIGITS, lexicon.PLURAL_DIGITS, lexicon.MISHEARD_DIGITS, lexicon.CHARACTER_NOUNS,
)  # fmt: skip
_LONG_WORD = re.compile(r"[a-z']{4,}")
_NUMBER_WORDS = ("number", "what comes next", "characters", "that again", "say it again")
_PROOFS = {
    track.FOUND: Proof.COMPLETE,
    track.NOT_FOUND: Proof.INCOMPLETE,  # no parcel has the number so far
    track.AMBIGUOUS: Proof.INCOMPLETE,
    track.INVALID_ID: Proof.INCOMPLETE,
}


class ParcelEvidence(AgentEvidence):
    """See AgentEvidence."""

    def expects(self, question: str) -> ExpectedAnswer:
        """See AgentEvidence: a number, where the agent's last sentence asks for one."""
        expected = super().expects(question)
        last = question.strip().lower().rpartition(". ")[2]
        asks_for_number = any(words in last for words in _NUMBER_WORDS)
        return ExpectedAnswer.NUMBER if asks_for_number and expected is not ExpectedAnswer.YES_OR_NO else expected

    def doubt(self, text: str, expected: ExpectedAnswer) -> float | None:
        """See AgentEvidence: known for texts with a number that do not break off after it."""
        if len(text) > LONGEST_READ:
            text = text[-LONGEST_READ:].partition(" ")[2]
        if incompleteness(text) >= BROKEN_OFF or is_short_answer(text):
            return None
        found = candidates(text)
        if found:
            return _doubt_of(found)
        if expected is ExpectedAnswer.NUMBER:
            if _ends_after_unread_words(text):
                return ANY_LENGTH
            return TOO_SHORT if fragment(text) or _is_unread(text) else None
        return TOO_SHORT if len(fragment(text)) >= LEAST_UNASKED else None

    def proves(self, tool: str, output: str, text: str) -> Proof:
        """See AgentEvidence: a parcel that was found ends the turn; several, or none, call for more of the number.

        A parcel whose number is to be read back was found, too, if its number ends as the caller's words do: a caller who goes on
        has not said the end yet.
        """
        if tool != tool_schema.NAME:
            return Proof.NOTHING
        result = read(output)
        if result.code == track.CONFIRM:
            return _proof_of_guess(str(result.data.get("tracking_id") or ""), text)
        return _PROOFS.get(result.code, Proof.NOTHING)


def _doubt_of(found: list[Candidate]) -> float:
    first = found[0]
    if carriers.is_unfinished(first.tracking_id):
        return TOO_SHORT
    if not is_certain(found):
        return ANY_LENGTH
    if first.check_digit_ok:
        return CHECKED
    is_known_shape = first.carrier is not None or carriers.MERCHANT_SHAPE.fullmatch(first.tracking_id) is not None
    return PLAUSIBLE if is_known_shape else ANY_LENGTH


def _proof_of_guess(tracking_id: str, text: str) -> Proof:
    """What a parcel proves that perhaps has the number: all of it was said if the words have its length, or its end."""
    heard = _heard(text)
    if not tracking_id or len(heard) < LEAST_ENDING:
        return Proof.NOTHING
    is_whole = len(heard) >= len(tracking_id) or tracking_id.endswith(heard[-LEAST_ENDING:])
    return Proof.COMPLETE if is_whole else Proof.INCOMPLETE


def _heard(text: str) -> str:
    """The characters that a text spells, as far as it can be understood."""
    rough = read_fuzzy(text[-LONGEST_READ:])
    return max((fragment(text[-LONGEST_READ:]), rough.text if rough else ""), key=len)


def _ends_after_unread_words(text: str) -> bool:
    """Whether digits end a text that also holds unreadable words, so that it may be any part of a number."""
    heard = _heard(text)
    if len(heard) < LEAST_ENDING or not heard[-LEAST_ENDING:].isdigit():
        return False
    return any(word not in _KNOWN for word in _LONG_WORD.findall(text.lower()))


def _is_unread(text: str) -> bool:
    """Whether a text may be the beginning of a number that the recogniser did not understand ("Bikiji")."""
    return 0 < len(text.split()) <= MOST_UNREAD and _OTHER_ANSWER.search(text.lower()) is None
