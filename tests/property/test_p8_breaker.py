"""P8: a breaker opens after failures in a row, lets nobody through for its time, then one probe, and closes when that goes well.

Twice: the breaker alone, as a machine beside a model of it, under a clock that is moved by hand; and in the guard around a
language model, over a real HTTP server that fails as it is told and counts who knocked.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.kit.fault_proxy import GATEWAY_PAGE, Break, Fault, FaultProxy, Reply, server_error, too_many
from tests.kit.property_search import examples

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import Generated, TextDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import ProviderError
from agentvoicebox.providers.guard import GuardedLlm
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState

pytestmark = pytest.mark.requirement("A9")

POLICY = BreakerPolicy(failures_to_open=3, open_s=30.0, probe_s=10.0)
PAUSES_S = st.sampled_from([0.0, 0.1, 9.9, 10.0, 15.0, 29.9, 30.0, 60.0])


# -- the breaker alone -----------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """The breaker, and a model: since when nobody may knock, who of those let through is still out, which of them probes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.breaker = Breaker(POLICY)
        self.row = 0
        self.shut_until_s: float | None = None
        self.probe_gives_up_s: float | None = None

    @rule(pause_s=PAUSES_S)
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s

    @rule(ends=st.sampled_from(["well", "badly", "badly", "cancelled", "never"]))
    def call(self, ends: str) -> None:
        self.breaker, is_admitted = self.breaker.admit(self.now_s)
        is_shut = self.shut_until_s is not None and self.now_s < self.shut_until_s
        is_probed = self.probe_gives_up_s is not None and self.now_s < self.probe_gives_up_s
        assert is_admitted == (not is_shut and not is_probed), "let through" if is_admitted else "refused"
        if not is_admitted:
            return
        if self.shut_until_s is not None:
            self.probe_gives_up_s = self.now_s + POLICY.probe_s
        if ends == "well":
            self.breaker = self.breaker.succeeded()
            self.row, self.shut_until_s, self.probe_gives_up_s = 0, None, None
        elif ends == "badly":
            self.breaker = self.breaker.failed(self.now_s)
            self.row += 1
            if self.shut_until_s is not None or self.row >= POLICY.failures_to_open:
                self.shut_until_s, self.probe_gives_up_s = self.now_s + POLICY.open_s, None
        elif ends == "cancelled":
            self.breaker = self.breaker.released()
            self.probe_gives_up_s = None

    @invariant()
    def shows_what_it_is(self) -> None:
        state = self.breaker.state(self.now_s)
        if self.shut_until_s is None:
            assert state is BreakerState.CLOSED, "it should be closed"
        else:
            wanted = BreakerState.OPEN if self.now_s < self.shut_until_s else BreakerState.HALF_OPEN
            assert state is wanted, f"it should be {wanted}"


def search(count: int = 80) -> None:
    run_state_machine_as_test(Machine, settings=settings(examples(count), stateful_step_count=25))


def test_p8_the_breaker_alone() -> None:
    search()


# -- in the guard, over HTTP ------------------------------------------------------------------------------------------

PIECE = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,%s}]}\n\n'
WELL = Reply(
    body=PIECE % b'"delta":{"content":"Here."},"finish_reason":null'
    + PIECE % b'"delta":{},"finish_reason":"stop"'
    + b"data: [DONE]\n\n",
    content_type="text/event-stream",
)
BROKEN_OFF = Reply(body=PIECE % b'"delta":{"content":"He"},"finish_reason":null', content_type="text/event-stream")
REFUSED = Reply(400, b'{"error":{"message":"too long","type":"invalid_request_error"}}')  # says nothing of its health
ANSWERS: dict[str, Fault] = {
    "well": WELL, "500": server_error(500), "503": server_error(), "429": too_many(), "page": GATEWAY_PAGE,
    "reset": Break.RESET, "hang up": Break.HANG_UP, "broken off": BROKEN_OFF, "refused": REFUSED,
}  # fmt: skip
DAY = st.lists(st.tuples(PAUSES_S, st.sampled_from(sorted(ANSWERS)), st.integers(1, 3)), max_size=14)
OUT_AND_BACK = [
    (0.0, "500", 2), (0.0, "refused", 1), (0.0, "broken off", 1), (29.9, "well", 2), (0.1, "reset", 1), (29.9, "well", 1),
    (0.1, "well", 3), (0.0, "503", 2), (0.0, "well", 1), (0.0, "503", 3),
]  # fmt: skip


def always(fault: Fault) -> Callable[[object], Fault]:
    return lambda _: fault


async def play(day: list[tuple[float, str, int]]) -> None:
    """At each step a pause, how the server answers now, and how many callers ask, one after the other."""
    clock = ManualClock()
    async with FaultProxy() as server, AsyncExitStack() as stack:
        llm = OpenAICompatibleLlm(base_url=f"{server.url}/v1", model="m")
        stack.push_async_callback(llm.close)
        guard = GuardedLlm("flaky", llm, backoff=Backoff(tries=1), breaker=Breaker(POLICY), clock=clock)
        row, shut_until_s = 0, None
        for pause_s, answer, callers in day:
            clock.advance(pause_s)
            server.follow(always(ANSWERS[answer]))
            for _ in range(callers):
                is_shut = shut_until_s is not None and clock.monotonic_s() < shut_until_s
                before = len(server.requests)
                went_well = await ask(guard)
                knocked = len(server.requests) - before
                assert knocked == (0 if is_shut else 1), f"{knocked} requests while {'shut' if is_shut else 'open'}"
                assert went_well == (not is_shut and answer == "well")
                if is_shut or answer == "refused":
                    continue
                if went_well:
                    row, shut_until_s = 0, None
                    continue
                row += 1
                if shut_until_s is not None or row >= POLICY.failures_to_open:
                    shut_until_s = clock.monotonic_s() + POLICY.open_s
        if shut_until_s is not None:
            await probe_at_once(guard, server, clock)


async def ask(guard: GuardedLlm) -> bool:
    try:
        said = [delta async for delta in guard.generate(Generate("resp_1", "openai", "", ()), "job_1")]
    except ProviderError:
        return False
    assert [type(delta) for delta in said] == [TextDelta, Generated]
    return True


async def probe_at_once(guard: GuardedLlm, server: FaultProxy, clock: ManualClock) -> None:
    """When its time is over and many come at once, one of them reaches the server; then it is closed to none."""
    clock.advance(POLICY.open_s)
    server.follow(lambda _: WELL)
    before = len(server.requests)
    assert (await asyncio.gather(*(ask(guard) for _ in range(5)))).count(True) == 1
    assert len(server.requests) == before + 1, "more than one probed"
    assert guard.breaker_state is BreakerState.CLOSED
    assert await ask(guard)


@examples(25)
@given(day=DAY)
@example(day=OUT_AND_BACK)
def test_p8_in_the_guard_of_a_language_model(day: list[tuple[float, str, int]]) -> None:
    asyncio.run(play(day))


# -- the property catches breakers that are broken --------------------------------------------------------------------


def _never_opens(self: Breaker, now_s: float) -> Breaker:
    return Breaker(self.policy, self.failures + 1)


def _one_too_late(self: Breaker, now_s: float, failed: Any = Breaker.failed) -> Breaker:
    return (
        failed(self, now_s)
        if self.failures >= self.policy.failures_to_open
        else Breaker(self.policy, self.failures + 1)
    )


def _counts_on(self: Breaker) -> Breaker:
    return Breaker(self.policy, self.failures)


def _stays_open(self: Breaker) -> Breaker:
    return self


def _all_may_probe(self: Breaker, now_s: float) -> tuple[Breaker, bool]:
    return self, self.state(now_s) is not BreakerState.OPEN


def _half_the_time(self: Breaker, now_s: float) -> BreakerState:
    if self.opened_s is None:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now_s < self.opened_s + self.policy.open_s / 2 else BreakerState.HALF_OPEN


BROKEN: dict[str, tuple[str, Any]] = {
    "never-opens": ("failed", _never_opens),
    "one-too-late": ("failed", _one_too_late),
    "success-forgets-nothing": ("succeeded", _counts_on),
    "never-closes": ("succeeded", _stays_open),
    "all-may-probe": ("admit", _all_may_probe),
    "too-short": ("state", _half_the_time),
}


@pytest.mark.parametrize("which", BROKEN)
def test_a_broken_breaker_is_caught(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    name, broken = BROKEN[which]
    monkeypatch.setattr(Breaker, name, broken)
    with pytest.raises(AssertionError):
        search()
    with pytest.raises(AssertionError):
        asyncio.run(play(OUT_AND_BACK))
