"""Every provider's breaker can be seen before it was ever used, so that an alert can tell closed from unknown."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import ProviderError, ProviderUnavailable
from agentvoicebox.ports.providers import Tts
from agentvoicebox.providers.llm.registry import LanguageModels, Server
from agentvoicebox.providers.tts.chain import RETRY_AFTER_S, TtsChain
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState, most_open

pytestmark = pytest.mark.requirement("A13", "A9")

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


class Away:
    """A language model that is never there."""

    async def generate(self, request: Generate, job_id: str) -> AsyncIterator[TextDelta | ToolCallDelta | Generated]:
        raise ProviderUnavailable("away")
        yield TextDelta(job_id, "")

    async def check(self) -> None:
        raise ProviderUnavailable("away")


async def test_language_models_are_there_before_their_first_request() -> None:
    models = LanguageModels([Server("openai", "http://127.0.0.1:1", model="m"), Server("ollama", "http://127.0.0.1:1")])
    assert models.breakers() == {"openai": CLOSED, "ollama": CLOSED}
    await models.close()


async def test_a_language_model_that_fails_opens_its_own() -> None:
    changes: list[tuple[str, BreakerState]] = []
    models = LanguageModels(
        others={"away": Away(), "calm": Away()},
        breaker=Breaker(BreakerPolicy(failures_to_open=1)),
        on_change=lambda name, state: changes.append((name, state)),
    )
    request = Generate(response_id="resp_1", language_model="away", instructions="", messages=())
    with pytest.raises(ProviderError):
        async with asyncio.timeout(60):
            async for _ in models.get("away").llm.generate(request, "job_1"):
                pass
    assert models.breakers() == {"away": OPEN, "calm": CLOSED}
    assert changes == [("away", OPEN)]


def test_a_voice_engine_is_open_while_it_is_skipped_and_half_open_until_it_works() -> None:
    clock, is_broken = ManualClock(), [True]
    changes: list[tuple[str, BreakerState]] = []

    def one() -> Tts:
        if is_broken[0]:
            raise ProviderUnavailable("its model is not installed")
        return ScriptedTts()

    chain = TtsChain(
        [("one", one), ("two", ScriptedTts)],
        clock=clock,
        on_change=lambda name, state: changes.append((name, state)),
    )
    assert chain.breakers() == {"one": CLOSED, "two": CLOSED}
    list(chain.synthesize("Hello.", voice=""))
    assert chain.breakers() == {"one": OPEN, "two": CLOSED}
    clock.advance(RETRY_AFTER_S)
    assert chain.breakers() == {"one": HALF_OPEN, "two": CLOSED}
    is_broken[0] = False
    list(chain.synthesize("Hello.", voice=""))
    assert chain.breakers() == {"one": CLOSED, "two": CLOSED}
    assert changes == [("one", OPEN), ("one", CLOSED)]


def test_of_several_the_most_open_counts() -> None:
    assert most_open(CLOSED, OPEN, HALF_OPEN) is OPEN
    assert most_open(CLOSED, HALF_OPEN) is HALF_OPEN
    assert most_open(CLOSED) is CLOSED
