"""Language models by name.

As an agent's file writes it: `dialogue`, `openai`, `openai/<model>`, or several in order of preference,
`openai/<model>,dialogue`.
"""

from collections.abc import Mapping

import msgspec

from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import ProviderError, ProviderUnavailable
from agentvoicebox.ports.providers import Llm
from agentvoicebox.providers.guard import LAST_PATIENCE_S, PATIENCE_S, FailoverLlm, GuardedLlm
from agentvoicebox.providers.llm.dialogue import DialogueLlm
from agentvoicebox.providers.llm.grounded import GroundedLlm
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm


class LanguageModel(msgspec.Struct, frozen=True):
    """A language model to work with.

    Attributes:
        is_deterministic: the same request always gives the same stream, so it may be run again to go on after a crash.
    """

    llm: Llm
    is_deterministic: bool


class LanguageModels:
    """All that this process can use.

    Args:
        base_url, api_key, model: of the OpenAI-compatible server; without the first two there is none.
        others: further providers by name, guarded like the rest.
    """

    def __init__(
        self, *, base_url: str = "", api_key: str = "", model: str = "", others: Mapping[str, Llm] | None = None
    ) -> None:
        self._model = model
        self._openai = (
            OpenAICompatibleLlm(base_url=base_url, api_key=api_key, model=model) if base_url or api_key else None
        )
        self._providers: dict[str, Llm] = {"dialogue": DialogueLlm(), **(others or {})}
        if self._openai is not None:
            self._providers["openai"] = self._openai
        self._guarded: dict[tuple[str, bool], GuardedLlm] = {}
        self._made: dict[str, LanguageModel] = {}

    def get(self, name: str) -> LanguageModel:
        """The language model of a name.

        Raises:
            ProviderUnavailable: it isn't set up; the message says what to set.
        """
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    async def check(self) -> dict[str, str]:
        """Health of each provider: "" when it can answer now, else why not."""
        health = {}
        for name, llm in self._providers.items():
            try:
                await llm.check()
                health[name] = ""
            except ProviderError as error:
                health[name] = error.message
        return health

    async def close(self) -> None:
        """Close connections. Idempotent."""
        if self._openai is not None:
            await self._openai.close()

    def _make(self, name: str) -> LanguageModel:
        parts = [part.strip() for part in name.split(",") if part.strip()]
        if not parts:
            raise ProviderUnavailable("no language model is named; `dialogue` needs nothing")
        if parts == ["dialogue"]:
            return LanguageModel(self._providers["dialogue"], is_deterministic=True)
        guarded = [self._guard(part, is_last=place + 1 == len(parts)) for place, part in enumerate(parts)]
        grounded = GroundedLlm(FailoverLlm(guarded), SystemClock().wall_s)
        return LanguageModel(grounded, is_deterministic=False)

    def _guard(self, part: str, *, is_last: bool) -> GuardedLlm:
        provider, _, model = part.partition("/")
        if provider not in self._providers:
            hint = "set AVB_LLM_BASE_URL or AVB_LLM_API_KEY" if provider == "openai" else "known: dialogue, openai"
            raise ProviderUnavailable(f"there is no language model {part!r}: {hint}")
        if provider == "openai" and not (model or self._model):
            raise ProviderUnavailable("which model? Write `openai/<model>` in the agent's file, or set AVB_LLM_MODEL")
        key = (part, is_last)
        if key not in self._guarded:
            llm = self._providers[provider]
            if model and isinstance(llm, OpenAICompatibleLlm):
                llm = llm.with_model(model)
            self._guarded[key] = GuardedLlm(part, llm, patience_s=LAST_PATIENCE_S if is_last else PATIENCE_S)
        return self._guarded[key]
