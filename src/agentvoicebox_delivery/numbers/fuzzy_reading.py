"""A tolerant reading: the characters of a line when a number was asked for and the plain reading failed.

Where `spoken` decides which words are characters, this assumes that all are: ordinals ("5th"), words that sound like a digit
("full" for four), misrecognised alphabet words ("Gulf"). Its reading is only compared with existing numbers, and a match
is read back before anything is reported.
"""

from difflib import SequenceMatcher
from functools import lru_cache

from agentvoicebox_delivery.numbers import lexicon as lex
from agentvoicebox_delivery.numbers.other_numbers import without_other_numbers
from agentvoicebox_delivery.numbers.spoken import IdReading
from agentvoicebox_delivery.numbers.tokens import clean, words

MISHEARD_COST = 0.3
LIKENESS = 0.6  # similarity to an alphabet word: "gulf", "velka" (delta), "rovio" (romeo)
SHORTEST_LIKE = 4
FREE_COST = 1.0  # of reading every word as a character
_ENDINGS = ("st", "nd", "rd", "th")


@lru_cache(maxsize=512)
def read_fuzzy(text: str) -> IdReading | None:
    """The line read as characters only; None when it holds none."""
    found: list[str] = []
    cost = FREE_COST
    said = words(without_other_numbers(clean(text), with_references=False))
    at = 0
    while at < len(said):
        low, after = said[at].low, said[at + 1].low if at + 1 < len(said) else ""
        times = lex.MULTIPLIERS.get(low, 1)
        if times > 1 and after:
            at += 1
            low, after = after, said[at + 1].low if at + 1 < len(said) else ""
        characters, price, taken = _characters(low, said[at].raw, after)
        found += [characters[:1] * (times - 1), characters] if characters else []
        cost += price if characters else 0.0
        at += taken
    text = "".join(found)
    return IdReading(text, cost) if text else None


def _characters(low: str, raw: str, after: str) -> tuple[str, float, int]:
    """(characters, their cost, words used)."""
    if any(character.isdigit() for character in low):
        bare = low[:-2] if low[:-2].isdigit() and low.endswith(_ENDINGS) else low
        return ("".join(c for c in bare.upper() if c.isascii() and c.isalnum()), 0.0, 1)
    if low in lex.TENS:
        is_one = after in lex.DIGITS and lex.DIGITS[after] != "0"
        return (str(lex.TENS[low] + int(lex.DIGITS[after])), 0.0, 2) if is_one else (str(lex.TENS[low]), 0.0, 1)
    for table in (lex.DIGITS, lex.PLURAL_DIGITS, lex.NATO, lex.LETTER_NAMES, lex.WEAK_DIGITS):
        if low in table:
            return table[low], 0.0, 1
    if low in lex.TEENS:
        return str(lex.TEENS[low]), 0.0, 1
    if low in lex.MISHEARD_DIGITS:
        return lex.MISHEARD_DIGITS[low], MISHEARD_COST, 1
    if low in ("o", "oh"):
        return "0", 0.0, 1
    if low in lex.AROUND_A_NUMBER:
        return "", 0.0, 1
    if low in lex.WEAK_LETTERS:
        return lex.WEAK_LETTERS[low], MISHEARD_COST, 1
    letters = low.replace("'", "")
    if letters.isascii() and letters.isalpha():
        is_cluster = len(letters) <= 4 and (raw.isupper() or not any(c in "aeiouy" for c in letters))
        if len(letters) == 1 or is_cluster:
            return letters.upper(), 0.0, 1
        if len(letters) >= SHORTEST_LIKE and (letter := _like_an_alphabet_word(letters)):
            return letter, MISHEARD_COST, 1
    return "", 0.0, 1


@lru_cache(maxsize=512)
def _like_an_alphabet_word(word: str) -> str:
    likeness, letter = max((SequenceMatcher(None, word, each).ratio(), letter) for each, letter in lex.NATO.items())
    return letter if likeness >= LIKENESS else ""
