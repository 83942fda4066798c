"""Language models by name; `model_names` says what a name means."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from agentvoicebox.errors import NotInstalled, ProviderError
from agentvoicebox.ports.language_model import Llm, ModelServer
from agentvoicebox.providers.guard import FIRST_TOKEN_WITHIN_S, LAST_FIRST_TOKEN_WITHIN_S, FailoverLlm, GuardedLlm
from agentvoicebox.providers.llm.model_names import parts_of, what_is_missing
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox.resilience.breaker import Breaker, BreakerState, most_open


class LanguageModel(msgspec.Struct, frozen=True):
    """A language model that is ready for use.

    Attributes:
        llm: generates the text.
        is_deterministic: the same request always gives the same stream, so it can be run again to continue after a crash.
    """

    llm: Llm
    is_deterministic: bool


class Server(msgspec.Struct, frozen=True):
    """An OpenAI-compatible server.

    Attributes:
        model: its model, unless an agent names another.
        preset, extra, context_tokens: see `OpenAICompatibleLlm`; the context holds for all its models.
    """

    name: str
    base_url: str = ""
    api_key: str = ""
    model: str = ""
    preset: str = ""
    extra: dict[str, Any] = {}
    context_tokens: int = 0

    def __repr__(self) -> str:
        """Without its key."""
        return f"Server({self.name!r})"


class LanguageModels:
    """The language models of this process.

    Args:
        servers: in order of preference. The first may be called `openai`; agents refer to servers by name.
        others: further providers by name, guarded like the servers.
        deterministic: models of the kits by name; the same request always gives the same stream.
        grounded: wraps each model that is not deterministic, so that it states only what tools returned (`Kits.grounded`).
        breaker: initial state of each provider's circuit breaker.
        on_change: called with a provider's name and the new state of one of its breakers.
    """

    def __init__(
        self,
        servers: Sequence[Server] = (),
        *,
        others: Mapping[str, Llm] | None = None,
        deterministic: Mapping[str, Llm] | None = None,
        grounded: Callable[[Llm], Llm] = lambda llm: llm,
        breaker: Breaker | None = None,
        on_change: Callable[[str, BreakerState], None] = lambda name, state: None,
    ) -> None:
        self._on_change = on_change
        self._breaker = breaker or Breaker()
        self._deterministic = dict(deterministic or {})
        self._grounded = grounded
        self._servers = {server.name: server for server in servers}
        self._clients = {
            server.name: OpenAICompatibleLlm(
                base_url=server.base_url,
                api_key=server.api_key,
                model=server.model,
                preset=server.preset,
                extra=server.extra,
                context_tokens=server.context_tokens,
            )
            for server in servers
        }
        self._providers: dict[str, ModelServer] = {**(deterministic or {}), **(others or {}), **self._clients}
        self._guarded: dict[tuple[str, float], GuardedLlm] = {}
        self._made: dict[str, LanguageModel] = {}
        self._guards_of: dict[str, tuple[GuardedLlm, ...]] = {}

    def get(self, name: str) -> LanguageModel:
        """The language model of a name.

        Raises:
            NotInstalled: it is not configured; the message names the setting.
        """
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    async def check(self) -> dict[str, str]:
        """Health of each provider: "" if it can answer now, otherwise the reason."""
        health = {}
        for name, llm in self._providers.items():
            try:
                await llm.check()
                health[name] = ""
            except ProviderError as error:
                health[name] = error.message
        return health

    def breakers(self) -> dict[str, BreakerState]:
        """The state of each provider that may fail; of several models of one server, the most open."""
        states = dict.fromkeys(self._providers.keys() - self._deterministic.keys(), BreakerState.CLOSED)
        for (part, _), guarded in self._guarded.items():
            provider = part.partition("/")[0]
            states[provider] = most_open(states.get(provider, BreakerState.CLOSED), guarded.breaker_state)
        return states

    @property
    def has_suspects(self) -> bool:
        """Whether a provider has failed and has not answered since."""
        return any(guarded.is_suspect for guarded in self._guarded.values())

    async def unavailable(self) -> frozenset[str]:
        """The names for which no provider can answer now. Checks only providers that have failed."""
        suspects = [guarded for guarded in self._guarded.values() if guarded.is_suspect]
        await asyncio.gather(*(guarded.check() for guarded in suspects), return_exceptions=True)
        return frozenset(
            name for name, behind in self._guards_of.items() if behind and all(each.is_suspect for each in behind)
        )

    async def close(self) -> None:
        """Close connections. Idempotent."""
        for client in self._clients.values():
            await client.close()

    def _make(self, name: str) -> LanguageModel:
        servers = {server.name: server.model for server in self._servers.values()}
        if missing := what_is_missing(name, servers, self._providers.keys() - servers.keys()):
            raise NotInstalled(missing)
        parts = parts_of(name, servers)
        if len(parts) == 1 and parts[0] in self._deterministic:
            return LanguageModel(self._deterministic[parts[0]], is_deterministic=True)
        each_s = FIRST_TOKEN_WITHIN_S / max(1, len(parts) - 1)
        guarded = [self._guard(part, each_s) for part in parts[:-1]] + [
            self._guard(parts[-1], LAST_FIRST_TOKEN_WITHIN_S)
        ]
        self._guards_of[name] = tuple(guarded)
        return LanguageModel(self._grounded(FailoverLlm(guarded)), is_deterministic=False)

    def _guard(self, part: str, timeout_s: float) -> GuardedLlm:
        provider, _, model = part.partition("/")
        key = (part, timeout_s)
        if key not in self._guarded:
            llm = self._providers[provider]
            if model and isinstance(llm, OpenAICompatibleLlm):
                llm = llm.with_model(model)
            self._guarded[key] = GuardedLlm(
                part,
                llm,
                first_token_within_s=timeout_s,
                breaker=self._breaker,
                on_change=partial(self._on_change, provider),
            )
        return self._guarded[key]
