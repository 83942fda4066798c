"""Folds names, days, ages and tracking numbers of a clause into one token each.

`claims` reads the folded tokens as phrases; the tokens stand for PLACE, CARRIER, DAY, AGE and ID in its patterns.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from agentvoicebox_delivery.grounding.clauses import ClauseWord
from agentvoicebox_delivery.grounding.days import Mention, mention_at
from agentvoicebox_delivery.grounding.words import cardinal
from agentvoicebox_delivery.numbers import lexicon

DIGITS = dict(lexicon.DIGITS) | {"oh": "0"}
_AGES = {"minute": 60, "hour": 3_600, "day": 86_400}
COUNTS = {cardinal(number).replace("-", " "): number for number in range(1, 100)} | {"a": 1, "an": 1}
_AGE = re.compile(
    r"(?:(?:about|roughly|around) )?(?P<count>less than a|\d{1,2}|[a-z]+(?: [a-z]+)?)"
    r" (?P<unit>minute|hour|day)s? (?:ago|old)(?= |$)"
)
_IT_WAS = re.compile(r" (?:, )?it was\b")
_BEFORE_AGE = (
    "as of ",
    "this is from ",
    "that is from ",
    "that was ",
    "this was ",
    "the state ",
    "the status ",
    "the case ",
    "true ",
    "information is ",
    "information i have is ",
    "update is ",
    "update i have is ",
    "data is ",
)


class FoldedToken(msgspec.Struct):
    """A token: a word, or a group of words."""

    text: str
    is_capital: bool
    is_shouted: bool = False
    name: str = ""
    number: str = ""
    day: Mention | None = None
    age: tuple[int, int] | None = None


def fold(found: Sequence[ClauseWord], names: Mapping[str, str]) -> list[FoldedToken]:
    """The words with each name, day, age and tracking number as one token."""
    tokens = [FoldedToken(word.low, word.is_capital, word.is_shouted) for word in found]
    return _fold_numbers(_fold_days(_fold_names(tokens, names)))


def _fold_names(tokens: list[FoldedToken], names: Mapping[str, str]) -> list[FoldedToken]:
    folded: list[FoldedToken] = []
    at = 0
    longest_first = sorted(names, key=len, reverse=True)
    while at < len(tokens):
        for name in longest_first:
            parts = name.split()
            held = tokens[at : at + len(parts)]
            if [token.text for token in held] == parts and held[0].is_capital:
                folded.append(FoldedToken(names[name].upper(), True, name=name))
                at += len(parts)
                break
        else:
            folded.append(tokens[at])
            at += 1
    return folded


def _fold_days(tokens: list[FoldedToken]) -> list[FoldedToken]:
    text = " ".join(token.text for token in tokens)
    folded: list[FoldedToken] = []
    start = at = 0
    while at < len(tokens):
        taken = None
        age = _AGE.match(text, start)
        if (
            age
            and (text[:start].endswith(_BEFORE_AGE) or _IT_WAS.match(text, age.end()))
            and (span := _age(age)) is not None
        ):
            taken = FoldedToken("AGE", False, age=span)
            end = age.end()
        elif day := mention_at(text, start):
            taken = FoldedToken("DAY", False, day=day)
            end = day.end
        if taken is None:
            folded.append(tokens[at])
            start += len(tokens[at].text) + 1
            at += 1
            continue
        folded.append(taken)
        while at < len(tokens) and start < end:
            start += len(tokens[at].text) + 1
            at += 1
    return folded


def _age(match: re.Match[str]) -> tuple[int, int] | None:
    count, unit_s = match["count"], _AGES[match["unit"]]
    if count == "less than a":
        return (0, unit_s)
    number = int(count) if count.isdigit() else COUNTS.get(count)
    return None if number is None else (number, unit_s)


def _fold_numbers(tokens: list[FoldedToken]) -> list[FoldedToken]:
    folded: list[FoldedToken] = []
    at = 0
    while at < len(tokens):
        characters, end = _number_at(tokens, at)
        if len(characters) > 1:
            folded.append(FoldedToken("ID", True, number=characters))
            at = end
        else:
            folded.append(tokens[at])
            at += 1
    return folded


def _number_at(tokens: Sequence[FoldedToken], start: int) -> tuple[str, int]:
    """The characters of a tracking number that begins here, and its end; commas between groups belong to it."""
    characters, end, at = "", start, start
    while at < len(tokens):
        more, taken = _characters(tokens, at)
        if not more:
            break
        characters += more
        end = at = at + taken
        if at < len(tokens) and tokens[at].text == ",":
            at += 1
    return characters, end


def _characters(tokens: Sequence[FoldedToken], at: int) -> tuple[str, int]:
    """Characters of one word, and how many words were used; ("", 1) for any other word."""
    token = tokens[at]
    low = token.text
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if low in lexicon.MULTIPLIERS and (following in DIGITS or (len(following) == 1 and following.isalnum())):
        return (DIGITS.get(following) or following.upper()) * lexicon.MULTIPLIERS[low], 2
    if low in DIGITS:
        return DIGITS[low], 1
    if not (low.isascii() and low.isalnum()) or token.text.isupper():
        return "", 1
    if any(character.isdigit() for character in low):
        is_quantity = re.fullmatch(r"\d+(?:st|nd|rd|th|am|pm|kg|km|h)", low) or (
            low.isdigit() and len(low) < 3 and following in ("am", "pm")
        )
        return ("", 1) if is_quantity else (low.upper(), 1)
    if not token.is_capital:
        return "", 1
    if len(low) == 1:
        example = tokens[at + 2].text if at + 2 < len(tokens) and following in ("for", "as") else ""
        if example == "in" and at + 3 < len(tokens):
            return (low.upper(), 4) if tokens[at + 3].text.startswith(low) else (low.upper(), 1)
        if len(example) > 1 and example.startswith(low):
            return low.upper(), 3
        return ("", 1) if low == "i" and not _is_character(tokens, at + 1) else (low.upper(), 1)
    return (low.upper(), 1) if token.is_shouted and len(low) <= 5 and _is_digit(tokens, at + 1) else ("", 1)


def _is_digit(tokens: Sequence[FoldedToken], at: int) -> bool:
    text = tokens[at].text if at < len(tokens) else ""
    return text in DIGITS or text.isdigit()


def _is_character(tokens: Sequence[FoldedToken], at: int) -> bool:
    return _is_digit(tokens, at) or (at < len(tokens) and len(tokens[at].text) == 1 and tokens[at].text.isalnum())
