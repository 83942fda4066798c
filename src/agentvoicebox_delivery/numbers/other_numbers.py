"""Numbers of a sentence that its words call something else: a telephone number, a date, a price, a postcode, a card's number.

Decides which words of a text belong to such a number; `spoken` reads the text without them. A number is set aside only if the
words next to it say what it is. An order number is set aside only beside another number, because many callers mean the
tracking number by it; the caller decides (`with_references`).
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from agentvoicebox_delivery.numbers import lexicon as lex
from agentvoicebox_delivery.numbers import other_words as other

LONGEST_TELEPHONE = 15  # digits (E.164)
WHOLE_TELEPHONE = 9  # digits from which on a full stop ends it
LONGEST_POSTCODE = 9  # characters: a US postcode with its four further digits
WHOLE_REFERENCE = 4  # characters from which on a full stop ends an order number
LONGEST_NAME = 3  # words
MOST_WORDS_BEFORE = 3  # between "paid" and the price
SET_ASIDE = "tracking"  # stands for the words that are set aside; it is no character, and separates what is around it

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMERIC_DATE = re.compile(
    r"(?<![\w/.\-])(?:(?P<iso>(?:19|20)\d\d-\d{1,2}-\d{1,2})|(?P<a>\d{1,2})(?P<mark>[/.\-])(?P<b>\d{1,2})(?P=mark)(?:19|20)\d\d"
    r"|\d{1,2}/\d{1,2}/\d\d)(?![\w/\-])"
)
# A British postcode is known by its shape and its space, an address of e-mail by its sign.
_WRITTEN_POSTCODE = re.compile(
    r"(?<![A-Z0-9-])(?<![0-9][ -])[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?![A-Z0-9-])(?![ -][0-9])", re.IGNORECASE
)
_EMAIL = re.compile(r"\S+@\S+|\be-?mail(?: address)? is \S[^.,;!?]*?(?: dot \w+)+", re.IGNORECASE)
_PRICE = re.compile(r"[£$€]\s?\d[\d,]*(?:\.\d{1,2})?")
_ORDINAL = re.compile(r"\d{1,2}(?:st|nd|rd|th)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_POSTCODE = re.compile(r"[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}|\d{5}|\d{9}")


class _Word(msgspec.Struct, frozen=True):
    low: str
    raw: str
    start: int
    end: int
    gap: str  # the marks and spaces after it

    @property
    def digits(self) -> int:
        """How many digits it stands for; 0 if it is no number."""
        if self.low.isdigit():
            return len(self.low)
        if self.low in lex.SCALES:
            return lex.SCALES[self.low]
        if self.low in lex.TEENS or self.low in lex.TENS:
            return 2
        is_one = self.low in lex.DIGITS or self.low in lex.PLURAL_DIGITS or self.low in lex.MULTIPLIERS
        return 1 if is_one or self.low in ("oh", "o") else 0

    @property
    def characters(self) -> str:
        """The characters of a number that it may stand for; "" for any other word."""
        low = self.low
        if any(c.isdigit() for c in low) and not _ORDINAL.fullmatch(low):
            return low.upper()
        if self.digits:
            return lex.DIGITS.get(low) or "0" * self.digits
        letter = lex.NATO.get(low) or lex.LETTER_NAMES.get(low)
        if letter or len(low) == 1:
            return letter or low.upper()
        return self.raw if self.raw.isupper() and len(low) <= 5 and low not in lex.NOT_LETTERS else ""

    @property
    def ends_sentence(self) -> bool:
        return any(mark in self.gap for mark in ".;!?") and (len(self.gap) > 1 or not self.gap.strip("."))


def without_other_numbers(text: str, *, with_references: bool) -> str:
    """The cleaned text, with a neutral word for each number that its words call something else.

    Args:
        text: NFKC, as `tokens.clean` gives it.
        with_references: whether order numbers and other references are set aside as well.
    """
    if not any(character.isdigit() for character in text) and not any(word in text.lower() for word in other.SMALL):
        return text
    spans = sorted(_spans(text, with_references))
    kept, at = [], 0
    for start, end in spans:
        if start >= at:
            kept += [text[at:start], f" {SET_ASIDE} "]
        at = max(at, end)
    return "".join(kept) + text[at:] if spans else text


def _spans(text: str, with_references: bool) -> Iterator[tuple[int, int]]:
    whole = text.strip()
    for match in _NUMERIC_DATE.finditer(text):
        if match.group() != whole and _is_day(match):
            yield match.span()
    for pattern in (_PRICE, _EMAIL, _WRITTEN_POSTCODE):
        yield from (match.span() for match in pattern.finditer(text))
    found = list(_WORD.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    words = [
        _Word(match.group().lower(), match.group(), match.start(), match.end(), text[match.end() : end])
        for match, end in zip(found, ends, strict=True)
    ]
    for at in range(len(words)):
        for first, last in (
            _telephone(words, at),
            _date(words, at),
            _price(words, at),
            _postcode(words, at),
            _personal(words, at),
            _name(words, at),
            _reference(words, at) if with_references else (0, 0),
        ):
            if last > first:
                yield words[first].start, words[last - 1].end


def _is_day(match: re.Match[str]) -> bool:
    if match["iso"] or match["mark"] is None:
        return True
    return 1 <= min(int(match["a"]), int(match["b"])) <= 12 and max(int(match["a"]), int(match["b"])) <= 31


def _low(words: Sequence[_Word], at: int) -> str:
    return words[at].low if 0 <= at < len(words) else ""


def _bare(low: str) -> str:
    return low.removesuffix("'s")


def _telephone(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The digits after "my phone number is", "call me on", or before "is my phone number"."""
    low = words[at].low
    if low in other.CALL_ME and _low(words, at + 1) in ("me", "us"):
        after = at + 2 + (_low(words, at + 2) == "back")
        return _digits(words, after + 1) if _low(words, after) in ("on", "at") else (0, 0)
    if _bare(low) not in other.TELEPHONE:
        return 0, 0
    if _low(words, at - 2) == "is" and _low(words, at - 1) in ("my", "the", "our"):
        return _digits_before(words, at - 2)
    after = at + 1 + (_bare(_low(words, at + 1)) in other.NUMBER)
    is_named = after > at + 1
    if not is_named and _low(words, at - 2) in other.ON:
        return 0, 0  # "on my phone 9400 …"
    if not is_named and words[at].gap.strip() not in ("", ":"):
        return 0, 0
    while _low(words, after) in other.IS or (is_named and _low(words, after) == "my"):
        after += 1
    return _digits(words, after)


def _digits(words: Sequence[_Word], first: int) -> tuple[int, int]:
    """A run of digits of at most a telephone number's length."""
    count, last = 0, first
    while last < len(words) and words[last].digits:
        count += words[last].digits
        last += 1
        if words[last - 1].ends_sentence and count >= WHOLE_TELEPHONE:
            break
    return (first, last) if 0 < count <= LONGEST_TELEPHONE else (0, 0)


def _digits_before(words: Sequence[_Word], end: int) -> tuple[int, int]:
    count, first = 0, end
    while first > 0 and words[first - 1].digits and not (first < end and words[first - 1].ends_sentence):
        first -= 1
        count += words[first].digits
    return (first, end) if 0 < count <= LONGEST_TELEPHONE else (0, 0)


def _date(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """A day around a month's name, or three numbers after "on"."""
    low = words[at].low
    if low in other.MONTHS:
        return _around_month(words, at)
    if low not in other.DATED or _low(words, at + 1) in other.DATED:
        return 0, 0
    first = at + 1 + (_low(words, at + 1) in ("is", "was", "the"))
    numbers = [words[each].low for each in range(first, min(first + 3, len(words)))]
    is_longer = first + 3 < len(words) and words[first + 3].digits > 0
    if len(numbers) < 3 or is_longer or not all(each.isdigit() for each in numbers):
        return 0, 0
    day, month, year = numbers
    is_date = max(len(day), len(month)) <= 2 and (len(year) == 2 or _YEAR.fullmatch(year) is not None)
    return (first, first + 3) if is_date and 1 <= min(int(day), int(month)) <= 12 else (0, 0)


def _around_month(words: Sequence[_Word], at: int) -> tuple[int, int]:
    first, last = at, at + 1
    before = at - 1 - (_low(words, at - 1) == "of")
    is_ordinal = bool(_ORDINAL.fullmatch(_low(words, before))) or _low(words, before) in other.ORDINALS
    is_day = is_ordinal or (_low(words, before).isdigit() and len(_low(words, before)) <= 2)
    is_month = is_ordinal or before < at - 1 or _low(words, at - 1) in other.ON | other.DATED
    if is_day and (is_month or words[at].low != "november"):  # the alphabet's "November" follows digits, too
        first = before - (is_ordinal and _low(words, before - 1) in lex.TENS)
        is_month = True
    after = at + 1 + (_low(words, at + 1) == "the")
    next_low = _low(words, after)
    is_ordinal = bool(_ORDINAL.fullmatch(next_low)) or next_low in other.ORDINALS
    if first == at and (is_ordinal or (next_low.isdigit() and len(next_low) <= 2 and is_month)):
        last, is_month = after + 1, True
    if not is_month:
        return 0, 0
    last += _year(words, last)
    return (first, last) if last - first > 1 else (0, 0)  # a month's name alone is no number


def _year(words: Sequence[_Word], at: int) -> int:
    """How many words from here are a year."""
    low, after = _low(words, at), _low(words, at + 1)
    if _YEAR.fullmatch(low):
        return 1
    if low in ("nineteen", "twenty") and (after in lex.TENS or after in lex.TEENS):
        return 2 + (after in lex.TENS and _low(words, at + 2) in lex.DIGITS)
    return 0


def _price(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The number before "pounds", or after "paid"."""
    low = words[at].low
    if low in other.CURRENCY:
        first = _amount_before(words, at)
        last = at + 1 + (first < at and 0 < _digits_at(words, at + 1) <= 2 and not _digits_at(words, at + 2))
        return (first, last) if first < at else (0, 0)
    if low not in other.PAID:
        return 0, 0
    first = at + 1
    while first <= at + MOST_WORDS_BEFORE and _low(words, first) in other.AFTER_PAID:
        first += 1
    last = first
    while last < len(words) and 0 < words[last].digits <= 4:
        last += 1
        if words[last - 1].gap.strip() == "," and words[last - 1].gap != ",":
            break
    return (first, last) if 0 < last - first <= 2 else (0, 0)


def _digits_at(words: Sequence[_Word], at: int) -> int:
    return words[at].digits if at < len(words) else 0


def _amount_before(words: Sequence[_Word], at: int) -> int:
    """Where the amount in front of a currency begins: "24.99", "one hundred and twenty", "thirty five"."""
    first = at - 1
    if first < 0 or not (words[first].digits or words[first].low in other.SCALES):
        return at
    if words[first].low.isdigit():
        return first - (first > 0 and words[first - 1].low.isdigit() and words[first - 1].gap in (".", ","))
    while first > 0 and (words[first - 1].low in other.SCALES | {"and"} or _is_summand(words, first)):
        first -= 1
    return first


def _is_summand(words: Sequence[_Word], first: int) -> bool:
    before, low = words[first - 1].low, words[first].low
    return (before in lex.TENS and low in lex.DIGITS) or (before in other.SMALL and low in other.SCALES)


def _postcode(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The characters after "postcode" or "zip code"."""
    low, first = words[at].low, at + 1
    if low in ("post", "postal") and _low(words, first) == "code":
        first += 1
    elif _bare(low) not in other.POST_CODE:
        return 0, 0
    first += _low(words, first) == "code"
    while _low(words, first) in other.IS:
        first += 1
    characters, last, best = "", first, first
    while last < len(words) and words[last].characters and len(characters) <= LONGEST_POSTCODE:
        characters += words[last].characters
        last += 1
        if _POSTCODE.fullmatch(characters):
            best = last
    if best == first and len(characters) <= LONGEST_POSTCODE:
        best = last
    return first, best


def _personal(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The characters after "card number" or "house number", however many."""
    if words[at].low not in other.PERSONAL or _bare(_low(words, at + 1)) not in other.NUMBER:
        return 0, 0
    first = at + 2
    while _low(words, first) in other.IS:
        first += 1
    last = first
    while last < len(words) and words[last].characters:
        last += 1
        if words[last - 1].ends_sentence and last - first > 1:
            break
    return first, last


def _name(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The words after "my name is", up to a pause: a name may be a word of the alphabet ("Mike", "Victor")."""
    is_named = _bare(words[at].low) in other.NAME and _low(words, at - 1) == "my"
    first = at + 1 + (_low(words, at + 1) == "is")
    if not is_named or (first == at + 1 and not words[at].low.endswith("'s")):
        return 0, 0
    last = first
    while last < min(first + LONGEST_NAME, len(words)) and words[last].low not in ("and", "my", "the", "it's", "it"):
        last += 1
        if words[last - 1].gap.strip():
            break
    return first, last


def _reference(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """The characters after "order number", or before "is my order number"."""
    if words[at].low not in other.REFERENCE or _low(words, at - 1) == "tracking":
        return 0, 0
    after = at + 1 + (_bare(_low(words, at + 1)) in other.NUMBER)
    if after > at + 1 and _low(words, at - 2) == "is" and _low(words, at - 1) in ("my", "the", "our"):
        first = at - 2
        while first > 0 and words[first - 1].characters and not (first < at - 2 and words[first - 1].ends_sentence):
            first -= 1
        return first, at - 2
    is_linked = after > at + 1
    while _low(words, after) in other.IS:
        after, is_linked = after + 1, True
    count, last = 0, after
    while is_linked and last < len(words) and words[last].characters:
        count += len(words[last].characters)
        last += 1
        if words[last - 1].ends_sentence and count >= WHOLE_REFERENCE:
            break
    return after, last
