"""How many tokens a prompt takes, on the safe side.

Vocabularies differ between models, and none is part of this package, so this is an estimate for all of them: it may be too high
by half, and is rarely too low. A server's own count, where it gives one, is used for usage instead.
"""

import json
import re
from collections.abc import Sequence

from agentvoicebox.engine.jobs import ChatMessage, ToolSpec

ASCII_PER_TOKEN = 3  # English has four and more
BYTES_PER_TOKEN = 2  # of other characters: three of Chinese are about one token, two of Cyrillic at most one
LINE_TOKENS = 8  # the role and the marks of a line
IMAGE_TOKENS = 1_200  # of the largest that models take, after they have scaled it
_ASCII = re.compile(r"[\x00-\x7f]+")
_ONE_EACH = re.compile(r"[0-9!-/:-@\[-`{-~]")  # digits and marks are often tokens of their own


def text_tokens(text: str) -> int:
    """Of a text."""
    others = "" if text.isascii() else _ASCII.sub("", text)
    singles = len(_ONE_EACH.findall(text))
    plain = len(text) - len(others) - singles
    return singles - (-plain // ASCII_PER_TOKEN) - (-len(others.encode(errors="replace")) // BYTES_PER_TOKEN)


def message_tokens(message: ChatMessage, *, sees_images: bool = True) -> int:
    """Of one line, with its calls and, where the model sees them, its images."""
    calls = sum(LINE_TOKENS + text_tokens(call.name) + text_tokens(call.arguments) for call in message.tool_calls)
    images = (IMAGE_TOKENS if sees_images else LINE_TOKENS) * len(message.images)
    return LINE_TOKENS + text_tokens(message.text) + calls + images


def fixed_tokens(instructions: str, tools: Sequence[ToolSpec]) -> int:
    """Of what stands in every prompt: instructions and tools."""
    listed = sum(
        LINE_TOKENS + text_tokens(tool.name + tool.description) + text_tokens(json.dumps(tool.parameters))
        for tool in tools
    )
    return LINE_TOKENS + text_tokens(instructions) + listed
