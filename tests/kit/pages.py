"""Pages of `docs/` as tests read them: their fenced blocks of code.

A block whose fence names a file (```` ```python appointments.py ````) shows a part of that file; one marked `sh` holds commands.
"""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "agent-kits.md"
_BLOCK = re.compile(r"^```(?P<language>\w*) ?(?P<file>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, the file that it is a part of ("" for none), and its lines."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All of them, in order."""
    return [Block(**found.groupdict()) for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[str]:
    """The lines of its `sh` blocks, without comments."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    return [line.partition("  # ")[0].rstrip() for line in lines if line.strip()]


def after(page: Path, command: str) -> str:
    """The block that follows the one with a command: what the page says the answer is."""
    found = blocks(page)
    place = next(index for index, block in enumerate(found) if block.language == "sh" and command in block.text)
    return found[place + 1].text
