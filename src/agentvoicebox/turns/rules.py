"""How unfinished a caller's text sounds, by rule: an incomplete number, a dangling "is", an "um", a comma.

Works on a recogniser's text, whose full stops prove little (it ends every utterance with one). English only: other
languages get the value of plain sentences. How long a number of an agent is, its kit knows (`agent_evidence`); here a number is
a run of symbols of any length.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNKNOWN = 0.5
ASKED = 0.0  # a whole question: the caller now waits for the answer
FINISHED = 0.05
BRIEF = 0.5  # a word or two that are no answer: a greeting, or a beginning
NO_PUNCTUATION = 0.3  # recognisers punctuate finished sentences; one without may go on
BACKGROUND = 0.55  # only what happened: what the caller wants of it is still to come
BROKEN_OFF = 0.8  # a comma, a dash, dots
DANGLING = 1.0  # a sentence that lacks its end: "My number is"
FILLER = 1.0

# How unfinished a number is. Callers pause between its groups, so that even a plausible length waits a little.
NUMBER_TOO_SHORT = 0.75
NUMBER_MAYBE = 0.55
NUMBER_LIKELY = 0.3
SHORTEST_ID = 6
LIKELY_LENGTHS = frozenset((10, 11, 16))  # of telephones and cards
LEAST_SYMBOLS = 3  # fewer are a number only if something introduces them: "it's 4"

FILLERS = _words("um umm uh uhm er erm hmm hm so like well")
OPEN_WORDS = _words(
    "and or but because if that which while since although unless plus then "  # conjunctions
    "a an the my your his our their these another some "  # articles and possessives
    "i we they he she i'm i'll i'd it's "  # a subject without its verb
    "double triple treble quadruple"
)
AUXILIARIES = _words("is are was were am be been will would can could should have has had")
PREPOSITIONS = _words("to of for from with at in on by about into through between than as")
QUESTION_WORDS = _words("where what when who how which whether why")
SHORT_ANSWERS = _words("yes yeah yep no nope sure")
# A whole answer to a question that expects yes or no. "Yes," and "no, it's" go on.
SHORT_ANSWER = re.compile(
    r"(yes|yeah|yep|yup|no|nope|sure|correct|right|exactly|okay|ok)(,? (please|thanks|thank you|correct|right|sir|ma'am))?"
    r"|((yes|yeah|yep|no|nope),? )?(that's|that is|it's|it is) (right|correct|wrong|not right|it|all|not it)"
    r"|(yes|no),? (it is|it isn't|i do|i don't|it does)|no,? (that's all|thank you|thanks),?( goodbye| bye)?"
)

HOLDING = re.compile(
    r".*\b(hold on|hang on|wait|(a|one) (moment|second|sec|minute)|let me (see|check|look|find)( it| that)?)"
)
MOST_BRIEF = 2  # words
COURTESY = re.compile(
    r"(many )?(thanks|thank you|goodbye|bye|bye bye|cheers|nothing|never mind|go ahead|of course|i'm sorry|pardon)"
)
STUB = re.compile(
    r"((hi|hello|yes|ok|okay|it's|its) )*"
    r"(i (want|need|think|guess|mean)|i( would|'d) like|(can|could|would) you|i( am|'m) calling|it says"
    r"|(my|the)( tracking| parcel| order)? (number|id|code|parcel|package|order|delivery))"
)
ASKED_ABOUT = re.compile(  # what is asked is still to come: "Can you tell me?", "I want to know when."
    r".*\b(tell me|let me know|(want|like|need|love) to (know|ask|find out)|wondering)"
    r"( (if|about|where|what|when|who|how|which|whether|why))?"
)
PAST_EVENT = re.compile(  # "I moved last month.", "It says delivered.", "My mum sent me a parcel."
    r"((hi|hello|yes|yeah|no|well|so|okay|ok|and|look|listen) )*(?!it was\b)"
    r"(i|we|he|she|it|they|you|someone|somebody|(my|our|the|a|your|his|her|their) (\w+ ){0,2}?\w+)"
    r"( (just|already|also|only))?"
    r" (was|were|had|got|bought|sent|paid|went|came|made|took|gave|said|says|saw|told|left|\w\w+ed)\b.*"
)
# A request, or what is wrong: a text with one of these is no background.
NEED = re.compile(
    r"\b(not|never|no|nobody|nothing|none|\w+n't|late|lost|missing|wrong|damaged|broken|stuck|empty|need|want|wanted|like"
    r"|please|help|number|question|called|problem)\b"
)
LEAST_QUESTION = 5  # words; a recogniser also ends the beginning of a question with a question mark

DIGITS = {
    "zero": "0", "oh": "0", "nought": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "niner": "9",
}  # fmt: skip
HOMOPHONES = {"to": "2", "too": "2", "for": "4", "won": "1", "ate": "8"}  # only between other symbols
TWO_DIGITS = _words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred"
)
SPELLING = _words(
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november oscar papa "
    "quebec romeo sierra tango uniform victor whiskey whisky xray yankee zulu"
)
COPIES = {"double": 1, "triple": 2, "treble": 2, "quadruple": 3}
INTRODUCTIONS = _words("number numbers id code is it's its")
_LETTERS = re.compile(r"[a-z]|[b-df-hj-np-tv-xz]{2,4}")  # one letter, or several that no word is made of
NO_ID_AFTER = _words(  # a time, a date, an address
    "at january february march april may june july august september october november december street page"
)


def incompleteness(text: str) -> float:
    """How likely the speaker of `text` goes on: 0 (finished) to 1 (mid-sentence); 0.5 for text without words."""
    text = text.replace("\u2019", "'").strip().rstrip("\"')")
    spoken = re.findall(r"[\w']+", text)
    words = [word.lower() for word in spoken]
    if not words:
        return UNKNOWN
    last, ending = words[-1], text[-1]
    if last in FILLERS:
        return FILLER
    joined = " ".join(words)
    if ASKED_ABOUT.fullmatch(joined) or (len(words) > 1 and last in QUESTION_WORDS):
        return DANGLING
    asked = not QUESTION_WORDS.isdisjoint(words[:-1])  # "where my parcel is" and "what it is for" are complete
    if ending == "?" and (asked or len(words) >= LEAST_QUESTION):
        return ASKED
    if last in OPEN_WORDS and not _is_letter_of_number(spoken):
        return DANGLING
    number = _number_doubt(_symbols_at_end(spoken)) or (NUMBER_TOO_SHORT if _is_letters_alone(words) else None)
    if number is not None:
        return max(number, BROKEN_OFF) if ending in ",-…" else number
    answered = words[0] in SHORT_ANSWERS  # "yes, it is"
    if last in AUXILIARIES | PREPOSITIONS and not asked and not answered:
        return DANGLING
    if HOLDING.fullmatch(joined) or STUB.fullmatch(joined):
        return DANGLING
    if ending in ",-…:" or text.endswith("..."):
        return BROKEN_OFF
    if len(words) <= MOST_BRIEF and not is_short_answer(text) and COURTESY.fullmatch(joined) is None:
        return BRIEF
    if PAST_EVENT.fullmatch(joined) and NEED.search(joined) is None:
        return BACKGROUND
    return FINISHED if ending in ".!" else NO_PUNCTUATION


def is_short_answer(text: str) -> bool:
    """Whether a text is a whole answer to a question that expects yes or no."""
    text = text.replace("\u2019", "'").strip().lower()
    return not text.endswith((",", "-", "…", "...")) and SHORT_ANSWER.fullmatch(text.rstrip(".!?")) is not None


def _is_letters_alone(words: list[str]) -> bool:
    """Whether a text ends with letters alone, after what introduces a number: "It's p kg", "my number is pk"."""
    at = len(words)
    while at > 0 and _LETTERS.fullmatch(words[at - 1]):
        at -= 1
    return 0 < at < len(words) and words[at - 1] in INTRODUCTIONS


def _is_letter_of_number(spoken: list[str]) -> bool:
    """Whether a last "A" or "I" is spelled, not an article or a pronoun: it follows another symbol."""
    return len(spoken[-1]) == 1 and len(spoken) > 1 and _symbols(spoken[-2]) != ""


def _symbols(word: str) -> str:
    """The symbols that a word adds to a spelled number; "" when it is not part of one."""
    lower = word.lower()
    if any(character.isdigit() for character in word) or len(word) == 1:
        return word.upper()
    if lower in DIGITS:
        return DIGITS[lower]
    if lower in TWO_DIGITS:
        return "00"
    if lower in SPELLING:
        return lower[0].upper()
    return word if word.isupper() and word.isascii() and len(word) <= 4 else ""


def _symbols_at_end(spoken: list[str]) -> str:
    """The number that a text ends with, compact, or "" when it ends with none."""
    compact = ""
    for index in range(len(spoken) - 1, -1, -1):
        word = spoken[index].lower()
        symbols = _symbols(spoken[index]) or (HOMOPHONES.get(word, "") if compact else "")
        if not symbols and word in COPIES and compact:
            symbols = compact[0] * COPIES[word]
        if not symbols:
            introduced = word in INTRODUCTIONS
            return compact if word not in NO_ID_AFTER and (introduced or len(compact) >= LEAST_SYMBOLS) else ""
        compact = symbols + compact
    return compact if len(compact) >= LEAST_SYMBOLS else ""


def _number_doubt(compact: str) -> float | None:
    """How unfinished a number is; None for no number."""
    if not compact:
        return None
    if len(compact) < SHORTEST_ID:
        return NUMBER_TOO_SHORT
    return NUMBER_LIKELY if len(compact) in LIKELY_LENGTHS else NUMBER_MAYBE
