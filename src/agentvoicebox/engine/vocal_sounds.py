"""Sounds of a voice that are no words: hums, hesitations, a listener's "mm-hmm". Recognisers write some of them down.

Said during an answer they mean that the caller listens or thinks. Otherwise they may be an answer, so they count as words there.
"""

import re

# As recognisers spell them, with any number of each letter: mm, hmm, mhm, uh, uh-huh, um, ah, aha, er, eh, oh, ha.
_SOUND = re.compile(r"m+|h+m+|m+h+m*|u+h*|u+m+|h+u+h*|a+h*|a+h+a+h*|e+r*m*|e+h+|o+h*|h+a+h*")
_BETWEEN = re.compile(r"[^a-z0-9']+")


def is_vocal_sound(text: str) -> bool:
    """Whether nothing in a transcript is a word. An empty one has no word, either."""
    return all(_SOUND.fullmatch(token) for token in _BETWEEN.split(text.lower()) if token)
