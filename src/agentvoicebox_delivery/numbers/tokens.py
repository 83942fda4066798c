"""Tokenizes typed or recognised text: characters with their doubts, corrections, and breaks.

Decides what one word can mean by itself and by its neighbours. `spoken` combines tokens to whole ids, and finds
the best reading.
"""

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from agentvoicebox_delivery.numbers import lexicon as lex

Units = tuple[str, ...]  # what one correction can replace: a character, or a number said as one word ("thirty")


class Option(msgspec.Struct, frozen=True):
    """One meaning of a token. `cost` is 0 for the plain reading and grows with doubt."""

    units: Units
    cost: float = 0.0

    @property
    def text(self) -> str:
        """The characters."""
        return "".join(self.units)


class Symbols(msgspec.Struct, frozen=True):
    """Characters of an id.

    Attributes:
        options: readings, the most natural first; empty text means that the word is not a character.
        is_weak: an everyday word; its neighbours decide.
        ends_clause: a comma or full stop follows.
    """

    options: tuple[Option, ...]
    is_weak: bool = False
    ends_clause: bool = False


class Correction(msgspec.Struct, frozen=True):
    """The following characters replace earlier ones.

    Attributes:
        replaces: how many characters, if the speaker said so ("the last four are"); 0: unknown; -1: all.
    """

    replaces: int = 0


class Break(msgspec.Struct, frozen=True):
    """Words that are not part of an id."""


Token = Symbols | Correction | Break


class SpokenWord(msgspec.Struct, frozen=True):
    """A word as written (`raw`), in lower case (`low`), and whether a pause mark follows it."""

    raw: str
    low: str
    ends_clause: bool


MOST_WORDS = 400  # only the last ones are read; a number takes at most about a hundred

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_PLURAL = re.compile(r"\d+s")  # "680s": a recogniser's idea of decades


def clean(text: str) -> str:
    """NFKC, without zero-width characters, all digits as ASCII, one kind of apostrophe."""
    kept = (
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace()
    )
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in kept).replace("\u2019", "'")


def words(text: str) -> list[SpokenWord]:
    """The words of cleaned text, in order."""
    found = list(_WORD.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    return [
        SpokenWord(match.group(), match.group().lower(), any(mark in text[match.end() : end] for mark in ",.;!?"))
        for match, end in zip(found, ends, strict=True)
    ]


def tokenize(text: str) -> list[Token]:
    """Cleaned text as tokens; filler words give no token."""
    return _Scan(words(text)[-MOST_WORDS:], is_shouted=text.isupper()).run()


class _Scan:
    """One pass over the words. Each `_…` reader reads at `at`, and returns a token and how many words it used."""

    def __init__(self, found: Sequence[SpokenWord], *, is_shouted: bool) -> None:
        self.words = found
        self.is_shouted = is_shouted
        self.at = 0

    def run(self) -> list[Token]:
        tokens: list[Token] = []
        while self.at < len(self.words):
            token, taken = self._next()
            self.at += taken
            if token is not None:
                tokens.append(token)
        return tokens

    def _low(self, offset: int = 0) -> str:
        index = self.at + offset
        return self.words[index].low if 0 <= index < len(self.words) else ""

    def _next(self) -> tuple[Token | None, int]:
        word = self.words[self.at]
        for phrase in lex.CORRECTIONS:
            if all(self._low(offset) == part for offset, part in enumerate(phrase)):
                return Correction(-1 if phrase in lex.RESTARTS else 0), len(phrase)
        if (position := self._position()) is not None:
            return position
        if self._is_counting():
            return Break(), 1
        symbols = self._symbols()
        if symbols is not None:
            options, taken, is_weak = symbols
            return Symbols(options, is_weak, self.words[self.at + taken - 1].ends_clause), taken
        return (None if word.low in lex.SKIPPED else Break()), 1

    def _position(self) -> tuple[Token, int] | None:
        """As in "the last four are …" corrects the end; "the first four" or "six digits" is talk about the number."""
        low = self._low()
        if low not in lex.POSITIONS:
            return None
        count = lex.DIGITS.get(self._low(1)) or (self._low(1) if self._low(1).isdigit() else "")
        taken = 2 if count else 1
        if self._low(taken) in lex.CHARACTER_NOUNS and (count != "1" or self._low(taken) != "one"):
            taken += 1
            count = count or "1"
        if taken == 1:
            return None
        while self._low(taken) in ("is", "are", "should", "be", "was"):
            taken += 1
        return (Correction(int(count)) if low != "first" and int(count) > 0 else Break()), taken

    def _is_counting(self) -> bool:
        """Whether this number word counts things ("two parcels") or points ("this one")."""
        low = self._low()
        is_number = low.isdigit() or low in lex.DIGITS or low in lex.TEENS or low in lex.TENS
        if not is_number:
            return low == "november" and self._low(-1) in ("on", "in", "of", "since", "until", "by", "before", "after")
        return (
            self._low(1) in lex.COUNTED
            or self._low(1) in lex.MONTHS
            or (low == "one" and self._low(-1) in lex.ONE_MARKERS)
        )

    def _symbols(self) -> tuple[tuple[Option, ...], int, bool] | None:
        """Options, how many words they used, whether weak; None when the word is not a character."""
        return self._spelled_out() or self._multiplied() or self._number() or self._literal() or self._letter()

    def _spelled_out(self) -> tuple[tuple[Option, ...], int, bool] | None:
        """As in "B as in boy", "T for Tango", "M is in mike": the example decides, the letter is the second option."""
        letter = self._single_letter(self._low())
        if letter is None:
            return None
        example = ""
        taken = 0
        if self._low(1) in ("as", "is", "like", "has") and self._low(2) in ("in", "for", "a", "an", "been"):
            example, taken = self._low(3), 4
        elif self._low(1) == "like" or (
            self._low(1) in ("for", "of") and self._low(2)[:1].upper() == letter and self._low(2) not in lex.DIGITS
        ):
            example, taken = self._low(2), 3
        if len(example) < 2 or not example[0].isalpha():
            return None
        initial = example[0].upper()
        if not initial.isascii():
            return None
        options = (Option((initial,)),) if initial == letter else (Option((initial,)), Option((letter,), 2.0))
        return options, taken, False

    def _single_letter(self, low: str) -> str | None:
        if len(low) == 1 and "a" <= low <= "z":
            return low.upper()
        return lex.LETTER_NAMES.get(low) or lex.WEAK_LETTERS.get(low)

    def _multiplied(self) -> tuple[tuple[Option, ...], int, bool] | None:
        """As in "double five", "triple A", "three zeros"; "double u" is a letter."""
        low = self._low()
        if low == "double" and self._low(1) in ("u", "you", "yew"):
            return (Option(("W",)), Option(("U", "U"), 1.5)), 2, False
        if low == "x" and self._low(1) == "ray":
            return (Option(("X",)),), 2, False
        plural = lex.PLURAL_DIGITS.get(self._low(1))
        count = lex.DIGITS.get(low) or (low if low.isdigit() else "")
        if plural and count and 2 <= int(count) <= 9:
            return (Option((plural,) * int(count)),), 2, False
        times = lex.MULTIPLIERS.get(low)
        if times is None or self.at + 1 >= len(self.words):
            return None
        self.at += 1
        inner = self._symbols()
        self.at -= 1
        if inner is None:
            return None
        options, taken, _ = inner
        first_repeated = tuple(
            Option((*((each.text[0],) * times), *each.text[1:]), each.cost) for each in options if each.text
        )
        return (first_repeated, taken + 1, False) if first_repeated else None

    def _number(self) -> tuple[tuple[Option, ...], int, bool] | None:
        """Number words: "seven", "thirty one" (31, or 30 and 1), "ninety four hundred", "two thousand twenty six"."""
        if self._low() in ("o", "oh", "owe"):
            return self._oh()
        head = self._below_hundred(0)
        if head is None:
            return None
        options, taken = head
        scale = "0" * lex.SCALES.get(self._low(taken), 0)
        if not scale:
            return options, taken, False
        taken += 1
        whole = tuple(Option((each.text + scale,), each.cost) for each in options)
        joined = self._low(taken) == "and"
        tail = self._below_hundred(taken + (1 if joined else 0))
        if tail is None:
            return whole, taken, False
        tail_options, tail_taken = tail
        value = tail_options[0].text
        added = Option((options[0].text + value.zfill(len(scale)),))
        apart = Option((options[0].text + scale, value))
        # "one hundred twenty three" is a sum; "ninety four hundred one one one" goes on digit by digit.
        is_sum = joined or len(value) > 1
        best, second = (added, apart) if is_sum else (apart, added)
        return (best, Option(second.units, 1.0)), taken + (1 if joined else 0) + tail_taken, False

    def _below_hundred(self, offset: int) -> tuple[tuple[Option, ...], int] | None:
        low, after = self._low(offset), self._low(offset + 1)
        if low in lex.DIGITS:
            return (Option((lex.DIGITS[low],)),), 1
        if low.isdigit() and low.isascii() and len(low) <= 2 and after in lex.SCALES:
            return (Option((low,)),), 1
        if low in lex.TEENS:
            return (Option((str(lex.TEENS[low]),)),), 1
        if low not in lex.TENS:
            return None
        tens = lex.TENS[low]
        unit = lex.DIGITS.get(after, "0")
        if unit == "0":
            return (Option((str(tens),)),), 1
        return (Option((str(tens + int(unit)),)), Option((str(tens), unit), 1.0)), 2

    def _oh(self) -> tuple[tuple[Option, ...], int, bool]:
        """The word "oh" is zero among digits, a letter among letters, and an interjection before a comma."""
        as_digit, as_letter = Option(("0",)), Option(("O",), 1.5)
        before, after = self._single_letter(self._low(-1)), self._single_letter(self._low(1))
        if self._low() == "o" and after and (before or not self._is_digit(-1)):
            as_digit, as_letter = Option(("O",)), Option(("0",), 0.5)
        elif self._low() == "o" and before:
            as_letter = Option(("O",), 0.5)
        is_sigh = self._low() == "oh" and (self.words[self.at].ends_clause or self.at + 1 == len(self.words))
        return (as_digit, as_letter), 1, is_sigh

    def _is_digit(self, offset: int) -> bool:
        low = self._low(offset)
        return low.isdigit() or any(low in words for words in (lex.DIGITS, lex.TEENS, lex.TENS, lex.PLURAL_DIGITS))

    def _literal(self) -> tuple[tuple[Option, ...], int, bool] | None:
        """Characters as written: "1Z", "999", "AA1", "Pkg". A short unknown word before digits is an unlikely guess."""
        word = self.words[self.at]
        raw, low = word.raw.upper(), word.low
        if not (raw.isascii() and raw.isalnum()) or _ORDINAL.fullmatch(low):
            return None
        if any(c.isdigit() for c in raw):
            return (Option(tuple(raw[:-1] if _PLURAL.fullmatch(low) else raw)),), 1, False
        if len(raw) < 2 or len(raw) > 5 or self._is_word_with_meaning(low):
            return None
        if self._is_amid_typed_groups():
            return (Option(tuple(raw)),), 1, False
        if low in lex.NOT_LETTERS or low in lex.EVERYDAY or low in lex.SKIPPED:
            return None
        following = self._low(1)
        is_before_digits = any(c.isdigit() for c in following) or following in lex.DIGITS
        if low in lex.ABBREVIATIONS and not (word.raw.isupper() and is_before_digits):
            return None
        if not any(c in "AEIOUY" for c in raw):
            return (Option(tuple(raw)),), 1, False
        if word.raw.isupper() and not self.is_shouted:
            return (Option(tuple(raw)), Option((), 1.5)), 1, False
        if len(raw) <= 4 and is_before_digits:
            return (Option(()), Option(tuple(raw), 2.0)), 1, True
        return None

    def _is_amid_typed_groups(self) -> bool:
        """Whether capitals are between a group that can only be letters and one of digits, as HM in "BB HM 0001"."""
        word, before = self.words[self.at], self.words[self.at - 1] if self.at else None
        return (
            before is not None
            and word.raw.isupper()
            and any(c.isdigit() for c in self._low(1))
            and 2 <= len(before.raw) <= 5
            and before.raw.isupper()
            and before.low not in lex.NOT_LETTERS | lex.ABBREVIATIONS
            and not any(c in "aeiouy" or c.isdigit() for c in before.low)
        )

    def _is_word_with_meaning(self, low: str) -> bool:
        return low in lex.LETTER_NAMES or low in lex.WEAK_LETTERS or low in lex.WEAK_DIGITS or low in lex.NATO

    def _letter(self) -> tuple[tuple[Option, ...], int, bool] | None:
        low = self._low()
        if low in lex.NATO:
            return (Option((lex.NATO[low],)),), 1, False
        if low in lex.LETTER_NAMES:
            return (Option((lex.LETTER_NAMES[low],)),), 1, False
        if low in lex.WEAK_DIGITS or low in lex.WEAK_LETTERS:
            return (Option((lex.WEAK_DIGITS.get(low) or lex.WEAK_LETTERS[low],)),), 1, True
        if len(low) == 1 and "a" <= low <= "z":
            return (Option((low.upper(),)),), 1, False
        return None
