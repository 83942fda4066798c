"""Usage adds up to what sessions did: in whatever order records come, however often, tenant by tenant and day by day."""

import random
from datetime import UTC, date, datetime

import pytest

from agentvoicebox.engine.effects import Persist
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.usage import DailyUsage, UsageReader

NOON_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
MIDNIGHT_S = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
DAY_1, DAY_2 = date(2026, 11, 20), date(2026, 11, 21)


def batch(
    at_s: float, *records: Persist, audio_in_ms: int, session: str = "sess_1", tenant: str = "acme"
) -> TimedBatch:
    return TimedBatch(RecordBatch(tenant, session, "", records, audio_in_ms), at_s)


def response(name: str, tokens_in: int, tokens_out: int, audio_tokens: int) -> Persist:
    usage = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "output_token_details": {"audio_tokens": audio_tokens},
    }
    return Persist(name, "response", {"id": name, "usage": usage})


def calls() -> list[TimedBatch]:
    """Two calls of one tenant, the second of them over midnight, and one of another."""
    opened, closed = Persist("s", "session_opened", {"agent": "a"}), Persist("s", "session_closed", {"code": 1000})
    late = {"session": "sess_2"}
    return [
        batch(NOON_S, opened, audio_in_ms=0),
        batch(NOON_S + 30, response("r1", 100, 60, 40), audio_in_ms=25_000),
        batch(NOON_S + 61.5, response("r2", 150, 30, 20), Persist("r3", "response", {}), audio_in_ms=50_000),
        batch(NOON_S + 90, closed, audio_in_ms=80_000),
        batch(MIDNIGHT_S - 60, opened, audio_in_ms=0, **late),
        batch(MIDNIGHT_S + 20, response("r1", 7, 5, 2), audio_in_ms=60_000, **late),
        batch(MIDNIGHT_S + 60, closed, audio_in_ms=110_000, **late),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_usage_is_the_same_in_any_order_and_with_any_repeats(postgres: Postgres, seed: int) -> None:
    chance, due = random.Random(seed), calls()
    due += chance.choices(due, k=6)
    chance.shuffle(due)
    conversations = Conversations(postgres)
    while due:
        size = chance.randint(1, 5)
        await conversations.write(due[:size])
        due = due[size:]
    await conversations.write([batch(NOON_S, response("r1", 1, 1, 1), audio_in_ms=9, tenant="umbra")])
    usage = UsageReader(postgres)
    assert await usage.by_day("acme", DAY_1, DAY_2) == [
        DailyUsage(DAY_1, 2, 90.0 + 120.0, 80.0 + 110.0, 3.0, 250, 90),
        DailyUsage(DAY_2, 0, 0.0, 0.0, 0.1, 7, 5),
    ]
    assert [each.day for each in await usage.by_day("acme", DAY_2, DAY_2)] == [DAY_2]
    assert await usage.by_day("umbra", DAY_1, DAY_2) == [DailyUsage(DAY_1, 1, 0.0, 0.009, 0.05, 1, 1)]
    assert await usage.by_day("nobody", DAY_1, DAY_2) == []


async def test_a_session_whose_end_nobody_recorded_counts_until_its_last_record(postgres: Postgres) -> None:
    await Conversations(postgres).write(calls()[:3])
    (day,) = await UsageReader(postgres).by_day("acme", DAY_1, DAY_1)
    assert (day.connected_s, day.audio_in_s) == (61.5, 50.0)
