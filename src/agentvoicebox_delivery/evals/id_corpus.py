"""A corpus of callers, tracking numbers, parcels, and ways to say a number. Deterministic for a seed.

Decides the text, not the sound. The parcels contain neighbours of the callers' numbers (one character changed, or one digit
repeated), so that a misheard number may belong to another person.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

from agentvoicebox_delivery.numbers import carriers, lexicon
from agentvoicebox_delivery.numbers.tracking import is_tracking_id

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = {
    "2": "twenty",
    "3": "thirty",
    "4": "forty",
    "5": "fifty",
    "6": "sixty",
    "7": "seventy",
    "8": "eighty",
    "9": "ninety",
}
_TEENS = {str(value): word for word, value in lexicon.TEENS.items()}
NATO = {
    letter: word
    for word, letter in lexicon.NATO.items()
    if word not in ("alfa", "juliett", "juliette", "whisky", "xray")
}
NATO |= {"X": "x-ray"}
PLAIN_EXAMPLES = {
    "A": "apple", "B": "boy", "C": "cat", "D": "dog", "E": "egg", "F": "fox", "G": "girl", "H": "house", "I": "ice",
    "J": "jam", "K": "king", "L": "lemon", "M": "mother", "N": "nancy", "O": "orange", "P": "peter", "Q": "queen",
    "R": "robert", "S": "sugar", "T": "tommy", "U": "uncle", "V": "victor", "W": "water", "X": "x-ray", "Y": "yellow",
    "Z": "zebra",
}  # fmt: skip
_CALLED = {"A": "Eh"}  # voices read a lone "A" as the article

FRAMES = (
    "My tracking number is {}.", "It's {}.", "{}.", "Yeah, it's {}.", "The number is {}, thanks.", "Sure, my number is {}.",
    "Hi, my tracking number is {}.", "Um, it's {}.", "Okay, {}.",
)  # fmt: skip
AGAIN = ("{}.", "It's {}.", "Okay. {}.", "I said {}.", "The number is {}.")


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(string.digits) for _ in range(count))


def _with_check(body: str, is_right: Callable[[str], bool]) -> str:
    return next((body + digit for digit in string.digits if is_right(body + digit)), body + "0")


def _checked(tracking_id: str) -> bool:
    return any(match.check_digit_ok for match in carriers.matches(tracking_id))


def _s10(chance: random.Random) -> str:
    start = chance.choice("RLEC") + chance.choice("ABDEKMRX") + _digits(chance, 8)
    country = chance.choice(("GB", "US", "DE", "CN", "FR", "JP"))
    return next((f"{start}{digit}{country}" for digit in string.digits if _checked(f"{start}{digit}{country}")), start)


def _ups(chance: random.Random) -> str:
    shipper = "".join(chance.choice(string.digits * 2 + "AEFRVWXY") for _ in range(6))
    return _with_check(f"1Z{shipper}{chance.choice(('01', '02', '03', '12', '90'))}{_digits(chance, 7)}", _checked)


def _merchant(chance: random.Random) -> str:
    return chance.choice(("PKG", "PKG", "ORD", "SH", "BX", "DES", "FTM")) + _digits(
        chance, chance.choice((3, 4, 4, 5, 6, 7))
    )


# (name, weight, generator)
SHAPES: tuple[tuple[str, int, Callable[[random.Random], str]], ...] = (
    ("merchant", 30, _merchant),
    ("UPS 1Z", 12, _ups),
    ("FedEx 12", 12, lambda chance: _with_check(_digits(chance, 11), _checked)),
    ("FedEx 15", 8, lambda chance: _with_check(_digits(chance, 14), _checked)),
    ("USPS 22", 8, lambda chance: _with_check(chance.choice(("9400", "9205", "9361")) + _digits(chance, 17), _checked)),
    ("DHL 10", 12, lambda chance: _with_check(_digits(chance, 9), _checked)),
    ("S10", 9, _s10),
    ("Amazon", 9, lambda chance: f"TBA{_digits(chance, 12)}"),
)


@dataclass(frozen=True)
class Person:
    """A caller of the corpus.

    Attributes:
        number: index in the corpus; seed of the caller's behaviour.
        shape: name of the kind of tracking number.
        tracking_id: of the caller's own parcel, normalised.
        opening: the first line, with the number.
    """

    number: int
    shape: str
    tracking_id: str
    opening: str


def people(count: int, *, seed: int = 1) -> list[Person]:
    """Generate callers, each with their own parcel."""
    chance = random.Random(seed)
    known: set[str] = set()
    found: list[Person] = []
    while len(found) < count:
        shape, _, make = chance.choices(SHAPES, weights=[weight for _, weight, _ in SHAPES])[0]
        tracking_id = make(chance)
        if tracking_id in known or not is_tracking_id(tracking_id):
            continue
        known.add(tracking_id)
        line = chance.choice(FRAMES).format(spoken(tracking_id, random.Random(f"{seed}-{len(found)}")))
        found.append(Person(len(found), shape, tracking_id, line))
    return found


def parcels(callers: list[Person], count: int, *, seed: int = 1) -> list[str]:
    """At least `count` tracking ids: the callers' own, two neighbours of every second one, and random others."""
    chance = random.Random(f"parcels-{seed}")
    known = {person.tracking_id for person in callers}
    for person in callers[::2]:
        known |= {
            each
            for each in (changed(person.tracking_id, chance), repeated(person.tracking_id, chance))
            if is_tracking_id(each)
        }
    while len(known) < count:
        make = chance.choices([make for _, _, make in SHAPES], weights=[weight for _, weight, _ in SHAPES])[0]
        known.add(make(chance))
    return sorted(known)


def changed(tracking_id: str, chance: random.Random) -> str:
    """The number with one character changed."""
    at = chance.randrange(len(tracking_id))
    kind = string.digits if tracking_id[at].isdigit() else string.ascii_uppercase
    return tracking_id[:at] + chance.choice(kind.replace(tracking_id[at], "")) + tracking_id[at + 1 :]


def repeated(tracking_id: str, chance: random.Random) -> str:
    """The number with one digit repeated, or with one of two equal digits removed."""
    doubled = [
        at for at in range(1, len(tracking_id)) if tracking_id[at] == tracking_id[at - 1] and tracking_id[at].isdigit()
    ]
    if doubled and chance.random() < 0.5:
        at = chance.choice(doubled)
        return tracking_id[:at] + tracking_id[at + 1 :]
    at = chance.choice([at for at, character in enumerate(tracking_id) if character.isdigit()])
    return tracking_id[:at] + tracking_id[at] + tracking_id[at:]


def spoken(tracking_id: str, chance: random.Random) -> str:
    """A number as a caller says it at first: in one of many ways, sometimes with a filler or a slip."""
    letters = chance.choices(("plain", "nato", "as in"), weights=(7, 2, 1))[0]
    digits = chance.choices(("single", "double", "pairs"), weights=(6, 3, 2))[0]
    zero = chance.choice(("zero", "zero", "oh"))
    size = chance.choice((0, 3, 4, 4))
    words = _words(tracking_id, letters, digits, zero)
    if chance.random() < 0.1:
        words.insert(chance.randrange(1, len(words)), "um,")
    if chance.random() < 0.08 and words[-1] in DIGIT_WORDS:
        wrong = chance.choice([word for word in DIGIT_WORDS if word != words[-1]])
        words[-1:] = [f"{wrong}, no, sorry,", words[-1]]
    return _grouped(words, size)


def spoken_slowly(tracking_id: str, chance: random.Random) -> str:
    """A number as a caller says it when asked again: one digit at a time, in groups."""
    letters = "as in" if chance.random() < 0.3 else "plain"
    return _grouped(_words(tracking_id, letters, "single", "zero"), chance.choice((3, 4)))


def spelled(tracking_id: str) -> str:
    """A number spelled as clearly as possible: alphabet words, groups of three."""
    return _grouped(_words(tracking_id, "nato", "single", "zero"), 3)


def _words(tracking_id: str, letters: str, digits: str, zero: str) -> list[str]:
    words: list[str] = []
    at = 0
    while at < len(tracking_id):
        character, pair = tracking_id[at], tracking_id[at : at + 2]
        if not character.isdigit():
            words.append(_letter(character, letters))
        elif digits == "double" and pair == character * 2:
            words.append(f"double {DIGIT_WORDS[int(character)]}")
            at += 1
        elif digits == "pairs" and pair.isdigit() and len(pair) == 2 and pair[0] != "0":
            words.append(_pair(pair))
            at += 1
        else:
            words.append(zero if character == "0" else DIGIT_WORDS[int(character)])
        at += 1
    return words


def _letter(letter: str, letters: str) -> str:
    called = _CALLED.get(letter, letter)
    match letters:
        case "nato":
            return NATO[letter]
        case "as in":
            return f"{called} as in {PLAIN_EXAMPLES[letter]}"
    return called


def _pair(pair: str) -> str:
    if pair[0] == "1":
        return _TEENS[pair]
    return _TENS[pair[0]] if pair[1] == "0" else f"{_TENS[pair[0]]} {DIGIT_WORDS[int(pair[1])]}"


def _grouped(words: list[str], size: int) -> str:
    if size == 0:
        return " ".join(words)
    return ", ".join(" ".join(words[at : at + size]) for at in range(0, len(words), size))
