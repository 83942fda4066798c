"""The client's tools that end its part of a call, as a telephone line offers them. The dialogue calls one with its last line."""

from collections.abc import Sequence

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.chat import TRANSFER, OfferedTool

HANG_UP = "hang_up"
NAMES = frozenset({HANG_UP, TRANSFER})


def due_with(line: str, tools: Sequence[OfferedTool]) -> str:
    """The tool to call with this line of ours: after a goodbye, or when the caller is put through; "": none, or not offered."""
    name = HANG_UP if line.endswith(phrases.BYE) else TRANSFER if line == phrases.TRANSFERRED else ""
    return name if any(tool.name == name for tool in tools) else ""
