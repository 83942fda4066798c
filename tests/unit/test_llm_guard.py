"""The guard around language models: tries, limits, breaker and failover, all before the first token."""

import asyncio
from contextlib import aclosing

import pytest
from tests.kit.scripted_llm import Line, Pause, ScriptedLlm
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import Generated, TextDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import (
    BadProviderAnswer,
    ProviderBrokeOff,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from agentvoicebox.ports.language_model import LifeSign
from agentvoicebox.providers.guard import Delta, FailoverLlm, GuardedLlm
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState

REQUEST = Generate("resp_1", "openai", "", ())
AWAY = ProviderUnavailable("away")


def guarded(
    *lines: Line, clock: ManualClock | None = None, tries: int = 2, patience_s: float = 30.0, stall_s: float = 15.0
) -> tuple[GuardedLlm, ScriptedLlm]:
    llm = ScriptedLlm(*lines)
    guard = GuardedLlm(
        "test", llm, backoff=Backoff(first_s=0.0, tries=tries), breaker=Breaker(BreakerPolicy(failures_to_open=3)),
        clock=clock, first_token_within_s=patience_s, stall_s=stall_s,
    )  # fmt: skip
    return guard, llm


async def written(llm: GuardedLlm | FailoverLlm) -> list[Delta]:
    return [delta async for delta in llm.generate(REQUEST, "job_1")]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_a_failure_before_the_first_token_is_tried_again() -> None:
    guard, llm = guarded((AWAY,), ("It is ", "here."))
    assert text(await written(guard)) == "It is here."
    assert len(llm.requests) == 2


async def test_a_failure_after_the_first_token_is_not() -> None:
    guard, llm = guarded(("It is ", AWAY), ("It is here.",))
    got: list[Delta] = []
    with pytest.raises(ProviderUnavailable):
        async for delta in guard.generate(REQUEST, "job_1"):
            got.append(delta)
    assert text(got) == "It is " and len(llm.requests) == 1


async def test_what_can_not_get_better_is_not_tried_again_and_does_not_count() -> None:
    guard, llm = guarded((BadProviderAnswer("no"),))
    for _ in range(5):
        with pytest.raises(BadProviderAnswer):
            await written(guard)
    assert len(llm.requests) == 5 and guard.breaker_state is BreakerState.CLOSED


async def test_silence_before_the_first_token_is_a_timeout_and_closes_the_stream() -> None:
    guard, llm = guarded((Pause(),), tries=1, patience_s=0.01)
    with pytest.raises(ProviderTimeout):
        await written(guard)
    assert llm.closed == 1


async def test_silence_within_an_answer_is_a_timeout() -> None:
    guard, _ = guarded(("It is ", Pause()), stall_s=0.01)
    with pytest.raises(ProviderBrokeOff, match="silent"):
        await written(guard)


async def test_an_answer_that_ends_without_its_end_is_a_failure() -> None:
    class Broken(ScriptedLlm):
        async def generate(self, request: Generate, job_id: str):  # type: ignore[no-untyped-def]
            yield TextDelta(job_id, "half")

    with pytest.raises(ProviderUnavailable):
        await written(GuardedLlm("test", Broken()))


async def test_the_breaker_opens_refuses_at_once_probes_and_closes() -> None:
    clock = ManualClock()
    guard, llm = guarded((AWAY,), (AWAY,), (AWAY,), ("Here.",), clock=clock, tries=1)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await written(guard)
    assert guard.breaker_state is BreakerState.OPEN
    with pytest.raises(ProviderUnavailable):
        await written(guard)
    with pytest.raises(ProviderUnavailable):
        await guard.check()
    assert len(llm.requests) == 3, "nobody knocked"
    clock.advance(30.0)
    assert text(await written(guard)) == "Here."
    state: BreakerState = guard.breaker_state
    assert state.value == "closed"


async def test_a_cancelled_probe_leaves_room_for_the_next() -> None:
    clock = ManualClock()
    pause = Pause()
    guard, _ = guarded((AWAY,), (AWAY,), (AWAY,), ("Here ", pause), ("Here.",), clock=clock, tries=1)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await written(guard)
    clock.advance(30.0)
    async with aclosing(guard.generate(REQUEST, "job_1")) as deltas:
        await anext(deltas)
    assert text(await written(guard)) == "Here."


async def test_a_breaker_may_be_closed_by_hand() -> None:
    guard, _ = guarded((AWAY,), (AWAY,), (AWAY,), ("Here.",), clock=ManualClock(), tries=1)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await written(guard)
    guard.reset()
    assert text(await written(guard)) == "Here."


async def test_the_next_provider_is_asked_when_one_is_silent_too_long() -> None:
    slow, slow_llm = guarded((Pause(),), tries=1, patience_s=0.01)
    good, _ = guarded(("Here.",))
    assert text(await written(FailoverLlm([slow, good]))) == "Here."
    assert slow_llm.closed == 1


async def test_nothing_is_said_twice_by_failing_over() -> None:
    broken, _ = guarded(("It is ", AWAY))
    good, good_llm = guarded(("It is here.",))
    with pytest.raises(ProviderUnavailable):
        await written(FailoverLlm([broken, good]))
    assert good_llm.requests == []


async def test_when_all_fail_the_last_one_says_why() -> None:
    first, _ = guarded((AWAY,))
    last, _ = guarded((BadProviderAnswer("refused"),))
    with pytest.raises(ProviderError, match="refused"):
        await written(FailoverLlm([first, last]))


async def test_closing_the_stream_closes_the_providers() -> None:
    pause = Pause()
    guard, llm = guarded(("It is ", pause))
    async with aclosing(FailoverLlm([guard]).generate(REQUEST, "job_1")) as deltas:
        assert isinstance(await anext(deltas), TextDelta)
    assert llm.closed == 1


async def test_the_end_comes_last_and_once() -> None:
    guard, _ = guarded(("a", "b"))
    got = await asyncio.wait_for(written(guard), PATIENCE_S)
    assert [type(delta) for delta in got] == [TextDelta, TextDelta, Generated]


class Thinking(ScriptedLlm):
    """Thinks so many times, each so many seconds of the clock, before its line."""

    def __init__(self, clock: ManualClock, times: int, each_s: float, *line: str) -> None:
        super().__init__(line)
        self._clock, self._times, self._each_s = clock, times, each_s

    async def generate(self, request: Generate, job_id: str):  # type: ignore[no-untyped-def]
        for _ in range(self._times):
            self._clock.advance(self._each_s)
            yield LifeSign()
        async for delta in super().generate(request, job_id):
            yield delta
            self._clock.advance(self._each_s)
            yield LifeSign()


def thinking(times: int, each_s: float, *line: str) -> tuple[GuardedLlm, Thinking]:
    clock = ManualClock()
    llm = Thinking(clock, times, each_s, *line)
    return GuardedLlm("test", llm, clock=clock, first_token_within_s=4.0, thinking_s=40.0), llm


async def test_a_model_that_thinks_is_waited_for_longer_than_one_that_is_silent() -> None:
    guard, llm = thinking(39, 1.0, "It is ", "here.")
    got = await written(guard)
    assert text(got) == "It is here." and not any(isinstance(delta, LifeSign) for delta in got)
    assert len(llm.requests) == 1


async def test_thinking_without_end_is_a_timeout() -> None:
    guard, llm = thinking(1_000, 1.0, "It is here.")
    with pytest.raises(ProviderTimeout, match="worked for 40 s without a word"):
        await written(guard)
    assert llm.requests == [] and guard.is_suspect


async def test_thinking_between_words_is_limited_from_the_last_word_on() -> None:
    guard, _ = thinking(1, 30.0, "a", "b", "c")
    assert text(await written(guard)) == "abc"
    guard, _ = thinking(0, 41.0, "a", "b")
    with pytest.raises(ProviderBrokeOff, match="without a word"):
        await written(guard)


async def test_the_next_model_is_asked_when_one_only_thinks() -> None:
    slow, _ = thinking(1_000, 1.0)
    good, _ = guarded(("Here.",))
    assert text(await written(FailoverLlm([slow, good]))) == "Here."
