"""Text as a voice should read it: long numbers and tracking ids digit by digit, no markup, nothing that is only seen.

eSpeak reads "784512" as a quantity and "AB123" as a word; a caller who must write it down needs single characters in small
groups. Words, prices, dates and years are unchanged: the phonemizer reads those well.
"""

import re

from agentvoicebox.providers.tts.unspoken import said

GROUP = 3  # a listener holds three to four characters at a time
SPELLED_FROM = 5  # shorter numbers are quantities or years

_MARKUP = re.compile(r"[*_`#<>|~]+")
_CODE = re.compile(r"(?<![\w.,:/-])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?![\w/]|[.,:]\d)")


def speakable(text: str) -> str:
    """`text` ready for a phonemizer; empty when nothing in it can be said."""
    plain = " ".join(_MARKUP.sub(" ", said(text)).split())
    spoken = _CODE.sub(lambda match: spelled(match.group()) if _is_code(match.group()) else match.group(), plain)
    return spoken if any(character.isalnum() for character in spoken) else ""


def _is_code(word: str) -> bool:
    """Whether a word is an identifier: a long digit run, or digits mixed with capitals."""
    bare = word.replace("-", "")
    digits = sum(character.isdigit() for character in bare)
    letters = len(bare) - digits
    if letters == 0:
        return digits >= SPELLED_FROM and ("-" not in word or len(bare) > 8)  # 8: a date such as 2026-11-22
    if digits == 0:
        return False
    ordinal = re.fullmatch(r"\d+(?:st|nd|rd|th|s|am|pm|kg|km|cm|mm|g|m|h)", bare, re.IGNORECASE)
    return ordinal is None and len(bare) >= SPELLED_FROM and bare.upper() == bare


def spelled(code: str) -> str:
    """A code as single characters, a comma after each group: `AB1234` becomes `A B 1, 2 3 4`."""
    bare = code.replace("-", "")
    groups = [bare[place : place + GROUP] for place in range(0, len(bare), GROUP)]
    if len(groups) > 1 and len(groups[-1]) == 1:  # no single last character
        groups[-2:] = [groups[-2] + groups[-1]]
    return ", ".join(" ".join(group) for group in groups)
