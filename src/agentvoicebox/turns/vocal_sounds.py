"""Sounds of a voice that are no words, and the words that a listener puts in to show that he listens.

Hums, hesitations, a listener's "mm-hmm": recognisers write some of them down. Said during an answer they mean that the caller
listens or thinks. Otherwise they may be an answer, so they count as words there.
"""

import re


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(phrase.split("_")) for phrase in text.split())


# As recognisers spell them, with any number of each letter: mm, hmm, mhm, uh, uh-huh, um, ah, aha, er, eh, oh, ha.
_SOUND = re.compile(r"m+|h+m+|m+h+m*|u+h*|u+m+|h+u+h*|a+h*|a+h+a+h*|e+r*m*|e+h+|o+h*|h+a+h*")
_BETWEEN = re.compile(r"[^a-z0-9']+")

# What listeners say without wanting the floor. "Yes" and "okay" answer a question, so a caller who was asked is not judged by
# this list; "no", "thanks" and "what" are missing because they want something.
_BACKCHANNELS = _phrases("""
    yeah yes yep yup ya okay ok kay right sure fine good great nice cool perfect true exactly indeed really wow alright
    o_k all_right i_see i_know got_it gotcha of_course uh_huh mm_hmm all_good fair_enough makes_sense sounds_good go_on got
""")
_LONGEST_PHRASE = max(map(len, _BACKCHANNELS))
MOST_WORDS = 4  # "yeah, okay, all right"; who says more wants to say something

# Recognisers know few hums, and write the others as words of their sound: "Amen", "my mom". Nasals and vowels, one m at least.
_NASAL_LETTERS = re.compile(r"[aeiouymnh]+")
_HEARD_FOR_HUMS = (["remember"], ["i", "remember"])  # by Whisper tiny, often
_NEVER_HUMMED = frozenset(("i'm", "mine", "me", "name", "whom", "main", "many", "maybe"))


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text.lower()) if word]


def is_vocal_sound(text: str) -> bool:
    """Whether nothing in a transcript is a word. An empty one has no word, either."""
    return all(_SOUND.fullmatch(word) for word in _words(text))


def is_backchannel(text: str) -> bool:
    """Whether all of a transcript is what listeners put in: vocal sounds and up to MOST_WORDS such words. True without words."""
    words = _words(text)
    return (len(words) <= MOST_WORDS and not _rest(words)) or _is_hum_spelt_out(words)


def may_become_backchannel(text: str) -> bool:
    """Whether the transcript of a voice that goes on is the beginning of a backchannel, or one already: "I", "all"."""
    words = _words(text)
    rest = _rest(words)
    begins = any(phrase[: len(rest)] == tuple(rest) for phrase in _BACKCHANNELS)
    return (len(words) <= MOST_WORDS and begins) or _is_hum_spelt_out(words)


def _rest(words: list[str]) -> list[str]:
    """The words after the vocal sounds and backchannels that they begin with."""
    at = 0
    while at < len(words):
        length = next(
            (n for n in range(_LONGEST_PHRASE, 0, -1) if tuple(words[at : at + n]) in _BACKCHANNELS),
            1 if _SOUND.fullmatch(words[at]) else 0,
        )
        if not length:
            break
        at += length
    return words[at:]


def _is_hum_spelt_out(words: list[str]) -> bool:
    return (
        0 < len(words) <= MOST_WORDS
        and words != ["my"]
        and _NEVER_HUMMED.isdisjoint(words)
        and all(map(_NASAL_LETTERS.fullmatch, words))
        and any("m" in word for word in words)
    ) or words in _HEARD_FOR_HUMS
