"""Tags in text that arrives in pieces: a tag may be cut anywhere."""

import re
from collections.abc import Iterable

_MOST_OF_A_TEXT = 3  # characters of a tag that text may end with by chance


def unless_tag(rest: str) -> str:
    """The end of a text that may be the beginning of a tag: nothing where it clearly is one, cut off."""
    return rest if len(rest) <= _MOST_OF_A_TEXT else ""


class TagFinder:
    """Finds the first of some tags in a text, without regard to case."""

    def __init__(self, tags: Iterable[str]) -> None:
        self._tags = tuple(tag.lower() for tag in tags)
        self._pattern = re.compile("|".join(re.escape(tag) for tag in sorted(self._tags, key=len, reverse=True)), re.I)
        self._longest = max(map(len, self._tags))

    def find(self, text: str) -> tuple[int, int, str] | None:
        """Begin, end and lower-case name of the first tag; None where there is none."""
        found = self._pattern.search(text)
        return None if found is None else (found.start(), found.end(), found.group().lower())

    def begun(self, text: str) -> int:
        """How many of the last characters may be the beginning of a tag."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            end = text[-length:].lower()
            if any(tag.startswith(end) for tag in self._tags):
                return length
        return 0
