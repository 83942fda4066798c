"""How an id may appear in a log line: its end, which people compare, and nothing that finds a parcel or a call."""

import re

SHOWN = 4
EVENT_NAME = re.compile(r"[a-z]+(?:[.-][a-z]+){1,4}")
LONGEST_EVENT_NAME = 40


def masked(value: object) -> str:
    """`…6784`; an id so short that its end would be most of it shows nothing."""
    text = str(value)
    end = text[-SHOWN:] if len(text) > 2 * SHOWN and text[-SHOWN:].isalnum() and text.isascii() else ""
    return f"…{end}"


def event_name(value: str | None, known: frozenset[str]) -> str:
    """A message's type for the log: a known one, or an unknown one that looks like an event's name; anything else is `other`."""
    if value in known:
        return str(value)
    is_name = value is not None and len(value) <= LONGEST_EVENT_NAME and EVENT_NAME.fullmatch(value)
    return str(value) if is_name else "other"
