"""Text as it is written → segments for synthesis: the first one as early as possible, the rest by sentence.

A segment never ends inside a word or a number. The first may be a clause, because the caller waits for its audio.
"""

import re

import msgspec

FIRST_SEGMENT_MIN_CHARS = 12  # shorter clauses ("Yes,") sound clipped when synthesised alone
SEGMENT_MAX_CHARS = 240  # about 15 s of speech; bounds what a cancel discards
SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s)")
CLAUSE_END = re.compile(r"[,;:\u2013\u2014](?=\s)")
ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|etc|e\.g|i\.e)|\b[A-Z])\.$")


class Segmenter(msgspec.Struct):
    """Cuts a growing text into segments.

    Attributes:
        pending: text that is in no segment yet.
        count: how many segments were returned.
    """

    pending: str = ""
    count: int = 0

    def feed(self, text: str) -> list[str]:
        """Add text; returns the segments that are complete now."""
        self.pending += text
        segments: list[str] = []
        while (end := self._cut()) is not None:
            self._emit(end, segments)
        return segments

    def flush(self) -> list[str]:
        """End the text; returns what is left as the last segment."""
        segments: list[str] = []
        self._emit(len(self.pending), segments)
        return segments

    def _emit(self, end: int, segments: list[str]) -> None:
        segment, self.pending = self.pending[:end].strip(), self.pending[end:]
        if segment:
            self.count += 1
            segments.append(segment)

    def _cut(self) -> int | None:
        """Where the next segment ends, or None while that is unknown."""
        for match in SENTENCE_END.finditer(self.pending):
            if not ABBREVIATION.search(self.pending[: match.end()]):
                return match.end()
        if self.count == 0:
            for match in CLAUSE_END.finditer(self.pending):
                if match.end() >= FIRST_SEGMENT_MIN_CHARS:
                    return match.end()
        if len(self.pending) > SEGMENT_MAX_CHARS:
            space = self.pending.rfind(" ", 0, SEGMENT_MAX_CHARS)
            return space if space > 0 else SEGMENT_MAX_CHARS
        return None
