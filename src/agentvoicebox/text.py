"""Text that comes from outside, as it may be spoken or shown: one line, no control characters, no markup."""

import re


def plain_text(text: str, longest: int) -> str:
    """Text on one line, without control characters and markup, at most `longest` characters."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"\s+", " ", re.sub(r"[<>{}\[\]|\\`]", " ", visible)).strip()[:longest].strip()
