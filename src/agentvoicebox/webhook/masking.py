"""Masks ids for log lines: shows the end, which is enough to compare ids, but not enough to look one up."""

import re

SHOWN = 4
EVENT_NAME = re.compile(r"[a-z]+(?:[.-][a-z]+){1,4}")
LONGEST_EVENT_NAME = 40


def masked(value: object) -> str:
    """For example `…6784`. Of a short id nothing is shown, because its end would be most of it."""
    text = str(value)
    end = text[-SHOWN:] if len(text) > 2 * SHOWN and text[-SHOWN:].isalnum() and text.isascii() else ""
    return f"…{end}"


def event_name(value: str | None, known: frozenset[str]) -> str:
    """A message's type for the log: a known type, or an unknown one in the form of an event name; otherwise `other`."""
    if value in known:
        return str(value)
    is_name = value is not None and len(value) <= LONGEST_EVENT_NAME and EVENT_NAME.fullmatch(value)
    return str(value) if is_name else "other"
