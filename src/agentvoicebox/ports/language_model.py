"""A language model, as workers and agent kits see it. Apart from the speech engines, so that who needs it loads no NumPy.

Raises ProviderUnavailable (not reachable; the message says what to set), ProviderTimeout, BadProviderAnswer or PromptTooLong, and
nothing else.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate


class Llm(Protocol):
    """A language model: writes the assistant's next message."""

    def generate(self, request: Generate, job_id: str) -> AsyncIterator[TextDelta | ToolCallDelta | Generated]:
        """Stream the message; the last item is Generated. Cancelled by closing the iterator."""

    async def check(self) -> None:
        """Health: raises ProviderError when it could not answer now."""


class LifeSign(msgspec.Struct, frozen=True):
    """The model works, but there is nothing to say yet: it thinks, or writes what is no text. Only the guard sees these."""


class ModelServer(Protocol):
    """A language model that also gives signs of life. Guarded (`providers/guard`), it is an Llm."""

    def generate(
        self, request: Generate, job_id: str
    ) -> AsyncIterator[TextDelta | ToolCallDelta | Generated | LifeSign]:
        """As Llm.generate, with signs of life at any place before Generated."""

    async def check(self) -> None:
        """As Llm.check."""
