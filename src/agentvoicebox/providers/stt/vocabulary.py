"""From Whisper's token numbers to text: a vocabulary file and GPT-2's map of bytes to printable characters.

Source: the byte table of the GPT-2 tokenizer (printable bytes map to themselves; the others to U+0100 and up, in order).
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from agentvoicebox.errors import BadProviderAnswer


@cache
def _byte_of_character() -> dict[str, int]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    hidden = (byte for byte in range(256) if byte not in table.values())
    table.update({chr(0x100 + place): byte for place, byte in enumerate(hidden)})
    return table


class Vocabulary:
    """The tokens of one model, by number. Numbers from `<|endoftext|>` on are marks, not text."""

    def __init__(self, path: Path) -> None:
        """Read `vocabulary.txt` (one token a line). Raises BadProviderAnswer when it has no end-of-text mark."""
        self._tokens = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        self._number = {token: number for number, token in enumerate(self._tokens)}
        if "<|endoftext|>" not in self._number:
            raise BadProviderAnswer(f"{path} is not a Whisper vocabulary")
        self.end = self._number["<|endoftext|>"]

    def number(self, token: str) -> int | None:
        """The number of a mark such as `<|en|>`, or None."""
        return self._number.get(token)

    def text(self, numbers: Iterable[int]) -> str:
        """Text of a run of tokens; marks are left out, invalid UTF-8 becomes U+FFFD."""
        table = _byte_of_character()
        raw = bytearray()
        for number in numbers:
            if number < self.end:
                raw.extend(table[character] for character in self._tokens[number])
        return raw.decode("utf-8", errors="replace")
