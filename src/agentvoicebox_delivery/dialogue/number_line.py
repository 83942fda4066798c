"""A line that holds a number, or a part of one: how a number grows over several lines, and when it is looked up.

Each function takes the line and returns the step that follows, or None where the line is about something else.
"""

import re

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.corrections import corrected
from agentvoicebox_delivery.dialogue.line import CallerLine
from agentvoicebox_delivery.dialogue.look_ups import Tools, confirm, fetch, look_up, refuse
from agentvoicebox_delivery.dialogue.reported import is_ending
from agentvoicebox_delivery.dialogue.state import FORGOTTEN, DialogueState, Stage, Step, say
from agentvoicebox_delivery.dialogue.want_reading import bare, is_question, word_count
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.numbers import tracking
from agentvoicebox_delivery.numbers.carriers import is_unfinished
from agentvoicebox_delivery.numbers.collecting import waits_for_rest
from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.readback import readback

ENDING_LENGTHS = range(2, 7)  # accepted length of the answer when four characters were asked for
LEAST_HEARING = 4  # characters that are worth comparing, once the number was asked for again
LEAST_FRAGMENT = 2  # characters among other words that count as part of a number
LEAST_DIGITS = 3  # of a number in a question
LEAST_SCORE = 0.8  # of a number in a line with several: the shape of a carrier or a merchant
MOST_NUMBERS = 4  # of one line

_AWAITED = (Stage.ASKED, Stage.COLLECTING, Stage.ENDING)
_BETWEEN_TYPED = re.compile(r"\s*(?:[,;&+/]|\band\b|\bplus\b|\balso\b)\s*", re.IGNORECASE)
_BETWEEN_SPOKEN = re.compile(r"\W*\b(?:and also|and)\b\W*", re.IGNORECASE)
_WRITTEN = re.compile(r"\b[A-Za-z0-9-]*\d{3}[A-Za-z0-9-]*\b")
_CORRECTING = re.compile(r"\b(?:no|sorry|not|i mean|wait|actually)\b")
_YES = re.compile(r"(?:yes|yeah|yep|yup|correct|exactly|right)\b(?! but\b)")
_ANOTHER = re.compile(r"^(?:and|also|what about|how about|another|the other)\b")


def about_a_number(line: CallerLine) -> Step | None:
    """The step for a line with a number in it, in any stage."""
    match line.state.stage:
        case Stage.CONFIRMING:
            return _confirming(line)
        case Stage.CHOOSING:
            return _choosing(line)
        case Stage.ENDING if _is_ending(line) and not (line.is_typed and line.fresh):
            return look_up(line.state, line.tools, line.state.guess, line.state.tries, ending=line.text)
    several = _several(line)
    if several is not None:
        return several
    return number(line, line.state) if _has_number(line) else None


def is_rough_number(line: CallerLine) -> bool:
    """Recognisers write "bye" for "five": among other characters of a requested number it is not a goodbye."""
    rough = read_fuzzy(line.text) if line.state.stage in _AWAITED else None
    return rough is not None and len(rough.text) >= LEAST_FRAGMENT


def _has_number(line: CallerLine) -> bool:
    if line.fresh:
        digits = sum(c.isdigit() for c in line.fresh[0].tracking_id)
        return digits >= LEAST_DIGITS or not is_question(line.text)  # "what's two plus two" counts something
    is_all = word_count(line.text) <= len(line.fragment) + 2
    is_awaited = line.state.stage in _AWAITED
    if line.fragment and (is_question(line.text) or line.want in (Want.OTHER_NUMBER, Want.HOLD)):
        return False  # "two" in a question counts something
    if line.want is Want.ORDER_NUMBER or not (is_awaited or any(c.isdigit() for c in line.fragment)):
        return False
    return len(line.fragment) >= (1 if is_all and is_awaited else LEAST_FRAGMENT) and (is_awaited or is_all)


def _is_ending(line: CallerLine) -> bool:
    """Whether the line can be the requested last characters, recognised well or badly."""
    rough = read_fuzzy(line.text)
    return len(line.fragment) in ENDING_LENGTHS or (rough is not None and len(rough.text) in ENDING_LENGTHS[1:])


def _several(line: CallerLine) -> Step | None:
    """Several whole numbers in one line, each in a part of its own: looked up one after the other."""
    if not line.fresh or not line.tools.look_up:
        return None
    between = _BETWEEN_TYPED if line.is_typed else _BETWEEN_SPOKEN
    parts = [whole for part in between.split(line.text) if (whole := _whole_number(part, is_typed=line.is_typed))]
    is_correction = _CORRECTING.search(bare(line.text)) is not None  # then the last one counts
    if len(set(parts)) < 2 or is_correction or line.state.stage is Stage.COLLECTING:
        return None
    parts = list(dict.fromkeys(parts))
    state = msgspec.structs.replace(line.state, **FORGOTTEN)
    return from_queue(
        msgspec.structs.replace(state, queue=tuple(parts[:MOST_NUMBERS]), is_typed=line.is_typed), line.tools
    )


def _whole_number(part: str, *, is_typed: bool) -> str:
    """The part if it is surely a number of its own, and no group of characters of a longer one."""
    written = _WRITTEN.findall(part) if is_typed else []
    part = written[0] if len(written) == 1 else part
    found = tracking.candidates(part)
    return part if tracking.is_certain(found) and found[0].score >= LEAST_SCORE else ""


def from_queue(state: DialogueState, tools: Tools) -> Step:
    """Look up the next of several numbers of a line."""
    part, *rest = state.queue
    is_typed = state.is_typed
    state = msgspec.structs.replace(state, **FORGOTTEN | {"queue": tuple(rest), "is_typed": is_typed})
    tracking_id = tracking.candidates(part)[0].tracking_id
    if is_typed:
        return fetch(state, tools, tracking_id)
    return look_up(state, tools, tracking_id, (part,))


def _confirming(line: CallerLine) -> Step | None:
    state, guess = line.state, line.state.guess
    if line.fresh and not line.is_typed and _ANOTHER.search(bare(line.text)) and line.fresh[0].tracking_id != guess:
        return number(line, msgspec.structs.replace(state, **FORGOTTEN))  # another parcel, not another hearing
    changed = corrected(guess, line.text)
    if changed and changed != guess and tracking.is_tracking_id(changed):
        return _correct(line, changed)
    if line.fresh and (line.is_typed or line.fresh[0].tracking_id != guess):
        if _is_refused(line):
            state = msgspec.structs.replace(state, refused=tuple(dict.fromkeys((*state.refused, guess))))
        return number(line, state)
    is_same = bool(line.fresh) and line.fresh[0].tracking_id == guess
    if is_same and not line.is_typed and _YES.match(bare(line.text)) and not is_question(line.text):
        return fetch(state, line.tools, guess)  # a yes, and the number once more
    if line.fragment and line.want is Want.OTHER and not is_question(line.text) and _is_short(line):
        whole = tracking.candidates(f"{guess}, no, {line.text}")
        if whole and whole[0].tracking_id != guess:
            return _correct(line, whole[0].tracking_id)
        if is_ending(line.fragment, guess):
            return confirm(state, guess, is_typed=line.is_typed)  # they say its end again
    if line.fresh and not is_question(line.text) and not _is_refused(line):
        return fetch(state, line.tools, guess)  # they said the same number again
    return None


def _correct(line: CallerLine, tracking_id: str) -> Step:
    """A number with some characters corrected. It is compared with what exists; the one that was read back never returns."""
    refused = tuple(dict.fromkeys((*line.state.refused, line.state.guess)))
    state = msgspec.structs.replace(line.state, refused=refused, pieces=())
    if line.is_typed and tracking.is_certain(tracking.candidates(tracking_id)):
        return fetch(msgspec.structs.replace(state, is_typed=True), line.tools, tracking_id)
    if line.tools.allows_mishearing:
        return look_up(state, line.tools, tracking_id, (" ".join(tracking_id),))
    return confirm(state, tracking_id, is_typed=line.is_typed)


def _is_short(line: CallerLine) -> bool:
    return word_count(line.text) <= len(line.fragment) + 2


def _is_refused(line: CallerLine) -> bool:
    begins_with_no = re.match(r"(?:no|nope|wrong)\b", bare(line.text)) is not None
    return begins_with_no or line.want in (Want.NOT_MINE, Want.NO, Want.WRONG)


def _choosing(line: CallerLine) -> Step | None:
    state = line.state
    named = [each for each in state.choices if line.fresh and each == line.fresh[0].tracking_id]
    if not named and line.fragment:
        named = [each for each in state.choices if is_ending(line.fragment, each)]
    if not named:
        places = (("first", 0), ("second", 1), ("third", 2), ("last", -1))
        said = bare(line.text).split()
        named = [state.choices[at] for word, at in places if word in said and at < len(state.choices)]
    if len(named) == 1 and line.is_typed and line.fresh:
        return fetch(state, line.tools, named[0])
    if len(named) == 1:
        # Similar numbers are easily misheard: confirm the whole number again.
        return confirm(state, named[0], is_typed=line.is_typed)
    if line.fresh:
        return number(line, state)
    return refuse(state, line.tools, state.choices) if _is_refused(line) and not line.fragment else None


def number(line: CallerLine, state: DialogueState) -> Step:
    """The line holds a number, or a part of one."""
    text, fresh, tools = line.text, line.fresh, line.tools
    if state.stage is Stage.COLLECTING and _is_refused(line) and tools.allows_mishearing:
        # The caller repeated the whole number instead of its rest; the first recognition still counts.
        state = msgspec.structs.replace(state, pieces=(), tries=(*state.tries, ", ".join(state.pieces)))
    pieces = (*state.pieces, text)
    may_continue = bool(state.pieces) and (state.stage is Stage.COLLECTING or not line.is_typed)
    whole = tracking.candidates(", ".join(pieces)) if may_continue else []
    best, kept = fresh, (text,) if fresh else pieces
    if whole and (not fresh or _belongs_together(state, whole[0], fresh[0])):
        best, kept = whole, pieces
    is_typed = line.is_typed and (len(kept) == 1 or state.is_typed)
    if not best:
        return _part_of_number(line, state, pieces, is_typed=is_typed)
    first = best[0]
    is_doubtful = tools.allows_mishearing and not is_typed
    is_short = waits_for_rest(first.tracking_id, state.tries) if is_doubtful else is_unfinished(first.tracking_id)
    if is_short and not line.is_complete:
        asked = phrases.so_far(readback(first.tracking_id))
        return say(state, asked, stage=Stage.COLLECTING, pieces=kept, is_typed=is_typed, misses=0)
    if is_doubtful:
        state = msgspec.structs.replace(state, pieces=kept)
        return look_up(state, tools, first.tracking_id, (*state.tries, ", ".join(kept)))
    # What was heard before counts nothing beside a typed number.
    known = FORGOTTEN if is_typed else {"pieces": kept}
    state = msgspec.structs.replace(state, **known | {"is_typed": is_typed})
    rivals = tuple(each.tracking_id for each in tracking.rivals(best))
    is_plain = first.cost < tracking.CLEAR_LEAD and (is_typed or first.check_digit_ok is not False)
    if is_plain and (not rivals or "candidates" in tools.parameters):
        return fetch(state, tools, first.tracking_id, rivals)
    return confirm(state, first.tracking_id, is_typed=line.is_typed)


def _part_of_number(line: CallerLine, state: DialogueState, pieces: tuple[str, ...], *, is_typed: bool) -> Step:
    """Too few characters for a number: the rest of an earlier one, a number that was misheard, or its beginning."""
    so_far = tracking.fragment(", ".join(pieces))
    least = LEAST_HEARING if state.tries else tracking.SHORTEST - 1
    if len(pieces) == 1 and line.tools.allows_mishearing and not is_typed:
        if len(so_far) >= least:
            state = msgspec.structs.replace(state, pieces=pieces)
            return look_up(state, line.tools, so_far, (*state.tries, line.text))
        rest = tracking.candidates(f"{state.tries[-1]}, {line.text}") if state.tries and so_far.isdigit() else []
        if rest:
            return look_up(state, line.tools, rest[0].tracking_id, (*state.tries, line.text))  # it continues the number
    asked = phrases.so_far(readback(so_far))
    return say(state, asked, stage=Stage.COLLECTING, pieces=pieces, is_typed=is_typed, misses=0)


def _belongs_together(state: DialogueState, whole: tracking.Candidate, fresh: tracking.Candidate) -> bool:
    if state.stage is Stage.COLLECTING and whole.check_digit_ok is not False:
        return whole.score >= fresh.score
    return whole.score > fresh.score + tracking.CLOSE_SCORE
