"""Callers who say other numbers beside their tracking number, and are misheard as a neighbour whose parcel exists.

Decides what is said and what is heard, as text; the dialogue and the look-up are real. The first hearing of a caller is one slip
away from their own number and belongs to another person, which is the hardest case: a look-up finds exactly what was heard.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from agentvoicebox_delivery.evals import id_corpus
from agentvoicebox_delivery.evals.id_caller import Caller, CallOutcome, RunLookUp
from agentvoicebox_delivery.evals.id_corpus import Person
from agentvoicebox_delivery.numbers import likeness
from agentvoicebox_delivery.numbers.slips import one_slip_away
from agentvoicebox_delivery.numbers.tracking import is_tracking_id

# Around the number: telephone numbers, dates, prices, postcodes and others, with and without words that say what they are.
SENTENCES = (
    "The parcel is {}.",
    "{}",
    "The parcel is {}. My phone is 07700 900123.",
    "My phone number is {phone}, and the parcel is {}.",
    "It's {}, you can call me on {phone}.",
    "{} and then 07700 900 123",
    "It's {}, ordered on 11 12 2026.",
    "I ordered it on the 11th of December 2026 and the number is {}.",
    "It was posted on 3/12/2026. {}.",
    "It's {}. It should have come on December 1st, 2026.",
    "The twenty first of November twenty twenty six it was sent, {}.",
    "My order number is 302-5512345-998 and the tracking number is {}.",
    "{}, my order number is ORD88123.",
    "Reference 20391, tracking number {}.",
    "It's {}, I paid 24.99 for it.",
    "It's {} and it cost me one hundred and twenty pounds.",
    "I paid £49.50. The number is {}.",
    "{}. My postcode is SW1A 1AA.",
    "Zip code 90210, number {}.",
    "I live at 12 High Street, flat 4, and it's {}.",
    "My name is Alex, I'm 34, {}, thanks.",
    "{}, it's been 3 weeks and 2 days.",
    "I called at 10 30 already. {}.",
    "{} 2026",
    "12 11 {}",
    "So 4 parcels, this one is {}, and 2 came on the 5th.",
)  # fmt: skip
SLIP = 0.6  # chance that a later hearing has a slip, too
NEIGHBOURS = 6  # parcels one slip from each caller's own


@dataclass(frozen=True)
class MisheardPerson:
    """A caller of this corpus.

    Attributes:
        person: with their own number.
        sentence: with `{}` where the number is said.
        heard: the number that the recogniser makes of it the first time: another person's.
    """

    person: Person
    sentence: str
    heard: str

    @property
    def first_words(self) -> str:
        """What the recogniser writes for the caller's first line."""
        chance = random.Random(f"first-{self.person.number}")
        said = self.heard if chance.random() < 0.4 else id_corpus.spoken_slowly(self.heard, chance)
        phone = chance.choice(
            ("07700 900123", "oh double seven double oh nine hundred one two three", "+44 7700 900 123")
        )
        return self.sentence.format(said, phone=phone)


def people(count: int, *, seed: int = 1) -> list[MisheardPerson]:
    """Generate callers, each sentence in turn."""
    chance = random.Random(f"misheard-{seed}")
    return [
        MisheardPerson(person, SENTENCES[person.number % len(SENTENCES)], neighbour(person.tracking_id, chance))
        for person in id_corpus.people(count, seed=seed)
    ]


def parcels(callers: list[MisheardPerson], count: int, *, seed: int = 1) -> list[str]:
    """At least `count` tracking ids: the callers' own, what was heard of them, further neighbours, and others."""
    chance = random.Random(f"misheard-parcels-{seed}")
    known = {each for caller in callers for each in (caller.person.tracking_id, caller.heard)}
    for caller in callers:
        known |= {neighbour(caller.person.tracking_id, chance) for _ in range(NEIGHBOURS)}
    return sorted(known | set(id_corpus.parcels([each.person for each in callers], count, seed=seed)))


def neighbour(tracking_id: str, chance: random.Random) -> str:
    """A number one slip away: often one that sounds alike, else any."""
    alike = [
        tracking_id[:at] + other + tracking_id[at + 1 :]
        for at, character in enumerate(tracking_id)
        for other in likeness.rhymes(character)
        if other.isdigit() == character.isdigit()
    ]
    choices = [id_corpus.changed(tracking_id, chance), id_corpus.repeated(tracking_id, chance)]
    choices += [chance.choice(alike)] if alike else []
    choices += [chance.choice(sorted(one_slip_away(tracking_id)))]
    good = [each for each in choices if is_tracking_id(each) and each != tracking_id]
    return chance.choice(good or [tracking_id + tracking_id[-1]])


def call(caller: MisheardPerson, look_up: RunLookUp) -> CallOutcome:
    """The caller's call: truthful, patient, and misheard again and again."""
    chance = random.Random(f"call-{caller.person.number}")
    return Caller(caller.person, _recogniser(caller, chance), look_up).call()


def _recogniser(caller: MisheardPerson, chance: random.Random) -> Callable[[str], str]:
    def recognise(said: str) -> str:
        if said == caller.person.opening:
            return caller.first_words
        words = said.split()
        at = [index for index, word in enumerate(words) if word.strip(".,").lower() in id_corpus.DIGIT_WORDS]
        if at and chance.random() < SLIP:
            _slip(words, chance.choice(at), chance)
        return " ".join(words)

    return recognise


def _slip(words: list[str], at: int, chance: random.Random) -> None:
    match chance.randrange(3):
        case 0:
            words[at] = chance.choice(id_corpus.DIGIT_WORDS)
        case 1:
            del words[at]
        case _:
            words.insert(at, words[at].strip(".,"))
