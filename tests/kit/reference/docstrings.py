"""What a docstring says: its first paragraph, and its `Attributes:` by name."""

import inspect
import re

_ENTRY = re.compile(r"\n {4}(?=[a-z0-9_]+(?:, [a-z0-9_]+)*:|[a-z0-9_]+(?:, [a-z0-9_]+)*,\n)")


def summary(kind: type) -> str:
    """The text before `Attributes:` or `Args:`, each paragraph on a line of its own."""
    text = inspect.getdoc(kind) or ""
    before = re.split(r"\n(?:Attributes|Args|Raises):\n", text)[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in before.split("\n\n"))


def attributes(kind: type) -> dict[str, str]:
    """The entry of each attribute; names that share an entry share its text."""
    found: dict[str, str] = {}
    entries = _ENTRY.split((inspect.getdoc(kind) or "").partition("Attributes:")[2])
    for entry in entries:
        names, colon, text = " ".join(entry.split()).partition(": ")
        if colon:
            found |= dict.fromkeys(names.split(", "), text.rstrip("."))
    return found
