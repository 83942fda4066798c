"""A language model, as workers and agent kits see it. Apart from the speech engines, so that who needs it loads no NumPy.

Raises ProviderUnavailable (not reachable; the message says what to set), ProviderTimeout or BadProviderAnswer, and nothing else.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate


class Llm(Protocol):
    """A language model: writes the assistant's next message."""

    def generate(self, request: Generate, job_id: str) -> AsyncIterator[TextDelta | ToolCallDelta | Generated]:
        """Stream the message; the last item is Generated. Cancelled by closing the iterator."""

    async def check(self) -> None:
        """Health: raises ProviderError when it could not answer now."""
