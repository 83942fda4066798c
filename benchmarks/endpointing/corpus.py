"""What the callers of the corpus say: 80 turns for each of eight voices, with exact pauses inside. Deterministic.

Decides the words and pauses, not the sound. Half of the voices are for tuning; settings are judged by the others.
"""

import random
from dataclasses import dataclass
from itertools import pairwise

from agentvoicebox_delivery.evals.id_corpus import DIGIT_WORDS, spelled
from agentvoicebox_delivery.evals.id_voices import Speaker

TUNING, UNSEEN = "tuning", "unseen"
VOICES: dict[str, tuple[Speaker, ...]] = {
    TUNING: (Speaker("piper"), Speaker("flite", "slt"), Speaker("flite", "rms"), Speaker("espeak", "en-us")),
    UNSEEN: (
        Speaker("flite", "awb"),
        Speaker("piper", speed=1.1, pitch=0.9),
        Speaker("flite", "kal16"),
        Speaker("espeak", "en-gb-x-rp+f5"),
    ),
}
LINES = ("clean", "clean", "clean", "noise 20 dB", "telephone µ-law")
SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS = 200, 1_200

HELP = "Hello, this is the delivery line. How can I help you?"
NUMBER = "What's the tracking number?"
RIGHT = "I have P K G, zero zero four. Is that right?"
ELSE = "It arrives tomorrow. Is there anything else?"

PLAIN = (
    "Where is my parcel?", "I'd like to know where my parcel is.", "Has my order been shipped yet?", "When will it arrive?",
    "I'm calling about a delivery that never came.", "Can you check on my package, please?", "My parcel is late.",
    "I want to track a parcel.", "Could you tell me what time it is coming?", "I have a question about a delivery.",
    "Is it possible to change the address?", "The driver left it at the wrong house.", "I don't have the number.",
    "I need a bit of help with my order.",
)  # fmt: skip
YES_NO = (
    "Yes.", "No.", "Yes, that's right.", "No, that's wrong.", "Yeah.", "Correct.", "Yes, please.", "No, thank you.", "Nope.",
    "That's right.",
)  # fmt: skip
# Answers that go on after the word which seems to be all of them.
LONGER_YES_NO = (("Yes,", "it is."), ("No,", "that's not it."))
FRAMES = ("{}.", "It's {}.", "My number is {}.", "The tracking number is {}.", "Sure, it's {}.", "Okay, {}.")
FILLED = (
    ("My number is, um,", "{}."), ("It's, uh,", "{}."), ("I have, um,", "a question about my parcel."),
    ("Well, um,", "I wanted to know where it is."), ("Hold on,", "it's {}."), ("Let me see,", "{}."),
    ("So, uh,", "my parcel hasn't come."), ("The number is,", "{}."),
)  # fmt: skip
RESTARTED = (
    ("I want to,", "I need to know where my parcel is."), ("Can you,", "could you look up a parcel?"),
    ("It was, it was", "sent last week."), ("My parcel,", "my order hasn't arrived."), ("The number,", "the number is {}."),
    ("I think,", "I think it was sent on Monday."),
)  # fmt: skip
CLAUSES = (
    ("I ordered it last week.", "And it hasn't arrived."), ("I was at home all day", "but nobody came."),
    ("I want to know", "when it will be delivered."), ("My parcel is late", "and I need it tomorrow."),
    ("Can you tell me", "where my parcel is?"), ("Hello.", "I'm calling about a parcel."),
    ("I moved last month,", "so the address is wrong."), ("It says delivered.", "But I don't have it."),
)  # fmt: skip
# Kinds with a pause after what answers the question completely: "Yes. … It is." To end the turn there loses no word that matters.
AFTER_AN_ANSWER = ("yes or no, longer", "number, then thanks")
BACKCHANNELS = ("Mm-hmm.", "Okay.")


@dataclass(frozen=True)
class CorpusTurn:
    """One turn.

    Attributes:
        number: from 0.
        kind: of the list that it comes from.
        split: `tuning` or `unseen`.
        speaker: the voice.
        line: see `id_voices.LINES`.
        asked: what the agent said before.
        pieces: what is said, in order; empty for a cough.
        pauses_ms: between the pieces.
        tracking_id: the number that is said; "" for none.
    """

    number: int
    kind: str
    split: str
    speaker: Speaker
    line: str
    asked: str
    pieces: tuple[str, ...]
    pauses_ms: tuple[int, ...] = ()
    tracking_id: str = ""


def corpus() -> list[CorpusTurn]:
    """All turns. Every prefix of the list has voices and kinds in about equal parts."""
    chance = random.Random("endpointing")
    made = [_of_voice(split, speaker, chance) for split, voices in VOICES.items() for speaker in voices]
    columns = [turn for row in zip(*made, strict=True) for turn in row]
    return [CorpusTurn(number, *turn) for number, turn in enumerate(columns)]


def tracking_ids() -> frozenset[str]:
    """Every number that somebody says."""
    return frozenset(turn.tracking_id for turn in corpus() if turn.tracking_id)


def _of_voice(split: str, speaker: Speaker, chance: random.Random) -> list[tuple]:  # type: ignore[type-arg]
    said: list[tuple[str, str, tuple[str, ...], str]] = [("plain", HELP, (text,), "") for text in PLAIN]
    said += [("yes or no", RIGHT if text[0] in "YC" else ELSE, (text,), "") for text in YES_NO]
    said += [("yes or no, longer", RIGHT, pieces, "") for pieces in LONGER_YES_NO]
    for _ in range(10):
        number = _number(chance)
        said.append(("number", NUMBER, (chance.choice(FRAMES).format(_said(number, chance)),), number))
    for _ in range(16):
        number = _number(chance)
        said.append(("number with pauses", NUMBER, _grouped(number, chance), number))
    for kind, rows in (("filler", FILLED), ("restart", RESTARTED), ("clauses", CLAUSES)):
        for row in rows:
            number = _number(chance) if "{}" in "".join(row) else ""
            said.append((kind, NUMBER if number else HELP, tuple(p.format(_said(number, chance)) for p in row), number))
    said += [("backchannel", ELSE, (text,), "") for text in BACKCHANNELS]
    said += [("cough", ELSE, (), ""), ("cough", HELP, (), "")]
    said += [
        ("number, then thanks", NUMBER, (f"It's {_said(n := _number(chance), chance)}.", "Thanks."), n)
        for _ in range(2)
    ]
    chance.shuffle(said)
    return [
        (kind, split, speaker, chance.choice(LINES), asked, pieces, _pauses(len(pieces) - 1, chance), number)
        for kind, asked, pieces, number in said
    ]


def _number(chance: random.Random) -> str:
    """A merchant's number (PKG004), or a plain one of ten digits."""
    if chance.random() < 0.65:
        return f"PKG{chance.randrange(1000):03d}"
    return "".join(str(chance.randrange(10)) for _ in range(10))


def _said(number: str, chance: random.Random) -> str:
    """A number in one breath: letters as letters or as alphabet words."""
    if not number or chance.random() < 0.3:
        return spelled(number)
    return " ".join(DIGIT_WORDS[int(each)] if each.isdigit() else each for each in number)


def _grouped(number: str, chance: random.Random) -> tuple[str, ...]:
    """A number in two to four groups, with a beginning of its own in half of the cases."""
    if number.startswith("PKG"):
        groups = ["P K G", " ".join(DIGIT_WORDS[int(each)] for each in number[3:])]
        if chance.random() < 0.4:
            groups[1:] = [*(DIGIT_WORDS[int(each)] for each in number[3:5]), DIGIT_WORDS[int(number[5])]]
    else:
        cuts = chance.choice(((3, 6), (5,), (3, 6, 8), (2, 5)))
        bounds = (0, *cuts, len(number))
        parts = (number[a:b] for a, b in pairwise(bounds))
        groups = [" ".join(DIGIT_WORDS[int(each)] for each in part) for part in parts]
    opening = chance.choice(("", "", "It's ", "My tracking number is "))
    if opening and chance.random() < 0.5:
        return (opening.strip(), *groups[:-1], f"{groups[-1]}.")
    return (f"{opening}{groups[0]}", *groups[1:-1], f"{groups[-1]}.")


def _pauses(count: int, chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.randrange(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS + 1, 20) for _ in range(max(0, count)))
