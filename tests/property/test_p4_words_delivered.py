"""P4: the words of an utterance reach its call, once, whatever the interleaving of calls and the deaths of recognisers.

How soon (100 ms are wanted) is measured by `benchmarks/properties.py` in the same world.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis
from tests.kit.gateway import gateway
from tests.kit.property_search import NO_PATIENCE_S, brokers, emptied, examples
from tests.kit.transcription_world import MS_BYTES, Caller, Recogniser, caller, utterance
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker import keys
from agentvoicebox.broker.job_streams import JobStreams
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.result_reader import ResultReader
from agentvoicebox.gateway.call.inbox import Inbox
from agentvoicebox.ports.broker import Claim, JobKind, JobResult

pytestmark = pytest.mark.requirement("A6")

CALLERS = 3
Utterance = tuple[int, int, int]  # who; length in ms; audio in one event, in ms
Event = tuple[
    bytes, tuple[int, int]
]  # audio to append, or (when empty) the commit of an utterance of that number and length
SAID = st.lists(
    st.tuples(st.integers(0, CALLERS - 1), st.integers(250, 600), st.integers(10, 300)), min_size=1, max_size=5
)
ORDER = st.lists(st.integers(0, CALLERS - 1), max_size=60)
TWO_TALK: dict[str, Any] = {
    "said": [(0, 300, 50), (1, 250, 20), (0, 450, 150)],
    "order": [0, 1, 1, 0, 1, 0],
    "deaths": [1],
}


async def play(
    url: str, said: list[Utterance], order: list[int], deaths: list[int], patience_s: float = PATIENCE_S
) -> None:
    """The callers' events are sent in `order` as far as it goes; each worker of `deaths` is gone at its n-th decode."""
    emptied(url)
    async with AsyncExitStack() as stack:
        (broker,) = await stack.enter_async_context(brokers(url, 1))
        served = await stack.enter_async_context(gateway(broker))
        callers = [await stack.enter_async_context(caller(served)) for _ in range(max(who for who, _, _ in said) + 1)]
        todo: list[list[Event]] = [[] for _ in callers]
        for number, (who, length_ms, event_ms) in enumerate(said):
            pcm, size = utterance(number, length_ms), event_ms * MS_BYTES
            todo[who] += [(pcm[start : start + size], (0, 0)) for start in range(0, len(pcm), size)]
            todo[who].append((b"", (number, length_ms)))
        talking = asyncio.create_task(talk(callers, todo, order))
        counts = [sum(1 for who, _, _ in said if who == number) for number in range(len(callers))]
        listening = [
            asyncio.create_task(each.listen(count, patience_s=patience_s))
            for each, count in zip(callers, counts, strict=True)
        ]
        for dies_at in deaths:
            recogniser = Recogniser(url, dies_at=dies_at)
            stack.push_async_callback(recogniser.close)
            while not recogniser.has_died and not all(task.done() for task in listening):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        stack.push_async_callback(Recogniser(url).close)
        await talking
        await asyncio.gather(*listening)
        for each in callers:
            each.assert_understood()
        with Redis.from_url(url) as redis:
            # Who died between a job's last record and its acknowledgement left an entry, which the living soon remove.
            await until(lambda: redis.xlen(keys.job_stream(JobKind.STT)), "jobs were left", patience_s=patience_s)
            assert redis.xlen(keys.dead_stream(JobKind.STT)) == 0, "a job died"


async def talk(callers: list[Caller], todo: list[list[Event]], order: list[int]) -> None:
    """One event at a time: those of `order`, then the rest of each."""
    for who in [*order, *(who for who, events in enumerate(todo) for _ in events)]:
        if who < len(todo) and todo[who]:
            pcm, is_said = todo[who].pop(0)
            await (callers[who].speak(pcm) if pcm else callers[who].commit(is_said))


@examples(10)
@given(said=SAID, order=ORDER, deaths=st.lists(st.integers(1, 3), max_size=2))
@example(**TWO_TALK)
def test_p4_each_call_gets_the_words_of_its_own_utterances_once(
    redis_url: str, said: list[Utterance], order: list[int], deaths: list[int]
) -> None:
    asyncio.run(play(redis_url, said, order, deaths))


# -- the property catches deliveries that are broken -----------------------------------------------------------------


async def _acknowledged_first(self: RedisBroker, *args: Any, claim: Any = RedisBroker.claim, **options: Any) -> Any:
    claims: list[Claim] = await claim(self, *args, **options)
    for each in claims:
        await self.connection.commands.xack(keys.job_stream(each.job.kind), keys.group(each.job.kind), each.entry_id)
    return claims


async def _nothing_removed(self: JobStreams, kind: JobKind, entry_id: str, **options: Any) -> None:
    pass


async def _not_the_last(self: Inbox, record: JobResult, take: Any = Inbox._take) -> None:
    if not record.is_last:
        await take(self, record)


@pytest.mark.parametrize(
    ("what", "name", "broken"),
    [
        (ResultReader, "on_message", lambda self, payload: None),
        (RedisBroker, "claim", _acknowledged_first),
        (Inbox, "_take", _not_the_last),
        (JobStreams, "remove", _nothing_removed),
    ],
    ids=["unheard", "acknowledged-first", "last-is-dropped", "never-removed"],
)
def test_a_broken_delivery_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, what: type, name: str, broken: Any
) -> None:
    monkeypatch.setattr(what, name, broken)
    with pytest.raises(AssertionError):
        asyncio.run(play(redis_url, **TWO_TALK, patience_s=NO_PATIENCE_S))
