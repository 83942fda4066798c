"""The client's tool that ends a call, such as a telephone line offers. The dialogue calls it with its last line."""

from collections.abc import Sequence

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.chat import OfferedTool

NAME = "hang_up"


def is_due(line: str, tools: Sequence[OfferedTool]) -> bool:
    """Whether the call ends with this line of ours: it says goodbye, and the client can hang up."""
    return line.endswith(phrases.BYE) and any(tool.name == NAME for tool in tools)
